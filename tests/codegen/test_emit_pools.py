"""Networks whose arena is spread over several memories: what goes where, what is refused, the bytes on a host and on two RAMs."""

import json
import subprocess

import numpy as np
import pytest

import boards
import codegen
import edgebn
from codegen import Pool
from codegen.emit import list_network
from codegen.pools import place
from edgebn.cli.main import main
from edgebn.errors import BoardError, UsageError
from edgebn.memory import Request
from edgebn.passes import lower
from tests import emitted
from tests.codegen.test_emit_instances import built, said
from tests.codegen.test_emit_names import convolution, several
from tests.codegen.test_systems import outputs
from tests.demo_model import demo_int8

EVERYTHING = 10**7


@pytest.fixture(scope="module")
def network():
    """Two inputs, two outputs, values that live long: five in several orders of use."""
    rng = np.random.default_rng(0)
    program = lower(several(["a", "b", "c", "d", "e"], ["x", "y"], ["p", "q"]))
    samples = {name: rng.standard_normal((8, 6, 6, 3)).astype(np.float32) for name in program.inputs}
    return edgebn.quantize(program, samples)


def test_what_is_used_most_goes_to_the_fast_memory():
    requests = [Request("cold", 80, 0, 3), Request("hot", 80, 0, 3), Request("work", 80, 1, 1)]
    found = place(requests, {"work": "layer"}, {"cold": 100, "hot": 900}, [Pool("fast", 160), Pool("slow", 200)])
    assert found.pool == {"work": 0, "hot": 0, "cold": 1}
    assert [(filled.taken, filled.traffic) for filled in found.filled] == [(160, 900), (80, 100)]
    assert [filled.scratch for filled in found.filled] == [("layer",), ()]


def test_windows_read_what_they_overlap(network):
    """A 3 x 3 convolution with padding reads each element nine times, and its output is written once."""
    one = convolution()
    (filled,) = list_network(one, pools=[Pool("all", EVERYTHING)]).arena.pools
    x, y = (int(np.prod(one.buffers[name].shape)) for name in (one.inputs[0], one.outputs[0]))
    assert filled.traffic == 9 * x + y


def test_where_the_use_of_values_leaves_no_place_the_largest_go_first():
    """By use the small one would take the only memory that holds the large one."""
    requests = [Request("large", 96, 0, 1), Request("small", 16, 0, 1)]
    found = place(requests, {}, {"large": 96, "small": 160}, [Pool("fast", 100), Pool("slow", 20)])
    assert found.pool == {"large": 0, "small": 1}


@pytest.mark.parametrize(("sizes", "why"), [((40, 64), "128 bytes at once$"), ((40, 100), "cut in two")])
def test_what_finds_no_place_is_named(sizes, why):
    requests = [Request("large", 64, 0, 1), Request("other", 64, 0, 1)]
    pools = [Pool("fast", sizes[0]), Pool("slow", sizes[1])]
    with pytest.raises(BoardError, match=rf"other' of 64 bytes .*fast {sizes[0]}, slow {sizes[1]} bytes.*{why}"):
        place(requests, {}, {}, pools)


def test_no_pool_is_larger_than_it_may_be_and_nothing_is_lost(network):
    whole = list_network(network).arena
    for fast in (1, 64, 200, 500, whole.size // 2, whole.size - 4, whole.size):
        arena = list_network(network, pools=[Pool("fast", fast), Pool("slow", whole.size)]).arena  # overlaps are checked there
        assert all(filled.taken <= filled.size for filled in arena.pools)
        assert set(arena.pool) == set(arena.offsets) == set(whole.offsets)
    assert [filled.taken for filled in arena.pools] == [whole.size, 0]


@pytest.mark.parametrize("pools", [[("Fast", 9)], [("fast", 0)], [("fast", 9), ("fast", 9)], [("averylongname", 9)], [("", 9)]])
def test_pools_that_nobody_can_have_are_refused(pools, network, tmp_path):
    with pytest.raises(UsageError, match="pool"):
        codegen.emit(network, tmp_path, pools=[Pool(*pool) for pool in pools])


def test_parameters_alone_have_no_pools(network, tmp_path):
    with pytest.raises(UsageError, match="params_only"):
        codegen.emit(network, tmp_path, pools=[Pool("fast", 9)], params_only=True)


INSTANCES = """#include <stdio.h>

#include "net.h"

static union net_fast fast[2];
static union net_slow slow[2];

int main(void) {
    static int8_t inputs[2][NET_INPUT_SIZE], answers[3][NET_OUTPUT_SIZE];
    struct net instances[2];
    int i;

    if (fread(inputs, 1, sizeof inputs, stdin) != sizeof inputs) {
        return 2;
    }
    net_init();
    for (i = 0; i < 2; i++) {
        net_init_with(&instances[i], &fast[i], &slow[i]);
        memcpy(net_input_of(&instances[i]), inputs[i], sizeof inputs[i]);
    }
    for (i = 0; i < 2; i++) { /* the second's input stood while the first ran */
        net_run_with(&instances[i], net_input_of(&instances[i]), answers[i]);
    }
    net_run(inputs[0], answers[2]);
    return fwrite(answers, 1, sizeof answers, stdout) != sizeof answers;
}
"""


def test_instances_have_a_part_in_each_pool(tmp_path):
    one = convolution()
    whole = list_network(one).arena.size
    pools = [Pool("fast", whole // 2), Pool("slow", whole)]
    codegen.emit(one, tmp_path, name="net", pools=pools, instances=True)
    codes = emitted.draw_codes(one, 2)
    program = built(tmp_path, "#include <string.h>\n" + INSTANCES, "-fsanitize=address,undefined")
    first, second = outputs(one, codes).astype(np.int8)
    assert said(program, codes.tobytes()) == first.tobytes() + second.tobytes() + first.tobytes()


def test_instances_in_two_rams_of_a_board_give_the_references_bytes(tmp_path):
    """The network's own, whose parts the linker script places; every layer is compared."""
    program, board = demo_int8(), emitted.board_or_skip("mps2-an386")
    pools = [Pool("fast", list_network(program).arena.size // 2), Pool("slow")]
    project = codegen.emit(program, tmp_path, board.name, name="net", pools=pools, instances=True)
    told = emitted.outcome(board, emitted.build(project, board, trace=True))
    assert (told.status, told.differ) == (0, 0), told.text


@pytest.mark.parametrize("fast", [1, 200, EVERYTHING])
def test_a_host_gives_the_references_bytes(fast, network, tmp_path):
    project = codegen.emit(network, tmp_path, name="net", pools=[Pool("fast", fast), Pool("slow", EVERYTHING)])
    board = emitted.board_or_skip("host")
    told = emitted.outcome(board, emitted.build(project, board, trace=True, flags=["-fsanitize=address,undefined"]))
    assert (told.status, told.differ) == (0, 0), told.text
    taken = [filled.taken for filled in project.pools]
    assert sum(taken) == project.arena_bytes
    assert (taken[0] == 0) == (fast == 1)


def test_a_part_goes_into_a_section_of_theirs(network, tmp_path):
    codegen.emit(network, tmp_path, name="net", pools=[Pool("fast", 200), Pool("slow", EVERYTHING)])
    emitted.board_or_skip("host")
    section = '-DNET_ARENA_FAST_MEMORY=__attribute__((section(".dtcm")))'
    subprocess.run(["gcc", "-std=c99", "-c", section, "net.c", "-o", "net.o"], cwd=tmp_path, check=True)
    told = subprocess.run(["objdump", "-t", "net.o"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in told.splitlines() if ".dtcm" in line and "net_" in line] == ["net_arena_fast"]


def test_two_rams_of_a_board_give_the_references_bytes(tmp_path):
    program, board = demo_int8(), emitted.board_or_skip("mps3-an547")
    samples = emitted.draw_codes(program, 1)
    whole = list_network(program).arena.size
    pools = [Pool("fast", whole // 2), Pool("slow", whole)]
    project = codegen.emit(program, tmp_path, board.name, name="net", samples=samples, pools=pools)
    elf = emitted.build(project, board, trace=True)
    told = subprocess.run(["arm-none-eabi-nm", elf], capture_output=True, text=True, check=True).stdout
    places = {name: int(address, 16) for address, _, name in (line.split() for line in told.splitlines())}
    fast, ram = board.pools["fast"], board.ram
    assert fast.origin <= places["net_arena_fast"] < fast.origin + fast.size
    assert ram.origin <= places["net_arena_slow"] < ram.origin + ram.size
    told = emitted.outcome(board, elf)
    assert (told.status, told.differ) == (0, 0), told.text


def test_a_pool_that_a_boards_memory_cannot_hold_is_refused(monkeypatch, tmp_path):
    program = demo_int8()
    whole = list_network(program).arena.size
    board = boards.load("mps3-an547")
    board.pools["fast"] = boards.Memory(0, whole - 8)
    monkeypatch.setattr(boards, "load", lambda name: board)
    with pytest.raises(BoardError, match=f"in the pool fast, and that memory has {whole - 8:,}"):
        codegen.emit(program, tmp_path, "mps3-an547", pools=[Pool("fast", whole)])


def test_the_commands_show_what_went_where(tmp_path, capsys):
    model = tmp_path / "net.edgebn"
    edgebn.save(demo_int8(), model)
    options = ["--pool", "fast=3000", "--pool", f"slow={EVERYTHING}", "--json"]
    assert main(["analyze", str(model), *options]) == 0
    shown = json.loads(capsys.readouterr().out)["pools"]
    assert main(["generate", str(model), "-o", str(tmp_path / "out"), "--instances", *options]) == 0
    assert json.loads(capsys.readouterr().out)["pools"] == shown
    assert [filled["name"] for filled in shown] == ["fast", "slow"]
    assert 0 < shown[0]["taken"] <= 3000
    assert main(["analyze", str(model), "--pool", "fast=3000"]) == 1
    assert "has no place left in the pools (fast 3,000 bytes)" in capsys.readouterr().err
    assert main(["analyze", str(model), "--pool", "fast"]) == 2
