"""The onnx package's own backend tests, run through `onnx_backend.py`: every case passes, or is refused for a reason given here.

Cases of single nodes, of networks converted by PyTorch long ago, and the `light` topologies.
"""

import importlib
import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from onnx import numpy_helper  # noqa: E402
from onnx.backend.test.case import node as node_package  # noqa: E402
from onnx.backend.test.loader import load_model_tests  # noqa: E402
from onnx.backend.test.runner import Runner, _normalize_tensor  # noqa: E402

from edgebn import formats  # noqa: E402
from edgebn.errors import EdgebnError  # noqa: E402
from edgebn.passes import lower  # noqa: E402
from tests.formats.onnx.onnx_backend import EdgebnBackend  # noqa: E402

# The operators of the layers that edgebn promises, and those that stand for them in files.
OPERATORS = (
    "Abs",
    "Acos",
    "Acosh",
    "Add",
    "ArgMax",
    "ArgMin",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "AveragePool",
    "BatchNormalization",
    "Ceil",
    "Celu",
    "Clip",
    "Col2Im",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Cos",
    "Cosh",
    "DepthToSpace",
    "DequantizeLinear",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Greater",
    "GridSample",
    "GroupNormalization",
    "GRU",
    "Hardmax",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "LRN",
    "LSTM",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "MeanVarianceNormalization",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "Pad",
    "Pow",
    "PRelu",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "RMSNormalization",
    "RNN",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Swish",
    "Tan",
    "Tanh",
    "ThresholdedRelu",
    "Tile",
    "TopK",
    "Transpose",
    "Unsqueeze",
    "Upsample",
)

# What is outside, by the name of the case: the words that our refusal must contain.
REFUSED = {
    r"(add|sub|mul|div|max|min)_(uint.*|int(8|16))": "integers|is not a float32|real numbers",
    r"div_int32_trunc": "positive constants",
    r"(greater|less)(_equal)?_u?int(8|16|32|64).*": "integers|is not a float32|real numbers",
    r"convtranspose_3d": "3 spatial dimensions",
    r"batchnorm_.*_training_mode": "training mode",
    r"celu_bfloat16": "is not a float32",
    r"clip_default_int8_(min|max|inbounds)": "integers",
    r"(de)?quantizelinear_(axis|blocked.*)": "one scale a tensor|is not one positive number|another type than int8",
    r"dequantizelinear_(e\dm.*|u?int(2|4|16)|float4e2m1)": "is not a float32",
    r"quantizelinear_(e\dm.*|u?int(2|4|16)|float4e2m1)": "edgebn runs int8, uint8|codes of 16 bits|per channel or block",
    r"dropout_default_mask.*": "second output",
    r"training_dropout.*": "training mode",
    r"identity_(sequence|opt)": "is not a float32",
    r"lstm_with_peepholes": "peepholes",
    r"matmul_1d_3d|qlinearmatmul_3D_.*": "stack of matrices|1 axes|give both two axes|expand them first",
    r"maxpool_with_argmax_2d_precomputed_strides|layer_normalization_.*": "second output",
    r"reduce_.*_empty_set.*": "open shape|is not a float32",
    r"reshape_allowzero_reordered": "not the same number of elements",
    r"pow_types_int.*": "holds integers",
    r"mod_(u?int(8|16).*|uint(32|64)|mixed_sign_int(8|16))": "holds integers|is not a float32",
    r"mod_float_edge_cases.*": "NaN or infinite",
    r"col2im_5d": "1-D and 2-D",
    r"resize_.*antialias": "aliasing",
    r"resize_tf_crop_and_resize.*": "tf_crop_and_resize",
    r"slice_start_out_of_bounds|split_zero_size_splits.*": "empty|open shape",
    r"gridsample_(bicubic.*|reflection_padding|volumetric.*)": "bilinear and nearest|edgebn samples images",
    r"scatter(nd|_elements)_.*(add|mul|multiply|max|min|duplicate).*": "joins what it puts in",
    r"top_k_uint64": "is not a float32",
    r"Softsign": "opset 6",
    r"Embedding.*": "is a constant or made by no node",
    r"operator_addmm": "C is computed by the network",
    r"operator_add(_.*broadcast|constant)": "broadcasting of opset 6",
}

# Where onnxruntime, which we follow, gives something else than the case expects (it leaves these out of its own run of them).
AS_ONNXRUNTIME = {
    f"test_resize_downsample_scales_{mode}_align_corners": "ONNX's reference steps by the length before it is rounded down"
    for mode in ("linear", "cubic")
}

COUNTS = {"passed": Counter(), "refused": Counter()}


def node_cases(operator):
    """Return the cases of one operator; its module computes them when it is imported, which takes seconds for all."""
    apart = ("BatchNormalization", "InstanceNormalization", "ReduceLogSum", "ReduceLogSumExp")
    module = re.sub("(?<=[a-z])(?=[A-Z])", "_", operator).lower() if operator in apart else operator.lower()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package computes its expectations with overflows of its own
        importlib.import_module(f"onnx.backend.test.case.node.{module}")
    cases = [case for case in node_package._NodeTestCases if len(case.model.graph.node) == 1]
    return [case for case in cases if case.model.graph.node[0].op_type == operator]


def expected_refusal(name):
    """Return the words that a refusal of this case must contain, or None when it must pass."""
    short = name.removeprefix("test_")
    return next((words for pattern, words in REFUSED.items() if re.fullmatch(pattern, short)), None)


def run_onnxruntime(model, inputs):
    ort = pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip((entry.name for entry in session.get_inputs()), inputs, strict=True)))


def check(name, model, data_sets, rtol, atol, group):
    words = expected_refusal(name)
    refusal = ""
    if name in AS_ONNXRUNTIME:
        data_sets = [(inputs, run_onnxruntime(model, inputs)) for inputs, _ in data_sets]
    try:
        representation = EdgebnBackend.prepare(model)
        for inputs, outputs in data_sets:
            given = representation.run([_normalize_tensor(array) for array in inputs])
            outputs = [array.astype(np.float32) if array.dtype == np.float64 else array for array in outputs]  # run in float32
            Runner.assert_similar_outputs([_normalize_tensor(array) for array in outputs], given, rtol=rtol, atol=atol)
    except EdgebnError as error:
        refusal = str(error)
    if refusal:
        assert words is not None, f"{name} should pass, but is refused: {refusal}"
        assert re.search(words, refusal), f"{name} is refused for another reason: {refusal}"
    else:
        assert words is None, f"{name} passes; take it off the table of refusals"
    COUNTS["refused" if refusal else "passed"][group] += 1


@pytest.fixture(scope="module", autouse=True)
def _print_counts(request):
    yield
    passed, refused = COUNTS["passed"], COUNTS["refused"]
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nonnx backend cases: {sum(passed.values())} passed, {sum(refused.values())} refused as the table says")
        print("refused: " + ", ".join(f"{name} {count}" for name, count in sorted(refused.items())))


@pytest.mark.parametrize("operator", OPERATORS)
def test_node(operator):
    cases = node_cases(operator)
    assert cases, f"the onnx package has no case of {operator}"
    for case in cases:
        check(case.name, case.model, case.data_sets, case.rtol, case.atol, operator)


def arrays(folder, prefix):
    found = []
    while (path := folder / f"{prefix}_{len(found)}.pb").is_file():
        tensor = onnx.TensorProto()
        tensor.ParseFromString(path.read_bytes())
        found.append(numpy_helper.to_array(tensor))
    return found


@pytest.mark.parametrize("kind", ["pytorch-converted", "pytorch-operator"])
def test_converted(kind):
    for case in load_model_tests(kind=kind):
        folder = Path(case.model_dir)
        data = folder / "test_data_set_0"
        model = onnx.load(folder / "model.onnx")
        check(case.name, model, [(arrays(data, "input"), arrays(data, "output"))], case.rtol, case.atol, kind)


def light_models():
    return sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))


@pytest.mark.parametrize("path", light_models(), ids=lambda path: path.stem)
def test_light(path):
    graph = formats.onnx.read(path)
    assert graph.tensors[graph.outputs[0]].shape in {(1000,), (1000, 1, 1)}
    if path.stem in {"light_squeezenet", "light_resnet50", "light_shufflenet"}:
        assert len(lower(graph).steps) > 20


def test_every_refusal_is_used():
    names = [case.name for operator in OPERATORS for case in node_cases(operator)]
    names += [case.name for kind in ("pytorch-converted", "pytorch-operator") for case in load_model_tests(kind=kind)]
    shorts = [name.removeprefix("test_") for name in names]
    unused = [pattern for pattern in REFUSED if not any(re.fullmatch(pattern, short) for short in shorts)]
    assert not unused
    assert set(AS_ONNXRUNTIME) <= set(names)
