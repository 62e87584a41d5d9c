"""The picture of `edgebn adapt --plot`: accuracy over time, and how far each layer has moved. Needs matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgebn.adapt.evaluate import Trace
from edgebn.errors import ModelError
from edgebn.formats.whole_file import write_whole

WINDOW = 100  # samples that a point of accuracy averages


def plot(path: Path, streams: Sequence[tuple[str, Sequence[Trace]]]) -> None:
    """Write one row of two panels a stream.

    Parameters
    ----------
    path : Path
        Of a type that matplotlib writes: .png, .svg, .pdf.
    streams : sequence of (title, traces)
        Drift is drawn of the first trace that adapts.

    Raises
    ------
    ModelError
        matplotlib is missing, or it writes no such files.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ModelError("--plot needs matplotlib: pip install edgebn[plots]") from None
    figure = Figure(figsize=(11, 3.2 * len(streams)), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    if path.suffix.removeprefix(".") not in canvas.get_supported_filetypes():
        raise ModelError(f"{path}: pictures are written as .png, .svg or .pdf")
    panels = figure.subplots(len(streams), 2, squeeze=False)
    for (title, traces), (left, right) in zip(streams, panels, strict=True):
        for trace in traces:
            left.plot(*_smoothed(trace.correct), label=f"{trace.policy} ({trace.error:.1f} % errors)")
        left.set(title=title, xlabel="samples", ylabel=f"accuracy, mean of {WINDOW} (%)", ylim=(0, 100))
        left.legend(fontsize="small", loc="lower right")
        adapted = next((trace for trace in traces if len(trace.at)), None)
        if adapted is not None:
            for name, drift in zip(adapted.layers, adapted.drift.T, strict=True):
                right.plot(adapted.at, drift, label=name)
            right.set(title=f"drift per layer, {adapted.policy}", xlabel="samples", ylabel="RMS of mean and ln variance")
            right.legend(fontsize="x-small")
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110, format=path.suffix.removeprefix("."))
    write_whole(path, drawn.getvalue())


def _smoothed(correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    width = min(WINDOW, len(correct))
    sums = np.concatenate([[0], np.cumsum(correct)])
    return np.arange(width, len(correct) + 1), 100.0 * (sums[width:] - sums[:-width]) / width
