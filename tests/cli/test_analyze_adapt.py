"""`edgebn analyze --adapt`: layers ranked by what leaving each out costs, within what a board has."""

import json

import numpy as np
import pytest

import edgebn
from edgebn.adapt import Adapter
from edgebn.adapt.choosing import Cost, Limits, choose
from edgebn.adapt.evaluate import evaluate
from edgebn.adapt.streams import arrange
from edgebn.adapt.subset import adapting_only
from edgebn.cli import adapt_cost
from edgebn.cli.main import main
from edgebn.errors import ModelError
from tests import emitted
from tests.demo_model import demo_images, demo_int8
from tests.link_device import TICKS, Library, SimulatedPort, build, expected, meet
from tests.report.pages import embedded

DIM = np.float32(0.35)
IMAGES, LABELS = demo_images()
HOME = IMAGES[500:800]


@pytest.fixture(scope="module")
def program():
    return edgebn.adaptable(demo_int8(), HOME)


@pytest.fixture(scope="module")
def files(program, tmp_path_factory):
    """The adaptable model, and dim images with labels."""
    folder = tmp_path_factory.mktemp("choose")
    edgebn.save(program, folder / "model.edgebn")
    edgebn.save(demo_int8(), folder / "plain.edgebn")
    images, labels = IMAGES[:200] * DIM, LABELS[:200]
    np.savez(folder / "dim.npz", images=images, labels=labels)
    np.save(folder / "home.npy", HOME)
    return folder


def answer(capsys, files, *options, model="model.edgebn", status=0):
    command = ["analyze", str(files / model), "--adapt", "--data", str(files / "dim.npz"), "--key", "images", "--labels", "labels"]
    assert main([*command, *map(str, options), "--json"]) == status
    told = capsys.readouterr()
    return json.loads(told.out)["adaptation"] if status == 0 else told.err


def test_a_subset_adapts_as_if_the_others_were_not_there(program):
    small = adapting_only(program, ["conv_1", "dense_1"])
    assert [layer.observation.step for layer in small.adaptation.layers] == ["conv_1", "dense_1"]
    again = adapting_only(program, [layer.observation.step for layer in program.adaptation.layers])
    x = IMAGES[:40] * DIM
    adapters = [Adapter(edgebn.Session(one)) for one in (program, again, small)]
    outputs = [adapter.run(x) for adapter in adapters]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert adapters[0].state.values.tobytes() == adapters[1].state.values.tobytes()
    assert [layer.name for layer in adapters[2].report().layers] == ["conv_1", "dense_1"]
    assert not np.array_equal(outputs[2], outputs[0])
    with pytest.raises(ModelError, match="none of its adapted layers"):
        adapting_only(program, ["conv_9"])


def test_a_benefit_is_what_leaving_the_layer_out_costs(program):
    streams = []
    for order in ("iid", "sorted"):
        at = arrange(LABELS[:200], order, 0)
        streams.append((IMAGES[at] * DIM, LABELS[at]))
    names = [layer.observation.step for layer in program.adaptation.layers]
    found = choose(program, "compensated", dict.fromkeys(names, Cost(100, 50, None)), Limits(), streams)
    assert set(found.chosen) == set(names)
    layer = found.layers[0]
    rest = adapting_only(program, [name for name in names if name != layer.step])
    errors = [[evaluate(one, *stream, "compensated").error for stream in streams] for one in (program, rest)]
    assert layer.benefit == pytest.approx(np.mean(errors[1]) - np.mean(errors[0]))
    assert layer.per_kilobyte == pytest.approx(1000 * layer.benefit / 150)
    assert found.errors["all"] == found.errors["chosen"] == pytest.approx(np.mean(errors[0]))
    assert found.errors["none"] > found.errors["all"]
    assert [layer.per_kilobyte for layer in found.layers] == sorted((layer.per_kilobyte for layer in found.layers), reverse=True)


@pytest.mark.parametrize(
    ("limits", "most"), [(Limits(ram=250), 2), (Limits(flash=99), 1), (Limits(instructions=10), 1), (Limits(ram=99), 0)]
)
def test_layers_are_dropped_until_the_rest_fits(program, limits, most):
    names = [layer.observation.step for layer in program.adaptation.layers]
    at = arrange(LABELS[:60], "iid", 0)
    streams = [(IMAGES[at] * DIM, LABELS[at])]
    seen = []
    found = choose(
        program,
        "compensated",
        dict.fromkeys(names, Cost(100, 50, 10)),
        limits,
        streams,
        lambda done, total: seen.append((done, total)),
    )
    assert len(found.chosen) == most
    assert not limits.exceeded([layer.cost for layer in found.layers if layer.chosen])
    assert all(done <= total for done, total in seen)


def test_the_command_ranks_and_chooses_for_a_board(files, capsys, tmp_path):
    pages = "--report", tmp_path / "ranking.html"
    told = answer(
        capsys, files, "--board", "nucleo-f446re", "--order", "iid", "--ram", 5000, *pages, "-o", tmp_path / "small.edgebn"
    )
    assert embedded((tmp_path / "ranking.html").read_text(encoding="utf-8"))["ranking"] == told
    layers = {layer["step"]: layer for layer in told["layers"]}
    assert layers["conv_1"]["cost"]["ram"] == 48 * 32
    assert sum(layer["cost"]["ram"] for layer in told["layers"] if layer["chosen"]) <= told["limits"]["ram"] == 5000
    assert not layers["dense_1"]["chosen"]
    assert told["rows"] == {"dense_1": 0}
    assert told["errors"]["chosen"] < told["errors"]["none"]
    written = edgebn.load(tmp_path / "small.edgebn")
    assert [layer.observation.step for layer in written.adaptation.layers] == ["conv_1", "conv_2"]
    at = arrange(LABELS[:200], "iid", 0)
    assert told["error_written"] == pytest.approx(evaluate(written, IMAGES[at] * DIM, LABELS[at], told["policy"]).error)


def test_tables_are_measured_anew_for_the_chosen_layers(files, capsys, tmp_path):
    options = ("--home", files / "home.npy", "--board", "rpi-pico", "--order", "iid", "--ram", 5000)
    told = answer(capsys, files, *options, "-o", tmp_path / "small.edgebn", model="plain.edgebn")
    assert told["counted_on"] is None
    assert told["layers"][0]["cost"]["instructions"] is None
    rows = {step: 0 for step in ("conv_1", "conv_2", "dense_1") if step in told["rows"]}
    wanted = edgebn.adaptable(demo_int8(), HOME, rows=rows)
    edgebn.save(wanted, tmp_path / "wanted.edgebn")
    assert (tmp_path / "small.edgebn").read_bytes() == (tmp_path / "wanted.edgebn").read_bytes()


def test_instructions_are_those_of_the_emulated_core(program, files, capsys):
    emitted.board_or_skip("mps2-an386")
    told = answer(capsys, files, "--board", "mps2-an386", "--order", "iid", "--limit", 40, "--instructions", 2)
    assert told["counted_on"] == "mps2-an386"
    assert told["limits"]["instructions"] == int(0.02 * told["instructions"])
    costs = {layer["step"]: layer["cost"]["instructions"] for layer in told["layers"]}
    assert all(cost > 10_000 for cost in costs.values())
    assert sum(cost for step, cost in costs.items() if step not in told["rows"]) <= told["limits"]["instructions"]
    assert told["rows"]


def test_a_real_board_counts_on_an_emulated_one_with_its_core(monkeypatch):
    emitted.board_or_skip("mps2-an386")
    import boards

    assert adapt_cost.counting_board(boards.load("mps2-an386")).name == "mps2-an386"
    assert adapt_cost.counting_board(boards.load("nucleo-f446re")).core == boards.load("nucleo-f446re").core
    assert adapt_cost.counting_board(boards.load("rpi-pico")) is None
    monkeypatch.setattr(adapt_cost.emulator, "is_available", lambda _board: False)
    assert adapt_cost.counting_board(boards.load("mps2-an386")) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--adapt needs --board"),
        (("--board", "nucleo"), "no board 'nucleo'"),
        (("--board", "microbit"), "does not fit microbit"),
        (("--board", "rpi-pico", "--instructions", "5"), "nothing here counts instructions"),
    ],
)
def test_mistakes_get_one_clear_error(options, words, files, capsys):
    assert words in answer(capsys, files, *options, status=1)


def test_rows_without_typical_inputs_do_nothing(files, capsys):
    assert "give --home too" in answer(capsys, files, "--board", "rpi-pico", "--rows", "conv_1=0", status=2)


def test_a_model_without_tables_or_data_is_refused(files, capsys):
    assert "no source tables" in answer(capsys, files, "--board", "rpi-pico", model="plain.edgebn", status=1)
    home = ("--home", files / "home.npy", "--rows", "conv_7=0")
    assert "no step 'conv_7'" in answer(capsys, files, "--board", "rpi-pico", *home, model="plain.edgebn", status=1)
    assert main(["analyze", str(files / "model.edgebn"), "--adapt", "--board", "rpi-pico"]) == 1
    assert "--adapt needs --data" in capsys.readouterr().err


def test_the_link_tells_what_observing_and_learning_take(tmp_path):
    device = Library(build("link_library", tmp_path, "-shared", "-fPIC"))
    device.start(with_state=True)
    met = meet(SimulatedPort(device))
    data = bytes(605)
    before = met.state()
    observed = met.run_observed(data)
    assert observed.output[:300] == expected(data)[0][:300]
    assert [layer.ticks for layer in observed.layers] == list(TICKS)
    assert (observed.learning, met.state()) == (0, before)
    learned = met.learn(data)
    assert learned.layers == ()
    assert met.state() != before
