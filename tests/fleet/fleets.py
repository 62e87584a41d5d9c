"""States of made-up fleets of the shipped network: what devices in a few worlds learn, and what travels of it."""

from functools import cache
from types import SimpleNamespace

import numpy as np

import edgebn
from edgebn.fleet.envelope import Envelope, to_bytes
from edgebn.fleet.model import FleetModel
from edgebn.fleet.topics import Address
from tests.demo_model import demo_images, demo_int8

WORLDS = {"home": 1.0, "dim": 0.2, "bright": 1.6}
GROUP = "hall"


@cache
def fleet():
    """Return the adaptable network as `program`, as `model`, and `learned`: eleven devices' state bytes in each world."""
    images, _ = demo_images()
    program = edgebn.adaptable(demo_int8(), images[:500])
    adapter = edgebn.Adapter(edgebn.Session(program))
    learned = {}
    for world, light in WORLDS.items():
        learned[world] = []
        for device in range(11):
            chosen = np.random.default_rng(device).permutation(500)[: 80 + 10 * device] + 500
            adapter.reset()
            adapter.run(np.minimum(images[chosen] * np.float32(light), np.float32(1)))
            learned[world].append(adapter.to_bytes())
    return SimpleNamespace(program=program, model=FleetModel(program), learned=learned)


def address(device, group=GROUP):
    return Address(fleet().model.name, group, device)


def envelope(state, count=1000, time=None, seen=100):
    model = fleet().model
    numbers = model.numbers(model.state(state, "a test"))
    return Envelope(count, count if time is None else time, seen, seen, 0, numbers, state)


def message(device, state, key=None, group=GROUP, **facts):
    """Return (topic, payload) as a device would send them."""
    topic = address(device, group).topic("state")
    return topic, to_bytes(envelope(state, **facts), topic, key)


def known(device, state, **facts):
    topic, payload = message(device, state, **facts)
    return fleet().model.read(payload, topic)


def group_of(world, count=10):
    return {f"d{i}": known(f"d{i}", fleet().learned[world][i], count=1000 + i) for i in range(count)}


def state_with(values, scalars=(300.0,)):
    from edgebn.adapt.policy import State

    return fleet().model.to_bytes(State(np.asarray(values, np.float32), np.asarray(scalars, np.float32)))
