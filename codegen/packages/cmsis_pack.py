"""A pack of CMSIS (.pdsc), and the same as a layer of a csolution project (.clayer.yml) that needs no pack to be installed."""

from __future__ import annotations

from xml.sax.saxutils import escape

from codegen.packages import board_header, examples
from codegen.packages.board_header import below
from codegen.packages.library import Library, lines
from codegen.stamp import LICENSE
from codegen.templating import fill
from edgebn import __version__

TRACED = " For that, the project needs\n  `define: [EDGEBN_TRACE]`; without, `edgebn device run` and `bench` work."


def files(library: Library) -> dict[str, str]:
    """Return what the layout has besides src/, path to text."""
    name = library.name
    pdsc = fill(
        "packages/pack.pdsc.in",
        license=LICENSE,
        version=__version__,
        name=name,
        title=escape(library.summary),
        hash=library.listing.model_hash,
        files="\n".join(f'        <file category="source" name="{source}"/>' for source in library.sources),
    )
    listed = lines([f"- file: {source}" for source in library.sources], 8)
    layer = (
        f'layer:\n  type: Network\n  description: "{library.summary}"\n\n'
        f"  add-path:\n    - src\n\n  groups:\n    - group: {name}\n      files:\n        {listed}\n"
    )
    use = (
        f"Take `{name}.clayer.yml` into your csolution project (`layers: - layer: {name}.clayer.yml`), or make a pack of "
        f"`edgebn.{name}.pdsc` (`packchk`, then zip the folder as `edgebn.{name}.1.0.0.pack`)."
    )
    board = board_header.files("the C library", "board_stdio.c", '"cmsis"', "((uint32_t)CLOCKS_PER_SEC)", "#include <time.h>\n\n")
    return {
        f"edgebn.{name}.pdsc": pdsc,
        f"{name}.clayer.yml": layer,
        "README.md": library.readme("a CMSIS pack", use, TRACED),
        **below("examples/answer", {**examples.answer(library), **board}),
        **below("examples/link", {**examples.link(library), **board}),
    }
