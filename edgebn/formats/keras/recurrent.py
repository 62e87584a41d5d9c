"""LSTM, GRU and SimpleRNN, cells in an RNN, and Bidirectional around any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebn.errors import ModelError, UnsupportedLayerError
from edgebn.formats import recurrent
from edgebn.formats.keras.activations import name_of
from edgebn.formats.keras.parts import Parts
from edgebn.formats.keras.place import LayerFunction, Place
from edgebn.formats.keras.settings import Settings
from edgebn.layers import CELL_STATES, CELLS, Add, Concat, Crop, Dense, Gather, Identity, Multiply, Recurrence, Reshape

ORDERS = {"lstm": "ifgo", "gru": "zrn", "rnn": ""}
# Layers and cells of each kind.
KINDS = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn", "LSTMCell": "lstm", "GRUCell": "gru", "SimpleRNNCell": "rnn"}
STATE_FUNCTIONS = {"tanh": "tanh", "relu": "relu", "sigmoid": "sigmoid", "linear": "identity"}
# How the outputs of both directions become one.
MERGES = ("concat", "sum", "mul", "ave")


def kinds_of(cell: Settings) -> tuple[str, ...]:
    """Return the weights of a cell in Keras' order."""
    return ("kernel", "recurrent_kernel", *(("bias",) if cell.flag("use_bias", True) else ()))


@dataclass(frozen=True)
class Direction:
    """One recurrent layer as the file configures it.

    Attributes
    ----------
    kind : str
        One of `CELLS`.
    layer, cell : Settings
        Of the layer, and of its cell where that stands apart.
    inside : str
        Where archives have its weights within the layer.
    """

    kind: str
    layer: Settings
    cell: Settings
    inside: str

    @property
    def kinds(self) -> tuple[str, ...]:
        """Its weights in Keras' order."""
        return kinds_of(self.cell)


def layer(kind: str) -> LayerFunction:
    """Return the function of LSTM, GRU or SimpleRNN."""

    def read(place: Place) -> list[str]:
        return _one_way(place, Direction(kind, place.settings, place.settings, "cell"))

    return read


def rnn(place: Place) -> list[str]:
    """RNN around one cell."""
    return _one_way(place, around_cell(place.settings))


def bidirectional(place: Place) -> list[str]:
    """Bidirectional: two layers, whose outputs are joined moment by moment, added up, multiplied, averaged or given both."""
    forward, backward = directions(place.settings)
    merge = place.settings.get("merge_mode")
    if merge is not None and merge not in MERGES:
        raise ModelError(f"its merge_mode is {str(merge)[:40]!r}")
    several = 2 * CELL_STATES[forward.kind]
    states = place.inputs[1:]
    if states and len(states) != several:
        raise ModelError(f"it has {len(states)} first states; it should have {several}")
    places = [states[: several // 2], states[several // 2 :]]
    weights = [len(forward.kinds), len(backward.kinds)]
    names = tuple(direction.inside for direction in (forward, backward))
    run = [
        _Run(place, direction, start, names, given, part)
        for direction, start, given, part in (
            (forward, 0, places[0], "forward_"),
            (backward, weights[0], places[1], "backward_"),
        )
    ]
    made = [one.output(flipped=one.backwards != is_second) for one, is_second in zip(run, (False, True), strict=True)]
    ends = [state for one in run for state in one.last_states()] if forward.layer.flag("return_state", False) else []
    if merge is None:
        return [*made, *ends]
    parts, axis = Parts(place), len(place.shape_of(made[0])) - 1
    if merge == "concat":
        return [place.add(Concat, made, axis=axis), *ends]
    if merge == "ave":
        total = parts.add(Add, made, "sum")
        return [place.add(Multiply, [total, parts.constant(0.5, "half")]), *ends]
    return [place.add(Add if merge == "sum" else Multiply, made), *ends]


def directions(settings: Settings) -> tuple[Direction, Direction]:
    """Return what a Bidirectional runs: forwards, and backwards by a layer like it or one of its own."""
    forward = _wrapped(settings.get("layer"), "forward_layer")
    own = settings.get("backward_layer")
    if own is not None:
        return forward, _wrapped(own, "backward_layer")
    turned = {**forward.layer.values, "go_backwards": not forward.layer.flag("go_backwards", False)}
    cell = Settings(turned) if forward.cell is forward.layer else forward.cell
    return forward, Direction(forward.kind, Settings(turned), cell, "backward_layer/cell")


def _wrapped(definition: Any, name: str) -> Direction:
    if not isinstance(definition, dict) or not isinstance(definition.get("config"), dict):
        raise ModelError("the layer in it cannot be read; the file is damaged")
    config, class_name = Settings(definition["config"]), str(definition.get("class_name"))
    if class_name == "RNN":
        return around_cell(config, f"{name}/cell")
    if class_name not in KINDS:
        raise UnsupportedLayerError(f"the layer in it is a {class_name[:40]}; edgebn runs LSTM, GRU and SimpleRNN both ways")
    return Direction(KINDS[class_name], config, config, f"{name}/cell")


def around_cell(settings: Settings, inside: str = "cell") -> Direction:
    """Return what an RNN around one cell runs."""
    cell = settings.get("cell")
    class_name = str(cell.get("class_name")) if isinstance(cell, dict) else ""
    if class_name not in KINDS or not isinstance(cell.get("config"), dict):
        raise UnsupportedLayerError(
            f"its cell is {class_name[:40] or 'no single one'}; edgebn runs LSTMCell, GRUCell and SimpleRNNCell"
        )
    return Direction(KINDS[class_name], settings, Settings(cell["config"]), inside)


def _one_way(place: Place, direction: Direction) -> list[str]:
    run = _Run(place, direction, 0, (direction.inside,), place.inputs[1:], "")
    made = place.add(Identity, [run.output(flipped=run.backwards)])
    return [made, *(run.last_states() if direction.layer.flag("return_state", False) else ())]


class _Run:
    """Adds what one direction becomes."""

    def __init__(
        self, place: Place, direction: Direction, first: int, inside: tuple[str, ...], states: list[str], part: str
    ) -> None:
        self._place, self._direction, self._parts = place, direction, Parts(place, part)
        self._x = place.inputs[0]
        shape = place.shape_of(self._x)
        settings = direction.layer
        if len(shape) != 2:
            raise ModelError(f"its input has shape {shape} without the batch; it should be moments of one axis")
        if settings.flag("stateful", False):
            raise place.unsupported("it keeps its state from batch to batch (stateful); give its states as inputs and outputs")
        if settings.flag("time_major", False):
            raise place.unsupported("its input has the moments before the samples (time_major)")
        if place.kwargs.get("mask") is not None:
            raise place.unsupported("it is called with a mask; edgebn runs whole sequences: cut them to length before the network")
        if states and len(states) != CELL_STATES[direction.kind]:
            raise ModelError(f"it has {len(states)} first states; it should have {CELL_STATES[direction.kind]}")
        self.backwards = settings.flag("go_backwards", False)
        self._length, self._whole = shape[0], settings.flag("return_sequences", False)
        self._gives_cell = direction.kind == "lstm" and settings.flag("return_state", False)
        self._rows = self._added(self._cell(first, inside, shape[1]), states)

    def _cell(self, first: int, inside: tuple[str, ...], width: int) -> recurrent.Cell:
        direction, place = self._direction, self._place
        settings, kind = direction.cell, direction.kind
        units, gates = settings.integer("units"), CELLS[kind] * settings.integer("units")
        after = kind == "gru" and settings.flag("reset_after", not place.keras2)
        kernel = place.weight(first, "kernel", (width, gates), np.transpose, inside)
        weight = place.weight(first + 1, "recurrent kernel", (units, gates), np.transpose, inside)
        biases: list[np.ndarray | None] = []
        if "bias" in direction.kinds:
            bias = place.weight(first + 2, "bias", (2, gates) if after else (gates,), None, inside)
            biases = [*bias] if after else [bias]
        fields: dict[str, Any] = {"function": self._function("activation", "tanh")}
        if kind != "rnn":
            fields |= self._gate()
        if kind == "gru":
            fields["reset_after"] = after
        return recurrent.cell(kind, ORDERS[kind], kernel, weight, biases, **fields)

    def _function(self, key: str, default: str) -> str:
        name = name_of(self._direction.cell.get(key), default)
        if name not in STATE_FUNCTIONS:
            raise self._place.unsupported(f"its {key} is {name[:40] or 'a layer'}; edgebn runs {', '.join(STATE_FUNCTIONS)} there")
        return STATE_FUNCTIONS[name]

    def _gate(self) -> dict[str, Any]:
        name = name_of(self._direction.cell.get("recurrent_activation"), "sigmoid")
        if name == "hard_sigmoid":
            return {"gate": name, "slope": 0.2 if self._place.keras2 else 1 / 6}
        if name != "sigmoid":
            raise self._place.unsupported(
                f"its recurrent_activation is {name[:40] or 'a layer'}; edgebn runs sigmoid and hard_sigmoid"
            )
        return {"gate": name}

    def _added(self, cell: recurrent.Cell, states: list[str]) -> str:
        parts = self._parts
        gates = parts.add(Dense, [self._x], "gates", weight=cell.inputs, bias=cell.bias)
        first = [parts.add(Reshape, [state], f"first{which}", shape=(1, cell.units)) for which, state in enumerate(states)]
        return parts.add(
            Recurrence,
            [gates, *first],
            "states",
            cell=cell.kind,
            weight=cell.weight,
            bias=cell.hidden_bias,
            backwards=self.backwards,
            gives_cell=self._gives_cell,
            **cell.settings,
        )

    def output(self, *, flipped: bool) -> str:
        """Return the states of all moments, the first last where `flipped`, or the one that came last."""
        if not self._whole:
            return self._row(0 if self.backwards else self._length - 1, "last")
        value, units = self._rows, self._place.shape_of(self._rows)[1]
        if self._gives_cell:
            value = self._parts.add(Crop, [value], "moments", starts=(0, 0), sizes=(self._length, units))
        if not flipped:
            return value
        return self._parts.add(Gather, [value], "flipped", indices=(np.arange(self._length)[::-1], None))

    def last_states(self) -> list[str]:
        """Return the state that came last, and an LSTM's cell."""
        state = self._row(0 if self.backwards else self._length - 1, "last_state")
        return [state, self._row(self._length, "last_cell")] if self._gives_cell else [state]

    def _row(self, moment: int, part: str) -> str:
        units = self._place.shape_of(self._rows)[1]
        row = self._parts.add(Crop, [self._rows], f"{part}_row", starts=(moment, 0), sizes=(1, units))
        return self._parts.add(Reshape, [row], part, shape=(units,))
