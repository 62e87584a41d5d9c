"""Small random PyTorch modules, one function each, that cover every operator the reader takes.

For the recorder script and the live tests: needs PyTorch, knows nothing of edgebn. A function's name is its module's name; it
returns the module and the shape of one input with its batch axis. Modules for images hold a convolution or a pool somewhere:
without one nothing says that an input is channels-first, and edgebn leaves its axes alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional
from torch_networks import mobilenet, resnet8

Made = tuple[nn.Module, tuple[int, ...]]
ZOO: dict[str, Callable[[], Made]] = {}


def zoo(builder: Callable[[], Made]) -> Callable[[], Made]:
    """Enter a builder in the zoo under its own name."""
    ZOO[builder.__name__] = builder
    return builder


class Does(nn.Module):
    """A forward function and the modules it calls as `m.name`."""

    def __init__(self, forward: Callable, **parts: nn.Module | torch.Tensor):
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def randomise(module: nn.Module, seed: int) -> None:
    """Draw the numbers that a trained network could have: negative gammas, uneven means and variances."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            if part.running_mean is not None:
                part.running_mean.normal_(0, 0.5, generator=generator)
                part.running_var.uniform_(0.2, 3.0, generator=generator)
            if part.weight is not None:
                signs = torch.randint(0, 4, part.weight.shape, generator=generator).clamp(max=1) * 2 - 1
                part.weight.data.uniform_(0.5, 1.5, generator=generator).mul_(signs)
                part.bias.data.normal_(0, 0.5, generator=generator)


# Convolutions and products --------------------------------------------------------------------------------------------


@zoo
def conv2d():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Conv2d(4, 6, (2, 3), stride=(2, 1), padding=(1, 0), bias=False),
        nn.ReLU(),
        nn.Conv2d(6, 4, 3, dilation=(2, 1), groups=2),
        nn.Conv2d(4, 8, 3, padding=1, groups=4),
    ), (2, 3, 10, 9)


@zoo
def conv2d_same():
    return nn.Sequential(
        nn.Conv2d(2, 3, (2, 4), padding="same"), nn.Conv2d(3, 3, 3, padding="same", dilation=2), nn.Conv2d(3, 2, 2, padding="valid")
    ), (2, 2, 7, 8)


@zoo
def conv1d():
    return nn.Sequential(
        nn.Conv1d(3, 4, 5, stride=2, padding=2),
        nn.BatchNorm1d(4),
        nn.ReLU(),
        nn.Conv1d(4, 6, 3, dilation=2, groups=2, padding="same"),
    ), (2, 3, 20)


@zoo
def conv_transpose2d():
    return nn.Sequential(
        nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.ConvTranspose2d(4, 6, (2, 3), stride=(2, 1), groups=2, bias=False),
        nn.ConvTranspose2d(6, 2, 2, dilation=2),
    ), (2, 3, 3, 4)


@zoo
def conv_transpose1d():
    return nn.Sequential(nn.ConvTranspose1d(3, 4, 4, stride=2, padding=1), nn.BatchNorm1d(4)), (2, 3, 6)


@zoo
def linear():
    return nn.Sequential(nn.Linear(11, 9), nn.ReLU(), nn.BatchNorm1d(9), nn.Linear(9, 5, bias=False), nn.Softmax(dim=-1)), (3, 11)


@zoo
def linear_after_permute():
    return Does(
        lambda m, x: m.head(m.conv(x).permute(0, 2, 3, 1)).mean(dim=(1, 2)), conv=nn.Conv2d(3, 3, 1), head=nn.Linear(3, 4)
    ), (2, 3, 4, 5)


@zoo
def matrix_products():
    def forward(m, x):
        y = torch.addmm(m.bias, x, m.first, alpha=0.5, beta=2.0)
        return torch.mm(y, m.second) @ m.third

    parts = {"bias": torch.randn(6), "first": torch.randn(5, 6), "second": torch.randn(6, 4), "third": torch.randn(4, 3)}
    return Does(forward, **parts), (2, 5)


# Batch norm -----------------------------------------------------------------------------------------------------------


@zoo
def batchnorm_after_conv():
    return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, eps=1e-3), nn.ReLU()), (2, 3, 6, 6)


@zoo
def batchnorm_after_activation():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(4), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(6), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(24, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Linear(8, 5), nn.Softmax(1),
    ), (2, 1, 8, 8)  # fmt: skip


@zoo
def batchnorm_plain():
    """Without gamma and beta; two in a row; on the input; before a padded convolution."""
    return nn.Sequential(
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4, affine=False),
        nn.BatchNorm2d(4),
        nn.ReLU6(),
        nn.BatchNorm2d(4),
    ), (2, 3, 5, 6)


@zoo
def batchnorm_everywhere():
    def forward(m, x):
        left, right = m.a(x), functional.relu(m.b(x))
        total = m.norm1(left + right)
        joined = m.norm2(torch.cat([total, right], dim=1))
        pooled = m.norm3(functional.avg_pool2d(joined, 2))
        raised = m.norm4(functional.interpolate(functional.max_pool2d(pooled, 2, stride=1), scale_factor=2))
        return m.head(m.norm5(raised.flatten(1)))

    return Does(
        forward, a=nn.Conv2d(3, 4, 3, padding=1), b=nn.Conv2d(3, 4, 1), norm1=nn.BatchNorm2d(4), norm2=nn.BatchNorm2d(8),
        norm3=nn.BatchNorm2d(8), norm4=nn.BatchNorm2d(8), norm5=nn.BatchNorm1d(128), head=nn.Linear(128, 3),
    ), (2, 3, 6, 6)  # fmt: skip


@zoo
def shared_conv():
    """One convolution called twice, each call followed by its own batch norm; the running counters are constants."""

    def forward(m, x):
        once = m.one(m.conv(x))
        return once + m.two(m.conv(functional.relu(once)))

    return Does(forward, conv=nn.Conv2d(3, 3, 3, padding=1), one=nn.BatchNorm2d(3), two=nn.BatchNorm2d(3)), (2, 3, 6, 6)


# Activations ----------------------------------------------------------------------------------------------------------


@zoo
def activations():
    functions = [
        nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-0.5, 2.0), nn.LeakyReLU(0.1), nn.PReLU(), nn.PReLU(3), nn.Sigmoid(), nn.Tanh(),
        nn.Hardsigmoid(), nn.Hardswish(), nn.SiLU(), nn.Softmax(dim=1), nn.Identity(), nn.Dropout(0.3), nn.Dropout2d(),
    ]  # fmt: skip
    return Does(
        lambda m, x: torch.cat([part(3 * m.conv(x)) for part in m.parts], dim=1),
        conv=nn.Conv2d(3, 3, 1),
        parts=nn.ModuleList(functions),
    ), (2, 3, 4, 4)


@zoo
def clamps():
    def forward(m, x):
        x = m.conv(x)
        return torch.cat(
            [x.clamp(-0.5, 0.7), x.clamp(min=0.1), x.clamp_max(0.2), torch.clamp_min(x, -0.3), functional.relu6(x)], dim=2
        )

    return Does(forward, conv=nn.Conv2d(3, 3, 1)), (2, 3, 4, 4)


@zoo
def in_place():
    """Results of calls in place replace every name of the changed value."""

    def forward(m, x):
        y = m.conv(x)
        kept = y.clone()
        same = y.detach()
        y.relu_().mul_(0.5)
        z = m.act(same + kept)
        z += y
        return functional.hardswish(functional.silu(z, inplace=True), inplace=True) + z.add_(1.0)

    return Does(forward, conv=nn.Conv2d(3, 3, 1), act=nn.ReLU6(inplace=True)), (2, 3, 4, 4)


# Arithmetic -----------------------------------------------------------------------------------------------------------


@zoo
def arithmetic():
    def forward(m, x):
        x = m.conv(x)
        y = torch.add(x, m.table, alpha=0.5) - torch.sub(x, 0.3, alpha=2) * m.scale.view(1, -1, 1, 1)
        y = torch.add(y, x, alpha=-0.7) / 3 + (1 - x) / m.table - (-x)
        return torch.rsub(y, 0.25 * y, alpha=0.5) + (m.scale.exp() + 1)[:, None, None]

    return Does(forward, conv=nn.Conv2d(3, 3, 1), table=torch.rand(4, 5) + 0.5, scale=torch.randn(3)), (2, 3, 4, 5)


@zoo
def squeeze_excite():
    """By 1x1 convolutions, then by linear layers, a view and expand_as."""

    def forward(m, x):
        x = functional.silu(m.conv(x))
        x = x * torch.sigmoid(m.up(functional.relu(m.down(functional.adaptive_avg_pool2d(x, 1)))))
        batch, channels = x.shape[:2]
        gate = torch.sigmoid(m.second(functional.relu(m.first(x.mean((2, 3))))))
        return x * gate.view(batch, channels, 1, 1).expand_as(x)

    return Does(
        forward, conv=nn.Conv2d(3, 4, 3, padding=1), down=nn.Conv2d(4, 2, 1), up=nn.Conv2d(2, 4, 1), first=nn.Linear(4, 2),
        second=nn.Linear(2, 4),
    ), (2, 3, 6, 5)  # fmt: skip


# Pooling --------------------------------------------------------------------------------------------------------------


@zoo
def pooling_2d():
    def forward(m, x):
        parts = [
            functional.max_pool2d(x, 3, stride=2, padding=1),
            functional.max_pool2d(x, (3, 2), stride=2, padding=1, dilation=(1, 2), ceil_mode=True)[:, :, :5, :4],
            functional.avg_pool2d(x, 3, stride=2, padding=1),
            functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False),
        ]
        y = torch.cat([part[:, :, :5, :4] for part in parts], dim=1)
        return functional.avg_pool2d(y, (3, 1), stride=(1, 2))

    return Does(forward), (2, 2, 9, 8)


@zoo
def pooling_ceil():
    """Ceil mode with and without padding: a last window beyond the padding counts what lies inside only."""
    return nn.Sequential(
        nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True),
        nn.Conv2d(2, 3, 1),
        nn.AvgPool2d(2, stride=2, ceil_mode=True, count_include_pad=False),
        nn.MaxPool2d(2, stride=2, ceil_mode=True),
    ), (2, 2, 10, 12)


@zoo
def pooling_1d():
    def forward(m, x):
        x = m.conv(x)
        y = torch.cat([functional.max_pool1d(x, 3, stride=2, padding=1), functional.avg_pool1d(x, 3, stride=2, padding=1)], dim=1)
        return torch.cat([functional.adaptive_avg_pool1d(y, 1), y.amax(dim=-1, keepdim=True), y.mean(-1, keepdim=True)], dim=2)

    return Does(forward, conv=nn.Conv1d(3, 3, 1)), (2, 3, 13)


@zoo
def adaptive_pooling():
    def forward(m, x):
        y = torch.cat([functional.adaptive_avg_pool2d(x, (4, 2)), functional.adaptive_max_pool2d(x, (4, 2))], dim=1)
        return torch.cat(
            [
                functional.adaptive_avg_pool2d(y, 1),
                functional.adaptive_max_pool2d(y, 1),
                y.max(dim=2, keepdim=True)[0][:, :, :, :1],
            ],
            1,
        )

    return Does(forward), (2, 3, 8, 6)


# Shapes ---------------------------------------------------------------------------------------------------------------


@zoo
def reshapes():
    def forward(m, x):
        y = functional.relu(m.conv(x)).view(x.shape[0], 2, -1)
        y = y.reshape(-1, 2, 3, 20).permute(0, 2, 1, 3).unflatten(3, (4, 5)).flatten(start_dim=2)
        return m.head(y.unsqueeze(1).squeeze(1).transpose(1, 2).contiguous().flatten(1))

    return Does(forward, conv=nn.Conv2d(3, 6, 3, padding=1), head=nn.Linear(120, 4)), (2, 3, 4, 5)


@zoo
def channel_shuffle():
    def forward(m, x):
        y = m.a(x)
        y = y.view(y.size(0), 2, 3, y.size(2), y.size(3)).transpose(1, 2).reshape(y.shape)
        return m.norm(m.b(y))

    return Does(forward, a=nn.Conv2d(2, 6, 1, groups=2), b=nn.Conv2d(6, 4, 3, groups=2), norm=nn.BatchNorm2d(4)), (2, 2, 5, 6)


def shuffled_through_the_batch(x):
    """ShuffleNetV2's shuffle as its first authors write it (FastestDet, NanoDet); returns both halves."""
    b, c, h, w = x.shape
    x = x.reshape(b * c // 2, 2, h * w).permute(1, 0, 2).reshape(2, -1, c // 2, h, w)
    return x[0], x[1]


def shuffle_block(m, x):
    left, right = shuffled_through_the_batch(m.a(x))
    return torch.cat([left, m.norm(m.b(right))], dim=1)


@zoo
def channel_shuffle_of_one():
    return Does(shuffle_block, a=nn.Conv2d(3, 8, 1), b=nn.Conv2d(4, 4, 1), norm=nn.BatchNorm2d(4)), (1, 3, 4, 5)


@zoo
def channel_shuffle_of_two():
    return Does(shuffle_block, a=nn.Conv2d(3, 8, 1), b=nn.Conv2d(4, 4, 1), norm=nn.BatchNorm2d(4)), (2, 3, 4, 5)


@zoo
def batch_of_one():
    """What a network for one sample may do with the axis of its batch."""

    def forward(m, x):
        y = m.a(x)
        blurred = m.blur(y.view(-1, 1, 6, 5)).view(1, 4, 6, 5)  # every channel by the same filter
        squeezed = y.squeeze(0)
        halves = torch.cat([squeezed[:2], squeezed[2:].permute(0, 1, 2)], dim=0)[None]
        pooled = functional.adaptive_avg_pool2d(blurred + halves, 1).squeeze()
        stack = torch.cat([y, blurred])[:, 1].permute(1, 0, 2)
        return {"vector": m.head(pooled)[None], "flat": y.flatten()[None], "stack": stack.reshape(1, -1)}

    return Does(
        forward, a=nn.Conv2d(3, 4, 1), blur=nn.Conv2d(1, 1, 3, padding=1), head=nn.Linear(4, 3)
    ), (1, 3, 6, 5)  # fmt: skip


@zoo
def selections():
    """Lists of indices, single ones, and what takes an axis apart and puts it together."""

    def forward(m, x):
        x = m.conv(x)
        first, *_, last = x.unbind(1)
        parts = [
            x[:, [0, 2, 3]],
            x.index_select(1, m.order),
            x[..., m.columns],
            torch.stack([first, last, x[:, 1]], dim=1),
            x.narrow(2, 1, 4)[:, :1, :, [4, 0, 0, 1, 2, 3]],
        ]
        return torch.cat([functional.pad(part, (0, 6 - part.size(3), 0, 6 - part.size(2))) for part in parts], dim=1)

    return Does(forward, conv=nn.Conv2d(2, 4, 1), order=torch.tensor([3, 0, 1]), columns=torch.tensor([5, 5, 1])), (2, 2, 6, 6)


@zoo
def axes_by_other_names():
    def forward(m, x):
        y = m.shuffle(m.conv(x))
        turned = y.movedim(1, -1).swapaxes(1, 2).moveaxis((3, 1), (1, 3)).swapdims(2, 3)
        return (turned.mT.reshape_as(y) + y.transpose(2, 3).view_as(y) * 0.5).flatten(1)

    return Does(forward, conv=nn.Conv2d(6, 6, 1), shuffle=nn.ChannelShuffle(3)), (2, 6, 4, 4)


@zoo
def pixel_shuffles():
    return nn.Sequential(nn.Conv2d(3, 12, 3), nn.PixelShuffle(2), nn.PixelUnshuffle(3), nn.Conv2d(27, 4, 1)), (2, 3, 8, 11)


@zoo
def channels_first_without_convolutions():
    """Nothing but a batch norm and a global pool says that the values are images."""
    return nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1)), (2, 3, 4, 5)


@zoo
def splits_and_slices():
    def forward(m, x):
        x = m.conv(x)
        a, b = x.chunk(2, dim=1)
        c, d, e = torch.split(b, [1, 2, 3], dim=3)
        f = torch.split(a, 2, dim=2)[1]
        row = x[:, :, 1, 2:].unsqueeze(2)
        parts = [
            functional.pad(a[:, :, 1:-1], (0, 0, 1, 1)),
            c + d[..., 1:] * e[..., :1] + a,
            functional.pad(f, (0, 0, 1, 1), value=0.5),
        ]
        return torch.cat(parts, dim=1) + functional.pad(row[:, :1], (1, 1, 0, 0))

    return Does(forward, conv=nn.Conv2d(4, 4, 1)), (2, 4, 4, 6)


@zoo
def padding():
    return nn.Sequential(
        nn.ZeroPad2d((1, 2, 0, 3)),
        nn.Conv2d(2, 3, 3, stride=2),
        nn.ConstantPad2d((1, 0, 1, 1), 0.5),
        nn.MaxPool2d(2),
        nn.ZeroPad2d((-1, 1, 0, 0)),
    ), (2, 2, 6, 7)


@zoo
def upsampling():
    def forward(m, x):
        parts = [
            functional.interpolate(x, size=(7, 9)),
            functional.interpolate(x, size=(7, 9), mode="nearest-exact"),
            functional.interpolate(x, size=(7, 9), mode="bilinear"),
            functional.interpolate(x, size=(7, 9), mode="bilinear", align_corners=True),
            functional.interpolate(x, scale_factor=(1.8, 1.9), mode="bilinear")[:, :, :7, :9],
            functional.interpolate(x, scale_factor=(1.8, 1.9))[:, :, :7, :9],
        ]
        return torch.cat(parts, dim=1)

    return Does(forward), (2, 2, 4, 5)


@zoo
def upsampling_whole_factors():
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        nn.Conv2d(2, 3, 3),
        nn.Upsample(scale_factor=(2, 3), mode="bilinear"),
        nn.UpsamplingBilinear2d(scale_factor=2),
    ), (2, 2, 4, 3)


@zoo
def upsampling_1d():
    def forward(m, x):
        return torch.cat([functional.interpolate(x, scale_factor=2), functional.interpolate(x, size=12, mode="linear")], dim=1)

    return Does(forward), (2, 3, 6)


@zoo
def upsampling_uneven_factors():
    """Factors that are not whole: aligned corners step by (in - 1) / (out - 1), others by the factor, in float32."""
    return nn.Sequential(
        nn.Upsample(scale_factor=1.5, mode="bilinear", align_corners=True),
        nn.Upsample(scale_factor=(1.8, 0.7), mode="nearest"),
        nn.Upsample(scale_factor=(0.8, 2.3), mode="bilinear", align_corners=True),
        nn.Upsample(scale_factor=(1.1, 1.4), mode="nearest-exact"),
        nn.Upsample(scale_factor=(0.6, 1.3), mode="bilinear"),
        nn.Upsample(scale_factor=(1.05, 2.03), mode="nearest"),  # 13 rows stay 13, 28 columns become 56: PyTorch copies pixels
    ), (2, 2, 10, 7)


@zoo
def two_outputs():
    def forward(m, x):
        y = functional.relu(m.conv(x))
        return {"logits": m.head(y.mean((2, 3))), "features": y}

    return Does(forward, conv=nn.Conv2d(3, 4, 3), head=nn.Linear(4, 2)), (2, 3, 5, 5)


# Known networks -------------------------------------------------------------------------------------------------------

zoo(resnet8)
zoo(mobilenet)
