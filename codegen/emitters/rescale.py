"""Codes to codes of another scale or type."""

from __future__ import annotations

from codegen.emitters.text import call, struct
from codegen.stepcode import Names, StepCode
from codegen.values import ELEMENT, count
from edgebn.program import Program, Rescale

_SUFFIX = {"int8": "s8", "int16": "s16"}
_NEGATIVE_ROUNDING = 1 << 31  # what double rounding takes from negative products


def emit(step: Rescale, program: Program, names: Names) -> StepCode:
    """Return the call of edgebn_rescale_s8_s8, _s8_s16, _s16_s8 or _s16_s16."""
    source, output = program.buffers[step.inputs[0]], program.buffers[step.output]
    above, below = step.arithmetic, step.below or step.arithmetic
    rounding = below.r - (_NEGATIVE_ROUNDING if below.neg else 0)
    settings = struct(
        "edgebn_rescaling", zero=source.zero_point, m=f"{{INT64_C({above.m}), INT64_C({below.m})}}",
        r=f"{{INT64_C({above.r}), INT64_C({rounding})}}", s=f"{{{above.s}, {below.s}}}", zero_point=above.zero_point,
        low=above.qmin, high=above.qmax,
    )  # fmt: skip
    kernel = f"edgebn_rescale_{_SUFFIX[source.dtype]}_{_SUFFIX[output.dtype]}"
    text = call(kernel, names.buffer(source.name), names.buffer(output.name), count(output), settings)
    return StepCode(text, (), ("edgebn_rescale.h",), in_place=ELEMENT[output.dtype][1] <= ELEMENT[source.dtype][1])
