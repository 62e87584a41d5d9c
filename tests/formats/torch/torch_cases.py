"""PyTorch programs for the rows of the reader: the recorded zoo, and modules that call one operator of ATen each."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from edgebn import passes, reference
from edgebn.errors import UnsupportedLayerError
from edgebn.formats import torch as reader
from tests.conftest import RECORDED
from tests.formats.reader_cases import Case, error_between

MODEL = "model/models/model.json"
FOLDERS = (
    "torch_zoo",
    "torch_rows",
    "torch_functions",
    "torch_moving",
    "torch_constants",
    "torch_choosing",
    "torch_whole",
    "torch_pooling",
    "torch_quantized",
    "torch_recurrent",
)


def cases() -> list[Case]:
    """Return one case a recorded program."""
    found = [path for folder in FOLDERS for path in sorted((RECORDED / folder).glob("*.pt2"))]
    renamed = [  # as older exporters wrote a copy of a constant
        Case(f"{name} of constants", lambda name=name: _changed("torch_rows/clone_of_constants", name, "self", _of_clone))
        for name in ("contiguous", "lift_fresh_copy")
    ]
    recorded = [Case(path.stem, lambda path=path: _error(path, path)) for path in found]
    compared = [
        Case(f"{name} of a constant", lambda name=name, function=function: _compared(name, function))
        for name, function in (("maximum", np.maximum), ("minimum", np.minimum))
    ]
    return [*recorded, *renamed, *compared, Case("t", lambda: _changed("torch_zoo/linear", "t", "self", _moved_batch))]


@cache
def _arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "zoo.npz") as archive:
        return dict(archive)


def channels_last(array: np.ndarray) -> np.ndarray:
    return np.moveaxis(array, 1, -1) if array.ndim > 2 else array


def _of_clone(path: Path) -> float:
    return _error(path, RECORDED / "torch_rows" / "clone_of_constants.pt2")


def _error(path: Path, recorded: Path) -> float:
    """Compare what `path` computes with the arrays of a recorded program."""
    arrays = _arrays(recorded.parent)
    graph = reader.read(path)
    lay = channels_last if graph.channels_first else np.asarray
    program = passes.lower(graph)
    x = lay(arrays[f"{recorded.stem}/x"])
    alone = program.shapes[program.inputs[0]] == x.shape  # the network has no batch
    result = reference.run(program, x[np.newaxis] if alone else x)
    results = [result[name] for name in program.outputs] if isinstance(result, dict) else [result]
    wanted = [lay(arrays[f"{recorded.stem}/y{place}"]) for place in range(len(results))]
    if alone:
        wanted = [array if array.shape[0] == 1 else array[np.newaxis] for array in wanted]
    between = _codes_between if recorded.parent.name == "torch_quantized" else error_between
    return max(map(between, results, wanted))


def _codes_between(got: np.ndarray, wanted: np.ndarray) -> float:
    """Compare numbers that codes stand for: one code apart at most, and few of them; biases are rounded to integers here."""
    error = error_between(got, wanted)
    if not np.isfinite(error) or error <= 1:
        return error
    code = np.diff(np.unique(wanted)).min()
    return float(max(np.abs(got - wanted).max() / (1.01 * code), (got != wanted).mean() / 0.02))


def _changed(recorded: str, target: str, argument: str, wanted: Callable[[Path], float]) -> float:
    """Give a recorded program to `wanted`, in which the first call is of the operator `target` on its first argument alone."""

    def change(nodes: list[dict[str, Any]]) -> None:
        nodes[0]["target"] = f"torch.ops.aten.{target}.default"
        nodes[0]["inputs"] = [{**nodes[0]["inputs"][0], "name": argument}]

    return _rewritten(recorded, change, wanted)


def _rewritten(recorded: str, change: Callable[[list[dict[str, Any]]], None], wanted: Callable[[Path], float]) -> float:
    """Give a recorded program to `wanted` whose calls went through `change`."""
    with zipfile.ZipFile(RECORDED / f"{recorded}.pt2") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    program = json.loads(members[MODEL])
    change(program["graph_module"]["graph"]["nodes"])
    members[MODEL] = json.dumps(program).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "changed.pt2"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return wanted(path)


def _compared(target: str, function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
    """Compare with NumPy a recorded product of x and constants, which it tells, once `target` takes the product's place."""
    name = "mul_of_constants"
    arrays = _arrays(RECORDED / "torch_rows")
    x, product = arrays[f"{name}/x"], arrays[f"{name}/y0"]

    def change(nodes: list[dict[str, Any]]) -> None:
        nodes[-1]["target"] = f"torch.ops.aten.{target}.default"

    def error(path: Path) -> float:
        return error_between(reference.run(passes.lower(reader.read(path)), x), function(x, product / x))

    return _rewritten(f"torch_rows/{name}", change, error)


def _moved_batch(path: Path) -> float:
    """`t` of a value moves the batch axis, which the layer behind it refuses; of constants it has a case of its own."""
    try:
        reader.read(path)
    except UnsupportedLayerError as error:
        return 0.0 if "works along the batch axis" in str(error) else np.inf
    return np.inf
