"""Train the example network (conv - BN - pool - conv - BN - pool - dense - BN - dense) on Fashion-MNIST.

Writes the model and the data slice that ``edgebn demo`` ships. It needs Keras 3 (any backend) and the data set's four
idx files; nothing in edgebn imports it, and it imports nothing of edgebn.

    KERAS_BACKEND=torch python examples/train_fashion_mnist.py [DATASET_DIRECTORY] [--epochs 10] [--output DIRECTORY]

The Debian package dataset-fashion-mnist installs the files where the default points.
"""

from __future__ import annotations

import argparse
import gzip
import math
import struct
import sys
from pathlib import Path

import keras
import numpy as np

DEBIAN_DIRECTORY = Path("/usr/share/datasets/fashion-mnist")
SHIPPED_DIRECTORY = Path(__file__).resolve().parent.parent / "edgebn" / "demo_data"

IDX_MAGIC_IMAGES = 2051
IDX_MAGIC_LABELS = 2049
CLASSES = 10
SLICE_IMAGES = 1000  # the first images of the test set
CALIBRATION_IMAGES = 300  # the first images of the training set
MAX_SHIFT = 2  # pixels an augmented image may move in each direction
EPSILON = 1e-3  # of every batch norm


def read_images(path: Path) -> np.ndarray:
    """Read an idx image file: uint8 (N, H, W, 1)."""
    with gzip.open(path) as file:
        magic, count, height, width = struct.unpack(">4I", file.read(16))
        if magic != IDX_MAGIC_IMAGES:
            sys.exit(f"{path} is not an idx image file (magic number {magic}); give the directory of the .gz files")
        return np.frombuffer(file.read(), np.uint8).reshape(count, height, width, 1)


def read_labels(path: Path) -> np.ndarray:
    """Read an idx label file: uint8 (N,)."""
    with gzip.open(path) as file:
        magic, count = struct.unpack(">2I", file.read(8))
        if magic != IDX_MAGIC_LABELS:
            sys.exit(f"{path} is not an idx label file (magic number {magic}); give the directory of the .gz files")
        return np.frombuffer(file.read(), np.uint8).reshape(count)


def build_model() -> keras.Sequential:
    """Make the example network; every batch norm stands after the activation."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),  # pixel values 0..1
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_1"),  # (28, 28, 32)
            layers.BatchNormalization(epsilon=EPSILON, name="bn_1"),
            layers.MaxPooling2D(2, name="pool_1"),  # (14, 14, 32)
            layers.Conv2D(64, 3, padding="same", activation="relu", name="conv_2"),  # (14, 14, 64)
            layers.BatchNormalization(epsilon=EPSILON, name="bn_2"),
            layers.MaxPooling2D(2, name="pool_2"),  # (7, 7, 64)
            layers.Flatten(name="flatten"),  # (3136,)
            layers.Dense(128, activation="relu", name="dense_1"),
            layers.BatchNormalization(epsilon=EPSILON, name="bn_3"),
            layers.Dense(CLASSES, activation="softmax", name="probabilities"),
        ],
        name="fashion_mnist",
    )


class AugmentedImages(keras.utils.PyDataset):
    """Batches of images in 0..1, shuffled each epoch, randomly mirrored and moved by up to two pixels."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, batch_size: int, seed: int) -> None:
        super().__init__()
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.random = np.random.default_rng(seed)
        self.order = self.random.permutation(len(images))

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        images = self.images[chosen].astype(np.float32) / 255.0
        mirrored = self.random.random(len(images)) < 0.5
        images[mirrored] = images[mirrored, :, ::-1]
        padded = np.pad(images, ((0, 0), (MAX_SHIFT, MAX_SHIFT), (MAX_SHIFT, MAX_SHIFT), (0, 0)))
        height, width = images.shape[1:3]
        for image, source, (top, left) in zip(
            images, padded, self.random.integers(0, 2 * MAX_SHIFT + 1, (len(images), 2)), strict=True
        ):
            image[...] = source[top : top + height, left : left + width]
        return images, self.labels[chosen]

    def on_epoch_end(self) -> None:
        self.order = self.random.permutation(len(self.images))


def accuracy(model: keras.Model, images: np.ndarray, labels: np.ndarray) -> float:
    """Top-1 accuracy in percent."""
    scores = model.predict(images.astype(np.float32) / 255.0, batch_size=500, verbose=0)
    return 100.0 * float(np.mean(np.argmax(scores, axis=1) == labels))


def train(images: np.ndarray, labels: np.ndarray, epochs: int, batch_size: int, seed: int) -> keras.Model:
    """Train with AdamW under one cosine, and return a copy that carries no optimizer."""
    keras.utils.set_random_seed(seed)
    model = build_model()
    batches = AugmentedImages(images, labels, batch_size, seed)
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=2e-4,
        decay_steps=len(batches) * epochs,
        warmup_target=2e-3,
        warmup_steps=math.ceil(len(batches) / 2),
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=0.02),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(batches, epochs=epochs, shuffle=False, verbose=2)
    bare = build_model()
    bare.set_weights(model.get_weights())
    return bare


def main() -> None:
    """Train, save the model and the slice, print the accuracies that belong in the data's README."""
    parser = argparse.ArgumentParser(description="Train the example network on Fashion-MNIST with Keras.")
    parser.add_argument("dataset", type=Path, nargs="?", default=DEBIAN_DIRECTORY, help="directory of the idx .gz files")
    parser.add_argument("--output", type=Path, default=SHIPPED_DIRECTORY, help="where the model and the slice go")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=2017)
    arguments = parser.parse_args()
    if not (arguments.dataset / "train-images-idx3-ubyte.gz").is_file():
        sys.exit(f"no Fashion-MNIST in {arguments.dataset}: install dataset-fashion-mnist or give another directory")

    train_images = read_images(arguments.dataset / "train-images-idx3-ubyte.gz")
    train_labels = read_labels(arguments.dataset / "train-labels-idx1-ubyte.gz")
    test_images = read_images(arguments.dataset / "t10k-images-idx3-ubyte.gz")
    test_labels = read_labels(arguments.dataset / "t10k-labels-idx1-ubyte.gz")

    model = train(train_images, train_labels, arguments.epochs, arguments.batch_size, arguments.seed)

    arguments.output.mkdir(parents=True, exist_ok=True)
    model.save(arguments.output / "fashion_mnist.keras")
    np.savez_compressed(
        arguments.output / "fashion_mnist_slice.npz",
        images=test_images[:SLICE_IMAGES],  # (1000, 28, 28, 1) uint8
        labels=test_labels[:SLICE_IMAGES],  # (1000,) uint8
        calibration=train_images[:CALIBRATION_IMAGES],  # (300, 28, 28, 1) uint8
    )
    print(f"full test set, {len(test_images)} images: {accuracy(model, test_images, test_labels):.2f} %")
    slice_accuracy = accuracy(model, test_images[:SLICE_IMAGES], test_labels[:SLICE_IMAGES])
    print(f"shipped slice, {SLICE_IMAGES} images: {slice_accuracy:.2f} %")


if __name__ == "__main__":
    main()
