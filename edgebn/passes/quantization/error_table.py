"""Where int8 loses: for every layer, the signal-to-quantisation-noise ratio and the saturation, worst layer first.

It is handed the functions that run both programs and imports no engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from edgebn.errors import QuantizationError
from edgebn.passes.quantization.calibration import Batch, RunBuffers, batches
from edgebn.program import CODE_RANGES, Buffer, Program, Step


@dataclass(frozen=True)
class ErrorRow:
    """One layer's loss.

    Attributes
    ----------
    layer, kind : str
        The step's name and class.
    shape : (height, width, channels)
        Of its output.
    sqnr : float
        10 log10(sum of float32 squares / sum of squared differences), in dB; infinite where both agree exactly. Channels that
        equalisation scaled are scaled back first.
    saturation : float
        Share of the codes, in percent, that stand at an end of int8 while the float32 value lies more than one step beyond it.
        An activation's own clip (a ReLU's zeros) is no saturation.
    scale, zero_point : float, int
        Of its output; 1 and 0 of one in float32.
    """

    layer: str
    kind: str
    shape: tuple[int, int, int]
    sqnr: float
    saturation: float
    scale: float
    zero_point: int


@dataclass
class _Sums:
    signal: float = 0.0
    noise: float = 0.0
    saturated: int = 0
    count: int = 0


@dataclass
class _Table:
    sums: dict[str, _Sums] = field(default_factory=dict)

    def see(self, buffer: Buffer, factor: np.ndarray | float, real: np.ndarray, codes: np.ndarray) -> None:
        """Compare float32 values with codes that stand for `factor` (a channel) times as much."""
        sums = self.sums.setdefault(buffer.name, _Sums())
        exact = real.astype(np.float64)
        sums.signal += float((exact**2).sum())
        sums.count += codes.size
        if buffer.dtype == "float32":
            sums.noise += float(((codes / factor - exact) ** 2).sum())
            return
        wide = codes.astype(np.int64)
        sums.noise += float(((buffer.scale * (wide - buffer.zero_point) / factor - exact) ** 2).sum())
        ideal = exact * factor / buffer.scale + buffer.zero_point
        least, most = CODE_RANGES[buffer.dtype]
        sums.saturated += int((((wide == most) & (ideal > most + 1.0)) | ((wide == least) & (ideal < least - 1.0))).sum())


def error_rows(
    float_program: Program,
    int8_program: Program,
    run_float: RunBuffers,
    run_int8: RunBuffers,
    data: np.ndarray | Batch | Iterable[np.ndarray | Batch],
) -> list[ErrorRow]:
    """Run both programs on the same data and compare every layer that both have.

    Parameters
    ----------
    float_program, int8_program : Program
        The second quantised from the first, as a whole or in part.
    run_float, run_int8 : callable
        Take a dict of input name to (N, ...) real numbers and return every buffer's values.
    data : ndarray (N, ...), dict of such, or an iterable of either
        Real inputs.

    Returns
    -------
    list of ErrorRow
        Worst ratio first.

    Raises
    ------
    QuantizationError
        Empty or malformed data, or two programs of different types than float32 and int8.
    """
    if float_program.dtype != "float32" or int8_program.dtype == "float32":
        raise QuantizationError(
            f"{int8_program.source}: the error table compares a float32 network with its int8 form; "
            f"it was given {float_program.dtype} and {int8_program.dtype}"
        )
    table = _Table()
    float_outputs = {step.output for step in float_program.steps}
    compared: list[Step] = [step for step in int8_program.steps if step.output in float_outputs]
    for batch in batches(float_program, data):
        real, codes = run_float(batch), run_int8(batch)
        for step in compared:
            factor = int8_program.channel_factors.get(step.output, 1.0)
            table.see(int8_program.buffers[step.output], factor, real[step.output], codes[step.output])
    if not table.sums:
        raise QuantizationError(f"{int8_program.source}: there is no data, or no layer that both networks have, to compare")
    rows = [_row(step, int8_program.buffers[step.output], table.sums[step.output]) for step in compared]
    return sorted(rows, key=lambda row: row.sqnr)


def _row(step: Step, buffer: Buffer, sums: _Sums) -> ErrorRow:
    ratio = np.inf if sums.noise == 0.0 else 10.0 * np.log10(sums.signal / sums.noise) if sums.signal > 0.0 else -np.inf
    saturation = 100.0 * sums.saturated / sums.count
    return ErrorRow(step.name, step.kind, buffer.shape, float(ratio), saturation, buffer.scale, buffer.zero_point)
