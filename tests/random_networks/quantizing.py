"""A network through onnxruntime's quantiser: QDQ or QOperator, signed or unsigned, per tensor or per channel, prepared or not."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import onnx
from onnxruntime import quantization as ortq
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

TYPES = (
    (ortq.QuantType.QUInt8, ortq.QuantType.QInt8),
    (ortq.QuantType.QUInt8, ortq.QuantType.QUInt8),
    (ortq.QuantType.QInt8, ortq.QuantType.QInt8),
)


@dataclass(frozen=True)
class Settings:
    """How the quantiser is asked to work.

    Attributes
    ----------
    form : QuantFormat
    activations, weights : QuantType
    per_channel : bool
    prepared : bool
        Whether onnxruntime's preparation, which folds batch norms, runs first.
    symmetric : bool
        Whether the zero points of values are 0 (or 128).
    """

    form: ortq.QuantFormat
    activations: ortq.QuantType
    weights: ortq.QuantType
    per_channel: bool
    prepared: bool
    symmetric: bool

    def __str__(self) -> str:
        words = [self.form.name, self.activations.name, self.weights.name, "per channel" if self.per_channel else "per tensor"]
        return ", ".join([*words, "prepared" if self.prepared else "as it is", *(["symmetric"] if self.symmetric else [])])


def draw_settings(seed: int, kind: str = "quantized") -> Settings:
    """Return the settings of network `seed`; of the kind 'int16' activations are, of which onnxruntime has QDQ only."""
    rng = np.random.default_rng([seed, 7])
    activations, weights = TYPES[rng.integers(len(TYPES))]
    form = ortq.QuantFormat.QDQ if rng.random() < 0.5 else ortq.QuantFormat.QOperator
    settings = Settings(form, activations, weights, *(bool(rng.random() < share) for share in (0.5, 0.5, 0.15)))
    if kind != "int16":
        return settings
    types = {"activations": ortq.QuantType.QInt16, "weights": (ortq.QuantType.QInt8, ortq.QuantType.QInt16)[rng.integers(2)]}
    return replace(settings, form=ortq.QuantFormat.QDQ, symmetric=bool(rng.random() < 0.5), **types)


class _Samples(ortq.CalibrationDataReader):
    def __init__(self, samples: dict[str, np.ndarray], step: int) -> None:
        places = range(0, len(next(iter(samples.values()))), step)
        self.left: Iterator = iter([{name: array[place : place + step] for name, array in samples.items()} for place in places])

    def get_next(self) -> dict | None:
        return next(self.left, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the quantiser: it warns of its own habits, and advises the preparation where its absence is the test."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


def _sharing(quantizer: QDQQuantizer) -> None:
    """onnxruntime's own pass over tensors that share another's scale, unless it would loop for ever."""
    known = set(quantizer.quantized_value_map)
    waiting = {name: getattr(info.quant_para_provider, "input_name", "") for name, info in quantizer.tensors_to_quantize.items()}
    while ready := [name for name, source in waiting.items() if source in known]:
        known.update(ready)
        for name in ready:
            del waiting[name]
    if waiting:
        raise RuntimeError(f"onnxruntime's quantiser would never end: nobody quantises what {', '.join(waiting)} share")
    _SHARING(quantizer)


_SHARING = QDQQuantizer._quantize_sharing_param_tensors


def quantized(model: onnx.ModelProto, calibration: dict[str, np.ndarray], settings: Settings) -> onnx.ModelProto:
    """Return the model as onnxruntime quantises it; its exceptions are of any kind."""
    guarded = patch.object(QDQQuantizer, "_quantize_sharing_param_tensors", _sharing)
    with _quiet(), guarded, tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float.onnx"), Path(folder, "quantized.onnx")
        onnx.save(model, source)
        if settings.prepared:
            ortq.shape_inference.quant_pre_process(str(source), str(source), skip_symbolic_shape=True)
        ortq.quantize_static(
            str(source),
            str(target),
            _Samples(calibration, model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 1),
            quant_format=settings.form,
            activation_type=settings.activations,
            weight_type=settings.weights,
            per_channel=settings.per_channel,
            extra_options={"ActivationSymmetric": settings.symmetric},
        )
        return onnx.load(target)
