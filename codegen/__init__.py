"""A program in, C99 out: firmware of a network that reads like a listing of it. `emit` is the way in."""

from codegen.emit import emit
from codegen.pools import Pool
from codegen.project import EmittedProject

__all__ = ["EmittedProject", "Pool", "emit"]
