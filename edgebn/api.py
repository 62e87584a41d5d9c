"""The public functions: `load`, `from_torch`, `quantize`, `save`. Only glue between the rooms; every decision is in theirs."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgebn.arguments import checked_path, checked_program
from edgebn.errors import InputRangeWarning, ModelError, QuantizationError, UsageError
from edgebn.paused_gc import paused_gc
from edgebn.program import Program
from edgebn.quick_dataclass import replace

if TYPE_CHECKING:
    import numpy as np

    from edgebn.passes.quantization.error_table import ErrorRow
    from edgebn.passes.quantization.keep_auto import KeepRow

NATIVE = ".edgebn"  # what `load` knows a file of ours by


@paused_gc()
def load(
    path: str | PathLike[str],
    *,
    input_shape: tuple[int, ...] | Mapping[str, tuple[int, ...]] | None = None,
    custom_layers: dict[str, str] | None = None,
    states: Mapping[str, str] | None = None,
) -> Program:
    """Read a trained network and make it a program.

    Parameters
    ----------
    path : path
        A `.h5` or `.keras` (Keras 2 and 3), `.onnx`, `.tflite`, `.pt2` (torch.export) or `.edgebn` file.
    input_shape : tuple of int, or mapping of str to tuple of int, optional
        Shape of one input sample, without the batch axis and in the file's own layout, where the file leaves it open; of a network
        with several inputs by their names. Of an ONNX file all axes may be given, which says that none is the batch.
    custom_layers : dict, optional
        Keras only: maps the names of custom layer classes to the Keras classes they behave as, for example
        ``{"BNLayer": "BatchNormalization"}``.
    states : mapping of str to str, optional
        Inputs that are states, each with the output that the next run reads there: ``{"h_in": "h_out"}``. They begin with zeros,
        and are inputs and outputs no more (`Session.reset_state`).

    Returns
    -------
    Program
        float32, or int8 when the file is quantised. Inputs and outputs are NHWC whatever the file's layout.

    Raises
    ------
    ModelError
        The file is missing, damaged or of no known format, or holds a layer that edgebn does not run
        (`UnsupportedLayerError`); the message names file, layer and remedy. Or an option means nothing for this kind of file.
    """
    path = checked_path(path, "edgebn.load")
    options = _reader_options(path, input_shape, custom_layers)
    if path.suffix.lower() == NATIVE:
        from edgebn.formats import native

        for option in [*options, *(["states"] if states else [])]:
            raise UsageError(f"{path}: {option}= means nothing for an .edgebn file; leave it out")
        return native.load(path)
    from edgebn import formats, passes
    from edgebn.formats import metadata

    graph = formats.read(path, **options)
    program = passes.lower(passes.as_states(graph, _names(path, states)) if states else graph)
    program = passes.join_tables(program, _run_step)
    said = metadata.said(path)
    if said is None:
        return program
    from edgebn.preparation.from_file import as_the_file_says

    return as_the_file_says(program, said)


def _run_step(*operands: Any) -> Any:
    """Run one step as the specification has it, which only files with functions of codes need."""
    from edgebn import reference

    return reference.run_step(*operands)


def _reader_options(path: Path, input_shape: Any, custom_layers: Any) -> dict[str, Any]:
    """Return what the user said to the reader, by name."""
    options: dict[str, Any] = {}
    if input_shape is not None:
        try:
            options["input_shape"] = _shapes(input_shape)
        except TypeError:
            raise ModelError(f"{path}: input_shape={input_shape!r}: give whole numbers, (224, 224, 3) for example") from None
    if custom_layers is not None and custom_layers != {}:
        if not isinstance(custom_layers, Mapping) or not all(
            isinstance(name, str) for pair in custom_layers.items() for name in pair
        ):
            raise ModelError(
                f"{path}: custom_layers={custom_layers!r}: give a dict of names, as {{'BNLayer': 'BatchNormalization'}}"
            )
        options["custom_layers"] = dict(custom_layers)
    return options


def _names(path: Path, states: Any) -> Mapping[str, str]:
    """Return what the user said of states, which are names."""
    if not isinstance(states, Mapping) or not all(isinstance(name, str) for pair in states.items() for name in pair):
        raise ModelError(f"{path}: states={states!r}: give a dict of names, as {{'h_in': 'h_out'}}")
    return states


def _shapes(shapes: Any) -> Any:
    """Return one shape, or one by input name, of whole numbers."""
    if isinstance(shapes, Mapping):
        return {name: _shapes(shape) for name, shape in shapes.items()}
    return tuple(operator.index(size) for size in shapes)


def from_torch(module: Any, example: Any) -> Program:
    """Make a program of a PyTorch module, batch norms kept apart.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode, or it is put there for the export and put back.
    example : torch.Tensor or tuple of torch.Tensor
        Example input(s) with a batch axis, channels first as PyTorch has it: (N, C, H, W).

    Returns
    -------
    Program
        float32; inputs and outputs are NHWC.
    """
    from edgebn import passes
    from edgebn.formats import torch as torch_format

    return passes.lower(torch_format.from_torch(module, example))


def quantize(
    model: Program,
    calibration: Any = None,
    method: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    keep: Mapping[str, str] | Literal["auto"] | None = None,
    budget: Mapping[str, float] | None = None,
    table: Callable[[list[KeepRow]], None] | None = None,
    activations: Literal["int8", "int16"] = "int8",
) -> Program:
    """Make an int8 program of a float32 one: per-channel symmetric int8 weights, per-tensor int8 or int16 activations.

    Weights are quantised with batch norm unfolded; the batch norms stay in the epilogues as data
    (docs/integer-contract.md). With data, channels of one value are first brought to more similar sizes, which the float32
    network does not notice (a factor in gamma and beta, divided out in the next weights). Weights are then rounded for the least
    error in their layer's output, and biases are corrected by what that shifts in the mean.

    Parameters
    ----------
    model : Program
        float32, from `load`.
    calibration : ndarray (N, ...), dict of str to ndarray, or an iterable of either, optional
        Typical inputs in real units, scaled as in training; 100 to 1000 samples suffice. A dict is by input name. An iterable is
        read once and piece by piece: memory does not grow with the number of samples. None takes the
        ranges from the batch norms' beta and gamma alone.
    method : {'mse', 'percentile', 'minmax'}, optional
        How the range of a value follows from what calibration showed: least mean squared error (of the sum, for what only an
        addition reads; of the margins between classes, for logits and for what the dense layer before them reads), 99.99 % of the
        values on each side of zero, or all of them. The network's inputs always keep their full range. Where it is left out,
        'mse', unless 'minmax' leaves the outputs of the first samples clearly nearer to float32; of fewer than 100 samples its
        ends are then moved out, for values of one position, to where one in 100 may be expected to pass. For calibration data only.
    progress : callable, optional
        Called as progress(done, in all) throughout: what is counted are samples run (the first ones run twice) and layers rounded.
        In all is None while an iterable has not said how many samples it holds.
    keep : dict of str to str, or 'auto', optional
        What is 'float32' or has 'int16' activations, by name of layer, step or output: ``{"head": "float32"}``. A name stands for
        all that begin with it and '/' or '.'; an output's name for the steps that make it, back through those that only move
        values. Where it is left out, calibration decides for the last steps: a join of things so unlike that one scale drowns one
        of them, and a sigmoid or softmax whose numbers are below its codes, stay float32 (one part in 100 of the signal's power, 20
        dB, is the limit); so do logarithms, reciprocals and reciprocal roots that the rounding of what they read would drown, with
        the cheap steps before them, as those that make a power. An empty dict keeps only what has no int8 form (norms by the
        sample's statistics). 'auto' keeps in int16 or float32 what wins most on the first samples, until `budget` is reached.
    budget : dict of str to float, optional
        Of ``keep="auto"``: 'db' (signal to noise of the worst output) and 'agreement' (percent of samples whose largest output is
        that of float32) are to be reached, 'bytes' (more weights) and 'ms' (more milliseconds that an inference takes here, on one
        thread, as measured: it differs a little from run to run) not to be exceeded.
    table : callable, optional
        Called with what each step tried by ``keep="auto"`` wins and costs, a list of `KeepRow`, the best first.
    activations : {'int8', 'int16'}
        The type of all values that `keep` does not name. int16 codes are symmetric and hold all that calibration showed; weights
        stay int8, sums have 64 bits. What has no int16 form (bilinear resampling, products of two matrices, squared differences,
        PReLU with a slope for each channel, functions too steep for a table) stays float32.

    Returns
    -------
    Program
        int8 or int16, or mixed where steps were kept; every integer sum is proved not to overflow for any input.

    Raises
    ------
    QuantizationError
        A name in `keep` that the network lacks;
        empty data, wrong shapes, NaN or infinite values, a program that is int8 already, no data and no batch norm behind the
        input, a method without data, or a layer whose sums could overflow; the message names the layer and the remedy.
    ModelError
        `model` is no program.

    Warns
    -----
    InputRangeWarning
        The first batch norm saw values of another scale in training.
    """
    from edgebn.passes.checked import checked
    from edgebn.passes.lowering.fuse_pool import fuse_pools
    from edgebn.passes.quantization import calibration as observing
    from edgebn.passes.quantization.apart import steps_apart
    from edgebn.passes.quantization.calibrated import Ranges, Work, calibrated
    from edgebn.passes.quantization.function_ranges import function_ranges
    from edgebn.passes.quantization.keep import kept_steps
    from edgebn.passes.quantization.keep_auto import Judge, checked_budget, choose
    from edgebn.passes.quantization.more_time import MoreTime
    from edgebn.passes.quantization.norm_ranges import norm_ranges
    from edgebn.passes.quantization.pad_ranges import with_pads_apart
    from edgebn.passes.quantization.quantize import already_int8, integer_form
    from edgebn.passes.quantization.range_choice import chosen_ranges

    checked_program(model, "edgebn.quantize")
    if method is not None and method not in observing.METHODS:
        raise QuantizationError(f"there is no calibration method {method!r}; choose one of {', '.join(observing.METHODS)}")
    if calibration is None and method is not None:
        raise QuantizationError(
            f"{model.source}: method={method!r} says how ranges follow from calibration data; give some, or leave it out"
        )
    if activations not in ("int8", "int16"):
        raise QuantizationError(f"activations={activations!r}: choose 'int8' or 'int16'")
    if activations == "int16" and (method is not None or keep == "auto"):
        raise QuantizationError("int16 codes hold the whole range, and nothing is to be saved: leave out method= and keep='auto'")
    methods = ("minmax",) if activations == "int16" else ("mse", "minmax") if method is None else (method,)
    if model.dtype != "float32":
        raise QuantizationError(already_int8(model))
    if model.states and calibration is None:
        raise QuantizationError(
            f"{model.source}: the network has states that live from run to run, of which batch norms say nothing; give "
            "calibration=, sequences one after the other"
        )
    apart = with_pads_apart(steps_apart(model))
    wanted = checked_budget(budget, model.source) if keep == "auto" else None
    if wanted is None and budget is not None:
        raise QuantizationError(f"{model.source}: budget= is for keep='auto'; give both, or leave it out")
    if wanted is not None and calibration is None:
        raise QuantizationError(f"{model.source}: keep='auto' compares on calibration data; give some")
    types = kept_steps(model, apart, {} if keep is None or keep == "auto" else keep)
    work = Work(progress)
    if calibration is None:
        work.expect(len(apart.steps))
        ranges, means = norm_ranges(apart)
        extremes: Mapping[str, Any] = ranges
        moments: Mapping[str, Any] = {}
        scales: dict[str, Any] = {}
    else:
        from edgebn.session import Session

        def look(batch: Mapping[str, np.ndarray]) -> None:
            _warn_of_odd_inputs(model, batch)

        def open_engine(program: Program) -> Any:
            return Session(program).run_buffers

        found = calibrated(apart, calibration, open_engine, methods, work, look)
        named, decides = types, activations == "int8" and (keep is None or keep == "auto")

        def kept(ranges: Ranges) -> dict[str, str]:
            return dict.fromkeys(ranges.coarse, "float32") | named if decides else named

        way = chosen_ranges(found, kept, open_engine)
        types = kept(way)
        apart, means, moments, scales = found.program, found.means, found.moments, found.scales
        ranges = {**way.ranges, **function_ranges(apart, way.ranges, types)}
        extremes = found.extremes
    form = integer_form(apart, {"int8": ranges, "int16": extremes}, means, moments, scales)
    form.prepare(types, activations, work.add)
    if wanted is not None:

        def open_inference(program: Program) -> Callable[[], object]:
            return partial(
                Session(fuse_pools(program), threads=1).run, {name: array[:1] for name, array in found.samples[0].items()}
            )

        more_time = MoreTime(form.joined(types), open_inference)
        chosen, rows = choose(apart, form.joined, types, Judge(apart, found.samples, open_engine), more_time, wanted)
        types = dict(chosen)
        if table is not None:
            table(rows)
    return replace(checked(fuse_pools(form.joined(types, activations))), preparation=model.preparation)


def _warn_of_odd_inputs(model: Program, batch: Mapping[str, np.ndarray]) -> None:
    """Warn where calibration does not look as the network expects its inputs."""
    from edgebn import reference
    from edgebn.passes.quantization.input_range import doubt

    for name, values in batch.items():
        found = doubt(model, name, values.reshape(len(values), *model.shapes[name]), reference.run)
        if found is not None:
            warnings.warn(f"{model.source}: {found}", InputRangeWarning, stacklevel=5)


def error_table(float_model: Program, int8_model: Program, data: Any) -> list[ErrorRow]:
    """Compare an int8 program with the float32 one it was made from, layer by layer.

    Parameters
    ----------
    float_model, int8_model : Program
        The second from `quantize` of the first.
    data : ndarray (N, ...), dict of str to ndarray, or an iterable of either
        Real inputs.

    Returns
    -------
    list of ErrorRow
        Signal-to-quantisation-noise ratio (dB) and saturation (%) of every layer, worst ratio first.

    Raises
    ------
    QuantizationError
        Empty or malformed data, or programs of the wrong types.
    """
    from edgebn.passes.quantization.error_table import error_rows
    from edgebn.session import Session

    checked_program(float_model, "edgebn.error_table")
    checked_program(int8_model, "edgebn.error_table")
    return error_rows(float_model, int8_model, Session(float_model).run_buffers, Session(int8_model).run_buffers, data)


def save(model: Program, path: str | PathLike[str]) -> None:
    """Write `model` as an `.edgebn` file: one safetensors file, written whole or not at all.

    Parameters
    ----------
    model : Program
    path : path

    Raises
    ------
    OSError
        The folder is missing or not writable; an older file of that name is then untouched.
    ModelError
        `model` is no program, or the name is that of another format's file, as which it would be read.
    """
    from edgebn.formats import native

    checked_program(model, "edgebn.save")
    path = checked_path(path, "edgebn.save")
    if path.suffix.lower() != NATIVE:
        raise ModelError(f"{path}: what is written is an .edgebn file and could not be read under that name; name it .edgebn")
    native.save(model, path)
