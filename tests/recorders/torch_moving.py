"""PyTorch modules that pick, copy or turn elements, one operator of ATen each. For the recorder script: knows nothing of edgebn."""

from __future__ import annotations

from collections.abc import Callable

from torch.nn import functional
from torch_rows import aten, one
from torch_zoo import Made

MOVING: dict[str, Callable[[], Made]] = {
    "amin": one(lambda _, x: x.amin((1, 3), keepdim=True)),
    "bmm": one(lambda _, x: x.bmm(x.mT), (2, 3, 5)),
    "expand_rows": one(lambda _, x: x.expand(-1, 3, 4, -1) * 2, (2, 1, 1, 6)),
    "expand_more_axes": one(lambda _, x: x[:, None].expand(-1, 4, -1, -1).flatten(1, 2), (2, 3, 5)),
    "flip": one(lambda _, x: x.flip(1, 3)),
    "matmul_of_values": one(lambda _, x: x.transpose(1, 2) @ x.transpose(1, 2).mT),
    "pad_circular": one(lambda _, x: functional.pad(x, (1, 2, 0, 3), mode="circular")),
    "pad_reflect": one(lambda _, x: aten.pad(x, [1, 2, 3, 0], "reflect")),
    "pad_replicate": one(lambda _, x: aten.pad(x, [4, 2, 3, 0], "replicate")),
    "reflection_pad1d": one(lambda _, x: aten.reflection_pad1d(x, [3, 1]), (2, 3, 5)),
    "reflection_pad2d": one(lambda _, x: aten.reflection_pad2d(x, [3, 1, 0, 2])),
    "repeat": one(lambda _, x: x.repeat(1, 2, 1, 3)),
    "repeat_interleave": one(lambda _, x: x.repeat_interleave(3, dim=2)),
    "replication_pad1d": one(lambda _, x: aten.replication_pad1d(x, [3, 1]), (2, 3, 5)),
    "replication_pad2d": one(lambda _, x: aten.replication_pad2d(x, [3, 1, 0, 2])),
    "roll": one(lambda _, x: x.roll((1, -2), (1, 3))),
    "slice_steps": one(lambda _, x: x[:, ::2, 1::2, 1:6:3]),
    "sum": one(lambda _, x: x.sum(2)),
    "unfold": one(lambda _, x: x.unfold(2, 2, 1).unfold(3, 3, 2)),
    "unfold_whole_parts": one(lambda _, x: x.unfold(3, 3, 3) * 2),
    "upsample_bicubic2d": one(lambda _, x: functional.interpolate(x, scale_factor=(1.8, 0.7), mode="bicubic")),
    "upsample_bicubic2d_aligned": one(lambda _, x: functional.interpolate(x, size=(7, 9), mode="bicubic", align_corners=True)),
    "tile": one(lambda _, x: x.tile(2, 1, 2)),
}
