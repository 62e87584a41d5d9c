"""Record ResNet-8 and KWS as PyTorch exports them to ONNX, without their weights, for ``tests/formats/onnx/test_onnxruntime.py``.

    python tests/recorders/record_torch_onnx.py

Writes ``tests/recorded/torch_onnx/<network>_<exporter>.onnx``, a few kilobytes each: every weight keeps its name and shape and
loses its numbers. Modules carry the names of the Keras layers, so the test fills the weights in from the Keras files. Both
exporters of PyTorch are used, with constant folding off so that batch norms stay. Needs torch and onnxscript; knows nothing of
edgebn.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import torch
from torch import nn

TARGET = Path(__file__).resolve().parent.parent / "recorded" / "torch_onnx"
EPSILON = 1e-3


def same_pad(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding of one axis."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Network(nn.Module):
    """Collects layers under Keras' names: conv2d, conv2d_1, ..."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}

    def layer(self, kind: str, module: nn.Module) -> nn.Module:
        count = self.counts.get(kind, 0)
        self.counts[kind] = count + 1
        self.add_module(f"{kind}_{count}" if count else kind, module)
        return module

    def norm(self, channels: int) -> nn.Module:
        return self.layer("batch_normalization", nn.BatchNorm2d(channels, eps=EPSILON))


class ResNet8(Network):
    """MLPerf Tiny's image classifier; (N, 3, 32, 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv(3, 16, 3)
        self.norm(16)
        self.conv(16, 16, 3)
        self.norm(16)
        self.conv(16, 16, 3)
        self.norm(16)
        for before, after in ((16, 32), (32, 64)):
            self.conv(before, after, 3, 2)
            self.norm(after)
            self.conv(after, after, 3)
            self.conv(before, after, 1, 2)
            self.norm(after)
        self.pool = nn.AvgPool2d(8)
        self.dense = nn.Linear(64, 10)

    def conv(self, before: int, after: int, kernel: int, stride: int = 1) -> None:
        self.layer("conv2d", nn.Conv2d(before, after, kernel, stride, padding=kernel // 2 if stride == 1 else 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.batch_normalization(self.conv2d(x)))
        y = torch.relu(self.batch_normalization_1(self.conv2d_1(x)))
        x = torch.relu(x + self.batch_normalization_2(self.conv2d_2(y)))
        y = nn.functional.pad(x, (0, 1, 0, 1))  # TensorFlow's SAME padding with stride 2
        y = torch.relu(self.batch_normalization_3(self.conv2d_3(y)))
        x = torch.relu(self.conv2d_5(x) + self.batch_normalization_4(self.conv2d_4(y)))
        y = nn.functional.pad(x, (0, 1, 0, 1))
        y = torch.relu(self.batch_normalization_5(self.conv2d_6(y)))
        x = torch.relu(self.conv2d_8(x) + self.batch_normalization_6(self.conv2d_7(y)))
        return torch.softmax(self.dense(torch.flatten(self.pool(x), 1)), 1)


class KeywordSpotter(Network):
    """MLPerf Tiny's DS-CNN; (N, 1, 49, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer("conv2d", nn.Conv2d(1, 64, (10, 4), 2))
        self.norm(64)
        for _ in range(4):
            self.layer("depthwise_conv2d", nn.Conv2d(64, 64, 3, padding=1, groups=64))
            self.norm(64)
            self.layer("conv2d", nn.Conv2d(64, 64, 1))
            self.norm(64)
        self.dropout = nn.Dropout(0.2)
        self.dense = nn.Linear(64, 12)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        top, bottom = same_pad(49, 10, 2)
        left, right = same_pad(10, 4, 2)
        x = nn.functional.pad(x, (left, right, top, bottom))
        x = self.dropout(torch.relu(self.batch_normalization(self.conv2d(x))))
        for block in range(4):
            suffix = f"_{block}" if block else ""
            depthwise = getattr(self, f"depthwise_conv2d{suffix}")
            x = torch.relu(getattr(self, f"batch_normalization_{2 * block + 1}")(depthwise(x)))
            pointwise = getattr(self, f"conv2d_{block + 1}")
            x = torch.relu(getattr(self, f"batch_normalization_{2 * block + 2}")(pointwise(x)))
        x = self.dropout(x).mean((2, 3))
        return torch.softmax(self.dense(x), 1)


def export(module: nn.Module, example: torch.Tensor, dynamo: bool) -> onnx.ModelProto:
    """Export with one of PyTorch's exporters."""
    module.eval()
    for name, value in module.state_dict().items():  # all different, or the exporter shares those that are equal
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + (0.5 if name.endswith("var") else -0.5))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        if dynamo:
            torch.onnx.export(
                module,
                (example,),
                path,
                dynamo=True,
                optimize=False,
                external_data=False,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
        else:
            torch.onnx.export(
                module,
                (example,),
                path,
                dynamo=False,
                do_constant_folding=False,
                training=torch.onnx.TrainingMode.PRESERVE,
                dynamic_axes={"input": {0: "batch"}},
                input_names=["input"],
                output_names=["output"],
            )
        return onnx.load(path)


def strip(model: onnx.ModelProto, module: nn.Module) -> onnx.ModelProto:
    """Take the numbers out of every weight and keep its name and shape."""
    names = set(module.state_dict())
    for tensor in model.graph.initializer:
        if tensor.name in names:
            for field in ("raw_data", "float_data"):
                tensor.ClearField(field)
    for node in model.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    del model.graph.value_info[:]
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    return model


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    for name, module, shape in (("resnet8", ResNet8(), (2, 3, 32, 32)), ("kws", KeywordSpotter(), (2, 1, 49, 10))):
        for dynamo in (True, False):
            model = strip(export(module, torch.randn(shape), dynamo), module)
            path = TARGET / f"{name}_{'dynamo' if dynamo else 'torchscript'}.onnx"
            onnx.save(model, path)
            print(path.name, path.stat().st_size, sorted({node.op_type for node in model.graph.node}))


if __name__ == "__main__":
    main()
