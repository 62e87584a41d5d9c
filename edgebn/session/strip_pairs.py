"""Which steps may go strip by strip: a convolution, and what follows it element by element. Knows programs, no rows of tables."""

from __future__ import annotations

from edgebn import program as p
from edgebn.quick_dataclass import dataclass

# Bytes of a map from which on strips are faster: it shares the second-level cache with what else the two steps touch.
MIN_MAP = 1 << 18

SECOND = (p.Elementwise, p.Lookup, p.Add, p.Multiply, p.Binary, p.Affine, p.Quantize, p.Dequantize)


@dataclass(frozen=True)
class Between:
    """A map between two steps that may go strip by strip.

    Attributes
    ----------
    name : str
        Its buffer's.
    first, second : int
        The positions of the steps that write and read it; the second follows the first.
    """

    name: str
    first: int
    second: int


def found(program: p.Program) -> list[Between]:
    """Return the maps that one convolution writes and the next step alone reads, place by place; no step is in two of them."""
    readers: dict[str, int] = {}
    for step in program.steps:
        for name in step.inputs:
            readers[name] = readers.get(name, 0) + 1
    pairs: list[Between] = []
    for index, (first, second) in enumerate(zip(program.steps, program.steps[1:], strict=False)):
        name = first.output
        if not isinstance(first, p.Convolution) or not isinstance(second, SECOND) or second.inputs.count(name) != 1:
            continue
        buffer = program.buffers[name]
        large = buffer.shape[0] > 1 and _size(buffer) >= MIN_MAP
        same = program.buffers[second.output].shape == buffer.shape
        alone = readers[name] == 1 and name not in program.leaving
        if large and same and alone and not (pairs and pairs[-1].second == index):
            pairs.append(Between(name, index, index + 1))
    return pairs


def _size(buffer: p.Buffer) -> int:
    height, width, channels = buffer.shape
    return height * width * channels * p.ELEMENT_BYTES[buffer.dtype]
