"""Options that the actions share: the broker, names, keys, seconds."""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path

from edgebn import api
from edgebn.adapt.policies import POLICIES
from edgebn.errors import ModelError
from edgebn.fleet.broker import Broker, broker_of
from edgebn.fleet.model import MERGEABLE, FleetModel
from edgebn.fleet.topics import checked_name
from edgebn.program import Program

CONNECT_SECONDS = 10.0
GROUP = "default"  # of a member that is told none


def add_broker_options(parser: argparse.ArgumentParser) -> None:
    """Add --broker and what it takes to be let in."""
    group = parser.add_argument_group("the broker")
    group.add_argument("--broker", required=True, metavar="URL", help="mqtt://[USER@]HOST[:PORT], or mqtts:// for TLS")
    add_admission_options(group)


def add_admission_options(group: argparse._ArgumentGroup) -> None:
    """Add what it takes to be let in by a broker."""
    group.add_argument(
        "--password-file", type=Path, metavar="FILE", help="its first line is the password; default $EDGEBN_MQTT_PASSWORD"
    )
    group.add_argument("--ca", type=Path, metavar="FILE", help="PEM of who signed the broker's certificate; default the system's")
    group.add_argument("--certificate", type=Path, metavar="FILE", help="this side's own certificate, PEM")
    group.add_argument("--key", type=Path, metavar="FILE", help="and its key")


def broker(arguments: argparse.Namespace, url: str = "") -> Broker:
    """Return the broker that the options name, or the one at `url` as the other options say.

    Raises
    ------
    FleetError
        They name none.
    """
    return broker_of(
        url or arguments.broker,
        password_file=arguments.password_file,
        ca=arguments.ca,
        certificate=arguments.certificate,
        key=arguments.key,
    )


def add_policy_option(parser: argparse.ArgumentParser) -> None:
    """Add --policy."""
    names = tuple(name for name in POLICIES if name in MERGEABLE)
    parser.add_argument("--policy", choices=names, help="the devices'; default the adapter's for this model")


def fleet_model(path: Path, arguments: argparse.Namespace) -> FleetModel:
    """Return a model as a fleet knows it.

    Raises
    ------
    ModelError
        The file is damaged, or has no source tables.
    """
    return FleetModel(adaptable_model(path, arguments), arguments.policy)


def models_at(at: Broker, policy: str | None) -> list[FleetModel]:
    """Return the models that lie at a broker.

    Raises
    ------
    FleetError
        There are none, or the broker cannot be reached.
    """
    from edgebn.fleet.models import left

    return [FleetModel(program, policy) for program in left(at, CONNECT_SECONDS)]


def add_model(parser: argparse.ArgumentParser, *, optional: str = "") -> None:
    """Add MODEL; where it is optional, with what it is good for."""
    text = "a .edgebn file with source tables, as the devices run it"
    if optional:
        parser.add_argument("model", nargs="?", type=Path, metavar="MODEL", help=optional)
    else:
        parser.add_argument("model", type=Path, metavar="MODEL", help=text)


def adaptable_model(path: Path, arguments: argparse.Namespace) -> Program:
    """Return the model in a file.

    Raises
    ------
    ModelError
        It is missing, damaged, or of a format that holds no source tables.
    """
    if not path.exists():
        raise ModelError(f"{path}: there is no such file")
    program = api.load(path)
    arguments.known_as[program.source] = str(path)
    if program.adaptation is None:
        raise ModelError(f"{path}: the model has no source tables; write it with `edgebn adapt -o`, or edgebn.adaptable and save")
    return program


def seconds(text: str) -> float:
    """Parse a positive number of seconds."""
    value = float(text)
    if not 0 < value < 1e9:
        raise ValueError(text)
    return value


def name(text: str) -> str:
    """Parse a group's or a device's name."""
    return checked_name(text, "the name")


def wait(stop: threading.Event, limit: float | None, pause: float = 0.1) -> bool:
    """Wait a moment; return whether to go on before the time is over."""
    began = time.monotonic()
    stop.wait(pause if limit is None else min(pause, max(limit - began, 0)))
    return not stop.is_set() and (limit is None or time.monotonic() < limit)
