"""The operation table that refolds: from drifts and ratios to packed epilogues, in one call of the executor."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebn import program as p
from edgebn.adaptation import AdaptedLayer
from edgebn.kernels import executor
from edgebn.kernels.records import CONVERTED, INT8_LONGS, INT8_WORDS, REFUSED
from edgebn.quick_dataclass import dataclass
from edgebn.session.epilogues import EpilogueCopy, IntBlocks, Plain

HALF_NEGATIVE_ROUNDING = 1 << 30
BLOCK_ARRAYS = ("scale", "offset", "negative_rounding", "m", "r", "s")  # in the order of the kernel's `arrays`


@dataclass(frozen=True)
class Arguments:
    """Where operation tables keep the arguments that go with packed epilogues.

    Attributes
    ----------
    tables : list of ndarray of int64
        The words of every table.
    base : int
        Address of the memory of constants.
    """

    tables: list[np.ndarray]
    base: int

    def places(self, offset: int, name: str) -> np.ndarray:
        """Return the addresses of the words with argument `name` of every operation that reads the epilogue at `offset`."""
        operations = executor.by_code()
        found = []
        for words in self.tables:
            for i, line in enumerate(words):
                names = [argument for argument, _ in operations[line[0]].arguments]
                if "epilogue" in names and name in names and line[1 + names.index("epilogue")] == self.base + offset:
                    found.append(words.ctypes.data + words.strides[0] * i + words.itemsize * (1 + names.index(name)))
        return np.array(found, np.int64)


class Refolder:
    """Folds new statistics into the packed epilogues of a program.

    Parameters
    ----------
    program : Program
        With an adaptation.
    copies : list of EpilogueCopy
    memory : ndarray of uint8
        Of constants, where the packed epilogues are.
    tables : list of ndarray of int64
        The words of every operation table there is.
    lock : int
        Address of the word that a call holds.

    Attributes
    ----------
    drift, ratio : ndarray of float32, shape (channels,)
        Of all adapted steps; set them before a call.
    call : int
        Address of the table's description, for the executor.
    """

    def __init__(
        self, program: p.Program, copies: list[EpilogueCopy], memory: np.ndarray, tables: list[np.ndarray], lock: int
    ) -> None:
        adaptation = program.adaptation
        assert adaptation is not None
        self._is_int8 = p.adapted_dtype(program) == "int8"
        self._memory = memory
        self._arguments = Arguments(tables, memory.ctypes.data)
        self._alive: list[np.ndarray] = []  # everything the table has addresses of
        counts = [layer.channels for layer in adaptation.layers]
        self.drift, self.ratio = np.zeros(sum(counts), np.float32), np.ones(sum(counts), np.float32)
        self._status = np.zeros(len(counts), np.int64)
        self._rows: list[list[int]] = []
        steps: dict[str, Any] = {step.name: step for step in program.steps}
        first = 0
        for i, layer in enumerate(adaptation.layers):
            step = steps[layer.observation.step]
            self._add_layer(layer, step, i, first, [copy for copy in copies if copy.step == step.name])
            first += layer.channels
        width = executor.table_width()
        self._table = np.zeros((len(self._rows), width), np.int64)
        for line, row in zip(self._table, self._rows, strict=True):
            line[: len(row)] = row
        self._call = executor.call(self._table, lock=lock)
        self.call = self._call.ctypes.data

    def refused(self) -> list[int]:
        """Return the indices of the steps that the last call left as they were: their numbers would have left their range."""
        return np.flatnonzero(self._status == REFUSED).tolist()

    def _keep_alive(self, array: np.ndarray) -> int:
        """Keep an array alive and return its address."""
        self._alive.append(np.ascontiguousarray(array))
        return self._alive[-1].ctypes.data

    def _emit(self, name: str, **arguments: int) -> None:
        self._rows.append(executor.row(executor.operations()[name], **arguments))

    def _add_layer(self, layer: AdaptedLayer, step: Any, index: int, first: int, copies: list[EpilogueCopy]) -> None:
        is_int8 = self._is_int8
        folded = self._keep_alive(np.zeros(3 * layer.channels, np.int64))
        status = self._status.ctypes.data + self._status.itemsize * index
        self._emit(
            "fold_i8" if is_int8 else "fold_f32",
            channels=layer.channels,
            source=self._keep_alive(_int_source(layer, step.epilogue) if is_int8 else _float_source(layer, step.epilogue)),
            sigma=self._keep_alive(layer.sigma),
            drift=self.drift.ctypes.data + self.drift.itemsize * first,
            ratio=self.ratio.ctypes.data + self.ratio.itemsize * first,
            folded=folded,
            status=status,
        )
        for copy in copies:
            if not is_int8:
                self._write_floats(copy, step.epilogue, status, folded, layer.channels)
            elif isinstance(copy.layout, IntBlocks):
                self._write_blocks(copy, copy.layout, step.epilogue, status, folded)
            else:
                at = self._memory.ctypes.data + copy.place.offset
                self._emit("write_records_i8", status=status, folded=folded, channels=layer.channels, records=at)

    def _write_floats(self, copy: EpilogueCopy, epilogue: p.FloatEpilogue, status: int, folded: int, channels: int) -> None:
        addresses = self._arguments.places(copy.place.offset, "general")
        names = copy.layout.names
        self._emit(
            "write_floats",
            status=status,
            folded=folded,
            channels=channels,
            names=self._keep_alive(names),
            places=len(names),
            width=copy.layout.width,
            block=self._memory.ctypes.data + copy.place.offset,
            generals=self._keep_alive(addresses),
            count=len(addresses),
            source_general=0 if isinstance(copy.layout, Plain) else copy.layout.pack(epilogue)[1]["general"],
        )

    def _write_blocks(self, copy: EpilogueCopy, layout: IntBlocks, epilogue: p.IntEpilogue, status: int, folded: int) -> None:
        source, template = layout.packed(epilogue), layout.packed(epilogue, with_base=False)
        names, width = layout.names, layout.width
        largest = np.zeros(len(names), np.int64)
        largest[: len(template.largest)] = template.largest
        starts = {name: 4 * width * i for i, name in enumerate(INT8_WORDS)}
        starts |= {name: 4 * width * len(INT8_WORDS) + 8 * width * i for i, name in enumerate(INT8_LONGS)}
        safe_masks, modes = (self._arguments.places(copy.place.offset, name) for name in ("safe_mask", "mode"))
        self._emit(
            "write_blocks_i8",
            status=status,
            folded=folded,
            names=self._keep_alive(names),
            places=len(names),
            width=width,
            block=self._memory.ctypes.data + copy.place.offset,
            block_bytes=source.data.nbytes // len(source.data),
            arrays=self._keep_alive(np.array([starts[name] for name in BLOCK_ARRAYS], np.int64)),
            template=self._keep_alive(template.data),
            source=self._keep_alive(source.data),
            largest=self._keep_alive(largest),
            zero=epilogue.zero_point + 128,
            neg=int(epilogue.neg),
            safe_masks=self._keep_alive(safe_masks),
            modes=self._keep_alive(modes),
            count=len(safe_masks),
            source_safe_mask=source.scalars["safe_mask"],
            source_mode=source.scalars["mode"],
            mode=source.scalars["mode"] | CONVERTED,
        )


def _int_source(layer: AdaptedLayer, epilogue: p.IntEpilogue) -> np.ndarray:
    assert layer.observation.shift is not None
    half_negative_rounding = np.where((epilogue.lo < 0) & epilogue.neg, HALF_NEGATIVE_ROUNDING, 0)
    center, shift = layer.observation.center, layer.observation.shift
    columns = (epilogue.m, epilogue.r, epilogue.s, half_negative_rounding, center, shift, layer.sigma > 0)
    return np.stack([np.asarray(column).astype(np.int64) for column in columns], axis=1)


def _float_source(layer: AdaptedLayer, epilogue: p.FloatEpilogue) -> np.ndarray:
    return np.stack([epilogue.a, epilogue.d, layer.observation.center]).astype(np.float32)
