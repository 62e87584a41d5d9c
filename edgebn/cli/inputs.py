"""From the files on a command line to the arrays a session takes: shapes checked, pixels scaled, codes told from real numbers."""

from __future__ import annotations

import argparse
from copy import copy
from pathlib import Path

import numpy as np

from edgebn.cli.arrays import Archive, read_bin, read_npy
from edgebn.cli.images import SUFFIXES, read_image
from edgebn.cli.prepared import is_prepared, prepared
from edgebn.cli.scaling import add_scaling_options, scaled, scaling_of, warn_of_odd
from edgebn.cli.values import count
from edgebn.errors import ModelError
from edgebn.program import Program

Inputs = np.ndarray | dict[str, np.ndarray]


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how to read an input file."""
    group = parser.add_argument_group("input files", ".npy, .npz, .png, .jpg (with Pillow) or raw little-endian .bin")
    group.add_argument("--key", metavar="NAME", help="which array of an .npz file; by default the one that fits")
    add_scaling_options(group)
    group.add_argument(
        "--dtype", choices=("float32", "int8", "uint8", "int16"), default="float32", help="of a .bin file; default float32"
    )
    group.add_argument("--limit", type=count, metavar="N", help="use only the first N samples")


def load_inputs(path: Path, program: Program, arguments: argparse.Namespace) -> Inputs:
    """Read the inputs of `program` from `path`.

    Parameters
    ----------
    path : Path
    program : Program
    arguments : Namespace
        With what `add_input_options` added.

    Returns
    -------
    ndarray or dict of str to ndarray
        float32 (N, ...) real values, or int8 (N, ...) raw codes where the file holds int8, the input is int8 and no scale is
        given; a dict by input name when the program has several inputs (the file is then an .npz with an array each).

    Raises
    ------
    ModelError
        The file is damaged or does not fit the network.
    OSError
        It cannot be read.
    """
    if is_prepared(path, program):
        return prepared(path, program, arguments)
    if path.is_dir():
        raise ModelError(f"{path} is a folder; give a file")
    if len(program.inputs) == 1:
        shape = program.shapes[program.inputs[0]]
        return _prepared(_read_one(path, shape, arguments), program.inputs[0], program, arguments, str(path))
    if path.suffix != ".npz":
        raise ModelError(f"{path}: the network has {len(program.inputs)} inputs; give an .npz with {', '.join(program.inputs)}")
    archive = Archive(path)
    found = {}
    for name in program.inputs:
        found[name] = _prepared(archive.read(name), name, program, arguments, f"{path} ({name})")
    counts = {len(values) for values in found.values()}
    if len(counts) > 1:
        raise ModelError(f"{path}: its arrays hold different numbers of samples: {archive.listing()}")
    return found


def sample_count(inputs: Inputs) -> int:
    """Return N."""
    return len(next(iter(inputs.values()))) if isinstance(inputs, dict) else len(inputs)


def part(inputs: Inputs, start: int, stop: int) -> Inputs:
    """Return samples start..stop-1."""
    if isinstance(inputs, dict):
        return {name: values[start:stop] for name, values in inputs.items()}
    return inputs[start:stop]


def load_labelled(path: Path, labels: np.ndarray, program: Program, arguments: argparse.Namespace) -> tuple[Inputs, np.ndarray]:
    """Return inputs and as many labels, no more than --limit of them, after holding their numbers against each other.

    Raises
    ------
    ModelError
        As `load_inputs`, or there are not as many labels as samples: cut to the same length they would be no pairs.
    """
    whole = copy(arguments)
    whole.limit = None
    inputs = load_inputs(path, program, whole)
    if sample_count(inputs) != len(labels):
        raise ModelError(f"{path}: there are {sample_count(inputs)} samples but {len(labels)} labels")
    count = len(labels) if arguments.limit is None else min(arguments.limit, len(labels))
    return part(inputs, 0, count), labels[:count]


def load_labels(source: str, data: Path) -> np.ndarray:
    """Return labels (N,) int64 from an array of the .npz file `data` or from a .npy file of their own; one-hot rows are understood.

    Raises
    ------
    ModelError
        There are no such labels, or they are no class numbers.
    """
    path = Path(source)
    if path.suffix == ".npy" and path.is_file():
        labels = read_npy(path)
    elif data.suffix == ".npz":
        labels = Archive(data).read(source)
    else:
        raise ModelError(f"--labels {source} is neither a .npy file nor an array of an .npz file of data")
    if labels.ndim == 2 and labels.shape[1] > 1:
        if not (np.isin(labels, (0, 1)).all() and (np.count_nonzero(labels, axis=1) == 1).all()):
            raise ModelError(
                f"the labels '{source}' have shape {labels.shape}, but their rows are not one-hot: a single 1 in zeros"
            )
        labels = labels.argmax(axis=1)
    if labels.ndim > 1 and labels.size != len(labels):
        raise ModelError(f"the labels '{source}' have shape {labels.shape}; they should be (N,) or one-hot (N, classes)")
    labels = labels.reshape(-1)
    with np.errstate(invalid="ignore"):  # NaN and infinity become numbers that differ
        whole = labels.astype(np.int64)
    if (whole != labels).any() or (whole < 0).any():
        raise ModelError(f"the labels '{source}' are no class numbers 0, 1, 2, ...")
    return whole


def _read_one(path: Path, shape: tuple[int, ...], arguments: argparse.Namespace) -> np.ndarray:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return read_npy(path)
    if suffix == ".npz":
        archive = Archive(path)
        return archive.read(arguments.key or _fitting_key(archive, shape))
    if suffix in SUFFIXES:
        return read_image(path, shape)
    if suffix == ".bin":
        return read_bin(path, arguments.dtype, shape)
    raise ModelError(f"{path} is of no known type; give a .npy, .npz, .png, .jpg or .bin file")


def _fitting_key(archive: Archive, shape: tuple[int, ...]) -> str:
    """Return the only array whose samples have `shape`."""
    samples = (shape, _without_channel(shape))
    fitting = [key for key, header in archive.headers.items() if header.shape == shape or header.shape[1:] in samples]
    if len(fitting) == 1:
        return fitting[0]
    why = "several arrays fit" if fitting else "no array fits"
    raise ModelError(f"{archive.path}: {why} an input of shape {shape}; it has {archive.listing()}; choose one with --key")


def _without_channel(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape as grey images are often stored: without their one channel."""
    return shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape


def _prepared(values: np.ndarray, name: str, program: Program, arguments: argparse.Namespace, what: str) -> np.ndarray:
    shape = program.shapes[name]
    if values.shape in (shape, _without_channel(shape)):
        values = values[None]
    if values.ndim == 0 or values.shape[1:] not in (shape, _without_channel(shape)):
        message = f"{what} has shape {values.shape}, the network takes (N, {', '.join(str(size) for size in shape)})"
        if len(shape) == 3 and values.shape[-3:] == (shape[2], shape[0], shape[1]):
            message += "; it is channels-first: turn it with numpy.moveaxis(x, -3, -1)"
        raise ModelError(message)
    values = values.reshape(len(values), *shape)
    if arguments.limit is not None:
        values = values[: arguments.limit]
    if not len(values):
        raise ModelError(f"{what} holds no samples")
    are_pixels = Path(what).suffix.lower() in SUFFIXES
    real = scaled(values, scaling_of(values, name, program, arguments, what, are_pixels=are_pixels))
    warn_of_odd(real, name, program, what)
    return real


def holds_integers(path: Path, program: Program, arguments: argparse.Namespace) -> bool:
    """Whether a file that `load_inputs` has read stores integers, such as pixels."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES or is_prepared(path, program):
        return True
    if suffix == ".bin":
        return bool(arguments.dtype != "float32")
    if suffix == ".npy":
        return read_npy(path).dtype.kind != "f"
    archive = Archive(path)
    keys = (
        program.inputs if len(program.inputs) > 1 else [arguments.key or _fitting_key(archive, program.shapes[program.inputs[0]])]
    )
    return all(archive.headers[key].dtype.kind != "f" for key in keys)
