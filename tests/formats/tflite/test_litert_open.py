"""TensorFlow Lite files that leave shapes open, inside and at their inputs: LiteRT works them out, and so does the reader."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")

from ai_edge_litert.interpreter import Interpreter

import edgebn
from edgebn import reference
from edgebn.errors import EdgebnError, ModelError, UnsupportedLayerError
from edgebn.formats.tflite import read
from edgebn.passes import lower
from tests.conftest import TEST_ALL
from tests.formats.tflite import tflite_operators
from tests.formats.tflite.test_litert import FLOAT_OPERATORS, TOLERANCE, litert_runs, relative_error
from tests.formats.tflite.tflite_integers import STEPS, resized_by
from tests.formats.tflite.tflite_maker import SAME, VALID, Maker
from tests.formats.tflite.tflite_models import FileBuilder

SEEDS = range(20 if TEST_ALL else 3)
CLOSED = (tflite_operators.variable, tflite_operators.sparse_weight)  # a variable's shape and a weight's are never open
OPENED = [make for make in FLOAT_OPERATORS if make not in CLOSED]


@pytest.mark.parametrize("left", ["sizes", "ranks"])
@pytest.mark.parametrize("make", OPENED, ids=lambda make: make.__name__)
def test_every_operator_gives_its_shape(make, left, tmp_path) -> None:
    path = tmp_path / "model.tflite"
    for seed in SEEDS:
        content, shape, rng = tflite_operators.build(make, seed, integer=False, leave_open=left)
        path.write_bytes(content)
        x = rng.normal(0, 2, (2, *shape[1:])).astype(np.float32)
        assert relative_error(reference.run(lower(read(path)), x), litert_runs(content, x)) <= TOLERANCE, f"seed {seed}"


@pytest.mark.parametrize(
    "make",
    [make for make in tflite_operators.BOTH + tflite_operators.INT8_ONLY if make not in CLOSED],
    ids=lambda make: make.__name__,
)
def test_int8_files_are_those_whose_shapes_are_known(make, tmp_path) -> None:
    """TensorFlow Lite Micro, which decides int8 bytes, wants shapes that are known; the open file computes what the other does."""
    path = tmp_path / "model.tflite"
    for seed in SEEDS:
        results = []
        for left in ("", "sizes"):
            content, shape, rng = tflite_operators.build(make, seed, integer=True, leave_open=left)
            path.write_bytes(content)
            codes = rng.integers(-128, 128, (2, *shape[1:])).astype(np.int8)
            results.append(reference.run(lower(read(path)), codes))
        np.testing.assert_array_equal(*results)


def resized_runs(content: bytes, x: np.ndarray) -> np.ndarray:
    """LiteRT with its input resized, one sample after the other."""
    interpreter = Interpreter(model_content=content)
    given = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(given, (1, *x.shape[1:]))
    interpreter.allocate_tensors()
    outputs = []
    for sample in x:
        interpreter.set_tensor(given, sample[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy())
    return np.concatenate(outputs)


def open_network(m: Maker) -> tuple[int, int]:
    """A network whose height and width are open: convolutions, a resize to twice the size worked out from SHAPE, a flat end."""
    x, y = m.value((1, 1, 1, 3)), m.value((1, 1, 1, 4))
    weight, bias, _ = m.weight((4, 3, 3, 3), 0, 1.0)
    m.file.operator(
        "CONV_2D", [x, weight, bias], [y], "Conv2DOptions", padding=SAME, strideH=2, strideW=2, fusedActivationFunction=1
    )
    shape, size, twice, large = (
        m.file.value((4,), np.int32),
        m.file.value((2,), np.int32),
        m.file.value((2,), np.int32),
        m.value((1, 1, 1, 4)),
    )
    m.file.operator("SHAPE", [y], [shape], "ShapeOptions", outType=2)
    limits = [m.integers(1), m.integers(3), m.integers(1)]
    m.file.operator("STRIDED_SLICE", [shape, *limits], [size], "StridedSliceOptions")
    m.file.operator("MUL", [size, m.integers(2)], [twice], "MulOptions")
    m.file.operator("RESIZE_BILINEAR", [y, twice], [large], "ResizeBilinearOptions", halfPixelCenters=True)
    pooled, flat = m.value((1, 1, 1, 4)), m.value((1, 1))
    settings = {"filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 2, "padding": VALID}
    m.file.operator("MAX_POOL_2D", [large], [pooled], "Pool2DOptions", **settings)
    m.file.operator("RESHAPE", [pooled, m.integers(1, -1)], [flat], "ReshapeOptions")
    open_all(m.file, x, (-1, -1, -1, 3))
    return x, flat


def open_all(file: FileBuilder, x: int, signature: tuple[int, ...]) -> None:
    for index, tensor in enumerate(file.tensors):
        if not tensor.buffer and tensor.type == file.tensors[x].type:
            tensor.shapeSignature = list(signature) if index == x else [-1] * len(tensor.shape)


def saved(tmp_path, m: Maker, x: int, y: int) -> tuple:
    content = m.finish([x], [y])
    (tmp_path / "open.tflite").write_bytes(content)
    return tmp_path / "open.tflite", content


@pytest.mark.parametrize("shape", [(8, 8, 3), (7, 12, 3), (1, 5, 3)])
def test_input_shape_closes_open_inputs(tmp_path, shape) -> None:
    m = Maker(np.random.default_rng(0), integer=False)
    x, y = open_network(m)
    path, content = saved(tmp_path, m, x, y)
    values = m.rng.normal(0, 2, (3, *shape)).astype(np.float32)
    expected = resized_runs(content, values)
    for given in (shape, {m.file.tensors[x].name: shape}):
        assert relative_error(reference.run(lower(read(path, input_shape=given)), values), expected) <= TOLERANCE
    assert relative_error(edgebn.Session(edgebn.load(path, input_shape=shape)).run(values), expected) <= TOLERANCE


def test_two_open_inputs_are_given_by_name(tmp_path) -> None:
    files = FileBuilder()
    a, b, y = (files.value((1, 1, 3), np.float32, name=name) for name in ("a", "b", "y"))
    for index in (a, b, y):
        files.tensors[index].shapeSignature = [-1, -1, 3]
    files.operator("SUB", [a, b], [y], "SubOptions")
    path = tmp_path / "m.tflite"
    path.write_bytes(files.bytes([a, b], [y]))
    rng = np.random.default_rng(0)
    given = {name: rng.normal(0, 1, (2, 5, 3)).astype(np.float32) for name in "ab"}
    program = edgebn.load(path, input_shape={"a": (5, 3), "b": (5, 3)})
    np.testing.assert_allclose(edgebn.Session(program).run(given), given["a"] - given["b"], atol=1e-6)
    with pytest.raises(ModelError, match=r"the network has 2 inputs; give input_shape as \{name: shape\}"):
        edgebn.load(path, input_shape=(5, 3))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, r"input 'value_0' of shape \(-1, -1, 3\) leaves sizes open; give them with input_shape="),
        ((8, 8, 1), r"input_shape=\(8, 8, 1\) does not fit it, which the file gives as \(-1, -1, 3\)"),
        ((8, 8), "does not fit it"),
        ((0, 8, 3), "empty or too large"),
        ({"other": (8, 8, 3)}, "input_shape names other, which is no input of the network|leaves sizes open"),
    ],
)
def test_input_shapes_that_do_not_fit(tmp_path, given, message) -> None:
    m = Maker(np.random.default_rng(0), integer=False)
    path, _ = saved(tmp_path, m, *open_network(m))
    with pytest.raises(ModelError, match=message) as caught:
        read(path, input_shape=given)
    assert str(caught.value).startswith(str(path))


def test_a_size_beside_an_open_signature_is_taken(tmp_path) -> None:
    """Some converters leave the size that the model was exported with in place."""
    m = Maker(np.random.default_rng(0), integer=False)
    x, y = open_network(m)
    m.file.tensors[x].shape = [1, 6, 5, 3]
    path, _ = saved(tmp_path, m, x, y)
    assert read(path).tensors["value_0"].shape == (6, 5, 3)
    assert read(path, input_shape=(9, 4, 3)).tensors["value_0"].shape == (9, 4, 3)


def test_closed_inputs_keep_their_shape(tmp_path) -> None:
    content, shape, _ = tflite_operators.build(tflite_operators.conv_2d, 0, integer=False)
    (tmp_path / "m.tflite").write_bytes(content)
    assert read(tmp_path / "m.tflite", input_shape=shape[1:])
    with pytest.raises(ModelError, match="does not fit it"):
        read(tmp_path / "m.tflite", input_shape=(shape[1] + 1, *shape[2:]))


def test_a_signature_that_is_not_what_comes_out_is_refused(tmp_path) -> None:
    content, *_ = build_signed([-1, 5])
    (tmp_path / "m.tflite").write_bytes(content)
    with pytest.raises(ModelError, match=r"makes a value of shape \(1, 4\), but the file says \(-1, 5\)"):
        read(tmp_path / "m.tflite")


def build_signed(signature: list[int]) -> tuple[bytes, FileBuilder]:
    files = FileBuilder()
    x, y = files.value((1, 4), np.float32), files.value((1, 1), np.float32)
    files.tensors[y].shapeSignature = signature
    files.operator("RELU", [x], [y])
    return files.bytes([x], [y]), files


def test_a_shape_that_the_network_computes_is_refused(tmp_path) -> None:
    """The target of the RESHAPE is an input of the network: nothing says what it is."""
    files = FileBuilder()
    x, target, y = files.value((1, 8), np.float32), files.value((3,), np.int32), files.value((1, 1, 1), np.float32, name="out")
    files.tensors[y].shapeSignature = [-1, -1, -1]
    ghost = files.value((3,), np.int32)
    files.operator("ARG_MAX", [x, files.constant(np.array(1, np.int32))], [ghost], "ArgMaxOptions")
    files.operator("RESHAPE", [x, target], [y], "ReshapeOptions")
    files.operators.reverse()
    (tmp_path / "m.tflite").write_bytes(files.bytes([x], [y]))
    with pytest.raises(UnsupportedLayerError, match=r"layer 'out' \(RESHAPE\): its new shape is computed by the network"):
        read(tmp_path / "m.tflite")


# Integers of shapes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_sizes_are_worked_out(step, tmp_path) -> None:
    """Each kind of integer arithmetic gives the size of a resize, which LiteRT works out too."""
    content, rng = resized_by(step)
    (tmp_path / "m.tflite").write_bytes(content)
    values = rng.normal(0, 1, (2, 6, 7, 2)).astype(np.float32)
    result = reference.run(lower(read(tmp_path / "m.tflite")), values)
    np.testing.assert_array_equal(result, litert_runs(content, values))


@pytest.mark.parametrize(
    ("kind", "inputs", "options"),
    [
        ("GATHER", ((9, 9), (2,)), "GatherOptions"),
        ("FLOOR_DIV", ((9, 9), (0,)), "FloorDivOptions"),
        ("DIV", ((9, 9), (0,)), "DivOptions"),
        ("SLICE", ((9, 9), (3,), (1,)), "SliceOptions"),
        ("MUL", ((1 << 30, 9), (1 << 30,)), "MulOptions"),
    ],
)
def test_integers_that_make_no_sense_are_refused(kind, inputs, options, tmp_path) -> None:
    files = FileBuilder()
    x, y, size = files.value((1, 4, 4, 1), np.float32), files.value((1, 4, 4, 1), np.float32), files.value((2,), np.int32)
    files.operator(kind, [files.constant(np.array(numbers, np.int32)) for numbers in inputs], [size], options)
    files.operator("RESIZE_NEAREST_NEIGHBOR", [x, size], [y], "ResizeNearestNeighborOptions")
    (tmp_path / "m.tflite").write_bytes(files.bytes([x], [y]))
    with pytest.raises(EdgebnError, match=rf"\({kind}\): .*the file is damaged"):
        read(tmp_path / "m.tflite")


def test_an_axis_of_one_that_comes_first_is_the_batch_axis_from_there_on(tmp_path) -> None:
    """A value without a batch axis, whose axes are exchanged so that one of size 1 comes first; and a mean over its first axis."""
    for kind in ("TRANSPOSE", "MEAN"):
        m = Maker(np.random.default_rng(2), integer=False)
        x, flat = m.value((1, 4, 3)), m.value((4, 1, 3))
        m.file.operator("RESHAPE", [x, m.integers(4, 1, 3)], [flat], "ReshapeOptions", newShape=[4, 1, 3])
        turned, y = (
            m.value((1, 4, 3) if kind == "TRANSPOSE" else (1, 1, 3)),
            m.value((1, 4, 3) if kind == "TRANSPOSE" else (1, 1, 3)),
        )
        if kind == "TRANSPOSE":
            m.file.operator("TRANSPOSE", [flat, m.integers(1, 0, 2)], [turned], "TransposeOptions")
        else:
            m.file.operator("MEAN", [flat, m.integers(0)], [turned], "ReducerOptions", keepDims=True)
        m.file.operator("SOFTMAX", [turned], [y], "SoftmaxOptions", beta=1.0)
        path, content = saved(tmp_path, m, x, y)
        values = m.rng.normal(0, 1, (2, 4, 3)).astype(np.float32)
        assert relative_error(reference.run(lower(read(path)), values), litert_runs(content, values)) <= TOLERANCE


def test_a_value_that_is_an_output_twice(tmp_path) -> None:
    """Float32 and int8: both are given, under names of their own."""
    for integer in (False, True):
        m = Maker(np.random.default_rng(2), integer)
        x, y = tflite_operators.relu6(m)
        (tmp_path / "m.tflite").write_bytes(m.finish([x], [y, y, x]))
        values = m.rng.normal(0, 2, (2, *tflite_operators.SHAPE[1:])).astype(np.float32)
        got = reference.run(lower(read(tmp_path / "m.tflite")), values)
        assert list(got) == ["value_1", "value_1/output2", "value_0"]
        np.testing.assert_array_equal(got["value_1"], got["value_1/output2"])


def test_the_face_detector_with_open_shapes(shared_zoo) -> None:
    """Dilated convolutions by batches, RESHAPE by SHAPE, open shapes: against LiteRT."""
    path = shared_zoo / "ulfg_rfb320_tfl.tflite"
    program = lower(read(path))
    x = np.random.default_rng(0).normal(0, 1, (2, 240, 320, 3)).astype(np.float32)
    results = edgebn.Session(program).run(x)
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    for index, sample in enumerate(x):
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[None])
        interpreter.invoke()
        for detail, name in zip(interpreter.get_output_details(), program.outputs, strict=True):
            expected = interpreter.get_tensor(detail["index"])
            assert relative_error(results[name][index : index + 1], expected) <= TOLERANCE
