"""A library of Arduino's: library.properties, src/, and sketches over Serial."""

from __future__ import annotations

from codegen.packages import board_header, examples
from codegen.packages.board_header import below
from codegen.packages.library import VERSION, Library
from codegen.templating import fill

TRACED = (
    " For that, `#define EDGEBN_TRACE` must stand\n  at the top of `src/kernels/edgebn_trace.h`, as Arduino has no other place "
    "for it; without, `edgebn device run` and `bench` work."
)


def files(library: Library) -> dict[str, str]:
    """Return what the layout has besides src/, path to text."""
    name = library.name
    properties = (
        f"name={name}\nversion={VERSION}\nauthor=edgebn\nmaintainer=edgebn\nsentence={library.summary}\n"
        f"paragraph=Made by edgebn; the model's hash is {library.listing.model_hash}.\ncategory=Data Processing\n"
        f"architectures=*\nincludes={name}.h\n"
    )
    use = "Copy the folder into `libraries/` of your sketchbook (or zip it: Sketch, Include Library, Add .ZIP Library)."
    return {"library.properties": properties, "README.md": library.readme("an Arduino library", use, TRACED), **sketches(library)}


def sketches(library: Library) -> dict[str, str]:
    """Return the sketches."""
    board = board_header.files("Arduino", "board_arduino.cpp", '"arduino"', "1000000u", baud=library.baud)
    served = examples.link(library, f"void {library.name}_serve(void)")
    served["link.c"] = served["link.c"].replace(
        f"void {library.name}_serve(void) {{", f"void {library.name}_serve(void);\n\nvoid {library.name}_serve(void) {{"
    )
    served["link.ino"] = fill("packages/link.ino.in", name=library.name)
    return {**below("examples/answer", examples.sketch(library)), **below("examples/link", {**served, **board})}
