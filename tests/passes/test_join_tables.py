"""int8 chains of values that follow from one code become one table, with the bytes of the steps they stood for."""

from dataclasses import replace

import numpy as np
import pytest

from edgebn import passes, reference
from edgebn import program as p
from tests.programs import Maker, inputs_for

SHAPE = (20, 30, 5)


class Steps:
    """A program in the making, of steps with random arithmetic."""

    def __init__(self):
        self.maker = Maker(None, "int8", np.random.default_rng(0))
        self.x = self.maker.buffer(SHAPE)

    def add(self, step, *inputs, **settings):
        output = self.maker.buffer(SHAPE)
        self.maker.steps.append(step(f"step{len(self.maker.steps)}", inputs, output, **settings))
        return output

    def table(self, x, tables=1):
        return self.add(p.Lookup, x, table=self.maker.rng.integers(-128, 128, (tables, 256)).astype(np.int8))

    def product(self, *operands):
        how = p.IntMultiply(3 << 25, (1 << 35) + (1 << 30), 36, neg=True, zero_point=-7, qmin=-120, qmax=127)
        return self.add(p.Multiply, *operands, arithmetic=how)

    def slope(self):
        return self.maker.constant((1, 1, SHAPE[2]))

    def program(self, *outputs):
        return self.maker.program((self.x,), outputs)


def joined(program):
    """Return the program with its tables joined, after comparing every buffer that is left with the specification's value."""
    found = passes.join_tables(program, reference.run_step)
    for seed in range(2):
        x = inputs_for(program, 1, seed)[0]
        before, after = (reference.run_steps(one, {one.inputs[0]: x}) for one in (program, found))
        for name in found.buffers:
            assert np.array_equal(before[name], after[name]), name
    return found


def test_a_value_times_its_function_is_one_table():
    steps = Steps()
    found = joined(steps.program(steps.product(steps.x, steps.table(steps.x))))
    assert [type(step) for step in found.steps] == [p.Lookup]
    assert found.steps[0].inputs == found.inputs
    assert found.steps[0].table.shape == (1, 256)


def test_products_with_constants_by_channel_are_tables_by_channel():
    steps = Steps()
    scaled = steps.product(steps.table(steps.x), steps.slope())
    found = joined(steps.program(steps.product(scaled, steps.x)))
    (only,) = found.steps
    assert only.table.shape == (SHAPE[2], 256)
    assert set(found.buffers) == {found.inputs[0], found.outputs[0]}


def test_a_table_larger_than_what_it_fills_is_not_made():
    steps = Steps()
    program = steps.program(steps.product(steps.x, steps.slope()))
    small = (2, 3, SHAPE[2])
    buffers = {
        name: buffer if name in program.constants else replace(buffer, shape=small) for name, buffer in program.buffers.items()
    }
    shapes = dict.fromkeys(program.shapes, small)
    little = replace(program, buffers=buffers, shapes=shapes)
    assert passes.join_tables(little, reference.run_step) is little


def test_what_others_read_or_leaves_stays():
    steps = Steps()
    middle = steps.table(steps.x)
    last = steps.product(middle, steps.x)
    found = joined(steps.program(middle, last))
    assert [step.output for step in found.steps] == [middle, last]
    assert all(isinstance(step, p.Lookup) and step.inputs == (steps.x,) for step in found.steps)


def test_values_of_two_sources_stay_apart():
    steps = Steps()
    other = steps.maker.constant(SHAPE)
    program = steps.program(steps.product(steps.x, other))
    assert passes.join_tables(program, reference.run_step) is program


@pytest.mark.parametrize("tables", [1, SHAPE[2]])
def test_tables_in_a_row_are_one(tables):
    steps = Steps()
    found = joined(steps.program(steps.table(steps.table(steps.x, tables))))
    (only,) = found.steps
    assert only.table.shape == (tables, 256)


def test_records_say_where_layers_went():
    steps = Steps()
    program = steps.program(steps.product(steps.x, steps.table(steps.x)))
    records = tuple(p.LayerRecord(step.name, "any", SHAPE, 0, 0, step.name, "a step of its own") for step in program.steps)
    found = joined(replace(program, records=records))
    assert [record.step for record in found.records] == ["step1", "step1"]
    assert found.records[0].became == "in the table of step1"
