"""What files say beside the network: a real file with packed labels, made ones of every kind, and damage that refuses nothing."""

import io
import zipfile

import flatbuffers
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgebn
from edgebn.formats.metadata import said
from edgebn.preparation.data import Boxes, Classes, Picture, Preparation
from edgebn.preparation.resizing import resized


def test_a_real_file_says_its_labels_and_its_normalisation(shared_zoo):
    found = said(shared_zoo / "coral_mobilenet_v1_025_128_quant.tflite")
    assert found.before == Picture("rgb", scale=(1 / 127.5,), offset=(-1.0,))
    assert len(found.after.names) == 1001
    assert found.after.names[:2] == ("background", "tench, Tinca tinca")


def test_a_real_file_answers_as_litert_does(shared_zoo):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    path = shared_zoo / "coral_mobilenet_v1_025_128_quant.tflite"
    model = edgebn.load(path)
    pipeline = edgebn.Pipeline(model)
    resolver = litert.OpResolverType.BUILTIN_REF
    interpreter = litert.Interpreter(str(path), experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    rng = np.random.default_rng(0)
    for _ in range(5):
        pixels = np.kron(rng.integers(0, 256, (9, 12, 3)), np.ones((30, 30, 1))).astype(np.uint8)
        interpreter.set_tensor(given, resized(pixels, (128, 128), "bilinear")[None])
        interpreter.invoke()
        scores = interpreter.get_tensor(made)[0].astype(int)
        best = np.argsort(-scores, kind="stable")[:5]
        found = pipeline(pixels)
        assert [entry.index for entry in found] == best.tolist()
        assert [round(entry.score * 256) for entry in found] == scores[best].tolist()
        assert found[0].name == model.preparation.after.names[best[0]]


def vector(builder, items):
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return builder.EndVector()


def floats(builder, items):
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependFloat32(item)
    return builder.EndVector()


def table(builder, fields):
    """Write {number: ('offset' or 'byte' or 'whole', value)}."""
    builder.StartObject(max(fields, default=0) + 1)
    for number, (kind, value) in fields.items():
        if kind == "offset":
            builder.PrependUOffsetTRelativeSlot(number, value, 0)
        elif kind == "byte":
            builder.PrependUint8Slot(number, value, 0)
        else:
            builder.PrependUint32Slot(number, value, 0)
    return builder.EndObject()


def note(mean=(127.5,), deviation=(64.0,), colours=2, labels="labels.txt"):
    """Return the metadata of a classifier of pictures."""
    b = flatbuffers.Builder(0)
    options = table(b, {0: ("offset", floats(b, mean)), 1: ("offset", floats(b, deviation))})
    unit = table(b, {0: ("byte", 1), 1: ("offset", options)})
    image = table(b, {0: ("byte", colours)})
    content = table(b, {0: ("byte", 2), 1: ("offset", image)})
    file = table(b, {0: ("offset", b.CreateString(labels)), 2: ("byte", 2)})
    given = table(b, {3: ("offset", content), 4: ("offset", vector(b, [unit]))})
    made = table(b, {6: ("offset", vector(b, [file]))})
    graph = table(b, {2: ("offset", vector(b, [given])), 3: ("offset", vector(b, [made]))})
    b.Finish(table(b, {3: ("offset", vector(b, [graph]))}), b"M001")
    return bytes(b.Output())


def tflite(inner, labels="one\ntwo\n", name="labels.txt"):
    """Return a TensorFlow Lite file without a network, with metadata and packed labels."""
    b = flatbuffers.Builder(0)
    empty = table(b, {})
    data = table(b, {0: ("offset", b.CreateByteVector(inner))})
    entry = table(b, {0: ("offset", b.CreateString("TFLITE_METADATA")), 1: ("whole", 1)})
    b.Finish(table(b, {4: ("offset", vector(b, [empty, data])), 6: ("offset", vector(b, [entry]))}), b"TFL3")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, labels)
    return bytes(b.Output()) + packed.getvalue()


@pytest.fixture
def file(tmp_path):
    def write(content, name="a.tflite"):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return write


def test_every_field_is_read(file):
    assert said(file(tflite(note()))) == Preparation(
        Picture("grey", scale=(1 / 64,), offset=(-127.5 / 64,)), Classes(("one", "two"))
    )
    three = said(file(tflite(note((1.0, 2.0, 3.0), (1.0, 2.0, 4.0), colours=1))))
    assert three.before == Picture("rgb", scale=(1.0, 0.5, 0.25), offset=(-1.0, -1.0, -0.75))


@pytest.mark.parametrize(
    "content",
    [
        tflite(note(labels="others.txt")),
        tflite(note())[:200],
        tflite(note()[:40]),
        b"TFL3",
        b"",
        b"\xff" * 64 + b"TFLITE_METADATA",
    ],
)
def test_damage_says_nothing(content, file):
    assert said(file(content)) is None


def test_every_damaged_byte_is_survived(file):
    content = tflite(note())
    for at in range(0, len(content), 3):
        for value in (0, 255):
            said(file(content[:at] + bytes([value]) + content[at + 1 :]))


def onnx_classifier(props, classes=3):
    """Return a small network as ultralytics exports one: channels first, softmax at the end."""
    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array(rng.normal(0, 1, (classes, 3, 8, 8)).astype(np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["scores"], name="conv"),
        helper.make_node("Flatten", ["scores"], ["flat"], name="flatten"),
        helper.make_node("Softmax", ["flat"], ["output0"], name="softmax"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, classes])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, props)
    return model


PROPS = {"author": "Ultralytics", "task": "classify", "names": "{0: 'cat', 1: 'dog', 2: 'hen'}", "imgsz": "[8, 8]"}


def test_a_classifier_of_ultralytics_needs_nothing_said(tmp_path):
    onnx.save(onnx_classifier(PROPS), tmp_path / "net.onnx")
    model = edgebn.load(tmp_path / "net.onnx")
    assert model.preparation == Preparation(Picture("rgb", "antialias", "crop", scale=(1 / 255,)), Classes(("cat", "dog", "hen")))
    answer = edgebn.Pipeline(model)(np.random.default_rng(1).integers(0, 256, (20, 30, 3)).astype(np.uint8))
    assert sorted(entry.name for entry in answer) == ["cat", "dog", "hen"]
    assert sum(entry.score for entry in answer) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("props", [{}, {"task": "obb"}, {"names": "cat, dog"}, {"names": "{1: 'cat'}"}, {"author": "others"}])
def test_other_files_of_onnx_say_nothing(props, tmp_path):
    onnx.save(onnx_classifier(PROPS | props if props else {}), tmp_path / "net.onnx")
    assert edgebn.load(tmp_path / "net.onnx").preparation is None


def test_names_that_do_not_fit_are_left_out(tmp_path):
    onnx.save(onnx_classifier(PROPS, classes=4), tmp_path / "net.onnx")
    assert edgebn.load(tmp_path / "net.onnx").preparation == Preparation(Picture("rgb", "antialias", "crop", scale=(1 / 255,)))


def onnx_heads(props, *shapes):
    """Return a network of one convolution for each output: (numbers, candidates) or a map."""
    nodes, outputs, weights = [], [], []
    for place, shape in enumerate(shapes):
        weights.append(numpy_helper.from_array(np.ones((shape[0], 3, 4, 4), np.float32), f"w{place}"))
        nodes.append(helper.make_node("Conv", ["images", f"w{place}"], [f"map{place}"], name=f"conv{place}", strides=[4, 4]))
        if len(shape) == 2:
            weights.append(numpy_helper.from_array(np.array([1, shape[0], -1], np.int64), f"shape{place}"))
            nodes.append(helper.make_node("Reshape", [f"map{place}", f"shape{place}"], [f"output{place}"], name=f"reshape{place}"))
        else:
            nodes[-1].output[0] = f"output{place}"
        outputs.append(helper.make_tensor_value_info(f"output{place}", TensorProto.FLOAT, [1, *shape]))
    given = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 32])]
    model = helper.make_model(
        helper.make_graph(nodes, "net", given, outputs, weights), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    helper.set_model_props(model, PROPS | props)
    return model


@pytest.mark.parametrize(
    ("props", "shapes", "boxes"),
    [
        ({"task": "detect"}, ((7, 64),), Boxes(("cat", "dog", "hen"))),
        ({"task": "segment"}, ((15, 64), (8, 8, 8)), Boxes(("cat", "dog", "hen"), masks=8)),
        ({"task": "pose", "kpt_shape": "[5, 3]"}, ((22, 64),), Boxes(("cat", "dog", "hen"), points=5)),
        ({"task": "pose", "kpt_shape": "[4, 2]"}, ((15, 64),), Boxes(("cat", "dog", "hen"), points=4)),
        ({"task": "segment"}, ((15, 64),), "nothing"),  # no prototypes
        ({"task": "segment"}, ((16, 64), (8, 8, 8)), None),
        ({"task": "pose"}, ((22, 64),), "nothing"),
        ({"task": "detect", "end2end": "True", "names": "{0: 'cat', 1: 'dog'}"}, ((6, 64),), None),  # six numbers, of another kind
        ({"task": "detect", "args": "{'nms': True}", "names": "{0: 'cat', 1: 'dog'}"}, ((6, 64),), None),
        ({"task": "detect", "args": "none"}, ((7, 64),), "nothing"),
    ],
)
def test_the_task_of_ultralytics_says_the_answer(props, shapes, boxes, tmp_path):
    onnx.save(onnx_heads(props, *shapes), tmp_path / "net.onnx")
    kept = edgebn.load(tmp_path / "net.onnx").preparation
    picture = Picture("rgb", "bilinear", "letterbox", 114, scale=(1 / 255,))
    assert kept == (None if boxes == "nothing" else Preparation(picture, boxes))
