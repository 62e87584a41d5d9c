"""Options that would do nothing, as they were given together: refused before any work, with the reason. One table for all verbs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgebn import formats
from edgebn.errors import UsageError
from edgebn.program import Program

Arguments = argparse.Namespace

_OF_INPUTS = ("key", "scale", "offset", "dtype", "limit")
_OF_STREAMS = ("labels", "home", "home_key", "home_scale", "rows", "output", "domain", "order", "seed")
_OF_ADAPTING = ("stream", "policy", "ram", "flash", "instructions", *_OF_STREAMS, *_OF_INPUTS)


def parse(build_parser: Callable[[], argparse.ArgumentParser], argv: Sequence[str]) -> Arguments:
    """Return the arguments; `given` has the names of those that the user wrote, as options and defaults look alike without."""
    arguments = build_parser().parse_args(argv)
    silent = build_parser()
    for parser in _with_verbs(silent):
        for action in parser._actions:  # noqa: SLF001  # argparse has no public way to list them
            action.default = argparse.SUPPRESS
    arguments.given = frozenset(vars(silent.parse_args(argv)))
    arguments.known_as, arguments.argv = {}, tuple(argv)
    return arguments


def _with_verbs(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:  # noqa: SLF001  # the same
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # the same
            for verb in action.choices.values():
                yield from _with_verbs(verb)


@dataclass(frozen=True)
class Rule:
    """Some options of some verbs, and when they do nothing.

    Attributes
    ----------
    verbs : tuple of str
        'run', 'device state' ...; empty for all.
    names : tuple of str
        As `argparse` calls the values.
    useless : callable
        Whether they do nothing beside the other arguments.
    reason : str
        Why, and what to do; {name} stands for an argument's value.
    """

    verbs: tuple[str, ...]
    names: tuple[str, ...]
    useless: Callable[[Arguments], bool]
    reason: str


def _lacks(name: str) -> Callable[[Arguments], bool]:
    return lambda arguments: not getattr(arguments, name)


def _has(name: str) -> Callable[[Arguments], bool]:
    return lambda arguments: bool(getattr(arguments, name))


def _no_file_is(suffix: str, *names: str) -> Callable[[Arguments], bool]:
    """Whether files are named, none of them of the type."""

    def useless(arguments: Arguments) -> bool:
        files = [getattr(arguments, name) for name in names if getattr(arguments, name, None)]
        return bool(files) and not any(file.suffix.lower() == suffix for file in files)

    return useless


def _no_reader_takes(option: str) -> Callable[[Arguments], bool]:
    """Whether model files are named, and no reader of theirs knows the option."""

    def useless(arguments: Arguments) -> bool:
        models = [getattr(arguments, name) for name in ("model", "compare") if getattr(arguments, name, None)]
        return bool(models) and all(model.is_file() and not formats.takes(model, option) for model in models)

    return useless


_NO_ARCHIVE = "{%s} is no .npz file with arrays to choose from; leave it out"
_NO_RAW_NUMBERS = "only a .bin file does not say the type of its numbers; leave it out"
RULES = (
    Rule((), ("input_shape",), _no_reader_takes("input_shape"), "{model} is of a type that has all its shapes; leave it out"),
    Rule((), ("custom_layer",), _no_reader_takes("custom_layers"), "{model} is no Keras file; leave it out"),
    Rule((), ("state",), _no_reader_takes("states"), "{model} has the states that it was made with; leave it out"),
    Rule(
        ("device info", "device reset", "boards"),
        ("input_shape", "custom_layer", "state"),
        _lacks("model"),
        "give MODEL too, or leave it out",
    ),
    # Inputs.
    # --scale and --offset are kept in the file that is written.
    Rule(("quantize",), ("method", "key", "dtype", "limit"), _lacks("calibration"), "give --calibration too, or leave it out"),
    Rule(("report",), ("labels", "compare", *_OF_INPUTS), _lacks("data"), "give --data too, or leave it out"),
    Rule(("device verify",), _OF_INPUTS, _lacks("input"), "give INPUT too, or leave it out"),
    Rule(("run", "device run", "device verify"), ("key",), _no_file_is(".npz", "input"), _NO_ARCHIVE % "input"),
    Rule(("evaluate", "report", "device evaluate"), ("key",), _no_file_is(".npz", "data"), _NO_ARCHIVE % "data"),
    Rule(("quantize",), ("key",), _no_file_is(".npz", "calibration"), _NO_ARCHIVE % "calibration"),
    Rule(("adapt", "analyze", "device adapt"), ("key", "domain"), _no_file_is(".npz", "stream"), _NO_ARCHIVE % "stream"),
    Rule(("adapt", "analyze"), ("key",), _has("domain"), "--domain names the arrays; leave one of them out"),
    Rule((), ("dtype",), _no_file_is(".bin", "input", "calibration", "data", "stream", "home"), _NO_RAW_NUMBERS),
    # Streams.
    Rule(("analyze",), _OF_ADAPTING, _lacks("adapt"), "give --adapt too, or leave it out"),
    Rule(("adapt", "analyze"), ("home_key", "home_scale", "rows"), _lacks("home"), "give --home too, or leave it out"),
    Rule(("adapt", "analyze"), ("home_key",), _no_file_is(".npz", "home"), _NO_ARCHIVE % "home"),
    Rule(("adapt",), ("sequence",), lambda a: len(a.domain) < 2, "give --domain for each of several arrays, or leave it out"),
    # Firmware.
    Rule(("generate",), ("policy",), _lacks("adapt"), "give --adapt too, or leave it out"),
    Rule(("generate",), ("layout",), _lacks("params_only"), "give --params-only too, or leave it out"),
    Rule(
        ("generate",),
        ("baud",),
        lambda a: a.board in {None, "host"} and a.system in {None, "cmsis-pack", "cmake", "make"},
        "a program for this computer has no serial line; leave it out",
    ),
    Rule(
        ("generate",),
        ("main", "board", "adapt", "baud", "system", "instances", "pipeline", "pool", "weights_in_ram"),
        _has("params_only"),
        "--params-only writes no program; leave one of them out",
    ),
    Rule(("generate",), ("instances",), _has("adapt"), "what a network learns is one for all that it runs; leave one of them out"),
    Rule(("analyze",), ("pool", "weights_in_ram"), _has("adapt"), "--adapt ranks layers; leave one of them out"),
    Rule(("generate",), ("pipeline",), _has("adapt"), "answers are those of networks that do not adapt; leave one of them out"),
    Rule(("generate",), ("main",), _has("system"), "a library for {system} has both its programs as examples; leave it out"),
    # Devices.
    Rule(("device",), ("storage",), _has("port"), "a board at the end of --port has its own; leave it out"),
    Rule(("device",), ("baud",), _has("board"), "an emulated --board has no serial port with a speed; leave it out"),
    Rule(("device",), ("baud",), lambda a: (a.port or "").lower().startswith("socket:"), "a socket has no speed; leave it out"),
    Rule(
        ("device info", "device run", "device verify", "device bench", "device reset"),
        ("storage",),
        _has("board"),
        "this action runs the network without adaptation, which keeps nothing; leave it out",
    ),
)


def check(arguments: Arguments) -> None:
    """Refuse what was given and does nothing.

    Raises
    ------
    UsageError
        The first rule that says so.
    """
    called = " ".join(filter(None, (arguments.verb, getattr(arguments, "action", None))))
    for rule in RULES:
        if rule.verbs and not any(f"{called} ".startswith(f"{verb} ") for verb in rule.verbs):
            continue
        for name in rule.names:
            if name in arguments.given and rule.useless(arguments):
                raise UsageError(f"{option(name)} does nothing here: {rule.reason.format_map(vars(arguments))}")


def check_program(arguments: Arguments, program: Program) -> None:
    """Refuse what does nothing for the network at hand.

    Raises
    ------
    UsageError
        --key for one with several inputs, whose names say which arrays they take; --top for one that does not classify.
    """
    if "key" in arguments.given and len(program.inputs) > 1:
        names = ", ".join(program.inputs)
        raise UsageError(f"--key does nothing here: the inputs of {arguments.model} take the arrays {names}; leave it out")
    shapes = [program.shapes[name] for name in program.outputs]
    if "top" in arguments.given and (len(shapes) > 1 or len(shapes[0]) != 1 or shapes[0][0] < 2):
        raise UsageError(f"--top does nothing here: {arguments.model} gives no scores of classes; leave it out")


def option(name: str) -> str:
    """Return the option whose value argparse calls `name`."""
    return {"stream": "--data", "system": "--as", "winograd": "--no-winograd"}.get(name, f"--{name.replace('_', '-')}")
