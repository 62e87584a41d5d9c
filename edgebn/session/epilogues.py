"""The layouts in which kernels want a step's epilogue packed: one class a layout. It packs, and says which channel is where."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa, requantization, tile_weights
from edgebn.quick_dataclass import dataclass, replace
from edgebn.session.packer import Constant, Packer, plain_epilogue

Packed = tuple[np.ndarray, dict[str, int]]  # bytes, and the arguments of the operation that go with them


class EpilogueLayout(Protocol):
    """A layout of packed epilogues.

    Attributes
    ----------
    names : ndarray of int32, shape (places,)
        The channel in each place of all blocks, -1 where there is none.
    width : int
        Places of a block.
    """

    @property
    def names(self) -> np.ndarray: ...  # noqa: D102  # documented above

    @property
    def width(self) -> int: ...  # noqa: D102

    def pack(self, epilogue: p.FloatEpilogue | p.IntEpilogue) -> Packed:
        """Return an epilogue in this layout."""


@dataclass(frozen=True)
class EpilogueCopy:
    """A packed epilogue that a refold rewrites."""

    step: str
    place: Constant
    layout: EpilogueLayout


def pack_copy(
    step: p.Convolution | p.TransposedConvolution | p.Affine, packer: Packer, layout: EpilogueLayout
) -> tuple[Constant, dict[str, int]]:
    """Pack a step's epilogue so that it can be rewritten; return where it is, and the arguments that go with it."""
    data, scalars = layout.pack(step.epilogue)
    place = packer.constant(data)
    packer.copies.append(EpilogueCopy(step.name, place, layout))
    return place, scalars


def _filled(channels: np.ndarray, width: int) -> np.ndarray:
    return np.append(channels, np.full(-len(channels) % width, -1)).astype(np.int32)


@dataclass(frozen=True)
class Plain:
    """What the plain kernels read. `share` is added to the bias of int8 accumulators."""

    channels: int
    share: np.ndarray | None = None

    @property
    def names(self) -> np.ndarray:
        """Every channel in its own place."""
        return np.arange(self.channels, dtype=np.int32)

    @property
    def width(self) -> int:
        """All of them."""
        return self.channels

    def pack(self, epilogue: p.FloatEpilogue | p.IntEpilogue) -> Packed:
        """Return an epilogue in this layout."""
        if self.share is not None and isinstance(epilogue, p.IntEpilogue):
            epilogue = replace(epilogue, acc_bias=epilogue.acc_bias.astype(np.int64) + self.share)
        return plain_epilogue(epilogue), {}


@dataclass(frozen=True)
class FloatBlocks:
    """Blocks of `nv` vectors of `channels`, float32."""

    channels: np.ndarray
    nv: int

    @property
    def names(self) -> np.ndarray:
        """See `EpilogueLayout`."""
        return _filled(self.channels, self.width)

    @property
    def width(self) -> int:
        """See `EpilogueLayout`."""
        return self.nv * isa.SELECTED.lanes

    def pack(self, epilogue: p.FloatEpilogue | p.IntEpilogue) -> Packed:
        """Return an epilogue in this layout."""
        assert isinstance(epilogue, p.FloatEpilogue)
        chosen = self.channels
        data = tile_weights.pack_epilogue_f32(isa.SELECTED, epilogue.bias[chosen], epilogue.a[chosen], epilogue.d[chosen], self.nv)
        return data, float_scalars(epilogue)


@dataclass(frozen=True)
class IntBlocks:
    """Blocks of `nv` vectors of `channels`, int8; `weight` (len(channels), ...) bounds the accumulators."""

    channels: np.ndarray
    weight: np.ndarray
    nv: int

    @property
    def names(self) -> np.ndarray:
        """See `EpilogueLayout`."""
        return _filled(self.channels, self.width)

    @property
    def width(self) -> int:
        """See `EpilogueLayout`."""
        return self.nv * isa.SELECTED.lanes

    def pack(self, epilogue: p.FloatEpilogue | p.IntEpilogue) -> Packed:
        """Return an epilogue in this layout."""
        packed = self.packed(epilogue)
        return packed.data, packed.scalars

    def packed(self, epilogue: p.FloatEpilogue | p.IntEpilogue, *, with_base: bool = True) -> requantization.PackedEpilogue:
        """Return an epilogue in this layout.

        Without a base, for a refold, whose numbers may have other gains, nothing is clipped where these saturate either
        (`kernels.requantization`).
        """
        assert isinstance(epilogue, p.IntEpilogue)
        arrays = {name: getattr(epilogue, name)[self.channels] for name in ("acc_bias", "lo", "hi", "m", "r", "s")}
        contract = requantization.Requantization(
            **arrays, neg=epilogue.neg, zero_point=epilogue.zero_point, qmin=epilogue.qmin, qmax=epilogue.qmax
        )
        return requantization.pack_epilogue_i8(
            isa.SELECTED, contract, self.weight, self.nv, with_base=with_base, saturating=with_base
        )


def float_scalars(epilogue: p.FloatEpilogue) -> dict[str, int]:
    """Return the scalars of a float32 epilogue as the vector kernels take them, bounds as bits."""
    between = epilogue.pre != (-np.inf, np.inf) or bool((epilogue.a != 1).any() or (epilogue.d != 0).any())
    bounds = {"pre_low": epilogue.pre[0], "pre_high": epilogue.pre[1], "post_low": epilogue.post[0], "post_high": epilogue.post[1]}
    return {f"{name}_bits": executor.word(value) for name, value in bounds.items()} | {"general": int(between)}
