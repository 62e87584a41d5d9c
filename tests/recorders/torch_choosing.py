"""PyTorch modules that call one operator of ATen each, recorded after those of ``torch_rows.py``. Knows nothing of edgebn."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch_rows import one
from torch_zoo import Made

COMPARED = ("eq", "ne", "gt", "ge", "lt", "le")
CHOOSING: dict[str, Callable[[], Made]] = {
    **{name: one(lambda _, x, name=name: getattr(torch, name)(x.round(), x.flip(3).round()).float() * x) for name in COMPARED},
    **{
        name: one(lambda _, x, name=name: getattr(torch, name)(x.round(), x.flip(3).round()).float() * x)
        for name in ("logical_and", "logical_or", "logical_xor")
    },
    "argmax": one(lambda _, x: x.argmax(1).float() + 0.5),
    "argmax_whole": one(lambda _, x: x.argmax(1, keepdim=True)),
    "argmin": one(lambda _, x: x.argmin(-1).float() + 0.5),
    "logical_not": one(lambda _, x: torch.logical_not(x > 0.3).float() * x),
    "masked_fill": one(lambda _, x: x.masked_fill(x < -0.5, 0.25)),
    "mul_by_truth": one(lambda _, x: x * (x > 0.3) + (x < 0)),
    "where": one(lambda m, x: torch.where(x > m.bias, x, x * -3), bias=torch.randn(3, 1, 1)),
    "where_of_numbers": one(lambda _, x: torch.where(x.long() == 0, 2.5, x)),
    "cos": one(lambda _, x: torch.cos(x * 9)),
    "sort": one(lambda _, x: x.sort(2, descending=True)[0] + x.sort(-1)[1]),
    "topk": one(lambda _, x: x.topk(2, 1)[0] - x.topk(2, 1, largest=False)[0] * x.topk(2, 1)[1]),
    "sin": one(lambda _, x: torch.sin(x * 9)),
}
