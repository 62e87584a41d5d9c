"""PyTorch modules with recurrent layers. For the recorder script: needs PyTorch, knows nothing of edgebn."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch_zoo import Made

SEQUENCE = (2, 5, 3)  # samples, moments, inputs
UNITS = 6


class Recurrent(nn.Module):
    """A recurrent layer, and what is taken of what it gives; `first` are first states that all samples share."""

    def __init__(self, layer: nn.RNNBase, pick: Callable, first: bool = False) -> None:
        super().__init__()
        self.layer, self.pick = layer, pick
        states = layer.num_layers * (2 if layer.bidirectional else 1)
        self.first = nn.Parameter(torch.randn(states, 1, UNITS)) if first else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.first is None:
            return self.pick(self.layer(x))
        state = self.first.expand(-1, x.shape[0 if self.layer.batch_first else 1], -1).contiguous()
        return self.pick(self.layer(x, (state, state * 0.5) if isinstance(self.layer, nn.LSTM) else state))


class Turned(nn.Module):
    """A layer whose batch is its input's second axis, in a network whose batch is the first."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(3, UNITS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.transpose(0, 1))[0].transpose(0, 1)


class Cells(nn.Module):
    """Cells that are called by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.gru = nn.LSTMCell(3, UNITS), nn.GRUCell(UNITS, UNITS)
        self.tanh, self.relu = nn.RNNCell(UNITS, UNITS), nn.RNNCell(UNITS, UNITS, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state, cell = self.lstm(x[:, 0])
        state, cell = self.lstm(x[:, 1], (state, cell))
        return self.relu(self.tanh(self.gru(state, cell)), state)


class Decomposed(nn.Module):
    """A layer as `run_decompositions` spells it out: the weight is expanded to all moments, whose axis is in front."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs, self.state = nn.Parameter(torch.randn(3, UNITS)), nn.Linear(UNITS, UNITS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        moments = torch.bmm(x.permute(1, 0, 2), self.inputs.expand(x.shape[1], -1, -1))
        states = [torch.tanh(moments[0])]
        for moment in moments[1:]:
            states.append(torch.tanh(moment + self.state(states[-1])))
        return torch.stack(states).permute(1, 0, 2)


class Recognizer(nn.Module):
    """A recogniser of text: the columns of a map are the moments."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.layer = nn.LSTM(4 * 3, UNITS, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * UNITS, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(torch.relu(self.norm(self.convolution(x))), 2)
        return self.head(self.layer(x.permute(0, 3, 1, 2).flatten(2))[0]).flatten(1)


def of(layer: type[nn.RNNBase], pick: Callable, first: bool = False, shape: tuple[int, ...] = SEQUENCE, **settings) -> Callable:
    """Return a builder of one layer, batch first."""

    def build() -> Made:
        return Recurrent(layer(3, UNITS, batch_first=True, **settings), pick, first), shape

    return build


def alone(layer: type[nn.RNNBase], shape: tuple[int, ...], **settings) -> Callable:
    """Return a builder of one layer that goes through one sequence, whose moments are in front; everything is taken."""

    def every(given: tuple) -> dict[str, torch.Tensor]:
        lasts = given[1] if isinstance(given[1], tuple) else [given[1]]
        return {"moments": given[0]} | {f"last{place}": value for place, value in enumerate(lasts)}

    return lambda: (Recurrent(layer(3, UNITS, **settings), every), shape)


def moments(given: tuple) -> torch.Tensor:
    """Return the states of all moments."""
    return given[0]


def last(given: tuple) -> torch.Tensor:
    """Return the last states, the batch in front."""
    return (given[1][0] if isinstance(given[1], tuple) else given[1]).transpose(0, 1)


TWO_LAYERS = {"num_layers": 2, "bidirectional": True}
RECURRENT: dict[str, Callable[[], Made]] = {
    "gru": of(nn.GRU, moments),
    "gru_layers": of(nn.GRU, lambda given: moments(given).mean(1) + last(given)[:, -1].repeat(1, 2), **TWO_LAYERS),
    "gru_alone": alone(nn.GRU, (5, 1, 3), **TWO_LAYERS),
    "gru_first": of(nn.GRU, last, True, bidirectional=True),
    "gru_turned": lambda: (Turned(), SEQUENCE),
    "lstm": of(nn.LSTM, moments),
    "lstm_alone": alone(nn.LSTM, (5, 3), num_layers=2),
    "lstm_cells": of(nn.LSTM, lambda given: given[1][1].transpose(0, 1) + last(given), **TWO_LAYERS),
    "lstm_first": of(nn.LSTM, moments, True),
    "lstm_one_sample": of(nn.LSTM, moments, shape=(1, 4, 3), bias=False),
    "rnn_relu": of(nn.RNN, moments, nonlinearity="relu", bias=False),
    "rnn_tanh": of(nn.RNN, last),
    "rnn_alone": alone(nn.RNN, (4, 3), batch_first=True),
    "cells": lambda: (Cells(), (2, 2, 3)),
    "decomposed": lambda: (Decomposed(), SEQUENCE),
    "recognizer": lambda: (Recognizer(), (2, 1, 6, 10)),
}
