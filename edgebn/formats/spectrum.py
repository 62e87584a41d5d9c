"""Discrete Fourier transforms of real values, made of a matrix product, a grouped convolution and moves.

A transform of N = N1 N2 numbers is done in two stages (Cooley and Tukey, 1965): N2 transforms of N1 numbers, then N1 of N2, whose
matrices hold the twiddle factors too. That takes 2 N (N1 + N2) multiplications, where the whole matrix takes N (N + 2).
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

import numpy as np

from edgebn.layers import Convolution, Crop, Dense, Pad, Reshape, Transpose

Step = Callable[..., str]  # (layer, part, inputs, **settings) -> the value it makes


def real_spectrum(step: Step, value: str, rows: int, length: int, size: int) -> tuple[str, str]:
    """Append what transforms each of `rows` rows of `length` real numbers, cut or filled with zeros to `size`.

    Returns
    -------
    real, imaginary : str
        Values of shape (rows, size // 2 + 1): the sums of x[n] exp(-2 pi i n k / size) over n.
    """
    value = step(Reshape, "rows", (value,), shape=(rows, length))
    if length < size:
        value = step(Pad, "filled", (value,), pads=((0, 0), (0, size - length)), value=0.0)
    elif length > size:
        value = step(Crop, "cut", (value,), starts=(0, 0), sizes=(rows, size))
    outer = max(n for n in range(1, isqrt(size) + 1) if size % n == 0)
    inner = size // outer
    half = inner // 2 + 1
    apart = step(Reshape, "apart", (value,), shape=(rows, outer, inner))
    turned = step(Transpose, "turned", (apart,), permutation=(0, 2, 1))
    lists = step(Reshape, "lists", (turned,), shape=(rows * inner, outer))
    first = step(Dense, "first", (lists,), weight=_first_weight(outer), bias=None)
    parts = step(Reshape, "parts", (first,), shape=(rows, inner, 2, outer))
    groups = step(Transpose, "groups", (parts,), permutation=(0, 3, 2, 1))
    pixels = step(Reshape, "pixels", (groups,), shape=(rows, 1, outer * 2 * inner))
    weight = _second_weight(outer, inner, half)
    second = step(Convolution, "second", (pixels,), weight=weight, bias=None, groups=outer)
    whole = step(Reshape, "whole", (second,), shape=(rows, outer, 2, half))
    ordered = step(Transpose, "ordered", (whole,), permutation=(0, 2, 3, 1))
    spectrum = step(Reshape, "spectrum", (ordered,), shape=(rows, 2 * half * outer))
    real, imaginary = (
        step(Crop, part, (spectrum,), starts=(0, place * half * outer), sizes=(rows, size // 2 + 1))
        for place, part in enumerate(("real", "imaginary"))
    )
    return real, imaginary


def complex_spectrum(step: Step, joined: str, rows: int, size: int) -> str:
    """Append the transform of rows of `size` complex numbers, the real parts before the imaginary ones, to the same."""
    angles = 2 * np.pi / size * (np.outer(np.arange(size), np.arange(size)) % size)
    cosine, sine = np.cos(angles), np.sin(angles)
    weight = np.block([[cosine, sine], [-sine, cosine]]).astype(np.float32)
    lists = step(Reshape, "columns", (joined,), shape=(rows, 2 * size))
    return step(Dense, "across", (lists,), weight=weight, bias=None)


def _first_weight(outer: int) -> np.ndarray:
    """Return (2 outer, outer): real parts, then imaginary ones, of a transform of `outer` real numbers."""
    angles = 2 * np.pi / outer * (np.outer(np.arange(outer), np.arange(outer)) % outer)
    return np.concatenate([np.cos(angles), -np.sin(angles)]).astype(np.float32)


def _second_weight(outer: int, inner: int, half: int) -> np.ndarray:
    """Return (outer * 2 * half, 1, 1, 2 * inner): for each k1 the frequencies k1 + outer * k2, k2 < half, of complex numbers."""
    size = outer * inner
    frequencies = np.arange(outer)[:, None, None] + outer * np.arange(half)[None, :, None]
    angles = 2 * np.pi / size * (frequencies * np.arange(inner) % size)
    cosine, sine = np.cos(angles), np.sin(angles)
    weight = np.concatenate([np.concatenate([cosine, sine], axis=2), np.concatenate([-sine, cosine], axis=2)], axis=1)
    return weight.reshape(outer * 2 * half, 1, 1, 2 * inner).astype(np.float32)
