"""What errors advise exists: options, Python's arguments and functions, commands, pip extras, make targets, pages of the docs.

Read from the source: every sentence in it that is no docstring. What is advised of other frameworks stands in a table.
"""

import argparse
import ast
import dataclasses
import inspect
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

import codegen
import edgebn
from edgebn.cli import wording
from edgebn.cli.command import build_parser
from edgebn.preparation import data
from tests import fuzz_readers
from tests.conftest import TEST_ALL

ROOT = Path(edgebn.__file__).resolve().parents[1]
PACKAGES = ("edgebn", "codegen", "boards")
HOLE = "\N{OBJECT REPLACEMENT CHARACTER}"  # stands for what is put in when the program runs
# Arguments of other frameworks' functions that errors name.
FOREIGN = {
    "version": "HTTP, the content type of Prometheus text",
    "charset": "the same",
    "scope": "HTML, the heads of a table",
    "antialias": "ONNX, Resize",
    "inplace": "torch.nn.ReLU",
    "spatial": "ONNX, BatchNormalization",
    "renorm": "Keras, BatchNormalization",
    "reset_after": "Keras, GRU",
    "unroll": "Keras, GRU",
    "batch_first": "torch.nn.LSTM",
    "threshold": "Keras, ReLU",
    "track_running_stats": "torch.nn.BatchNorm2d",
}
FOREIGN_OPTIONS = {"--system-site-packages": "python -m venv"}
# The first one's sentences stand in files of other build systems, in their words; the second holds a format's tables, no sentences.
FILES_OF_OTHERS = {Path("codegen", "packages"), Path("edgebn", "formats", "tflite", "schema.py")}
LONGEST = 300

OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*)")
ARGUMENT = re.compile(rf"(?<![\w-])([a-z]\w*)=(?=[\w({{\['\".,;) {HOLE}]|$)")
MEMBER = re.compile(r"(?<![\w.*])(edgebn|codegen)\.([a-z_]\w*)")
CALL = re.compile(r"(?<![\w.])edgebn\.(\w+)\(([^()]*)\)")
EXTRA = re.compile(r"edgebn\[([\w,]+)\]")
PIP = re.compile(r"pip install ['\"]?(?:--upgrade )?([\w\[\],]+)")
MAKE = re.compile(r"`make ([a-z-]+)`")
PAGE = re.compile(r"\b([\w/-]+\.md)\b")


def sentence(node):
    """Return a string expression as text, with holes; None where it is none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else HOLE for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [sentence(node.left), sentence(node.right)]
        return None if parts == [None, None] else "".join(HOLE if part is None else part for part in parts)
    return None


def sentences_of(source):
    """Yield (line, text) of every sentence of a module that is no docstring: strings with a space in them."""
    tree = ast.parse(source)
    skipped = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(node.value)  # a docstring
        text = None if node in skipped else sentence(node)
        if text is not None:
            skipped.update(ast.walk(node))
            if " " in text.strip() and not text.startswith("<"):  # HTML has attributes, and advises nothing
                yield node.lineno, text


@cache
def sentences():
    """Return (path, line, text) of the product's sentences."""
    paths = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    ours = [path for path in paths if FILES_OF_OTHERS.isdisjoint((path, *path.parents))]
    return [(path, *found) for path in ours for found in sentences_of((ROOT / path).read_text(encoding="utf-8"))]


@cache
def options():
    """Return the options of every verb and action, by its name as typed."""
    found = {}

    def visit(parser, called):
        found[called] = {option for action in parser._actions for option in action.option_strings}
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, verb in action.choices.items():
                    visit(verb, f"{called} {name}".strip())

    visit(build_parser(), "")
    return found


@cache
def arguments():
    """Return the names of all arguments of the public functions and methods."""
    found = set()
    for function in [codegen.emit, *(getattr(edgebn, name) for name in edgebn.__all__ if callable(getattr(edgebn, name)))]:
        found |= set(inspect.signature(function).parameters)
        if inspect.isclass(function):
            methods = [method for name, method in inspect.getmembers(function, inspect.isfunction) if not name.startswith("_")]
            for method in [*methods, *([function.__call__] if "__call__" in vars(function) else [])]:
                found |= set(inspect.signature(method).parameters)
    settings = [kind for kind in vars(data).values() if dataclasses.is_dataclass(kind)]  # what `edgebn.prepare` takes
    return found.union(*({field.name for field in dataclasses.fields(kind)} for kind in settings))


def verbs_of(path):
    """Return the verbs that a module of the command speaks for: its own, or any."""
    parts = path.parts
    if parts[:2] != ("edgebn", "cli"):
        return list(options())
    name = re.sub(r"_(inputs|adapt|cost|plot)$", "", path.stem)
    if parts[2] == "device":
        return [f"device {name}"] if f"device {name}" in options() else [verb for verb in options() if verb.startswith("device ")]
    return [name] if name in options() and name != "demo" else list(options())  # the demo suggests calls of the others


def commands(text):
    """Return what stands behind `edgebn` where a sentence quotes a command, or begins one of ours."""
    verbs = "|".join(verb for verb in options() if verb and " " not in verb)
    found = re.findall(rf"`edgebn ([^`]*)`|\bedgebn ((?:{verbs})\b[^`;:]*)", text)
    return [quoted or bare for quoted, bare in found if not (quoted or bare).startswith("VERB")]


def verb_of(command):
    """Return the verb, or verb and action, that a command calls; None where there is none."""
    words = command.split()
    names = [" ".join(words[:2]), words[0]]
    return next((name for name in names if name in options()), None)


def wrong_remedies(path, text):
    """Yield what a sentence advises and is not there."""
    own = PIP.sub("", text)
    for command in commands(own):
        verb = verb_of(command)
        if verb is None:
            yield f"`edgebn {command}`: no such verb"
        missing = [found for found in OPTION.findall(command) if f"--{found}" not in options().get(verb or "", ())]
        yield from (f"`edgebn {command}`: no --{found}" for found in missing)
        own = own.replace(command, "")
    known = set(FOREIGN_OPTIONS).union(*(options()[verb] for verb in verbs_of(path)))
    yield from (f"no option --{found}" for found in OPTION.findall(own) if f"--{found}" not in known)
    yield from (f"no argument {found}=" for found in ARGUMENT.findall(text) if found not in arguments() and found not in FOREIGN)
    for module, member in MEMBER.findall(text):
        if not hasattr({"edgebn": edgebn, "codegen": codegen}[module], member):
            yield f"no {module}.{member}"
    for function, given in CALL.findall(text):
        named = ARGUMENT.findall(given)
        if named and not set(named) <= set(inspect.signature(getattr(edgebn, function)).parameters):
            yield f"edgebn.{function} takes no {named}"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for listed in EXTRA.findall(text):
        yield from (f"no extra [{extra}]" for extra in listed.split(",") if extra not in extras)
    packages = {"edgebn", *(re.match(r"[\w-]+", one)[0] for group in extras.values() for one in group)}
    yield from (f"pip knows no {package}" for package in PIP.findall(text) if package.partition("[")[0] not in packages)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    yield from (f"no target {target}" for target in MAKE.findall(text) if target not in targets)
    for page in PAGE.findall(text):
        if page != "README.md" and not (ROOT / page).exists() and not (ROOT / "docs" / page).exists():
            yield f"no page {page}"


@pytest.mark.parametrize("package", ["edgebn/cli", "edgebn/formats", "edgebn/passes", "codegen", "boards", "elsewhere"])
def test_what_errors_advise_exists(package):
    parts = tuple(package.split("/"))
    rooms = [("edgebn", "cli"), ("edgebn", "formats"), ("edgebn", "passes"), ("codegen",), ("boards",)]
    wrong = []
    for path, line, text in sentences():
        room = next((room for room in rooms if path.parts[: len(room)] == room), ("elsewhere",))
        if room == parts:
            wrong += [f"{path}:{line}: {what}: {text!r}" for what in wrong_remedies(path, text)]
    assert not wrong, "\n".join(wrong)


def test_the_scan_sees_every_kind():
    """Each pattern finds something in the product, and something wrong in a sentence made for it."""
    texts = [text for _, _, text in sentences()]
    for pattern in (OPTION, ARGUMENT, MEMBER, CALL, EXTRA, PIP, PAGE):
        assert any(pattern.search(text) for text in texts), pattern
    assert any("`edgebn " in text for text in texts)
    anywhere, generate, verify = (Path(path) for path in ("edgebn/api.py", "edgebn/cli/generate.py", "edgebn/cli/device/verify.py"))
    for path, text in (
        (anywhere, "read it with batch=False"),
        (anywhere, "give it with inputshape= instead"),
        (anywhere, "use edgebn.quantise(model)"),
        (anywhere, "leave it out: edgebn.adaptable(model, row={'a': 0})"),
        (anywhere, "install it: pip install edgebn[kreas]"),
        (anywhere, "install it: pip install onyx"),
        (anywhere, "run `make tools` first"),
        (anywhere, "see docs/format.md for more"),
        (anywhere, "run `edgebn convrt model` first"),
        (anywhere, "run `edgebn convert --calibration x` first"),
        (anywhere, "give --nothing too"),
        (generate, "give --calibration too"),
        (verify, "give --every too"),
    ):
        assert list(wrong_remedies(path, text)), text
    source = 'def f(x):\n    """A docstring with batch=False."""\n    raise ValueError(f"{x}: give " "it " + f"with b={x}" + x)\n'
    assert list(sentences_of(source)) == [(3, f"{HOLE}: give it with b={HOLE}{HOLE}")]


def test_options_stand_for_arguments_that_exist_on_both_sides():
    for argument, option in wording.OPTIONS.items():
        assert argument in arguments(), argument
        assert any(option in known for known in options().values()), option
    for _, verb in wording._CALLS:
        assert not list(wrong_remedies(Path("edgebn/api.py"), verb.replace(r"\1", ""))), verb


def test_foreign_arguments_are_named_somewhere():
    named = {found for _, _, text in sentences() for found in ARGUMENT.findall(text)}
    assert set(FOREIGN) <= named


@pytest.mark.parametrize("package", ["edgebn/formats", "edgebn/passes"])
def test_sentences_of_the_readers_are_short_and_one_line(package):
    """With 12 letters for what is put in; words in a table, which begins with a line break, are no sentence."""
    long = [
        f"{path}:{line}: {text!r}"
        for path, line, text in sentences()
        if path.is_relative_to(package) and text[0] != "\n" and ("\n" in text or len(text) + 11 * text.count(HOLE) > LONGEST)
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize("reader", sorted(fuzz_readers.FORMATS))
def test_refusals_of_damaged_files_are_short_and_one_line(reader):
    def checked(path):
        try:
            return edgebn.load(path)
        except edgebn.EdgebnError as error:
            said = str(error)
            assert "\n" not in said, said
            assert len(said.replace(str(path), "")) <= LONGEST, said
            raise

    findings = fuzz_readers.fuzz(reader, 1000 if TEST_ALL else 100, 0, checked)
    assert not findings.failures, findings.failures
    assert findings.refused > 20


def test_errors_are_one_line_whatever_a_file_holds():
    made = edgebn.ModelError(f"net.onnx: layer 'a\nb\tc\u2028d\x00' ({'x' * 5000!r}): it is '{'y' * 120}'")
    assert "\n" not in str(made)
    assert "layer 'a b c d '" in str(made)
    assert "y" * 120 in str(made)
    assert len(str(made)) < LONGEST
    made = edgebn.ModelError(f"{'long/' * 90}net.onnx: the file is damaged ({'z' * 5000}); save it again")
    assert len(str(made)) == len("long/" * 90 + "net.onnx: ") + LONGEST
    assert str(made).startswith(f"{'long/' * 90}net.onnx: the file is damaged (zzz")
    assert str(made).endswith("zzz); save it again")
    assert str(edgebn.ModelError("plain: 'a' and  'b'")) == "plain: 'a' and  'b'"
