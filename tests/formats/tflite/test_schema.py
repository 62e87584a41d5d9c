"""The reader's words of the schema beside LiteRT's generated code: every number, and every field of every table as both read it."""

import inspect
import re

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgebn.formats.tflite.schema import MODEL, OPERATORS, OPTIONS, TYPES
from edgebn.formats.tflite.tables import Schema

# How the generated code names numbers.
FLAGS = {"bool": "Bool", "byte": "Int8", "ubyte": "Uint8", "ushort": "Uint16", "int": "Int32", "uint": "Uint32", "long": "Int64",
         "ulong": "Uint64", "float": "Float32"}  # fmt: skip
TABLES = ["Model", "SubGraph", "Tensor", "QuantizationParameters", "SparsityParameters", "DimensionMetadata", "Int32Vector",
          "Uint16Vector", "Uint8Vector", "Operator", "OperatorCode", "Buffer", "Metadata", *OPTIONS]  # fmt: skip


def names_of(enumeration):
    numbers = {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
    return [numbers[number] for number in range(len(numbers))]


def words(table):
    return MODEL._tables[table].split()


BOOL = {"": False, "1": True}


def camel(name):
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def test_names_by_number():
    assert names_of(schema.BuiltinOperator) == OPERATORS
    assert names_of(schema.TensorType) == TYPES
    assert {name: number for name, (number, _) in OPTIONS.items()} == {
        name: getattr(schema.BuiltinOptions, name) for name in OPTIONS
    }


@pytest.mark.parametrize("table", TABLES)
def test_fields_are_those_of_the_schema(table):
    """The number, the type and what stands for an absent one."""
    assert set(TABLES) == set(MODEL._tables)
    for number, word in enumerate(words(table)):
        name, _, kind = word.partition(":")
        kind, _, default = kind.partition("=")
        if table == "ResizeBilinearOptions" and name.startswith("new_"):  # deprecated: the number is taken, and no code is made
            assert not hasattr(getattr(schema, table), camel(name))
            continue
        reads = inspect.getsource(getattr(getattr(schema, table), camel(name)))
        assert f"self._tab.Offset({4 + 2 * number}))" in reads, word
        inner = kind.strip("[]")
        if inner in FLAGS:
            assert f"number_types.{FLAGS[inner]}Flags, " in reads, word
            assert inner != kind or re.search(
                rf"return {re.escape(str(BOOL.get(default) if kind == 'bool' else default or 0))}(\.0)?\n", reads
            ), word
        elif kind == "string":
            assert "self._tab.String(" in reads, word
        elif kind == "union":
            assert "self._tab.Union(" in reads, word
        else:
            assert f"obj = {inner}()" in reads, word
        assert (inner != kind) == ("self._tab.Vector(" in reads), word


def test_absent_fields_and_stated_ones():
    options = schema.Conv2DOptionsT()
    options.strideW, options.dilationWFactor = 3, 2
    builder = flatbuffers.Builder(64)
    builder.Finish(options.Pack(builder))
    table = MODEL.root("Conv2DOptions", bytes(builder.Output()))
    assert (table.padding, table.stride_w, table.stride_h, table.dilation_w_factor, table.dilation_h_factor) == (0, 3, 0, 2, 1)
    assert table.has("stride_w")
    assert not table.has("stride_h")
    with pytest.raises(AttributeError, match="stride_d"):
        _ = table.stride_d


def test_vectors_texts_and_unions():
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.quantization = "a name", [1, 2, 3], schema.QuantizationParametersT()
    tensor.quantization.scale = [0.5, 0.25]
    tensor.quantization.zeroPoint = [1, -(1 << 40)]
    builder = flatbuffers.Builder(64)
    builder.Finish(tensor.Pack(builder))
    table = MODEL.root("Tensor", bytes(builder.Output()))
    assert table.name == b"a name"
    assert table.shape.tolist() == [1, 2, 3]
    assert table.shape_signature.tolist() == []
    assert table.sparsity is None
    assert table.quantization.scale.tolist() == [0.5, 0.25]
    assert table.quantization.zero_point.tolist() == [1, -(1 << 40)]


@pytest.mark.parametrize(
    "damage",
    [
        np.uint32([1 << 31]),  # the root lies beyond the file
        np.uint32([4, 1 << 31, 0, 0]),  # a table whose fields lie before it ...
        np.uint32([4, 0xFFFFFFF0, 0, 0]),  # ... and beyond the file
        np.uint32([8, 0x00080006, 4, 1 << 30]),  # a vector longer than the file
    ],
)
def test_what_lies_outside_the_file_is_not_read(damage):
    with pytest.raises(Exception, match=r"before the file|buffer|unpack_from"):
        _ = Schema({"Root": "values:[int]"}).root("Root", damage.tobytes()).values
