"""What edgebn knows of one board, as its board.toml says it, and the files a project for it needs.

Knows nothing of models, compilers' runs or emulators; it turns facts into text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template

COMMON = Path(__file__).parent / "common"
STORAGE_PAGE = 1024  # bytes that a page of storage has, and is erased by; of flash the smallest that is common
STORAGE_FILE = "edgebn_storage.bin"  # stands for the storage of what is emulated


@dataclass(frozen=True)
class Memory:
    """One region of memory.

    Attributes
    ----------
    origin, size : int
        Where it begins, and how many bytes it has.
    load : int, optional
        Where flashing tools say it begins, if that differs.
    section : str
        Of a pool: what the linker script of its board's build system calls it; '' where the script is ours.
    """

    origin: int
    size: int
    load: int | None = None
    section: str = ""


@dataclass(frozen=True)
class Uart:
    """The serial line.

    Attributes
    ----------
    driver : str
        `common/uart_<driver>.c`.
    address : int
    clock_hz : int
        What the peripheral is fed with.
    baud : int
    tx_pin, rx_pin : int
        For drivers that route pins themselves; -1 elsewhere.
    """

    driver: str
    address: int
    clock_hz: int
    baud: int
    tx_pin: int = -1
    rx_pin: int = -1


@dataclass(frozen=True)
class Timer:
    """The clock that inferences are measured with.

    Attributes
    ----------
    driver : str
        `common/ticks_<driver>.c`.
    address : int
    hz : int
        Ticks a second.
    ticks_per_instruction : float
        Exact, where the emulator counts instructions; 0 where ticks are only time.
    """

    driver: str
    address: int
    hz: int
    ticks_per_instruction: float = 0.0

    def instructions(self, ticks: int) -> int | None:
        """Return how many instructions took `ticks`; None where the timer cannot tell."""
        return round(ticks / self.ticks_per_instruction) if self.ticks_per_instruction else None


@dataclass(frozen=True)
class Clock:
    """How fast the core of a real board runs, in hertz.

    Attributes
    ----------
    rated_hz : int
        The most that its maker allows.
    started_hz : int
        What the start-up code of `clocks` leaves it at.
    external_flash : bool
        Whether code and constants are read from a chip beside it, through a cache.
    """

    rated_hz: int
    started_hz: int
    external_flash: bool = False


@dataclass(frozen=True)
class Emulator:
    """How QEMU is started for the board: the program and its machine arguments (instruction counting included)."""

    program: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Flasher:
    """What writes the flash of a real board.

    Attributes
    ----------
    tool : {'picotool', 'esptool', 'pyocd'}
    target : str
        What the tool calls the chip; '' where it need not be told.
    family : int, optional
        Of UF2 files, where the boot ROM takes them.
    """

    tool: str
    target: str = ""
    family: int | None = None


@dataclass(frozen=True)
class System:
    """The build system that brings a board's start-up code, drivers and linker script.

    Attributes
    ----------
    name : str
        Of the layout that `codegen` writes for it.
    tool : str
        What people call its command, which builds and flashes.
    settings : tuple of str
        Lines of its configuration: the chip and its clock.
    pool_settings : dict of str to tuple of str
        Lines that a pool's memory needs besides, by the pool's name.
    """

    name: str
    tool: str
    settings: tuple[str, ...]
    pool_settings: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Board:
    """One board.

    Attributes
    ----------
    name, title, core : str
        Folder name; a line for people; 'Cortex-M4F', 'RV32IMAC' ...
    kind : {'emulated', 'real', 'host'}
    note : str
        What is known to work, for people: runs in an emulator, or is only linked.
    compiler : str
        Program name of the compiler.
    flags : tuple of str
        For compiling and linking: core, floating-point unit and ABI. Optimisation is the project's choice.
    link_flags : tuple of str
        For linking alone; the linker script is added by whoever knows where it lies.
    flash, ram : Memory
        Sizes in bytes; what a program may use of them.
    pools : dict of str to Memory
        RAM beside that, of another speed: for the pools of an arena that are called so.
    stack : int
        Bytes of RAM that the linker script keeps for the stack.
    startup, linker_script, clocks, exit, storage, semihosting : str
        Which files of `common` (or the board's own folder) are used; `linker_script` is empty on a host, `semihosting` where no
        emulator is asked for services.
    uart : Uart
    timer : Timer
    emulator : Emulator or None
    clock : Clock or None
        None for what is emulated.
    flasher : Flasher or None
        None for what is not real.
    folder : Path
        Where board.toml lies.
    system : System or None
        None where everything that the board needs is here; else the parts above, the serial line and the timer are not ours.
    """

    name: str
    title: str
    core: str
    kind: str
    note: str
    compiler: str
    flags: tuple[str, ...]
    link_flags: tuple[str, ...]
    flash: Memory
    ram: Memory
    pools: dict[str, Memory]
    stack: int
    startup: str
    linker_script: str
    clocks: str
    exit: str
    storage: str
    semihosting: str
    uart: Uart
    timer: Timer
    emulator: Emulator | None
    clock: Clock | None
    flasher: Flasher | None
    folder: Path
    system: System | None = None

    @property
    def sources(self) -> tuple[Path, ...]:
        """The C files that make the board run: start-up, clocks, serial line, timer, exit, storage."""
        if self.system is not None:
            return ()
        parts = [
            f"startup_{self.startup}.c",
            f"clocks_{self.clocks}.c",
            f"uart_{self.uart.driver}.c",
            f"ticks_{self.timer.driver}.c",
            f"exit_{self.exit}.c",
            f"storage_{self.storage}.c",
        ]
        if self.semihosting:
            parts.append(f"semihosting_{self.semihosting}.c")
        return tuple(self._find(part) for part in parts)

    @property
    def filled_in(self) -> tuple[str, ...]:
        """Files of a project that its owner is told to change: clocks, their numbers, and storage where there is none."""
        storage = ("storage_none.c",) if self.storage == "none" else ()
        return (f"clocks_{self.clocks}.c", "board_config.h", *storage)

    @property
    def pool_sections(self) -> dict[str, str]:
        """Sections that the linker script puts into the memories of `pools`; nothing clears them at start."""
        return {name: memory.section or f".pool_{name}" for name, memory in self.pools.items()}

    @property
    def pool_sizes(self) -> dict[str, int]:
        """Bytes of every pool that the board has: of two memories, RAM is the one that the other is not called after."""
        sizes = {name: memory.size for name, memory in self.pools.items()}
        if len(sizes) == 1:
            (other,) = {"fast", "slow"} - set(sizes)
            sizes[other] = self.ram.size - self.stack
        return sizes

    @property
    def flash_address(self) -> int:
        """Where the image of a program goes, as flashing tools count: most count from where the core sees it."""
        return self.flash.load if self.flash.load is not None else self.flash.origin

    def config_header(self) -> str:
        """Return the text of `board_config.h`."""
        return f"""\
/* Facts of {self.name} ({self.core}), generated from its board.toml. */
#ifndef BOARD_CONFIG_H
#define BOARD_CONFIG_H

#define BOARD_NAME "{self.name}"
#define BOARD_UART_ADDRESS 0x{self.uart.address:08X}u
#define BOARD_UART_CLOCK_HZ {self.uart.clock_hz}u
#define BOARD_UART_TX_PIN {max(self.uart.tx_pin, 0)}u
#define BOARD_UART_RX_PIN {max(self.uart.rx_pin, 0)}u
#define BOARD_BAUD {self.uart.baud}u
#define BOARD_TIMER_ADDRESS 0x{self.timer.address:08X}u
#define BOARD_TICK_HZ {self.timer.hz}u
#define BOARD_CORE_HZ {self.clock.started_hz if self.clock else 0}u
#define BOARD_STORAGE_PAGE {STORAGE_PAGE}u
#define BOARD_STORAGE_FILE "{STORAGE_FILE}" /* in the folder where an emulator, or a program on a host, runs */

#endif
"""

    def linker_script_text(self) -> str:
        """Return the linker script with the board's memory map; empty on a host."""
        if not self.linker_script:
            return ""
        return Template(self._find(f"{self.linker_script}.ld").read_text(encoding="utf-8")).substitute(
            name=self.name,
            flash_origin=f"0x{self.flash.origin:08X}",
            flash_size=self.flash.size,
            ram_origin=f"0x{self.ram.origin:08X}",
            ram_size=self.ram.size,
            stack=self.stack,
            pool_memories="".join(
                f"\n    POOL_{name.upper()} (rw) : ORIGIN = 0x{pool.origin:08X}, LENGTH = {pool.size}"
                for name, pool in self.pools.items()
            ),
            pool_headers="".join(f"\n    pool_{name} PT_LOAD FLAGS(6);" for name in self.pools),
            pool_sections="".join(
                f"\n    .pool_{name} (NOLOAD) : {{ *({section}) }} > POOL_{name.upper()} : pool_{name}"
                for name, section in self.pool_sections.items()
            ),
        )

    def project_files(self) -> dict[str, str]:
        """Return what a project for the board needs in one folder: file name to text.

        `board.h`, `board_config.h`, the headers of `common` that its C files include, every C file of `sources` and, except on a
        host, `linker.ld`.
        """
        files = {"board.h": (COMMON / "board.h").read_text(encoding="utf-8"), "board_config.h": self.config_header()}
        files |= {path.name: path.read_text(encoding="utf-8") for path in self.sources}
        for path in sorted(COMMON.glob("*.h")):
            if any(f'#include "{path.name}"' in text for text in list(files.values())):
                files[path.name] = path.read_text(encoding="utf-8")
        if self.linker_script:
            files["linker.ld"] = self.linker_script_text()
        return files

    def _find(self, file: str) -> Path:
        own = self.folder / file
        return own if own.exists() else COMMON / file
