"""`edgebn fleet watch`: who is there, how they drift, who left its group; in the terminal, as a page, as metrics."""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from edgebn.adapt.source_statistics import SourceStatistics
from edgebn.adapt.state_file import model_key
from edgebn.cli.fleet.options import CONNECT_SECONDS, adaptable_model, add_broker_options, add_model, broker, name, seconds, wait
from edgebn.cli.screen import Screen
from edgebn.cli.values import new_file
from edgebn.fleet.metrics import serving
from edgebn.fleet.page import page
from edgebn.fleet.watching import DRIFT, GATE, Watch, WatchedDevice
from edgebn.formats.whole_file import write_whole

HELP = "see who is there, how devices drift, and which left their group"
DESCRIPTION = (
    "Watch a fleet: in the terminal until Ctrl-C, as a page that needs nothing beside it (--report), as Prometheus metrics on the "
    "loopback interface (--metrics), or once as JSON (--json)."
)

SETTLE = 2.0  # seconds in which a broker sends what it retains
REPORT_EVERY = 10.0  # seconds
MAX_ROWS = 40  # devices in the terminal: those that need a look first


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the action's arguments."""
    add_model(parser, optional="watch this model only, and call its layers by their names")
    parser.add_argument("--group", type=name, metavar="G", help="watch this group only")
    parser.add_argument("--report", type=new_file, metavar="FILE.html", help="write a page, now and every ten seconds")
    parser.add_argument("--metrics", type=port, metavar="PORT", help="serve Prometheus metrics at http://127.0.0.1:PORT/metrics")
    parser.add_argument(
        "--seconds",
        type=seconds,
        metavar="S",
        help=f"end after so many; default with --json or --report alone {SETTLE:g}, else never",
    )
    add_broker_options(parser)


def port(text: str) -> int:
    """Parse a port; 0 takes any that is free."""
    value = int(text)
    if not 0 <= value < 1 << 16:
        raise ValueError(text)
    return value


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Watch until something ends it."""
    program = adaptable_model(arguments.model, arguments) if arguments.model else None
    watch = Watch(
        broker(arguments),
        model=None if program is None else model_key(program).hex(),
        group=arguments.group,
        layers=() if program is None else SourceStatistics(program).names,
    )
    is_short = arguments.metrics is None and (arguments.json or arguments.report is not None)
    length = arguments.seconds or (SETTLE if is_short else None)
    watch.connection.start()
    try:
        watch.connection.wait_up(CONNECT_SECONDS)
        with contextlib.ExitStack() as stack:
            if arguments.metrics is not None:
                number = stack.enter_context(serving(watch, arguments.metrics))
                screen.say(f"metrics at http://127.0.0.1:{number}/metrics")
            _show(watch, arguments, screen, length)
        if arguments.report is not None:
            write_whole(arguments.report, page(watch).encode())
            screen.say(f"wrote {arguments.report}")
        return watch.as_dict()
    finally:
        watch.connection.stop()


def _show(watch: Watch, arguments: argparse.Namespace, screen: Screen, length: float | None) -> None:
    limit = None if length is None else time.monotonic() + length
    stop, told, written = threading.Event(), 0, time.monotonic()
    with _terminal(watch, screen) as draw:
        while wait(stop, limit, 0.25):
            if arguments.report is not None and time.monotonic() - written > REPORT_EVERY:
                written = time.monotonic()
                write_whole(arguments.report, page(watch).encode())
            if draw is not None:
                draw()
                continue
            events = watch.events()
            for event in events[told:]:
                screen.say(f"{time.strftime('%H:%M:%S')} {event.address.group}/{event.address.device} {event.what}")
            told = len(events)
    screen.table(f"fleet at {watch.connection.broker}", COLUMNS, [row(one) for one in first_to_look_at(watch)])


COLUMNS = ("group", "device", "there", "samples", "drift", "gate", "trips", "left its group")


def row(one: WatchedDevice) -> tuple[Any, ...]:
    """Return a device's row."""
    there = {True: "yes", False: "gone", None: "?"}[one.online]
    return (one.address.group, one.address.device, there, one.seen, one.figure(DRIFT), one.figure(GATE), one.trips, one.left_out)


def first_to_look_at(watch: Watch) -> list[WatchedDevice]:
    """Return the devices, those that left their group or are gone first, and no more than a terminal shows."""
    devices = sorted(watch.devices(), key=lambda one: (not one.left_out, one.online is not False))
    return devices[:MAX_ROWS]


@contextlib.contextmanager
def _terminal(watch: Watch, screen: Screen) -> Iterator[Callable[[], None] | None]:
    """Draw in place where there is a terminal that can."""
    if screen.as_json or not sys.stdout.isatty() or find_spec("rich") is None:
        yield None
        return
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    def picture() -> Table:
        devices = watch.devices()
        there = sum(one.online is True for one in devices)
        table = Table(title=f"{len(devices)} devices, {there} there, {sum(bool(one.left_out) for one in devices)} left their group")
        for column in COLUMNS:
            table.add_column(column, justify="right" if column in {"samples", "drift", "gate", "trips"} else "left")
        for one in first_to_look_at(watch):
            style = "yellow" if one.left_out else "red" if one.online is False else ""
            cells = (f"{value:.3f}" if isinstance(value, float) else f"{value}" for value in row(one))
            table.add_row(*(Text(cell) for cell in cells), style=style)
        last = watch.events()[-3:]
        table.caption = "\n".join(f"{one.address.group}/{one.address.device} {one.what}" for one in last)
        return table

    with Live(picture(), refresh_per_second=2, transient=True) as live:
        yield lambda: live.update(picture())
