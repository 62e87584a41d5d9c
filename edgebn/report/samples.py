"""What data show: histograms of every layer's values and codes, the samples whose class changed, and their pictures."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgebn.program import CODE_RANGES, Program

RunBuffers = Callable[[Any], dict[str, np.ndarray]]
INSIDE, OUTSIDE = 64, 8  # bins that codes can have, and on each side what only values have
AT_ONCE = 4  # samples whose every buffer is held at once
LONGEST = 64  # pixels of a picture's longer side


def histograms(
    original: Program | None, program: Program, runs: tuple[RunBuffers | None, RunBuffers], inputs: Any
) -> list[dict[str, Any]]:
    """Return a row for each step, in order: counts of the values of the float network and of the codes of the int8 one.

    Parameters
    ----------
    original : Program or None
        The float network that `program` was made of, if it is there.
    program : Program
    runs : (callable or None, callable)
        What runs both, all buffers out.
    inputs : ndarray (N, ...), or dict of such

    Returns
    -------
    list of dict
        layer; low, high: of the real axis, cut into as many bins as there are counts; ends: the smallest and largest number that a
        code stands for, or None; values, codes: counts, or None; below, above: how many values are off the axis.
    """
    steps = [step for step in program.steps if program.buffers[step.output].dtype in {*CODE_RANGES, "float32"}]
    known = {step.output for step in original.steps} if original else set()
    rows: dict[str, dict[str, Any]] = {}
    count = len(next(iter(inputs.values()))) if isinstance(inputs, dict) else len(inputs)
    for start in range(0, count, AT_ONCE):
        batch = (
            {name: x[start : start + AT_ONCE] for name, x in inputs.items()}
            if isinstance(inputs, dict)
            else inputs[start:][:AT_ONCE]
        )
        real = runs[0](batch) if runs[0] is not None else {}
        found = runs[1](batch)
        for step in steps:
            name, buffer = step.output, program.buffers[step.output]
            is_code = buffer.dtype in CODE_RANGES
            values = real.get(name) if name in known else None if is_code else found[name]
            if values is not None:
                values = values * program.channel_factors.get(name, np.float32(1))
            if step.name not in rows:
                rows[step.name] = {
                    "layer": step.name,
                    **_axis(buffer, values),
                    "values": None,
                    "codes": None,
                    "below": 0,
                    "above": 0,
                }
            row = rows[step.name]
            if values is not None:
                _add(row, "values", values)
            if is_code:
                _add(row, "codes", buffer.scale * (found[name].astype(np.float64) - buffer.zero_point))
    return list(rows.values())


def _axis(buffer: Any, values: np.ndarray | None) -> dict[str, Any]:
    if buffer.dtype in CODE_RANGES:
        least, most = CODE_RANGES[buffer.dtype]
        width = (most + 1 - least) / INSIDE
        low, high = (least - 0.5 - OUTSIDE * width, most + 0.5 + OUTSIDE * width)
        ends = [buffer.scale * (code - buffer.zero_point) for code in (least, most)]
        return {"low": buffer.scale * (low - buffer.zero_point), "high": buffer.scale * (high - buffer.zero_point), "ends": ends}
    finite = values[np.isfinite(values)] if values is not None else np.zeros(0)
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    margin = (high - low) / 8 or 1.0
    return {"low": low - margin, "high": high + margin, "ends": None}


def _add(row: dict[str, Any], name: str, values: np.ndarray) -> None:
    bins = INSIDE + 2 * OUTSIDE
    counts, _ = np.histogram(values, bins, (row["low"], row["high"]))
    row[name] = (counts + (row[name] or 0)).tolist()
    if name == "values":
        row["below"] += int((values < row["low"]).sum())
        row["above"] += int((values > row["high"]).sum())


def changed(before: np.ndarray, after: np.ndarray, labels: np.ndarray | None, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the samples whose class two models see differently: what each says, what is true if that is known. -1 is no class."""

    def called(index: int) -> str:
        return "none" if index < 0 else names[index] if index < len(names) else str(index)

    return [
        {
            "sample": int(at),
            **({} if labels is None else {"true": called(labels[at])}),
            "before": called(before[at]),
            "after": called(after[at]),
        }
        for at in np.flatnonzero(before != after)
    ]


def pictures(inputs: Any, samples: Mapping[int, Any] | list[int]) -> dict[int, str]:
    """Return samples as pictures (data URIs) by number, where they look like some: one input of (H, W, 1 or 3)."""
    if isinstance(inputs, dict) or inputs.ndim != 4 or inputs.shape[-1] not in {1, 3} or min(inputs.shape[1:3]) < 4:
        return {}
    return {number: "data:image/png;base64," + base64.b64encode(png(_pixels(inputs[number]))).decode() for number in samples}


def _pixels(sample: np.ndarray) -> np.ndarray:
    """Return a sample as uint8 pixels, the least value black and the most white, every n-th pixel of large ones."""
    step = -(-max(sample.shape[:2]) // LONGEST)
    values = np.nan_to_num(sample[::step, ::step].astype(np.float64))
    low, high = values.min(), values.max()
    return np.round((values - low) * (255.0 / (high - low) if high > low else 0.0)).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """Return a PNG file of pixels (H, W, 1 or 3) uint8."""
    height, width, channels = pixels.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)  # each begins with its filter
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + chunk(b"IEND", b"")
