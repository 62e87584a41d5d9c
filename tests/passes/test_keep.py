"""Steps that quantisation leaves in float32: which a name stands for, and that the mixed program runs the same everywhere."""

import dataclasses
import json

import numpy as np
import pytest

import edgebn
from edgebn import program as p
from edgebn import reference
from edgebn.cli.main import main
from edgebn.errors import QuantizationError
from edgebn.passes.quantization import keep_auto, more_time
from edgebn.program_check import check_program
from tests.demo_model import DATA
from tests.passes.test_quantize import Maker, network_of_everything


def data(count=40, shape=(8, 8, 4), seed=0):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def ratio(program, quantized, x):
    """Signal to noise of the output, in dB."""
    wanted, found = reference.run(program, x), reference.run(quantized, x)
    return 10 * np.log10((wanted**2).sum() / ((found - wanted) ** 2).sum())


@pytest.fixture(scope="module")
def everything():
    return network_of_everything()


@pytest.mark.parametrize("step", [step.name for step in network_of_everything().steps])
def test_each_step_may_stay_float(everything, step):
    quantized = edgebn.quantize(everything, data(), keep={step: "float32"})
    check_program(quantized)
    assert quantized.dtype == "mixed"
    kept = [one for one in quantized.steps if one.name == step or one.name.startswith(f"{step}/pool")]
    assert kept
    assert all(quantized.buffers[one.output].dtype == "float32" for one in kept)
    x = data(4, seed=1)
    tie = 2 / 256  # float32 sums in another order may round to the next code where the int8 part goes on
    np.testing.assert_allclose(edgebn.Session(quantized).run(x), reference.run(quantized, x), atol=tie)
    assert ratio(everything, quantized, x) > 15


def test_all_steps_kept_is_the_float_network(everything):
    quantized = edgebn.quantize(everything, data(), keep={step.name: "float32" for step in everything.steps})
    assert quantized.dtype == "float32"
    np.testing.assert_allclose(reference.run(quantized, data(3)), reference.run(everything, data(3)), atol=1e-5)


def unlike():
    """Boxes of hundreds beside scores below one, moved and joined: one scale ruins the scores."""
    make = Maker((8, 8, 4))
    body = make.convolution("x", 8)
    boxes = make.convolution(body, 4, (1, 1), post=(-np.inf, np.inf))
    scores = make.add(p.Elementwise, (make.convolution(body, 4, (1, 1), post=(-np.inf, np.inf)),), (8, 8, 4), "sigmoid")
    wide = make.add(p.Multiply, (boxes, make.add(p.Elementwise, (boxes,), (8, 8, 4), "clip", 100.0, np.inf)), (8, 8, 4))
    both = make.add(p.Concat, (wide, scores), (8, 8, 8), 2)
    return make.finish(make.add(p.Reshape, (both,), (64, 1, 8)))


def test_an_outputs_name_is_all_that_makes_it():
    """The movement and the join behind both halves, and what computes these; nothing before."""
    program = unlike()
    (output,) = program.outputs
    quantized = edgebn.quantize(program, data(), keep={output: "float32"})
    floats = {step.name for step in quantized.steps if quantized.buffers[step.output].dtype == "float32"}
    assert {name for name in floats if "/" not in name} == {"multiply5", "elementwise3", "concat6", "reshape7"}
    assert quantized.buffers[output].dtype == "float32"


def test_movement_behind_a_kept_step_is_float_too():
    program = unlike()
    quantized = edgebn.quantize(program, data(), keep={"concat6": "float32"})
    assert quantized.buffers[program.outputs[0]].dtype == "float32"
    assert not any(isinstance(step, p.Quantize) for step in quantized.steps)


def test_an_input_that_only_kept_steps_read_is_float(everything):
    quantized = edgebn.quantize(everything, data(), keep={"convolution0": "float32"})
    assert quantized.buffers["x"].dtype == "float32"


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ({"convolution99": "float32"}, "no layer or output 'convolution99' to keep; did you mean 'convolution"),
        ({"convolution0": "int4"}, "'int4'"),
        (["convolution0"], "give a dict"),
    ],
)
def test_what_is_not_there_is_refused(everything, keep, message):
    with pytest.raises(QuantizationError, match=message):
        edgebn.quantize(everything, data(), keep=keep)


def test_a_group_of_layers_has_their_common_beginning():
    make = Maker((4, 4, 2))
    program = make.finish(make.convolution(make.convolution(make.convolution("x", 4), 4), 4))
    names = ("body", "head.0", "head.1")
    steps = tuple(dataclasses.replace(step, name=name) for step, name in zip(program.steps, names, strict=True))
    program = dataclasses.replace(program, steps=steps)
    quantized = edgebn.quantize(program, data(shape=(4, 4, 2)), keep={"head": "float32"})
    assert [quantized.buffers[step.output].dtype for step in quantized.steps] == ["int8", *("float32",) * 3]


def test_a_mixed_program_is_saved_tabled_and_made_by_the_command_line(tmp_path, capsys):
    program = edgebn.load(DATA / "fashion_mnist.keras")
    last = program.steps[-1].name
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(0, 1, (40, 28, 28, 1)).astype(np.float32))
    given = ["quantize", str(DATA / "fashion_mnist.keras"), "-o", str(tmp_path / "int8.edgebn"), "--json"]
    assert main([*given, "--calibration", str(tmp_path / "x.npy"), "--keep", last]) == 0
    rows = {row["layer"]: row for row in json.loads(capsys.readouterr().out)["layers"]}
    assert rows[last]["saturation"] == 0
    assert rows[last]["sqnr"] > 15
    quantized = edgebn.load(tmp_path / "int8.edgebn")
    assert quantized.buffers[quantized.outputs[0]].dtype == "float32"
    options = ["--calibration", str(tmp_path / "x.npy"), "--keep", "auto", "--budget", "agreement=50", "--budget", "bytes=0"]
    assert main([*given, *options]) == 0
    assert edgebn.load(tmp_path / "int8.edgebn").dtype == "int8"
    capsys.readouterr()
    assert main([*given, "--keep", "nothing"]) == 1
    assert "no layer or output 'nothing'" in capsys.readouterr().err


def sore():
    """A network whose middle layer int8 ruins: one output channel a thousand times the others, of which the rest alone is read."""
    make = Maker((8, 8, 4))
    first = make.convolution("x", 8, (1, 1), norm=False, post=(-np.inf, 1e6))
    program = make.finish(make.convolution(first, 4, (1, 1), norm=False, post=(-np.inf, np.inf)))
    before, after = program.steps
    weight, reader = before.weight.copy(), after.weight.copy()
    weight[0] *= 1000
    reader[..., 0] *= 1e-5
    steps = dataclasses.replace(before, weight=weight), dataclasses.replace(after, weight=reader)
    return dataclasses.replace(program, steps=steps)


@pytest.mark.parametrize("budget", [{"db": 35}, {"db": 35, "bytes": 10_000}])
def test_auto_keeps_what_costs_most_until_the_budget_is_reached(budget):
    program, rows = sore(), []
    without = edgebn.quantize(program, data(), keep={})
    quantized = edgebn.quantize(program, data(), keep="auto", budget=budget, table=rows.extend)
    x = data(8, seed=3)
    assert ratio(program, without, x) < 25
    assert ratio(program, quantized, x) > 33
    assert rows == sorted(rows, key=lambda row: -row.db)
    costs = {row.dtype: row.bytes for row in rows if row.step == "convolution0"}
    assert costs == {"float32": 3 * (8 * 4 + 4 * 8), "int16": 0}
    kept = {row.step: row.dtype for row in rows if row.kept}
    assert kept
    assert all(quantized.buffers[step.output].dtype == kept[step.name] for step in quantized.steps if step.name in kept)


def test_auto_keeps_nothing_where_nothing_is_needed_or_allowed():
    assert edgebn.quantize(sore(), data(), keep="auto", budget={"db": 0}).dtype == "int8"
    without_bytes = edgebn.quantize(sore(), data(), keep="auto", budget={"db": 90, "bytes": 10})
    assert all(step.weight.dtype == np.int8 for step in without_bytes.steps if isinstance(step, p.Convolution))


def slow_floats(_, program):
    """Milliseconds by which every step of float32 slows a network down, in place of a clock's."""
    return float(sum(program.buffers[step.output].dtype == "float32" for step in program.steps))


@pytest.mark.parametrize(("most", "dtypes"), [(0.5, {"int16"}), (9.0, {"float32"})])
def test_auto_stays_within_the_time_it_has(most, dtypes, monkeypatch):
    """float32 would be a little nearer, and of both as many bytes may be had."""
    monkeypatch.setattr(more_time.MoreTime, "__call__", slow_floats)
    monkeypatch.setattr(keep_auto, "_more_bytes", lambda *_: 0)
    rows = []
    edgebn.quantize(sore(), data(), keep="auto", budget={"db": 90, "ms": most}, table=rows.extend)
    assert {row.ms for row in rows if row.dtype == "int16"} == {0.0}
    assert {row.ms for row in rows if row.dtype == "float32"} >= {2.0}
    kept = {row.dtype for row in rows if row.kept}
    assert kept == dtypes


def test_time_is_the_least_of_rounds_in_turn(monkeypatch):
    """Another process takes the machine for one round; a faster program takes less than none."""
    now, called, costs = [0], [], {"first": 2_000_000, "second": 1_500_000}
    monkeypatch.setattr(more_time.time, "perf_counter_ns", lambda: now[0])

    def open_inference(name):
        def inference():
            called.append(name)
            now[0] += costs[name] + (90_000_000 if len(called) == 5 else 0)

        return inference

    assert more_time.MoreTime("first", open_inference)("second") == -0.5
    assert called[:6] == ["first", "second"] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": "auto"}, "needs a budget"),
        ({"keep": "auto", "budget": {"points": 1}}, "needs a budget"),
        ({"keep": "auto", "budget": {"db": "30"}}, "numbers"),
        ({"budget": {"db": 30}}, "for keep='auto'"),
        ({"keep": "all"}, "give a dict"),
    ],
)
def test_odd_budgets_are_refused(options, message):
    with pytest.raises(QuantizationError, match=message):
        edgebn.quantize(sore(), data(), **options)
