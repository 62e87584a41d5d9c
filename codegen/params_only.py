"""`<name>_params.h` and `.c` alone: folded parameters of every layer, for kernels of one's own or of another library. Text only."""

from __future__ import annotations

from codegen.constants import comment, declarations, definition
from codegen.describe import describe
from codegen.emitters.text import float_literal
from codegen.layouts import LAYOUTS, OWN_LAYOUT, Weighted
from codegen.naming import stems
from codegen.stepcode import CArray
from edgebn.errors import ModelError
from edgebn.program import Affine, Convolution, FloatEpilogue, IntEpilogue, Program, Step, TransposedConvolution, step_dtype

_ARITHMETIC = {
    "edgebn int8": """\
Arithmetic of a layer, per output channel c, in integers (>> is an arithmetic shift, offset has 64 bits):
     acc  = bias[c] + sum(weight * code)               padding reads INPUT_ZERO_POINT
     u    = clip(acc, low[c], high[c])                 where the layer has these arrays
     y    = ((int64_t)u * multiplier[c] + offset[c] - (NEG and u < 0 ? 2^31 : 0)) >> shift[c]
     code = clip(OUTPUT_ZERO_POINT + y, CODE_MIN, CODE_MAX)""",
    "edgebn float32": """\
Arithmetic of a layer, per output channel c:
     y = clip(clip(sum(weight * x) + bias[c], PRE_LOW, PRE_HIGH) * a[c] + d[c], POST_LOW, POST_HIGH)
   A bound that is not defined is infinite.""",
    "library": """\
Arithmetic of a layer, per output channel c, as the library requantises (multiplier in units of 2^-31, shift to the left where
   positive):
     acc  = bias[c] + sum(weight * (code + INPUT_OFFSET))
     code = clip(OUTPUT_OFFSET + requantize(acc, multiplier[c], shift[c]), ACTIVATION_MIN, ACTIVATION_MAX)
   Files that TensorFlow Lite quantised keep their bits. Networks that edgebn quantised round once, where the library rounds twice
   and its bias is a whole number: a code can differ by one from what edgebn computes.""",
}


_ARITHMETIC["edgebn mixed"] = "Layers are int8 or float32.\n\n   " + "\n\n   ".join(
    _ARITHMETIC[f"edgebn {dtype}"].replace("of a layer", f"of {article} {dtype} layer")
    for article, dtype in (("an", "int8"), ("a", "float32"))
)


def files(program: Program, name: str, layout: str, section: str | None) -> tuple[dict[str, str], int]:
    """Return both files, by name, and the bytes of all arrays.

    Raises
    ------
    ModelError
        No such layout, or a channel that it cannot hold.
    """
    if layout not in LAYOUTS:
        raise ModelError(f"there is no parameter layout {layout!r}; choose one of {', '.join(LAYOUTS)}")
    wide = next((step for step in program.steps if step_dtype(step, program) == "int16"), None)
    if wide is not None:
        raise ModelError(
            f"{program.source}: layer '{wide.name}' is int16, which no layout of parameters alone holds; emit the whole network"
        )
    names = stems([step.name for step in program.steps], name)
    facts: list[str] = []
    arrays: list[CArray] = []
    for step in program.steps:
        line = f"/* {comment(describe(step, program))} */"
        if not isinstance(step, Convolution | TransposedConvolution | Affine):
            facts.append(line)
            continue
        stem = names[step.name]
        defines = [f"#define {stem.upper()}_{key} {value}" for key, value in _facts(step, program, layout).items()]
        facts.append("\n".join([line, *defines]))
        arrays += [
            CArray(f"{stem}_{p.suffix}", p.ctype, p.values, f"{step.name} {p.suffix} {p.meaning}")
            for p in LAYOUTS[layout](step, program)
        ]
    kind = f"edgebn {program.dtype}" if layout == OWN_LAYOUT else "library"
    guard = f"{name.upper()}_PARAMS_H"
    nbytes = sum(array.nbytes for array in arrays)
    header = "\n".join(
        [
            f"/* Folded parameters of {comment(program.name)}, layout {layout}: {nbytes:,} bytes.\n",
            f"   {_ARITHMETIC[kind]} */",
            f"#ifndef {guard}\n#define {guard}\n\n#include <stdint.h>\n",
            *(f"{fact}\n" for fact in facts),
            f"{declarations(arrays, section, floats=program.dtype != 'int8')}\n#endif\n",
        ]
    )
    source = "\n".join([f"/* `{name}_params.h` says how they are used. */", f'#include "{name}_params.h"\n'])
    body = "\n".join(definition(array) for array in arrays)
    return {f"{name}_params.h": header, f"{name}_params.c": f"{source}\n{body}"}, nbytes


def _facts(step: Weighted, program: Program, layout: str) -> dict[str, str | int]:
    facts: dict[str, str | int] = {}
    if not isinstance(step, Affine):
        top, left, bottom, right = step.padding
        facts |= {"STRIDE_Y": step.strides[0], "STRIDE_X": step.strides[1]}
        facts |= {"DILATION_Y": step.dilations[0], "DILATION_X": step.dilations[1]}
        facts |= {"PADDING_TOP": top, "PADDING_LEFT": left, "PADDING_BOTTOM": bottom, "PADDING_RIGHT": right}
        facts["GROUPS"] = step.groups
    e = step.epilogue
    if isinstance(e, FloatEpilogue):
        bounds = {"PRE_LOW": e.pre[0], "PRE_HIGH": e.pre[1], "POST_LOW": e.post[0], "POST_HIGH": e.post[1]}
        return facts | {key: f"({float_literal(value)})" for key, value in bounds.items() if abs(value) != float("inf")}
    return facts | _integer_facts(e, step, program, layout)


def _integer_facts(e: IntEpilogue, step: Step, program: Program, layout: str) -> dict[str, str | int]:
    source, target = program.buffers[step.inputs[0]], program.buffers[step.output]
    scales: dict[str, str | int] = {"INPUT_SCALE": float_literal(source.scale), "OUTPUT_SCALE": float_literal(target.scale)}
    if layout == OWN_LAYOUT:
        return scales | {
            "INPUT_ZERO_POINT": f"({source.zero_point})",
            "OUTPUT_ZERO_POINT": f"({e.zero_point})",
            "CODE_MIN": f"({e.qmin})",
            "CODE_MAX": f"({e.qmax})",
            "NEG": int(e.neg),
        }
    return scales | {
        "INPUT_OFFSET": f"({-source.zero_point})",
        "OUTPUT_OFFSET": f"({e.zero_point})",
        "ACTIVATION_MIN": f"({e.qmin})",
        "ACTIVATION_MAX": f"({e.qmax})",
    }
