"""From counted instructions to cycles of a core: by how much published measurements of the same kind of code say, or not at all.

Knows nothing of models or emulators. An emulator counts instructions exactly and knows no pipeline, no flash and no cache; what a
core makes of them was measured by others, for kernels of the same kind (int8 convolutions, CMSIS-NN and STM32Cube.AI), and is
applied to ours. docs/boards.md has the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

# Million instructions of one inference by CMSIS-NN at -O3, Armv7E-M, counted in QEMU (benchmarks/codegen/firmware.py).
COUNTED = {"kws": 7.84, "resnet8": 29.87, "ad": 0.580}


@dataclass(frozen=True)
class Published:
    """One measured system: clock, and inferences a second by network.

    Attributes
    ----------
    system, engine : str
    core : str
        As in board.toml.
    hz : int
    speeds : dict of str to float
    """

    system: str
    engine: str
    core: str
    hz: int
    speeds: dict[str, float]

    def cycles(self, network: str) -> float:
        """Return million cycles of one inference."""
        return self.hz / self.speeds[network] / 1e6


# MLPerf Tiny v1.1, closed division, submitter Krai: closed/Krai/results/README.md of github.com/mlcommons/tiny_results_v1.1.
CMSIS_NN_M4 = Published(
    "NUCLEO-L4R5ZI", "microTVM with CMSIS-NN", "Cortex-M4F", 120_000_000, {"ad": 116.212, "resnet8": 2.567, "kws": 10.019}
)
CMSIS_NN_M33 = Published(
    "nRF5340-DK", "microTVM with CMSIS-NN", "Cortex-M33", 128_000_000, {"ad": 159.020, "resnet8": 3.146, "kws": 13.074}
)
CUBE_M4 = Published(
    "NUCLEO-L4R5ZI",
    "X-CUBE-AI 8.0.0",
    "Cortex-M4F",
    120_000_000,
    {"ad": 131.950, "resnet8": 4.505, "kws": 13.759, "vww": 4.522},
)
CUBE_M7 = Published(
    "NUCLEO-H7A3ZI-Q",
    "X-CUBE-AI 8.0.0",
    "Cortex-M7",
    280_000_000,
    {"ad": 547.234, "resnet8": 18.215, "kws": 60.988, "vww": 19.867},
)
PUBLISHED = (CMSIS_NN_M4, CMSIS_NN_M33, CUBE_M4, CUBE_M7)

MARGIN = 0.25  # either way: the measured networks lie within 0.10 of the mean, and the mix of our instructions is not theirs
_SINGLE_ISSUE = frozenset({"Cortex-M0", "Cortex-M0+", "Cortex-M3", "RV32IMC", "RV32IMAC", "Hazard3"})  # never more than one a cycle


@dataclass(frozen=True)
class Cycles:
    """What a core makes of some instructions.

    Attributes
    ----------
    typical, low, high : int or None
        Cycles, and the range that they are in; None where nothing was published for such a core.
    least : int or None
        A bound from below, where there is no more to say.
    method : str
        Where the numbers come from, or why there are none.
    """

    typical: int | None
    low: int | None
    high: int | None
    least: int | None
    method: str


def cycles_an_instruction(core: str) -> float | None:
    """Return the mean over the published networks; None where there are none for the core."""
    if core in {CMSIS_NN_M4.core, CMSIS_NN_M33.core}:
        measured = CMSIS_NN_M4 if core == CMSIS_NN_M4.core else CMSIS_NN_M33
        return fmean(measured.cycles(network) / COUNTED[network] for network in measured.speeds)
    if core == CUBE_M7.core:
        on_m4 = cycles_an_instruction(CMSIS_NN_M4.core)
        assert on_m4 is not None
        return on_m4 * fmean(CUBE_M7.cycles(network) / CUBE_M4.cycles(network) for network in CUBE_M7.speeds)
    return None


def cycles(core: str, instructions: int, *, is_int8: bool = True, external_flash: bool = False) -> Cycles:
    """Return what a core makes of counted instructions of a network; float32, and flash outside the chip, were not measured.

    Parameters
    ----------
    core : str
        As in board.toml.
    instructions : int
    is_int8 : bool
    external_flash : bool

    Returns
    -------
    Cycles
    """
    ratio = cycles_an_instruction(core) if is_int8 and not external_flash else None
    if ratio is not None:
        typical = round(instructions * ratio)
        method = (
            f"{ratio:.2f} cycles an instruction on a {core}, within {MARGIN:.0%}: the mean of published MLPerf Tiny v1.1 "
            "measurements of int8 kernels, with the caches and flash buffers on"
        )
        return Cycles(typical, round(typical * (1 - MARGIN)), round(typical * (1 + MARGIN)), None, method)
    why = f"nothing is published that could be applied to {'int8' if is_int8 else 'float32'} networks on a {core}"
    why += " that reads its code from flash outside the chip" if external_flash else ""
    if core in _SINGLE_ISSUE:
        return Cycles(None, None, None, instructions, f"{why}; it starts no more than one instruction a cycle")
    return Cycles(None, None, None, None, why)
