"""Classifiers of other makers name what is in pictures of scikit-image: the same five classes as LiteRT, of the same pixels.

Coral's MobileNet is uint8 throughout. STMicroelectronics' model zoo has uint8 pixels in front of an int8 body and real shares
behind it; none of its files is here, so a network of TinyMaix is put into that form, and run as it is besides (int8 to int8).
"""

import numpy as np
import pytest

from benchmarks import places

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed")
pytest.importorskip("skimage", reason="scikit-image is not installed")
pytest.importorskip("cv2", reason="OpenCV is not installed")

import cv2
import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from skimage import data

import edgebn
from edgebn.preparation.data import Picture
from edgebn.preparation.prepare import plain_pixels

ZOO = places.models_folder() / "zoo"
PICTURES = ("astronaut", "coffee", "chelsea", "rocket", "camera")
SIDE = 128


def st_like(content):
    """Return an int8 classifier as STMicroelectronics' scripts convert one: uint8 pixels in, float32 shares out."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    (first,), (last,) = graph.inputs, graph.outputs

    def tensor(like, kind, name):
        made = schema.TensorT()
        made.shape, made.type, made.name, made.buffer = graph.tensors[like].shape, kind, name, 0
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    def operator(code, options_type, options, source, target):
        known = schema.OperatorCodeT()
        known.builtinCode = known.deprecatedBuiltinCode = code
        known.version = 2
        model.operatorCodes.append(known)
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(model.operatorCodes) - 1, [source], [target]
        made.builtinOptionsType, made.builtinOptions = options_type, options
        return made

    pixels = tensor(first, schema.TensorType.UINT8, b"pixels")
    graph.tensors[pixels].quantization = schema.QuantizationParametersT()
    graph.tensors[pixels].quantization.scale = graph.tensors[first].quantization.scale
    graph.tensors[pixels].quantization.zeroPoint = [int(graph.tensors[first].quantization.zeroPoint[0]) + 128]
    shares = tensor(last, schema.TensorType.FLOAT32, b"shares")
    kinds, operators = schema.BuiltinOptions, schema.BuiltinOperator
    graph.operators = [
        operator(operators.QUANTIZE, kinds.QuantizeOptions, schema.QuantizeOptionsT(), pixels, first),
        *graph.operators,
        operator(operators.DEQUANTIZE, kinds.DequantizeOptions, schema.DequantizeOptionsT(), last, shares),
    ]
    graph.inputs, graph.outputs, model.signatureDefs = [pixels], [shares], []
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    names = {"coral": "coral_mobilenet_v1_025_128_quant.tflite", "tinymaix": "tm_mbnet128_q.tflite"}
    found = {name: ZOO / file for name, file in names.items()}
    missing = [path.name for path in found.values() if not path.exists()]
    if missing:
        pytest.skip(places.missing("zoo"))
    found["st"] = tmp_path_factory.mktemp("st") / "mobilenet_v1_0.25_128_int8.tflite"
    found["st"].write_bytes(st_like(found["tinymaix"].read_bytes()))
    return found


def litert(path, pixels):
    """Return LiteRT's shares of pixels, which codes of every input are."""
    interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if given["dtype"] == np.int8:
        pixels = (pixels.astype(np.int16) - 128).astype(np.int8)
    interpreter.set_tensor(given["index"], pixels[None])
    interpreter.invoke()
    values, (scale, zero) = interpreter.get_tensor(made["index"])[0], made["quantization"]
    return (values.astype(np.float64) - zero) * scale if scale else values.astype(np.float64)


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("name", ["coral", "tinymaix", "st"])
def test_the_five_surest_are_litert_s(name, picture, files):
    model = edgebn.load(files[name])
    if name != "coral":  # whose file says it
        scale, offset = plain_pixels(model.buffers[model.inputs[0]])
        labels = [f"class {number}" for number in range(1000)]
        model = edgebn.prepare(model, image=Picture("rgb", scale=scale, offset=offset), labels=labels)
    pixels = getattr(data, picture)()
    pixels = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    shares = litert(files[name], cv2.resize(np.ascontiguousarray(pixels), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR))
    best = np.argsort(-shares, kind="stable")[:5]
    found = edgebn.Pipeline(model)(pixels)
    assert [entry.index for entry in found] == best.tolist()
    np.testing.assert_array_equal(np.float32([entry.score for entry in found]), shares[best].astype(np.float32))
    assert [entry.name for entry in found] == [model.preparation.after.names[index] for index in best]
