"""What a step is, in words: for comments in the listing and for reports. Knows programs, no C."""

from __future__ import annotations

from edgebn.program import (
    Affine,
    ArgExtreme,
    Cast,
    Convolution,
    FloatEpilogue,
    IntegerBinary,
    IntEpilogue,
    Lookup,
    Pool,
    Program,
    Recurrence,
    Step,
    TransposedConvolution,
    Window,
)


def shape_text(shape: tuple[int, ...]) -> str:
    """Return '(25, 5, 64)'."""
    return "(" + ", ".join(str(size) for size in shape) + ")"


def describe(step: Step, program: Program) -> str:
    """Return what a step does and its shapes: 'conv1: convolution 3 x 3, batch norm, ReLU: (8, 8, 3) -> (8, 8, 16)'."""
    parts = [_operation(step, program)]
    epilogue = getattr(step, "epilogue", None)
    if epilogue is not None:
        parts += _epilogue(epilogue, ends_the_step=not isinstance(step, Affine))
    if isinstance(step, Convolution) and step.pool is not None:
        parts.append(_window(step.pool))
    sources = " + ".join(shape_text(program.buffers[name].shape) for name in step.inputs)
    return f"{step.name}: {', '.join(parts)}: {sources} -> {shape_text(program.buffers[step.output].shape)}"


def _operation(step: Step, program: Program) -> str:
    if isinstance(step, Convolution | TransposedConvolution):
        return _convolution(step, program)
    if isinstance(step, Pool):
        return _window(step.window)
    if isinstance(step, Recurrence):
        return f"{step.cell.upper()}, backwards" if step.backwards else step.cell.upper()
    if isinstance(step, Affine):
        return "batch norm of its own" if step.epilogue.norms else "scale and offset"
    if isinstance(step, Lookup):
        return "function by table"
    if isinstance(step, IntegerBinary):
        return step.function.replace("_", " ")
    if isinstance(step, ArgExtreme):
        which = "largest" if step.function == "max" else "smallest"
        return f"place of the {which} value" if step.count is None else f"places of the {step.count} {which} values"
    if isinstance(step, Cast):
        return f"to {program.buffers[step.output].dtype}"
    return step.kind.lower()


def _convolution(step: Convolution | TransposedConvolution, program: Program) -> str:
    _, kh, kw, _ = step.weight.shape
    shape = program.buffers[step.inputs[0]].shape
    if isinstance(step, TransposedConvolution):
        word = "transposed convolution"
    elif step.groups > 1:
        word = "depthwise convolution" if step.groups == shape[2] else f"convolution in {step.groups} groups"
    elif (kh, kw) == shape[:2] and not any(step.padding):
        return "dense"
    else:
        word = "convolution"
    text = f"{word} {kh} x {kw}"
    if step.strides != (1, 1):
        text += f", stride {step.strides[0]} x {step.strides[1]}"
    if step.dilations != (1, 1):
        text += f", dilation {step.dilations[0]} x {step.dilations[1]}"
    return text


def _epilogue(epilogue: IntEpilogue | FloatEpilogue, *, ends_the_step: bool) -> list[str]:
    """Return 'batch norm' and the activation, as far as the numbers still tell them."""
    parts = []
    if epilogue.pre != (float("-inf"), float("inf")):
        parts.append(_clip(epilogue.pre))
    if ends_the_step and any(norm.is_batch_norm for norm in epilogue.norms):
        parts.append("batch norm")
    if epilogue.post != (float("-inf"), float("inf")):
        parts.append(_clip(epilogue.post))
    return parts


def _clip(limits: tuple[float, float]) -> str:
    if limits == (0.0, float("inf")):
        return "ReLU"
    return "ReLU6" if limits == (0.0, 6.0) else f"clip to {limits[0]:g}..{limits[1]:g}"


def _window(window: Window) -> str:
    word = "maximum" if window.function == "max" else "average"
    return f"{word} of {window.kernel[0]} x {window.kernel[1]}"
