"""Words that the code has given up for the field's own do not come back as names: each would be a second word for one thing."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("edgebn", "codegen", "boards")

REPLACED = {
    "add_form": "add_int8_proof",
    "admit": "check and bind",
    "array_words": "ndarray_struct",
    "believe": "predict",
    "ELSEWHERE": "NOT_HANDLED",
    "exits": "outputs",
    "Form": "BufferLayout or EpilogueLayout",
    "Gathered": "ReducedStatistics",
    "given": "by role: source, adaptation, inputs",
    "Home": "SourceStatistics",
    "how": "by role: arithmetic, epilogue, quantization",
    "lead": "start_offset",
    "Lesson": "UpdateResult",
    "marks": "observed_mask or addresses",
    "notice": "track",
    "one_meaning": "one_quantization",
    "python_function": "builtin_function",
    "Seen": "SampleStatistics",
    "slack": "overread",
    "strand": "work unit",
    "Watcher": "AccumulatorObserver",
    "weigh": "compute_gate",
}
REPLACED_BEGINNINGS = {"MOST_": "MAX_", "LEAST_": "MIN_", "FEWEST_": "MIN_"}


def names(tree: ast.AST) -> set[str]:
    """Return the names of classes, functions and arguments, and those of constants: capitals that something is assigned to."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id.isupper():
            found.add(node.id)
    return {name.strip("_") for name in found}


def better(name: str) -> str:
    """Return what to write for a name that was given up, '' for any other."""
    beginning = next((old for old in REPLACED_BEGINNINGS if name.startswith(old)), "")
    return REPLACED.get(name, "") or (beginning and REPLACED_BEGINNINGS[beginning] + name.removeprefix(beginning))


@pytest.mark.parametrize("room", ROOMS)
def test_replaced_words_stay_away(room):
    found = {}
    for path in (ROOT / room).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {f"{path.relative_to(ROOT)}: {name}": better(name) for name in names(tree) if better(name)}
    assert not found


def test_a_word_that_came_back_is_seen():
    code = "class Watcher:\n    MOST_ROWS = 3\n\n    def _notice(self, how): ...\n"
    assert {name: better(name) for name in names(ast.parse(code)) if better(name)} == {
        "Watcher": "AccumulatorObserver",
        "MOST_ROWS": "MAX_ROWS",
        "notice": "track",
        "how": "by role: arithmetic, epilogue, quantization",
    }
