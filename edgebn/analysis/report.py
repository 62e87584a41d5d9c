"""The analysis of a program: rows, totals, and how close its arena is to the smallest that can be."""

from __future__ import annotations

from dataclasses import dataclass

from edgebn.analysis.arena import arena, buffer_bytes
from edgebn.analysis.layer_rows import LayerRow, layer_rows
from edgebn.arguments import checked_program
from edgebn.program import Program

CHANNELS_LAST = {
    True: "the file is channels-first; edgebn runs it channels-last: give inputs as (N, H, W, C)",
    False: "the file is channels-last, as edgebn runs it: inputs are (N, H, W, C)",
}


@dataclass(frozen=True)
class Analysis:
    """What a program costs.

    Attributes
    ----------
    name, source, format : str
        The model's name, its file and the file's format.
    dtype : {'float32', 'int8'}
    channels_first : bool
        Of the file.
    layout : str
        The same in words, for the person who prepares inputs.
    inputs, outputs : dict of str to tuple of int
        Shape of one sample.
    rows : tuple of LayerRow
    parameters, macs : int
        Totals over the rows; multiply-accumulates of one inference.
    weight_bytes, epilogue_bytes, activation_bytes : int
        Totals over the rows. The activations share the arena, which is far smaller than their sum.
    largest_buffer : str
        The buffer that takes most, with `largest_buffer_bytes`.
    largest_buffer_bytes : int
    arena_bytes, arena_lower_bound : int
        Of the bare buffers, 16-byte aligned, and the proved minimum: what one step needs at once. A `Session` also keeps a
        halo of padding round each value and some scratch, so its arena (`Session.plan`) is a little larger.
    steps : int
        How many steps the program runs.
    state_bytes : int
        What lives from run to run, beside the arena.
    """

    name: str
    source: str
    format: str
    dtype: str
    channels_first: bool
    layout: str
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    rows: tuple[LayerRow, ...]
    parameters: int
    macs: int
    weight_bytes: int
    epilogue_bytes: int
    activation_bytes: int
    largest_buffer: str
    largest_buffer_bytes: int
    arena_bytes: int
    arena_lower_bound: int
    steps: int
    state_bytes: int

    def batch_norms(self) -> dict[str, str]:
        """Return what became of each batch norm, by layer name."""
        return {row.name: row.became for row in self.rows if row.kind == "BatchNorm"}


def analyze(program: Program) -> Analysis:
    """Count what `program` holds and needs.

    Parameters
    ----------
    program : Program

    Returns
    -------
    Analysis
        Plain data: rows per layer, totals, arena and its proved lower bound.

    Raises
    ------
    ModelError
        No program.
    """
    rows = layer_rows(checked_program(program, "edgebn.analyze"))
    found = arena(program)
    sizes = {name: buffer_bytes(buffer) for name, buffer in program.buffers.items() if name not in program.constants}
    largest = max(sizes, key=lambda name: sizes[name])
    return Analysis(
        name=program.name,
        source=program.source,
        format=program.format,
        dtype=program.dtype,
        channels_first=program.channels_first,
        layout=CHANNELS_LAST[program.channels_first],
        inputs={name: program.shapes[name] for name in program.inputs},
        outputs={name: program.shapes[name] for name in program.outputs},
        rows=rows,
        parameters=sum(row.parameters for row in rows),
        macs=sum(row.macs for row in rows),
        weight_bytes=sum(row.weight_bytes for row in rows),
        epilogue_bytes=sum(row.epilogue_bytes for row in rows),
        activation_bytes=sum(row.activation_bytes for row in rows),
        largest_buffer=largest,
        largest_buffer_bytes=sizes[largest],
        arena_bytes=found.size,
        arena_lower_bound=found.lower_bound,
        steps=len(program.steps),
        state_bytes=sum(state.initial.nbytes for state in program.states),
    )
