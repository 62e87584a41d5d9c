"""From counted instructions to cycles of a core: by how much published measurements of the same kind of code say, or not at all.

Knows nothing of models or emulators. An emulator counts instructions exactly and knows no pipeline, no flash and no cache; what a
core makes of them was measured by others, for kernels of the same kind (int8 convolutions, CMSIS-NN and STM32Cube.AI), and is
applied to ours. docs/boards.md has the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

# Million instructions of one inference by CMSIS-NN at -O3, Armv7E-M, counted in QEMU (benchmarks/codegen/firmware.py). Visual wake
# words are the convolutions of benchmarks/models/mobilenet.py: 24.2 with CMSIS-NN's kernels of 2022, 24.1 with those of 2026.
COUNTED = {"kws": 7.84, "resnet8": 29.87, "ad": 0.580, "vww": 24.2}


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
    "NUCLEO-L4R5ZI",
    "microTVM with CMSIS-NN",
    "Cortex-M4F",
    120_000_000,
    {"ad": 116.212, "resnet8": 2.567, "kws": 10.019, "vww": 3.324},
)
CMSIS_NN_M33 = Published(
    "nRF5340-DK",
    "microTVM with CMSIS-NN",
    "Cortex-M33",
    128_000_000,
    {"ad": 159.020, "resnet8": 3.146, "kws": 13.074, "vww": 4.286},
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


def _plumerai(system: str, core: str, hz: int, milliseconds: dict[str, float]) -> Published:
    return Published(system, "Plumerai", core, hz, {network: 1e3 / ms for network, ms in milliseconds.items()})


# MLPerf Tiny v1.1, closed division, submitter Plumerai: closed/plumerai/README.md of the same repository, which has milliseconds.
PLUMERAI_M4 = _plumerai("NUCLEO-L4R5ZI", "Cortex-M4F", 120_000_000, {"kws": 47.78, "resnet8": 167.76, "vww": 98.76, "ad": 4.05})
PLUMERAI_M7 = _plumerai("NUCLEO-H7A3ZI-Q", "Cortex-M7", 280_000_000, {"kws": 13.86, "resnet8": 50.93, "vww": 26.82, "ad": 1.35})
PLUMERAI_F7 = _plumerai("DISCO-F746NG", "Cortex-M7", 216_000_000, {"kws": 17.75, "resnet8": 62.88, "vww": 34.08, "ad": 1.71})
# One engine on both cores: what a Cortex-M7 makes of the same code. Two systems of one engine count as one.
M4_TO_M7 = (((CUBE_M4, CUBE_M7),), ((PLUMERAI_M4, PLUMERAI_M7), (PLUMERAI_M4, PLUMERAI_F7)))

MARGIN = 0.25  # either way: the measured networks lie within 0.21 of it, and the mix of our instructions is not theirs
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
        engines = (fmean(m7.cycles(one) / m4.cycles(one) for m4, m7 in engine for one in m7.speeds) for engine in M4_TO_M7)
        return on_m4 * fmean(engines)
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
