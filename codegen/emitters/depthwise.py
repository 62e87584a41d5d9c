"""What depthwise convolutions of both types have in common: when they are, their ring of rows, when they may work in place."""

from __future__ import annotations

from edgebn.program import Convolution, Hwc

_ROWS = 8  # EDGEBN_DEPTHWISE_ROWS


def is_depthwise(step: Convolution, shape: Hwc) -> bool:
    """Whether every channel has one kernel of its own, of few enough rows for the kernel."""
    one_each = step.groups == shape[2] == len(step.weight)
    return one_each and step.groups > 1 and step.weight.shape[1] <= _ROWS


def ring_elements(step: Convolution, shape: Hwc, out_shape: Hwc) -> int:
    """Return the elements of the ring of input rows; `out_shape` is that before any pool."""
    _, kh, kw, _ = step.weight.shape
    reached = (out_shape[1] - 1) * step.strides[1] + step.dilations[1] * (kw - 1) + 1
    return _span(step, kh) * max(reached, step.padding[1] + shape[1]) * shape[2]


def may_work_in_place(step: Convolution, shape: Hwc, out_shape: Hwc) -> bool:
    """Whether every output row lands on input rows that the ring holds already."""
    span = _span(step, step.weight.shape[1])
    for y in range(out_shape[0]):
        copied = min(shape[0], y * step.strides[0] + span - step.padding[0])
        if (y + 1) * out_shape[1] > copied * shape[1]:
            return False
    return True


def _span(step: Convolution, rows: int) -> int:
    return step.dilations[0] * (rows - 1) + 1
