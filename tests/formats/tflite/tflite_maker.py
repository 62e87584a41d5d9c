"""The helper of `tflite_operators.py`: random values, constants and weights of a test file, in int8, uint8 or float32."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tests.formats.tflite.tflite_models import FileBuilder

SAME, VALID = 0, 1


@dataclass
class Maker:
    """Values and constants of any type.

    `unsigned` turns int8 codes into uint8, and weights into asymmetric ones of one scale; `wide` turns int8 codes into int16.
    """

    rng: np.random.Generator
    integer: bool
    unsigned: bool = False
    wide: bool = False
    file: FileBuilder = field(default_factory=FileBuilder)

    def scale(self) -> float:
        return float(np.float32(self.rng.uniform(0.01, 0.2) / self.levels))

    @property
    def levels(self) -> int:
        """How many codes stand where int8 has one."""
        return 256 if self.wide else 1

    def zero_point(self) -> int:
        return int(self.rng.integers(-100, 100))

    def quantization(self) -> tuple[float, int]:
        return self.scale(), self.zero_point()

    def value(self, shape, how=None) -> int:
        """A value with quantisation `how` = (scale, zero point), random where None."""
        if not self.integer:
            return self.file.value(shape, np.float32)
        scale, zero_point = how or self.quantization()
        if self.wide:  # what has a fixed scale, has another
            return self.file.value(shape, np.int16, 2.0**-15 if scale in (1 / 256, 1 / 128) else scale)
        if self.unsigned:
            return self.file.value(shape, np.uint8, scale, zero_point + 128)
        return self.file.value(shape, np.int8, scale, zero_point)

    def constant(self, shape, how=None) -> int:
        if not self.integer:
            return self.file.constant(self.rng.normal(0, 1, shape).astype(np.float32))
        scale, zero_point = how or self.quantization()
        if self.wide:
            return self.file.constant(self.rng.integers(-32768, 32768, shape).astype(np.int16), scale)
        if self.unsigned:
            return self.file.constant(self.rng.integers(0, 256, shape).astype(np.uint8), scale, zero_point + 128)
        return self.file.constant(self.rng.integers(-128, 128, shape).astype(np.int8), scale, zero_point)

    def integers(self, *numbers) -> int:
        return self.file.constant(np.array(numbers, np.int32))

    def weight(self, shape, axis, given: float) -> tuple[int, int, float]:
        """A weight with one scale, or one a channel, and its bias; also a scale that suits the sums."""
        outputs = shape[axis]
        if not self.integer:
            weight = self.file.constant(self.rng.normal(0, 1, shape).astype(np.float32))
            return weight, self.file.constant(self.rng.normal(0, 1, outputs).astype(np.float32)), 1.0
        several = not self.unsigned and self.rng.random() < 0.8
        scales = self.rng.uniform(0.001, 0.05, outputs if several else 1).astype(np.float32)
        if self.unsigned:
            weight = self.file.constant(self.unsigned_weight(shape), scales, int(self.rng.integers(0, 256)))
            bias = self.file.constant(self.rng.integers(-3000, 3000, outputs).astype(np.int32), np.float32(given) * scales)
            taps = np.prod(shape) / outputs
            return weight, bias, float(np.float32(given * scales.max() * taps * self.rng.uniform(5, 80)))
        weight = self.file.constant(self.rng.integers(-127, 128, shape).astype(np.int8), scales, 0, axis)
        kind = np.int64 if self.wide else np.int32
        reach = 3000 * self.levels
        bias = self.file.constant(self.rng.integers(-reach, reach, outputs).astype(kind), np.float32(given) * scales)
        taps = np.prod(shape) / outputs
        return weight, bias, float(np.float32(given * scales.max() * np.sqrt(taps) * self.rng.uniform(5, 80)))

    def unsigned_weight(self, shape) -> np.ndarray:
        """Codes of the whole range, or, as TensorFlow 1 trained them, few at its ends."""
        if self.rng.random() < 0.5:
            return self.rng.integers(0, 256, shape).astype(np.uint8)
        return np.clip(np.rint(self.rng.normal(128, 50, shape)), 0, 255).astype(np.uint8)

    def sizes(self, low, high, count=2) -> list[int]:
        return [int(size) for size in self.rng.integers(low, high, count)]

    def fused(self) -> int:
        return int(self.rng.choice([0, 1, 2, 3]))

    def finish(self, inputs, outputs) -> bytes:
        return self.file.bytes(inputs, outputs)
