"""PyTorch modules that call one operator of ATen each: the rows of the reader's table that no module of ``torch_zoo.py`` runs.

Or runs on numbers that another operator would leave as they are; and what is worked out of constants, which the reader does at
once. For the recorder script: needs PyTorch, knows nothing of edgebn.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional
from torch_zoo import Does, Made

aten = torch.ops.aten
IMAGE = (2, 3, 4, 6)


def norm(call: Callable) -> Callable[[], Made]:
    """Return a builder of a batch norm by one of ATen's names; `call` gets the input, then weight, bias, mean and variance."""

    def build() -> Made:
        parts = {name: torch.randn(3) for name in ("weight", "bias", "mean")} | {"variance": torch.rand(3) + 0.5}
        return Does(lambda m, x: call(x, m.weight, m.bias, m.mean, m.variance), **parts), IMAGE

    return build


def one(call: Callable, shape: tuple[int, ...] = IMAGE, **parts: torch.Tensor) -> Callable[[], Made]:
    """Return a builder of a module that computes `call(module, x)`."""
    return lambda: (Does(call, **parts), shape)


def own_norm(call: Callable, *sizes: tuple[int, ...], shape: tuple[int, ...] = IMAGE) -> Callable[[], Made]:
    """Return a builder of a norm by the sample's own statistics; `call` gets the input and parameters of these sizes."""

    def build() -> Made:
        parts = {f"p{place}": torch.randn(size) for place, size in enumerate(sizes)}
        return Does(lambda m, x: call(x, *(getattr(m, name) for name in parts)), **parts), shape

    return build


FOUR = (2, 4, 3, 5)
ROWS: dict[str, Callable[[], Made]] = {
    "group_norm": own_norm(lambda x, w, b: functional.group_norm(x, 2, w, b, 0.01), (4,), (4,), shape=FOUR),
    "instance_norm": own_norm(lambda x, w, b: functional.instance_norm(x, None, None, w, b, eps=0.01), (3,), (3,)),
    "layer_norm": own_norm(lambda x, w, b: functional.layer_norm(x, (4, 6), w, b, 0.01), (4, 6), (4, 6)),
    "native_group_norm": own_norm(lambda x, w: aten.native_group_norm(x, w, None, 2, 4, 15, 2, 0.01)[0], (4,), shape=FOUR),
    "native_layer_norm": own_norm(lambda x, w, b: aten.native_layer_norm(x, [6], w, b, 0.01)[0], (6,), (6,)),
    "rms_norm": own_norm(lambda x, w: functional.rms_norm(x, (6,), w), (6,)),
    **{
        name: one(lambda _, x, name=name: getattr(torch, name)(x))
        for name in ("abs", "ceil", "erf", "exp", "floor", "round", "square")
    },
    **{name: one(lambda _, x, name=name: getattr(torch, name)(x.abs() + 0.25)) for name in ("log", "reciprocal", "rsqrt", "sqrt")},
    **{name: one(lambda _, x, name=name: getattr(functional, name)(x)) for name in ("gelu", "mish", "selu", "softplus")},
    "_log_softmax": one(lambda _, x: aten._log_softmax(x, 2, False)),
    "addcdiv": one(lambda _, x: torch.addcdiv(x, x.sigmoid(), x.abs() + 1, value=0.7)),
    "addcmul": one(
        lambda m, x: torch.addcmul(m.bias, m.slope, x, value=0.7), bias=torch.randn(3, 1, 1), slope=torch.randn(3, 1, 1)
    ),
    "attention": one(
        lambda m, x: functional.scaled_dot_product_attention(x, x + 1, x.sigmoid(), m.bias), bias=torch.randn(1, 3, 4, 4)
    ),
    "attention_causal": one(lambda _, x: functional.scaled_dot_product_attention(x, x, x.tanh(), is_causal=True, scale=0.7)),
    "attention_of_a_mask": one(
        lambda _, x: functional.scaled_dot_product_attention(x, x, x.tanh(), torch.arange(4)[:, None] >= torch.arange(4))
    ),
    "baddbmm": one(lambda _, x: torch.baddbmm(x[:, 0, :, :1], x[:, 0], x[:, 1].transpose(1, 2), beta=0.5, alpha=2.0)),
    "celu": one(lambda _, x: functional.celu(x, 0.7)),
    "divide": one(lambda _, x: aten.divide.Tensor(x, x.sigmoid() + 1)),
    "einsum": one(lambda _, x: torch.einsum("nchw,ncvw->nhcv", x, x.tanh())),
    "einsum_by_a_matrix": one(lambda m, x: torch.einsum("nchw,kc->nkhw", x, m.matrix), matrix=torch.randn(5, 3)),
    "einsum_by_matrices": one(lambda m, x: torch.einsum("nchw,cwk->nchk", x, m.stack), stack=torch.randn(3, 6, 5)),
    "linalg_vector_norm": one(lambda _, x: x / torch.linalg.vector_norm(x, 2, [1], keepdim=True).clamp_min(1e-6)),
    "linalg_vector_norm_largest": one(lambda _, x: torch.linalg.vector_norm(x, float("inf"), [2, 3])),
    "log_softmax": one(lambda _, x: (x * 9).log_softmax(1)),
    "logsumexp": one(lambda _, x: (x * 9).logsumexp((2, 3))),
    "matmul_from_the_left": one(lambda m, x: m.matrix @ x, matrix=torch.randn(5, 4)),
    "matmul_by_a_stack": one(lambda m, x: x @ m.stack, stack=torch.randn(3, 6, 5)),
    "norm": one(lambda _, x: aten.norm.ScalarOpt_dim(x, 1, [3], False)),
    "pow_of_a_number": one(lambda _, x: 1.7**x),
    "pow_to_others": one(lambda _, x: x**5 + x.abs() ** 0.75 + (x.abs() + 1) ** -3),
    "prod": one(lambda _, x: (x + 0.5).prod(3)),
    "std": one(lambda _, x: x.std((2, 3), keepdim=True) + x),
    "var": one(lambda _, x: x.var(1, correction=0)),
    "elu": one(lambda _, x: functional.elu(x, 0.7)),
    "gelu_tanh": one(lambda _, x: functional.gelu(x, approximate="tanh")),
    "pow": one(lambda _, x: x**3 + x**2 + x**4 + (x.abs() + 1) ** 0.5 + (x.abs() + 1) ** -0.5 + (x.abs() + 1) ** -1),
    "_adaptive_avg_pool2d": one(lambda _, x: aten._adaptive_avg_pool2d(x, [2, 3])),
    "_batch_norm_no_update": norm(lambda x, *arrays: aten._batch_norm_no_update(x, *arrays, 0.1, 1e-3)[0]),
    "_native_batch_norm_legit": norm(lambda x, *arrays: aten._native_batch_norm_legit(x, *arrays, False, 0.1, 1e-3)[0]),
    "_native_batch_norm_legit_no_training": norm(
        lambda x, *arrays: aten._native_batch_norm_legit_no_training(x, *arrays, 0.1, 1e-3)[0]
    ),
    "native_batch_norm": norm(lambda x, *arrays: aten.native_batch_norm(x, *arrays, False, 0.1, 1e-3)[0]),
    "_prelu_kernel": one(lambda m, x: aten._prelu_kernel(x, m.slope), slope=torch.rand(1, 3, 1, 1)),
    "_softmax": one(lambda _, x: aten._softmax(x, 2, False)),
    "_to_copy": one(lambda _, x: aten._to_copy(x, dtype=torch.float32) * 2),
    "_unsafe_view": one(lambda _, x: aten._unsafe_view(x, [2, 12, 6])),
    "_upsample_nearest_exact1d": one(lambda _, x: functional.interpolate(x, scale_factor=2, mode="nearest-exact"), (2, 3, 5)),
    "adaptive_max_pool1d": one(lambda _, x: functional.adaptive_max_pool1d(x, 3), (2, 4, 6)),
    "concat": one(lambda _, x: torch.concat([x, x * 2], dim=2)),
    "constant_pad_nd": one(lambda _, x: aten.constant_pad_nd(x, [1, 2, 0, 1], 0.5)),
    "convolution": one(
        lambda m, x: aten.convolution(x, m.weight, None, [1, 2], [1, 0], [1, 1], False, [0, 0], 1), weight=torch.randn(5, 3, 3, 2)
    ),
    "expand": one(lambda _, x: x.expand(-1, -1, 4, 5), (2, 3, 1, 1)),
    "max_pool2d_with_indices": one(lambda _, x: aten.max_pool2d_with_indices(x, [2, 3])[0]),
    "multiply": one(lambda _, x: torch.multiply(x, 3.0)),
    "native_channel_shuffle": one(lambda _, x: aten.native_channel_shuffle(x, 2), (2, 4, 3, 5)),
    "numpy_T": one(lambda m, x: aten.numpy_T(aten.numpy_T(x.flatten(1)) * m.column), column=torch.arange(72.0).view(72, 1)),
    "ravel": one(lambda _, x: x.ravel().view(2, 72) * 2),
    "relu": one(lambda _, x: torch.relu(x * 9)),
    "relu6": one(lambda _, x: functional.relu6(x * 9)),
    "to": one(lambda _, x: x.to(torch.float32) * 2),
    "unsafe_chunk": one(lambda _, x: x.unsafe_chunk(2, 3)[1]),
    "unsafe_split": one(lambda _, x: x.unsafe_split(2, 3)[1]),
    "unsafe_split_with_sizes": one(lambda _, x: x.unsafe_split_with_sizes([1, 5], 3)[1]),
    "unflatten": one(lambda _, x: x.unflatten(1, (3, 4)) * 2, (2, 12)),
}


def fold(call: Callable, size: tuple[int, ...] = (6,), positive: bool = False) -> Callable[[], Made]:
    """Return a builder of a module that multiplies its input by what `call` makes of a constant of `size`."""

    def build() -> Made:
        weight = torch.rand(size) + 0.5 if positive else torch.randn(size) * 2
        return Does(lambda m, x: x * call(m.weight), weight=weight), IMAGE

    return build


FOLDS = {
    "_to_copy": fold(lambda w: aten._to_copy(w, dtype=torch.float32)),
    "_unsafe_view": fold(lambda w: aten._unsafe_view(w, [6]), (2, 3)),
    "abs": fold(torch.abs),
    "add": fold(lambda w: w + 0.7),
    "alias": fold(aten.alias),
    "clone": fold(torch.clone, (4, 6)),
    "detach": fold(lambda w: w.detach()),
    "div": fold(lambda w: w / 3),
    "exp": fold(torch.exp),
    "full": one(lambda _, x: x * torch.full((4, 1), 2.5)),
    "flatten": fold(torch.flatten, (2, 3)),
    "mean": fold(lambda w: w.mean(0, keepdim=True), (3, 6)),
    "mul": fold(lambda w: w * 3),
    "ones": one(lambda _, x: x + torch.ones(4, 1)),
    "neg": fold(torch.neg),
    "permute": fold(lambda w: w.permute(1, 0), (6, 4)),
    "pow": fold(lambda w: w**3),
    "reciprocal": fold(torch.reciprocal, positive=True),
    "reshape": fold(lambda w: w.reshape(6), (2, 3)),
    "rsqrt": fold(torch.rsqrt, positive=True),
    "sigmoid": fold(torch.sigmoid),
    "sqrt": fold(torch.sqrt, positive=True),
    "squeeze": fold(lambda w: w.squeeze(1), (6, 1)),
    "sub": fold(lambda w: w - 0.7),
    "sum": fold(lambda w: w.sum(0), (3, 6)),
    "t": fold(lambda w: w.t(), (6, 4)),
    "tanh": fold(torch.tanh),
    "to": fold(lambda w: w.to(torch.float32) * 2, (4, 6)),
    "transpose": fold(lambda w: w.transpose(0, 1), (6, 4)),
    "unflatten": fold(lambda w: w.unflatten(0, (4, 6)), (24,)),
    "unsqueeze": fold(lambda w: w.unsqueeze(1), (4,)),
    "view": fold(lambda w: w.view(6), (2, 3)),
    "zeros": one(lambda _, x: x + torch.zeros(4, 1)),
}
ROWS |= {f"{name}_of_constants": builder for name, builder in FOLDS.items()}
