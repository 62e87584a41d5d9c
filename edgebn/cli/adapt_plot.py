"""The picture of `edgebn adapt --plot`: accuracy over time, and how far each layer has moved. Needs matplotlib."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from edgebn.adapt.evaluate import Trace
from edgebn.errors import ModelError
from edgebn.formats.whole_file import write_whole
from edgebn.report import gather, panels


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
    rows = figure.subplots(len(streams), 2, squeeze=False)
    for (title, traces), (left, right) in zip(streams, rows, strict=True):
        found = gather.curves(traces)
        panels.accuracy(left, found)
        left.set(title=title)
        adapted = next((one for one in found if one["at"]), None)
        if adapted is not None:
            panels.drift(right, adapted)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110, format=path.suffix.removeprefix("."))
    write_whole(path, drawn.getvalue())
