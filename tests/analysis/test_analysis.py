"""The analysis: hand-counted figures of a small program written step by step."""

import numpy as np
import pytest

import edgebn
from edgebn.analysis import analyze
from edgebn.analysis.arena import arena
from edgebn.program import (
    Add,
    Buffer,
    Convolution,
    FloatEpilogue,
    IntEpilogue,
    LayerRecord,
    Norm,
    Pool,
    Program,
    Reshape,
    Window,
)


def float_epilogue(channels, norms=()):
    vector = np.zeros(channels, np.float32)
    return FloatEpilogue(vector, vector, vector, norms=norms)


def program_of(steps, buffers, *, inputs=("x",), outputs=("y",), constants=None, records=(), channels_first=False):
    buffers = {name: Buffer(name, shape) for name, shape in buffers.items()}
    shapes = {name: buffers[name].shape for name in (*inputs, *outputs)}
    return Program("net", "net.h5", "keras", channels_first, buffers, constants or {}, steps, inputs, outputs, shapes, records)


@pytest.fixture
def residual():
    norm = Norm("bn", *(np.ones(4, np.float32) for _ in range(4)), 1e-3)
    steps = (
        Convolution("conv", ("x",), "a", np.zeros((4, 3, 3, 2), np.float32), float_epilogue(4, (norm,)), padding=(1, 1, 1, 1)),
        Add("sum", ("a", "bias"), "b"),
        Add("join", ("a", "b"), "c"),
        Pool("pool", ("c",), "d", Window("max", (8, 8), (8, 8))),
        Reshape("flat", ("d",), "y"),
    )
    buffers = {"x": (8, 8, 2), "a": (8, 8, 4), "b": (8, 8, 4), "c": (8, 8, 4), "d": (1, 1, 4), "y": (1, 1, 4), "bias": (1, 1, 4)}
    records = (
        LayerRecord("conv", "Convolution", (8, 8, 4), 76, 4608, "conv", "a step of its own"),
        LayerRecord("bn", "BatchNorm", (8, 8, 4), 16, 0, "conv", "folded into conv"),
        LayerRecord("drop", "Identity", (8, 8, 4), 0, 0, "", "vanished"),
        LayerRecord("shift", "Add", (8, 8, 4), 4, 0, "sum", "a step of its own"),
        LayerRecord("join", "Add", (8, 8, 4), 0, 0, "join", "a step of its own"),
        LayerRecord("pool", "Pool", (1, 1, 4), 0, 0, "pool", "a step of its own"),
    )
    constants = {"bias": np.zeros((1, 1, 4), np.float32)}
    return program_of(steps, buffers, constants=constants, records=records)


def test_rows_count_what_each_layer_holds(residual):
    rows = {row.name: row for row in analyze(residual).rows}
    assert (rows["conv"].weight_bytes, rows["conv"].epilogue_bytes, rows["conv"].activation_bytes) == (288, 48, 1024)
    assert (rows["bn"].weight_bytes, rows["bn"].epilogue_bytes, rows["bn"].activation_bytes) == (0, 0, 0)
    assert rows["drop"].step == ""
    assert (rows["shift"].weight_bytes, rows["shift"].activation_bytes) == (16, 1024)  # its constant; its result
    assert rows["flat"].became == "added by edgebn"


def test_totals_are_sums_over_the_steps(residual):
    analysis = analyze(residual)
    assert analysis.parameters == 96
    assert analysis.macs == 4608
    assert analysis.weight_bytes == 304
    assert analysis.epilogue_bytes == 48
    assert analysis.activation_bytes == 3 * 1024 + 16  # flat shares the bytes of pool
    assert analysis.steps == 5
    assert (analysis.largest_buffer, analysis.largest_buffer_bytes) == ("a", 1024)
    assert analysis.batch_norms() == {"bn": "folded into conv"}


def test_arena_holds_what_one_step_needs_at_once(residual):
    analysis = analyze(residual)
    assert analysis.arena_lower_bound == 3 * 1024  # join: a and b in, c out
    assert analysis.arena_bytes == 3 * 1024


def test_a_reshape_shares_the_memory_of_its_input(residual):
    offsets = arena(residual).offsets
    assert offsets["y"] == offsets["d"]
    assert "bias" not in offsets


def test_a_value_read_through_a_reshape_stays_alive():
    steps = (Reshape("flat", ("x",), "f"), Add("double", ("x", "x"), "d"), Add("late", ("f", "d"), "y"))
    found = arena(program_of(steps, dict.fromkeys("xfdy", (1, 1, 16))))
    assert found.offsets["f"] == found.offsets["x"]
    assert len({found.offsets[name] for name in "xdy"}) == 3
    assert found.size == 3 * 64


def test_int8_epilogues_count_every_number_a_channel_keeps():
    wide, narrow = np.zeros(4, np.int32), np.zeros(4, np.uint8)
    epilogue = IntEpilogue(wide, wide, wide, wide, np.zeros(4, np.int64), narrow, neg=False, zero_point=0, qmin=-128, qmax=127)
    weight = np.zeros((4, 1, 1, 2), np.int8)
    steps = (Convolution("conv", ("x",), "y", weight, epilogue, weight_scale=np.ones(4)),)
    analysis = analyze(program_of(steps, {"x": (2, 2, 2), "y": (2, 2, 4)}))
    assert (analysis.weight_bytes, analysis.epilogue_bytes) == (8, 4 * (4 * 4 + 8 + 1))


@pytest.mark.parametrize(("channels_first", "words"), [(True, "the file is channels-first"), (False, "the file is channels-last")])
def test_layout_says_how_to_give_inputs(channels_first, words):
    steps = (Add("double", ("x", "x"), "y"),)
    analysis = analyze(program_of(steps, {"x": (2, 2, 2), "y": (2, 2, 2)}, channels_first=channels_first))
    assert analysis.layout.startswith(words)
    assert "(N, H, W, C)" in analysis.layout


@pytest.mark.parametrize(
    "name", ["kws.keras", "kws_int8.tflite", "resnet8.h5", "resnet8_int8.tflite", "ad01.h5", "ad01_int8.tflite"]
)
def test_arenas_of_real_networks_are_within_two_percent_of_their_bound(shared_models, name):
    program = edgebn.load(shared_models / name)
    analysis = analyze(program)
    assert analysis.arena_bytes <= 1.02 * analysis.arena_lower_bound
    own = edgebn.Session(program).plan  # with halos and scratch
    assert own.size <= 1.02 * own.lower_bound
    assert sum(step.weight.nbytes for step in program.steps if hasattr(step, "weight")) <= analysis.weight_bytes
