"""Networks as torchvision, timm and ultralytics build them, with random weights and batch norms that have seen pictures.

For tests/frameworks/test_real_networks.py: needs those packages, knows nothing of edgebn.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

os.environ.setdefault("YOLO_OFFLINE", "1")
os.environ.setdefault("YOLO_VERBOSE", "False")

SIZE, YOLO_SIZE = 224, 320
TORCHVISION = (
    "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "efficientnet_b0", "regnet_x_400mf", "shufflenet_v2_x1_0",
    "densenet121", "convnext_tiny", "resnet18", "resnet50",
)  # fmt: skip
TIMM = ("mobilenetv4_conv_small", "edgenext_small", "ghostnet_100", "repvgg_a0", "mobileone_s0")
YOLO = ("yolov5n", "yolov8n", "yolov8n-seg", "yolov8n-pose", "yolov10n", "yolo11n")
# Further ones, which exercise operators that those do not.
MORE_TIMM = (
    "efficientvit_b0",
    "levit_128s",
    "convnextv2_atto",
    "xcit_nano_12_p16_224",
    "pvt_v2_b0",
    "swiftformer_xs",
    "rexnet_100",
)


def declare_missing_operators() -> None:
    """Declare what torchvision registers as it is imported, where its wheel lacks the part in C."""
    for name in ("nms", "qnms"):
        try:
            torch.library.define(f"torchvision::{name}", "(Tensor a, Tensor b, float c) -> Tensor")
        except RuntimeError:
            return  # it is there


class Output(nn.Module):
    """One entry of what a module returns as a dict."""

    def __init__(self, module: nn.Module, key: str) -> None:
        super().__init__()
        self.module, self.key = module, key

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(x)[self.key]


def picture(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Return an image (C, H, W) of patches of several sizes, between 0 and 1."""
    rng = np.random.default_rng(seed)
    channels, height, width = shape
    image = np.zeros(shape, np.float32)
    for patches in (4, 8, 16, 32):
        colours = rng.uniform(-1, 1, (channels, patches, patches)).astype(np.float32)
        tall = np.repeat(colours, -(-height // patches), 1)
        image += np.repeat(tall, -(-width // patches), 2)[:, :height, :width] / (patches / 4) ** 0.3
    image -= image.min()
    return image / image.max()


def settled(module: nn.Module, size: int, rounds: int = 4) -> nn.Module:
    """Return a module in evaluation mode whose batch norms have the statistics of some pictures."""
    module.train()
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.momentum = None  # the mean of all batches
            part.reset_running_stats()
    with torch.no_grad():
        for number in range(rounds):
            module(torch.from_numpy(np.stack([picture(1000 + 8 * number + place, (3, size, size)) for place in range(8)])))
    return module.eval()


def _torchvision(name: str) -> nn.Module:
    import torchvision

    return settled(torchvision.models.get_model(name, weights=None), SIZE)


def _lraspp() -> nn.Module:
    import torchvision

    return settled(
        Output(torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None), "out"), SIZE
    )


def _timm(name: str) -> nn.Module:
    import timm

    return settled(timm.create_model(name, pretrained=False), SIZE)


def _yolo(name: str) -> nn.Module:
    """As ultralytics exports it: batch norms fused, anchors constant."""
    import ultralytics
    from ultralytics.nn.modules import C2f, Detect

    module = settled(ultralytics.YOLO(f"{name}.yaml", verbose=False).model.float(), YOLO_SIZE)
    for parameter in module.parameters():
        parameter.requires_grad = False
    module = module.fuse(verbose=False)
    for part in module.modules():
        if isinstance(part, Detect):
            part.dynamic, part.export, part.format = False, True, "onnx"
        elif isinstance(part, C2f):
            part.forward = part.forward_split
    return module


Builder = Callable[[], nn.Module]
NETWORKS: dict[str, tuple[Builder, int]] = {
    **{name: (lambda name=name: _torchvision(name), SIZE) for name in TORCHVISION},
    **{name: (lambda name=name: _timm(name), SIZE) for name in TIMM},
    "lraspp": (_lraspp, SIZE),
    **{name: (lambda name=name: _yolo(name), YOLO_SIZE) for name in YOLO},
}
MORE: dict[str, tuple[Builder, int]] = {name: (lambda name=name: _timm(name), SIZE) for name in MORE_TIMM}


def built(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a network and an example input."""
    declare_missing_operators()
    builder, size = (NETWORKS | MORE)[name]
    torch.manual_seed(1)
    module, x = builder(), torch.from_numpy(picture(77, (3, size, size))[None])
    with torch.no_grad():
        module(x)  # detectors make their anchors as they first run
    return module, x


def tensors(outputs: object) -> list[torch.Tensor]:
    """Return the tensors in what a module returns, in order."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    listed = outputs.values() if isinstance(outputs, dict) else outputs if isinstance(outputs, list | tuple) else ()
    return [tensor for entry in listed for tensor in tensors(entry)]
