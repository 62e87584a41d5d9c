"""The whole way on a device, piece by piece: frames or samples in, what the network must be given, the answer that must come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from codegen import answer
from codegen.decoding import cells_of, most
from edgebn import reference
from edgebn.cli.device.samples import SEED, sample, to_bytes
from edgebn.cli.inputs import Inputs
from edgebn.cli.prepared import files_of, read_8_bits
from edgebn.errors import ModelError
from edgebn.live.recordings import read_sound
from edgebn.preparation.anomalies import AnomalyAnswer
from edgebn.preparation.check import BYTES
from edgebn.preparation.data import Boxes, Classes, KeyPoints, Mask, Picture, Sound
from edgebn.preparation.decoding import Decoder
from edgebn.preparation.frames import packed, unpacked
from edgebn.preparation.masks import MaskAnswer
from edgebn.preparation.pictures import coloured, pictured
from edgebn.preparation.resizing import resized
from edgebn.preparation.sounds import Listener
from edgebn.preparation.wake_words import WakeAnswer
from edgebn.program import Program

FOUND = np.dtype([("index", "<i4"), ("numbers", "<f4", 5)])  # edgebn_found: score, left, top, right, bottom
LOUDEST = 12000  # of a drawn sound
QUIET = 0.1  # seconds of it that are equally loud


@dataclass(frozen=True)
class Piece:
    """What a device is given at once.

    Attributes
    ----------
    data : bytes
    network_inputs : dict of str to ndarray, or None
        What the network must be given, by input; None where it is not to run yet.
    """

    data: bytes
    network_inputs: dict[str, np.ndarray] | None


@dataclass(frozen=True)
class Alone:
    """The network alone: `total` samples of arrays.

    Attributes
    ----------
    program : Program
    inputs : Inputs
    total : int
    """

    program: Program
    inputs: Inputs
    total: int

    @property
    def is_sequence(self) -> bool:
        """Whether a piece depends on those before it."""
        return bool(self.program.states)

    def pieces(self, count: int) -> Iterator[Piece]:
        """Yield `count` pieces, from the first sample on, over and over."""
        for index in range(count):
            network_inputs = sample(self.program, self.inputs, index % self.total)
            yield Piece(to_bytes(self.program, network_inputs), network_inputs)


class WholeWay:
    """Preparation, network and answer: frames of a camera, or a sound in pieces of one inference.

    Parameters
    ----------
    program : Program
        That C knows a way to the answer of: see `has_way`.
    path : Path or None
        A picture, a folder of pictures, or a recording; drawn where it is None.
    samples : int or None
        How many frames or inferences at most; None for all of `path`.

    Raises
    ------
    ModelError
        A file is damaged or too short.
    """

    def __init__(self, program: Program, path: Path | None, samples: int | None) -> None:
        assert program.preparation is not None
        self.program = program
        self.before, after = program.preparation.before, program.preparation.after
        self._scores = replace(after, logits=False) if isinstance(after, Classes) else after  # C tells scores as they are
        self._told = replace(program, preparation=replace(program.preparation, after=self._scores))
        self._buffer = program.buffers[program.inputs[0]]
        self._draw = np.random.default_rng(SEED)
        self._frames: list[np.ndarray] = []
        self._recording: np.ndarray | None = None
        found = samples or 1
        if path is not None and isinstance(self.before, Sound):
            self._recording = read_sound(path, self.before.front_end.sample_rate)
            found = self._inferences(self.before, len(self._recording))
            if not found:
                raise ModelError(f"{path}: the sound is shorter than what the network hears at once")
        elif path is not None:
            self._frames = self._read(path)
            found = len(self._frames)
        self.total = min(found, samples or found)
        self.reset()

    @property
    def is_sequence(self) -> bool:
        """Whether a piece depends on those before it."""
        return bool(self.program.states) or isinstance(self.before, Sound)

    def reset(self) -> None:
        """Forget what was heard."""
        self._decoder = Decoder(self._told)

    def pieces(self, count: int) -> Iterator[Piece]:
        """Yield pieces with `count` inferences, from the beginning on; fewer where a recording ends."""
        if isinstance(self.before, Sound):
            yield from self._heard(self.before, count)
            return
        assert isinstance(self.before, Picture)
        assert self.before.frame is not None
        frame = self.before.frame
        size = frame.height * frame.width * BYTES[frame.layout]
        for index in range(count):
            data = self._frames[index % self.total] if self._frames else self._draw.integers(0, 256, size, np.uint8)
            pixels = unpacked(data, frame)
            yield Piece(data.tobytes(), {self.program.inputs[0]: pictured(pixels, self.before, self._buffer)})

    def answer(self, outputs: dict[str, np.ndarray], network_input: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Return what C must answer to the outputs (H, W, C) of one sample, by part: as `read` reads it."""
        shaped = {name: values.reshape(1, *self.program.shapes[name]) for name, values in outputs.items()}
        frame = self.before.frame if isinstance(self.before, Picture) else None
        result = shaped if len(shaped) > 1 else shaped[self.program.outputs[0]]
        sizes = [(frame.height, frame.width)] if frame else []
        found = self._decoder.answers(result, network_input.reshape(1, *self.program.shapes[self.program.inputs[0]]), sizes)[0]
        return self._parts(found)

    def _parts(self, found: Any) -> list[tuple[str, np.ndarray]]:
        rows = np.zeros(most(self.program), FOUND)
        after = self._scores
        if isinstance(found, MaskAnswer):
            rows["index"] = np.arange(len(rows))
            rows["numbers"][:, 0] = found.shares
            return [("number", _count(len(rows))), ("answer", rows), ("mask", found.classes.astype(np.uint8))]
        answers: list[Any] = [found] if isinstance(found, WakeAnswer | AnomalyAnswer) else list(found)
        if isinstance(after, Classes) and len(rows) == 1:  # one score, which Python tells of the second of two classes
            answers = [one for one in answers if one.index == 1]
        for row, one in zip(rows, answers, strict=False):
            row["index"], row["numbers"] = self._row(one, is_only=len(rows) == 1)
        parts = [("number", _count(len(answers))), ("answer", rows)]
        if isinstance(after, Boxes) and after.points:
            points = np.zeros((len(rows), after.points, 2), np.float32)
            for place, one in enumerate(answers):
                points[place] = one.points
            parts.append(("points", points))
        return parts

    def _row(self, one: Any, *, is_only: bool) -> tuple[int, tuple[float, ...]]:
        after = self._scores
        if isinstance(one, WakeAnswer):
            return int(one.is_heard), (one.score, 0, 0, 0, 0)
        if isinstance(one, AnomalyAnswer):
            return int(one.is_anomaly), (one.score, 0, 0, 0, 0)
        if isinstance(after, Classes):
            return 0 if is_only else one.index, (one.score, 0, 0, 0, 0)
        if isinstance(after, Boxes):
            return one.index, (one.score, one.left, one.top, one.right, one.bottom)
        assert isinstance(after, KeyPoints)
        return after.names.index(one.name), (one.score, one.x, one.y, one.x, one.y)

    def _heard(self, sound: Sound, count: int) -> Iterator[Piece]:
        listener = Listener(sound, self._buffer)
        size = sound.front_end.step * sound.stride
        seconds, position = round(QUIET * sound.front_end.sample_rate), 0
        while count > 0:
            if self._recording is None:
                loud = self._draw.uniform(1, LOUDEST, size // seconds + 1).repeat(seconds)[:size]
                samples = self._draw.normal(0, 1, size) * loud
            else:
                samples = self._recording[position : position + size]
            if len(samples) < size:
                return
            position += size
            piece = np.clip(samples, -32768, 32767).astype("<i2")
            inputs = listener.feed(piece.astype(np.int16))
            network_inputs = {self.program.inputs[0]: inputs[0].reshape(self._buffer.shape)} if len(inputs) else None
            count -= len(inputs)
            yield Piece(piece.tobytes(), network_inputs)

    def _inferences(self, sound: Sound, samples: int) -> int:
        """Return how many inferences the whole pieces of a recording make."""
        front = sound.front_end
        piece = front.step * sound.stride
        rows = (samples // piece * piece - front.window) // front.step + 1
        return max(0, (rows - int(np.prod(self._buffer.shape)) // front.channels) // sound.stride + 1)

    def _read(self, path: Path) -> list[np.ndarray]:
        assert isinstance(self.before, Picture)
        assert self.before.frame is not None
        frame, found = self.before.frame, []
        for file in files_of(path):
            pixels = read_8_bits(file, self.before)
            found.append(packed(resized(coloured(pixels, self.before), (frame.height, frame.width), "nearest"), frame))
        return found


Source = Alone | WholeWay


def has_way(program: Program) -> bool:
    """Whether C goes the whole way of a model, from frames or samples to the answer."""
    return why_not(program) == ""


def why_not(program: Program) -> str:
    """Return why C does not go the whole way; '' where it does."""
    if program.preparation is None or program.preparation.before is None:
        return "the model does not say how pictures or sounds become its input"
    try:
        answer.check(program, "NAME")
    except ModelError as error:
        return str(error)
    return ""


def input_bytes(program: Program) -> int:
    """Return the bytes of what a device that goes the whole way is given at once."""
    assert program.preparation is not None
    before = program.preparation.before
    if isinstance(before, Sound):
        return 2 * before.front_end.step * before.stride
    assert isinstance(before, Picture)
    assert before.frame is not None
    return before.frame.height * before.frame.width * BYTES[before.frame.layout]


def output_bytes(program: Program) -> int:
    """Return the bytes of what it answers."""
    return sum(int(np.prod(shape)) * dtype.itemsize for _, dtype, shape in _layout(program))


def read(program: Program, data: bytes) -> list[tuple[str, np.ndarray]]:
    """Return a device's answer by part: how many there are, each of them, and its points or the mask; zeros behind the last."""
    parts = []
    for part, dtype, shape in _layout(program):
        size = int(np.prod(shape))
        parts.append((part, np.frombuffer(data, dtype, size).reshape(shape).copy()))
        data = data[size * dtype.itemsize :]
    number = max(0, int(parts[0][1][0]))
    for part, values in parts[1:]:
        if part != "mask":
            values[number:] = np.zeros((), values.dtype)  # what was found and then dropped
    return parts


def plain(part: np.ndarray) -> np.ndarray:
    """Return a part of an answer as float64 numbers, which are compared to the bit."""
    if part.dtype == FOUND:
        return np.concatenate([part["index"][:, None].astype(np.float64), part["numbers"].astype(np.float64)], axis=1)
    return part.astype(np.float64)


def _layout(program: Program) -> list[tuple[str, np.dtype, tuple[int, ...]]]:
    assert program.preparation is not None
    after, places = program.preparation.after, most(program)
    found: list[tuple[str, np.dtype, tuple[int, ...]]] = [("number", np.dtype("<i4"), (1,)), ("answer", FOUND, (places,))]
    if isinstance(after, Mask):
        (top, bottom), (left, right) = cells_of(program)
        found.append(("mask", np.dtype(np.uint8), (bottom - top, right - left)))
    elif isinstance(after, Boxes) and after.points:
        found.append(("points", np.dtype("<f4"), (places, after.points, 2)))
    return found


def outputs_of(program: Program, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the outputs that follow from values of a device, by buffer: a step that it does not report is the reference's."""
    made = {step.output: step for step in program.steps}

    def value(name: str) -> np.ndarray:
        if name not in values:
            step = made[name]
            values[name] = reference.run_step(program, step, {one: value(one) for one in step.inputs})
        return values[name]

    return {name: value(name) for name in program.outputs}


def _count(number: int) -> np.ndarray:
    return np.array([number], np.int32)
