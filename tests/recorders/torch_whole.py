"""PyTorch modules that compute with whole numbers and truth, and pick by them. For the recorder script: knows nothing of edgebn."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch_rows import IMAGE, one
from torch_zoo import Made

SINGLE = (1, *IMAGE[1:])  # what picks by whole rows is of one sample

WHOLE: dict[str, Callable[[], Made]] = {
    "add_to_places": one(lambda _, x: x.argmax(1) + 1),
    "add_half_to_places": one(lambda _, x: x.argmax(1) + 0.5),
    "add_places_to_numbers": one(lambda _, x: x.argmax(1, keepdim=True) + x),
    "add_truth": one(lambda _, x: ((x > 0.3) + (x < 0.6)).float() * x),
    "bitwise_and": one(lambda _, x: torch.bitwise_and(x > 0.3, x < 0.6).float() * x),
    "__and__": one(lambda _, x: ((x > 0.3) & (x < 0.9)).float() * x),
    "bitwise_not": one(lambda _, x: (~(x > 0.3)).float() * x),
    "bitwise_or": one(lambda _, x: torch.bitwise_or(x > 0.3, x < 0.6).float() * x),
    "__or__": one(lambda _, x: ((x > 0.6) | (x > 0.3)).float() * x),
    "bitwise_xor": one(lambda _, x: torch.bitwise_xor(x > 0.3, x < 0.6).float() * x),
    "__xor__": one(lambda _, x: ((x > 0.3) ^ (x < 0.6)).float() * x),
    "cat_of_places": one(lambda _, x: torch.cat([x.argmax(1, keepdim=True), x.argmin(1, keepdim=True)], 1)),
    "cat_of_places_and_numbers": one(lambda _, x: torch.cat([x.argmax(1, keepdim=True), x], 1)),
    "div_of_places": one(lambda _, x: x.argmax(3) / 4),
    "floor_divide": one(lambda _, x: (x * 9).int() // 4),
    "gather": one(lambda _, x: x.gather(3, x.argmax(3, keepdim=True))),
    "gather_by_constants": one(
        lambda m, x: x.gather(2, m.places), places=torch.tensor([[[[2, 0, 3], [1, 1, 0]]]]).expand(2, 3, 2, 3)
    ),
    "gather_channels": one(lambda _, x: x.gather(1, (x[:, :2] * 9).long() % 3)),
    "index_computed": one(lambda _, x: x[:, :, x.argmax(2)[0, 0]], SINGLE),
    "index_select_computed": one(lambda _, x: x.index_select(2, x.argmax(2)[0, 1]), SINGLE),
    "max": one(lambda _, x: x.max(1, keepdim=True)[0] + x.max(2, keepdim=True)[0]),
    "max_of_two": one(lambda _, x: torch.max(x, x.flip(3))),
    "max_places": one(lambda _, x: x.max(1)[1]),
    "max_with_places": one(lambda _, x: torch.cat([part.float() for part in x.max(1, keepdim=True)], 1)),
    "min": one(lambda _, x: x.min(1, keepdim=True)[0] + x.min(2, keepdim=True)[0]),
    "min_of_two": one(lambda _, x: torch.min(x, x.flip(3))),
    "min_with_places": one(lambda _, x: torch.cat([part.float() for part in x.min(3, keepdim=True)], 3)),
    "mul_of_places": one(lambda _, x: x.argmax(1) * x.argmin(1) - 3),
    "neg_of_places": one(lambda _, x: -x.argmax(1)),
    "relu_in_place_of_constants": one(lambda m, x: x + torch.relu_(m.row * 2) * 3, row=torch.tensor([-1.0, 2, 0.5, -3, 1, 0])),
    "remainder": one(lambda _, x: (x * 9).int() % 4),
    "rsub_of_places": one(lambda _, x: 3 - x.argmax(1)),
    "sign": one(lambda _, x: x.round().sign() + 0.5),
    "stack_of_places": one(lambda _, x: torch.stack([x.argmax(1), x.argmin(1)], 1)),
    "threshold": one(lambda _, x: torch.threshold(x, 0.3, -2.0)),
    "to_bool": one(lambda _, x: x.round().bool().float() * x),
    "to_uint8": one(lambda _, x: (x.abs() * 300).to(torch.uint8)),
}
