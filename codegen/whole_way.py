"""What the program that serves a host runs where it serves the whole way: a frame or samples in, the answer out. C text."""

from __future__ import annotations

from dataclasses import dataclass

from codegen.project import Listing
from edgebn.preparation.data import Boxes, Mask, Picture


@dataclass(frozen=True)
class Served:
    """The parts of `link.c` that say what is run.

    Attributes
    ----------
    memory : str
        Declarations.
    run : str
        Statements.
    inputs, outputs : tuple of (place, bytes)
        What the host writes and reads, as C expressions.
    includes : str
        Lines.
    forget : str
        Statements that begin a new sequence, after the network's own.
    first : str
        The function that puts everything into its first state, where it is more than the network's own.
    when : str
        Condition under which a run is learned from: '' for always.
    """

    memory: str
    run: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    includes: str = ""
    forget: str = ""
    first: str = ""
    when: str = ""


def served(listing: Listing) -> Served:
    """Return what a host is served of a network with what stands before and behind it."""
    name, upper = listing.name, listing.name.upper()
    assert listing.program.preparation is not None
    before, after = listing.program.preparation.before, listing.program.preparation.after
    more = []
    if isinstance(after, Mask):
        more = [("mask", f"static uint8_t mask[{upper}_MASK_HEIGHT * {upper}_MASK_WIDTH];")]
    elif isinstance(after, Boxes) and after.points:
        more = [("points", f"static edgebn_point points[{upper}_ANSWERS * {upper}_POINTS];")]
    kept = [f"static edgebn_found found[{upper}_ANSWERS];", "static int32_t number; /* of answers */", *(line for _, line in more)]
    outputs = (("&number", "sizeof number"), ("found", "sizeof found"), *((part, f"sizeof {part}") for part, _ in more))
    clear = "\n".join(f"    (void)memset({part}, 0, sizeof {part});" for part in ("found", *(part for part, _ in more)))
    if isinstance(before, Picture):
        frame = f"static union {{\n    int64_t alignment;\n    uint8_t bytes[{upper}_FRAME_BYTES];\n}} frame;"
        arguments = ", ".join(["frame.bytes", "found", *(part for part, _ in more)])
        return Served(
            memory="\n".join(["", frame, *kept, ""]),
            run=f"{clear}\n    number = {name}_answer({arguments});",
            inputs=(("frame.bytes", f"{upper}_FRAME_BYTES"),),
            outputs=outputs,
            includes=f'#include "{name}_answer.h"\n#include "{name}_picture.h"\n',
        )
    forget = f"    {name}_answer_reset();\n#if defined(EDGEBN_TRACE)\n    has_heard = 0;\n#endif\n"
    samples = f"{upper}_SOUND_STEP * {upper}_SOUND_STRIDE"
    return Served(
        memory="\n".join(["", f"static int16_t samples[{samples}]; /* one inference at most */", *kept, _HEARD, ""]),
        run=_LISTEN.format(name=name, samples=samples, clear=clear),
        inputs=(("samples", "sizeof samples"),),
        outputs=outputs,
        includes=f'#include "{name}_answer.h"\n#include "{name}_sound.h"\n',
        forget=forget,
        first=f"\nstatic void init(void) {{\n    {name}_init();\n{forget}}}\n",
        when="if (number > 0) ",
    )


_HEARD = """\
#if defined(EDGEBN_TRACE)
static uint32_t heard; /* number of the last run */
static uint8_t has_heard;
#endif"""
_LISTEN = """\
    int32_t taken = 0, answers;

#if defined(EDGEBN_TRACE)
    {name}_answer_hold(has_heard && heard == served.run);
    heard = served.run;
    has_heard = 1;
#endif
    number = 0;
{clear}
    while (taken < {samples}) {{
        taken += {name}_answer(samples + taken, {samples} - taken, found, &answers);
        number += answers;
    }}"""
