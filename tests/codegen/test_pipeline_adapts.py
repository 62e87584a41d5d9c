"""Adaptation behind the whole way in C: `<name>_answer`, then learning; answers and state those of `edgebn.Pipeline`."""

import shutil

import numpy as np
import pytest

import codegen
import edgebn
from boards import emulator
from codegen.constants import declarations, definition
from codegen.stepcode import CArray
from edgebn.preparation.data import Frame, Picture
from tests import emitted
from tests.codegen.test_pipeline_in_c import SANITIZERS
from tests.conftest import TEST_ALL
from tests.demo_model import demo_images, demo_int8

FRAMES = 60
MAIN = """
#include "board/board.h"
#include "eye.h"
#include "eye_answer.h"
#include "eye_picture.h"

#include <string.h>

{arrays}
static uint8_t learned[EYE_STATE_BYTES];

int main(void) {{
    int32_t i, wrong = 0;
    edgebn_found found[EYE_ANSWERS];

    eye_init();
    for (i = 0; i < {frames}; i++) {{
        wrong += eye_answer(frames + i * EYE_FRAME_BYTES, found) != EYE_ANSWERS || found[0].index != classes[i];
        wrong += found[0].score < scores[i] || found[0].score > scores[i];
        (void)eye_adapt();
    }}
    eye_state_get(learned);
    wrong += sizeof learned != sizeof state || memcmp(learned, state, sizeof learned) != 0;
    board_put((uint8_t)(wrong == 0 ? '1' : '0'));
    return wrong != 0;
}}
"""


@pytest.fixture(scope="module")
def learner():
    """The demo's network, made adaptable, with a camera before it; frames of another world, and what Python makes of them."""
    images, _ = demo_images()
    frame = Frame(30, 41, "grey")
    model = edgebn.adaptable(demo_int8(), images[:100])
    picture = Picture("grey", fit="crop", scale=(1 / 255,), frame=frame)
    model = edgebn.prepare(model, image=picture, labels=[str(one) for one in range(10)])
    frames = np.zeros((FRAMES, frame.height, frame.width, 1), np.uint8)
    frames[:, 1:29, 6:34] = images[200 : 200 + FRAMES] * 255 * 0.3
    pipeline, still = edgebn.Pipeline(model, adapt=True), edgebn.Pipeline(model)
    answers = [pipeline(pixels)[0] for pixels in frames]
    assert pipeline.adapter.report().accepted > 0
    assert answers != [still(pixels)[0] for pixels in frames], "a stream that changes no answer shows nothing"
    return model, frames, answers, pipeline.adapter.to_bytes()


@pytest.mark.parametrize("name", ["host", "mps2-an386", "qemu-riscv32-virt"] if TEST_ALL else ["host", "mps2-an386"])
def test_it_learns_what_python_learns(name, learner, tmp_path):
    board = emitted.board_or_skip(name)
    model, frames, answers, state = learner
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    project = codegen.emit(model, tmp_path / "out", board=name, name="eye", pipeline=True, adapt=True)
    arrays = [
        CArray("frames", "uint8_t", frames, ""),
        CArray("classes", "int32_t", np.array([one.index for one in answers], np.int32), ""),
        CArray("scores", "float", np.array([one.score for one in answers], np.float32), ""),
        CArray("state", "uint8_t", np.frombuffer(state, np.uint8), ""),
    ]
    text = declarations(arrays) + "\n".join(definition(array) for array in arrays)
    (project.folder / "self_test.c").write_text(
        MAIN.replace("{arrays}", "{{arrays}}").format(frames=FRAMES).replace("{arrays}", text)
    )
    flags = SANITIZERS if name == "host" else ()
    ended = emulator.run(board, emitted.build(project, board, trace=False, flags=flags), timeout=600)
    assert (ended.status, ended.output[:1]) == (0, b"1"), ended
