"""Masks of networks that end in an argmax: their maps of class numbers are decoded as they are, in Python and in C."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import codegen
import edgebn
from benchmarks import places
from edgebn import program as p
from edgebn.cli.main import main
from edgebn.errors import ModelError
from edgebn.preparation.data import Frame, Mask, Picture
from edgebn.preparation.decoding import Decoder
from edgebn.preparation.prepare import plain_pixels
from edgebn.preparation.run_lengths import run_lengths
from tests import emitted
from tests.codegen.test_pipeline_in_c import FRAME, compare
from tests.preparation.test_answers import PICTURE, network

DEEPLAB = places.models_folder() / "zoo" / "coral_deeplabv3_dm05.tflite"
NAMES = ("ground", "sea", "sky", "none")


def argmax(program, told):
    """Return a network that ends in the argmax of another's map, in a shape of (height, width) or with an axis of 1."""
    scores = program.outputs[0]
    height, width, _ = program.buffers[scores].shape
    buffers = {"place": p.Buffer("place", (height, width, 1), "int32"), "numbers": p.Buffer("numbers", p.hwc(told), "int32")}
    steps = [p.ArgExtreme("place", (scores,), "place", "max", 2), p.Reshape("numbers", ("place",), "numbers")]
    shapes = {program.inputs[0]: program.shapes[program.inputs[0]], "numbers": told}
    return replace(program, buffers=program.buffers | buffers, steps=(*program.steps, *steps), outputs=("numbers",), shapes=shapes)


def only_numbers(told=(4, 6)):
    """Return a network whose numbers no argmax made: its picture's first ones."""
    made = network(told)
    buffers = made.buffers | {"numbers": p.Buffer("numbers", p.hwc(told), "int32")}
    steps = (*made.steps, p.Cast("numbers", ("y0",), "numbers"))
    return replace(made, buffers=buffers, steps=steps, outputs=("numbers",), shapes={"x": (8, 8, 3), "numbers": told})


@pytest.mark.parametrize("told", [(5, 6), (5, 6, 1), (1, 5, 6)])
@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_numbers_give_the_mask_of_their_scores(told, fit, dtype, tmp_path):
    picture, scores = Picture(fit=fit, scale=(1 / 128,)), network((5, 6, 4), dtype=dtype)
    edgebn.save(edgebn.prepare(argmax(scores, told), image=picture, answer=Mask(NAMES)), tmp_path / "map.edgebn")
    pixels = np.random.default_rng(3).integers(0, 256, (9, 14, 3)).astype(np.uint8)
    wanted = edgebn.Pipeline(edgebn.prepare(scores, image=picture, answer=Mask(NAMES)))(pixels)
    found = edgebn.Pipeline(edgebn.load(tmp_path / "map.edgebn"))(pixels)
    assert len(set(found.classes.flat)) > 2
    np.testing.assert_array_equal(found.whole(), wanted.whole())
    assert found.as_json() == wanted.as_json()
    unnamed = edgebn.prepare(argmax(scores, told), image=picture, answer=Mask())
    assert edgebn.Pipeline(unnamed)(pixels).shares == wanted.shares  # classes that are not there count too


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("cast", [None, TensorProto.UINT8, TensorProto.INT32])
def test_an_onnx_file_ends_in_an_argmax(keepdims, cast, tmp_path):
    """Of every whole type, with and without the axis of classes: onnxruntime's numbers."""
    rng = np.random.default_rng(0)
    weights = numpy_helper.from_array(rng.normal(size=(4, 3, 3, 3)).astype(np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["scores"], kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("ArgMax", ["scores"], ["places"], axis=1, keepdims=keepdims),
        helper.make_node("Cast", ["places"], ["y"], to=cast) if cast else helper.make_node("Identity", ["places"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 9])
    y = helper.make_tensor_value_info("y", cast or TensorProto.INT64, [1, 1, 8, 9] if keepdims else [1, 8, 9])
    graph = helper.make_graph(nodes, "map", [x], [y], [weights])
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    (tmp_path / "map.onnx").write_bytes(content)
    model = edgebn.prepare(edgebn.load(tmp_path / "map.onnx"), image=Picture(scale=(1 / 128,)), answer=Mask())
    pixels = rng.integers(0, 256, (8, 9, 3)).astype(np.uint8)
    given = (pixels.astype(np.float32) / 128).transpose(2, 0, 1)[None]
    (wanted,) = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, {"x": given})
    found = edgebn.Pipeline(model)(pixels)
    np.testing.assert_array_equal(found.classes, wanted.reshape(8, 9))
    assert found.shares == tuple((np.bincount(wanted.flat, minlength=4) / 72).tolist())


def test_numbers_that_no_argmax_made():
    model = edgebn.prepare(only_numbers(), image=PICTURE, answer=Mask(NAMES))
    numbers = np.arange(24, dtype=np.int32).reshape(1, 4, 6) % 3
    (found,) = Decoder(model).answers(numbers, np.zeros((1, 8, 8, 3)))
    assert found.classes.tolist() == numbers[0].tolist()
    assert found.shares == (8 / 24, 8 / 24, 8 / 24, 0)
    for wrong in (4, -1):
        numbers[0, 2, 2] = wrong
        with pytest.raises(ModelError, match=f"the class {wrong}, and 4 are named"):
            Decoder(model).answers(numbers, np.zeros((1, 8, 8, 3)))
    framed = edgebn.prepare(model, image=replace(PICTURE, frame=Frame(9, 14)))
    with pytest.raises(ModelError, match="leave pipeline=True out and decode the output of"):
        codegen.emit(framed, "never", pipeline=True)


@pytest.mark.parametrize(
    ("program", "names", "said"),
    [
        (argmax(network((5, 6, 4)), (5, 6)), ("a", "b"), "of 2 classes"),
        (argmax(network((5, 6, 1)), (5, 6)), (), "of some classes"),
        (argmax(network((5, 6, 4)), (30,)), (), "shape \\(30,\\)"),
        (only_numbers(), (), "want their classes named"),
        (network((5, 6)), ("a", "b"), "shape \\(5, 6\\)"),  # real numbers
    ],
)
def test_what_is_no_map_of_classes_is_refused(program, names, said):
    with pytest.raises(ModelError, match=said):
        edgebn.prepare(program, image=PICTURE, answer=Mask(names))


@pytest.mark.parametrize(("told", "fit"), [((5, 6), "letterbox"), ((5, 6, 1), "crop")])
def test_in_c(told, fit, tmp_path):
    picture = Picture(fit=fit, scale=(1 / 128,), frame=FRAME)
    model = edgebn.prepare(argmax(network((5, 6, 4), dtype="int8"), told), image=picture, answer=Mask())
    assert compare(model, tmp_path / "out", emitted.board_or_skip("host"), 2) == 4


def test_a_device_goes_the_whole_way(tmp_path, capsys):
    emitted.board_or_skip("host")
    picture = Picture(fit="letterbox", border=114, scale=(1 / 128,), offset=(-0.5,), frame=FRAME)
    model = edgebn.prepare(argmax(network((5, 6, 4), dtype="int8"), (5, 6)), image=picture, answer=Mask(NAMES))
    edgebn.save(model, tmp_path / "map.edgebn")
    assert main(["device", "verify", str(tmp_path / "map.edgebn"), "--board", "host", "--samples", "3", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["samples"], report["mismatches"], report["first_difference"]) == (3, 0, None)
    assert report["preparation"] is not None


def test_the_command_line(tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels.reshape(-1)[:12] = 4, 4, 6, 0, 0, 0, 0, 9, 3, 4, 2, 1
    image.fromarray(pixels).save(tmp_path / "photo.png")
    plain, kept, photo, drawn = (str(tmp_path / name) for name in ("plain.edgebn", "kept.edgebn", "photo.png", "drawn"))
    edgebn.save(argmax(network((2, 2, 3)), (2, 2)), plain)
    options = ["--image", "rgb", "--scale", "1/8", "--mask", "--labels", "a,b,c", "-o", kept]
    assert main(["prepare", plain, *options]) == 0
    assert main(["run", kept, photo, "--draw", drawn]) == 0
    capsys.readouterr()
    assert main(["run", kept, photo]) == 0
    assert "50.0%" in capsys.readouterr().out
    left, right = np.asarray(image.open(Path(drawn) / "photo.png").convert("RGB"), np.int64)[6, [1, 6]]  # both black in the photo
    assert np.abs(left - right).max() > 20
    assert main(["run", kept, photo, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)["answers"]
    whole = np.kron([[2, 0], [1, 0]], np.ones((4, 4)))
    assert answer["masks"] == [{"class": index, **run_lengths(whole == index)} for index in range(3)]


def test_deeplab_is_litert_s():
    """Coral's DeepLab v3 on a photograph of a cat: every cell that shows it is LiteRT's."""
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="LiteRT is not installed")
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    if not DEEPLAB.exists():
        pytest.skip(places.missing("zoo"))
    model = edgebn.load(DEEPLAB)
    scale, offset = plain_pixels(model.buffers[model.inputs[0]])
    names = tuple(f"class {number}" for number in range(21))
    picture = Picture(fit="letterbox", scale=scale, offset=offset)
    pipeline = edgebn.Pipeline(edgebn.prepare(model, image=picture, answer=Mask(names)))
    pixels = data.chelsea()
    codes = pipeline.prepare(pixels)
    interpreter = litert.Interpreter(str(DEEPLAB), experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], (codes.astype(np.int16) + 128).astype(np.uint8))
    interpreter.invoke()
    numbers = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]
    found = pipeline.answer(codes, pixels.shape[:2])
    borders = (len(numbers) - len(found.classes)) // 2
    wanted = numbers[borders : borders + len(found.classes)]
    np.testing.assert_array_equal(found.classes, wanted)
    assert found.shares == tuple((np.bincount(wanted.flat, minlength=21) / wanted.size).tolist())
    assert found.whole().shape == pixels.shape[:2]
    assert found.shares[8] > 0.3  # of PASCAL's classes the cat
