"""Every row of every reader is run by a case that notices another operator in its place.

A row that no case runs fails, and so does one whose cases pass as well with the function of a neighbouring row. To add a row, add
its case: to the zoo of tests/recorders and its recordings (Keras, PyTorch), to tests/formats/tflite/tflite_operators.py (TensorFlow
Lite), or to tests/formats/onnx/onnx_cases.py where the onnx package has no test of the operator.
"""

from functools import cache
from importlib import import_module

import pytest

from tests.formats.reader_cases import neighbours, rows_read, standing_in

FORMATS = "edgebn.formats"
CASES = "tests.formats"
# Format: a package that its cases need, the module of the cases, the reader's tables.
READERS = {
    "keras": ("h5py", f"{CASES}.keras.keras_cases", [
        (f"{FORMATS}.keras.table", "LAYERS"), (f"{FORMATS}.keras.operations", "OPERATIONS"),
        (f"{FORMATS}.keras.operations", "TENSORFLOW_OPERATIONS")]),
    "onnx": ("onnxruntime", f"{CASES}.onnx.onnx_cases", [
        (f"{FORMATS}.onnx.table", "OPERATORS"), (f"{FORMATS}.onnx.static", "STATIC")]),
    "tflite": ("ai_edge_litert", f"{CASES}.tflite.tflite_cases", [
        (f"{FORMATS}.tflite.operators", "OPERATORS"), (f"{FORMATS}.tflite.shape_arithmetic", "FOLDS")]),
    "torch": ("numpy", f"{CASES}.torch.torch_cases", [
        (f"{FORMATS}.torch.table", "OPERATORS"), (f"{FORMATS}.torch.constants", "FOLDS")]),
}  # fmt: skip
# Functions that do what a row does where they get no more than the row's cases can give them: nothing, or the same.
EQUAL = {
    ("keras", "OPERATIONS", "Relu"): {"relu"},  # without arguments
    ("onnx", "STATIC", "Identity"): {"_broadcast"},  # of one array
    ("tflite", "OPERATORS", "DENSIFY"): {"dequantize"},  # of a constant
    ("tflite", "FOLDS", "CAST"): {"_flat", "_pack"},
    ("tflite", "FOLDS", "SQUEEZE"): {"_pack", "_same"},
    ("torch", "OPERATORS", "clone"): {"clamp"},  # without bounds
    ("torch", "OPERATORS", "contiguous"): {"pad"},  # by nothing
    ("torch", "FOLDS", "contiguous"): {"pad"},
    ("torch", "FOLDS", "detach"): {"pad"},
    ("torch", "OPERATORS", "expand_as"): {"dropout"},
    ("torch", "OPERATORS", "minimum"): {"extreme"},  # of two values
    ("torch", "OPERATORS", "t"): {"total"},  # of no named axis, which is refused in the same words
}
MAX_CASES = 6  # that are tried for one row, those that run the fewest rows first


def table_of(module, name):
    return getattr(import_module(module), name)


def rows():
    """Return (format, table's module, table's name, row) of every reader whose packages are here."""
    for form, (package, _, tables) in READERS.items():
        try:
            import_module(package)
        except ImportError:
            continue
        for module, name in tables:
            yield from ((form, module, name, row) for row in table_of(module, name))


@cache
def cases_of_format(form):
    """Return every case, whether it passes, and the rows that it runs."""
    _, cases, tables = READERS[form]
    held = [table_of(*where) for where in tables]
    return [(case, *rows_read(held, case)) for case in import_module(cases).cases()]


def cases_of(form, module, name, row):
    """Return the cases that run a row, the smallest first."""
    wanted = (READERS[form][2].index((module, name)), row)
    found = [(len(used), place) for place, (_, _, used) in enumerate(cases_of_format(form)) if wanted in used]
    return [cases_of_format(form)[place][0] for _, place in sorted(found)[:MAX_CASES]]


@pytest.mark.parametrize("form", sorted({form for form, *_ in rows()}))
def test_every_case_passes(form):
    assert not [case.name for case, passed, _ in cases_of_format(form) if not passed]


@pytest.mark.parametrize(("form", "module", "name", "row"), list(rows()))
def test_row(form, module, name, row):
    cases = cases_of(form, module, name, row)
    assert cases, f"no case of {READERS[form][1]} runs the row '{row}' of {name} in {module}"
    table = table_of(module, name)
    others = neighbours(table, row, EQUAL.get((form, name, row), set()))
    assert others
    for other in others:
        with standing_in(table, row, other):
            noticed = any(not case.passes() for case in cases)
        assert noticed, f"{[case.name for case in cases]} pass as well with {other.__qualname__} in the place of '{row}'"


def test_every_exception_is_of_a_row():
    for form, name, row in EQUAL:
        (module,) = (where for where, table in READERS[form][2] if table == name)
        assert row in table_of(module, name)
