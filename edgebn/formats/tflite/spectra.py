"""RFFT2D, COMPLEX_ABS, REAL and IMAG: spectrograms inside a network (`tf.signal.stft`).

Graphs have no complex values: before a file is read, `split_complex` puts two tensors, the real and the imaginary part, in place
of each complex one, and two operators in the place of each that moves complex numbers.
"""

from __future__ import annotations

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.spectrum import complex_spectrum, real_spectrum
from edgebn.formats.tflite.context import Reading, inputs_of, without_batch
from edgebn.formats.tflite.flatbuffer import FileModel, FileOperator
from edgebn.layers import MAX_EXTENT, Activation, Add, Concat, Crop, Identity, Layer, Pad, Reshape, Transpose
from edgebn.quick_dataclass import replace

COMPLEX = "COMPLEX64"
PAIRS = {"RFFT2D", "COMPLEX_ABS", "REAL", "IMAG"}  # which know of both parts
LINEAR = {  # which do the same to both parts
    "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "PACK", "UNPACK", "GATHER",
    "CONCATENATION", "TILE", "REVERSE_V2", "ADD", "SUB", "NEG",
}  # fmt: skip


def split_complex(file: FileModel) -> FileModel:
    """Return the file with two float32 tensors in the place of each complex one."""
    complex_ones = [index for index, tensor in enumerate(file.tensors) if tensor.type == COMPLEX]
    if not complex_ones:
        return file
    imaginary = {index: len(file.tensors) + place for place, index in enumerate(complex_ones)}
    ends = [file.tensors[index].name for index in (*file.inputs, *file.outputs) if index in imaginary]
    if ends or any(file.tensors[index].data is not None for index in complex_ones):
        what = f"its input or output '{ends[0]}' is" if ends else "it holds constants that are"
        raise UnsupportedLayerError(f"{what} complex; export magnitudes, or real and imaginary parts, in their place")
    parts = [replace(tensor, type="FLOAT32") if tensor.type == COMPLEX else tensor for tensor in file.tensors]
    parts += [replace(parts[index], name=f"{parts[index].name}/imaginary") for index in complex_ones]
    operators: list[FileOperator] = []
    for operator in file.operators:
        operators += _split(_real_cast(operator, imaginary), imaginary)
    return replace(file, tensors=tuple(parts), operators=tuple(operators))


def _real_cast(operator: FileOperator, imaginary: dict[int, int]) -> FileOperator:
    """Return REAL in place of a CAST of complex numbers to real ones, which drops the imaginary part."""
    if operator.kind == "CAST" and set(operator.inputs) <= set(imaginary) and not set(operator.outputs) & set(imaginary):
        return replace(operator, kind="REAL")
    return operator


def _split(operator: FileOperator, imaginary: dict[int, int]) -> list[FileOperator]:
    """Return the operators that work on parts."""
    named = (*operator.inputs, *operator.outputs)
    if not any(index in imaginary for index in named):
        return [operator]
    if operator.kind in PAIRS:
        inputs, outputs = (
            tuple(part for index in indices for part in ((index, imaginary[index]) if index in imaginary else (index,)))
            for indices in (operator.inputs, operator.outputs)
        )
        return [replace(operator, inputs=inputs, outputs=outputs)]
    if operator.kind not in LINEAR:
        raise UnsupportedLayerError(
            f"its operator {operator.kind} works on complex numbers; edgebn moves and adds these, and takes parts and magnitudes"
        )
    other = replace(
        operator,
        inputs=tuple(imaginary.get(index, index) for index in operator.inputs),
        outputs=tuple(imaginary.get(index, index) for index in operator.outputs),
    )
    return [operator, other]


def rfft2d(reading: Reading, operator: FileOperator) -> None:
    """RFFT2D: the spectrum over the last two axes, which are cut or filled with zeros to the lengths given."""
    x, n = inputs_of(operator, 2, 2)
    sample, lengths = reading.sample(x), reading.integers(n).reshape(-1)
    if len(operator.outputs) != 2 or len(sample) < 2 or len(lengths) != 2 or not all(1 <= size <= MAX_EXTENT for size in lengths):
        raise ModelError(f"its lengths {tuple(lengths)} do not fit a value of shape {reading.shape(x)}; the file is damaged")
    if lengths[1] < 2:
        raise UnsupportedLayerError("its lines have one number, of which LiteRT makes no spectrum")
    label = reading.tensor(operator.outputs[0]).name

    def step(layer: type[Layer], part: str, inputs: tuple[str, ...], **settings: object) -> str:
        return reading.step(layer, f"{label}/{part}", inputs, None, **settings)

    (*outer, height, width), (high, wide) = sample, (int(size) for size in lengths)
    images, out = 1, wide // 2 + 1
    for size in outer:
        images *= size
    value = step(Reshape, "images", (reading.value(x),), shape=(images, height, width))
    if height > high:
        value = step(Crop, "top", (value,), starts=(0, 0, 0), sizes=(images, high, width))
    elif height < high:
        value = step(Pad, "below", (value,), pads=((0, 0), (0, high - height), (0, 0)), value=0.0)
    parts = real_spectrum(step, value, images * high, width, wide)
    if high > 1:
        columns = [step(Reshape, f"column{place}", (part,), shape=(images, high, out)) for place, part in enumerate(parts)]
        turned = [step(Transpose, f"turned{place}", (part,), permutation=(0, 2, 1)) for place, part in enumerate(columns)]
        joined = step(Concat, "joined", tuple(turned), axis=2)
        across = step(Reshape, "halves", (complex_spectrum(step, joined, images * out, high),), shape=(images, out, 2, high))
        back = step(Transpose, "back", (across,), permutation=(2, 0, 3, 1))
        shape = (1, images, high, out)
        parts = (
            step(Crop, "half0", (back,), starts=(0, 0, 0, 0), sizes=shape),
            step(Crop, "half1", (back,), starts=(1, 0, 0, 0), sizes=shape),
        )
    full = (*reading.shape(x)[:-2], high, out)
    for output, part in enumerate(parts):
        reading.emit(operator, Reshape, (part,), full=full, output=output, shape=without_batch(full))


def complex_abs(reading: Reading, operator: FileOperator) -> None:
    """COMPLEX_ABS: the root of the sum of both squares."""
    label = reading.tensor(operator.outputs[0]).name
    squares = [
        reading.step(Activation, f"{label}/square{place}", (reading.value(index),), None, function="square")
        for place, index in enumerate(inputs_of(operator, 2, 2))
    ]
    reading.emit(operator, Activation, (reading.step(Add, f"{label}/sum", tuple(squares), None),), function="sqrt")


def real(reading: Reading, operator: FileOperator) -> None:
    """REAL."""
    reading.emit(operator, Identity, (reading.value(inputs_of(operator, 2, 2)[0]),))


def imag(reading: Reading, operator: FileOperator) -> None:
    """IMAG."""
    reading.emit(operator, Identity, (reading.value(inputs_of(operator, 2, 2)[1]),))
