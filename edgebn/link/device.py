"""What can be asked of a device: information, inference, layer outputs, ticks, state, reset.

Every output is checked against a checksum of the whole, every input by the device before it runs. What cannot be had is a
LinkError, never a wrong answer.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from edgebn.errors import LinkError
from edgebn.link.exchange import RANDOM, Exchange, FrameLine, Patience, RestartedError, SilentError, UnknownRequestError
from edgebn.link.frame import MAX_PAYLOAD, Kind
from edgebn.link.layers import GatheredLayers, Layer

WRITE_BYTES = MAX_PAYLOAD - 4
READ_BYTES = MAX_PAYLOAD - 4
STATE_BYTES = MAX_PAYLOAD - 8
OUTPUT_ONLY, TICKS, LAYERS, LEARN, OBSERVED = range(5)

_INFO = struct.Struct("<IIIII32s")
_RUN = struct.Struct("<IIBII")
_RAN = struct.Struct("<IQII")
_READ = struct.Struct("<IIH")
_STATE_GET = struct.Struct("<IH")
_STATE_PART = struct.Struct("<II")
_KEPT = struct.Struct("<IB")
_U32 = struct.Struct("<I")


@dataclass(frozen=True)
class Information:
    """What a device says of itself.

    Attributes
    ----------
    model, board : str
    model_hash : str
        64 hexadecimal digits.
    input_bytes, output_bytes, arena_bytes : int
        Several inputs (outputs) count together.
    ticks_per_second : int
    clock_overhead : int
        Ticks of reading the clock, already taken off what is reported.
    """

    model: str
    board: str
    model_hash: str
    input_bytes: int
    output_bytes: int
    arena_bytes: int
    ticks_per_second: int
    clock_overhead: int


@dataclass(frozen=True)
class Kept:
    """What a device's storage holds of adaptation.

    Attributes
    ----------
    number : int
        Of the newest state there, counted from 1; 0 where there is none.
    started : bool
        Whether the device started from a state that it had kept.
    """

    number: int
    started: bool


@dataclass(frozen=True)
class Run:
    """One inference: the output, the ticks from input to output (sending layers included), and what else was asked for.

    Attributes
    ----------
    output : bytes
    ticks : int
    layers : tuple of Layer
    learning : int
        Ticks that learning from it took.
    number : int
        By which the device knows it.
    """

    output: bytes
    ticks: int
    layers: tuple[Layer, ...] = ()
    learning: int = 0
    number: int = 0


@dataclass(frozen=True)
class _Ran:
    """A device's answer to a run."""

    ticks: int
    crc: int
    layers: int  # of a run that was learned from, the ticks of learning


class Device:
    """A device at the end of a line.

    Parameters
    ----------
    line : FrameLine
    patience : Patience
    """

    def __init__(self, line: FrameLine, patience: Patience) -> None:
        self._exchange = Exchange(line, patience, self._check_restart)
        self._patience = patience
        self._information: Information | None = None
        self._in_sequence = False

    def meet(self, *, booting: bool) -> Information:
        """Wait until the device is up, and ask what it is.

        Parameters
        ----------
        booting : bool
            Whether its BOOT frame is still to come; nothing is then said before, or before the time for it has passed.

        Raises
        ------
        LinkError
            It does not come up, or does not answer.
        """
        booted = self._exchange.await_boot() if booting else True
        try:
            return self.info()
        except SilentError as error:
            if booted:
                raise
            raise SilentError(f"the device has not come up within {self._patience.boot:g} seconds") from error

    def info(self) -> Information:
        """Ask what the device is.

        Raises
        ------
        LinkError
            No answer, or one that cannot be read.
        """
        self._information = _information(self._exchange.request(Kind.INFO))
        return self._information

    def reset(self) -> Information:
        """Put the model into its first state and forget input and output.

        Raises
        ------
        LinkError
            No answer.
        """
        self._exchange.request(Kind.RESET)
        return self.info()

    def begin_sequence(self) -> None:
        """Put the model into its first state; from here on a restart is an error, as what the network kept would be lost.

        Raises
        ------
        LinkError
            No answer.
        """
        self._in_sequence = False
        self.reset()
        self._in_sequence = True

    def run(self, data: bytes) -> Run:
        """Run one input and return the output.

        Parameters
        ----------
        data : bytes
            The input as the model takes it: int8 codes, or float32 little-endian, (H, W, C) row-major; several inputs in a row.

        Raises
        ------
        LinkError
            The input has the wrong size, or the device does not answer, or says that it cannot.
        """
        return self._infer(data, OUTPUT_ONLY)

    def run_ticks(self, data: bytes) -> Run:
        """Like `run`, with the ticks of every layer."""
        return self._infer(data, TICKS)

    def run_layers(self, data: bytes, again: Run | None = None) -> Run:
        """Like `run`, with the ticks and the output of every layer.

        `again` is the last run, of the same data, where this is to be no new step of a sequence.
        """
        return self._infer(data, LAYERS, None if again is None else again.number)

    def learn(self, data: bytes) -> Run:
        """Like `run`, and adaptation learns from it afterwards; the ticks are those of the inference alone.

        Raises
        ------
        LinkError
            As from `run`; or the device's program is built without adaptation.
        """
        return self._infer(data, LEARN)

    def run_observed(self, data: bytes) -> Run:
        """Like `run_ticks`, with layers that gather statistics; nothing is learned from them.

        Raises
        ------
        LinkError
            As from `learn`.
        """
        return self._infer(data, OBSERVED)

    def state(self) -> bytes:
        """Return what adaptation has learnt, as the device keeps it.

        Raises
        ------
        LinkError
            No answer, or the device's program is built without adaptation.
        """
        state = b""
        size = None
        while size is None or len(state) < size:
            count = 0 if size is None else min(STATE_BYTES, size - len(state))  # the first request only asks for the size
            answer = self._exchange.request(Kind.STATE_GET, _STATE_GET.pack(len(state), count))
            if len(answer) != _STATE_PART.size + count or _STATE_PART.unpack_from(answer)[1] != len(state):
                raise LinkError("the device's answer about its state cannot be read")
            size = _STATE_PART.unpack_from(answer)[0]
            state += answer[_STATE_PART.size :]
        return state

    def set_state(self, state: bytes) -> None:
        """Bring a state to the device.

        Parameters
        ----------
        state : bytes
            As `state` returned it.

        Raises
        ------
        LinkError
            No answer, no adaptation there, or a state of another model or size: what the device had is then untouched.
        """
        self._write(Kind.STATE_PUT, state)
        self._exchange.request(Kind.STATE_SET, _U32.pack(zlib.crc32(state)))

    def kept(self) -> Kept:
        """Ask what the device's storage holds.

        Raises
        ------
        LinkError
            No answer, or no adaptation there.
        """
        return self._keep(0)

    def keep_state(self) -> Kept:
        """Have the device put what adaptation has learned into its storage, from which it starts the next time.

        Raises
        ------
        LinkError
            No answer, no adaptation there, or a board without storage; what was kept before then still is.
        """
        return self._keep(1)

    def freeze(self, frozen: bool = True) -> None:
        """Have the device stop learning, with the statistics as they stand; `freeze(False)` goes on, and so does `reset`.

        Raises
        ------
        LinkError
            No answer, no adaptation there, or a program that knows no freezing (UnknownRequestError).
        """
        if self._exchange.request(Kind.STATE_FREEZE, bytes([frozen])) != bytes([frozen]):
            raise LinkError("the device's answer about freezing cannot be read")

    def is_frozen(self) -> bool:
        """Ask whether a host has stopped the device's learning.

        Raises
        ------
        LinkError
            No answer, or no adaptation there.
        """
        try:
            return self._exchange.request(Kind.STATE_FREEZE) == b"\1"
        except UnknownRequestError:  # an older program, which cannot be frozen
            return False

    def _keep(self, action: int) -> Kept:
        answer = self._exchange.request(Kind.STATE_KEEP, bytes([action]))
        if len(answer) != _KEPT.size:
            raise LinkError("the device's answer about its storage cannot be read")
        number, started = _KEPT.unpack(answer)
        return Kept(number, bool(started))

    def _infer(self, data: bytes, detail: int, number: int | None = None) -> Run:
        information = self._information or self.info()
        if len(data) != information.input_bytes:
            raise LinkError(
                f"the model on the device takes {information.input_bytes} bytes of input, not {len(data)}; firmware of the whole "
                "way (--pipeline) takes frames or samples, and is for `edgebn device verify` alone"
            )
        number = RANDOM.randrange(1 << 32) if number is None else number
        gathered = GatheredLayers()
        written = False
        ran: _Ran | None = None
        for _ in range(self._patience.rounds):
            try:
                if not written:
                    self._write(Kind.WRITE, data)
                    written = True
                if ran is None:
                    ran = self._run(number, data, detail, gathered)
                if ran is None:
                    continue
                output = self._read(number, information.output_bytes)
            except RestartedError:
                written, ran = False, None
                continue
            if zlib.crc32(output) == ran.crc:
                layers = gathered.layers(ran.layers, with_data=detail == LAYERS) if _tells_layers(detail) else ()
                return Run(output, ran.ticks, layers, ran.layers if detail == LEARN else 0, number)
        tries = self._patience.rounds
        raise LinkError(f"{tries} tries at one inference have failed: the line loses too much, or the device restarts")

    def _run(self, number: int, data: bytes, detail: int, gathered: GatheredLayers) -> _Ran | None:
        """Run what has been written; None where some of the layers have not arrived."""
        known = max(gathered.heads, default=-1) + 1  # layers before these are whole, or are asked for again
        start = gathered.missing(known, with_data=detail == LAYERS) or (known, 0)
        answer = self._exchange.request(
            Kind.RUN,
            _RUN.pack(number, zlib.crc32(data), detail, *start),
            timeout=self._patience.inference,
            gather=gathered.take if _tells_layers(detail) else None,
        )
        if len(answer) != _RAN.size or _RAN.unpack(answer)[0] != number:
            raise LinkError("the device's answer to a run cannot be read")
        ran = _Ran(*_RAN.unpack(answer)[1:])
        return ran if not _tells_layers(detail) or gathered.missing(ran.layers, with_data=detail == LAYERS) is None else None

    def _write(self, kind: Kind, data: bytes) -> None:
        for offset in range(0, len(data), WRITE_BYTES):
            part = data[offset : offset + WRITE_BYTES]
            if self._exchange.request(kind, _U32.pack(offset) + part) != _U32.pack(offset + len(part)):
                raise LinkError("the device's answer to a write cannot be read")

    def _read(self, number: int, size: int) -> bytes:
        output = b""
        while len(output) < size:
            count = min(READ_BYTES, size - len(output))
            answer = self._exchange.request(Kind.READ, _READ.pack(number, len(output), count))
            if len(answer) != _U32.size + count or _U32.unpack_from(answer)[0] != len(output):
                raise LinkError("the device's answer to a read cannot be read")
            output += answer[_U32.size :]
        return output

    def _check_restart(self, boot: bytes) -> None:
        """Refuse to go on with a device that has restarted as another program."""
        known, found = self._information, _information(boot)
        if known is not None and (found.model_hash, found.board) != (known.model_hash, known.board):
            raise LinkError(f"the device has restarted with another program: {found.model} on {found.board}")
        if self._in_sequence:
            raise LinkError("the device has restarted in the middle of a sequence, and what its network kept is lost; begin again")


def _tells_layers(detail: int) -> bool:
    return detail in {TICKS, LAYERS, OBSERVED}


def _information(payload: bytes) -> Information:
    names = payload[_INFO.size :].split(b"\0")
    if len(payload) < _INFO.size or len(names) != 3:
        raise LinkError("the device's information cannot be read; is its program of another version?")
    input_bytes, output_bytes, arena, hertz, overhead, digest = _INFO.unpack_from(payload)
    model, board = (name.decode("utf-8", "replace") for name in names[:2])
    return Information(model, board, digest.hex(), input_bytes, output_bytes, arena, hertz, overhead)
