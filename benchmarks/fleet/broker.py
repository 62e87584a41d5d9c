"""Many devices through one Mosquitto: in peace, while everything is killed, and flooded with wrong messages."""

from __future__ import annotations

import json
import random
import resource
import threading
import time
from pathlib import Path

from benchmarks.fleet.parts import Crowd, Listener, accounted, crowd_states, expected, memory_of, merger, mosquitto, started
from benchmarks.fleet.world import World
from edgebn.fleet.envelope import Envelope, from_bytes, to_bytes
from edgebn.fleet.topics import Address


def through_broker(place: World, model: Path, folder: Path, count: int) -> dict:
    messages, known, prior = crowd_states(place, count)
    wanted = expected(place, known, prior)
    with mosquitto(folder) as (port, broker_process):
        listener, crowd = Listener(port), Crowd(port, list(messages))  # in this order: paho's select takes no socket above 1,023
        with merger(model, port) as one:
            time.sleep(3)
            began = time.monotonic()
            crowd.send(messages)
            sent = time.monotonic() - began
            listener.wait(lambda topics: topics.get(prior.topic("state")) == wanted, 120)
            merged = time.monotonic() - began
            listener.wait(lambda topics: accounted(topics.get(prior.topic("report"), b"{}")) == count, 30)  # behind the prior
            report = listener.topics[prior.topic("report")]
            memory, broker_memory = memory_of(one), memory_of(broker_process)
        listener.close()
        crowd.close()
    lost, left_out = count - accounted(report), len(json.loads(report)["left_out"])
    bytes_ = sum(len(payload) for _, payload in messages.values())
    print(
        f"{count:,} devices with a connection each: states sent in {sent:.1f} s, the prior of all of them {merged:.1f} s after the "
        f"first was sent; {lost} lost, {left_out} left out; merger {memory:.0f} MB, broker {broker_memory:.0f} MB, "
        f"{bytes_ / 1e6:.1f} MB of states",
        flush=True,
    )
    return {
        "devices": count,
        "sent": sent,
        "merged": merged,
        "lost": lost,
        "merger_mb": memory,
        "broker_mb": broker_memory,
        "bytes": bytes_,
    }


def chaos(place: World, model: Path, folder: Path, count: int, seconds: float = 40.0) -> dict:
    """Old and new states in any order while the broker is killed twice, mergers are killed, devices are cut off."""
    messages, known, prior = crowd_states(place, count)
    wanted, dice = expected(place, known, prior), random.Random(3)
    factory, old = place.model.to_bytes(place.model.initial_state), {}
    for name, (topic, _) in messages.items():
        told = known[name].envelope
        old[name] = topic, to_bytes(Envelope(told.count - 1, 1, 300, 300, 0, told.drift, factory), topic)
    kills = cuts = 0
    port, mergers = None, []
    try:
        for _ in range(2):
            with mosquitto(folder, port) as (port, _):  # killed at the end, with all that it retained
                mergers = mergers or [started(model, port) for _ in range(2)]
                until = time.monotonic() + seconds / 2
                while time.monotonic() < until:
                    some = dice.sample(sorted(messages), count // 4)
                    crowd = Crowd(port, some)
                    crowd.send({name: dice.choice((old, messages))[name] for name in some})
                    cuts += crowd.cut(len(some) // 2)
                    crowd.close()
                    at = dice.randrange(2)
                    mergers[at].kill()
                    mergers[at].wait()
                    kills += 1
                    mergers[at] = started(model, port)
                    time.sleep(1)
            time.sleep(2)
        with mosquitto(folder, port):
            listener, crowd = Listener(port), Crowd(port, list(messages))
            crowd.send(messages)  # as agents do when the broker is back
            mergers[0].kill()
            waited = listener.wait(lambda topics: topics.get(prior.topic("state")) == wanted, 120)
            time.sleep(8)
            same = listener.topics.get(prior.topic("state")) == wanted
            lost = count - accounted(listener.topics[prior.topic("report")])
            memory = memory_of(mergers[1])
            listener.close()
            crowd.close()
    finally:
        for one in mergers:
            one.kill()
            one.wait()
    print(
        f"{count:,} devices, {kills + 1} mergers killed, {cuts:,} connections cut, the broker killed twice: the same prior to the "
        f"byte: {'yes' if same else 'NO'}, {waited:.1f} s after the last state; {lost} lost; merger {memory:.0f} MB",
        flush=True,
    )
    return {
        "devices": count,
        "mergers_killed": kills + 1,
        "cut": cuts,
        "same": same,
        "seconds": waited,
        "lost": lost,
        "merger_mb": memory,
    }


def junk(place: World, folder: Path, count: int) -> dict:
    """Wrong messages of every kind through the broker into a merger of this process."""
    from edgebn.fleet.broker import broker_of
    from edgebn.fleet.merger import Merger

    messages, known, prior = crowd_states(place, 20)
    wanted, dice = expected(place, known, prior), random.Random(4)
    names = sorted(messages)
    with mosquitto(folder) as (port, _):
        listener = Listener(port)
        one = Merger([place.model], broker_of(f"mqtt://127.0.0.1:{port}"))
        one.start()
        stop = threading.Event()
        worker = threading.Thread(target=one.run, args=(stop,))
        worker.start()
        feeder = Listener(port).client
        for topic, payload in messages.values():
            feeder.publish(topic, payload, 1, retain=True)
        listener.wait(lambda topics: topics.get(prior.topic("state")) == wanted, 60)
        merges, before = one.merges, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        began, sent = time.monotonic(), []
        for turn in range(count):
            topic, payload = messages[names[turn % 20]]
            stranger = Address(place.model.name, f"g{turn % 50}", f"s{turn % 1000}").topic("state")
            kind = turn % 5
            if kind == 0:
                wrong = stranger, dice.randbytes(dice.randrange(1, 300))
            elif kind == 1:
                wrong = stranger, payload  # another device's
            elif kind == 2:
                wrong = stranger, payload + bytes(2000)
            elif kind == 3:
                flipped = bytearray(payload)
                flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
                wrong = topic, bytes(flipped)
            else:
                told = from_bytes(payload, topic)
                wrong = topic, to_bytes(Envelope(told.count - 1, 1, 1, 1, 0, told.drift, told.state), topic)
            sent.append(feeder.publish(*wrong, 1, retain=False))
            if turn % 2000 == 1999:
                sent.pop().wait_for_publish(60)
                sent.clear()
        deadline = time.monotonic() + 120
        while sum(one.refused.values()) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        elapsed = time.monotonic() - began
        time.sleep(3)
        same = listener.topics.get(prior.topic("state")) == wanted
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        stop.set()
        worker.join()
        one.stop()
        listener.close()
        feeder.disconnect()
        feeder.loop_stop()
    total = sum(one.refused.values())
    print(f"{count:,} wrong messages in {elapsed:.0f} s: {total:,} refused {dict(one.refused)}; prior the same: {same}; "
          f"{one.merges - merges} merges meanwhile; {after - before:.0f} MB more memory in this process", flush=True)  # fmt: skip
    return {"sent": count, "refused": dict(one.refused), "same": same, "merges": one.merges - merges, "seconds": elapsed}
