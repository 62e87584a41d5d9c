"""`<name>_answer.h` and `.c`: from a frame or samples to the answer in one call: preparation, network, decoding. Text only."""

from __future__ import annotations

from codegen import object_masks
from codegen.constants import comment
from codegen.decoding import GIVEN, cells_of, decoding, frame_size, mask_map_of, most
from codegen.listing import TRACE_HEADER, accessors, item_of
from codegen.project import KERNELS, Listing
from codegen.values import count, size_of
from edgebn.errors import ModelError
from edgebn.preparation.data import Anomaly, Boxes, Classes, KeyPoints, Mask, Picture, Sound, WakeWord
from edgebn.program import Program

HEADER, FOUND = "edgebn_answers.h", "edgebn_found.h"
PREPARED = -1  # the step by which what preparation made is traced
MAX_CLASSES = 256  # of a mask, whose cells are bytes


def check(program: Program, name: str) -> None:
    """Refuse what has no way to an answer in C.

    Raises
    ------
    ModelError
    """
    kept = program.preparation
    before, after = (kept.before, kept.after) if kept else (None, None)
    if not (isinstance(before, Sound) or (isinstance(before, Picture) and before.frame is not None)):
        raise ModelError(
            f"{program.source} does not say what its frames or samples are; edgebn.prepare(model, image=Picture(..., "
            "frame=Frame(...))) or sound= does, and pipeline=True wants it"
        )
    is_known = isinstance(after, Classes) or (isinstance(after, WakeWord) and isinstance(before, Sound))
    is_known = is_known or isinstance(after, Anomaly)
    is_known = is_known or (isinstance(after, Boxes | KeyPoints | Mask) and isinstance(before, Picture))
    if not is_known:
        what = "nothing" if after is None else f"{type(after).__name__} {getattr(after, 'head', '')}".strip()
        raise ModelError(
            f"{program.source}: answers in C are classes, anomalies, boxes, key points and masks of pictures, and wake "
            f"words of sounds, and the model keeps {what}; leave pipeline=True out and decode the outputs of {name}_run"
        )
    lies = mask_map_of(program) if isinstance(after, Mask) else None
    if lies is not None and not lies.is_sure:
        raise ModelError(
            f"{program.source}: masks in C are made of scores, or of class numbers that an argmax ends with, and others made "
            f"'{program.outputs[0]}'; leave pipeline=True out and decode the output of {name}_run"
        )
    known = {"int32"} if lies is not None and lies.has_numbers else {"int8", "float32"}
    wide = next((output for output in program.outputs if program.buffers[output].dtype not in known), None)
    if wide is not None:
        raise ModelError(
            f"{program.source}: answers in C are made of int8 and float32, and the output '{wide}' is "
            f"{program.buffers[wide].dtype}; leave pipeline=True out and decode the outputs of {name}_run"
        )
    if lies is not None and lies.classes > MAX_CLASSES:
        raise ModelError(f"{program.source}: masks in C have at most {MAX_CLASSES} classes; decode the output of {name}_run")


def files(listing: Listing) -> dict[str, str]:
    """Return the texts by name."""
    if not listing.pipeline:
        return {}
    return {f"{listing.name}_answer.h": _header(listing), f"{listing.name}_answer.c": _source(listing)}


def headers(listing: Listing) -> list[str]:
    """Return what they include of the kernel library."""
    return [HEADER, FOUND, TRACE_HEADER] if listing.pipeline else []


def _header(listing: Listing) -> str:
    upper = listing.name.upper()
    return f"""\
/* From frames or samples to the answer of {comment(listing.title)}. Made by edgebn. */
#ifndef {upper}_ANSWER_H
#define {upper}_ANSWER_H

#include "{KERNELS}/{FOUND}"

#ifdef __cplusplus
extern "C" {{
#endif

#define {upper}_ANSWERS {most(listing.program)} /* at most */
{_macros(listing)}
{_declaration(listing)}{object_masks.declaration(listing)}
#ifdef __cplusplus
}}
#endif

#endif
"""


def _macros(listing: Listing) -> str:
    upper = listing.name.upper()
    assert listing.program.preparation is not None
    after = listing.program.preparation.after
    if isinstance(after, Mask):
        (top, bottom), (left, right) = cells_of(listing.program)
        return f"#define {upper}_MASK_HEIGHT {bottom - top}\n#define {upper}_MASK_WIDTH {right - left}\n"
    if isinstance(after, Boxes) and after.points:
        return f"#define {upper}_POINTS {after.points} /* of each */\n"
    if isinstance(after, Boxes) and after.masks:
        height, width = frame_size(listing.program)
        return f"#define {upper}_MASK_HEIGHT {height} /* of the frame */\n#define {upper}_MASK_WIDTH {width}\n"
    return ""


def _more(listing: Listing) -> tuple[str, str]:
    """Return a further parameter of an answer to a picture, and what the header says of it; '' where there is none."""
    upper = listing.name.upper()
    assert listing.program.preparation is not None
    after = listing.program.preparation.after
    if isinstance(after, Mask):
        about = f"`mask` is the class of each cell of the frame, {upper}_MASK_HEIGHT * {upper}_MASK_WIDTH; a score is its share"
        return ", uint8_t *mask", about
    if isinstance(after, Boxes) and after.points:
        return ", edgebn_point *points", f"\n   `points` has room for {upper}_POINTS of each."
    return "", ""


def _declaration(listing: Listing) -> str:
    name = listing.name
    kept = listing.program.preparation
    assert kept is not None
    if isinstance(kept.before, Picture):
        order = "in the network's order" if isinstance(kept.after, KeyPoints | Mask) else "the surest first"
        order = "1 in its index of an anomaly" if isinstance(kept.after, Anomaly) else order
        parameter, about = _more(listing)
        return f"""\
/* Prepares a frame, runs the network and writes what it found, {order}; returns how many.{
            f'''
   {about}.'''
            if about
            else ""
        } */
int32_t {name}_answer(const uint8_t *frame, edgebn_found *found{parameter});
"""
    heard = "; of a wake word one, whose index says whether it was heard" if isinstance(kept.after, WakeWord) else ""
    heard = "; of an anomaly one, whose index says whether it is one" if isinstance(kept.after, Anomaly) else heard
    return f"""\
/* Forgets what was heard. Call once, before anything else. */
void {name}_answer_reset(void);

/* Takes samples until there is an answer, at most `count`; returns how many it took. `*number` says how many answers were
   written to `found`, 0 if it is not time for one yet{heard}. */
int32_t {name}_answer(const int16_t *samples, int32_t count, edgebn_found *found, int32_t *number);

#if defined(EDGEBN_TRACE)
/* Keeps what was heard, or (`again`) goes back to what was kept: a host that asks for a piece again hears the same. */
void {name}_answer_hold(int32_t again);
#endif
"""


def _source(listing: Listing) -> str:
    name, program = listing.name, listing.program
    kept = program.preparation
    assert kept is not None
    in_arena = {parameter for parameter, _, _ in accessors(listing)}
    ends = [*listing.values.inputs, *listing.values.outputs]
    memory = [
        f"static {item_of(listing, buffer)} {parameter}_memory[{count(program.buffers[buffer])}] EDGEBN_ALIGN;"
        for buffer, parameter in ends
        if parameter not in in_arena
    ]
    pointers = [
        f"    {item_of(listing, buffer)} *const {parameter} = "
        f"{f'{name}_{parameter}()' if parameter in in_arena else f'{parameter}_memory'};"
        for buffer, parameter in ends
    ]
    run = f"{name}_run({', '.join(parameter for _, parameter in ends)});"
    buffer, network_input = listing.values.inputs[0]
    traced = f"EDGEBN_MADE({PREPARED}, {network_input}, {size_of(program.buffers[buffer])});"
    if isinstance(kept.after, Anomaly):  # the network may write over its input
        memory.append(f"static {item_of(listing, buffer)} {GIVEN}[{count(program.buffers[buffer])}];")
        traced = f"(void)memcpy({GIVEN}, {network_input}, sizeof {GIVEN});\n{{indent}}{traced}"
    tables, constants, decode = decoding(listing)
    lines = [*pointers, *tables]
    before = "picture" if isinstance(kept.before, Picture) else "sound"
    if isinstance(kept.before, Picture):
        body = f"""\
int32_t {name}_answer(const uint8_t *frame, edgebn_found *found{_more(listing)[0]}) {{
{chr(10).join(lines)}

    {name}_picture(frame, {network_input});
    {traced.format(indent="    ")}
    {run}
    return {decode};
}}
"""
    else:
        wake = "    edgebn_wake_reset(&word);\n" if isinstance(kept.after, WakeWord) else ""
        body = f"""\
void {name}_answer_reset(void) {{
    {name}_sound_reset();
{f"    {name}_reset_state();{chr(10)}" if program.states else ""}{wake}}}

int32_t {name}_answer(const int16_t *samples, int32_t count, edgebn_found *found, int32_t *number) {{
{chr(10).join(lines)}
    int32_t ready;
    const int32_t taken = {name}_sound_feed(samples, count, {network_input}, &ready);

    *number = 0;
    if (ready) {{
        {traced.format(indent="        ")}
        {run}
        *number = {decode};
    }}
    return taken;
}}

{_hold(listing)}"""
    return f"""\
/* From frames or samples to the answer of {comment(listing.title)}. Made by edgebn. */
#include "{name}_answer.h"

#include "{KERNELS}/{HEADER}"
#include "{KERNELS}/{TRACE_HEADER}"
#include "{name}.h"
#include "{name}_params.h"
#include "{name}_{before}.h"

{chr(10).join(memory + constants)}

{body}{object_masks.function(listing, pointers)}"""


def _hold(listing: Listing) -> str:
    """Return the function that keeps what was heard, for a host that looks at every layer."""
    name = listing.name
    assert listing.program.preparation is not None
    after = listing.program.preparation.after
    word, kept = "", ""
    if isinstance(after, WakeWord):
        word = f"    static uint8_t codes_before[{after.window}];\n    static edgebn_wake_word word_before;\n\n"
        kept = """
    (void)memcpy(again ? codes : codes_before, again ? codes_before : codes, sizeof codes);
    *(again ? &word : &word_before) = again ? word_before : word;"""
    return f"""\
#if defined(EDGEBN_TRACE)
void {name}_answer_hold(int32_t again) {{
{word}    {name}_sound_hold(again);{kept}
}}
#endif
"""
