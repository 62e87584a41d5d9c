"""The program around a network that a project builds: a self-test, or one that serves a host over the board's serial line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from codegen import mlperf_main, self_test, states, whole_way
from codegen.kernels import text
from codegen.places import input_names, memory_outside, output_names, place
from codegen.project import BOARD, KERNELS, SERVICE, Listing
from codegen.templating import fill
from edgebn.errors import ModelError

TRACE = "-DEDGEBN_TRACE"
LINK_FILES = ("edgebn_crc.h", "edgebn_frame.c", "edgebn_frame.h", "edgebn_link.c", "edgebn_link.h")
PIN_FILE = "timing_pin.c"
ENERGY_BAUD = 9600  # of the benchmark's energy mode
MLPERF_FILES = ("edgebn_mlperf.c", "edgebn_mlperf.h")


@dataclass(frozen=True)
class Main:
    """A program around a network.

    Attributes
    ----------
    name : str
        What is built: build/NAME.elf.
    files : dict of str to str
        Name in the project to text.
    defines : tuple of str
        Compiler flags, without which it lacks something.
    readme : str
        Its part of the project's README.
    makefile_help : str
        Comment lines at the head of the Makefile: what else can be made.
    own_files : dict of str to str
        More files, which are called after the model.
    baud : int or None
        Of the serial line; None for the board's own.
    filled_in : tuple of str
        Files that the project's owner is told to change.
    """

    name: str
    files: dict[str, str]
    defines: tuple[str, ...]
    readme: str
    makefile_help: str = ""
    own_files: Mapping[str, str] = field(default_factory=dict)
    baud: int | None = None
    filled_in: tuple[str, ...] = ()


def main_of(listing: Listing, kind: str, samples: np.ndarray | None) -> Main:
    """Return the program of a kind: one of `KINDS`.

    Raises
    ------
    ModelError
        There is no such kind, or the network does not fit it.
    """
    if kind not in KINDS:
        raise ModelError(f"there is no main program {kind!r}; choose one of {', '.join(KINDS)}")
    if kind != "self-test" and samples is not None:
        raise ModelError(f"samples are for the self-test; the main program {kind!r} gets its inputs over the line")
    return KINDS[kind](listing, samples)


def _self_test(listing: Listing, samples: np.ndarray | None) -> Main:
    vectors = self_test.record(listing, samples)
    readme = fill("self_test.md.in", name=listing.name, vectors=vectors.count)
    traced = f"#   make DEFINES={TRACE}     the same, comparing the output of every layer\n"
    makefile_help = traced if vectors.checksums.size else ""
    return Main("self_test", self_test.files(listing, vectors), (), readme, makefile_help, self_test.own_files(listing, vectors))


def _link(listing: Listing, _samples: np.ndarray | None) -> Main:
    adapt = f'#include "{KERNELS}/edgebn_adapt.h"\n' if listing.adaptation else ""
    includes = (
        f'#include "{BOARD}/board.h"\n{adapt}#include "{SERVICE}/edgebn_link.h"\n#include "{KERNELS}/edgebn_trace.h"\n'
        f'#include "{listing.name}.h"\n'
    )
    files = {"link.c": link_source(listing, includes, traced=", which it is in\n   the Makefile and the CMake file")}
    files |= {f"{SERVICE}/{file}": text(file) for file in LINK_FILES}
    return Main("link", files, (TRACE,), fill("link.md.in", name=listing.name))


def link_source(listing: Listing, includes: str, entry: str = "int main(void)", begin: str = "", traced: str = "") -> str:
    """Return the text of a program that serves a host.

    Parameters
    ----------
    listing : Listing
    includes : str
        Lines that include board.h, edgebn_link.h, edgebn_trace.h, the network's header and, where it adapts, edgebn_adapt.h.
    entry : str
        The function that serves.
    begin : str
        What that does first.
    traced : str
        Where EDGEBN_TRACE is defined already, in words.
    """
    upper = listing.name.upper()
    kept = states.memory_name(listing)
    kept_bytes = f"{kept.upper()}_BYTES"
    way = whole_way.served(listing) if listing.pipeline else _network_alone(listing)
    return fill(
        "link.c.in",
        name=listing.name,
        upper=upper,
        includes=includes + way.includes,
        entry=entry,
        begin=begin,
        traced=traced,
        memory=way.memory,
        run=way.run,
        inputs=spans(way.inputs),
        outputs=spans(way.outputs),
        input_count=len(way.inputs),
        output_count=len(way.outputs),
        state=fill("link_state.c.in", name=listing.name, upper=upper, forget=way.forget, when=way.when)
        if listing.adaptation
        else "",
        init="init" if listing.adaptation or way.forget else f"{listing.name}_init",
        first=way.first if not listing.adaptation else "",
        init_link="edgebn_link_init_adapting(&served, &model, &state)"
        if listing.adaptation
        else "edgebn_link_init(&served, &model)",
        states_before=fill("link_states_before.c.in", bytes=kept_bytes) if listing.program.states else "",
        states=fill("link_states.c.in", memory=kept, bytes=kept_bytes) if listing.program.states else "",
    )


def spans(places: tuple[tuple[str, str], ...]) -> str:
    """Return the initialiser of several struct edgebn_link_span."""
    return ", ".join(f"{{{place}, {size}}}" for place, size in places)


def _network_alone(listing: Listing) -> whole_way.Served:
    """Return what a host is served of a network without what stands before and behind it."""
    inputs, outputs = input_names(listing), output_names(listing)
    stem = listing.name.upper()
    return whole_way.Served(
        memory=memory_outside(listing, [*inputs, *outputs]),
        run=f"    {listing.name}_run({', '.join(place(listing, parameter) for parameter in [*inputs, *outputs])});",
        inputs=tuple((place(listing, parameter), f"{stem}_{parameter.upper()}_BYTES") for parameter in inputs),
        outputs=tuple((place(listing, parameter), f"{stem}_{parameter.upper()}_BYTES") for parameter in outputs),
    )


def _mlperf(listing: Listing, _samples: np.ndarray | None) -> Main:
    return _benchmarked(listing, energy=False)


def _mlperf_energy(listing: Listing, _samples: np.ndarray | None) -> Main:
    return _benchmarked(listing, energy=True)


def _benchmarked(listing: Listing, *, energy: bool) -> Main:
    files = {"mlperf.c": mlperf_main.source(listing, energy=energy)}
    files |= {f"{SERVICE}/{file}": text(file) for file in MLPERF_FILES}
    if energy:
        files |= {f"{BOARD}/{file}": fill(f"{file}.in") for file in (PIN_FILE, "timing_pin.h")}
    readme = fill(
        "mlperf.md.in",
        name=listing.name,
        model=mlperf_main.benchmark(listing).model,
        baud=f"{ENERGY_BAUD} baud" if energy else "115200 baud",
        energy=f"\n\nIt is in energy mode: put the two functions for your board's timing pin into `{BOARD}/{PIN_FILE}`."
        if energy
        else "",
    )
    return Main(
        "mlperf",
        files,
        (),
        readme,
        baud=ENERGY_BAUD if energy else None,
        filled_in=(f"{BOARD}/{PIN_FILE}",) if energy else (),
    )


KINDS: dict[str, Callable[[Listing, np.ndarray | None], Main]] = {
    "self-test": _self_test,
    "link": _link,
    "mlperf": _mlperf,
    "mlperf-energy": _mlperf_energy,
}
