"""PyTorch modules that compute with constants alone before they meet the input: positions, masks, standardised weights.

One a row of the reader's table of operators on constants; ``torch_rows.py`` has those of plain arithmetic. For the recorder
script: needs PyTorch, knows nothing of edgebn.
"""

from __future__ import annotations

import torch
from torch.nn import functional
from torch_rows import IMAGE, fold, one
from torch_zoo import Does

aten = torch.ops.aten


def mask(call):
    """Return a builder of a module that adds the truth values which `call` makes of a constant (6,)."""
    return one(lambda m, x: x + call(m.weight).float(), weight=torch.tensor([1.0, -2.0, 3.0, 0.5, -0.5, 1.0]))


def integers(call):
    """Return a builder of a module that multiplies by what `call` makes of whole numbers (6,)."""
    return one(lambda m, x: x * call(m.weight).float(), weight=torch.tensor([7, -5, 4, 3, -2, 9]))


def convolved(call, *size):
    """Return a builder of a module that adds `call` of an image (1, 4, 6, 7) and a weight of `size`."""
    return lambda: (Does(lambda m, x: x + call(m.image, m.weight), image=torch.randn(1, 4, 6, 7), weight=torch.randn(size)), IMAGE)


def changed(w, change):
    """Return a copy of a constant after a part of it was changed in place, with what the constant is itself."""
    copy = w.clone()
    change(copy)
    return copy + 10 * w


def windows_of_a_map(_, x):
    """A map of the input's size with a number in each of four windows, as a shifted window's mask is made."""
    made = x.new_zeros((4, 6))
    for number, (rows, columns) in enumerate(((slice(2), slice(2)), (slice(2), slice(2, None)), (slice(2, None), slice(3)))):
        made[rows, columns] = number + 1
    return x + made


def no_gradients(m, x):
    with torch.no_grad():
        y = m.conv(x) * 2
    return y + x[:, :, 1:-1, 1:-1]


def half_switched_off(m, x):
    with torch.autocast("cpu", enabled=False):
        y, z = m.conv(x), x.amax(1, keepdim=True)
    return torch.relu(y) + z[:, :, 1:-1, 1:-1]


CONSTANTS = {
    "addmm": fold(lambda w: aten.addmm(w[0], w[1:3], w[:, :2].repeat(1, 3), beta=0.5, alpha=2.0)[:1], (6, 6)),
    "amax": fold(lambda w: w.amax(0), (3, 6)),
    "amin": fold(lambda w: w.amin(0), (3, 6)),
    "arange": one(lambda _, x: x * torch.arange(1.0, 4.0, 0.5)),
    "arange_of_whole_numbers": one(lambda _, x: x * (torch.arange(6) + 1)),
    "batch_norm": fold(lambda w: functional.batch_norm(w, None, None, training=True, eps=0.01)[0], (3, 4, 6)),
    "batch_norm_of_statistics": fold(
        lambda w: functional.batch_norm(w[None], w[:, 0] * 0, w[:, 1] ** 2 + 1, w[:, 2], w[:, 3], eps=0.01)[0], (4, 6)
    ),
    "__and__": integers(lambda w: w & 6),
    "__or__": integers(lambda w: w | 6),
    "bitwise_and": integers(lambda w: torch.bitwise_and(w, 6)),
    "bitwise_not": integers(lambda w: ~w),
    "bitwise_or": integers(lambda w: torch.bitwise_or(w, 6)),
    "bmm": fold(lambda w: torch.bmm(w, w.transpose(1, 2))[0, :1], (2, 6, 4)),
    "cat": fold(lambda w: torch.cat([w[2:], w[:2] * 2])),
    "chunk": fold(lambda w: w.chunk(2)[1], (12,)),
    "clamp": fold(lambda w: w.clamp(-0.5, 1.0)),
    "clamp_min": fold(lambda w: w.clamp_min(0.3)),
    "concat": fold(lambda w: aten.concat([w[3:], w[:3]])),
    "constant_pad_nd": fold(lambda w: aten.constant_pad_nd(w, [1, 2], 1.5), (3,)),
    "contiguous": fold(lambda w: w.t().contiguous(), (6, 4)),
    "conv1d": lambda: (Does(lambda m, x: x * functional.conv1d(m.a, m.w, padding=1)[0, :1], a=torch.randn(1, 4, 6),
                            w=torch.randn(2, 4, 3)), IMAGE),
    "conv2d": convolved(lambda a, w: functional.conv2d(a, w, stride=(1, 2), padding=(0, 3), groups=2, dilation=(1, 2))[:, :3],
                        4, 2, 3, 2),
    "convolution": convolved(lambda a, w: aten.convolution(a, w, w[:, 0, 0, 0], [1, 1], [0, 0], [1, 1], False, [0, 0], 1),
                             3, 4, 3, 2),
    "cos": fold(torch.cos),
    "cumsum": fold(lambda w: w.cumsum(1), (4, 6)),
    "cumsum_of_truth_values": mask(lambda w: (w > 0).cumsum(0)),
    "div_to_floor": integers(lambda w: torch.div(w, 2, rounding_mode="floor")),
    "div_to_zero": fold(lambda w: torch.div(w, 0.7, rounding_mode="trunc") + 1),
    "eq": mask(lambda w: w == 1.0),
    "expand": fold(lambda w: w.expand(4, 6).cumsum(0), (1, 6)),
    "expand_as": fold(lambda w: w.expand_as(torch.zeros(4, 6)).cumsum(0), (1, 6)),
    "flip": fold(lambda w: w.flip(0)),
    "floor": fold(torch.floor),
    "floor_divide": fold(lambda w: torch.floor_divide(w, 0.3)),
    "full_like": fold(lambda w: torch.full_like(w, 1.5) + w),
    "gather": fold(lambda w: w.gather(0, (w > 0).long() + 2)),
    "ge": mask(lambda w: w >= 1.0),
    "gt": mask(lambda w: w > 1.0),
    "index": lambda: (Does(lambda m, x: x + m.w[:, m.i], w=torch.randn(4, 9), i=torch.tensor([8, 1, 1, 0, 5, 2])), IMAGE),
    "index_by_a_mask": fold(lambda w: w[torch.arange(12) % 2 == 0], (12,)),
    "index_select": fold(lambda w: w.index_select(0, torch.arange(5, -1, -1))),
    "le": mask(lambda w: w <= 1.0),
    "linalg_vector_norm": fold(lambda w: w / torch.linalg.vector_norm(w, 2, [0, 1], keepdim=True), (4, 6)),
    "linalg_vector_norm_of_order_1": fold(lambda w: torch.linalg.vector_norm(w, 1, [0]), (4, 6)),
    "linear": fold(lambda w: functional.linear(w[:1, :4], w[:, :4], w[0]), (6, 6)),
    "linspace": one(lambda _, x: x * torch.linspace(-1, 2, 6)),
    "log": fold(torch.log, positive=True),
    "logical_and": mask(lambda w: torch.logical_and(w > 0, w < 2)),
    "logical_not": mask(lambda w: torch.logical_not(w > 0)),
    "lt": mask(lambda w: w < 1.0),
    "masked_fill": fold(lambda w: w.masked_fill(w > 0, 0.7)),
    "matmul": fold(lambda w: torch.matmul(w[:4], w), (6, 6)),
    "maximum": fold(lambda w: torch.maximum(w, w.flip(0))),
    "meshgrid": one(lambda _, x: x * (torch.meshgrid(torch.arange(4.0), torch.arange(6.0), indexing="ij")[1] + 1)),
    "minimum": fold(lambda w: torch.minimum(w, w.flip(0))),
    "mm": fold(lambda w: torch.mm(w[:4], w), (6, 6)),
    "movedim": fold(lambda w: w.movedim(0, 1), (6, 4)),
    "narrow": fold(lambda w: w.narrow(0, 2, 6), (9,)),
    "ne": mask(lambda w: w != 1.0),
    "new_full": fold(lambda w: w.new_full((4, 1), 1.5) + w),
    "new_ones": fold(lambda w: w.new_ones((4, 1)) + w),
    "fill": fold(lambda w: changed(w, lambda t: t[:, 1:3].fill_(0.5)), (4, 6)),
    "fill_in_windows": one(windows_of_a_map),
    "zero": fold(lambda w: changed(w, lambda t: t[0].narrow(0, 2, 3).zero_()), (4, 6)),
    "copy": fold(lambda w: changed(w, lambda t: t.t()[1].copy_(w[:, 0])), (4, 6)),
    "eye": fold(lambda w: torch.eye(4, 6) + w, (4, 6)),
    "eye_of_one_size": fold(lambda w: (torch.eye(6) @ w)[:, 0], (6, 6)),
    "new_zeros": fold(lambda w: w.new_zeros((4, 1)) - w),
    "ones_like": fold(lambda w: torch.ones_like(w) + w),
    "pad": fold(lambda w: functional.pad(w, (2, 1), value=0.5), (3,)),
    "prod": fold(lambda w: w.prod(0), (3, 6)),
    "remainder": fold(lambda w: torch.remainder(w, 0.7)),
    "repeat": fold(lambda w: w.repeat(4, 2), (3,)),
    "repeat_interleave": fold(lambda w: w.repeat_interleave(2, 0), (3,)),
    "reshape_as": fold(lambda w: w.reshape_as(torch.zeros(4, 6)), (24,)),
    "roll": fold(lambda w: w.roll(2, 0)),
    "rsub": fold(lambda w: aten.rsub(w, 2.0)),
    "select": fold(lambda w: w[2], (3, 6)),
    "sin": fold(torch.sin),
    "slice": fold(lambda w: w[2:13:2], (15,)),
    "softmax": fold(lambda w: w.softmax(1), (4, 6)),
    "split": fold(lambda w: w.split(6)[1], (13,)),
    "split_with_sizes": fold(lambda w: w.split([2, 6, 1])[1], (9,)),
    "stack": fold(lambda w: torch.stack([w[:3], w[3:]], 1).flatten()),
    "std": fold(lambda w: w.std(0), (5, 6)),
    "swapaxes": fold(lambda w: w.swapaxes(0, 1), (6, 4)),
    "tile": fold(lambda w: w.tile(4, 2), (3,)),
    "as_whole_numbers": fold(lambda w: (w * 3).to(torch.int64)),
    "unbind": fold(lambda w: w.unbind(0)[1], (3, 6)),
    "var": fold(lambda w: w.var(0, correction=0), (5, 6)),
    "view_as": fold(lambda w: w.view_as(torch.zeros(4, 6)), (24,)),
    "where": fold(lambda w: torch.where(w > 0, w, -2.0)),
    "zeros_like": fold(lambda w: torch.zeros_like(w) - w),
    "zeros_like_the_input": one(lambda _, x: x + torch.zeros_like(x).flatten(1)[:, :1, None, None].add(2) * 3),
    "position": lambda: (
        Does(lambda m, x: x + m.project(torch.stack((torch.ones(1, 4, 6).cumsum(1).sin(), torch.ones(1, 4, 6).cumsum(2).cos()), 1)),
             project=torch.nn.Conv2d(2, 3, 1)), IMAGE),
    "within_no_grad": lambda: (Does(no_gradients, conv=torch.nn.Conv2d(3, 3, 3)), IMAGE),
    "within_autocast": lambda: (Does(half_switched_off, conv=torch.nn.Conv2d(3, 3, 3)), IMAGE),
}  # fmt: skip
