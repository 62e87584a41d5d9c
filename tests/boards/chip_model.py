"""Chips as their reference manuals describe them, so far as clocks go: each write of a board's clocks_*.c is judged.

The file is compiled for this computer with `BOARD_REGISTER(address)` a call of the model, which gives the register's place, sees at
the next access what was written there, and lets the hardware answer (ready bits). Numbers are those of the manuals' tables.
"""

import ctypes
import subprocess
from pathlib import Path
from typing import ClassVar

import boards

MHZ = 1_000_000
HEADER = """\
#include <stdint.h>
volatile uint32_t *board_register(uint32_t address);
#define BOARD_REGISTER(address) (*board_register(address))
"""
# A model that has seen a fault, or a wait without an end, gives no place: out of the program, through every loop that it may be in.
HARNESS = """\
#include <setjmp.h>
#include "harness.h"
volatile uint32_t *(*model)(uint32_t address);
void board_clocks_init(void);
int begin(void);
static jmp_buf out;
volatile uint32_t *board_register(uint32_t address) {
    volatile uint32_t *place = model(address);
    if (!place) {
        longjmp(out, 1);
    }
    return place;
}
int begin(void) {
    if (setjmp(out)) {
        return 1;
    }
    board_clocks_init();
    return 0;
}
"""
MANY = 5000
SEEN = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)


class Chip:
    """Registers from their reset values on; subclasses say what follows from a write and what must hold after it."""

    RESET: ClassVar[dict[int, int]] = {}

    def __init__(self):
        self.places = {}
        self.values = {}
        self.written = []
        for address, value in self.RESET.items():
            self._place(address).value = value
            self.values[address] = value

    def _place(self, address):
        return self.places.setdefault(address, ctypes.c_uint32(0))

    def __getitem__(self, address):
        return self._place(address).value

    def __setitem__(self, address, value):
        """Change a register as the hardware does."""
        self._place(address).value = value
        self.values[address] = value

    def settle(self):
        """Notice what the program has written since the last access."""
        for address, place in list(self.places.items()):
            if place.value != self.values.get(address, 0):
                self.values[address] = place.value
                self.written.append((address, place.value))
                self.after_write(address, place.value)
                self.must_hold()

    def after_write(self, address, value):
        """Let the hardware answer."""

    def must_hold(self):
        """Assert what the manual demands at any time."""

    def run(self, board, folder):
        """Compile and call `board_clocks_init` of a board."""
        (source,) = [path for path in board.sources if path.name == f"clocks_{board.clocks}.c"]
        (folder / "board_config.h").write_text(board.config_header())
        (folder / "harness.h").write_text(HEADER)
        (folder / "harness.c").write_text(HARNESS)
        library = folder / "clocks.so"
        command = [
            "gcc",
            "-std=c99",
            "-Wall",
            "-Wextra",
            "-shared",
            "-fPIC",
            "-O1",
            "-include",
            folder / "harness.h",
            f"-I{folder}",
        ]
        command += [f"-I{Path(boards.__file__).parent / 'common'}", source, folder / "harness.c", "-o", library]
        subprocess.run(list(map(str, command)), check=True)
        code = ctypes.CDLL(str(library))
        failed = []
        accesses = 0

        def register(address):
            nonlocal accesses
            accesses += 1
            try:
                self.settle()
                assert accesses < MANY, f"waits for ever for 0x{address:08X}"
            except AssertionError as error:
                failed.append(error)
                return None
            return ctypes.addressof(self._place(address))

        seen = SEEN(register)
        ctypes.c_void_p.in_dll(code, "model").value = ctypes.cast(seen, ctypes.c_void_p).value
        if code.begin():
            raise failed[0]
        self.settle()


class Stm32F4F7(Chip):
    """RCC, PWR and FLASH of RM0390 (STM32F446) and RM0385 (STM32F746), which differ in limits."""

    RCC, PWR, FLASH = 0x40023800, 0x40007000, 0x40023C00
    RESET: ClassVar[dict[int, int]] = {RCC: 0x83, RCC + 4: 0x24003010, PWR: 0xC000, FLASH: 0}
    HSI = 16 * MHZ
    CORE_LIMIT, UNDRIVEN_LIMIT, APB1_LIMIT, APB2_LIMIT = 180 * MHZ, 168 * MHZ, 45 * MHZ, 90 * MHZ
    HZ_A_WAIT_STATE = 30 * MHZ  # at 2.7 to 3.6 V
    UART_BUS = 1

    @property
    def vco(self):
        config = self[self.RCC + 4]
        assert not config >> 22 & 1, "from the internal oscillator"
        reference = self.HSI / (config & 0x3F)
        return reference, reference * (config >> 6 & 0x1FF)

    @property
    def core(self):
        source = self[self.RCC + 8] >> 2 & 3
        if source == 0:
            return self.HSI
        assert source == 2
        return self.vco[1] / (2, 4, 6, 8)[self[self.RCC + 4] >> 16 & 3]

    def bus(self, number):
        divider = self[self.RCC + 8] >> {1: 10, 2: 13}[number] & 7
        return self.core / (1 if divider < 4 else 2 << divider - 4)

    @property
    def uart(self):
        return self.bus(self.UART_BUS)

    def after_write(self, address, value):
        if address == self.RCC:
            self[address] = value & ~(1 << 25) | (value >> 24 & 1) << 25
        elif address == self.RCC + 8:
            assert value & 3 != 2 or self[self.RCC] >> 25 & 1, "switched to a PLL that is not ready"
            self[address] = value & ~0xC | (value & 3) << 2
        elif address == self.PWR:
            assert self[self.RCC + 0x40] >> 28 & 1, "PWR has no clock"
            assert value >> 16 & 1 or not value >> 17 & 1, "switched before it is on"
            self[self.PWR + 4] = value & 0x30000
        elif address == self.RCC + 4:
            assert not self[self.RCC] >> 24 & 1, "the PLL is running"

    def must_hold(self):
        if self[self.RCC] >> 24 & 1:
            reference, vco = self.vco
            assert 1 * MHZ <= reference <= 2 * MHZ
            assert 100 * MHZ <= vco <= 432 * MHZ
        assert self.core <= (self.CORE_LIMIT if self[self.PWR + 4] >> 17 & 1 else self.UNDRIVEN_LIMIT)
        assert self.core <= self.HZ_A_WAIT_STATE * ((self[self.FLASH] & 0xF) + 1), "wait states of flash"
        assert self.bus(1) <= self.APB1_LIMIT
        assert self.bus(2) <= self.APB2_LIMIT


class Stm32F446(Stm32F4F7):
    CACHES = 7 << 8

    def is_cached(self):
        return self[self.FLASH] & self.CACHES == self.CACHES


class CortexM7Caches:
    """The system control block's part: 4 ways of 32 sets of data (a cache of 4 KB; how large it is the program has to ask)."""

    WAYS, SETS = 4, 32

    def is_cached(self):
        lines = {value for address, value in self.lines if address == 0xE000EF60}
        assert lines == {way << 30 | line << 5 for way in range(self.WAYS) for line in range(self.SETS)}, (
            "left as they came out of reset"
        )
        return self[0xE000ED14] & 3 << 16 == 3 << 16

    @property
    def lines(self):
        return [(0xE000EF60, 0), *self.written]  # the first is no change of the register


class Stm32F746(CortexM7Caches, Stm32F4F7):
    RESET: ClassVar[dict[int, int]] = Stm32F4F7.RESET | {0xE000ED80: (31 << 13) | (3 << 3)}
    CORE_LIMIT, UNDRIVEN_LIMIT, APB1_LIMIT, APB2_LIMIT = 216 * MHZ, 180 * MHZ, 54 * MHZ, 108 * MHZ
    UART_BUS = 2


class Stm32H743(CortexM7Caches, Chip):
    """RCC, PWR, FLASH and SYSCFG of RM0433; limits of the data sheets of revision Y, and of V where scale 0 is on."""

    RCC, PWR, FLASH, SYSCFG = 0x58024400, 0x58024800, 0x52002000, 0x58000400
    RESET: ClassVar[dict[int, int]] = {
        RCC: 0x25,
        RCC + 0x28: 0x02020200,
        RCC + 0x2C: 0x01FF0000,
        RCC + 0x30: 0x01010280,
        PWR + 0xC: 6,
        PWR + 0x18: 0x4000,
        FLASH: 0x37,
        0xE000ED80: (31 << 13) | (3 << 3),
    }
    HSI = 64 * MHZ
    # MHz of AXI for each number of them, by scale; core, AHB, APB and VCO.
    WAIT_STATES: ClassVar = {3: [70, 140, 210, 225], 0: [70, 140, 210, 225, 240]}
    LIMITS: ClassVar = {3: (400, 200, 100, 836), 0: (480, 240, 120, 960)}

    @property
    def scale(self):
        """3 is scale 1, 2 scale 2, 1 scale 3; with over-drive scale 0."""
        return 0 if self[self.SYSCFG + 0x2C] & 1 else self[self.PWR + 0x18] >> 14

    @property
    def vco(self):
        reference = self.HSI / (self[self.RCC + 0x28] >> 4 & 0x3F)
        return reference, reference * ((self[self.RCC + 0x30] & 0x1FF) + 1)

    @property
    def core(self):
        source = self[self.RCC + 0x10] >> 3 & 7
        if source == 0:
            return self.HSI
        assert source == 3
        assert self[self.RCC + 0x2C] >> 16 & 1, "output P is off"
        assert self[self.RCC + 0x18] >> 8 & 0xF == 0, "the core has all of it"
        return self.vco[1] / ((self[self.RCC + 0x30] >> 9 & 0x7F) + 1)

    @property
    def ahb(self):
        divider = self[self.RCC + 0x18] & 0xF
        return self.core / (1 if divider < 8 else 2 << divider - 8)

    def buses(self):
        fields = [(0x18, 4), (0x1C, 4), (0x1C, 8), (0x20, 4)]
        dividers = [self[self.RCC + offset] >> bit & 7 for offset, bit in fields]
        return [self.ahb / (1 if divider < 4 else 2 << divider - 4) for divider in dividers]

    @property
    def uart(self):
        return self.buses()[1]

    def after_write(self, address, value):
        if address == self.RCC:
            self[address] = value & ~(1 << 25) | (value >> 24 & 1) << 25
        elif address == self.RCC + 0x10:
            assert value & 7 != 3 or self[self.RCC] >> 25 & 1, "switched to a PLL that is not ready"
            self[address] = value & ~0x38 | (value & 7) << 3
        elif address == self.PWR + 0xC:
            assert value & 7 == 2, "the regulator alone"
            self[self.PWR + 4] = 1 << 13
        elif address == self.PWR + 0x18:
            assert self[self.PWR + 4] >> 13 & 1, "before the supply is known"
            self[address] = value | 1 << 13
        elif address == self.SYSCFG + 0x2C:
            assert self[self.RCC + 0xF4] >> 1 & 1, "SYSCFG has no clock"
            assert self[self.PWR + 0x18] >> 14 == 3, "scale 0 goes from scale 1"
        elif address in (self.RCC + 0x28, self.RCC + 0x30):
            assert not self[self.RCC] >> 24 & 1, "the PLL is running"

    def must_hold(self):
        scale = self.scale
        if self.core == self.HSI and not self[self.RCC] >> 24 & 1:
            return
        core, ahb, apb, vco_limit = (limit * MHZ for limit in self.LIMITS[scale])
        if self[self.RCC] >> 24 & 1:
            reference, vco = self.vco
            config = self[self.RCC + 0x2C]
            low, high = ((1, 2), (2, 4), (4, 8), (8, 16))[config >> 2 & 3]
            assert low * MHZ <= reference <= high * MHZ
            assert not config >> 1 & 1, "the wide range"
            assert 192 * MHZ <= vco <= vco_limit
        assert self.core <= core
        assert self.ahb <= ahb
        assert max(self.buses()) <= apb
        enough = next(number for number, most in enumerate(self.WAIT_STATES[scale]) if self.ahb <= most * MHZ)
        assert self[self.FLASH] & 0xF >= enough, "wait states of flash"
        assert self.core == self.HSI or self[self.FLASH] >> 4 & 3 == 2, "WRHIGHFREQ"


class Rp2(Chip):
    """Clocks of the RP2040 and the RP2350 (data sheets, chapters on clocks, PLL and resets)."""

    CRYSTAL = 12 * MHZ
    CLEAR = 0x3000  # the alias that clears bits

    @property
    def pll(self):
        base = self.PLL
        reference = self.CRYSTAL / max(self[base] & 0x3F, 1)
        return reference * (self[base + 8] & 0xFFF)

    @property
    def core(self):
        control = self[self.CLOCKS + 0x3C]
        if control & 1:
            assert control >> 5 & 7 == 0, "the system PLL"
            power, dividers = self[self.PLL + 4], self[self.PLL + 0xC]
            assert power & 0b101001 == 0, "no output"
            return self.pll / ((dividers >> 16 & 7) * (dividers >> 12 & 7))
        return self.CRYSTAL if self[self.CLOCKS + 0x30] & 3 == 2 else 6 * MHZ

    @property
    def uart(self):
        control = self[self.CLOCKS + 0x48]
        assert control >> 11 & 1
        assert control >> 5 & 7 == 4
        return self.CRYSTAL

    def after_write(self, address, value):
        if address == self.XOSC:
            assert value == 0xFABAA0
            self[self.XOSC + 4] = 1 << 31
        elif address == self.CLOCKS + 0x30:
            assert value & 3 != 2 or self[self.XOSC + 4] >> 31, "the crystal is not stable"
            self[self.CLOCKS + 0x38] = 1 << (value & 3)
        elif address == self.CLOCKS + 0x3C:
            assert not value & 1 or self[self.PLL] >> 31, "the PLL is not locked"
            self[self.CLOCKS + 0x44] = 1 << (value & 1)
        elif address == self.RESETS + self.CLEAR:
            self[self.RESETS] &= ~value
            self[self.RESETS + 8] = ~self[self.RESETS] & 0x1FFFFFFF
            self[address] = 0
        elif self.PLL <= address <= self.PLL + 0xC:
            assert self[self.RESETS + 8] >> self.PLL_RESET & 1, "the PLL is in reset"
            if address == self.PLL + 4 and not value & 0b100001:
                assert self[self.CLOCKS + 0x38] == 1 << 2, "its reference is the crystal"
                self[self.PLL] |= 1 << 31

    def must_hold(self):
        if self[self.PLL] >> 31:
            assert 750 * MHZ <= self.pll <= 1600 * MHZ
            assert 16 <= self[self.PLL + 8] <= 320
            dividers = self[self.PLL + 0xC]
            assert dividers >> 16 & 7 >= dividers >> 12 & 7, "the larger first takes less"
        assert self.core <= self.LIMIT

    def is_cached(self):
        return True  # the cache of flash is on out of reset

    @property
    def timer(self):
        return self.CRYSTAL / self.tick_cycles()


def rp2_out_of_reset(clocks, pll, others):
    """Return the registers that are not zero: both clocks from the ring oscillator, the PLL off."""
    return {clocks + 0x44: 1, clocks + 0x38: 1, pll: 1, pll + 4: 0x2D, pll + 0xC: 0x77000, **others}


class Rp2040(Rp2):
    XOSC, CLOCKS, RESETS, PLL, PLL_RESET = 0x40024000, 0x40008000, 0x4000C000, 0x40028000, 12
    LIMIT = 133 * MHZ
    RESET: ClassVar[dict[int, int]] = rp2_out_of_reset(CLOCKS, PLL, {RESETS: 0x1FFFFFF})

    def tick_cycles(self):
        tick = self[0x4005802C]
        assert tick >> 9 & 1
        return tick & 0x1FF


class Rp2350(Rp2):
    XOSC, CLOCKS, RESETS, PLL, PLL_RESET = 0x40048000, 0x40010000, 0x40020000, 0x40050000, 14
    LIMIT = 150 * MHZ
    RESET: ClassVar[dict[int, int]] = rp2_out_of_reset(CLOCKS, PLL, {RESETS: 0x1FFFFFFF})

    def tick_cycles(self):
        assert self[0x40108018] & 1
        return self[0x4010801C] & 0x1FF


class Esp32C3(Chip):
    """System registers of the ESP32-C3's technical reference manual, section on the CPU clock; the ROM leaves the PLL on."""

    CPU, SYSTEM = 0x600C0008, 0x600C0058
    RESET: ClassVar[dict[int, int]] = {CPU: 0xC, SYSTEM: 1, 0x600080AC: 0, 0x60008090: 0x13214, 0x6001F048: 0x4C000}

    @property
    def core(self):
        source = self[self.SYSTEM] >> 10 & 3
        if source == 0:
            return 40 * MHZ / ((self[self.SYSTEM] & 0x3FF) + 1)
        assert source == 1
        assert self[self.CPU] >> 2 & 1, "a PLL of 480 MHz"
        return {0: 80 * MHZ, 1: 160 * MHZ}[self[self.CPU] & 3]

    uart = 40 * MHZ

    def after_write(self, address, value):
        locks = {0x60008090: (0x600080A8, 0x50D83AA1), 0x600080AC: (0x600080B0, 0x8F1D312A), 0x6001F048: (0x6001F064, 0x50D83AA1)}
        if address in locks:
            lock, key = locks[address]
            assert self[lock] == key, "the watchdog is locked"

    def is_cached(self):
        return True  # the ROM turned it on

    def watchdogs_are_off(self):
        return not self[0x60008090] >> 31 and not self[0x6001F048] >> 31 and self[0x600080AC] >> 31


class Nrf52840(Chip):
    """CLOCK and NVMC of its product specification."""

    core = 64 * MHZ
    uart = 16 * MHZ

    def after_write(self, address, value):
        if address == 0x40000000 and value == 1:
            self[0x40000100] = 1

    def is_cached(self):
        return self[0x4001E540] & 1 and self[0x40000100]


MODELS = {
    "nucleo-f446re": Stm32F446,
    "stm32f746-disco": Stm32F746,
    "nucleo-h743zi": Stm32H743,
    "nucleo-h743zi2": Stm32H743,
    "rpi-pico": Rp2040,
    "rpi-pico2": Rp2350,
    "rpi-pico2-riscv": Rp2350,
    "esp32-c3": Esp32C3,
    "arduino-nano-33-ble": Nrf52840,
}
