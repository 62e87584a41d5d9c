"""The public functions: `load`, `from_torch`, `quantize`, `save`. Only glue between the rooms; every decision is in theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebn.errors import ModelError, QuantizationError
from edgebn.program import Program

if TYPE_CHECKING:
    import numpy as np

    from edgebn.passes.error_table import ErrorRow

FOREIGN = frozenset({".h5", ".keras", ".onnx", ".tflite", ".pt2"})  # what `load` reads as another format


def load(
    path: str | PathLike[str],
    *,
    input_shape: tuple[int, ...] | Mapping[str, tuple[int, ...]] | None = None,
    custom_layers: dict[str, str] | None = None,
) -> Program:
    """Read a trained network and make it a program.

    Parameters
    ----------
    path : path
        A `.h5` or `.keras` (Keras 2 and 3), `.onnx`, `.tflite`, `.pt2` (torch.export) or `.edgebn` file.
    input_shape : tuple of int, or mapping of str to tuple of int, optional
        Shape of one input sample, without the batch axis and in the file's own layout, where the file leaves it open; of a network
        with several inputs by their names.
    custom_layers : dict, optional
        Keras only: maps the names of custom layer classes to the Keras classes they behave as, for example
        ``{"BNLayer": "BatchNormalization"}``.

    Returns
    -------
    Program
        float32, or int8 when the file is quantised. Inputs and outputs are NHWC whatever the file's layout.

    Raises
    ------
    ModelError
        The file is missing, damaged or of no known format, or holds a layer that edgebn does not run
        (`UnsupportedLayerError`); the message names file, layer and remedy.
    """
    path = Path(path)
    if path.suffix == ".edgebn":
        from edgebn.formats import native

        return native.load(path)
    from edgebn import formats, passes

    options: dict[str, Any] = {}
    if input_shape is not None:
        options["input_shape"] = dict(input_shape) if isinstance(input_shape, Mapping) else tuple(input_shape)
    if custom_layers:
        options["custom_layers"] = dict(custom_layers)
    return passes.lower(formats.read(path, **options))


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
    method: str = "mse",
    progress: Callable[[int, int | None], None] | None = None,
) -> Program:
    """Make an int8 program of a float32 one: per-channel symmetric int8 weights, per-tensor int8 activations.

    Weights are quantised with batch norm unfolded; the batch norms stay in the epilogues as data (DESIGN section 2). With data,
    channels of one value are first brought to more similar sizes, which the float32 network does not notice (a factor in gamma and
    beta, divided out in the next weights). Weights are then rounded for the least error in their layer's output, and biases are
    corrected by what that shifts in the mean.

    Parameters
    ----------
    model : Program
        float32, from `load`.
    calibration : ndarray (N, ...), dict of str to ndarray, or an iterable of either, optional
        Typical inputs in real units, scaled as in training; 100 to 1000 samples suffice. A dict is by input name. None takes the
        ranges from the batch norms' beta and gamma alone.
    method : {'mse', 'percentile', 'minmax'}
        How the range of a value follows from what calibration showed: least mean squared error (of the sum, for what only an
        addition reads; of the margins between classes, for logits and for what the dense layer before them reads), 99.99 % of the
        values on each side of zero, or all of them. The network's inputs always keep their full range. Unused without data.
    progress : callable, optional
        Called as progress(samples done, samples in all) while calibration first runs. The data is held in memory and run twice.

    Returns
    -------
    Program
        int8; every integer sum is proved not to overflow for any input.

    Raises
    ------
    QuantizationError
        Empty data, wrong shapes, NaN or infinite values, a program that is int8 already, no data and no batch norm behind the
        input, or a layer whose sums could overflow; the message names the layer and the remedy.
    """
    from edgebn.passes import calibration as observing
    from edgebn.passes.add_ranges import AddObserver
    from edgebn.passes.equalize import equalize
    from edgebn.passes.fuse_pool import fuse_pools
    from edgebn.passes.head_ranges import HeadObserver
    from edgebn.passes.norm_ranges import norm_ranges
    from edgebn.passes.patch_moments import PatchObserver
    from edgebn.passes.quantize import quantize_program, with_averages_apart

    if method not in observing.METHODS:
        raise QuantizationError(f"there is no calibration method {method!r}; choose one of {', '.join(observing.METHODS)}")
    if model.dtype != "float32":
        raise QuantizationError(f"{model.source}: the network is int8 already; quantise the float32 one it came from")
    apart = with_averages_apart(model)
    if calibration is None:
        ranges, means = norm_ranges(apart)
        moments = {}
    else:
        from edgebn.session import Session

        batches = list(observing.batches(apart, calibration))  # an iterable may be readable only once
        total = sum(len(next(iter(batch.values()))) for batch in batches)
        counted = None if progress is None else lambda done, _unknown: progress(done, total)
        observers = observing.observe(apart, Session(apart).run_buffers, batches, counted)
        apart = equalize(apart, {name: seen.channel_size() for name, seen in observers.items()})
        run_buffers = Session(apart).run_buffers
        patches, sums, heads = PatchObserver(apart), AddObserver(apart), HeadObserver(apart)

        def watched(batch: observing.Batch) -> Mapping[str, np.ndarray]:
            values = run_buffers(batch)
            patches.see(values)
            sums.see(values)
            heads.see(values)
            return values

        observers = observing.observe(apart, watched, batches)
        ranges, means = observing.ranges_and_means(apart, observers, method)
        if method == "mse":
            ranges |= sums.ranges() | heads.ranges()
        moments = patches.moments()
    return fuse_pools(quantize_program(apart, ranges, means, moments))


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
    from edgebn.passes.error_table import error_rows
    from edgebn.session import Session

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

    if not isinstance(model, Program):
        raise ModelError(f"save takes a program as edgebn.load returns it, not {type(model).__name__}")
    if Path(path).suffix.lower() in FOREIGN:
        raise ModelError(f"{path}: what is written is an .edgebn file and could not be read under that name; name it .edgebn")
    native.save(model, Path(path))
