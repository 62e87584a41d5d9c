"""The same ONNX files through onnxruntime and through edgebn: ResNet-8 and KWS as PyTorch exports them, float32 and int8.

The files in ``recorded/torch_onnx`` have no weights (``recorders/record_torch_onnx.py`` wrote them); the Keras files give them.
"""

import logging
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
h5py = pytest.importorskip("h5py", reason="the package h5py is not installed")

from onnx import numpy_helper  # noqa: E402
from onnxruntime import quantization as ortq  # noqa: E402

from edgebn.formats.onnx import read  # noqa: E402
from edgebn.passes import lower  # noqa: E402
from edgebn.session import Session  # noqa: E402

KERAS_FILE = {"resnet8": "resnet8_jpeg.h5", "kws": "kws.h5"}
NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
LAYER = {"weight": "kernel", "bias": "bias"}
MODELS = [(network, exporter) for network in KERAS_FILE for exporter in ("dynamo", "torchscript")]
FLOAT_SAMPLES, INT8_SAMPLES = 100, 400


def keras_weight(file, name):
    """Return the array for a PyTorch name such as 'conv2d_1.weight', in PyTorch's order."""
    layer, part = name.rsplit(".", 1)
    group = file["model_weights"][layer][layer]
    key = (NORM if layer.startswith("batch_normalization") else LAYER)[part]
    array = np.asarray(group[key if key in group else f"{key}:0"])
    if array.ndim == 4:  # depthwise (kh, kw, C, 1), else (kh, kw, I, O)
        return array.transpose(2, 3, 0, 1) if layer.startswith("depthwise") else array.transpose(3, 2, 0, 1)
    return array.T if array.ndim == 2 else array


@pytest.fixture(scope="module")
def exported(recorded, shared_models, tmp_path_factory):
    """Return a function that gives the path of an exported network with its weights filled in."""
    folder = tmp_path_factory.mktemp("exported")

    def fill(network, exporter):
        path = folder / f"{network}_{exporter}.onnx"
        if not path.exists():
            model = onnx.load(recorded / "torch_onnx" / path.name)
            with h5py.File(shared_models / KERAS_FILE[network]) as file:
                for tensor in model.graph.initializer:
                    if not tensor.raw_data and "." in tensor.name:
                        array = keras_weight(file, tensor.name)
                        assert array.shape == tuple(tensor.dims)
                        tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))
            onnx.save(model, path)
        return path

    return fill


@pytest.fixture(scope="module")
def data(shared_data):
    """Return {network: (calibration, test)}, float32 NCHW."""
    cifar, kws = np.load(shared_data / "cifar10_dev.npz"), np.load(shared_data / "kws_dev.npz")
    images = [cifar[key].astype(np.float32).transpose(0, 3, 1, 2) for key in ("x_train", "x_test")]
    sounds = ((kws["x"].astype(np.float32) - 83) * np.float32(0.5847029)).transpose(0, 3, 1, 2)
    return {"resnet8": (images[0][:100], images[1][:INT8_SAMPLES]), "kws": (sounds[:100], sounds[100 : 100 + INT8_SAMPLES])}


def run_onnxruntime(path, x):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def run_edgebn(path, x):
    return Session(lower(read(path))).run(x.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(("network", "exporter"), MODELS)
def test_float32_agrees(exported, data, network, exporter):
    path, x = exported(network, exporter), data[network][1][:FLOAT_SAMPLES]
    expected = run_onnxruntime(path, x)
    error = np.abs(run_edgebn(path, x) - expected).max() / np.ptp(expected)
    assert error <= 1e-5


@pytest.mark.parametrize(("network", "exporter"), MODELS)
def test_batch_norms_stay_apart(exported, network, exporter):
    kinds = [layer.kind for layer in read(exported(network, exporter)).layers]
    assert kinds.count("BatchNorm") == {"resnet8": 7, "kws": 9}[network]


class Images(ortq.CalibrationDataReader):
    """Hands onnxruntime's calibration one image at a time."""

    def __init__(self, name, x):
        self.samples = iter([{name: x[place : place + 1]} for place in range(len(x))])

    def get_next(self):
        return next(self.samples, None)


def quantize(path: Path, calibration, *, form, activations, folded: bool, per_channel: bool) -> Path:
    """Quantise with onnxruntime; `folded` runs its preparation first, which folds the batch norms."""
    logging.disable(logging.WARNING)  # it advises the preparation for the cases that test its absence
    try:
        source = path
        if folded:
            source = path.with_suffix(".prepared.onnx")
            ortq.shape_inference.quant_pre_process(str(path), str(source), skip_symbolic_shape=True)
        target = path.with_suffix(f".{form.name}_{activations.name}_{folded}.onnx")
        ortq.quantize_static(
            str(source),
            str(target),
            Images(onnx.load(source).graph.input[0].name, calibration),
            quant_format=form,
            activation_type=activations,
            weight_type=ortq.QuantType.QInt8,
            per_channel=per_channel,
        )
    finally:
        logging.disable(logging.NOTSET)
    return target


@pytest.mark.filterwarnings("ignore")  # onnxruntime's quantizer warns of its own old habits
@pytest.mark.parametrize("folded", [True, False], ids=["prepared", "as_exported"])
@pytest.mark.parametrize("form", list(ortq.QuantFormat), ids=lambda form: form.name)
@pytest.mark.parametrize(("network", "exporter"), MODELS)
def test_int8_agrees(exported, data, network, exporter, form, folded):
    activations = ortq.QuantType.QUInt8 if exporter == "dynamo" else ortq.QuantType.QInt8
    calibration, x = data[network]
    path = quantize(exported(network, exporter), calibration, form=form, activations=activations, folded=folded, per_channel=folded)
    expected, given = run_onnxruntime(path, x), run_edgebn(path, x)
    # Not prepared, batch norms stand apart, and where none of onnxruntime's integer operators follows them they stay float32.
    assert lower(read(path)).dtype in (("int8",) if folded else ("int8", "mixed"))
    assert (given.argmax(1) == expected.argmax(1)).mean() >= 0.99
