"""Pictures, films and sounds that tests make, and small models that take them."""

import wave

import numpy as np

import edgebn
from edgebn import layers, passes
from edgebn.graph import GraphBuilder
from edgebn.preparation.data import Boxes, MicroFrontEnd, Picture, Sound

NAMES = ("left", "right", "none")


def looker(boxes=False):
    """Return a model that says on which side of a picture the light is; as a detector, two boxes of either side."""
    builder = GraphBuilder("looker", "looker.test", "test")
    x = builder.add_input("image", (8, 8, 3))
    x = builder.add(layers.Reshape("flat", (x,), "flat", (192,)))
    side = np.zeros((2, 8, 8, 3), np.float32)
    side[0, :, :4], side[1, :, 4:] = 1 / 96, 1 / 96
    weight = np.concatenate([side.reshape(2, 192), np.zeros((1, 192), np.float32)])
    if not boxes:
        weight, bias = weight * 10, np.array([0, 0, 4], np.float32)
        x = builder.add(layers.Dense("scores", (x,), "scores", weight, bias))
        x = builder.add(layers.Softmax("softmax", (x,), "softmax", axis=0))
        program = passes.lower(builder.finish([x]))
        return edgebn.prepare(program, image=Picture("rgb", scale=(1 / 255,)), labels=NAMES)
    rows = np.zeros((12, 192), np.float32)  # two candidates of 4 + 2 numbers
    rows[4], rows[11] = weight[0], weight[1]
    bias = np.array([2, 4, 4, 8, 0, 0, 6, 4, 4, 8, 0, 0], np.float32)
    x = builder.add(layers.Dense("boxes", (x,), "boxes", rows, bias))
    x = builder.add(layers.Reshape("candidates", (x,), "candidates", (2, 6)))
    program = passes.lower(builder.finish([x]))
    return edgebn.prepare(program, image=Picture("rgb", scale=(1 / 255,)), boxes=Boxes(NAMES[:2]))


def listener():
    """Return a model that hears one window of sound and says whether it is loud."""
    builder = GraphBuilder("listener", "listener.test", "test")
    x = builder.add_input("sound", (40,))
    weight = np.concatenate([np.full((1, 40), 0.05), np.zeros((1, 40))]).astype(np.float32)
    x = builder.add(layers.Dense("scores", (x,), "scores", weight, np.array([0, 20], np.float32)))
    x = builder.add(layers.Softmax("softmax", (x,), "softmax", axis=0))
    program = passes.lower(builder.finish([x]))
    return edgebn.prepare(program, sound=Sound(MicroFrontEnd()), labels=("loud", "quiet"))


def picture(number, height=48, width=64):
    """Return a picture, RGB, whose light wanders from side to side."""
    pixels = np.random.default_rng(number).integers(0, 30, (height, width, 3)).astype(np.uint8)
    middle = round((np.sin(number / 5) + 1) / 2 * (width - 1))
    pixels[:, max(0, middle - 8) : middle + 8] = 250
    return pixels


def write_film(path, frames, opencv, first=0):
    writer = opencv.VideoWriter(str(path), opencv.VideoWriter_fourcc(*"mp4v"), 25.0, (64, 48))
    assert writer.isOpened()
    for number in range(first, first + frames):
        writer.write(np.ascontiguousarray(picture(number)[..., ::-1]))
    writer.release()


def tone(seconds, rate=16000):
    """Return a tone that begins in the middle."""
    samples = np.sin(np.arange(round(seconds * rate)) * 0.3) * 12000
    samples[: len(samples) // 2] *= 0.001
    return samples.astype(np.int16)


def write_wave(path, samples, rate=16000):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
