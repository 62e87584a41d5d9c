"""The exported program as its JSON says it, checked and in plain terms: inputs, calls, outputs. Knows no operator.

The fields are those of torch/_export/serde/schema.py, version 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgebn.errors import ModelError
from edgebn.formats.torch.archive import AGAIN, FLOAT32
from edgebn.formats.torch.values import Symbol

SCHEMA_MAJOR = 8
MAX_CALLS = 1 << 16
MAX_DEPTH = 8  # of blocks within blocks
# Operators that run a block of the program under a setting of PyTorch's own, and where they say whether it is on.
WRAPPERS = {"higher_order.wrap_with_autocast": 2, "higher_order.wrap_with_set_grad_enabled": 0}


@dataclass(frozen=True)
class Input:
    """What the caller passes: a name, its shape with the batch axis, and whether it is float32."""

    name: str
    shape: tuple[int, ...]
    is_float32: bool


@dataclass(frozen=True)
class Reference:
    """An argument that is a tensor, by name."""

    name: str


@dataclass(frozen=True)
class Opaque:
    """An argument of a kind that no operator of edgebn's takes."""

    kind: str


@dataclass(frozen=True)
class Call:
    """One call of an operator.

    Attributes
    ----------
    target : str
        'torch.ops.aten.conv2d.default'.
    arguments : dict
        Numbers, strings, lists, None, Symbol, Reference.
    outputs : tuple of str
        Names of the tensors it makes.
    module : str
        Path of the torch.nn module that made the call, '' where a module of the user's own did.
    """

    target: str
    arguments: dict[str, Any]
    outputs: tuple[str, ...]
    module: str
    kind: int = 0


@dataclass(frozen=True)
class Exported:
    """A whole program.

    Attributes
    ----------
    weights : dict of str to str
        Names of values that are weights, buffers or constants, and their names in the archive.
    """

    inputs: tuple[Input, ...]
    weights: dict[str, str]
    calls: tuple[Call, ...]
    outputs: tuple[str, ...]


def parse(document: dict[str, Any], source: str) -> Exported:
    """Check and translate the JSON.

    Raises
    ------
    ModelError
        Another version of the format, a program that changes its own weights, or inputs that are no tensors.
    """
    version = document["schema_version"]["major"]
    if version != SCHEMA_MAJOR:
        raise ModelError(
            f"{source}: the program is in version {version} of PyTorch's format and edgebn reads version {SCHEMA_MAJOR}; "
            "export it with PyTorch 2.9 or a later one of that version"
        )
    module = document["graph_module"]
    graph, signature = module["graph"], module["signature"]
    symbols = graph.get("sym_int_values") or {}
    inputs: list[Input] = []
    weights: dict[str, str] = {}
    for spec in signature["input_specs"]:
        ((kind, entry),) = spec.items()
        if kind in ("parameter", "buffer", "tensor_constant"):
            weights[entry["arg"]["name"]] = str(entry[f"{kind}_name"])
        elif kind == "user_input":
            inputs.append(_input(entry["arg"], graph["tensor_values"], source))
        elif kind != "constant_input":
            raise ModelError(f"{source}: the program takes an input of kind '{kind}'; edgebn takes tensors")
    if len(graph["nodes"]) > MAX_CALLS:
        raise ModelError(f"{source}: the program has {len(graph['nodes'])} calls; edgebn reads at most {MAX_CALLS}")
    calls = tuple(_calls(graph, symbols, source))
    if len(calls) > MAX_CALLS:
        raise ModelError(f"{source}: the program has {len(calls)} calls; edgebn reads at most {MAX_CALLS}")
    return Exported(tuple(inputs), weights, calls, _outputs(signature["output_specs"], source))


def _input(argument: dict[str, Any], tensors: dict[str, Any], source: str) -> Input:
    if "as_tensor" not in argument:
        raise ModelError(f"{source}: one of the program's inputs is no tensor; edgebn takes tensors, so make it a constant")
    name = str(argument["as_tensor"]["name"])
    meta = tensors[name]
    return Input(name, tuple(_size(size) for size in meta["sizes"]), meta["dtype"] == FLOAT32)


def _outputs(specs: list[dict[str, Any]], source: str) -> tuple[str, ...]:
    outputs = []
    for spec in specs:
        ((kind, entry),) = spec.items()
        if kind in ("buffer_mutation", "parameter_mutation"):
            raise ModelError(f"{source}: the program changes its own weights, as in training; call module.eval() and {AGAIN}")
        if kind == "user_output":
            if "as_tensor" not in entry["arg"]:
                raise ModelError(f"{source}: one of the program's outputs is no tensor; return tensors only")
            outputs.append(str(entry["arg"]["as_tensor"]["name"]))
        elif kind != "user_input_mutation":  # a caller's array is never changed
            raise ModelError(f"{source}: the program has an output of kind '{kind}'; call module.eval() and {AGAIN}")
    return tuple(outputs)


def _calls(graph: dict[str, Any], symbols: dict[str, Any], source: str, prefix: str = "", depth: int = 0) -> list[Call]:
    """Return the calls of a graph; those within blocks that `WRAPPERS` run stand where the block is."""
    calls: list[Call] = []
    tensors = graph.get("tensor_values") or {}
    for node in graph["nodes"]:
        target = str(node["target"]).removeprefix("torch.ops.")
        if target not in WRAPPERS:
            calls.append(_renamed(_call(node, symbols, tensors), prefix))
            continue
        if depth >= MAX_DEPTH:
            raise ModelError(f"{source}: blocks lie within blocks more than {MAX_DEPTH} deep; the file is damaged")
        calls += _block(node, symbols, source, prefix, depth)
    return calls


def _block(node: dict[str, Any], symbols: dict[str, Any], source: str, prefix: str, depth: int) -> list[Call]:
    """Return the calls of a block with its inputs and outputs named as they are around it."""
    arguments = [_argument(entry["arg"], symbols) if "as_graph" not in entry["arg"] else entry["arg"]["as_graph"]
                 for entry in node["inputs"]]  # fmt: skip
    place = next(index for index, entry in enumerate(arguments) if isinstance(entry, dict))
    block, operands = arguments[place], arguments[place + 1 :]
    if "autocast" in str(node["target"]) and arguments[WRAPPERS["higher_order.wrap_with_autocast"]]:
        raise ModelError(f"{source}: a block of the program runs in half precision (autocast); export it in float32")
    inner = f"{prefix}{block['name']}/"
    graph = block["graph"]
    names = [str(entry["as_tensor"]["name"]) for entry in graph["inputs"]]
    if len(names) != len(operands) or not all(isinstance(entry, Reference) for entry in operands):
        raise ModelError(f"{source}: the block '{block['name']}' takes other inputs than it is given; the file is damaged")
    calls = [_alias(f"{prefix}{entry.name}", f"{inner}{name}") for name, entry in zip(names, operands, strict=True)]
    calls += _calls(graph, {**symbols, **(graph.get("sym_int_values") or {})}, source, inner, depth + 1)
    made = _call({**node, "inputs": []}, symbols, {}).outputs
    results = [str(entry["as_tensor"]["name"]) for entry in graph["outputs"]]
    return calls + [_alias(f"{inner}{name}", f"{prefix}{output}") for name, output in zip(results, made, strict=True)]


def _alias(old: str, new: str) -> Call:
    """Return a call that gives a value another name."""
    return Call("torch.ops.aten.alias.default", {"self": Reference(old)}, (new,), "")


def _renamed(call: Call, prefix: str) -> Call:
    """Return a call whose values are named as within a block."""
    if not prefix:
        return call

    def renamed(argument: Any) -> Any:
        if isinstance(argument, list):
            return [renamed(entry) for entry in argument]
        return Reference(f"{prefix}{argument.name}") if isinstance(argument, Reference) else argument

    arguments = {name: renamed(argument) for name, argument in call.arguments.items()}
    return Call(call.target, arguments, tuple(f"{prefix}{output}" for output in call.outputs), call.module, call.kind)


def _call(node: dict[str, Any], symbols: dict[str, Any], tensors: dict[str, Any]) -> Call:
    arguments = {str(entry["name"]): _argument(entry["arg"], symbols) for entry in node["inputs"]}
    outputs: list[str] = []
    for output in node["outputs"]:
        ((kind, value),) = output.items()
        listed = value if kind == "as_tensors" else [value] if kind == "as_tensor" else []
        outputs.extend(str(tensor["name"]) for tensor in listed)
    kind = int((tensors.get(outputs[0]) or {}).get("dtype", 0)) if outputs else 0
    return Call(str(node["target"]), arguments, tuple(outputs), _module(node.get("metadata") or {}), kind)


def _module(metadata: dict[str, Any]) -> str:
    """Return the path of the innermost module if it is one of torch.nn: 'key,path,class' for each level, outermost first."""
    innermost = str(metadata.get("nn_module_stack", "")).rsplit(";", 1)[-1]
    parts = innermost.split(",")
    if len(parts) < 3 or not parts[-1].startswith("torch.nn.modules."):
        return ""
    return ",".join(parts[1:-1])


def _argument(argument: dict[str, Any], symbols: dict[str, Any]) -> Any:
    ((kind, value),) = argument.items()
    if kind == "as_none":
        return None
    if kind == "as_tensor":
        return Reference(str(value["name"]))
    if kind == "as_tensors":
        return [Reference(str(tensor["name"])) for tensor in value]
    if kind == "as_optional_tensor":
        return _argument(value, symbols)
    if kind == "as_optional_tensors":
        return [_argument(entry, symbols) for entry in value]
    if kind == "as_sym_int":
        return _symbol(value, symbols)
    if kind == "as_sym_ints":
        return [_symbol(entry, symbols) for entry in value]
    if kind in ("as_int", "as_ints", "as_float", "as_floats", "as_bool", "as_bools", "as_string", "as_scalar_type"):
        return value
    return Opaque(kind)


def _symbol(entry: dict[str, Any], symbols: dict[str, Any]) -> Symbol | int:
    ((kind, value),) = entry.items()
    if kind == "as_int":
        return int(value)
    return Symbol(_size(symbols[value]))


def _size(size: dict[str, Any]) -> int:
    """Return a size; one that the program leaves open is what it was at the export."""
    ((kind, value),) = size.items()
    number = value["hint"]["as_int"] if kind == "as_expr" else value
    if type(number) is not int:
        raise TypeError(f"the size {number!r} is no whole number")
    return number
