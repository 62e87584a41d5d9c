"""`edgebn.prepare`: gives a program what stands before and behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from edgebn.arguments import checked_program
from edgebn.errors import ModelError
from edgebn.preparation.check import check_preparation
from edgebn.preparation.data import Anomaly, Boxes, Classes, KeyPoints, Mask, Picture, Preparation, Sound, WakeWord
from edgebn.program import Buffer, Dequantize, Elementwise, Program, Reshape, Softmax


def prepare(
    model: Program,
    *,
    image: Picture | None = None,
    sound: Sound | None = None,
    labels: Sequence[str] | None = None,
    boxes: Boxes | None = None,
    answer: Mask | KeyPoints | WakeWord | Anomaly | None = None,
) -> Program:
    """Say how pictures or sounds become a network's input and what its classes are called; kept when the program is saved.

    Parameters
    ----------
    model : Program
    image : edgebn.preparation.data.Picture, optional
    sound : edgebn.preparation.data.Sound, optional
        One of the two; left out, the program keeps what it has.
    labels : sequence of str, optional
        One name a class; of a network with a single score, the names for low and high ones. Scores that no softmax or sigmoid made
        are taken for logits.
    boxes : edgebn.preparation.data.Boxes, optional
        Of a detector, in place of labels.
    answer : Mask, KeyPoints, WakeWord or Anomaly of edgebn.preparation.data, optional
        Of a network that neither classifies nor finds boxes.

    Returns
    -------
    Program
        It computes what `model` computes, and has the same hash.

    Raises
    ------
    ModelError
        What does not fit the network.
    """
    checked_program(model, "edgebn.prepare")
    if image is not None and sound is not None:
        raise ModelError("a network takes pictures or sounds; give image= or sound=")
    kept = model.preparation or Preparation()
    before = image or sound or kept.before
    after = answer or boxes or kept.after
    if sum(what is not None for what in (labels, boxes, answer)) > 1:
        raise ModelError("a network has one kind of answer; give labels=, boxes= or answer=, which have names of their own")
    if labels is not None:
        after = Classes(tuple(str(label) for label in labels), logits=gives_logits(model))
    prepared = replace(model, preparation=Preparation(before, after))
    try:
        check_preparation(prepared)
    except ModelError as error:
        raise ModelError(f"{model.source}: {error}") from None
    return prepared


def gives_logits(program: Program) -> bool:
    """Whether the only output's scores come from no softmax or sigmoid, and are no probabilities as they stand."""
    steps = {step.output: step for step in program.steps}
    name = program.outputs[0]
    buffer = program.buffers[name]
    while name in steps and isinstance(steps[name], Reshape | Dequantize):
        name = steps[name].inputs[0]
        buffer = program.buffers[name]
    step = steps.get(name)
    if isinstance(step, Softmax) or (isinstance(step, Elementwise) and step.function == "sigmoid"):
        return False
    # int8: what makes probabilities has their range, in the codes that TensorFlow Lite and onnxruntime give them.
    is_share = buffer.dtype == "int8" and math.isclose(buffer.scale, 1 / 256, rel_tol=1e-3) and buffer.zero_point == -128
    return not is_share


def plain_pixels(buffer: Buffer) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return scale and offset by which an int8 input's codes are the pixels less 128: those of a uint8 file are the pixels."""
    return (buffer.scale,), ((-128 - buffer.zero_point) * buffer.scale,)
