"""The learning step of `edgebn device verify`: the same samples learned on the device and in Python, and the states compared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boards
from codegen import fit
from codegen.adaptation import CODES, DEFAULT_POLICY
from codegen.emit import list_network
from codegen.updates import UPDATES
from edgebn.adapt import Adapter
from edgebn.adapt.engines import ReferenceEngine
from edgebn.cli.device.way import Source
from edgebn.errors import BoardError, LinkError, ModelError
from edgebn.link import Device, NotBuiltInError
from edgebn.program import Program, exact_buffers

_POLICY = slice(6, 8)  # of a state: docs/state-format.md


def policy_of(program: Program, board: str | None) -> str | None:
    """Return the policy that firmware for this program is built with to be verified; None where it cannot adapt there."""
    if program.adaptation is None or board is None:
        return None
    try:
        fit.check(list_network(program, policy=DEFAULT_POLICY), boards.load(board))
    except (ModelError, BoardError):
        return None
    return DEFAULT_POLICY


@contextmanager
def factory_state(program: Program, device: Device) -> Iterator[str | None]:
    """Have an adapting device learn from its source statistics on, and be as it was in the end.

    Yields
    ------
    str or None
        The policy that its program learns by; None where it does not adapt.

    Raises
    ------
    LinkError
        The line fails.
    """
    if program.adaptation is None:
        yield None
        return
    try:
        before, was_frozen = device.state(), device.is_frozen()
    except NotBuiltInError:
        yield None
        return
    code = int.from_bytes(before[_POLICY], "little")
    policy = next((name for name, one in CODES.items() if one == code), None)
    if policy is None:
        raise LinkError(f"the device adapts by a policy that this edgebn does not know ({code})")
    device.reset()
    try:
        yield policy
    finally:
        device.set_state(before)
        if was_frozen:
            device.freeze()


def learns(program: Program, device: Device, policy: str, source: Source) -> bool | None:
    """Whether the device learns from the first samples, over and over, what Python does; None where codes may differ by one."""
    assert program.adaptation is not None
    if program.adaptation.logits not in exact_buffers(program):
        return None
    if source.is_sequence:
        device.begin_sequence()  # at the source statistics, as it is already
    adapter = Adapter(ReferenceEngine(program), policy)
    for piece in source.pieces(UPDATES):
        device.learn(piece.data)
        if piece.network_inputs is not None:
            adapter.run({name: value.reshape(1, *program.shapes[name]) for name, value in piece.network_inputs.items()})
    return device.state() == adapter.to_bytes()
