"""Firmware's way from a camera's frame buffer to the input: the bytes of the specification, in every layout, size and fit."""

import shutil

import numpy as np
import pytest

import codegen
import edgebn
from boards import emulator
from codegen.constants import declarations, definition
from codegen.stepcode import CArray
from edgebn import program as p
from edgebn.cli.main import main
from edgebn.errors import ModelError
from edgebn.preparation.check import BYTES, COLOURS, FITS, RESIZES
from edgebn.preparation.data import Frame, Picture
from edgebn.preparation.frames import unpacked
from edgebn.preparation.pictures import pictured
from tests import emitted
from tests.preparation.test_sound import SANITIZERS

CORES = ("microbit", "mps2-an386", "mps3-an547", "qemu-riscv32-virt")
MAIN = """
#include "board/board.h"
#include "eye.h"
#include "eye_picture.h"

{arrays}
static {element} input[{size}], output[{size}];

int main(void) {{
    int i, wrong = 0;
    uint64_t ticks;

    eye_init();
    ticks = board_ticks();
    eye_picture(frame, input);
    ticks = board_ticks() - ticks;
    eye_run(input, output);
    for (i = 0; i < {size}; i++) {{
        wrong += output[i] != expected[i];
    }}
    board_put((uint8_t)(wrong == 0 ? '1' : '0'));
    for (; ticks > 0; ticks /= 10) {{
        board_put((uint8_t)('0' + ticks % 10)); /* the last digit first */
    }}
    return wrong != 0;
}}
"""


def test_yuyv_is_opencvs(recorded):
    with np.load(recorded / "pictures.npz") as archive:
        found = unpacked(archive["yuyv/x"], Frame(12, 20, "yuyv"))
        np.testing.assert_array_equal(found, archive["yuyv/rgb"])


def test_every_layout_has_its_colours():
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    for layout, data in {
        "rgb888": [*red, *green, *blue],
        "bgr888": [0, 0, 255, 0, 255, 0, 255, 0, 0],
        "rgb565": [0x00, 0xF8, 0xE0, 0x07, 0x1F, 0x00],
        "rgb565_swapped": [0xF8, 0x00, 0x07, 0xE0, 0x00, 0x1F],
    }.items():
        assert unpacked(np.array(data), Frame(1, 3, layout)).tolist() == [[list(red), list(green), list(blue)]]
    assert unpacked(np.array([7, 8]), Frame(1, 2, "grey")).tolist() == [[[7], [8]]]


def eye(picture, shape, dtype):
    """Return a network that hands its picture on."""
    size = int(np.prod(shape))
    buffers = {"x": p.Buffer("x", shape, dtype, 0.01, 5), "y": p.Buffer("y", (1, 1, size), dtype, 0.01, 5)}
    steps = (p.Reshape("copy", ("x",), "y"),)
    model = p.Program("eye", "eye.tflite", "made", False, buffers, {}, steps, ("x",), ("y",), {"x": shape, "y": (size,)})
    return edgebn.prepare(model, image=picture)


def in_c(picture, shape, dtype, folder, board, flags=(), seed=0):
    """Emit the network, hand it a frame, compare its input; return the ticks."""
    frame, model = picture.frame, eye(picture, shape, dtype)
    data = np.random.default_rng(seed).integers(0, 256, frame.height * frame.width * BYTES[frame.layout]).astype(np.uint8)
    expected = pictured(unpacked(data, frame), picture, model.buffers["x"])
    shutil.rmtree(folder, ignore_errors=True)
    project = codegen.emit(model, folder, board=board.name, name="eye")
    element = {"int8": "int8_t", "float32": "float"}[dtype]
    arrays = [CArray("frame", "uint8_t", data, ""), CArray("expected", element, expected, "")]
    text = declarations(arrays) + "\n".join(definition(array) for array in arrays)
    (folder / "self_test.c").write_text(MAIN.format(arrays=text, element=element, size=expected.size))
    ended = emulator.run(board, emitted.build(project, board, trace=False, flags=flags), timeout=600)
    assert (ended.status, ended.output[:1]) == (0, b"1"), ended
    return int(ended.output[:0:-1] or b"0")


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("layout", BYTES)
def test_c_gives_the_same_bytes(layout, resize, tmp_path):
    board = emitted.board_or_skip("host")
    number = [*BYTES].index(layout) + RESIZES.index(resize)
    colours, fit = [*COLOURS][number % 3], FITS[(number // 3 + number) % 3]
    channels = COLOURS[colours]
    scale, offset = ((0.01,), (-1.28,)) if number % 2 else ((0.01, 0.02, 0.03)[:channels], (-1.0, 0.0, 1.0)[:channels])
    for height, width in ((21, 34), (5, 6))[: 1 if number % 3 else 2]:
        picture = Picture(colours, resize, fit, 114, scale, offset, Frame(height, width, layout))
        dtype = ("int8", "float32")[number % 5 == 0]
        in_c(picture, (12, 10, channels), dtype, tmp_path / "out", board, SANITIZERS, seed=number)


@pytest.mark.parametrize("resize", ["bilinear", "area"])
@pytest.mark.parametrize("name", CORES)
def test_every_core_gives_the_same_bytes(name, resize, tmp_path):
    board = emitted.board_or_skip(name)
    picture = Picture("rgb", resize, "letterbox", 114, (0.01,), (-1.28,), Frame(60, 80, "rgb565"))
    in_c(picture, (24, 24, 3), "int8", tmp_path / "out", board)


@pytest.mark.parametrize("frame", [Frame(0, 4), Frame(4, 9000), Frame(4, 5, "yuyv"), Frame(4, 4, "cmyk")])
def test_what_is_no_frame_is_refused(frame):
    with pytest.raises(ModelError, match="a frame's"):
        eye(Picture(frame=frame), (4, 4, 3), "int8")


def test_the_command_keeps_the_frame(tmp_path, capsys):
    edgebn.save(eye(Picture(), (4, 4, 3), "int8"), tmp_path / "plain.edgebn")
    command = ["prepare", str(tmp_path / "plain.edgebn"), "--image", "rgb", "-o", str(tmp_path / "eye.edgebn"), "--frame"]
    assert main([*command, "320x240:rgb565"]) == 0
    assert edgebn.load(tmp_path / "eye.edgebn").preparation.before.frame == Frame(240, 320, "rgb565")
    for wrong in ("320x240", "320:rgb565", "0x4:rgb565", "4x4:cmyk"):
        assert main([*command, wrong]) == 2
    capsys.readouterr()
