"""What texts tell people to type is there: modules of `python -m`, targets of `make`, verbs and options of `edgebn`."""

import argparse
import re
from pathlib import Path

import pytest

from edgebn.cli.command import build_parser
from tests.docs.tracked import tracked

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = {".md", ".yml", ".py", ".toml", ""}
# A block that is shown indented, or words between backticks on one line.
TOLD = re.compile(r"^ {4,}(\S.*)$|^\s*#?\s*\$ (.*)$|`([^`\n]+)`", re.MULTILINE)
MODULE = re.compile(r"^(?:\S+=\S* )*python3? -m ((?:benchmarks|tests|codegen|boards|edgebn)(?:\.\w+)*)")
TARGET = re.compile(r"^make ([a-z][a-z0-9-]*)$")
VERB = re.compile(r"^edgebn ([a-z]\S*)(.*)$")
OPTION = re.compile(r"(?<!\S)\[?(--[a-z][a-z-]*)")
FIRMWARES = {"flash", "stack", "examples", "size"}  # targets of the Makefiles that `edgebn generate` writes


def texts() -> dict[str, str]:
    paths = [Path(name) for name in tracked() if Path(name).suffix in SUFFIXES]
    return {str(path): (ROOT / path).read_text(encoding="utf-8", errors="ignore") for path in paths if (ROOT / path).is_file()}


@pytest.fixture(scope="module")
def told() -> list[tuple[str, str]]:
    """Return (file, command) of all that is shown as one."""
    return [
        (name, next(filter(None, found)).split("  ")[0].strip())
        for name, text in texts().items()
        for found in TOLD.findall(text)
        if any(found)
    ]


def test_modules_are_there(told):
    named = {(name, match[1]) for name, command in told if (match := MODULE.match(command))}
    assert len({module for _, module in named}) > 20
    wrong = []
    for name, module in named:
        path = ROOT.joinpath(*module.split("."))
        if not path.with_suffix(".py").is_file() and not (path / "__main__.py").is_file():
            wrong.append((name, module))
    assert not wrong


def test_targets_are_there(told):
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {(name, match[1]) for name, command in told if (match := TARGET.match(command))}
    assert len({target for _, target in named}) > 10
    assert not [(name, target) for name, target in sorted(named) if target not in targets | FIRMWARES]


def actions(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return {}


def refusal(verb: str, rest: str, parser: argparse.ArgumentParser) -> str | None:
    """Return what is wrong with a command line as texts show it, with words in capitals and parts left out."""
    known = actions(parser)
    if verb not in known:
        return f"no verb {verb}"
    parsers = [known[verb]]
    deeper = actions(known[verb])
    word = rest.strip().partition(" ")[0]
    if deeper and re.fullmatch(r"[a-z]+", word):
        if word not in deeper:
            return f"no action {verb} {word}"
        parsers = [deeper[word]]
    elif deeper:
        parsers = list(deeper.values())
    wrong = [
        option
        for option in OPTION.findall(rest)
        if not any(known.startswith(option) for each in parsers for known in each._option_string_actions)
    ]
    return f"{verb}: no {', '.join(wrong)}" if wrong else None


def test_verbs_and_options_are_there(told):
    parser = build_parser()
    wrong, seen = [], set()
    for name, command in told:
        if (match := VERB.match(command)) and name != "tests/docs/test_told_commands.py":
            verb = match[1].rstrip(".,:;)")
            seen.add(verb)
            if fault := refusal(verb, match[2], parser):
                wrong.append((name, command, fault))
    assert len(seen) >= len(actions(parser)) - 2
    assert not wrong


@pytest.mark.parametrize("line", ["analyse MODEL", "device look MODEL", "quantize MODEL --calibrate FILE"])
def test_a_wrong_command_is_seen(line):
    verb, _, rest = line.partition(" ")
    assert refusal(verb, rest, build_parser())
