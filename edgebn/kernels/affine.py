"""A batch norm that no convolution took: the epilogue applied to the input itself."""

from __future__ import annotations

from collections.abc import Callable

from edgebn.kernels.elements import INT8, INT16, Element, named
from edgebn.kernels.epilogue import biased, normalize, requantize
from edgebn.kernels.jit import kernel
from edgebn.kernels.observe import kept_row
from edgebn.kernels.primitives import load_f32, store_f32, store_i32


@kernel
def affine_f32(
    src: int,
    src_row: int,
    dst: int,
    dst_row: int,
    rows: int,
    columns: int,
    channels: int,
    epilogue: int,
    raw: int,
    raw_row: int,
    raw_pixel: int,
    marks: int,
    pre_low: float,
    pre_high: float,
    post_low: float,
    post_high: float,
) -> None:
    """float32; pixels of a row are adjacent."""
    for y in range(rows):
        kept = kept_row(raw, raw_row, marks, y)
        for x in range(columns):
            a = src + y * src_row + x * channels * 4
            b = dst + y * dst_row + x * channels * 4
            for c in range(channels):
                if kept != 0:
                    store_f32(kept + x * raw_pixel, c, load_f32(a, c) + load_f32(epilogue, c))
                store_f32(b, c, normalize(load_f32(a, c), epilogue, c, channels, pre_low, pre_high, post_low, post_high))


def _affine(element: Element, suffix: str) -> tuple[Callable[..., None], ...]:
    """Return the kernels of one type of codes."""
    load, store, size = element.load, element.store, element.bytes

    @named(f"affine_{suffix}")
    def affine(
        src: int,
        src_row: int,
        dst: int,
        dst_row: int,
        rows: int,
        columns: int,
        channels: int,
        epilogue: int,
        raw: int,
        raw_row: int,
        raw_pixel: int,
        marks: int,
        neg: int,
        zero_point: int,
        qmin: int,
        qmax: int,
    ) -> None:
        """int8; pixels of a row are adjacent."""
        for y in range(rows):
            kept = kept_row(raw, raw_row, marks, y)
            for x in range(columns):
                a = src + y * src_row + x * channels * size
                b = dst + y * dst_row + x * channels * size
                for c in range(channels):
                    if kept != 0:
                        store_i32(kept + x * raw_pixel, c, biased(load(a, c), epilogue, c))
                    store(b, c, requantize(load(a, c), epilogue, c, neg, zero_point, qmin, qmax))

    return (affine,)


(affine_i8,) = _affine(INT8, "i8")
(affine_i16,) = _affine(INT16, "i16")
