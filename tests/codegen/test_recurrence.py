"""Recurrent cells in C: every cell with each of its functions against the reference, and whole networks on a host and a core."""

from itertools import product

import numpy as np
import pytest

import codegen
import edgebn
from codegen.emit import list_network
from edgebn import layers, passes
from edgebn import program as p
from edgebn.functions import CELL_STATES, CELLS, GATES, STATE_FUNCTIONS
from edgebn.graph import GraphBuilder
from tests import emitted
from tests.codegen.test_codegen_kernels import COMPILERS, assert_right, compiler
from tests.conftest import TEST_ALL

UNITS = (1, 3, 8, 17)
FEATURES = 5
LIMIT = 0.3  # of a cell, which passes it


class Network:
    """A network of dense and recurrent layers, whose weights let no state grow much from moment to moment."""

    def __init__(self, *sample, seed=0):
        self.builder, self.rng = GraphBuilder("net", "net.test", "test"), np.random.default_rng(seed)
        self.x, self.sample = self.builder.add_input("x", sample), sample

    def normal(self, *shape):
        return (self.rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    def dense(self, x, outputs):
        shape = self.builder.tensors[x].shape
        name = f"dense{len(self.builder.layers)}"
        return self.builder.add(layers.Dense(name, (x,), f"{name}_y", self.normal(outputs, shape[-1]), self.normal(outputs)))

    def first_row(self, units):
        """Return a state that depends on the first row of the input."""
        name, sizes = f"row{len(self.builder.layers)}", (*self.sample[:-2], 1, FEATURES)
        return self.dense(self.builder.add(layers.Crop(name, (self.x,), f"{name}_y", (0,) * len(sizes), sizes)), units)

    def recurrent(self, name, cell, units, first=(), **settings):
        rows = CELLS[cell] * units
        bias = self.normal(units) if cell == "gru" and settings.get("reset_after", True) else None
        inputs = (self.dense(self.x, rows), *first)
        return self.builder.add(layers.Recurrence(name, inputs, f"{name}_y", self.normal(rows, units), cell, bias, **settings))

    def lowered(self, *outputs):
        return passes.lower(self.builder.finish(list(outputs)))


def drawn_case(cell, gate, function, units, seed):
    """Return a program of one recurrent layer and an input: what the functions do not say is drawn, the same in every run."""
    rng = np.random.default_rng(seed)
    sample = (*(((), (2,))[rng.integers(2)]), int(rng.choice([1, 2, 6])), FEATURES)
    settings = {"gate": gate, "function": function, "slope": rng.choice([0.2, 1 / 6]), "backwards": bool(rng.integers(2))}
    if cell == "lstm":
        settings |= {"limit": rng.choice([np.inf, LIMIT]), "gives_cell": bool(rng.integers(2))}
    elif cell == "gru":
        settings["reset_after"] = bool(rng.integers(2))
    network = Network(*sample, seed=seed)
    first = tuple(network.first_row(units) for _ in range(rng.integers(CELL_STATES[cell] + 1)))
    program = network.lowered(network.recurrent("cells", cell, units, first, **settings))
    return program, rng.standard_normal(program.buffers[program.inputs[0]].shape).astype(np.float32)


def both_directions(cell, units=8, moments=6):
    """Return a network with a layer in each direction, the second of which has first states from outside, and classes behind."""
    network = Network(moments, FEATURES)
    first = tuple(network.builder.add_input(f"first{i}", (1, units)) for i in range(CELL_STATES[cell]))
    sides = [network.recurrent("ahead", cell, units), network.recurrent("back", cell, units, first, backwards=True)]
    both = network.builder.add(layers.Concat("both", tuple(sides), "both_y", 1))
    return network.lowered(network.dense(both, 3))


@pytest.mark.parametrize(("cell", "turn"), [("lstm", "clang"), ("gru", "gcc"), ("rnn", "clang")])
def test_every_cell_and_function_equals_the_reference(cell, turn, tmp_path):
    """In the quick run one compiler a cell, and every third case: all functions of each, and all units."""
    functions = list(product(GATES if cell != "rnn" else ["sigmoid"], STATE_FUNCTIONS, UNITS))
    cases = [drawn_case(cell, *functions[seed], seed) for seed in range(0, len(functions), 1 if TEST_ALL else 3)]
    for name in COMPILERS if TEST_ALL else [turn]:
        assert_right(cases, tmp_path, compiler(name))


@pytest.mark.parametrize("cell", CELLS)
def test_whole_networks_equal_the_reference(cell, tmp_path):
    """Warnings are errors, also where GCC knows all lengths and makes copies of shared functions for them."""
    project, _ = emitted.check(both_directions(cell), tmp_path / "out", "mps2-an386")
    assert f"back: {cell.upper()}, backwards: " in (project.folder / f"{project.name}.c").read_text()


@pytest.mark.parametrize("board", ["host", "mps2-an386"])
def test_cells_of_quantised_networks_stay_float32(board, tmp_path):
    """Between codes, whose bytes in front of the cells are the specification's."""
    rng, program = np.random.default_rng(0), both_directions("lstm")
    samples = {name: rng.standard_normal((40, *shape)).astype(np.float32) for name, shape in program.shapes.items()}
    quantised = edgebn.quantize(program, samples)
    kinds = {step.output: step.kind for step in quantised.steps}
    cells = [step for step in quantised.steps if isinstance(step, p.Recurrence)]
    assert [p.step_dtype(step, quantised) for step in cells] == ["float32"] * 2
    assert {kinds[step.inputs[0]] for step in cells} == {"Dequantize"}
    assert "Quantize" in kinds.values()
    emitted.check(quantised, tmp_path, board)


def test_weights_in_ram_are_read_at_every_moment(tmp_path):
    program = both_directions("gru", units=8, moments=6)
    found = list_network(program, in_ram=["back"]).in_ram
    assert (found.layers, found.bytes, found.traffic) == (("back",), 4 * (24 * 8 + 8), 6 * 4 * (24 * 8 + 8))
    board = emitted.board_or_skip("host")
    project = codegen.emit(program, tmp_path, board.name, weights_in_ram=["back"])
    said = emitted.outcome(board, emitted.build(project, board, trace=False))
    assert (said.status, said.differ) == (0, 0), said.text
