"""Envelopes and topics: what went in comes out, and nothing else is taken."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebn.adapt import state_file
from edgebn.errors import FleetError
from edgebn.fleet import topics
from edgebn.fleet.envelope import MAX_COUNT, EnvelopeError, from_bytes, key_of, to_bytes
from edgebn.fleet.model import FleetModel
from tests.fleet.fleets import address, envelope, fleet, message, state_with

MASTER = b"a fleet's key of some length ...."


def refused(payload, topic, why, key=None):
    with pytest.raises(EnvelopeError) as caught:
        fleet().model.read(payload, topic, key)
    assert caught.value.why == why
    return str(caught.value)


def test_a_message_comes_back_as_it_was():
    state = fleet().learned["dim"][0]
    topic, payload = message("pi-1", state, count=7, time=8, seen=9)
    assert len(payload) < fleet().model.most
    found = fleet().model.read(payload, topic)
    assert (found.envelope.count, found.envelope.time, found.envelope.seen) == (7, 8, 9)
    assert found.envelope.state == state
    assert fleet().model.to_bytes(found.state) == state
    assert found.envelope.drift.shape == (fleet().model.layers, 5)
    assert found.envelope.drift[:, 1].max() == 1, "in the dark the gate is open"


@given(st.data())
def test_no_damaged_message_is_taken(data):
    topic, payload = message("pi-1", fleet().learned["dim"][0])
    if data.draw(st.booleans()):
        damaged = payload[: data.draw(st.integers(0, len(payload) - 1))]
    else:
        place, bit = data.draw(st.integers(0, len(payload) - 1)), data.draw(st.integers(0, 7))
        damaged = bytearray(payload)
        damaged[place] ^= 1 << bit
    with pytest.raises(EnvelopeError):
        fleet().model.read(bytes(damaged), topic)


@given(st.binary(max_size=300))
def test_no_noise_is_taken(data):
    topic = address("pi-1").topic("state")
    for noise in (data, b"EBNF" + data, b"EBNF\1\0" + data):
        with pytest.raises(EnvelopeError):
            fleet().model.read(noise, topic)


def test_what_is_wrong_is_told_apart():
    state = fleet().learned["dim"][0]
    topic, payload = message("pi-1", state)
    refused(payload + bytes(1), topic, "malformed")
    refused(payload + bytes(5000), topic, "oversized")
    refused(payload, address("pi-2").topic("state"), "malformed")
    refused(payload[:4] + b"\2" + payload[5:], topic, "version")
    record = state_file.from_bytes(state, "a test")
    for other in (replace(record, model=bytes(16)), replace(record, policy=1), replace(record, payload=record.payload[4:])):
        wrong = to_bytes(replace(envelope(state), state=state_file.to_bytes(other)), topic)
        refused(wrong, topic, "foreign")
    nan = bytearray(record.payload)
    nan[:4] = np.float32(np.nan).tobytes()
    refused(
        to_bytes(replace(envelope(state), state=state_file.to_bytes(replace(record, payload=bytes(nan)))), topic),
        topic,
        "malformed",
    )
    refused(to_bytes(replace(envelope(state), count=MAX_COUNT + 1), topic), topic, "malformed")
    refused(to_bytes(replace(envelope(state), drift=np.full((fleet().model.layers, 5), np.inf)), topic), topic, "malformed")
    refused(to_bytes(replace(envelope(state), drift=np.zeros((1, 5))), topic), topic, "foreign")


def test_states_beyond_the_guards_are_refused():
    model = fleet().model
    topic = address("pi-1").topic("state")
    zeros = np.zeros_like(model.initial_state.values)
    for plane, value in ((0, 7.0), (0, 65.0), (1, 9000.0), (2, -70.0)):
        values = zeros.copy()
        values[plane] = value
        if plane == 0:
            values[1] = value * value
        refused(to_bytes(replace(envelope(fleet().learned["home"][0]), state=state_with(values)), topic), topic, "bounds")
    refused(to_bytes(replace(envelope(fleet().learned["home"][0]), state=state_with(zeros, [-1.0])), topic), topic, "bounds")


def test_signatures():
    key, other = key_of(MASTER, "pi-1"), key_of(MASTER, "pi-2")
    topic, payload = message("pi-1", fleet().learned["dim"][0], key)
    assert fleet().model.read(payload, topic, key)
    assert fleet().model.read(payload, topic), "who asks for no signatures reads signed messages too"
    refused(payload, topic, "unsigned", other)
    refused(message("pi-1", fleet().learned["dim"][0])[1], topic, "unsigned", key)
    with pytest.raises(EnvelopeError):  # even with a checksum made to fit
        from_bytes(to_bytes(from_bytes(payload, topic), address("pi-2").topic("state"), key), address("pi-2").topic("state"), other)


def test_topics():
    assert topics.parse(address("pi-1").topic("state")) == (address("pi-1"), "state")
    assert topics.parse(address(topics.PRIOR, "hall~pi-1").topic("report")) == (address(topics.PRIOR, "hall~pi-1"), "report")
    good = address("pi-1").topic("state")
    bads = [good + "s", good + "/x", good[1:], "edgebn/v1/", "x" * 70000, good.replace(fleet().model.name, "12")]
    bads += [good.replace("pi-1", bad) for bad in ("_merger", "+", "", "a~b")]
    bads += [good.replace("hall", bad) for bad in ("h" * 99, "a~b~c", "#")]
    for bad in bads:
        assert topics.parse(bad) is None
    assert topics.checked_name("hall.2_b", "--group") == "hall.2_b"
    for bad in ("", "_group", "a/b", "#", "a b", "x" * 65, "a~b", None):
        with pytest.raises(FleetError):
            topics.checked_name(bad, "--group")


def test_policies_that_cannot_be_merged_are_refused():
    with pytest.raises(FleetError, match="no averages"):
        FleetModel(fleet().program, "dua")
