"""The two examples of a library, for any system: one prints answers, one serves `edgebn device`. C text over board.h."""

from __future__ import annotations

from codegen.constants import literals, rows
from codegen.kernels import text
from codegen.listing import item_of
from codegen.mains import LINK_FILES, link_source
from codegen.packages.library import Library
from codegen.places import buffer_of, input_names, memory_outside, output_names, place
from codegen.stepcode import CArray
from codegen.templating import fill
from edgebn.program import exact_buffers

SHOWN = 20  # elements of an output that are printed
BEGIN = "    board_uart_init();\n"


def answer(library: Library, entry: str = "int main(void)") -> dict[str, str]:
    """Return the files of the example that prints answers: a C program and its recorded input."""
    listing = library.listing
    items = sorted({item_of(listing, buffer_of(listing, name)) for name in output_names(listing)})
    source = fill(
        "packages/answer.c.in",
        entry=entry,
        say="\n".join(fill("packages/say_float.c.in" if item == "float" else "packages/say_int.c.in", item=item) for item in items),
        answers="\n".join(
            f'    say("{label}:");\n    say_{item_of(listing, buffer_of(listing, name))}({where}, {size}, {classes});'
            for name, label, where, size, classes in _answers(library)
        ),
        compare=_compare(library, "say"),
        **_common(library),
    )
    return {"answer.c": source, "recorded.h": recorded(library)}


def sketch(library: Library) -> dict[str, str]:
    """Return the same example as Arduino has it."""
    answers = "\n".join(
        f'    Serial.print("{label}:");\n    print({where}, {size}, {"true" if classes else "false"});'
        for _, label, where, size, classes in _answers(library)
    )
    source = fill(
        "packages/answer.ino.in",
        baud=library.baud,
        answers=answers,
        compare=_compare(library, "Serial.print"),
        **_common(library),
    )
    return {"answer.ino": source, "recorded.h": recorded(library)}


def link(library: Library, entry: str = "int main(void)") -> dict[str, str]:
    """Return the files of the example that serves a host: a C program and the protocol."""
    adapt = '#include "kernels/edgebn_adapt.h"\n' if library.listing.adaptation else ""
    includes = f'#include "{library.name}.h"\n\n{adapt}#include "kernels/edgebn_trace.h"\n\n'
    includes += '#include "board.h"\n#include "edgebn_link.h"\n'
    return {"link.c": link_source(library.listing, includes, entry, BEGIN), **{file: text(file) for file in LINK_FILES}}


def recorded(library: Library) -> str:
    """Return the header with a recorded input and what the reference makes of it."""
    listing, arrays = library.listing, []
    used = [*input_names(listing), *(output_names(listing) if _is_exact(library) else ())]
    for name in used:
        values = library.vectors.values[name]
        array = CArray(name, item_of(listing, buffer_of(listing, name)), values[0], "")
        arrays.append(f"static const {array.ctype} recorded_{name}[{values[0].size}] = {{\n{rows(literals(array))}\n}};\n")
    return (
        f"/* An input of {library.name} and what the reference makes of it; how much of an output is printed. */\n"
        f"#ifndef RECORDED_H\n#define RECORDED_H\n\n#include <stdint.h>\n\n#define SHOWN {SHOWN}\n\n"
        + "\n".join(arrays)
        + "\n#endif\n"
    )


def _common(library: Library) -> dict[str, object]:
    listing, upper = library.listing, library.name.upper()
    inputs, outputs = input_names(listing), output_names(listing)
    return {
        "name": library.name,
        "input_bytes": library.input_bytes,
        "memory": memory_outside(listing, [*inputs, *outputs]),
        "arguments": ", ".join(place(listing, name) for name in [*inputs, *outputs]),
        "recorded": "\n".join(
            f"    memcpy({place(listing, name)}, recorded_{name}, {upper}_{name.upper()}_BYTES);" for name in inputs
        ),
        "taken": "\n".join(f"        take({place(listing, name)}, {upper}_{name.upper()}_BYTES);" for name in inputs),
    }


def _answers(library: Library) -> list[tuple[str, str, str, str, int]]:
    """Return (name, label, place, size macro, whether its elements are classes) of every output."""
    listing, found = library.listing, []
    for name in output_names(listing):
        value = listing.program.buffers[buffer_of(listing, name)]
        label = library.name if name == "output" else f"{library.name} {name}"
        is_classes = int(value.shape[:2] == (1, 1) and value.shape[2] > 1)
        found.append((name, label, place(listing, name), f"{library.name.upper()}_{name.upper()}_SIZE", is_classes))
    return found


def _compare(library: Library, say: str) -> str:
    """Return what compares the outputs of the recorded input, where every engine makes the same bytes."""
    listing = library.listing
    if not _is_exact(library):
        return ""
    alike = " && ".join(
        f"memcmp({place(listing, name)}, recorded_{name}, {library.name.upper()}_{name.upper()}_BYTES) == 0"
        for name in output_names(listing)
    )
    label = library.name
    return f'    {say}({alike} ? "{label}: as the reference\\n" : "{label}: differs from the reference\\n");\n'


def _is_exact(library: Library) -> bool:
    """Whether every engine makes the same bytes of all outputs."""
    listing = library.listing
    return exact_buffers(listing.program).issuperset(buffer_of(listing, name) for name in output_names(listing))
