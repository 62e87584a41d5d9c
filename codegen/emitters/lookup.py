"""int8 elementwise function as a table."""

from __future__ import annotations

from codegen.emitters.text import call
from codegen.stepcode import CArray, Names, StepCode
from edgebn.program import Lookup, Program


def emit(step: Lookup, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_lookup_s8."""
    height, width, channels = program.buffers[step.inputs[0]].shape
    tables = len(step.table)
    table = CArray(names.array("table"), "int8_t", step.table, f"({tables}, 256): channels or 1, input code + 128")
    pixels, per_pixel = (height * width, channels) if tables > 1 else (1, height * width * channels)
    text = call("edgebn_lookup_s8", names.buffer(step.inputs[0]), names.buffer(step.output), pixels, per_pixel, table.name, tables)
    return StepCode(text, (table,), ("edgebn_lookup_s8.h",), in_place=True)
