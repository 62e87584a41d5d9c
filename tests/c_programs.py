"""One C file out of programs: every step's call as its emitter writes it, its inputs, and the bytes that the reference gives.

The file's `main` returns 0 when every buffer is right, on the host under sanitizers or on an emulated core. Steps that may work in
place run a second time over their input's own memory. Every buffer and scratch area has its exact size, so that sanitizers see a
byte too many.
"""

import re
import subprocess
from pathlib import Path

import numpy as np

from codegen import emitters
from codegen.constants import literals
from codegen.stepcode import CArray
from edgebn import reference

C_LIBRARY = Path(emitters.__file__).resolve().parents[1] / "c"
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
CTYPES = {"int8": "int8_t", "int16": "int16_t", "float32": "float", "int32": "int32_t"}
FLOAT_TOLERANCE = 1e-5  # of the larger of 1 and the buffer's largest magnitude

PRELUDE = """#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
{includes}
#define ALIGNED __attribute__((aligned(8)))
"""

COMPARISONS = {
    "int8_t": """
static int differs_int8_t(const int8_t *found, const int8_t *expected, int count) {
    return memcmp(found, expected, (size_t)count) != 0;
}
""",
    "int32_t": """
static int differs_int32_t(const int32_t *found, const int32_t *expected, int count) {
    return memcmp(found, expected, (size_t)count * sizeof *found) != 0;
}
""",
    "int16_t": """
static int differs_int16_t(const int16_t *found, const int16_t *expected, int count) {
    return memcmp(found, expected, sizeof *found * (size_t)count) != 0;
}
""",
    "float": f"""
static int differs_float(const float *found, const float *expected, int count) {{
    float bound = 1.0f;
    int i, wrong = 0;
    for (i = 0; i < count; i++) {{
        const float magnitude = expected[i] < 0.0f ? -expected[i] : expected[i];
        bound = magnitude > bound && magnitude < INFINITY ? magnitude : bound;
    }}
    for (i = 0; i < count; i++) {{
        const float difference = found[i] - expected[i];
        const float tolerance = bound * {FLOAT_TOLERANCE}f;
        wrong += found[i] != expected[i] && !(difference <= tolerance && difference >= -tolerance);
    }}
    return wrong;
}}
""",
}

MAIN = """
int main(void) {{
    int failed = 0;
{calls}
    printf("%d\\n", failed);
    return failed != 0;
}}
"""


def identifier(name):
    """Return a layer's name as C takes it."""
    return re.sub(r"\W", "_", name)


class StepNames:
    """C expressions of one step; `alias` maps buffers to other arrays than their own, whose names begin with `values`."""

    def __init__(self, prefix, step, alias=None, values=None):
        self.prefix, self.step, self.alias, self.values = prefix, step, alias or {}, values or prefix

    @property
    def scratch(self):
        return f"{self.prefix}_scratch{self.step}"

    def buffer(self, name):
        return self.alias.get(name, f"{self.values}_{identifier(name)}")

    def array(self, suffix):
        return f"{self.prefix}_step{self.step}_{suffix}"


def array_text(array: CArray):
    values = np.ascontiguousarray(array.values).reshape(-1)
    if array.pairs:
        text = ", ".join(literals(array))
    elif array.ctype == "float":
        text = ", ".join(_float_text(v) for v in values)
    else:
        text = ", ".join("INT32_MIN" if v == -(2**31) else f"INT64_C({v})" if abs(int(v)) > 2**31 else str(int(v)) for v in values)
    return f"/* {array.comment} */\nstatic const {array.ctype} {array.name}[{values.size}] ALIGNED = {{{text}}};\n"


def _float_text(value):
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = f"{np.float32(value):.9g}"
    return text + ("f" if "." in text or "e" in text else ".0f")


def program_text(program, sample, prefix, *, in_place=True, check=True):
    """Return (headers, C text): `int PREFIX_run(void)` gives 0, or the number of the first step whose bytes are wrong."""
    expected = reference.run_steps(program, {program.inputs[0]: sample})
    ctypes = {name: CTYPES[buffer.dtype] for name, buffer in program.buffers.items()}
    headers, data, body = [], [], []
    for i, name in enumerate([*program.inputs, *program.constants, *(step.output for step in program.steps)]):
        value = expected[name]
        constant = name in program.constants
        if constant or i < len(program.inputs):
            data.append(array_text(CArray(f"{prefix}_{identifier(name)}{'' if constant else '_given'}", ctypes[name], value, name)))
        if not constant:
            data.append(f"static {ctypes[name]} {prefix}_{identifier(name)}[{value.size}] ALIGNED;\n")
    first = identifier(program.inputs[0])
    body.append(f"memcpy({prefix}_{first}, {prefix}_{first}_given, sizeof {prefix}_{first});")
    for number, step in enumerate(program.steps):
        code = emitters.emit(step, program, StepNames(prefix, number))
        headers += code.headers
        data += declarations(code, StepNames(prefix, number))
        body.append(code.call)
        if not check:
            continue
        wanted, ctype = f"{prefix}_{identifier(step.output)}_expected", ctypes[step.output]
        data.append(array_text(CArray(wanted, ctype, expected[step.output], step.output)))
        body.append(comparison(f"{prefix}_{identifier(step.output)}", wanted, ctype, expected[step.output].size, number))
        shared = f"{prefix}_shared{number}"
        size = max(expected[step.inputs[0]].size, expected[step.output].size)
        if code.in_place and in_place and step.inputs[0] not in program.constants:
            held = ctypes[step.inputs[0]]
            target = shared if held == ctype else f"({ctype} *){shared}"
            alias = {step.inputs[0]: shared, step.output: target}
            body.append(copied(step.inputs[0], shared, prefix))
            body.append(emitters.emit(step, program, StepNames(prefix, number, alias)).call)
            body.append(comparison(target, wanted, ctype, expected[step.output].size, number))
            data.append(f"static {held} {shared}[{size}] ALIGNED;\n")
        for before in program.steps[:number] if in_place else ():
            other = joined_operand(before, step)
            alias = {other: f"{shared}_sum", step.output: f"{shared}_sum"}
            names = StepNames(f"{prefix}_joined", number, alias, values=prefix)
            joined = emitters.emit_joined(before, step, program, names) if other else None
            if joined is not None:
                headers += joined.headers
                data += [*declarations(joined, names), f"static {ctype} {shared}_sum[{expected[step.output].size}] ALIGNED;\n"]
                body += [copied(other, f"{shared}_sum", prefix), joined.call]
                body.append(comparison(f"{shared}_sum", wanted, ctype, expected[step.output].size, number))
                break
    lines = "\n".join(body).replace("\n", "\n    ")
    return headers, f"{''.join(data)}\nstatic int {prefix}_run(void) {{\n    {lines}\n    return 0;\n}}\n"


def declarations(code, names):
    """Return the arrays of a step and its scratch memory."""
    scratch = [f"static int8_t {names.scratch}[{code.scratch}] ALIGNED;\n"] if code.scratch else []
    return [*(array_text(array) for array in code.arrays), *scratch]


def comparison(found, wanted, ctype, size, number):
    return f"if (differs_{ctype}({found}, {wanted}, {size})) {{\n    return {number + 1};\n}}"


def copied(name, target, prefix):
    return f"memcpy({target}, {prefix}_{identifier(name)}, sizeof {prefix}_{identifier(name)});"


def joined_operand(before, step):
    """Return the other operand of a sum that reads what `before` makes."""
    others = [name for name in step.inputs if name != before.output]
    return others[0] if step.kind == "Add" and len(step.inputs) == 2 and len(others) == 1 else None


def file_text(cases, main=None, **options):
    """Return the C file for (program, sample) pairs; its main prints 0, or 100 * program + step."""
    texts, headers = [], []
    for n, (program, sample) in enumerate(cases):
        used, text = program_text(program, sample, f"p{n}", **options)
        headers += used
        texts.append(text)
    includes = "\n".join(f'#include "{header}"' for header in dict.fromkeys(headers))
    needed = (
        sorted({CTYPES[program.buffers[step.output].dtype] for program, _ in cases for step in program.steps})
        if options.get("check", True)
        else []
    )
    calls = "\n".join(f"    failed = failed == 0 && p{n}_run() != 0 ? {100 * n} + p{n}_run() : failed;" for n in range(len(cases)))
    pieces = [PRELUDE.format(includes=includes), *(COMPARISONS[ctype] for ctype in needed), *texts]
    return "".join([*pieces, main or MAIN.format(calls=calls)])


def build_and_run(cases, folder, compiler, flags=()):
    """Build (program, sample) pairs for the host and run; return what it printed: 0, or 100 * program + step."""
    return build_and_run_text(file_text(cases), folder, compiler, flags)


def build_and_run_text(text, folder, compiler, flags=()):
    """The same for a C file."""
    source, binary = Path(folder) / "steps.c", Path(folder) / "steps"
    source.write_text(text)
    command = [*compiler, *WARNINGS, *flags, f"-I{C_LIBRARY}", str(source), "-o", str(binary)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[:4000]
    ran = subprocess.run([str(binary)], capture_output=True, text=True, check=False)
    assert ran.stderr == "", ran.stderr[:4000]
    return int(ran.stdout)
