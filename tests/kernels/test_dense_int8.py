"""Dense layers of codes of one sample: byte for byte the reference's, whatever 16 bits hold, and only where they are faster."""

from dataclasses import replace

import numpy as np
import pytest

from edgebn.doctor.self_test import sharing_everything
from edgebn.kernels import executor, isa, tile_shapes
from edgebn.session import Session
from tests.programs import inputs_for
from tests.test_contract import assert_equals_reference, convolution_program

HAS_KERNEL = "dense_i8" in executor.operations()  # the same holds for what stands in its place elsewhere


def layer(depth, outputs, seed=0, sides=(1, 1)):
    """Return a program of one dense layer over a whole map."""
    channels = depth // (sides[0] * sides[1])
    return convolution_program((channels, outputs, 1, sides, (1, 1), (1, 1), (0, 0, 0, 0), *sides), "int8", seed)


def operations(program):
    return {row.operation for row in Session(program)._packed._packer.rows}


def with_weight(program, weight):
    (step,) = program.steps
    return replace(program, steps=(replace(step, weight=weight.astype(np.int8)),))


# Depths that fill turns of the loop or leave any rest; outputs that fill blocks or reach into the next.
SIZES = [
    (32, 128),
    (33, 128),
    (63, 70),
    (64, 65),
    (95, 48),
    (100, 41),
    (127, 33),
    (128, 40),
    (129, 200),
    (640, 8),
    (1000, 5),
    (4100, 1),
]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("depth", "outputs"), SIZES)
def test_it_equals_the_reference(depth, outputs, threads):
    for seed in range(3):
        program = layer(depth, outputs, seed)
        assert ("dense_i8" in operations(program)) == HAS_KERNEL
        with sharing_everything():
            assert_equals_reference(program, inputs_for(program, 2, seed), threads)


def test_a_map_is_one_run():
    program = layer(5 * 7 * 4, 64, sides=(5, 7))
    assert ("dense_i8" in operations(program)) == HAS_KERNEL
    assert_equals_reference(program, inputs_for(program, 2))


@pytest.mark.parametrize("code", [-128, 127])
@pytest.mark.parametrize("weights", ["least", "greatest", "in turn", "in pairs"])
def test_the_largest_sums_are_exact(weights, code):
    """255 times -128, twice and more, is far beyond 16 bits, in which products are summed first."""
    program = layer(256, 40)
    patterns = {"least": [-128], "greatest": [127], "in turn": [-128, 127], "in pairs": [127, 127, -128, -128]}
    program = with_weight(program, np.resize(patterns[weights], program.steps[0].weight.shape))
    # Smaller gains, so that most of the sums are within what codes hold.
    epilogue = program.steps[0].epilogue
    program = replace(program, steps=(replace(program.steps[0], epilogue=replace(epilogue, s=epilogue.s + np.uint8(4))),))
    x = np.full_like(inputs_for(program, 1), code)
    assert_equals_reference(program, np.concatenate([x, inputs_for(program, 2)]))


@pytest.mark.parametrize("depth", [31, 16, 3])
def test_what_fills_no_turn_is_left_to_tiles(depth):
    program = layer(depth, 4096)
    assert "dense_i8" not in operations(program)
    assert_equals_reference(program, inputs_for(program, 1))


def test_few_weights_are_left_to_tiles():
    assert "dense_i8" not in operations(layer(64, 10))


def test_only_products_of_pairs_in_16_registers_have_it():
    assert [one.name for one in isa.INSTRUCTION_SETS if tile_shapes.int8_dense_widths(one)] == ["avx2"]


@pytest.mark.skipif(not HAS_KERNEL, reason="written for another instruction set")
@pytest.mark.parametrize("index", range(3))
def test_no_sum_leaves_its_register(index):
    """What LLVM reorders at will it keeps in memory: half as fast."""
    from edgebn.kernels import dense_int8
    from tests.kernels import machine_code

    writer = dense_int8.Int8Dense(isa.SELECTED)
    text = machine_code.assembly(writer, writer.variants[index], isa.SELECTED, machine_code.X86, "x86-64")
    (loop,) = [body for body in machine_code.innermost_loops(text) if "vpmaddubsw" in body]
    assert loop.count("vpmaddubsw") == 2 * tile_shapes.DENSE_INPUTS // 4 * writer.variants[index]
    assert "(%rsp)" not in loop
