"""Refuses a preparation that does not fit its network, before it is kept and after it is read from a file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgebn.errors import ModelError
from edgebn.preparation.data import Boxes, Classes, MfccFrontEnd, Picture, Sound

if TYPE_CHECKING:
    from edgebn.program import Program

COLOURS = {"rgb": 3, "bgr": 3, "grey": 1}
RESIZES = ("bilinear", "antialias", "area", "nearest")
FITS = ("stretch", "crop", "letterbox")
HEADS = ("yolov8", "fomo")
CODES = ("network", "micro_speech")
BYTES = {"grey": 1, "rgb888": 3, "bgr888": 3, "rgb565": 2, "rgb565_swapped": 2, "yuyv": 2}  # of a pixel in a frame buffer
MOST_SIDE = 8192
LARGEST = 1e9  # of a scale or an offset


def check_preparation(program: Program) -> None:
    """Check what stands before and behind a network.

    Raises
    ------
    ModelError
        It does not fit the input or the output; the message says what would.
    """
    if program.preparation is None:
        return
    before, after = program.preparation.before, program.preparation.after
    if before is not None:
        if len(program.inputs) != 1:
            raise ModelError(f"the network has {len(program.inputs)} inputs; a preparation is for one")
        if isinstance(before, Picture):
            _check_picture(before, program.shapes[program.inputs[0]])
        else:
            _check_sound(before, program)
    if isinstance(after, Boxes):
        _check_boxes(after, program)
    elif after is not None:
        _check_classes(after, program)


def _check_picture(picture: Picture, shape: tuple[int, ...]) -> None:
    for value, known, what in (
        (picture.colours, tuple(COLOURS), "colours"),
        (picture.resize, RESIZES, "resize"),
        (picture.fit, FITS, "fit"),
    ):
        if value not in known:
            raise ModelError(f"a picture's {what} is one of {', '.join(known)}, not '{value[:20]}'")
    channels = COLOURS[picture.colours]
    if len(shape) != 3 or shape[2] != channels:
        raise ModelError(f"a {picture.colours} picture has {channels} channels, and the network takes {shape}")
    if not 0 <= picture.border <= 255:
        raise ModelError(f"a picture's border is 0 to 255, not {picture.border}")
    for values, what in ((picture.scale, "scale"), (picture.offset, "offset")):
        if len(values) not in {1, channels} or not all(math.isfinite(value) and abs(value) <= LARGEST for value in values):
            raise ModelError(f"a picture's {what} is one number or {channels}, not {values}")
    if 0 in picture.scale:
        raise ModelError("a picture's scale is not 0")
    if picture.frame is not None:
        frame = picture.frame
        if frame.layout not in BYTES:
            raise ModelError(f"a frame's layout is one of {', '.join(BYTES)}, not '{frame.layout[:20]}'")
        if not (1 <= frame.height <= MOST_SIDE and 1 <= frame.width <= MOST_SIDE) or (frame.layout == "yuyv" and frame.width % 2):
            raise ModelError(f"a frame's sides are 1 to {MOST_SIDE}, of yuyv an even width, not {frame.height} x {frame.width}")


def _check_sound(sound: Sound, program: Program) -> None:
    shape, channels = program.shapes[program.inputs[0]], sound.front_end.channels
    windows, rest = divmod(math.prod(shape), max(channels, 1))
    if rest or windows < 1:
        raise ModelError(f"the network takes {shape}, which are no whole windows of {channels} features")
    if not 1 <= sound.stride <= windows:
        raise ModelError(f"a stride is 1 to {windows} windows, which the network takes, not {sound.stride}")
    if sound.codes not in CODES:
        raise ModelError(f"a sound's codes are one of {', '.join(CODES)}, not '{sound.codes[:20]}'")
    if sound.codes == "micro_speech" and program.buffers[program.inputs[0]].dtype != "int8":
        raise ModelError("codes as micro_speech has them are for an int8 input")
    if not (0 < sound.scale <= LARGEST and abs(sound.offset) <= LARGEST):
        raise ModelError(f"a sound's scale is positive and its offset finite, not {sound.scale} and {sound.offset}")
    if isinstance(sound.front_end, MfccFrontEnd):
        from edgebn.preparation.mfcc_tables import mfcc_tables  # most programs need none

        if sound.codes == "micro_speech":
            raise ModelError("codes as micro_speech has them are for its own front end, not for MFCCs")
        mfcc_tables(sound.front_end)
    else:
        from edgebn.preparation.micro_tables import tables

        tables(sound.front_end)


def _check_classes(classes: Classes, program: Program) -> None:
    if len(program.outputs) != 1:
        raise ModelError(f"the network has {len(program.outputs)} outputs; classes are those of one")
    scores = math.prod(program.shapes[program.outputs[0]])
    if classes.names and len(classes.names) != max(scores, 2):
        raise ModelError(f"there are {len(classes.names)} names of classes, and the network tells {max(scores, 2)} apart")


def _check_boxes(after: Boxes, program: Program) -> None:
    if len(program.outputs) != 1 or program.preparation is None or not isinstance(program.preparation.before, Picture):
        raise ModelError("boxes are for a network with one output that takes pictures: say how they are prepared too")
    if after.head not in HEADS:
        raise ModelError(f"a detector's head is one of {', '.join(HEADS)}, not '{after.head[:20]}'")
    shape, count = program.shapes[program.outputs[0]], len(after.names)
    fitting = {"fomo": len(shape) == 3 and shape[2] == 1 + count, "yolov8": len(shape) == 2 and 4 + count in shape}
    if not count or not fitting[after.head]:
        raise ModelError(f"the network's output of shape {shape} is no {after.head} head with {count} classes")
    if not (0 <= after.score < 1 and 0 <= after.overlap <= 1 and after.most >= 1):
        raise ModelError("a detector's score and overlap are shares from 0 to 1, and it tells of one object at least")
