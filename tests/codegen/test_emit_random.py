"""Random small networks, emitted whole and run on the host and on a Cortex-M4F: arena, sharing and joins as well as kernels.

Many projects are linked into one program, so that an emulator starts once.
"""

import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st

import codegen
from boards import emulator, toolchain
from edgebn import program as p
from tests import emitted
from tests.codegen.test_codegen_kernels import drawn
from tests.conftest import TEST_ALL
from tests.programs import Maker, programs, single

HOST_NETWORKS = 300 if TEST_ALL else 20
CORE_NETWORKS = 30 if TEST_ALL else 6
IN_FLASH = 10  # networks that the smallest flash of CORES holds at once
FLOAT_NETWORKS = 60 if TEST_ALL else 10
MIXED_NETWORKS = 100 if TEST_ALL else 20
CORES = ["mps2-an386", "mps2-an385-m0", "mps3-an547"]  # the three with kernels of their own
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")

MAIN = """#include "board.h"
{declarations}
int main(void) {{
    return {sum};
}}
"""


def unit(project, number):
    """Return the path of one C file that holds a whole project, under names that no other has."""
    parts = [file for file in project.files if file.endswith(".c") and not file.startswith("board/")]
    lines = [f"#define main self_test_{number}", f"#define edgebn_trace edgebn_trace_{number}"]
    path = project.folder / "unit.c"
    path.write_text("\n".join([*lines, *(f'#include "{part}"' for part in parts)]) + "\n")
    return path


def with_lowest_codes(program, seed):
    """Return the network with weights at both ends of int8, -128 the most frequent, and outputs that still fit the codes."""
    rng = np.random.default_rng(seed)

    def changed(step):
        if not isinstance(step, p.Convolution):
            return step
        weight = rng.choice(np.array([-128, -128, -128, 127], np.int8), step.weight.shape)
        return replace(step, weight=weight, epilogue=replace(step.epilogue, s=np.minimum(step.epilogue.s + 3, 62).astype(np.uint8)))

    return replace(program, steps=tuple(changed(step) for step in program.steps))


def run_all(networks, folder, board_name, flags=(), *, whole=False):
    """Emit and build the networks, run them all and return what they said; with one sample each, or (`whole`) a sequence."""
    board = emitted.board_or_skip(board_name)
    own = toolchain.write_project(board, folder / "board")
    objects = []
    for number, (program, sample) in enumerate(networks):
        project = codegen.emit(
            program, folder / str(number), board_name, name=f"network_{number}", samples=sample if whole else sample[None]
        )
        objects.append(folder / f"{number}.o")
        include = [f"-I{path}" for path in (project.folder, project.folder / "kernels", folder / "board")]
        trace = ["-DEDGEBN_TRACE"] if program.dtype != "float32" else []
        options = ["-std=c99", "-O2", *trace, *toolchain.WARNINGS, *board.flags, *flags, *include]
        command = [board.compiler, *options, "-c", str(unit(project, number)), "-o", str(objects[-1])]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr[:3000]
    names = [f"self_test_{number}" for number in range(len(networks))]
    text = MAIN.format(
        declarations="\n".join(f"int {name}(void);" for name in names), sum=" + ".join(f"{name}()" for name in names)
    )
    (folder / "main.c").write_text(text)
    program = folder / "all.elf"
    script = [f"-T{folder / 'board' / 'linker.ld'}"] if board.linker_script else []
    sources = [str(path) for path in (folder / "main.c", *own, *objects)]
    command = [board.compiler, "-std=c99", *board.flags, *flags, f"-I{folder / 'board'}", *sources]
    subprocess.run([*command, *board.link_flags, *script, "-o", str(program)], check=True, capture_output=True)
    return emulator.run(board, program, timeout=600)


def assert_all_right(networks, ended):
    text = ended.output.decode(errors="replace")
    good = text.count(" 0 differ,")
    assert (ended.status, good) == (0, len(networks)), text[-2000:]


def test_networks_on_the_host(tmp_path):
    networks = drawn(programs("int8"), HOST_NETWORKS)
    assert_all_right(networks, run_all(networks, tmp_path, "host", SANITIZERS))


@pytest.mark.parametrize("board", CORES)
def test_networks_on_a_core(board, tmp_path):
    networks = drawn(programs("int8"), CORE_NETWORKS)
    for start in range(0, CORE_NETWORKS, IN_FLASH):
        part = networks[start : start + IN_FLASH]
        assert_all_right(part, run_all(part, tmp_path / str(start), board))


@pytest.mark.parametrize("board", CORES)
def test_the_lowest_codes_and_weights_meet_on_a_core(board, tmp_path):
    """Two taps of -128 times -128 need 17 bits: kernels that add two products in 16 bits must not."""
    random = drawn(single("convolution", "int8"), 2 * CORE_NETWORKS)
    networks = [(with_lowest_codes(program, i), np.full_like(sample, -128)) for i, (program, sample) in enumerate(random)]
    assert_all_right(networks, run_all(networks, tmp_path, board))


@st.composite
def long_columns(draw):
    """One convolution of weights at both ends, with as many taps as sums of 24 bits allow, or more."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    maker = Maker(draw, "int8", rng)
    taps = draw(st.sampled_from([516, 520]))
    x, y = maker.buffer((1, 3, taps)), maker.buffer((1, 3, 4))
    weight = rng.choice(np.array([-127, 127], np.int8), (4, 1, 1, taps))
    weight[1] = draw(st.sampled_from([-127, 127]))
    maker.finish_step(p.Convolution("long", (x,), y, weight, maker.epilogue(4, taps, y)))
    return maker.program((x,), (y,))


@pytest.mark.parametrize("board", CORES)
def test_sums_of_24_bits_and_more_on_a_core(board, tmp_path):
    """Channels that share a half word have 24 bits for the sums of the second; those of more do not share."""
    random = drawn(long_columns(), CORE_NETWORKS)
    networks = [(program, np.full_like(sample, (-128, 127)[i % 2])) for i, (program, sample) in enumerate(random)]
    assert_all_right(networks, run_all(networks, tmp_path, board))
    shared = ["EDGEBN_PAIR" in path.read_text() for path in tmp_path.glob("*/*_params.c")]
    assert len(shared) == len(networks)
    assert set(shared) == {False, True}


def test_float_networks_on_the_host(tmp_path):
    networks = drawn(programs("float32"), FLOAT_NETWORKS)
    assert_all_right(networks, run_all(networks, tmp_path, "host", SANITIZERS))


def test_mixed_networks_on_the_host(tmp_path):
    networks = drawn(programs("mixed"), MIXED_NETWORKS)
    assert_all_right(networks, run_all(networks, tmp_path, "host", SANITIZERS))


def test_mixed_networks_on_a_core(tmp_path):
    networks = drawn(programs("mixed"), CORE_NETWORKS)
    assert_all_right(networks, run_all(networks, tmp_path, "mps2-an386"))
