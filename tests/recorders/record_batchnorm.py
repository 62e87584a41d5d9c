"""Record what Keras' and PyTorch's batch norm layers say, for ``tests/test_batchnorm.py``.

    KERAS_BACKEND=torch python tests/recorders/record_batchnorm.py

Writes ``tests/recorded/batchnorm.npz``. Each case makes a layer with random weights, takes three training steps and one
inference step on batches of its own, and records after each the output, the moving statistics and, for a random output
gradient, the gradients. Keys are ``<case>/<array>``; ``cases`` holds every case's arguments and ``versions`` the versions,
both as JSON. Needs torch and Keras on the torch backend; knows nothing of edgebn.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import torch

TARGET = Path(__file__).resolve().parent.parent / "recorded" / "batchnorm.npz"
STEPS = (True, True, True, False)  # training flag of each step


@dataclass(frozen=True)
class Case:
    """One layer; `convention` names the framework that computes it."""

    name: str
    convention: str
    shape: tuple[int, ...]
    axis: int = -1
    momentum: float = 0.99
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    activation: str | None = None

    @property
    def channels(self) -> int:
        return self.shape[self.axis]


CASES = [
    Case("keras_rank2", "keras", (6, 5)),
    Case("keras_rank3", "keras", (3, 7, 4), momentum=0.9),
    Case("keras_rank4", "keras", (2, 5, 4, 3)),
    Case("keras_rank5", "keras", (2, 3, 2, 3, 4), axis=2),
    Case("keras_axis_1", "keras", (2, 5, 4, 3), axis=1, momentum=0.8),
    Case("keras_axis_2", "keras", (2, 5, 4, 3), axis=2, epsilon=1e-5),
    Case("keras_axis_minus_2", "keras", (3, 7, 4), axis=-2),
    Case("keras_no_center", "keras", (4, 3, 2, 3), center=False),
    Case("keras_no_scale", "keras", (4, 3, 2, 3), scale=False),
    Case("keras_bare", "keras", (4, 3, 2, 3), center=False, scale=False),
    Case("keras_relu", "keras", (4, 3, 3, 3), activation="relu"),
    Case("keras_relu6", "keras", (4, 3, 3, 3), activation="relu6"),
    Case("pytorch_rank2", "pytorch", (6, 5), axis=1, momentum=0.1, epsilon=1e-5),
    Case("pytorch_rank3", "pytorch", (3, 4, 7), axis=1, momentum=0.3, epsilon=1e-5),
    Case("pytorch_rank4", "pytorch", (2, 3, 5, 4), axis=1, momentum=0.1, epsilon=1e-5),
    Case("pytorch_rank5", "pytorch", (2, 3, 2, 3, 2), axis=1, momentum=0.1, epsilon=1e-5),
    Case("pytorch_bare", "pytorch", (2, 3, 5, 4), axis=1, momentum=0.1, epsilon=1e-3, center=False, scale=False),
    Case("pytorch_relu", "pytorch", (3, 3, 3, 4), axis=1, momentum=0.1, epsilon=1e-5, activation="relu"),
    Case("pytorch_relu6", "pytorch", (3, 3, 3, 4), axis=1, momentum=0.1, epsilon=1e-5, activation="relu6"),
]
TORCH_LAYERS = {
    2: torch.nn.BatchNorm1d,
    3: torch.nn.BatchNorm1d,
    4: torch.nn.BatchNorm2d,
    5: torch.nn.BatchNorm3d,
}


def random_weights(case: Case, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw weights as a trained layer could have them; gammas of both signs, some large enough to reach relu6's end."""
    weights = {
        "gamma": random.normal(0.0, 3.0, case.channels),
        "beta": random.normal(1.0, 1.0, case.channels),
        "moving_mean": random.normal(0.0, 2.0, case.channels),
        "moving_variance": random.uniform(0.1, 4.0, case.channels),
    }
    absent = {name for name, kept in (("gamma", case.scale), ("beta", case.center)) if not kept}
    return {name: value.astype(np.float32) for name, value in weights.items() if name not in absent}


def make_keras(case: Case, weights: dict[str, np.ndarray]) -> tuple[keras.layers.Layer, dict[str, torch.Tensor]]:
    """Make a Keras layer and name its tensors."""
    layer = keras.layers.BatchNormalization(
        axis=case.axis, momentum=case.momentum, epsilon=case.epsilon, center=case.center, scale=case.scale
    )
    layer.build(case.shape)
    for name, value in weights.items():
        getattr(layer, name).assign(value)
    return layer, {name: getattr(layer, name).value for name in weights}


def make_torch(case: Case, weights: dict[str, np.ndarray]) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """Make a PyTorch layer and name its tensors."""
    layer = TORCH_LAYERS[len(case.shape)](case.channels, eps=case.epsilon, momentum=case.momentum, affine="gamma" in weights)
    names = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    tensors = {name: getattr(layer, names[name]) for name in weights}
    with torch.no_grad():
        for name, value in weights.items():
            tensors[name].copy_(torch.from_numpy(value))
    return layer, tensors


def run(case: Case) -> dict[str, np.ndarray]:
    """Take the steps of one case and return its arrays; those of all steps are stacked on a first axis."""
    random = np.random.default_rng(zlib.crc32(case.name.encode()))
    weights = random_weights(case, random)
    layer, tensors = (make_keras if case.convention == "keras" else make_torch)(case, weights)
    activation = {None: lambda z: z, "relu": torch.relu, "relu6": torch.nn.functional.relu6}[case.activation]
    channel_shape = [case.channels if index == case.axis % len(case.shape) else 1 for index in range(len(case.shape))]
    steps: dict[str, list[np.ndarray]] = {}
    for training in STEPS:
        # Channels differ in mean and spread. Keras takes the variance as E[x^2] - E[x]^2 in float32: a mean far beyond
        # the spread would record Keras' rounding error, not its batch norm.
        spread, offset = random.uniform(0.5, 2.0, channel_shape), random.normal(0.0, 0.5, channel_shape)
        x = torch.tensor((random.standard_normal(case.shape) * spread + offset).astype(np.float32))
        x.requires_grad_(True)
        z = layer(x, training=training) if case.convention == "keras" else layer.train(training)(x)
        y = activation(z)
        dy = torch.tensor(random.standard_normal(case.shape).astype(np.float32))
        trainable = [name for name in ("gamma", "beta") if name in tensors]
        gradients = torch.autograd.grad(y, [x, *(tensors[name] for name in trainable)], dy)
        arrays = {"x": x, "y": y, "dy": dy, "dx": gradients[0]}
        arrays |= {f"grad_{name}": gradient for name, gradient in zip(trainable, gradients[1:], strict=True)}
        if case.convention == "keras":
            arrays |= {name: getattr(layer, name).value for name in ("moving_mean", "moving_variance")}
        else:
            arrays |= {"moving_mean": layer.running_mean, "moving_variance": layer.running_var}
        for name, tensor in arrays.items():
            steps.setdefault(name, []).append(tensor.detach().numpy().copy())
    return {f"initial_{name}": value for name, value in weights.items()} | {
        name: np.stack(values) for name, values in steps.items()
    }


def main() -> None:
    """Run every case and save."""
    versions = {"keras": keras.__version__, "torch": torch.__version__, "numpy": np.__version__}
    recorded = {
        "versions": np.array(json.dumps(versions)),
        "cases": np.array(json.dumps([asdict(case) for case in CASES])),
        "training": np.array(STEPS),
    }
    for case in CASES:
        recorded |= {f"{case.name}/{name}": array for name, array in run(case).items()}
    np.savez_compressed(TARGET, **recorded)
    print(f"{len(CASES)} cases, {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
