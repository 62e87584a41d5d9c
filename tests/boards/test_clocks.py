"""Start-up code of real boards on models of their chips: the clocks that board.toml promises, and no limit passed on the way."""

from dataclasses import replace

import pytest

import boards
from tests.boards.chip_model import MODELS, Esp32C3, Rp2

REAL = [name for name in boards.names() if boards.load(name).kind == "real" and boards.load(name).system is None]


def test_every_real_board_has_a_model():
    assert sorted(MODELS) == sorted(REAL)


def start(name, board, folder):
    """Run a board's start-up code on the model of its chip, which must have the clocks and the caches that are promised."""
    chip = MODELS[name]()
    chip.run(board, folder)
    assert chip.core == board.clock.started_hz == board.clock.rated_hz
    assert chip.uart == board.uart.clock_hz
    assert chip.is_cached()
    return chip


@pytest.mark.parametrize("name", REAL)
def test_clocks_are_what_is_promised(name, tmp_path):
    board = boards.load(name)
    chip = start(name, board, tmp_path)
    if board.timer.driver in ("dwt", "mcycle"):
        assert board.timer.hz == board.clock.started_hz
    if isinstance(chip, Rp2):
        assert chip.timer == 1_000_000
    if isinstance(chip, Esp32C3):
        assert chip.watchdogs_are_off()


# A change of the code, and what the model of the chip says of it.
FAULTS = [
    ("nucleo-f446re", "AND_CACHES (5u", "AND_CACHES (4u", "wait states"),
    ("nucleo-f446re", "PWR_CR |= OVER_DRIVE_SWITCHED", "PWR_CR |= 0u", None),
    ("nucleo-f446re", "(5u << 10)", "(4u << 10)", None),
    ("nucleo-f446re", "180u << 6", "220u << 6", None),
    ("nucleo-f446re", "RCC_APB1ENR |= PWR_CLOCK;", "", "PWR has no clock"),
    ("stm32f746-disco", "    caches_enable();", "    CACHE_CONTROL |= INSTRUCTIONS_ON | DATA_ON;", "out of reset"),
    ("nucleo-h743zi2", "SYSCFG_PWRCR |= OVER_DRIVE;", "SYSCFG_PWRCR |= 0u;", None),
    ("nucleo-h743zi", "#define TIMES 50u", "#define TIMES 60u", None),
    ("rpi-pico", "PLL_TIMES 133u", "PLL_TIMES 135u", None),
    ("rpi-pico2", " | PLL_SYSTEM_RESET;", ";", "waits for ever"),
    ("esp32-c3", "RTC_WATCHDOG_LOCK = UNLOCK;", "", "locked"),
]


@pytest.mark.parametrize(("name", "right", "wrong", "said"), FAULTS)
def test_the_models_find_faults(name, right, wrong, said, tmp_path):
    board = boards.load(name)
    texts = {file: text for file, text in board.project_files().items() if file.startswith("clocks_")}
    assert any(right in text for text in texts.values())
    for file, text in texts.items():
        (tmp_path / file).write_text(text.replace(right, wrong))
    with pytest.raises(AssertionError, match=said):
        start(name, replace(board, folder=tmp_path), tmp_path)
