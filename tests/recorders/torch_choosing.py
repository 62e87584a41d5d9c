"""PyTorch modules that call one operator of ATen each, recorded after those of ``torch_rows.py``. Knows nothing of edgebn."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch_rows import one
from torch_zoo import Made

CHOOSING: dict[str, Callable[[], Made]] = {
    "cos": one(lambda _, x: torch.cos(x * 9)),
    "sin": one(lambda _, x: torch.sin(x * 9)),
}
