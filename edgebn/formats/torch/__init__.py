"""Reads PyTorch modules and exported programs (.pt2), batch norms kept apart. Only `from_torch` needs PyTorch itself.

A program is read from its JSON, which `torch.export.save` writes: nothing is unpickled, so a file cannot run code. A module
takes the same way, exported and saved in memory. Values are channels-first, as PyTorch has them; axis 0 is the batch.
"""

from __future__ import annotations

import io
from collections.abc import Container
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats.batch_axis import Batch, BatchAxisError
from edgebn.formats.channels_first import settle_layout
from edgebn.formats.hints import hint
from edgebn.formats.torch.archive import AGAIN, Archive, open_archive
from edgebn.formats.torch.constants import FOLDS
from edgebn.formats.torch.context import Context
from edgebn.formats.torch.node import Node
from edgebn.formats.torch.program import Call, Exported, Input, Reference, parse
from edgebn.formats.torch.recurrent import NoBatchError
from edgebn.formats.torch.table import OPERATORS, VIEWS, base_name
from edgebn.formats.torch.values import Dynamic, Stale, Static, Value
from edgebn.graph import Graph, GraphBuilder
from edgebn.layers import Identity

# What Python raises when a damaged file contradicts itself somewhere that no check named; told to the user as such.
DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, MemoryError, RecursionError)
# What a module's own code and torch.export raise for a module that cannot be exported.
EXPORT_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError)
MAX_FOLDED_BYTES = 1 << 28  # what arithmetic on constants may make in all


def read(path: Path) -> Graph:
    """Read an exported program.

    PyTorch is not needed and nothing is unpickled (`torch.export.load` does unpickle, and warns of it): a file whose weights
    are pickles, as PyTorch 2.8 and older wrote them, is refused.

    Parameters
    ----------
    path : Path
        What `torch.export.save(torch.export.export(module.eval(), (example,)), path)` of PyTorch 2.9 or newer wrote. Sizes that
        the program leaves open are those of its example.

    Returns
    -------
    Graph
        Channels-first, the batch axis left out.

    Raises
    ------
    ModelError
        Naming the file: damage, an older format, or a program in training mode.
    UnsupportedLayerError
        Naming the layer, its operator and what to do.
    """
    path = Path(path)
    return _read(path, str(path), path.stem)


def from_torch(module: Any, example: Any) -> Graph:
    """Read a module that is in memory, as `torch.export` sees it in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Module
        Left as it was: every submodule's training flag is put back.
    example : torch.Tensor or tuple of torch.Tensor
        Example inputs with a batch axis, channels first: (N, C, H, W), (N, C, L) or (N, features), float32. Those whose first
        axes differ, and one sequence with its moments in front of a recurrent layer, have none.

    Returns
    -------
    Graph

    Raises
    ------
    ModelError
        PyTorch is missing or too old, the arguments are none of these, or the module cannot be exported.
    UnsupportedLayerError
        Naming the layer, its operator and what to do.
    """
    try:
        import torch
    except ImportError:
        raise ModelError("from_torch needs PyTorch; install it with: pip install 'edgebn[torch]'") from None
    if not isinstance(module, torch.nn.Module):
        raise ModelError(f"from_torch takes a torch.nn.Module, not {type(module).__name__}; a file is read with edgebn.load")
    examples = example if isinstance(example, tuple) else (example,)
    if not examples or not all(isinstance(tensor, torch.Tensor) for tensor in examples):
        raise ModelError("from_torch takes an example tensor with a batch axis, or a tuple of them: torch.zeros(1, 3, 32, 32)")
    source = type(module).__name__
    modes = [(part, part.training) for part in module.modules()]
    stream = io.BytesIO()
    module.eval()
    try:
        torch.export.save(torch.export.export(module, examples), stream)
    except EXPORT_ERRORS as error:
        raise ModelError(
            f"{source}: torch.export cannot export this module with this example ({_first_line(error)}); "
            "make torch.export.export(module, (example,)) work first"
        ) from error
    finally:
        for part, training in modes:
            part.training = training
    return _read(stream, source, source)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def _read(stream: Path | io.BytesIO, source: str, name: str) -> Graph:
    try:
        with open_archive(stream, source) as archive:
            program = parse(archive.program, source)
            try:
                return _graph(archive, program, name, _batch(program.inputs, source))
            except NoBatchError:
                return _graph(archive, program, name, Batch(single=True))
    except BatchAxisError as error:
        raise UnsupportedLayerError(
            f"{error}; if the network is for one sample at a time, export it with an example of one"
        ) from None
    except DAMAGE as error:
        reason = f"the program contradicts itself ({_first_line(error)})"
        raise ModelError(f"{source}: {reason}; the file is damaged, {AGAIN}") from error


def _graph(archive: Archive, program: Exported, name: str, batch: Batch) -> Graph:
    builder = GraphBuilder(name, archive.source, "torch")
    context = Context(builder, batch)
    values: dict[str, Value | Stale] = {}
    for entry in program.inputs:
        place = batch.usual(entry.shape, 0)
        builder.add_input(entry.name, batch.sample(entry.shape, place))
        values[entry.name] = Dynamic(entry.name, entry.shape, place, entry.name, entry.name)
    weights = dict(program.weights)
    read_counts: dict[str, int] = {}
    for call in program.calls:
        for reference in _references(call):
            read_counts[reference] = read_counts.get(reference, 0) + 1
            if reference in weights:
                values[reference] = Static(archive.array(weights.pop(reference)))
    for output in program.outputs:
        read_counts[output] = read_counts.get(output, 0) + 1
    _walk(program, context, values, read_counts)
    outputs = _outputs(program, context, values)
    settle_layout(builder)
    return builder.finish(outputs)


def _batch(inputs: tuple[Input, ...], source: str) -> Batch:
    """Return the batch that the inputs agree on; those whose first axes differ have none."""
    if not inputs:
        raise ModelError(f"{source}: the program takes no input")
    for entry in inputs:
        if not entry.is_float32:
            raise ModelError(f"{source}: the input '{entry.name}' is not float32; export module.float() with a float32 example")
        if not entry.shape:
            raise ModelError(f"{source}: the input '{entry.name}' has no batch axis; export with an example of shape (N, ...)")
    sizes = {entry.shape[0] for entry in inputs}
    if len(sizes) > 1 or sizes == {1}:
        return Batch(single=True)
    return Batch(sizes.pop())


def _references(call: Call) -> list[str]:
    """Return the names of the tensors that a call reads."""
    listed = [entry for value in call.arguments.values() for entry in (value if isinstance(value, list) else [value])]
    return [entry.name for entry in listed if isinstance(entry, Reference)]


def _walk(program: Exported, context: Context, values: dict[str, Value | Stale], read_counts: dict[str, int]) -> None:
    """Turn every call into layers or constants, in the program's order."""
    names: dict[str, int] = {}
    folded_bytes = 0
    for call in program.calls:
        base, in_place = base_name(call.target.removeprefix("torch.ops."))
        if not call.outputs:  # sizes are known, and assertions about them held at the export
            continue
        node = _node(call, context.builder.source, values, read_counts, names)
        results = _read_call(node, base, context)
        for output, value in zip(node.outputs, results, strict=False):
            if output in values:
                raise node.damaged(f"it makes '{output}', which exists already")
            values[output] = value
            if isinstance(value, Static) and value.array.flags.owndata:
                folded_bytes += value.array.nbytes
        if folded_bytes > MAX_FOLDED_BYTES:
            raise node.damaged(f"arithmetic on constants makes more than {MAX_FOLDED_BYTES >> 20} MB")
        if in_place:
            _change(node, values, program.weights)


def _node(call: Call, source: str, values: dict[str, Value | Stale], read_counts: dict[str, int], names: dict[str, int]) -> Node:
    """Look a call's arguments up and name it: after its module where that is one of torch.nn, else after its output."""
    name = call.module or call.outputs[0]
    names[name] = names.get(name, 0) + 1
    if names[name] > 1:
        name = f"{name}#{names[name]}"
    op = call.target.removeprefix("torch.ops.")

    def looked_up(argument: Any) -> Any:
        if isinstance(argument, list):
            return [looked_up(entry) for entry in argument]
        if not isinstance(argument, Reference):
            return argument
        if argument.name not in values:
            raise ModelError(
                f"{source}: layer '{name}' ({op}) reads '{argument.name}', which no call before it makes; the file is damaged"
            )
        return values[argument.name]

    arguments = {key: looked_up(argument) for key, argument in call.arguments.items()}
    used = tuple(read_counts.get(output, 0) > 0 for output in call.outputs)
    return Node(source, name, op, arguments, call.outputs, used, call.kind)


def _read_call(node: Node, base: str, context: Context) -> tuple[Value, ...]:
    """Return what a call makes; it works out constants at once and appends layers for the rest."""
    tensors = [
        value for entry in node.arguments.values() for value in (entry if isinstance(entry, list) else [entry])
        if isinstance(value, Static | Dynamic | Stale)
    ]  # fmt: skip
    with np.errstate(all="ignore"):
        try:
            # Of a value only its size is asked by what makes constants like it.
            of_size = base.endswith("_like") or base.startswith("new_")
            if base in FOLDS and (of_size or all(isinstance(value, Static) for value in tensors)):
                folded = FOLDS[base](node)
                if isinstance(folded, tuple):
                    return tuple(map(Static, folded))
                return (folded if isinstance(folded, Static) else Static(np.asarray(folded)),)
            reader = OPERATORS.get(base)
            if reader is None:
                raise node.refuse(f"edgebn does not run this operator; {hint(base)}")
            result = reader(node, context)
        except DAMAGE as error:
            raise node.damaged(f"its inputs and arguments do not fit together ({_first_line(error)})") from error
    results = result if isinstance(result, tuple) else (result,)
    if base in VIEWS:
        memory = node.dynamic("self").memory
        results = tuple(replace(value, memory=memory) if isinstance(value, Dynamic) else value for value in results)
    return results


def _change(node: Node, values: dict[str, Value | Stale], weights: Container[str]) -> None:
    """After a call in place, let every name of the changed value mean its result; other views of it are lost."""
    old, new = node.value("self" if node.has("self") else "input"), values[node.outputs[0]]
    if isinstance(old, Static) and isinstance(new, Static) and new.array is old.array:
        return  # such as detach_: the constant is as it was
    if isinstance(old, Static) and isinstance(new, Static):
        held = [(name, value) for name, value in values.items() if isinstance(value, Static) and value is not new]
        same = [(name, value) for name, value in held if np.may_share_memory(value.array, old.array)]
        if not any(name in weights for name, _ in same):  # what was worked out, and what sees it
            if all(value.array is old.array for _, value in same):
                values.update((name, new) for name, _ in same)
                return
            if old.array.flags.writeable:
                old.array[...] = new.array
                values[node.outputs[0]] = old
                return
    if not isinstance(old, Dynamic) or not isinstance(new, Dynamic):
        raise node.refuse("it changes a weight or constant in place, as in training; call module.eval() before the export")
    changed = replace(new, memory=old.memory, view=node.outputs[0])
    for name, value in values.items():
        if isinstance(value, Dynamic) and value.memory == old.memory:
            values[name] = changed if value.view == old.view else Stale(node.name)
    values[node.outputs[0]] = changed


def _outputs(program: Exported, context: Context, values: dict[str, Value | Stale]) -> list[str]:
    """Return the tensors that leave the network; one that leaves twice, or is an input, gets a name of its own."""
    outputs: list[str] = []
    taken = {entry.name for entry in program.inputs}
    for place, name in enumerate(program.outputs):
        value = values.get(name)
        if not isinstance(value, Dynamic):
            raise ModelError(
                f"{context.builder.source}: the output '{name}' is a constant or made by no call; outputs must depend on inputs"
            )
        context.check_output(name, value)
        tensor = value.tensor
        if tensor in taken:
            tensor = context.builder.add(Identity(f"output{place}", (tensor,), f"{tensor}/output{place}"))
        taken.add(tensor)
        outputs.append(tensor)
    return outputs
