"""Model files that lie at the broker, for mergers and gateways that are started without one.

The topic names the model by its hash, so whoever put the file there, what is read is that model or nothing.
"""

from __future__ import annotations

import time

from edgebn.errors import EdgebnError, FleetError
from edgebn.fleet.broker import Broker
from edgebn.fleet.connection import Connection
from edgebn.fleet.model import FleetModel
from edgebn.fleet.topics import ROOT, model_in, model_topic
from edgebn.formats import native
from edgebn.program import Program

FILTER = f"{ROOT}/+/model"
MAX_BYTES = 64 << 20  # of a file, and of all of them
BESIDE = 1 << 10  # bytes of a packet that are not the file
SETTLE, LONGEST = 1.0, 30.0  # seconds of silence after which all is there, and seconds at most


def leave(program: Program, broker: Broker, seconds: float) -> str:
    """Leave a model at the broker and return its name there.

    Raises
    ------
    ModelError
        It has no source tables.
    FleetError
        It is too large, or the broker cannot be reached or does not take it in so many seconds.
    """
    name, data = FleetModel(program).name, native.to_bytes(program)
    if len(data) > MAX_BYTES:
        raise FleetError(f"{program.source}: {len(data):,} bytes are more than a broker is given ({MAX_BYTES:,})")
    connection = Connection(broker, "publish", lambda *_: None)
    connection.start()
    try:
        connection.wait_up(seconds)
        connection.publish(model_topic(name), data)
        if not connection.flush(LONGEST):
            raise FleetError(f"{broker} has not taken the model: {connection.problem or 'no answer'}")
    finally:
        connection.stop()
    return name


def left(broker: Broker, seconds: float) -> list[Program]:
    """Return the models that lie at the broker, by their names there; what is not what its topic says is left where it lies.

    Raises
    ------
    FleetError
        The broker cannot be reached in so many seconds, or has none.
    """
    files: dict[str, bytes] = {}
    heard = [time.monotonic()]

    def receive(topic: str, payload: bytes, _retained: bool) -> None:
        heard[0] = time.monotonic()
        name = model_in(topic)
        if name is not None and sum(map(len, files.values())) + len(payload) <= MAX_BYTES:
            files[name] = payload

    connection = Connection(broker, "models", receive, longest=MAX_BYTES + BESIDE)
    connection.subscribe(FILTER)
    connection.start()
    try:
        connection.wait_up(seconds)
        connection.wait_subscribed(FILTER, seconds)
        heard[0] = began = time.monotonic()
        while time.monotonic() - heard[0] < SETTLE and time.monotonic() - began < LONGEST:
            time.sleep(0.02)
    finally:
        connection.stop()
    found, wrong = [], []
    for name, data in sorted(files.items()):
        try:
            program = native.from_bytes(data, f"{broker}/{model_topic(name)}")
            if FleetModel(program).name != name:
                raise FleetError(f"{program.source} is another model")
        except EdgebnError as error:
            wrong.append(str(error))
        else:
            found.append(program)
    if not found:
        why = f" ({wrong[0]})" if wrong else ""
        raise FleetError(f"no model lies at {broker}{why}: give a MODEL, or leave one there with `edgebn fleet publish MODEL`")
    return found
