"""The instruction sets that kernels are written for, and the one this process uses. Knows nothing of any operation.

The set is chosen once, at import and before any typing: an instruction that the CPU lacks aborts the process, it raises nothing.
"""

from __future__ import annotations

import os
import platform

from edgebn.kernels.features import host_features, machine
from edgebn.quick_dataclass import dataclass

PLAIN_LANES = 4  # of a set without vector kernels


class IsaError(ValueError):
    """`EDGEBN_ISA` names a set that does not exist or that this CPU lacks."""


@dataclass(frozen=True)
class InstructionSet:
    """One row of the table.

    Attributes
    ----------
    name : str
        What `EDGEBN_ISA` calls it.
    machines : tuple of str
        `features.machine()` values it belongs to; empty for every machine.
    features : tuple of str
        LLVM's names of the CPU features that its kernels use.
    vector_bytes : int
        Bytes of one vector register; 0 where there are no vector kernels at all.
    registers : int
        How many vector registers there are: bounds the tiles.
    dot : {'vpdpbusd', 'pmaddwd', 'sdot', 'smull', 'vmull', ''}
        How four products of bytes are summed into 32 bits (`vectors.Dot`); '' leaves int8 convolutions to the plain kernels.
    code_flip : int
        int8 codes are stored as `code ^ code_flip` (as bytes): 0x80 stores q + 128 as an unsigned byte, which is what the x86 dot
        product wants; 0 stores the code itself.
    by_lane : bool
        Whether a multiplication takes one lane of a vector, or lanes spread easily: a pixel's inputs are then loaded by the vector.
    matrices : bool
        Whether int8 tiles multiply matrices of codes (`matrix_products.py`) where they can; what they cannot is left to `dot`.
    unroll : int
        Steps of depth in one turn of a float32 tile's loop. Where vectors are short, what a core starts in a cycle bounds the
        tile beside its multiplications, the more so where another thread has half of it.
    """

    name: str
    machines: tuple[str, ...]
    features: tuple[str, ...]
    vector_bytes: int
    registers: int
    dot: str
    code_flip: int
    by_lane: bool = False
    matrices: bool = False
    unroll: int = 1

    @property
    def pointwise_lanes(self) -> int:
        """Numbers that kernels compute as one vector which every set has.

        Where there are no vector kernels, the compiler makes of it what the machine has.
        """
        return self.lanes or PLAIN_LANES

    @property
    def lanes(self) -> int:
        """Numbers of 32 bits in one vector."""
        return self.vector_bytes // 4

    @property
    def masked_stores(self) -> bool:
        """Whether a store may leave bytes out."""
        return "avx512bw" in self.features

    @property
    def least_weight(self) -> int:
        """The least int8 weight that `dot` takes: two products by -128 do not fit the 16 bits of 'smull' and 'vmull'."""
        return -127 if self.dot in {"smull", "vmull"} else -128


CACHE_LINE = 64  # bytes
MIN_VECTOR = 16  # bytes, of the narrowest vectors: those of 32 and 64 have instructions for them, too

X86 = ("x86_64", "AMD64")
ARM64 = ("aarch64", "arm64")
ARM32 = ("armv7l",)
AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "fma")

# Best first: the first that the CPU has is used.
INSTRUCTION_SETS = (
    InstructionSet("avx512vnni", X86, (*AVX512, "avx512vnni"), 64, 32, "vpdpbusd", 0x80),
    InstructionSet("avx512", X86, AVX512, 64, 32, "pmaddwd", 0x80),
    InstructionSet("avxvnni", X86, ("avx2", "fma", "avxvnni"), 32, 16, "vpdpbusd", 0x80, unroll=4),
    InstructionSet("avx2", X86, ("avx2", "fma"), 32, 16, "pmaddwd", 0x80, unroll=4),
    InstructionSet("neoni8mm", ARM64, ("neon", "dotprod", "i8mm"), 16, 32, "sdot", 0, by_lane=True, matrices=True),
    InstructionSet("neondot", ARM64, ("neon", "dotprod"), 16, 32, "sdot", 0, by_lane=True),
    InstructionSet("neon", ARM64, ("neon",), 16, 32, "smull", 0, by_lane=True),
    InstructionSet("neon32", ARM32, ("neon", "vfp4"), 16, 16, "vmull", 0),
    InstructionSet("plain", (), (), 0, 0, "", 0),
)


def available(kind: str, features: frozenset[str]) -> list[InstructionSet]:
    """Return the sets that a CPU of a kind of processor with LLVM `features` has, best first."""
    return [isa for isa in INSTRUCTION_SETS if (not isa.machines or kind in isa.machines) and features.issuperset(isa.features)]


def choose(wanted: str | None, sets: list[InstructionSet]) -> InstructionSet:
    """Return the best of `sets`, or the one that is called `wanted`.

    Raises
    ------
    IsaError
        `wanted` is none of them.
    """
    if not wanted:
        return sets[0]
    found = next((isa for isa in sets if isa.name == wanted), None)
    if found is None:
        names = ", ".join(isa.name for isa in sets)
        raise IsaError(f"EDGEBN_ISA={wanted} is not an instruction set of this CPU; it has {names}")
    return found


AVAILABLE = available(machine(), host_features())
SELECTED = choose(os.environ.get("EDGEBN_ISA"), AVAILABLE)
CODE_FLIP = SELECTED.code_flip
SYSTEM = platform.system()  # whose functions kernels may call


def select_for_building(name: str, system: str = SYSTEM) -> None:
    """Make kernels be written for a set that this CPU may lack: for the ahead-of-time builder, which runs nothing it compiles.

    Must be called before any kernel is imported, in a process that only builds.
    """
    global SELECTED, CODE_FLIP, SYSTEM  # noqa: PLW0603  # the set is the process' one setting
    SELECTED = next(one for one in INSTRUCTION_SETS if one.name == name)
    CODE_FLIP = SELECTED.code_flip
    SYSTEM = system
