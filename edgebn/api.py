"""The public functions: `load`, `from_torch`, `quantize`, `save`. Only glue between the rooms; every decision is in theirs."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from edgebn.program import Program


def load(
    path: str | PathLike[str],
    *,
    input_shape: tuple[int, ...] | None = None,
    custom_layers: dict[str, str] | None = None,
) -> Program:
    """Read a trained network and make it a program.

    Parameters
    ----------
    path : path
        A `.h5` or `.keras` (Keras 2 and 3), `.onnx`, `.tflite`, `.pt2` (torch.export) or `.edgebn` file.
    input_shape : tuple of int, optional
        Shape of one input sample, without the batch axis and in the file's own layout, where the file leaves it open.
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
        options["input_shape"] = tuple(input_shape)
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
    """
    from edgebn.formats import native

    native.save(model, Path(path))
