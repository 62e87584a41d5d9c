"""One request, one answer: repeats what is lost, tells late answers apart, and turns refusals into errors. Knows no inference."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edgebn.errors import LinkError
from edgebn.link.frame import ANSWER, Frame, Kind

UNKNOWN_REQUEST = 1
OTHER_INPUT = 3
OTHER_RUN = 4
NOT_BUILT_IN = 5
REASONS = {
    UNKNOWN_REQUEST: "it does not know the request; is its program older than this edgebn?",
    2: "the request's numbers are out of range",
    3: "its input is another",
    4: "it has run again",
    NOT_BUILT_IN: "adaptation is not built into its program; emit it with adaptation",
    6: "the state is damaged or of another model",
    7: "the board has no storage, or its storage failed",
}
RANDOM = secrets.SystemRandom()  # sequence and run numbers of one host never meet those of the one before
LONGEST_SILENCE = 8  # how many times `Patience.repeat` an inference is waited for at most before it is asked for again


class FrameLine(Protocol):
    """What frames go over: `edgebn.link.port.Line`."""

    clock: Callable[[], float]

    def send(self, frame: Frame) -> None:
        """Send a frame."""

    def receive(self, deadline: float) -> Frame | None:
        """Return the next frame, None at the deadline."""


@dataclass(frozen=True)
class Patience:
    """How long to wait and how often to try.

    Attributes
    ----------
    boot : float
        Seconds until the device is up.
    repeat : float
        Seconds of silence after which a request is repeated. For an inference, which may take its time, they double with every
        repetition, up to eight times this.
    request : float
        Seconds after which a request has failed.
    inference : float
        The same for an inference.
    rounds : int
        How often a whole inference is tried again: the device lost its input, or parts of layers were lost.
    """

    boot: float = 20.0
    repeat: float = 0.5
    request: float = 10.0
    inference: float = 120.0
    rounds: int = 20


class RestartedError(LinkError):
    """The device has lost the input or the run: it restarted, or somebody else talks to it."""


class NotBuiltInError(LinkError):
    """The device's program has no adaptation."""


class UnknownRequestError(LinkError):
    """The device's program is older than the request."""


class SilentError(LinkError):
    """Nothing that can be read has answered."""


class Exchange:
    """Requests and answers over a line.

    Parameters
    ----------
    line : FrameLine
    patience : Patience
    on_boot : callable
        Called with the payload of a BOOT frame that arrives while an answer is awaited.
    """

    def __init__(self, line: FrameLine, patience: Patience, on_boot: Callable[[bytes], None]) -> None:
        self._line = line
        self._patience = patience
        self._on_boot = on_boot
        self._sequence = RANDOM.randrange(0x10000)

    def await_boot(self) -> bool:
        """Wait for the device's BOOT frame; whether it came in time."""
        deadline = self._line.clock() + self._patience.boot
        while (frame := self._line.receive(deadline)) is not None:
            if frame.kind == Kind.BOOT:
                return True
        return False

    def request(
        self,
        kind: Kind,
        payload: bytes = b"",
        *,
        timeout: float | None = None,
        gather: Callable[[Frame], None] | None = None,
    ) -> bytes:
        """Send a request until it is answered.

        Parameters
        ----------
        kind : Kind
        payload : bytes
        timeout : float, optional
            Seconds; `Patience.request` when left out.
        gather : callable, optional
            Takes frames of the same sequence that precede the answer.

        Returns
        -------
        bytes
            The answer's payload.

        Raises
        ------
        LinkError
            No answer in time, a refusal (`RestartedError` where doing it again may help), or a line that is gone.
        """
        timeout = self._patience.request if timeout is None else timeout
        self._sequence = (self._sequence + 1) % 0x10000
        request = Frame(kind, self._sequence, payload)
        clock = self._line.clock
        end = clock() + timeout
        silence = self._patience.repeat
        while clock() < end:
            self._line.send(request)
            again = clock() + silence
            while (frame := self._line.receive(min(again, end))) is not None:
                if frame.kind == Kind.BOOT:
                    self._on_boot(frame.payload)
                elif frame.sequence != request.sequence:
                    continue  # a late answer to an earlier request
                elif frame.kind == kind | ANSWER:
                    return frame.payload
                elif frame.kind == Kind.ERROR and len(frame.payload) == 2 and frame.payload[1] == kind:
                    raise _refusal(frame.payload[0], kind)
                elif gather is not None:
                    gather(frame)
                    again = clock() + silence
            if kind == Kind.RUN:
                silence = min(2 * silence, LONGEST_SILENCE * self._patience.repeat)
        raise SilentError(f"the device has not answered a request ({_name(kind)}) within {timeout:g} seconds")


def _name(kind: Kind) -> str:
    return kind.name.lower().replace("_", " ")


def _refusal(code: int, kind: Kind) -> LinkError:
    reason = f"the device refuses a request ({_name(kind)}): {REASONS.get(code, f'error {code}')}"
    if code == NOT_BUILT_IN:
        return NotBuiltInError(reason)
    if code == UNKNOWN_REQUEST:
        return UnknownRequestError(reason)
    return RestartedError(reason) if code in {OTHER_INPUT, OTHER_RUN} else LinkError(reason)
