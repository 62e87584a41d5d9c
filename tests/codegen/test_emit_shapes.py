"""Networks of unusual make, emitted and run on the host: inputs that are outputs, constants, several of each, odd names."""

import subprocess
import sys

import numpy as np
import pytest

import codegen
from edgebn import program as p
from edgebn.errors import ModelError
from tests import emitted

SHAPE = (2, 3, 4)
REVERSED = np.arange(-128, 128, dtype=np.int8)[::-1].reshape(1, 256).copy()


def network(buffers, steps, inputs, outputs, *, constants=None, dtype="int8"):
    """Return a program; `buffers` is a dict of name to shape."""
    made = {name: p.Buffer(name, shape, dtype, 0.1, 3) for name, shape in buffers.items()}
    shapes = {name: made[name].shape for name in (*inputs, *outputs)}
    return p.Program("unusual", "unusual.test", "test", False, made, constants or {}, tuple(steps), inputs, outputs, shapes)


def lookup(name, source, target):
    return p.Lookup(name, (source,), target, REVERSED)


NETWORKS = {
    "a reshape alone": network({"x": SHAPE, "y": (1, 1, 24)}, [p.Reshape("r", ("x",), "y")], ("x",), ("y",)),
    "two inputs": network(dict.fromkeys("aby", SHAPE), [p.Add("s", ("a", "b"), "y")], ("a", "b"), ("y",), dtype="float32"),
    "a sum with itself": network(dict.fromkeys("ay", SHAPE), [p.Add("s", ("a", "a"), "y")], ("a",), ("y",), dtype="float32"),
    "an input that is an output": network(dict.fromkeys("xy", SHAPE), [lookup("l", "x", "y")], ("x",), ("y", "x")),
    "an output in the middle": network(
        dict.fromkeys("xyz", SHAPE), [lookup("l", "x", "y"), lookup("m", "y", "z")], ("x",), ("z", "y")
    ),
    "one memory, two outputs": network(
        {"x": SHAPE, "y": SHAPE, "z": (1, 1, 24)}, [lookup("l", "x", "y"), p.Reshape("r", ("y",), "z")], ("x",), ("y", "z")
    ),
    "a constant output": network(
        {"x": SHAPE, "y": SHAPE, "k": (1, 1, 2)},
        [lookup("l", "x", "y")],
        ("x",),
        ("y", "k"),
        constants={"k": np.array([[[1, 2]]], np.int8)},
    ),
    "floats that only move, infinity among them": network(
        {"x": SHAPE, "y": (2, 3, 5)}, [p.Pad("p", ("x",), "y", ((0, 0), (0, 0), (0, 1)), np.inf)], ("x",), ("y",), dtype="float32"
    ),
    "names that C does not take": network(
        {"x y/\u00fc*/": SHAPE, "int": SHAPE}, [lookup("*/ evil \\ \n??/", "x y/\u00fc*/", "int")], ("x y/\u00fc*/",), ("int",)
    ),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_it_runs_to_the_references_values(kind, tmp_path):
    program = NETWORKS[kind]
    emitted.check(program, tmp_path / "out", "host", trace=program.dtype == "int8")


def test_a_network_without_layers_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no layers"):
        codegen.emit(network({"x": SHAPE}, [], ("x",), ("x",)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_module_is_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "codegen", str(tmp_path / "no.tflite"), "-o", "x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("edgebn: ")
    assert "there is no such file" in done.stderr
