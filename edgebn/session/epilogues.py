"""The forms in which kernels want a step's epilogue packed: one class a form. Each packs, and says which channel stands where."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from edgebn import program as p
from edgebn.kernels import executor, isa, requantization, tile_weights
from edgebn.quick_dataclass import dataclass
from edgebn.session.packer import Constant, Packer, plain_epilogue

Packed = tuple[np.ndarray, dict[str, int]]  # bytes, and the arguments of the operation that go with them


class Form(Protocol):
    """A form of packed epilogues.

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

    def pack(self, how: p.FloatEpilogue | p.IntEpilogue) -> Packed:
        """Return an epilogue in this form."""


@dataclass(frozen=True)
class EpilogueCopy:
    """A packed epilogue that a refold rewrites."""

    step: str
    place: Constant
    form: Form


def pack_copy(
    step: p.Convolution | p.TransposedConvolution | p.Affine, packer: Packer, form: Form
) -> tuple[Constant, dict[str, int]]:
    """Pack a step's epilogue so that it can be rewritten; return where it is, and the arguments that go with it."""
    data, scalars = form.pack(step.epilogue)
    place = packer.constant(data)
    packer.copies.append(EpilogueCopy(step.name, place, form))
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

    def pack(self, how: p.FloatEpilogue | p.IntEpilogue) -> Packed:
        """Return an epilogue in this form."""
        if self.share is not None and isinstance(how, p.IntEpilogue):
            how = replace(how, acc_bias=how.acc_bias.astype(np.int64) + self.share)
        return plain_epilogue(how), {}


@dataclass(frozen=True)
class FloatBlocks:
    """Blocks of `nv` vectors of `channels`, float32."""

    channels: np.ndarray
    nv: int

    @property
    def names(self) -> np.ndarray:
        """See `Form`."""
        return _filled(self.channels, self.width)

    @property
    def width(self) -> int:
        """See `Form`."""
        return self.nv * isa.SELECTED.lanes

    def pack(self, how: p.FloatEpilogue | p.IntEpilogue) -> Packed:
        """Return an epilogue in this form."""
        assert isinstance(how, p.FloatEpilogue)
        chosen = self.channels
        data = tile_weights.pack_epilogue_f32(isa.SELECTED, how.bias[chosen], how.a[chosen], how.d[chosen], self.nv)
        return data, float_scalars(how)


@dataclass(frozen=True)
class IntBlocks:
    """Blocks of `nv` vectors of `channels`, int8; `weight` (len(channels), ...) bounds the accumulators."""

    channels: np.ndarray
    weight: np.ndarray
    nv: int

    @property
    def names(self) -> np.ndarray:
        """See `Form`."""
        return _filled(self.channels, self.width)

    @property
    def width(self) -> int:
        """See `Form`."""
        return self.nv * isa.SELECTED.lanes

    def pack(self, how: p.FloatEpilogue | p.IntEpilogue) -> Packed:
        """Return an epilogue in this form."""
        packed = self.packed(how)
        return packed.data, packed.scalars

    def packed(self, how: p.FloatEpilogue | p.IntEpilogue, *, with_base: bool = True) -> requantization.PackedEpilogue:
        """Return an epilogue in this form.

        Without a base, for a refold, whose numbers may have other gains, nothing is clipped where these saturate either
        (`kernels.requantization`).
        """
        assert isinstance(how, p.IntEpilogue)
        arrays = {name: getattr(how, name)[self.channels] for name in ("acc_bias", "lo", "hi", "m", "r", "s")}
        contract = requantization.Requantization(**arrays, neg=how.neg, zero_point=how.zero_point, qmin=how.qmin, qmax=how.qmax)
        return requantization.pack_epilogue_i8(
            isa.SELECTED, contract, self.weight, self.nv, with_base=with_base, saturating=with_base
        )


def float_scalars(how: p.FloatEpilogue) -> dict[str, int]:
    """Return the scalars of a float32 epilogue as the vector kernels take them, bounds as bits."""
    between = how.pre != (-np.inf, np.inf) or bool((how.a != 1).any() or (how.d != 0).any())
    bounds = {"pre_low": how.pre[0], "pre_high": how.pre[1], "post_low": how.post[0], "post_high": how.post[1]}
    return {f"{name}_bits": executor.word(value) for name, value in bounds.items()} | {"general": int(between)}
