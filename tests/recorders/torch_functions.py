"""PyTorch modules that call one function of numbers each which is several layers, sums so far, and the pixels under windows.

For the recorder script: needs PyTorch, knows nothing of edgebn.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional
from torch_rows import one
from torch_zoo import Made

DIVISORS = torch.tensor([0.7, -0.7, 1.0, 0.1, 2.5, -3.0])
OF_ANY = ("asinh", "atan", "cosh", "erfc", "exp2", "expm1", "frac", "sinh", "tan", "trunc")
OF_MORE_THAN_ONE = ("acosh",)
OF_POSITIVE = ("log10", "log1p", "log2")
BETWEEN_ONES = ("acos", "asin", "atanh")


def named(name: str, before: Callable) -> Callable[[], Made]:
    """Return a builder of a function by its name in PyTorch, behind another."""
    return one(lambda _, x: getattr(torch, name)(before(x)))


def folded(x: torch.Tensor) -> torch.Tensor:
    """Fold windows that overlap, of a value that unfold made."""
    return functional.fold(functional.unfold(x, (2, 3), dilation=(1, 2), padding=(1, 2), stride=(2, 1)) * 0.5, (4, 6), (2, 3),
                           dilation=(1, 2), padding=(1, 2), stride=(2, 1))  # fmt: skip


def volume(x: torch.Tensor) -> torch.Tensor:
    """Make (N, C, 5, H, W) of an image (N, C, H, W)."""
    x = functional.max_pool2d(x, 1)
    return torch.stack([x, x.tanh(), x * 0.5, x + 1, x.sin()], 2)


def over_three(*shape: int, **settings: object) -> Callable[[], Made]:
    """Return a builder of a convolution over three axes."""
    parts = {"w": torch.randn(shape, generator=torch.Generator().manual_seed(7)) * 0.2, "b": torch.linspace(-1, 1, shape[0])}
    return one(lambda m, x: functional.conv3d(volume(x), m.w, m.b, **settings).flatten(1), **parts)


FUNCTIONS: dict[str, Callable[[], Made]] = {
    **{name: named(name, lambda x: x) for name in OF_ANY},
    **{name: named(name, lambda x: x.abs() + 1) for name in OF_MORE_THAN_ONE},
    **{name: named(name, lambda x: x.abs() + 0.01) for name in OF_POSITIVE},
    **{name: named(name, lambda x: x.tanh()) for name in BETWEEN_ONES},
    "log_sigmoid": one(lambda _, x: functional.logsigmoid(x)),
    "hardshrink": one(lambda _, x: functional.hardshrink(x, 0.7)),
    "softshrink": one(lambda _, x: functional.softshrink(x, 0.3)),
    "glu": one(lambda _, x: functional.glu(x, 2)),
    "logit": one(lambda _, x: torch.logit(x.sigmoid())),
    "logit_with_eps": one(lambda _, x: torch.logit(x.sigmoid(), 0.3)),
    "fmod": one(lambda m, x: torch.fmod(x * 3, m.d), d=DIVISORS),
    "remainder": one(lambda m, x: torch.remainder(x * 3, m.d), d=DIVISORS),
    "pow_by_values": one(lambda _, x: torch.pow(x.abs() + 0.1, x)),
    "pow_by_a_weight": one(lambda m, x: torch.pow(x, m.p), p=torch.tensor([2.0, 3.0, 0.0, 1.0, -1.0, -2.0])),
    "cumsum": one(lambda _, x: x.cumsum(2)),
    "tril": one(lambda _, x: x.tril(1)),
    "triu": one(lambda _, x: x.triu(-1)),
    "any": one(lambda _, x: (x > 1).any(-1).float()),
    "any_kept": one(lambda _, x: (x > 0.5).any(1, keepdim=True).float()),
    "all": one(lambda _, x: (x > -1).all(-1).float()),
    "one_hot": one(lambda _, x: functional.one_hot(x.argmax(1), 3).float() * 2 + 1),
    "type_as": one(lambda _, x: (x > 0).type_as(x)),
    "clamp_by_weights": one(lambda m, x: torch.clamp(x, m.low, m.low + 0.5), low=torch.randn(3, 1, 1)),
    "conv3d": over_three(6, 1, 3, 3, 6, padding=(1, 1, 2), stride=(2, 1, 2), groups=3),
    "conv3d_images": over_three(4, 3, 1, 3, 3, padding=(0, 1, 1), stride=(1, 2, 1)),
    "conv3d_depths": over_three(4, 3, 3, 1, 1, padding=(1, 0, 0), stride=(2, 1, 1)),
    "conv3d_of_columns": over_three(4, 3, 3, 3, 1, padding=(1, 1, 0)),
    "conv3d_same": over_three(4, 3, 2, 3, 3, padding="same"),
    "convolution_over_three": one(
        lambda m, x: torch.ops.aten.convolution(volume(x), m.w, None, [1] * 3, [1, 0, 1], [1] * 3, False, [0] * 3, 1).flatten(1),
        w=torch.randn(4, 3, 3, 2, 3)),
    "max_pool3d": one(lambda _, x: functional.max_pool3d(volume(x), (3, 2, 2), 2, (1, 0, 1), ceil_mode=True).flatten(1)),
    "avg_pool3d": one(lambda _, x: functional.avg_pool3d(volume(x), (3, 2, 2), 2, (1, 0, 1), ceil_mode=True).flatten(1)),
    "avg_pool3d_of_what_is_there": one(
        lambda _, x: functional.avg_pool3d(volume(x), (3, 2, 2), 2, (1, 0, 1), count_include_pad=False).flatten(1)),
    "local_response": one(lambda _, x: functional.local_response_norm(functional.max_pool2d(x, 1), 2).flatten(1)),
    "im2col": one(lambda _, x: functional.unfold(x, (2, 3), dilation=(1, 2), padding=(1, 2), stride=(2, 1)).flatten(1)),
    "col2im": one(lambda _, x: folded(x)),
    "dropout_of_a_constant": one(lambda m, x: x + functional.dropout(m.w.relu(), 0.5, training=False), w=torch.randn(4, 6)),
    "einsum_of_constants": one(lambda m, x: x + torch.einsum("ij,jk,lk->il", m.a, m.b, m.c), a=torch.randn(4, 3),
                               b=torch.randn(3, 5), c=torch.randn(6, 5)),
    **{f"{name}_of_constants": one(lambda m, x, name=name: x + getattr(torch, name)(m.w), w=torch.rand(4, 6) + 0.1)
       for name in ("atan", "expm1", "log1p", "log2", "tan")},
}  # fmt: skip
