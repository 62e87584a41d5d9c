"""The demo's last look at the microcontroller: firmware that adapts, on an emulated board, in the dark that Python adapted to."""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen.adaptation import DEFAULT_POLICY
from edgebn import reference
from edgebn.adapt import Adapter
from edgebn.cli.demo_board import BOARD, unavailable
from edgebn.cli.device.samples import from_bytes, sample, to_bytes
from edgebn.cli.device.target import Target, emulated
from edgebn.cli.screen import Screen
from edgebn.errors import LinkError
from edgebn.program import Program
from edgebn.session import Session


def run(program: Program, images: np.ndarray, labels: np.ndarray, screen: Screen) -> dict[str, Any]:
    """Run dim images on an emulated Cortex-M4F, without and with adaptation, and compare with Python.

    Parameters
    ----------
    program : Program
        Adaptable, int8.
    images : ndarray of float32, shape (N, 28, 28, 1)
        In the order in which the board sees them.
    labels : ndarray of int64, shape (N,)
    screen : Screen
    """
    reason = unavailable()
    if reason:
        screen.say(f"on a board: skipped: {reason}")
        return {"skipped": reason}
    codes = reference.quantize_real(images, program.buffers[program.inputs[0]])
    adapter = Adapter(Session(program), DEFAULT_POLICY)
    expected = adapter.run(codes)
    errors = {}
    with emulated(program, BOARD, screen, DEFAULT_POLICY) as target:
        for name, learns in (("before", False), ("after", True)):
            found = _outputs(target, program, codes, learns, screen)
            errors[name] = 100.0 * float(np.mean(found.argmax(axis=1) != labels))
        state = target.device.state()
    if found.tobytes() != expected.tobytes() or state != adapter.to_bytes():
        raise LinkError(f"{BOARD} differs from Python: its outputs or what it learned are not the same bytes")
    screen.say(
        f"on {BOARD}, over the serial line, {len(images)} of the dim images in mixed order: "
        f"{errors['before']:.1f} % errors, adapting {errors['after']:.1f} %"
    )
    screen.say(f"outputs and what it learned, {len(state):,} bytes, are Python's")
    return {"images": len(images), "errors": errors, "state_bytes": len(state)}


def _outputs(target: Target, program: Program, codes: np.ndarray, learns: bool, screen: Screen) -> np.ndarray:
    """Return the outputs for all inputs, each learned from after it was run, or none."""
    ask = target.device.learn if learns else target.device.run
    found = []
    with screen.progress("adapting on the board" if learns else "the board in the dark") as progress:
        for index in range(len(codes)):
            done = ask(to_bytes(program, sample(program, codes, index)))
            found.append(from_bytes(program, done.output)[program.outputs[0]].reshape(-1))
            progress(index + 1, len(codes))
    return np.stack(found)
