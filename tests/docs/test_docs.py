"""Every snippet of README and docs runs, in order, in a folder with the demo's files."""

import re
import shlex
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgebn.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)( torch)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@pytest.fixture
def demo_folder(tmp_path, monkeypatch):
    for name in ("fashion_mnist.keras", "fashion_mnist_slice.npz"):
        shutil.copy(ROOT / "edgebn" / "demo_data" / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compile_c(snippet):
    compiler = shutil.which("cc")
    if compiler is not None:
        command = [compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Ifirmware", "-xc", "-"]
        done = subprocess.run(command, input=snippet, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("demo_folder")
def test_every_snippet_runs(page):
    text = page.read_text(encoding="utf-8")
    names = {"__name__": "snippet"}
    for match in FENCE.finditer(text):
        language, needs_torch, snippet = match.groups()
        if needs_torch and find_spec("torch") is None:  # tests/frameworks runs these where PyTorch is
            continue
        line = text[: match.start()].count("\n") + 1
        if language == "python":
            exec(compile("\n" * line + snippet, str(page), "exec"), names)
        elif language == "console":
            for command in snippet.splitlines():
                if command.startswith("$ "):
                    program, *arguments = shlex.split(command[2:])
                    assert program == "edgebn", f"{page.name}:{line}: console snippets show the edgebn command only"
                    assert main(arguments) == 0, f"{page.name}:{line}: {command}"
        elif language == "c":  # of the firmware that a command before it wrote
            compile_c(snippet)
        else:
            assert language in {"", "text", "sh"}, f"{page.name}:{line}: nobody runs a snippet marked '{language}'"
