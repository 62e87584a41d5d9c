"""The shipped Fashion-MNIST network in int8 and its images, for tests that need a trained network."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

import edgebn

DATA = Path(edgebn.__file__).parent / "demo_data"


@cache
def demo_images():
    """Return (1000, 28, 28, 1) float32 images in 0..1 and their (1000,) labels."""
    with np.load(DATA / "fashion_mnist_slice.npz") as arrays:
        return arrays["images"] / np.float32(255), arrays["labels"].astype(np.int64)


@cache
def demo_float32():
    """Return the network as it was trained."""
    return edgebn.load(DATA / "fashion_mnist.keras")


@cache
def demo_int8():
    """Return the network, quantised on 300 of its images."""
    return edgebn.quantize(demo_float32(), demo_images()[0][:300])


@dataclass(frozen=True)
class Demo:
    """Both networks, (1000, 28, 28, 1) images in 0..1 and their labels: the fixture `demo`."""

    float32: edgebn.Program
    int8: edgebn.Program
    images: np.ndarray
    labels: np.ndarray


def demo():
    return Demo(demo_float32(), demo_int8(), *demo_images())
