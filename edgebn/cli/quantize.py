"""`edgebn quantize`: a float model to an int8 .edgebn file, and how well each layer took it."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgebn import api
from edgebn.cli import page_file
from edgebn.cli.analyze import shape_text
from edgebn.cli.inputs import Inputs, add_input_options, holds_integers, load_inputs, part, sample_count
from edgebn.cli.models import add_model_argument, load_model, scores
from edgebn.cli.scaling import input_scaling, keeping
from edgebn.cli.screen import Screen
from edgebn.cli.values import new_file
from edgebn.errors import InputRangeWarning, QuantizationError
from edgebn.passes.quantization.calibration import METHODS
from edgebn.passes.quantization.keep import TYPES
from edgebn.passes.quantization.keep_auto import KeepRow
from edgebn.program import Dequantize, Program, Quantize, Rescale, step_dtype

HELP = "quantise a float model to int8 or int16"
DESCRIPTION = (
    "Quantise a float model to int8: weights per channel and unfolded, activations per tensor. Ranges come from calibration "
    "inputs, or, without --calibration, from the batch norms alone. Shows each layer's error, the worst first."
)

COLUMNS = ("layer", "step", "output", "SQNR dB", "saturated %", "scale", "zero point")
KEEP_COLUMNS = ("layer", "step", "type", "worst output dB", "agreement %", "more bytes", "more ms", "kept")
CONVERSIONS = (Quantize, Dequantize, Rescale)
ERROR_SAMPLES = 100  # of the calibration data, for the error table


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    parser.add_argument("-o", "--output", type=new_file, required=True, metavar="OUT.edgebn", help="the file to write")
    parser.add_argument(
        "--calibration", type=Path, metavar="FILE", help="inputs like those the device will see; 100 to 500 are enough"
    )
    parser.add_argument(
        "--method", choices=METHODS, help="how ranges are found from --calibration; default: mse or minmax, whichever is nearer"
    )
    parser.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="NAME",
        help="a layer or output that stays float32 (NAME=int16: has int16 activations), again for more; or auto; "
        "default: last steps that int8 would drown",
    )
    parser.add_argument(
        "--activations",
        choices=("int8", "int16"),
        default="int8",
        help="the type of what layers hand on; weights are int8 with both",
    )
    parser.add_argument(
        "--budget",
        action="append",
        default=[],
        type=_budget,
        metavar="WHAT=NUMBER",
        help="with --keep auto: db or agreement (percent) to reach, more bytes of weights or ms of an inference here not to exceed",
    )
    page_file.add_report_option(parser)
    add_input_options(parser)


def _kept(text: str) -> tuple[str, str]:
    """Return a name and its type; a name may hold a '='."""
    name, found, dtype = text.rpartition("=")
    return (name, dtype) if found and dtype in TYPES else (text, "float32")


def _budget(text: str) -> tuple[str, float]:
    what, _, number = text.partition("=")
    return what, float(number)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Quantise one model."""
    program = load_model(arguments.model, arguments)
    if program.dtype != "float32":
        what = "integer in part" if program.dtype == "mixed" else program.dtype
        raise QuantizationError(f"{arguments.model} is {what} already; use `edgebn convert` to make an .edgebn file of it")
    images, integers_only = None, True
    if arguments.calibration:
        images = load_inputs(arguments.calibration, program, arguments)
        integers_only = holds_integers(arguments.calibration, program, arguments)
    program = keeping(program, input_scaling(arguments, integers_only=integers_only))
    quantized, rows = quantize(
        program, images, arguments.method, screen, arguments.keep, dict(arguments.budget), arguments.activations
    )
    api.save(quantized, arguments.output)
    screen.say(f"wrote {arguments.output}, {arguments.output.stat().st_size:,} bytes")
    if arguments.report:
        _write_page(program, quantized, images, rows, arguments, screen)
    return {
        "model": str(arguments.model),
        "output": str(arguments.output),
        "method": (arguments.method or "automatic") if images is not None else "batch norm",
        "calibration_samples": 0 if images is None else sample_count(images),
        "file_bytes": arguments.output.stat().st_size,
        "layers": rows,
    }


def _write_page(
    program: Program,
    quantized: Program,
    images: Inputs | None,
    rows: list[dict[str, Any]],
    arguments: argparse.Namespace,
    screen: Screen,
) -> None:
    """Write what --report asks for: with calibration inputs the layers' errors and histograms, and which answers change."""
    from edgebn.cli import report

    parts: dict[str, Any] = {}
    pictures: dict[int, str] = {}
    if images is not None:
        shown = part(images, 0, ERROR_SAMPLES)
        parts = report.quantised(program, quantized, shown) | {"quantisation": rows}
        if report.is_classifier(program):
            answers = [
                scores(one, shown, screen, label).reshape(sample_count(shown), -1).argmax(axis=1)
                for one, label in ((program, "float32"), (quantized, "int8"))
            ]
            changed, pictures = report.differing(answers[0], answers[1], shown, None, quantized)
            parts |= changed
    page_file.write(arguments.report, quantized, arguments, screen, parts, pictures)


def quantize(
    program: Program,
    images: Inputs | None,
    method: str | None,
    screen: Screen,
    keep: Sequence[str] = (),
    budget: Mapping[str, float] | None = None,
    activations: Any = "int8",
) -> tuple[Program, list[dict[str, Any]]]:
    """Quantise `program` and show each layer's error on the first calibration samples.

    Returns
    -------
    Program, list of dict
        The int8 program, and the rows of the error table, worst first; no rows without calibration data.
    """
    with screen.progress("calibrating") as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore", InputRangeWarning)  # whoever read the inputs has looked at them
        wanted: Any = "auto" if list(keep) == ["auto"] else dict(map(_kept, keep)) or None
        tried: list[KeepRow] = []
        quantized = api.quantize(
            program,
            images,
            method=method,
            progress=progress,
            keep=wanted,
            budget=budget or None,
            table=tried.extend,
            activations=activations,
        )
    if tried:
        cells = [
            (row.step, row.kind, row.dtype, row.db, row.agreement, row.bytes, f"{row.ms:.4f}", "yes" if row.kept else "")
            for row in tried
        ]
        screen.table(
            "each value alone in float32 or int16 (its layer and its readers): what it wins and costs, best first",
            KEEP_COLUMNS,
            cells,
        )
    known = {step.name for step in program.steps}
    converted = {step.name for step in quantized.steps if isinstance(step, CONVERSIONS)} - known
    for dtype, words in (("float32", "float32 stay"), ("int16", "int16 are")):
        kept = [step.name for step in quantized.steps if step_dtype(step, quantized) == dtype and step.name not in converted]
        if kept and dtype != activations:
            screen.say(f"{words}: {', '.join(kept)}")
    if images is None:
        screen.say("ranges from the batch norms alone; give --calibration for the error of each layer")
        return quantized, []
    rows = api.error_table(program, quantized, part(images, 0, ERROR_SAMPLES))
    shown = [
        (row.layer, row.kind, shape_text(row.shape), row.sqnr, row.saturation, f"{row.scale:.4g}", row.zero_point) for row in rows
    ]
    screen.table("error of each layer, worst first (signal to quantisation noise, saturated codes)", COLUMNS, shown)
    if method in {None, "mse"}:
        screen.say(
            "what an addition with a ReLU or a softmax behind it cuts off saturates on purpose: such a layer's ratio says little"
        )
    return quantized, [asdict(row) for row in rows]
