"""ONNX's NonMaxSuppression: every row of onnxruntime's in Python and in C, and what usual exports pick by it."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgebn
from edgebn import reference
from edgebn.errors import BatchWarning, UnsupportedLayerError
from edgebn.session import Session
from tests import emitted
from tests.conftest import TEST_ALL

SEEDS = range(200 if TEST_ALL else 20)
node = helper.make_node


def save(path, nodes, inputs, constants, output_type=TensorProto.INT64):
    """Write a model with one output 'y'."""
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "net", given, [helper.make_tensor_value_info("y", output_type, None)], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, path)


def settings(most, overlap, score=None):
    """Return the constants that the operator reads, and their names."""
    held = {"most": np.array([most], np.int64), "overlap": np.array([overlap], np.float32)}
    held |= {} if score is None else {"score": np.array([score], np.float32)}
    return held, list(held)


def onnxruntimes(path, given):
    """Return onnxruntime's rows."""
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, given)[0]


def answers(model, given):
    """Return the rows of the specification and of a session."""
    for rows in (reference.run(model, given), Session(model).run(given)):
        array = np.asarray(rows["y"] if isinstance(rows, dict) else rows)
        yield array.reshape(-1, array.shape[-1])  # a file's only row stands on the batch axis


def random_model(rng, path):
    """Write the operator alone with random settings; return a sample."""
    count, classes, most = (int(rng.integers(1, end)) for end in (60, 4, 70))
    held, names = settings(most, rng.choice([0.0, 0.3, 0.5, 1.0]), rng.choice([None, 0.3, 0.0, -1.0]))
    operator = node("NonMaxSuppression", ["b", "s", *names], ["y"], center_point_box=int(rng.integers(2)))
    shapes = {"b": (1, count, 4), "s": (1, classes, count)}
    save(path, [operator], shapes, held)
    return {"b": rng.uniform(-0.2, 1, shapes["b"]).astype(np.float32), "s": rng.uniform(0, 1, shapes["s"]).round(1).astype("f4")}


def test_every_row_is_onnxruntime_s(tmp_path):
    path, sizes = tmp_path / "net.onnx", []
    for seed in SEEDS:
        given = random_model(np.random.default_rng(seed), path)
        wanted = onnxruntimes(path, given)
        sizes.append(len(wanted))
        for rows in answers(edgebn.load(path), given):
            np.testing.assert_array_equal(rows[: len(wanted)], wanted)
            assert (rows[len(wanted) :] == -1).all()
    assert max(sizes) > 20


def detector(path, *, linear):
    """Write what YOLO's exporters make: boxes and classes picked by the rows, through one index or through pairs."""
    held, names = settings(6, 0.5, 0.55)
    numbers = {"zero": [0], "two": [2], "four": [4], "five": [5], "all": [100]}
    nodes = [
        node("Slice", ["x", "zero", "four", "two"], ["b"]),
        node("Slice", ["x", "four", "all", "two"], ["c"]),
        node("Transpose", ["c"], ["s"], perm=[0, 2, 1]),
        node("NonMaxSuppression", ["b", "s", *names], ["found"], center_point_box=1),
        node("Slice", ["found", "zero", "five", "zero"], ["rows"]),  # the first five
        node("Gather", ["rows", "zero"], ["pictures"], axis=1),
        node("Gather", ["rows", "two"], ["places"], axis=1),
    ]
    if linear:
        numbers |= {"n": [8], "one": [1], "last": [-1, 4]}
        nodes += [
            node("Mul", ["pictures", "n"], ["start"]),
            node("Add", ["start", "places"], ["at"]),
            node("Squeeze", ["at", "one"], ["index"]),
            node("Reshape", ["b", "last"], ["flat"]),
            node("Gather", ["flat", "index"], ["boxes"]),
        ]
    else:
        nodes += [
            node("Concat", ["pictures", "places"], ["pair"], axis=1),
            node("GatherND", ["b", "pair"], ["boxes"]),
        ]
    nodes += [node("Cast", ["rows"], ["real"], to=TensorProto.FLOAT), node("Concat", ["real", "boxes"], ["y"], axis=1)]
    held |= {name: np.array(value, np.int64) for name, value in numbers.items()}
    save(path, nodes, {"x": (1, 8, 6)}, held, TensorProto.FLOAT)


@pytest.mark.parametrize("linear", [False, True])
def test_what_is_picked_by_rows_is_zeros_behind_the_last(linear, tmp_path):
    path, sizes = tmp_path / "net.onnx", set()
    detector(path, linear=linear)
    model = edgebn.load(path)
    for seed in range(8):
        x = np.random.default_rng(seed).uniform(0, 1, (1, 8, 6)).astype(np.float32)
        wanted = onnxruntimes(path, {"x": x})
        sizes.add(len(wanted))
        for rows in answers(model, {"x": x}):
            np.testing.assert_array_equal(rows[: len(wanted)], wanted)
            np.testing.assert_array_equal(rows[len(wanted) :], np.tile(np.float32([-1, -1, -1, 0, 0, 0, 0]), (5 - len(wanted), 1)))
    assert {4, 5} <= sizes
    samples = np.random.default_rng(0).uniform(0, 1, (8, 1, 8, 6)).astype(np.float32)
    emitted.check(model, tmp_path / "c", "host", samples)


def test_a_quantised_network_keeps_its_boxes_in_float32(tmp_path):
    """A dense layer makes boxes and scores: codes behind it, boxes of real numbers."""
    path, rng = tmp_path / "net.onnx", np.random.default_rng(1)
    held, names = settings(3, 0.5)
    nodes = [node("MatMul", ["x", "w"], ["b"]), node("Transpose", ["b"], ["t"], perm=[0, 2, 1]),
             node("NonMaxSuppression", ["b", "t", *names], ["y"])]  # fmt: skip
    save(path, nodes, {"x": (1, 8, 6)}, {**held, "w": rng.normal(0, 1, (6, 4)).astype(np.float32)})
    quantized = edgebn.quantize(edgebn.load(path), calibration=rng.normal(0, 1, (8, 8, 6)).astype(np.float32))
    assert {"int8", "int32"} <= {buffer.dtype for buffer in quantized.buffers.values()}
    assert Session(quantized).run(rng.normal(0, 1, (2, 8, 6)).astype(np.float32)).shape == (2, 12, 3)


def by_truth(path, count=12):
    """Write what ultralytics makes with nms=True: candidates above a score, and boxes that stay of them, padded to five."""
    held, names = settings(10**9, 0.4)
    numbers = {"zero": [0], "two": [2], "four": [4], "five": [5], "one": [1], "flat": [-1], "column": [-1, 1], "wanted": [5, 5],
               "nowhere": [0, 0]}  # fmt: skip
    held |= {name: np.array(value, np.int64) for name, value in numbers.items()} | {"least": np.float32(0.3)}
    nodes = [
        node("Squeeze", ["x", "zero"], ["all"]),
        node("Slice", ["all", "four", "five", "one"], ["column_of_scores"]),
        node("Squeeze", ["column_of_scores", "one"], ["s"]),
        node("Greater", ["s", "least"], ["above"]),
        node("NonZero", ["above"], ["places"]),
        node("Transpose", ["places"], ["rows"], perm=[1, 0]),
        node("GatherND", ["all", "rows"], ["candidates"]),
        node("GatherND", ["s", "rows"], ["scores"]),
        node("Slice", ["all", "five", "five", "one"], ["none"]),  # what this kind of network has no more of
        node("GatherND", ["none", "rows"], ["no_more"]),
        node("Slice", ["candidates", "zero", "four", "one"], ["corners"]),
        node("Unsqueeze", ["corners", "zero"], ["b"]),
        node("Unsqueeze", ["scores", "zero"], ["one_class"]),
        node("Unsqueeze", ["one_class", "zero"], ["c"]),
        node("NonMaxSuppression", ["b", "c", *names], ["found"]),
        node("Gather", ["found", "two"], ["kept_column"], axis=1),
        node("Squeeze", ["kept_column", "one"], ["kept"]),
        node("Slice", ["kept", "zero", "five"], ["first"]),
        node("Gather", ["candidates", "first"], ["boxes"]),
        node("Gather", ["no_more", "first"], ["rest"]),
        node("Concat", ["boxes", "rest"], ["joined"], axis=1),
        node("Shape", ["joined"], ["shape"]),
        node("Gather", ["shape", "zero"], ["number"]),
        node("Sub", ["five", "number"], ["missing"]),
        node("Mul", ["missing", "five"], ["elements"]),
        node("Concat", ["zero", "elements"], ["pads"], axis=0),
        node("Reshape", ["joined", "flat"], ["line"]),
        node("Pad", ["line", "pads"], ["padded"]),
        node("Reshape", ["padded", "wanted"], ["y"]),
    ]
    save(path, nodes, {"x": (1, count, 5)}, held, TensorProto.FLOAT)


def test_boxes_of_candidates_that_a_run_finds(tmp_path):
    path, sizes = tmp_path / "net.onnx", set()
    by_truth(path)
    model = edgebn.load(path)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = rng.uniform(0, 1, (1, 12, 5)).astype(np.float32)
        x[..., 4] *= (rng.uniform(0, 1, 12) < seed / 11).astype(np.float32) * rng.choice([1, -1], 12, p=[0.8, 0.2])
        wanted = onnxruntimes(path, {"x": x})
        sizes.add(int((wanted[:, 4] > 0).sum()))
        for rows in answers(model, {"x": x}):
            np.testing.assert_array_equal(rows, wanted)
    assert {0, 1, 5} <= sizes
    samples = np.random.default_rng(0).uniform(0, 1, (8, 1, 12, 5)).astype(np.float32)
    emitted.check(model, tmp_path / "c", "host", samples)


@pytest.mark.parametrize("shape", [(7,), (3, 4), (1, 2, 3, 2)])
def test_non_zero_lists_places_in_their_order(shape, tmp_path):
    save(tmp_path / "net.onnx", [node("Relu", ["x"], ["r"]), node("NonZero", ["r"], ["y"])], {"x": (1, *shape)}, {})
    model = edgebn.load(tmp_path / "net.onnx")
    for seed in range(6):
        x = np.random.default_rng(seed).normal(0, 1, (1, *shape)).astype(np.float32)
        wanted = onnxruntimes(tmp_path / "net.onnx", {"x": x})
        for rows in (reference.run(model, {"x": x}), Session(model).run({"x": x})):
            array = np.asarray(rows["y"] if isinstance(rows, dict) else rows).reshape(len(wanted), -1)
            np.testing.assert_array_equal(array[:, : wanted.shape[1]], wanted)
            assert (array[:, wanted.shape[1] :] == -1).all()


REFUSED = {
    "most": ({"most": np.array([0], np.int64)}, (1, 8, 4), [], "keeps no box"),
    "rows": ({}, (1, 80000, 4), [], "smaller max_output_boxes_per_class"),
    "pictures": ({}, (2, 8, 4), [], "export it with a batch of 1"),
    "mean": ({}, (1, 8, 4), [node("Cast", ["y"], ["r"], to=1), node("ReduceMean", ["r"], ["m"], axes=[0])], "works on all boxes"),
    "index": (
        {"one": np.array(1, np.int64)},
        (1, 8, 4),
        [node("Add", ["y", "one"], ["i"]), node("Gather", ["b", "i"], ["m"], axis=1)],
        "picks by what is computed of NonMaxSuppression's rows",
    ),
    "nonzero": ({}, (1, 8, 4), [node("NonZero", ["y"], ["m"])], "it lists the elements of a value"),
    "number": (
        {},
        (1, 8, 4),
        [
            node("Shape", ["y"], ["n"]),
            node("Cast", ["n"], ["f"], to=1),
            node("ReduceMean", ["f"], ["g"], keepdims=0),
            node("Mul", ["b", "g"], ["m"]),
        ],
        "number of rows that only a run tells",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_told_is_refused_in_one_line(case, tmp_path):
    changed, shape, behind, message = REFUSED[case]
    held, names = settings(10**9, 0.5)
    given = {"b": shape, "s": (shape[0], 1, shape[1])}
    last = behind[-1].output[0] if behind else "y"
    nodes = [node("NonMaxSuppression", ["b", "s", *names], ["y"]), *behind]
    save(tmp_path / "net.onnx", nodes, given, {**held, **changed})
    model = onnx.load(tmp_path / "net.onnx")
    model.graph.output[0].name = last
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(UnsupportedLayerError, match=message) as refusal:
        edgebn.load(tmp_path / "net.onnx")
    assert "\n" not in str(refusal.value)


def test_pictures_whose_number_is_open_are_taken_for_one(tmp_path):
    held, names = settings(3, 0.5)
    nodes = [node("NonMaxSuppression", ["b", "s", *names], ["y"])]
    save(tmp_path / "net.onnx", nodes, {"b": ("N", 8, 4), "s": ("N", 1, 8)}, held)
    with pytest.warns(BatchWarning, match="read with a batch of 1"):
        model = edgebn.load(tmp_path / "net.onnx")
    rng = np.random.default_rng(3)
    boxes, scores = rng.uniform(0, 1, (1, 8, 4)).astype(np.float32), rng.uniform(0, 1, (1, 1, 8)).astype(np.float32)
    wanted = onnxruntimes(tmp_path / "net.onnx", {"b": boxes, "s": scores})
    rows = np.asarray(Session(model).run({"b": boxes, "s": scores})).reshape(-1, 3)
    np.testing.assert_array_equal(rows[: len(wanted)], wanted)
    assert (rows[len(wanted) :] == -1).all()
