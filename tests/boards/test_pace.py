"""Cycles from counted instructions: what was published is met within the margin that is stated, and nothing else is given."""

from statistics import fmean

import pytest

import boards
from boards import counting, pace

ON_CORE = {published.core: published for published in (pace.CMSIS_NN_M4, pace.CMSIS_NN_M33)}


@pytest.mark.parametrize("core", ON_CORE)
@pytest.mark.parametrize("network", pace.COUNTED)
def test_published_times_of_cmsis_nn_are_met(core, network):
    """By its own instructions; and by the other networks alone, which is how the number is used."""
    measured = ON_CORE[core]
    found = pace.cycles(core, round(pace.COUNTED[network] * 1e6))
    assert found.typical / 1e6 == pytest.approx(measured.cycles(network), rel=0.11)
    assert found.low / 1e6 < measured.cycles(network) < found.high / 1e6
    others = fmean(measured.cycles(other) / pace.COUNTED[other] for other in pace.COUNTED if other != network)
    assert others * pace.COUNTED[network] == pytest.approx(measured.cycles(network), rel=pace.MARGIN)


@pytest.mark.parametrize("network", pace.COUNTED)
@pytest.mark.parametrize(("on_m4", "on_m7"), [pair for engine in pace.M4_TO_M7 for pair in engine], ids=lambda one: one.system)
def test_published_times_on_a_cortex_m7_are_met_from_a_cortex_m4(on_m4, on_m7, network):
    """The same engine on both: from one's cycles and the ratio of the two cores, for all four networks of the benchmark."""
    assert (on_m4.engine, on_m4.core, on_m7.core) == (on_m7.engine, "Cortex-M4F", "Cortex-M7")
    ratio = pace.cycles_an_instruction("Cortex-M7") / pace.cycles_an_instruction("Cortex-M4F")
    assert on_m4.cycles(network) * ratio == pytest.approx(on_m7.cycles(network), rel=0.21)
    assert pace.MARGIN > 0.21


def test_published_numbers_are_read_as_they_are_printed():
    assert pace.CUBE_M7.cycles("vww") == pytest.approx(14.094, abs=0.001)
    assert pace.PLUMERAI_F7.cycles("kws") == pytest.approx(3.834, abs=0.001)


def test_what_was_not_measured_is_not_estimated():
    for core in ("Cortex-M0+", "Cortex-M3", "RV32IMC"):
        found = pace.cycles(core, 1000)
        assert (found.typical, found.low, found.high, found.least) == (None, None, None, 1000)
        assert "no more than one instruction a cycle" in found.method
    for nothing in (
        pace.cycles("Cortex-M55", 1000),
        pace.cycles("Cortex-M4F", 1000, is_int8=False),
        pace.cycles("Cortex-M33", 1000, external_flash=True),
    ):
        assert (nothing.typical, nothing.least) == (None, None)
        assert "nothing is published" in nothing.method


def test_every_estimate_has_a_method():
    for board in map(boards.load, boards.names()):
        assert len(pace.cycles(board.core, 10**6).method) > 40


def test_counters_have_the_instructions_of_their_cores():
    """The compiler is told the same, but for the core's name."""
    alike = {"-mcpu=cortex-m0plus": "-mcpu=cortex-m0", "-march=rv32imc": "-march=rv32imac", "-mfpu=fpv5-sp-d16": "-mfpu=fpv5-d16"}
    for board in map(boards.load, boards.names()):
        counter = counting.counter_of(board)
        if counter is None:
            assert board.kind == "host" or board.core in {"Xtensa LX6", "Xtensa LX7"}  # QEMU's lx106 has fewer instructions
            continue
        assert counter.timer.ticks_per_instruction > 0
        assert counter.compiler == board.compiler
        flags = [{alike.get(flag, flag) for flag in one.flags} for one in (board, counter)]
        assert flags[0] == flags[1], board.name


def test_real_boards_have_clocks():
    for board in map(boards.load, boards.names()):
        assert (board.clock is not None) == (board.kind == "real"), board.name
        if board.clock:
            assert board.clock.started_hz <= board.clock.rated_hz <= 600_000_000
