"""`emit`: a program in, a folder of C out. Decides names, order, memory and files; each file's text has a module of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np

import boards
from boards import Board
from codegen import (
    adaptation,
    adapting,
    answer,
    build_files,
    fit,
    header,
    kernels,
    listing,
    mains,
    packages,
    parameters,
    preparation,
    readme,
    reals,
    self_test,
    states,
    weights_in_ram,
)
from codegen.adaptation import DEFAULT_POLICY
from codegen.arena import plan_arena, pressure
from codegen.files import Written, write_files
from codegen.layouts import OWN_LAYOUT
from codegen.mains import Main
from codegen.naming import NameTakenError, check_name, check_prefix, check_project, model_names, stems
from codegen.packages.board_header import below
from codegen.packages.library import BAUD, SOURCE
from codegen.params_only import files as params_only_files
from codegen.pools import Pool, check, sized
from codegen.project import BOARD, KERNELS, SERVICE, EmittedProject, Listing
from codegen.schedule import actions_of
from codegen.stamp import stamped
from codegen.stepcode import CArray
from codegen.values import ELEMENT, place_values
from edgebn.arguments import checked_program
from edgebn.errors import ModelError, UsageError
from edgebn.formats.native import program_hash
from edgebn.program import Program

MIN_DIVIDER, MAX_DIVIDER = 16, 65535  # of a UART's clock, on every board here


def emit(
    model: Program,
    out: str | PathLike[str],
    board: str | None = None,
    *,
    params_only: bool = False,
    layout: str = OWN_LAYOUT,
    name: str | None = None,
    prefix: str = kernels.PREFIX,
    section: str | None = None,
    main: str = "self-test",
    samples: np.ndarray | None = None,
    adapt: bool = False,
    policy: str = DEFAULT_POLICY,
    baud: int | None = None,
    system: str | None = None,
    instances: bool = False,
    pipeline: bool = False,
    pools: Sequence[Pool] = (),
    weights_in_ram: Sequence[str] | str = (),
) -> EmittedProject:
    """Write a network as a C99 project: the network, its parameters, the kernels it uses, a main program, build files and a README.

    Parameters
    ----------
    model : Program
        As `edgebn.load` or `edgebn.quantize` returns it, int8 or float32.
    out : path
        Folder; made if need be. Files of other origin in it are left alone.
    board : str, optional
        What the main program and the build files are for (see `boards.names`); left out, this computer. The network itself
        is the same for every board.
    params_only : bool
        Write nothing but `<name>_params.h` and `<name>_params.c`: the folded parameters of every layer, for kernels of your own.
    layout : {'edgebn', 'cmsis-nn', 'tflm'}
        Of these parameters: edgebn's own arithmetic, or int32 bias, Q31 multiplier and shift as CMSIS-NN and TensorFlow Lite
        Micro take them. For `params_only`.
    name : str, optional
        The model's name in C: files, functions and macros begin with it. Left out, made from the model file's name.
    prefix : str
        What the kernels' files, functions and macros begin with.
    section : str, optional
        Linker section for the constant arrays, for example '.external_flash'; left out, the compiler's own choice.
    main : {'self-test', 'link', 'mlperf', 'mlperf-energy'}
        The program that the project builds: one that runs recorded inputs and compares, one that serves a host over the board's
        serial line (`edgebn device`), or one that answers MLPerf Tiny's host runner, in its performance or its energy mode.
    samples : ndarray, shape (N, ...), optional
        Inputs of the self-test, for a model with one input: int8 codes or float32, each of the input's size. Left out, a few drawn
        with a fixed seed.
    adapt : bool
        Whether the network adapts to what it sees: an int8 model from `edgebn.adaptable` (see docs/firmware.md).
    policy : {'compensated-tracking', 'compensated'}
        The rule that it adapts by; the second takes half the state.
    baud : int, optional
        Speed of the serial line; left out, the board's own, and 9600 in energy mode.
    system : {'arduino', 'platformio', 'zephyr', 'esp-idf', 'cmsis-pack', 'cmake', 'make'}, optional
        Write a library in the layout of this build system instead, with examples; `board` then only says what it must fit, but for
        boards that the system builds for itself (ESP32): these have their memories and clocks.
    instances : bool
        Whether the network runs in memory of the caller's, several instances at once, besides its own.
    pipeline : bool
        Whether there is a function from a camera's frame or a microphone's samples to the answer, `<name>_answer`: preparation,
        network and decoding of a model that keeps both (see `edgebn.prepare`). With `adapt`, `<name>_adapt` learns
        after it as after `<name>_run`.
    pools : sequence of codegen.Pool
        Memories of different speed to spread the arena over, the fastest first; none for one array. Those without a size have
        that of the board's memory of their name.
    weights_in_ram : sequence of str, or 'auto'
        Layers whose weights are copied to RAM by `<name>_init` and read there, for parts whose flash is slow; into the fastest pool
        that has room for them, where there are pools. 'auto' takes those of which most is read, as far as the first has room left.

    Returns
    -------
    EmittedProject

    Raises
    ------
    UsageError
        A name that C or the project cannot take.
    ModelError
        A layout that a channel does not fit, a main program that there is not or that is not for this
        model, samples that do not fit, a layer that there is not or that has no weights, a model that cannot adapt, or a file in
        `out` that is not edgebn's, or was edited, and would be overwritten.
    BoardError
        No such board, or the network does not fit it: by how much, and which layer decides it; or the pools do not hold the arena,
        or the weights that are to be copied.
    OSError
        The folder cannot be written; it is then as it was.
    """
    checked_program(model, "codegen.emit")
    if section is not None and not re.fullmatch(r"[\w.$,-]+", section, re.ASCII):
        raise UsageError(f"section {section!r} is no name of a linker section; letters, digits and _ . $ , - make one")
    if baud is not None and baud < 1:
        raise UsageError(f"baud={baud}: a serial line has a speed of 1 or more")
    if system is not None and (system not in packages.SYSTEMS or params_only or main != "self-test"):
        if system in packages.SYSTEMS:
            raise UsageError(f"system={system!r} makes a library with programs of its own; leave main and params_only out")
        raise UsageError(f"there is no layout for the system {system!r}; choose one of {', '.join(packages.SYSTEMS)}")
    if instances and (adapt or params_only):
        raise UsageError("instances=True is for networks that run and do not adapt: what one learned is one for all")
    if pipeline and params_only:
        raise UsageError("pipeline=True is for networks that run; leave params_only out")
    if (pools or weights_in_ram) and params_only:
        raise UsageError("pools and weights_in_ram are for networks that run; leave params_only out")
    target = boards.load(board or build_files.HOST)
    brought = target.system.name if target.system else None  # by whom the board is built
    if brought is not None and system is None and not params_only:
        raise UsageError(f"{target.name} is built by its own system: ask for system={brought!r} (--as {brought})")
    pools = sized(pools, target.pool_sizes, target.name)
    if not params_only and layout != OWN_LAYOUT:
        raise UsageError(f"layout {layout!r} is for kernels of another library; ask for params_only=True as well")

    def made(name: str) -> EmittedProject:
        if params_only:
            return _emit_parameters(model, Path(out), layout, name, prefix, section)
        network = list_network(model, name, prefix, policy if adapt else None, pools, weights_in_ram)
        sections = target.pool_sections if system == brought else {}
        network = replace(network, instances=instances, pipeline=pipeline, sections=sections)
        if pipeline:
            answer.check(model, network.name)
        fit.check(network, target)
        if system is not None:
            return _write_library(Path(out), network, system, prefix, section, samples, baud, target if brought == system else None)
        program = mains.main_of(network, main, samples)
        speed = baud or program.baud or target.uart.baud
        _check_speed(target, speed)
        tuned = replace(target, uart=replace(target.uart, baud=speed))
        return replace(_write(Path(out), network, tuned, program, prefix, section), board=board)

    if name is not None:
        return made(name)
    refusal: NameTakenError | None = None
    for candidate in model_names(model, check_prefix(prefix)):
        try:
            return made(candidate)
        except NameTakenError as error:  # a file or a word of the project has it: what those are shows when they are made
            refusal = error
    assert refusal is not None
    raise refusal


def _check_speed(board: Board, speed: int) -> None:
    """Refuse a speed that the board's serial line cannot have; in emulators and on this computer it has none.

    Raises
    ------
    UsageError
        It cannot.
    """
    if board.kind != "real" or speed == board.uart.baud:
        return
    if not any("BOARD_BAUD" in path.read_text(encoding="utf-8") for path in board.sources):
        raise UsageError(f"the serial line of {board.name} has {board.uart.baud} baud and no other speed: its boot ROM sets it")
    if not MIN_DIVIDER <= board.uart.clock_hz // speed <= MAX_DIVIDER:
        raise UsageError(f"the serial line of {board.name} cannot have {speed} baud: its clock has {board.uart.clock_hz} Hz")


def _network_files(network: Listing, section: str | None) -> dict[str, str]:
    """Return the files that are called after the model."""
    name = network.name
    return {
        f"{name}.h": header.source(network),
        f"{name}.c": listing.source(network),
        f"{name}_params.h": parameters.header(network, section),
        f"{name}_params.c": parameters.source(network),
        **reals.files(network),
        **preparation.files(network),
        **answer.files(network),
    }


def _kernel_files(network: Listing) -> dict[str, str]:
    """Return the kernels that the network uses."""
    adapted = adapting.FILES if network.adaptation else ()
    used = [
        *listing.headers(network),
        *preparation.headers(network),
        *answer.headers(network),
        *([reals.HEADER] if reals.files(network) else []),
    ]
    return {f"{KERNELS}/{file}": kernels.text(file) for file in [*kernels.needed(used), *adapted]}


def _write_library(
    out: Path,
    network: Listing,
    system: str,
    prefix: str,
    section: str | None,
    samples: np.ndarray | None,
    baud: int | None,
    target: Board | None,
) -> EmittedProject:
    """Write a library in the layout of a build system; `target` is a board that this system builds for."""
    own, shared = _network_files(network, section), _kernel_files(network)
    tree = below(SOURCE, {**own, **shared})
    sources = tuple(file for file in tree if file.endswith(".c"))
    vectors = self_test.record(network, samples)
    around = packages.SYSTEMS[system](packages.Library(network, sources, vectors, baud or BAUD, _settings(network, target)))
    fixed = dict.fromkeys(("board/board.h", "board/recorded.h", "core/arduino.h"), "")
    fixed |= {f"{SERVICE}/{file}": kernels.text(file) for file in mains.LINK_FILES}

    def named(files: dict[str, str]) -> dict[str, str]:
        return {kernels.renamed(file, prefix): kernels.renamed(text, prefix) for file, text in files.items()}

    check_project(network.name, prefix, named(own), named({**shared, **fixed}))
    files = named({**tree, **around})
    theirs = [file for file in files if PurePosixPath(file).name.startswith("board_")]
    written = write_files(out, stamped(files), theirs, system)
    return _outcome(out, network, written)


def _settings(network: Listing, target: Board | None) -> tuple[str, ...]:
    """Return what the configuration of a board's build system must say for a network."""
    if target is None or target.system is None:
        return ()
    of_weights = network.in_ram.pool if network.in_ram else None
    used = [filled.name for filled in network.arena.pools if filled.taken or filled.name == of_weights]
    return (*target.system.settings, *(line for pool in used for line in target.system.pool_settings.get(pool, ())))


def _write(out: Path, network: Listing, target: Board, program: Main, prefix: str, section: str | None) -> EmittedProject:
    """Write a project of a network, its board and its main program."""
    name = network.name
    own = {**_network_files(network, section), **program.own_files}
    others = {
        **_kernel_files(network),
        **program.files,
        **{f"{BOARD}/{file}": text for file, text in target.project_files().items()},
    }
    sources = [file for file in (*own, *others) if file.endswith(".c")]
    others |= build_files.files(name, sources, target, program)
    others["README.md"] = readme.source(network, target, program.readme)
    own, others = (
        {kernels.renamed(file, prefix): kernels.renamed(text, prefix) for file, text in files.items()} for files in (own, others)
    )
    check_project(name, prefix, own, others)
    filled_in = [kernels.renamed(f"{BOARD}/{file}", prefix) for file in target.filled_in] + list(program.filled_in)
    written = write_files(out, stamped({**own, **others}), filled_in, target.name)
    return replace(_outcome(out, network, written), board=target.name)


def _outcome(out: Path, network: Listing, written: Written) -> EmittedProject:
    return EmittedProject(
        folder=out,
        name=network.name,
        files=written.names,
        kept=written.kept,
        flash_bytes=network.flash_bytes,
        arena_bytes=network.arena.size,
        arena_lower_bound=network.arena.lower_bound,
        adaptation_bytes=network.adaptation_bytes,
        state_bytes=network.values.state_bytes,
        board=None,
        pools=network.arena.pools,
        weights_in_ram=network.in_ram,
    )


def _emit_parameters(model: Program, out: Path, layout: str, name: str, prefix: str, section: str | None) -> EmittedProject:
    check_name(name, check_prefix(prefix))
    files, nbytes = params_only_files(model, name, layout, section)
    files = {file: kernels.renamed(text, prefix) for file, text in files.items()}
    check_project(name, prefix, files, {})
    written = write_files(out, stamped(files))
    return EmittedProject(
        out, name, written.names, flash_bytes=nbytes, arena_bytes=0, arena_lower_bound=0, board=None, kept=written.kept
    )


def list_network(
    model: Program,
    name: str | None = None,
    prefix: str = kernels.PREFIX,
    policy: str | None = None,
    pools: Sequence[Pool] = (),
    in_ram: Sequence[str] | str = (),
) -> Listing:
    """Decide everything about a network in C but its text: see `emit`; `policy` is None where it shall not adapt."""
    pools = check(pools)
    if not model.steps:
        raise ModelError(f"{model.source}: the network has no layers, so there is nothing to run on a device")
    check_prefix(prefix)
    name = check_name(name, prefix) if name is not None else next(model_names(model, prefix))
    digest = program_hash(model)
    plan = None
    values = place_values(model, name, prefix)
    arrays = stems([step.name for step in model.steps], name, [called for _, called in (*values.inputs, *values.outputs)])
    if policy is None:
        model = replace(model, adaptation=None)
    else:
        plan = adaptation.plan(model, policy, name, arrays)
    actions = actions_of(model, values, arrays, lambda candidate: pressure(model, values, candidate))
    constants = tuple(
        CArray(
            values.constants[buffer],
            ELEMENT[model.buffers[buffer].dtype][0],
            array,
            f"{model.buffers[buffer].shape}: constant '{buffer}'",
        )
        for buffer, array in model.constants.items()
    )
    arena = plan_arena(model, values, actions, pools)
    return Listing(
        program=model,
        name=name,
        model_hash=digest,
        values=values,
        actions=tuple(actions),
        arena=arena,
        constants=constants,
        adaptation=plan,
        initial=states.initial_arrays(model, name, values),
        in_ram=weights_in_ram.choose(model, actions, in_ram, arena.pools),
    )
