"""`edgebn live`: a camera, a microphone or a file through a model, shown in the terminal and, with --serve, on a local web page."""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgebn.cli.live_fleet import add_fleet_options, check_fleet_options, member_of_fleet
from edgebn.cli.models import add_model_argument, add_session_options, load_model
from edgebn.cli.screen import Screen
from edgebn.cli.values import count, new_file
from edgebn.errors import ModelError, UsageError
from edgebn.pipeline import Pipeline

HELP = "show what a model makes of a camera, a microphone or a film, as it comes"
DESCRIPTION = (
    "Run a prepared model on what comes from a camera, a microphone or a file until it ends or Ctrl-C. Of a camera the latest "
    "picture wins; of files and sound everything is answered."
)
LOOK_EVERY = 0.1  # seconds
PORT = 8017


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--camera", metavar="N", help="a camera by its number or address (OpenCV), or picamera2")
    source.add_argument("--microphone", action="store_true", help="the system's microphone (sounddevice)")
    source.add_argument("--file", type=Path, metavar="FILE", help="a film or a recording")
    parser.add_argument("--adapt", action="store_true", help="go on learning from what is seen; for models made adaptable")
    parser.add_argument("--answers", type=new_file, metavar="OUT.jsonl", help="write every answer as a line of JSON")
    parser.add_argument("--limit", type=count, metavar="N", help="stop after N answers")
    group = parser.add_argument_group("web page")
    group.add_argument(
        "--serve",
        nargs="?",
        const="127.0.0.1",
        metavar="HOST[:PORT]",
        help=f"show a web page; default 127.0.0.1:{PORT}. Other addresses than this machine's need the token that is printed",
    )
    group.add_argument("--token", metavar="TEXT", help="what requests must know; default: random where it is needed")
    add_fleet_options(parser)
    add_session_options(parser)


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Show until it ends."""
    from edgebn.live.answers import plain
    from edgebn.live.chain import Chain
    from edgebn.live.drawing import as_jpeg
    from edgebn.live.extras import needed
    from edgebn.live.terminal import terminal
    from edgebn.live.view import state_of

    if arguments.token is not None and arguments.serve is None:
        raise UsageError("--token does nothing here: give --serve too, or leave it out")
    check_fleet_options(arguments)
    program = load_model(arguments.model, arguments)
    pipeline = Pipeline(program, arguments.threads, adapt=arguments.adapt)
    source = open_source(arguments, pipeline)
    draws = arguments.serve is not None and not pipeline.hears
    if draws:
        needed("PIL.Image", "--serve with pictures")
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(arguments.answers.open("w", encoding="utf-8")) if arguments.answers else None
        answered = 0

        def on_answer(number: int, answer: Any) -> None:
            nonlocal answered
            answered += 1
            if lines is not None and (arguments.limit is None or answered <= arguments.limit):
                lines.write(json.dumps({"number": number, "answer": plain(answer)}, allow_nan=False) + "\n")

        agent = stack.enter_context(member_of_fleet(arguments, pipeline)) if arguments.fleet is not None else None
        chain = Chain(pipeline, source, on_answer, as_jpeg if draws else None)

        def state_now() -> dict[str, Any]:
            return state_of(chain, str(arguments.model), agent.status() if agent is not None else None)

        if arguments.serve is not None:
            stack.enter_context(served(arguments, chain, state_now, screen))
        show = stack.enter_context(terminal(screen.say))
        stack.enter_context(chain)
        while not chain.wait(LOOK_EVERY):
            show(state_now())
            if arguments.limit is not None and answered >= arguments.limit:
                break
        state = state_now()
        show(state)
    screen.say(f"{state['answered']} answers; the last: {state['line']}")
    return state


def open_source(arguments: argparse.Namespace, pipeline: Pipeline) -> Any:
    """Open what the command line names.

    Raises
    ------
    ModelError
        It is not there, or not what the network takes.
    """
    from edgebn.live import sources

    if pipeline.hears:
        if arguments.camera is not None:
            raise ModelError("--camera: the network takes sounds; give --microphone or --file")
        if arguments.microphone:
            return sources.Microphone(pipeline.sample_rate)
        if arguments.file.suffix.lower() not in sources.SOUNDS:
            raise ModelError(f"{arguments.file}: the network takes sounds")
        if not arguments.file.is_file():
            raise ModelError(f"{arguments.file}: there is no such file")
        return sources.SoundFile(arguments.file, pipeline.sample_rate)
    if arguments.microphone:
        raise ModelError("--microphone: the network takes pictures; give --camera or --file")
    if arguments.camera == "picamera2":
        return sources.PiCamera()
    if arguments.camera is not None:
        return sources.Camera(int(arguments.camera) if arguments.camera.isdecimal() else arguments.camera)
    if arguments.file.suffix.lower() in sources.SOUNDS:
        raise ModelError(f"{arguments.file}: the network takes pictures and films")
    return sources.Film(arguments.file)


@contextlib.contextmanager
def served(arguments: argparse.Namespace, chain: Any, state_now: Callable[[], dict[str, Any]], screen: Screen) -> Any:
    """Serve the page inside, and say where."""
    from edgebn.live.page import Server, application, is_loopback

    host, port = address(arguments.serve)
    token = arguments.token or ("" if is_loopback(host) else secrets.token_urlsafe(16))
    title = f"edgebn live: {arguments.model.name}"
    app = application(state_now, lambda: chain.picture, title, token)
    with Server(app, host, port) as server:
        name = f"[{host}]" if ":" in host else host
        screen.note(f"edgebn: http://{name}:{server.port}/" + (f"?token={token}" if token else ""))
        yield


def address(text: str) -> tuple[str, int]:
    """Parse HOST[:PORT]; IPv6 stands in brackets.

    Raises
    ------
    UsageError
        It is none.
    """
    host, separator, port = text.rpartition(":")
    if not separator or (text.startswith("[") and text.endswith("]")):
        return text.strip("[]"), PORT
    if not (port.isdecimal() and int(port) < 1 << 16 and host):
        raise UsageError(f"--serve {text}: give HOST or HOST:PORT")
    return host.strip("[]"), int(port)
