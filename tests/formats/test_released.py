"""Files of every released format load and answer as they did when they were written (docs/promises.md)."""

from pathlib import Path

import numpy as np
import pytest

import edgebn
from edgebn import reference
from edgebn.adapt import state_file
from edgebn.cli.main import main
from edgebn.formats import native
from edgebn.link import frame

FOLDER = Path(__file__).parents[1] / "recorded" / "released"


def test_the_present_formats_are_among_them():
    assert (FOLDER / f"edgebn{native.FORMAT_VERSION}-state{state_file.VERSION}").is_dir()


@pytest.mark.parametrize("folder", sorted(FOLDER.iterdir()), ids=lambda folder: folder.name)
def test_a_released_format_loads_and_answers_the_same(folder):
    answers = np.load(folder / "answers.npz")
    float32, int8 = (edgebn.load(folder / f"{name}.edgebn") for name in ("float32", "int8"))
    np.testing.assert_allclose(edgebn.Session(float32).run(answers["x"]), answers["float32"], atol=1e-5)
    session = edgebn.Session(int8)
    for answer in (session.run(answers["x"]), reference.run(int8, answers["x"])):
        np.testing.assert_array_equal(answer, answers["int8"])
    edgebn.Adapter(session).load(folder / "int8.bnstate")
    np.testing.assert_array_equal(session.run(answers["x"]), answers["adapted"])
    assert (answers["adapted"] != answers["int8"]).any()


def test_the_command_tells_the_versions_of_what_it_writes(capsys):
    assert main(["--version", "--verbose"]) == 0
    told = dict(line.split(" ", 1) for line in capsys.readouterr().out.splitlines())
    assert told["edgebn"] == edgebn.__version__
    assert told["numpy"] == np.__version__
    assert (told[".edgebn"], told[".bnstate"], told["link"]) == tuple(
        f"format {version}" for version in (native.FORMAT_VERSION, state_file.VERSION, frame.VERSION)
    )


def test_verbose_without_version_is_refused(capsys):
    assert main(["--verbose", "boards"]) == 2
    assert "it goes with --version alone" in capsys.readouterr().err


def test_the_bare_command_prints_its_help(capsys):
    assert main([]) == 0
    assert "quantize" in capsys.readouterr().out
