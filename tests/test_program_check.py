"""The check that every program passes before it leaves the passes: good programs do, and no kind of damage gets through."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgebn
from edgebn import layers as nn
from edgebn import program as p
from edgebn.errors import ModelError
from edgebn.graph import GraphBuilder
from edgebn.passes import lower
from edgebn.passes.lowering import fuse_pool
from edgebn.program_check import check_program
from tests.programs import programs

MOVERS = (p.Crop, p.Pad, p.Resize, p.Transpose, p.Reshape)
replace = dataclasses.replace


def with_buffer(program, which, **changes):
    return replace(program, buffers=program.buffers | {which: replace(program.buffers[which], **changes)})


def with_step(program, place, step):
    return replace(program, steps=(*program.steps[:place], step, *program.steps[place + 1 :]))


def values(program):
    return [name for name in program.buffers if name not in program.constants]


def codes(program):
    return [name for name, buffer in program.buffers.items() if buffer.dtype == "int8"]


def free_to_have_any_shape(program, *kinds):
    """Values inside the program whose shape is what says how much a step of one of these kinds does."""
    return {step.output for step in program.steps if isinstance(step, kinds)} - set(program.outputs)


# Each gives every program that one kind of damage makes of a good one.


def grown(program):
    """One row, column or channel more than its maker makes."""
    for name, axis in itertools.product(values(program), range(3)):
        if name in free_to_have_any_shape(program, p.Crop):
            continue
        shape = list(program.buffers[name].shape)
        shape[axis] += 1
        yield with_buffer(program, name, shape=tuple(shape))


def turned(program):
    """Axes in another order: what a lost transpose leaves behind."""
    for name, order in itertools.product(values(program), ((1, 0, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1))):
        shape = program.buffers[name].shape
        free = name in free_to_have_any_shape(program, p.Crop, p.Reshape)
        if not free and tuple(shape[axis] for axis in order) != shape:
            yield with_buffer(program, name, shape=tuple(shape[axis] for axis in order))


def declared_otherwise(program):
    for name in (*program.inputs, *program.outputs):
        shape = p.hwc(program.shapes[name])
        for other in ((*shape, 2), shape[::-1], None):
            if other is None:
                yield replace(program, shapes={key: value for key, value in program.shapes.items() if key != name})
            elif p.hwc(other) != shape:
                yield replace(program, shapes=program.shapes | {name: other})


def missing(program):
    for name in program.buffers:
        yield replace(program, buffers={key: buffer for key, buffer in program.buffers.items() if key != name})


def misnamed(program):
    for name in program.buffers:
        yield with_buffer(program, name, name="another")


def scaled_wrongly(program):
    for name, scale in itertools.product(codes(program), (0.0, -0.1, float("nan"), float("inf"))):
        yield with_buffer(program, name, scale=scale)
    for name, zero_point in itertools.product(codes(program), (-129, 128)):
        yield with_buffer(program, name, zero_point=zero_point)


CONVERSIONS = (p.Quantize, p.Dequantize, p.Rescale, p.Cast, p.ArgExtreme)


def of_another_type(program):
    for name, dtype in itertools.product(program.buffers, ("float32", "int8", "int16", "")):
        readers = [step for step in program.steps if name in step.inputs]
        is_any = name in program.inputs and all(isinstance(step, p.ArgExtreme) for step in readers)
        # Codes of either width are made alike, and converted alike.
        made = any(isinstance(step, p.Quantize) and step.output == name for step in program.steps)
        is_free = made and dtype in ("int8", "int16") and all(isinstance(step, CONVERSIONS) for step in readers)
        if dtype != program.buffers[name].dtype and not is_free and not (is_any and dtype in ("float32", "int8")):
            yield with_buffer(program, name, dtype=dtype)


def rescaled(program):
    """Codes that mean something else behind a step that only moves them, or than its arithmetic ends in."""
    for step in program.steps:
        buffer = program.buffers[step.output]
        if buffer.dtype == "int8" and isinstance(step, MOVERS):
            yield with_buffer(program, step.output, scale=buffer.scale * 1.5)
        if buffer.dtype == "int8" and isinstance(step, (*MOVERS, p.Convolution, p.Affine, p.Add, p.Multiply, p.Softmax)):
            yield with_buffer(program, step.output, zero_point=buffer.zero_point + (1 if buffer.zero_point < 0 else -1))


def left_out(program):
    """A step whose output is needed."""
    needed = {name for step in program.steps for name in step.inputs} | set(program.outputs)
    for place, step in enumerate(program.steps):
        if step.output in needed:
            yield replace(program, steps=program.steps[:place] + program.steps[place + 1 :])


def out_of_order(program):
    for place, (first, second) in enumerate(itertools.pairwise(program.steps)):
        if first.output in second.inputs:
            yield replace(program, steps=(*program.steps[:place], second, first, *program.steps[place + 2 :]))


def misconnected(program):
    for place, step in enumerate(program.steps):
        yield with_step(program, place, replace(step, inputs=(*step.inputs[:-1], "nowhere")))
        yield with_step(program, place, replace(step, inputs=(*step.inputs, step.inputs[0], step.inputs[0])))
        yield with_step(program, place, replace(step, inputs=()))
        yield with_step(program, place, replace(step, inputs=(step.output, *step.inputs[1:])))
        yield with_step(program, place, replace(step, output=program.inputs[0]))
        yield with_step(program, place, p.Step(step.name, step.inputs, step.output))
    yield replace(program, outputs=("nowhere",))
    yield replace(program, inputs=(*program.inputs, program.inputs[0]))
    yield replace(program, steps=(*program.steps, program.steps[0]))


def cut(program):
    """An array that is shorter than its channels, of another type, or holds no number."""
    for place, step in enumerate(program.steps):
        for holder in (step, getattr(step, "epilogue", None)):
            for field in dataclasses.fields(holder) if holder is not None else ():
                array = getattr(holder, field.name)
                if not isinstance(array, np.ndarray):
                    continue
                shorter = 0 if array.shape[-1] == 2 else -1  # one slope for all channels is no damage
                damaged = [array[..., :shorter], array.astype(np.float32 if array.dtype == np.float64 else np.float64)]
                if array.dtype.kind == "f":
                    damaged.append(np.full_like(array, np.nan))
                for other in damaged:
                    part = replace(holder, **{field.name: other})
                    yield with_step(program, place, part if holder is step else replace(step, epilogue=part))
    for name, array in program.constants.items():
        for other in (array[:, :, :-1], array.astype(np.float64)):
            yield replace(program, constants=program.constants | {name: other})


DAMAGES = (
    grown,
    turned,
    declared_otherwise,
    missing,
    misnamed,
    scaled_wrongly,
    of_another_type,
    rescaled,
    left_out,
    out_of_order,
    misconnected,
    cut,
)


@pytest.mark.parametrize("dtype", ["float32", "int8", "mixed"])
@given(data=st.data())
def test_no_damage_gets_through(dtype, data):
    program = data.draw(programs(dtype))
    check_program(program)
    for damage in DAMAGES:
        for number, damaged in enumerate(damage(program)):
            assert is_refused(damaged), f"{damage.__name__} {number}: {[repr(step)[:200] for step in damaged.steps]}"


def is_refused(program):
    try:
        check_program(program)
    except ModelError:
        return True
    return False


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_every_kind_of_damage_is_tried(damage):
    """The network below has a place for each."""
    program = small(edgebn.quantize if damage in (scaled_wrongly, rescaled) else None)
    assert sum(1 for _ in damage(program)) >= 2


def small_graph():
    builder = GraphBuilder("net", "net.onnx", "onnx", channels_first=True)
    x = builder.add_input("x", (3, 6, 5))
    weight = np.random.default_rng(0).normal(size=(4, 1, 1, 3)).astype(np.float32)
    x = builder.add(nn.Convolution("conv", (x,), "c", weight, channels_first=True))
    k = builder.add(nn.Constant("k", (), "k", np.arange(30, dtype=np.float32).reshape(6, 5) * 0.1))
    x = builder.add(nn.Add("sum", (x, k), "s"))
    x = builder.add(nn.Transpose("turn", (x,), "t", (0, 2, 1)))
    return builder.finish([builder.add(nn.Crop("crop", (x,), "y", (0, 1, 0), (4, 3, 6)))])


def small(quantizer=None):
    program = lower(small_graph())
    return program if quantizer is None else quantizer(program, np.random.default_rng(1).normal(size=(8, 6, 5, 3)))


@pytest.mark.parametrize("way", ["lower", "quantize"])
def test_a_fault_of_the_passes_names_file_and_step(way, monkeypatch):
    """Whatever way a program is made, a pass that spoils it is found out before anything runs."""
    good = small()

    def spoilt(program):
        return next(grown(program))

    monkeypatch.setattr(fuse_pool, "fuse_pools", spoilt)
    monkeypatch.setattr("edgebn.passes.fuse_pools", spoilt)
    made = {"lower": lambda: lower(small_graph()), "quantize": lambda: edgebn.quantize(good, np.ones((2, 6, 5, 3), np.float32))}
    with pytest.raises(ModelError, match=r"^net\.onnx: edgebn made a program that does not fit itself \(.*'.*'.*\)"):
        made[way]()
