"""What `emit` hands back, and what it works with while a project is made. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from codegen.adaptation import Plan
from codegen.arena import Arena
from codegen.pools import Filled
from codegen.schedule import Action
from codegen.stepcode import CArray
from codegen.values import Values
from codegen.weights_in_ram import InRam
from edgebn.program import Program

# Folders of a project.
KERNELS, BOARD, SERVICE = "kernels", "board", "service"


@dataclass(frozen=True)
class EmittedProject:
    """What was written.

    Attributes
    ----------
    folder : Path
    name : str
        Of the model in C: functions are <name>_init, <name>_run ...
    files : tuple of str
        Relative to `folder`, sorted.
    flash_bytes : int
        Constant arrays; code is not in it.
    arena_bytes, arena_lower_bound : int
        RAM for all values between layers, input and output included; 0 where only parameters were written.
    state_bytes : int
        RAM for what lives from run to run.
    board : str or None
    adaptation_bytes : int
        RAM for adaptation: state, sums of an inference, epilogues that are rewritten; 0 where the network does not adapt.
    state_bytes : int
        RAM for states that live from run to run.
    pools : tuple of Filled
        What stands in which memory, where the arena is spread over several.
    weights_in_ram : InRam or None
        What is copied to RAM of the layers' weights.
    kept : tuple of str
        Files that people had edited and that were left as they are: `board/clocks_*.c` and others that are theirs to fill in.
    """

    folder: Path
    name: str
    files: tuple[str, ...]
    flash_bytes: int
    arena_bytes: int
    arena_lower_bound: int
    board: str | None
    adaptation_bytes: int = 0
    state_bytes: int = 0
    kept: tuple[str, ...] = ()
    pools: tuple[Filled, ...] = ()
    weights_in_ram: InRam | None = None


@dataclass(frozen=True)
class Listing:
    """A network on its way into C: everything decided, nothing written.

    Attributes
    ----------
    program : Program
    name : str
    model_hash : str
        64 hexadecimal digits.
    values : Values
    actions : tuple of Action
    arena : Arena
    constants : tuple of CArray
        The program's constant buffers.
    adaptation : Plan or None
        None where the network does not adapt.
    initial : dict of str to CArray
        What states begin with, by the buffer that reads them; those of one repeated byte need none.
    instances : bool
        Whether it runs in memory of a caller's.
    pipeline : bool
        Whether there is a function from frames or samples to the answer.
    sections : dict of str to str
        Where the linker script of its board puts what is in a pool, by the pool's name.
    in_ram : InRam or None
        Weights that are copied to RAM when the network begins.
    """

    program: Program
    name: str
    model_hash: str
    values: Values
    actions: tuple[Action, ...]
    arena: Arena
    constants: tuple[CArray, ...]
    adaptation: Plan | None = None
    initial: Mapping[str, CArray] = field(default_factory=dict)
    instances: bool = False
    pipeline: bool = False
    sections: Mapping[str, str] = field(default_factory=dict)
    in_ram: InRam | None = None

    @property
    def weights_in_ram_bytes(self) -> int:
        """Bytes of RAM for copies of weights."""
        return self.in_ram.bytes if self.in_ram else 0

    @property
    def title(self) -> str:
        """What people call the model: its file's name, or its own."""
        return PurePath(self.program.source.replace("\\", "/")).name or self.program.name

    @property
    def arrays(self) -> tuple[CArray, ...]:
        """All constant arrays, in the order of the network."""
        own = self.adaptation.arrays if self.adaptation else ()
        return (*self.constants, *self.initial.values(), *(array for action in self.actions for array in action.code.arrays), *own)

    @property
    def adaptation_bytes(self) -> int:
        """Bytes of RAM for adaptation."""
        return self.adaptation.ram_bytes if self.adaptation else 0

    @property
    def flash_bytes(self) -> int:
        """Bytes of all constant arrays, each filled up to its alignment."""
        return sum(-(-array.nbytes // 8) * 8 for array in self.arrays)
