"""`edgebn prepare`: a model with how pictures or sounds become its input and what its classes are called, as an .edgebn file."""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgebn import api
from edgebn.cli.models import add_model_argument, load_model
from edgebn.cli.screen import Screen
from edgebn.cli.values import count, new_file, number
from edgebn.errors import ModelError, UsageError
from edgebn.preparation.check import BYTES, CODES, COLOURS, FITS, HEADS, RESIZES
from edgebn.preparation.data import (
    MFCC_OFFSET,
    MFCC_SCALE,
    Anomaly,
    Boxes,
    Frame,
    KeyPoints,
    Mask,
    MfccFrontEnd,
    MicroFrontEnd,
    Picture,
    Sound,
    WakeWord,
)
from edgebn.preparation.heads import blazeface, prototypes_of
from edgebn.preparation.prepare import plain_pixels, prepare
from edgebn.program import Program

BLAZEFACE = "blazeface"
HELP = "say how pictures or sounds become a model's input"
DESCRIPTION = (
    "Write the model with how pictures or sounds become its input and what its classes are called. `edgebn run` then takes "
    "pictures of any size, folders of them, or .wav files, and answers with names."
)


def numbers(text: str) -> tuple[float, ...]:
    """Parse 123.7,116.3,103.5 or 1/255."""
    return tuple(number(part) for part in text.split(","))


def frame(text: str) -> Frame:
    """Parse 320x240:rgb565."""
    size, _, layout = text.partition(":")
    width, separator, height = size.partition("x")
    if not separator or layout not in BYTES:
        raise ValueError(text)
    return Frame(count(height), count(width), layout)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    add_model_argument(parser)
    parser.add_argument("-o", "--output", type=new_file, required=True, metavar="OUT.edgebn", help="the file to write")
    parser.add_argument("--labels", metavar="FILE|A,B,...", help="names of the classes: a text file with one a line, or a list")
    parser.add_argument(
        "--boxes",
        choices=[head for head in (*HEADS, BLAZEFACE) if head != "anchors"],
        help="it is a detector with such a head, of the --labels",
    )
    parser.add_argument("--shares", action="store_true", help="boxes are in shares of the input, not in its pixels")
    parser.add_argument(
        "--score", type=number, metavar="S", help="what the score of a box or a key point must reach; default the head's"
    )
    parser.add_argument("--overlap", type=number, metavar="S", help="by how much boxes of a class may overlap; default the head's")
    others = parser.add_mutually_exclusive_group()
    others.add_argument("--mask", action="store_true", help="it tells the class of every part of the picture, of the --labels")
    others.add_argument("--key-points", metavar="A,B,...", help="it tells where these points are: y, x and a score each")
    others.add_argument("--wake-word", metavar="NAME", help="it tells how probable it is that the word was just heard")
    others.add_argument(
        "--anomaly", type=number, metavar="T", help="it gives its input back, and is off by more than T of anomalies"
    )
    group = parser.add_argument_group("pictures")
    group.add_argument("--image", choices=tuple(COLOURS), help="the input is a picture with its channels in this order")
    group.add_argument("--resize", choices=RESIZES, help="how pictures change their size; default bilinear")
    group.add_argument("--fit", choices=FITS, help="the whole picture, its middle, or the whole with borders; default stretch")
    group.add_argument("--border", type=int, metavar="N", help="pixel value of a letterbox's borders; default 114")
    group.add_argument("--scale", type=numbers, metavar="S", help="real = pixel * S + O; one number, or one a channel")
    group.add_argument("--offset", type=numbers, metavar="O", help="see --scale; default 0")
    group.add_argument("--mean", type=numbers, metavar="M", help="real = (pixel - M) / D, pixels from 0 to 255")
    group.add_argument("--deviation", type=numbers, metavar="D", help="see --mean; default 1")
    group.add_argument(
        "--frame", type=frame, metavar="WxH:LAYOUT", help=f"the camera of firmware, 320x240:rgb565 say; layouts: {', '.join(BYTES)}"
    )
    group = parser.add_argument_group("sounds")
    group.add_argument(
        "--sound", choices=("micro", "mfcc"), help="the input is sound behind TensorFlow Lite Micro's audio front end, or its MFCCs"
    )
    group.add_argument("--codes", choices=CODES, help="how features become int8 codes; default network")
    group.add_argument(
        "--stride",
        type=count,
        metavar="N",
        help="windows from one inference to the next; default 1, or all of a network with states",
    )


def run(arguments: argparse.Namespace, screen: Screen) -> dict[str, Any]:
    """Prepare one model."""
    program = load_model(arguments.model, arguments)
    labels = read_labels(arguments.labels) if arguments.labels is not None else None
    image, sound = picture_of(arguments, program), sound_of(arguments, program)
    answer = answer_of(arguments, labels)
    boxes = boxes_of(arguments, labels, program)
    if image is None and sound is None and labels is None and answer is None:
        raise UsageError("say what to keep: --image, --sound, --labels or another answer")
    names = None if boxes or answer else labels
    made = prepare(program, image=image, sound=sound, labels=names, boxes=boxes, answer=answer)
    api.save(made, arguments.output)
    assert made.preparation is not None
    kept = asdict(made.preparation)
    if image is not None:
        screen.say(f"pictures: {image.colours}, {image.resize}, {image.fit}, real = pixel * {image.scale} + {image.offset}")
    if sound is not None:
        screen.say(f"sounds: {sound.front_end.sample_rate} Hz, {sound.front_end.channels} features a window")
    if labels is not None:
        screen.say(f"{len(labels)} classes: {', '.join(labels[:5])}{', ...' if len(labels) > 5 else ''}")
    screen.say(f"wrote {arguments.output}")
    return {"model": str(arguments.model), "output": str(arguments.output), "preparation": kept}


def boxes_of(arguments: argparse.Namespace, labels: list[str] | None, program: Program) -> Boxes | None:
    """Return what the options say of a detector."""
    named_options = {name for name in ("shares", "score", "overlap") if name in arguments.given}
    if arguments.boxes is None:
        if named_options - ({"score"} if arguments.key_points else set()):
            raise UsageError(f"--{min(named_options)} does nothing here: give --boxes too, or leave it out")
        return None
    if labels is None:
        raise UsageError("--boxes does nothing here: give --labels too, or leave it out")
    named = tuple(labels)
    masks = prototypes_of(program) if arguments.boxes == "yolov8" else 0
    found = blazeface(program, named) if arguments.boxes == BLAZEFACE else Boxes(named, arguments.boxes, masks=masks)
    settings = {name: getattr(arguments, name) for name in named_options}
    return replace(found, **settings)


def answer_of(arguments: argparse.Namespace, labels: list[str] | None) -> Mask | KeyPoints | WakeWord | Anomaly | None:
    """Return what the options say of a network that neither classifies nor finds boxes."""
    if arguments.mask:
        return Mask(tuple(labels or ()))
    found: KeyPoints | WakeWord | Anomaly | None = None
    if arguments.key_points is not None:
        names = tuple(name.strip() for name in arguments.key_points.split(","))
        found = KeyPoints(names, arguments.score or 0.0)
    elif arguments.wake_word is not None:
        found = WakeWord(arguments.wake_word)
    elif arguments.anomaly is not None:
        found = Anomaly(arguments.anomaly)
    if found is not None and labels is not None:
        raise UsageError("--labels does nothing here: leave it out, or the other answer")
    return found


def read_labels(text: str) -> list[str]:
    """Return names from a text file with one a line, or from a list.

    Raises
    ------
    ModelError
        The file is no text.
    """
    path = Path(text)
    if not path.is_file():
        if path.suffix == ".txt":
            raise ModelError(f"{path}: there is no such file")
        return [name.strip() for name in text.split(",")]
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ModelError(f"{path} is no text in UTF-8") from None
    return [line.strip() for line in lines if line.strip()]


def picture_of(arguments: argparse.Namespace, program: Program) -> Picture | None:
    """Return what the options say of pictures."""
    named_options = {
        name for name in ("resize", "fit", "border", "scale", "offset", "mean", "deviation", "frame") if name in arguments.given
    }
    if arguments.image is None:
        if named_options:
            raise UsageError(f"--{min(named_options)} does nothing here: give --image too, or leave it out")
        return None
    if named_options & {"scale", "offset"} and named_options & {"mean", "deviation"}:
        raise UsageError("give --scale and --offset, or --mean and --deviation")
    scale, offset = scaling_of(arguments, program, named_options)
    picture = Picture(arguments.image, scale=scale, offset=offset, frame=arguments.frame)
    border = 114 if arguments.border is None else arguments.border
    return replace(picture, resize=arguments.resize or picture.resize, fit=arguments.fit or picture.fit, border=border)


def scaling_of(
    arguments: argparse.Namespace, program: Program, named_options: set[str]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return scale and offset: as told, as the model keeps them, or, of an int8 input, those that make code = pixel - 128.

    Raises
    ------
    UsageError
        Nobody says.
    """
    if named_options & {"mean", "deviation"}:
        mean, deviation = arguments.mean or (0.0,), arguments.deviation or (1.0,)
        if 0.0 in deviation:
            raise UsageError("--deviation: pixels are divided by it, so it cannot be 0")
        size = max(len(mean), len(deviation))
        if {len(mean), len(deviation)} - {1, size}:
            raise UsageError("--mean and --deviation: give one number, or one for each channel")
        mean, deviation = (values * size if len(values) == 1 else values for values in (mean, deviation))
        return tuple(1 / d for d in deviation), tuple(-m / d for m, d in zip(mean, deviation, strict=True))
    if named_options & {"scale", "offset"}:
        return arguments.scale or (1.0,), arguments.offset or (0.0,)
    kept = next(iter((program.input_scaling or {}).values()), None)
    if kept is not None:
        return (kept.scale,), (kept.offset,)
    buffer = program.buffers[program.inputs[0]]
    if buffer.dtype == "int8":
        return plain_pixels(buffer)
    raise UsageError(f"{arguments.model} does not say how pixels are scaled; give --scale 1/255, say, or --mean and --deviation")


def sound_of(arguments: argparse.Namespace, program: Program) -> Sound | None:
    """Return what the options say of sounds."""
    named_options = {name for name in ("codes", "stride") if name in arguments.given}
    if arguments.sound is None:
        if named_options:
            raise UsageError(f"--{min(named_options)} does nothing here: give --sound too, or leave it out")
        return None
    front_end = MfccFrontEnd() if arguments.sound == "mfcc" else MicroFrontEnd()
    scaling = {"scale": MFCC_SCALE, "offset": MFCC_OFFSET} if arguments.sound == "mfcc" else {}
    # A network that remembers wants each window once; others see most of them again.
    windows = math.prod(program.shapes[program.inputs[0]]) // front_end.channels if program.states else 1
    return Sound(front_end, **scaling, codes=arguments.codes or "network", stride=arguments.stride or max(windows, 1))
