"""`mlperf.c`: a network behind MLPerf Tiny's serial protocol. Knows what the benchmark's host sends for each of its networks."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.emitters.text import float_literal
from codegen.places import input_names, memory, memory_outside, output_names, own, place
from codegen.project import BOARD, Listing
from codegen.templating import fill
from edgebn.errors import ModelError
from edgebn.program import Buffer, Hwc, takes_codes

# How the host sends an input.
CODES = "codes"  # int8, as the network takes them
PIXELS = "pixels"  # uint8; an int8 network takes the pixel less 128
REALS = "reals"  # float32, little-endian


@dataclass(frozen=True)
class Benchmark:
    """One network of the benchmark: its name there, how its inputs come, whether its result is a reconstruction's error."""

    model: str
    sent_as: str
    is_reconstruction: bool = False


# By shape of input and output. https://github.com/mlcommons/tiny: benchmark/api, benchmark/runner and the reference submissions.
_BENCHMARKS: dict[tuple[Hwc, Hwc], Benchmark] = {
    ((49, 10, 1), (1, 1, 12)): Benchmark("kws01", CODES),
    ((96, 96, 3), (1, 1, 2)): Benchmark("vww01", PIXELS),
    ((32, 32, 3), (1, 1, 10)): Benchmark("ic01", PIXELS),
    ((1, 1, 640), (1, 1, 640)): Benchmark("ad01", REALS, is_reconstruction=True),
}


def benchmark(listing: Listing) -> Benchmark:
    """Return which network of the benchmark this is; any other has its own name and takes its inputs as they are.

    Raises
    ------
    ModelError
        The network has several inputs or outputs, which the protocol does not know.
    """
    program = listing.program
    if len(program.inputs) != 1 or len(program.outputs) != 1:
        raise ModelError(f"{program.source}: MLPerf Tiny's protocol is for networks with one input and one output")
    fed, made = (program.buffers[names[0]].shape for names in (program.inputs, program.outputs))
    is_int8 = takes_codes(program)
    as_it_is = CODES if is_int8 else REALS
    known = _BENCHMARKS.get((fed, made), Benchmark(listing.name, as_it_is))
    return known if is_int8 or known.sent_as != CODES else Benchmark(known.model, REALS)


def source(listing: Listing, *, energy: bool) -> str:
    """Return the text of `mlperf.c`; in energy mode it has a timing pin."""
    program, name = listing.program, listing.name
    facts = benchmark(listing)
    (fed,), (made,) = input_names(listing), output_names(listing)
    is_int8 = takes_codes(program)
    apart = facts.sent_as == (REALS if is_int8 else PIXELS)  # what the host sends is not what the network takes
    return fill(
        "mlperf.c.in",
        name=name,
        model=facts.model,
        memory=memory(listing, fed) + memory_outside(listing, [made]),
        sent=_sent(listing, facts.sent_as, fed) if apart else "",
        trace=fill("trace_nothing.c.in"),
        pin_include=f'#include "{BOARD}/timing_pin.h"\n' if energy else "",
        pin="        .pin_low = timing_pin_low,\n        .pin_high = timing_pin_high,\n" if energy else "",
        db="(uint8_t *)sent" if apart and is_int8 else "sent" if apart else f"(uint8_t *){own(fed)}",
        db_bytes="sizeof sent" if apart else f"sizeof {own(fed)}",
        db_mask="0x80" if facts.sent_as == PIXELS and is_int8 else "0",
        load="load" if apart else "NULL",
        arguments=f"{own(fed)}, {place(listing, made)}",
        result=_result(listing, facts, fed, made, apart=apart),
        result_count="1" if facts.is_reconstruction else f"{name.upper()}_{made.upper()}_SIZE",
    )


def _sent(listing: Listing, sent_as: str, fed: str) -> str:
    """Return memory for what the host sends, and the function that makes the network's input of it."""
    size = f"{listing.name.upper()}_{fed.upper()}_SIZE"
    item, statement = ("uint8_t", "target[i] = (float)sent[i];")
    target = "float *"
    if sent_as == REALS:
        item, target = "float", "int8_t *"
        stem = f"{listing.name}_{fed}".upper()
        statement = f"target[i] = code_of(sent[i] / {stem}_SCALE, {stem}_ZERO_POINT);"
    function = _CODE_OF if sent_as == REALS else ""
    return (
        f"\nstatic {item} sent[{size}];\n{function}\nstatic void load(void) {{\n    {target}target = {own(fed)};\n    int i;\n\n"
        f"    for (i = 0; i < {size}; i++) {{\n        {statement}\n    }}\n}}\n"
    )


_CODE_OF = """
/* The nearest code, the even one of two; the same as in Python. */
static int8_t code_of(float steps, int zero_point) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    float code;

    if (!(steps > -1000.0f)) {
        return -128;
    }
    if (steps > 1000.0f) {
        return 127;
    }
    code = steps + magic;
    code = code - magic + (float)zero_point;
    return (int8_t)(code < -128.0f ? -128.0f : code > 127.0f ? 127.0f : code);
}
"""


def _real(buffer: Buffer, expression: str) -> str:
    """Return the expression for the real number of a value."""
    if buffer.dtype == "float32":
        return expression
    return f"{float_literal(buffer.scale)} * (float)({expression} - ({buffer.zero_point}))"


def _result(listing: Listing, facts: Benchmark, fed: str, made: str, *, apart: bool) -> str:
    """Return the body of the function that tells result number `index`."""
    output = listing.program.buffers[listing.program.outputs[0]]
    values = place(listing, made)
    if not facts.is_reconstruction:
        return f"    return {_real(output, f'{values}[index]')};"
    size = f"{listing.name.upper()}_{made.upper()}_SIZE"
    sent = "sent[i]" if apart else f"{own(fed)}[i]"
    return (
        "    /* The mean squared difference between the input and its reconstruction. */\n"
        "    float sum = 0.0f;\n    int i;\n\n    (void)index;\n"
        f"    for (i = 0; i < {size}; i++) {{\n"
        f"        const float difference = {sent} - {_real(output, f'{values}[i]')};\n"
        "        sum += difference * difference;\n    }\n"
        f"    return sum / (float){size};"
    )
