"""PyTorch modules whose adaptive pooling has windows of unequal size. For the recorder script: knows nothing of edgebn."""

from __future__ import annotations

from collections.abc import Callable

from torch.nn import functional
from torch_rows import one
from torch_zoo import Made

UNEVEN, OVERLAPPING = (2, 3, 10, 7), (2, 3, 13, 7)

POOLING: dict[str, Callable[[], Made]] = {
    "adaptive_avg_pool1d_unequal": one(lambda _, x: functional.adaptive_avg_pool1d(x, 4), (2, 3, 11)),
    "adaptive_avg_pool2d_larger": one(lambda _, x: functional.adaptive_avg_pool2d(x, (6, 7)), (2, 3, 3, 2)),
    "adaptive_avg_pool2d_overlapping": one(lambda _, x: functional.adaptive_avg_pool2d(x, (6, 3)), OVERLAPPING),
    "adaptive_avg_pool2d_unequal": one(lambda _, x: functional.adaptive_avg_pool2d(x, (4, 7)), UNEVEN),
    "adaptive_max_pool2d_unequal": one(lambda _, x: functional.adaptive_max_pool2d(x, (4, 3)), UNEVEN),
}
