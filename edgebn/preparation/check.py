"""Refuses a preparation that does not fit its network, before it is kept and after it is read from a file."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgebn.errors import ModelError
from edgebn.preparation.data import Anchors, Anomaly, Boxes, Classes, KeyPoints, Mask, MfccFrontEnd, Picture, Sound, WakeWord

if TYPE_CHECKING:
    from edgebn.program import Program

COLOURS = {"rgb": 3, "bgr": 3, "grey": 1}
RESIZES = ("bilinear", "antialias", "area", "nearest")
FITS = ("stretch", "crop", "letterbox")
HEADS = ("yolov8", "yolov5", "corners", "anchors", "post_process", "fomo")
ORDERS = ("yxhw", "xywh")
CODES = ("network", "micro_speech")
BYTES = {"grey": 1, "rgb888": 3, "bgr888": 3, "rgb565": 2, "rgb565_swapped": 2, "yuyv": 2}  # of a pixel in a frame buffer
MAX_SIDE = 8192
LARGEST = 1e9  # of a scale or an offset
MAX_POINTS, MAX_WINDOW = 1000, 1000


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
        if program.buffers[program.inputs[0]].dtype == "int16":
            raise ModelError("the network's input is int16; a preparation is for float32 and int8 inputs")
        if isinstance(before, Picture):
            _check_picture(before, program.shapes[program.inputs[0]])
        else:
            _check_sound(before, program)
    if after is not None:
        _CHECKS[type(after)](after, program)


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
        if not (1 <= frame.height <= MAX_SIDE and 1 <= frame.width <= MAX_SIDE) or (frame.layout == "yuyv" and frame.width % 2):
            raise ModelError(f"a frame's sides are 1 to {MAX_SIDE}, of yuyv an even width, not {frame.height} x {frame.width}")


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
    _takes_pictures(program, "boxes are")
    if after.head not in HEADS:
        raise ModelError(f"a detector's head is one of {', '.join(HEADS)}, not '{after.head[:20]}'")
    if not (0 <= after.score < 1 and 0 <= after.overlap <= 1 and after.most >= 1 and 0 <= after.points <= MAX_POINTS):
        raise ModelError("a detector's score and overlap are shares from 0 to 1, and it tells of one object at least")
    if (after.anchors is not None) != (after.head == "anchors"):
        raise ModelError("anchors are for the head 'anchors', which has some")
    if after.points and after.head not in {"yolov8", "corners", "anchors"}:
        raise ModelError(f"a {after.head} head has no key points")
    if after.masks and (after.head != "yolov8" or after.points or not 0 < after.masks <= MAX_POINTS):
        raise ModelError(f"masks are for a yolov8 head without key points, with 1 to {MAX_POINTS} coefficients each")
    if after.anchors is not None:
        _check_anchors(after.anchors)
    from edgebn.preparation.heads import roles

    if not after.names or not roles(program, after):
        shapes = [program.shapes[name] for name in program.outputs]
        said = f"output of shape {shapes[0]} is" if len(shapes) == 1 else f"outputs of shapes {', '.join(map(str, shapes))} are"
        points = f" and {after.points} key points" if after.points else f" and {after.masks} masks" if after.masks else ""
        raise ModelError(f"the network's {said} no {after.head} head with {len(after.names)} classes{points}")


def _check_anchors(anchors: Anchors) -> None:
    if bool(anchors.maps) == bool(anchors.boxes):
        raise ModelError("anchors are those of maps, or boxes; give one of the two")
    if any(not 1 <= size <= MAX_SIDE for sizes in anchors.maps for size in sizes):
        raise ModelError("a map of anchors has rows, columns and anchors of a cell, each 1 or more")
    numbers = [*anchors.scales, *(number for box in anchors.boxes for number in box)]
    if not all(math.isfinite(number) and abs(number) <= LARGEST for number in numbers) or min(anchors.scales) <= 0:
        raise ModelError("anchors and their scales are finite numbers, and the scales positive")
    if anchors.order not in ORDERS:
        raise ModelError(f"the order of a box's codes is one of {', '.join(ORDERS)}, not '{anchors.order[:20]}'")


def _takes_pictures(program: Program, what: str) -> None:
    if program.preparation is None or not isinstance(program.preparation.before, Picture):
        raise ModelError(f"{what} for a network that takes pictures: say how they are prepared too")


def _only_output(program: Program, what: str) -> tuple[int, ...]:
    if len(program.outputs) != 1:
        raise ModelError(f"the network has {len(program.outputs)} outputs; {what} is made of one")
    return program.shapes[program.outputs[0]]


def _check_mask(mask: Mask, program: Program) -> None:
    _takes_pictures(program, "a mask is")
    shape = _only_output(program, "a mask")
    from edgebn.preparation.score_maps import mask_map

    if mask_map(program, mask) is None:
        classes = f"{len(mask.names)} classes" if mask.names else "some classes"
        unnamed = " (numbers that no argmax made want their classes named)" if not mask.names else ""
        raise ModelError(f"the network's output of shape {shape} is no map of scores or of class numbers of {classes}{unnamed}")


def _check_points(points: KeyPoints, program: Program) -> None:
    _takes_pictures(program, "key points are")
    shape = _only_output(program, "a set of key points")
    if not points.names or math.prod(shape) != 3 * len(points.names) or shape[-1:] != (3,):
        raise ModelError(f"the network's output of shape {shape} is no list of {len(points.names)} key points, three numbers each")
    if not math.isfinite(points.score):
        raise ModelError("the least score of a key point is a finite number")


def _check_wake_word(word: WakeWord, program: Program) -> None:
    shape = _only_output(program, "a wake word's probability")
    if math.prod(shape) != 1:
        raise ModelError(f"a wake word is told by one probability, and the network's output has shape {shape}")
    if not (1 <= word.window <= MAX_WINDOW and 0 < word.cutoff < 1 and 0 <= word.refractory <= MAX_SIDE):
        raise ModelError(
            f"a wake word's window is 1 to {MAX_WINDOW} inferences, its cutoff between 0 and 1, its refractory time 0 or more"
        )


def _check_anomaly(anomaly: Anomaly, program: Program) -> None:
    shape = _only_output(program, "an anomaly's score")
    if len(program.inputs) != 1 or math.prod(shape) != math.prod(program.shapes[program.inputs[0]]):
        raise ModelError(f"the network's output of shape {shape} is not its input given back")
    if not (math.isfinite(anomaly.threshold) and anomaly.threshold > 0):
        raise ModelError(f"the threshold of an anomaly is a positive number, not {anomaly.threshold}")


_CHECKS: dict[type, Callable[[Any, Program], None]] = {
    Classes: _check_classes,
    Boxes: _check_boxes,
    Mask: _check_mask,
    KeyPoints: _check_points,
    WakeWord: _check_wake_word,
    Anomaly: _check_anomaly,
}
