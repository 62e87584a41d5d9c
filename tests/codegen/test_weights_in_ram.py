"""Weights that are copied to RAM when a network begins: which, where to, what is refused; the same bytes everywhere."""

import json
import re
import subprocess

import numpy as np
import pytest

import codegen
import edgebn
from codegen import Pool
from codegen.emit import list_network
from codegen.packages import SYSTEMS
from edgebn.cli.main import main
from edgebn.errors import BoardError, ModelError, UsageError
from edgebn.program import Convolution
from tests import emitted
from tests.codegen import system_builds
from tests.codegen.test_emit_instances import built, said
from tests.codegen.test_emit_names import convolution
from tests.codegen.test_systems import SHOWN, outputs
from tests.demo_model import demo_int8

PLENTY = 10**6


def weighted(program):
    return [step.name for step in program.steps if isinstance(step, Convolution)]


def test_what_is_copied_and_read():
    """A layer's weights and epilogue, each read once for every output position."""
    one = convolution()
    (layer,) = weighted(one)
    found = list_network(one, in_ram=[layer]).in_ram
    rows, columns, _ = one.buffers[one.outputs[0]].shape
    held = sum(array.nbytes for array in found.arrays)
    assert held >= one.steps[0].weight.size
    assert (found.layers, found.pool, found.traffic) == ((layer,), None, held * rows * columns)
    assert held <= found.bytes < held + 8 * len(found.arrays)


def test_auto_takes_what_is_read_most_as_far_as_the_fastest_pool_has_room():
    program = demo_int8()
    arena = list_network(program).arena.size
    before = None
    for left in (0, 1_400, 3_000, 22_000, PLENTY):
        found = list_network(program, pools=[Pool("fast", arena + left), Pool("slow", arena)], in_ram="auto").in_ram
        taken = [] if found is None else list(found.layers)
        assert found is None or (found.pool == "fast" and found.bytes <= left)
        assert before is None or len(taken) >= len(before)
        before = taken
    assert before == weighted(program)
    first = list_network(program, pools=[Pool("fast", arena + 1_400), Pool("slow", arena)], in_ram="auto").in_ram
    positions = {step.name: np.prod(program.buffers[step.output].shape[:2]) for step in program.steps}
    assert positions[first.layers[0]] == max(positions[name] for name in weighted(program))


def test_weights_go_to_the_fastest_pool_that_has_room():
    program = demo_int8()
    arena = list_network(program).arena.size
    wanted = weighted(program)
    needed = list_network(program, in_ram=wanted).in_ram.bytes
    pools = [Pool("fast", arena + needed - 1), Pool("slow", needed)]
    assert list_network(program, pools=pools, in_ram=wanted).in_ram.pool == "slow"
    with pytest.raises(BoardError, match=f"take {needed:,} bytes, and no pool has as much left beside the arena .fast"):
        list_network(program, pools=[pools[0], Pool("slow", needed - 1)], in_ram=wanted)


def test_what_nobody_can_copy_is_refused(tmp_path):
    program = demo_int8()
    without = next(step.name for step in program.steps if not isinstance(step, Convolution))
    for wanted, why in (("nothing", "is no layer of this network"), (without, "has no weights")):
        with pytest.raises(ModelError, match=f"'{wanted}' {why}; those with weights: {weighted(program)[0]}"):
            codegen.emit(program, tmp_path, weights_in_ram=[wanted])
    with pytest.raises(UsageError, match="name pools too, or layers"):
        codegen.emit(program, tmp_path, weights_in_ram="auto")
    with pytest.raises(UsageError, match="params_only"):
        codegen.emit(program, tmp_path, weights_in_ram=weighted(program), params_only=True)
    assert not list(tmp_path.iterdir())


def test_a_board_must_have_room_for_copies(tmp_path):
    """The board's RAM less what is needed without them: one layer's copies are too much."""
    program, board = demo_int8(), emitted.board_or_skip("microbit")
    taken = list_network(program).arena.size + board.stack
    wanted = weighted(program)
    assert taken + list_network(program, in_ram=wanted).in_ram.bytes > board.ram.size
    with pytest.raises(BoardError, match="of weights"):
        codegen.emit(program, tmp_path, "microbit", weights_in_ram=wanted)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_layout_gives_the_references_bytes(system, tmp_path):
    network = convolution()
    codegen.emit(network, tmp_path / "one", name="one", system=system, weights_in_ram=weighted(network))
    (listing,) = (tmp_path / "one").rglob("one.c")
    assert re.findall(r"\bone_\w+_weights\b", listing.read_text())[1:] == []  # of the constants nothing is left but their copying
    program = system_builds.PROGRAMS[system](tmp_path / "one", "answer")
    codes = emitted.draw_codes(network, 2)
    assert system_builds.answers(program, codes) == outputs(network, codes)[:, :SHOWN].tolist()


@pytest.mark.parametrize("name", ["mps2-an386", "mps3-an547"])
def test_cores_give_the_references_bytes(name, tmp_path):
    """Copies in the fast memory, which start-up code does not fill; every layer is compared."""
    program, board = demo_int8(), emitted.board_or_skip(name)
    whole = list_network(program).arena.size
    pools = [Pool("fast"), Pool("slow", whole)] if name == "mps3-an547" else []
    wanted = "auto" if pools else weighted(program)
    project = codegen.emit(program, tmp_path, board.name, name="net", pools=pools, weights_in_ram=wanted)
    assert project.weights_in_ram.layers == tuple(weighted(program))
    elf = emitted.build(project, board, trace=True)
    symbols = subprocess.run(["arm-none-eabi-nm", elf], capture_output=True, text=True, check=True).stdout
    places = {symbol: int(address, 16) for address, _, symbol in (line.split() for line in symbols.splitlines())}
    memory = board.pools["fast"] if pools else board.ram
    assert memory.origin <= places["net_in_ram"] < memory.origin + memory.size
    told = emitted.outcome(board, elf)
    assert (told.status, told.differ) == (0, 0), told.text


def test_a_memory_that_holds_weights_alone_is_switched_on(tmp_path):
    """PSRAM, which ESP-IDF wants told, where the arena is all in the RAM of the chip."""
    program = demo_int8()
    arena = list_network(program).arena.size
    codegen.emit(
        program,
        tmp_path,
        "esp32-s3",
        name="net",
        system="esp-idf",
        pools=[Pool("fast", arena), Pool("slow")],
        weights_in_ram=weighted(program),
    )
    assert "section(" in (tmp_path / "src/net.c").read_text().split("struct {")[0]
    assert "CONFIG_SPIRAM=y" in (tmp_path / "examples/answer/sdkconfig.defaults").read_text()


def test_copies_cost_no_instructions(tmp_path):
    program, board = demo_int8(), emitted.board_or_skip("mps2-an386")
    counts = []
    for wanted in ((), weighted(program)):
        project = codegen.emit(program, tmp_path / str(len(wanted)), board.name, name="net", weights_in_ram=wanted)
        counts.append(emitted.outcome(board, emitted.build(project, board, trace=False)).ticks)
    assert counts[1] <= 1.001 * counts[0]


def test_an_adapting_network_reads_copies(adapting_demo, tmp_path):
    board = emitted.board_or_skip("host")
    program = adapting_demo[0]
    project = codegen.emit(program, tmp_path, name="net", adapt=True, weights_in_ram=weighted(program))
    told = emitted.outcome(board, emitted.build(project, board, trace=True, flags=["-fsanitize=address,undefined"]))
    assert (told.status, told.differ) == (0, 0), told.text


INSTANCES = """#include <stdio.h>

#include "net.h"

int main(void) {
    static int8_t inputs[2][NET_INPUT_SIZE], answers[2][NET_OUTPUT_SIZE];
    static struct net instances[2];
    int i;

    if (fread(inputs, 1, sizeof inputs, stdin) != sizeof inputs) {
        return 2;
    }
    for (i = 0; i < 2; i++) {
        net_init_with(&instances[i]);
        net_run_with(&instances[i], inputs[i], answers[i]);
    }
    return fwrite(answers, 1, sizeof answers, stdout) != sizeof answers;
}
"""


def test_instances_share_the_copies(tmp_path):
    one = convolution()
    codegen.emit(one, tmp_path, name="net", instances=True, weights_in_ram=weighted(one))
    codes = emitted.draw_codes(one, 2)
    for flags in ("-fsanitize=address,undefined", "-DNET_NO_MEMORY"):
        program = built(tmp_path, INSTANCES, flags)
        assert said(program, codes.tobytes()) == outputs(one, codes).astype(np.int8).tobytes()


def test_the_commands_show_what_is_copied(tmp_path, capsys):
    model = tmp_path / "net.edgebn"
    edgebn.save(demo_int8(), model)
    options = ["--weights-in-ram", ",".join(weighted(demo_int8())[:2]), "--json"]
    assert main(["analyze", str(model), *options]) == 0
    shown = json.loads(capsys.readouterr().out)["weights_in_ram"]
    assert shown["layers"] == weighted(demo_int8())[:2]
    assert main(["generate", str(model), "-o", str(tmp_path / "out"), *options]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["weights_in_ram"] == shown
    assert told["ram_bytes"] == told["arena_bytes"] + shown["bytes"]
    assert main(["analyze", str(model), "--weights-in-ram", "auto"]) == 2
    capsys.readouterr()
    assert main(["analyze", str(model), "--pool", "fast=90000", "--weights-in-ram", "auto"]) == 0
    assert "weights in pool fast: " in capsys.readouterr().out
    assert main(["generate", str(model), "-o", str(tmp_path / "p"), "--params-only", "--weights-in-ram", "conv"]) == 2
