"""Emitted C under cppcheck's MISRA C:2012 add-on: all that it finds stands in docs/misra.md, and its table has nothing else."""

import re
import shutil
import subprocess

import pytest

import codegen
from codegen.kernels import LIBRARY
from tests.codegen.test_c_lint import CORES, HEADERS, NAMED_REGISTERS, core_of
from tests.codegen.test_codegen_kernels import drawn
from tests.codegen.test_emit_builds import adapting
from tests.programs import single

PAGE = (LIBRARY.parents[1] / "docs" / "misra.md").read_text()
# One configuration for each run, as a compiler would have it.
DEFINED = ["-D__GNUC__=12", "-D__OPTIMIZE__=1", "-DINT_MAX=2147483647", "-DEDGEBN_ADAPT"]
PROCESSORS = {
    "host": [],
    "_dsp_": ["-D__ARM_FEATURE_DSP=1", "-D__thumb2__=1"],
    "_mve_": ["-D__ARM_FEATURE_MVE=1"],
    "_v6m_": ["-D__ARM_ARCH_6M__=1", *NAMED_REGISTERS],
}


def rules_of(heading: str) -> set[str]:
    """Return the rules in the first column of the table below a heading of the page."""
    table = PAGE.split(f"## {heading}")[1].split("\n## ")[0]
    cells = re.findall(r"^\| ([\d., ]+) \|", table, re.MULTILINE)
    return {rule for cell in cells for rule in cell.split(", ")}


# What cppcheck 2.10 finds and 2.17 no longer does.
NOT_FOUND_SINCE = {"10.6", "11.8"}
REQUIRED, ADVISORY = rules_of("Required"), rules_of("Advisory")


def findings(files, folder, *options) -> dict[str, str]:
    """Return what the add-on finds: rule to the last place of it."""
    if shutil.which("cppcheck") is None:
        pytest.skip("cppcheck is not installed (`make firmware-tools` installs it)")
    command = ["cppcheck", "-q", "--std=c99", "--addon=misra", "--enable=style", "--suppress=missingIncludeSystem", *DEFINED]
    command += [*options, "--template={file}:{line}:{id}", *map(str, files)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    lines = (done.stdout + done.stderr).splitlines()
    assert done.returncode == 0, lines
    assert not [line for line in lines if "Error" in line or "addon" in line], lines
    found = [line.rsplit(":", 1) for line in lines if not line.startswith("board/")]
    return {rule.removeprefix("misra-c2012-"): place for place, rule in found if rule.startswith("misra-")}


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """What is found in the kernels, for each processor with code of its own."""
    folder = tmp_path_factory.mktemp("units")
    found = {}
    for part, defined in PROCESSORS.items():
        headers = [name for name in HEADERS if core_of(name) == CORES.get(part)]
        (folder / f"{part}.c").write_text("".join(f'#include "{name}"\n' for name in [*headers, "edgebn_conv_s8.h"]))
        found |= findings([f"{part}.c"], folder, *defined, f"-I{LIBRARY}")
    return found | findings(sorted(LIBRARY.glob("*.c")), folder, f"-I{LIBRARY}")


def test_kernels_break_no_rule_but_those_with_a_reason(kernels):
    assert {rule: place for rule, place in kernels.items() if rule not in REQUIRED | ADVISORY} == {}


def test_no_deviation_is_out_of_date(kernels):
    said = subprocess.run(["cppcheck", "--version"], capture_output=True, text=True, check=True).stdout
    newer = tuple(map(int, re.findall(r"\d+", said)[:2])) > (2, 10)
    assert sorted(REQUIRED - set(kernels) - (NOT_FOUND_SINCE if newer else set())) == []


@pytest.mark.parametrize("kind", ["alone", "instances", "adapting", "link"])
def test_emitted_networks_break_no_rule_but_those_with_a_reason(kind, tmp_path):
    ((program, _),) = drawn(single("convolution", "int8"), 1)
    options = {"instances": {"instances": True}, "adapting": {"adapt": True}, "link": {"main": "link", "adapt": True}}.get(kind, {})
    project = codegen.emit(adapting() if "adapt" in options else program, tmp_path / "out", name="small", **options)
    files = [file for file in project.files if file.endswith(".c") and "/" not in file and file != "folders.c"]
    found = findings(files, tmp_path / "out", "-I.")
    assert found
    assert {rule: place for rule, place in found.items() if rule not in REQUIRED | ADVISORY} == {}


def test_a_fault_is_found(tmp_path):
    """The harness itself: a jump, of which no table says anything."""
    (tmp_path / "fault.c").write_text("void f(void);\nvoid f(void) {\nagain:\n    goto again;\n}\n")
    assert "15.1" in findings(["fault.c"], tmp_path)
    assert "15.1" not in REQUIRED | ADVISORY
