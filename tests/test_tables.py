"""No table is without a row: every step of `edgebn/program.py`, every layer of `edgebn/layers.py`, every function.

docs/adding-an-operation.md names these tables; the rows of the readers are held in test_reader_rows.py.
"""

import importlib
import inspect

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from edgebn import layers, passes, program, reference
from edgebn.functions import BINARY, COMPARISONS, FUNCTIONS, INTEGER_BINARY
from edgebn.graph import GraphBuilder
from edgebn.passes.quantization.keep import FLOAT_ONLY
from tests import programs
from tests.graph_oracle import evaluate


def classes_of(module, base):
    """Return the classes of `module` below `base`, by name."""
    return {
        name: kind for name, kind in vars(module).items() if inspect.isclass(kind) and issubclass(kind, base) and kind is not base
    }


STEPS = classes_of(program, program.Step)
LAYERS = classes_of(layers, layers.Layer)

# What no program in float32 holds, and what no graph in int8 holds at that stage: the reason beside it.
CODE_STEPS = {"Lookup", "Rescale", "Curve", "UnitNorm"}  # quantisation makes them of Elementwise, or they are a file's own
CONVERSIONS = {"Quantize", "Dequantize"}  # they stand between types, in files that are quantised in part
INTEGER_STEPS = {"ArgExtreme", "Cast", "GatherND", "IntegerBinary", "NonMaxSuppression", "Select"}  # they make int32, or read it
INTEGER_LAYERS = {
    "ArgExtreme",
    "Cast",
    "GatherND",
    "IntegerBinary",
    "NonMaxSuppression",
    "Select",
}  # the same for codes, or for no codes
FLOAT_ONLY_LAYERS = INTEGER_LAYERS | {
    "Constant",  # read where its reader is lowered
    "Dequantize",  # taken off at the float32 edges
    "DetectionPostProcess",
    "Recurrence",
}
FLOAT_STEPS = {"DetectionPostProcess", "Elementwise", "Normalization", "Recurrence"}
ABSENT = {  # steps that no program of a type holds
    "float32": CODE_STEPS,
    "int8": {*FLOAT_STEPS, "Curve"},
    "int16": {*FLOAT_STEPS, "Lookup", "UnitNorm"},
}

# Adaptation measures no gradients through them, and says so of a layer that stands before one.
NOT_LOOKED_BEHIND = {
    "Binary", "Concat", "Crop", "Curve", "DetectionPostProcess", "Lookup", "MatMul", "Multiply", "Normalization", "Pad",
    "Recurrence", "Rescale", "Resize", "Transpose", "TransposedConvolution", "UnitNorm",
}  # fmt: skip


def table(name, module):
    return getattr(importlib.import_module(module), name)


def names(rows):
    return {row if isinstance(row, str) else row.__name__ for row in rows}


STEP_TABLES = {  # table and module: the steps that need no row there
    ("STEPS", "edgebn.reference"): set(),
    ("PACK", "edgebn.session.steps"): set(),
    ("EMITTERS", "codegen.emitters"): set(),
    ("_CHECKS", "edgebn.step_check"): set(),
    ("_RULES", "edgebn.passes.quantization.norm_ranges"): CODE_STEPS | CONVERSIONS | INTEGER_STEPS,
    ("_STEPS", "edgebn.passes.quantization.quantize"): CODE_STEPS | CONVERSIONS | INTEGER_STEPS | names(FLOAT_ONLY),
    ("WIDE_STEPS", "edgebn.passes.quantization.int16_steps"): CODE_STEPS
    | CONVERSIONS
    | INTEGER_STEPS
    | names(FLOAT_ONLY)
    | {"MatMul"},
    ("BACKWARD", "edgebn.adapt.backward"): NOT_LOOKED_BEHIND | CONVERSIONS | INTEGER_STEPS,
}
LAYER_TABLES = {
    ("HANDLERS", "edgebn.passes.graph.layout"): set(),
    ("HANDLERS", "edgebn.passes.lowering.float_steps"): {
        "Constant",
        "Dequantize",
        "Identity",
        "Quantize",
        "Reduce",
    },  # canonical form has none
    ("LOWERINGS", "edgebn.passes.lowering.lower_quantized"): FLOAT_ONLY_LAYERS,
    ("LAYERS", "tests.graph_oracle"): {"Dequantize", "Quantize"},  # it evaluates real numbers
}


@pytest.mark.parametrize(("name", "module"), STEP_TABLES)
def test_every_step_has_its_row(name, module):
    assert names(table(name, module)) == set(STEPS) - STEP_TABLES[name, module]


@pytest.mark.parametrize(("name", "module"), LAYER_TABLES)
def test_every_layer_has_its_row(name, module):
    found = names(table(name, module))
    missing = set(LAYERS) - LAYER_TABLES[name, module] - found
    assert not missing
    assert found - set(LAYERS) <= {"Affine"}  # which the passes make of a constant and an addition or product


@pytest.mark.parametrize("dtype", programs.KINDS)
def test_every_step_is_drawn_by_the_contract(dtype):
    """`KINDS` of tests/programs.py makes a step of every class that a program of that type can hold."""
    made = set()
    for kind in programs.KINDS[dtype]:

        @settings(max_examples=1, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(programs.single(kind, dtype))
        def collect(drawn):
            made.update(step.kind for step in drawn.steps)

        collect()
    if dtype == "int32":
        assert made >= INTEGER_STEPS - {"NonMaxSuppression"}  # which reads real numbers alone
    else:
        assert ("NonMaxSuppression" in made) == (dtype == "float32")
        assert made - INTEGER_STEPS == set(STEPS) - INTEGER_STEPS - CONVERSIONS - ABSENT[dtype]


def test_every_function_is_drawn_and_checked():
    from edgebn import step_check

    assert set(programs.FUNCTIONS) == set(FUNCTIONS) == set(step_check._FUNCTIONS) == set(layers.ACTIVATIONS)
    assert tuple(BINARY) == layers.BINARY_FUNCTIONS
    assert tuple(INTEGER_BINARY) == layers.INTEGER_FUNCTIONS
    assert tuple(COMPARISONS) == layers.COMPARISONS


# Axes ------------------------------------------------------------------------------------------------------------------

# Layers whose output has other axes than their input, or none: each has a rule of its own in the layout pass.
OTHER_AXES = {
    "Constant",
    "Dense",
    "DetectionPostProcess",
    "GatherND",
    "MatMul",
    "NonMaxSuppression",
    "Recurrence",
    "Reduce",
    "Reshape",
    "Transpose",
}


def test_every_layer_keeps_its_axes_or_is_known_not_to():
    from edgebn.passes.graph.layout import SAME_AXES, SPATIAL

    assert set(SAME_AXES) | set(SPATIAL) | OTHER_AXES == set(LAYERS)
    assert len(SAME_AXES) + len(SPATIAL) + len(OTHER_AXES) == len(LAYERS)


SHAPE = (3, 5, 4)  # (C, H, W)
ONES = np.ones(3, np.float32)
KEPT = {  # each layer that keeps its axes, on one image, channels first
    "Activation": lambda x: layers.Activation("it", (x,), "y", "prelu", slope=np.arange(3, dtype=np.float32).reshape(3, 1, 1)),
    "Add": lambda x: layers.Add("it", (x, "c"), "y"),
    "ArgExtreme": lambda x: layers.ArgExtreme("it", (x,), "y", "min", axis=0),
    "BatchNorm": lambda x: layers.BatchNorm("it", (x,), "y", ONES, ONES, ONES, ONES, axis=0),
    "Binary": lambda x: layers.Binary("it", (x, "c"), "y", "maximum"),
    "Cast": lambda x: layers.Cast("it", (x,), "y", "int32"),
    "Concat": lambda x: layers.Concat("it", (x, x), "y", axis=0),
    "Crop": lambda x: layers.Crop("it", (x,), "y", starts=(0, 1, 2), sizes=(2, 3, 2)),
    "Gather": lambda x: layers.Gather("it", (x,), "y", (np.array([2, 0, 0]), None, np.array([3, 1]))),
    "Identity": lambda x: layers.Identity("it", (x,), "y"),
    "IntegerBinary": lambda x: layers.IntegerBinary("it", (x, "c"), "y", "less"),
    "Multiply": lambda x: layers.Multiply("it", (x, "c"), "y"),
    "Normalization": lambda x: layers.Normalization("it", (x,), "y", axes=(0,), axis=0, gamma=np.arange(3.0).reshape(3, 1, 1)),
    "Pad": lambda x: layers.Pad("it", (x,), "y", pads=((0, 1), (1, 0), (2, 1)), value=0.5),
    "Select": lambda x: layers.Select("it", ("mask", x, "c"), "y"),
    "Softmax": lambda x: layers.Softmax("it", (x,), "y", axis=0),
}


@pytest.mark.parametrize("kind", KEPT)
@pytest.mark.parametrize("convolved", ["before", "behind"])
def test_axes_are_kept(kind, convolved):
    """Before and behind the one layer that says that the network is channels first."""
    rng = np.random.default_rng(0)
    builder = GraphBuilder("axes", "axes.test", "test", channels_first=True)
    builder.add_input("x", SHAPE)
    builder.add(layers.Constant("c", (), "c", rng.normal(0, 1, (3, 1, 4)).astype(np.float32)))
    builder.add(layers.Constant("mask", (), "mask", rng.integers(0, 2, (3, 5, 1)).astype(np.int32)))

    def kept(source):
        made = builder.add(KEPT[kind](source))
        return builder.add(layers.Cast("real", (made,), "real")) if kind in INTEGER_LAYERS - {"Select"} else made

    def convolution(source, output):
        channels = builder.tensors[source].shape[0]
        weight = rng.normal(0, 1, (2 if output == "out" else 3, 1, 1, channels)).astype(np.float32)
        return builder.add(layers.Convolution(output, (source,), output, weight, channels_first=True))

    out = kept(convolution("x", "conv")) if convolved == "before" else convolution(kept("x"), "out")
    graph = builder.finish([out])
    x = rng.normal(0, 1, SHAPE).astype(np.float32)
    wanted = np.moveaxis(evaluate(graph, {"x": x})[out], 0, -1)
    got = reference.run(passes.lower(graph), np.moveaxis(x, 0, -1)[None])[0]
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def test_every_layer_that_keeps_its_axes_is_tried():
    from edgebn.passes.graph.layout import SAME_AXES

    assert set(KEPT) == set(SAME_AXES) - {"Dequantize", "Quantize"}
