"""From a source to answers, stage by stage in threads of their own: capture, preparation, inference and drawing overlap.

Between two stages stands room for one or a few items, so memory stays flat. Of live pictures the latest wins; of files every one is
answered, in order.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from edgebn.live.sources import Source
from edgebn.pipeline import Pipeline

ROOM = 2  # items between two stages
RATE_OVER = 30  # answers that the rate is an average over
SHARE_OF_NEW = 0.1  # of a time in the running averages
STAGES = ("capture", "prepare", "infer", "draw")
ALIVE_FOR = 10.0  # seconds that a stage may take to end when it is asked to


@dataclass
class Item:
    """What goes from stage to stage.

    Attributes
    ----------
    number : int
        Of the item in its source.
    seen : ndarray
        A picture, or a piece of sound.
    inputs : ndarray or None
        What the network is given.
    answer : Any
        As `Pipeline` gives it; of sound the last of those that the piece completes.
    """

    number: int
    seen: np.ndarray
    inputs: np.ndarray | None = None
    answer: Any = None


class Room:
    """What stands between two stages.

    Parameters
    ----------
    latest_wins : bool
        Whether a new item takes the place of an old one; else whoever brings it waits.
    """

    def __init__(self, *, latest_wins: bool) -> None:
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._latest_wins, self._closed = latest_wins, False
        self.dropped = 0

    def put(self, item: Item) -> bool:
        """Bring an item; return False when nobody takes any more."""
        with self._changed:
            if self._latest_wins:
                self.dropped += len(self._items)
                self._items.clear()
            while len(self._items) >= ROOM and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def take(self) -> Item | None:
        """Return the next item, or None when there will be none."""
        with self._changed:
            while not self._items and not self._closed:
                self._changed.wait()
            if not self._items:
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self, *, now: bool = False) -> None:
        """Take no more; `now` also forgets what is there."""
        with self._changed:
            self._closed = True
            if now:
                self._items.clear()
            self._changed.notify_all()


@dataclass
class Shown:
    """What a view shows; a new one with each answer.

    Attributes
    ----------
    answered, dropped, losses : int
        Items that were answered; that gave way to later ones; how often the source was lost.
    rate : float
        Answers a second.
    milliseconds : dict of str to float
        Running averages, by stage.
    number : int
        Of the last item.
    answer : Any
    """

    answered: int = 0
    dropped: int = 0
    losses: int = 0
    rate: float = 0.0
    milliseconds: dict[str, float] = field(default_factory=dict)
    number: int = -1
    answer: Any = None


class Chain:
    """Runs a pipeline over a source.

    Parameters
    ----------
    pipeline : Pipeline
    source : Source
    on_answer : callable, optional
        Called with every (number, answer), in order, in the thread that infers.
    draw : callable, optional
        From a picture and its answer to a JPEG; left out, none are drawn.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        source: Source,
        on_answer: Callable[[int, Any], None] = lambda _number, _answer: None,
        draw: Callable[[np.ndarray, Any], bytes] | None = None,
    ) -> None:
        self._pipeline, self._source, self._on_answer, self._draw = pipeline, source, on_answer, draw
        self._stop = threading.Event()
        self._captured = Room(latest_wins=source.is_live)
        self._prepared = Room(latest_wins=False)
        self._answered = Room(latest_wins=True)
        stages = [self._capture, self._prepare, self._infer, *([self._show] if draw else [])]
        self._threads = [
            threading.Thread(target=self._guarded, args=(stage,), name="edgebn" + stage.__name__, daemon=True) for stage in stages
        ]
        self._times: deque[float] = deque(maxlen=RATE_OVER)
        self._milliseconds: dict[str, float] = {}
        self.shown = Shown()
        self.picture = b""  # the last as a JPEG with the answer in it
        self.fault: BaseException | None = None
        self.learned: Any = None  # the adapter's report as of the last answer

    def __enter__(self) -> Self:
        """Start."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and wait for every stage to end."""
        self._stop.set()
        self._close(now=True)
        for thread in self._threads:
            thread.join(ALIVE_FOR)

    def wait(self, seconds: float) -> bool:
        """Wait a moment; return whether all is answered.

        Raises
        ------
        BaseException
            What a stage raised.
        """
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if self.fault is not None:
            raise self.fault
        return not any(thread.is_alive() for thread in self._threads)

    def _close(self, *, now: bool = False) -> None:
        for room in (self._captured, self._prepared, self._answered):
            room.close(now=now)

    def _guarded(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except BaseException as error:  # noqa: BLE001  # whatever it is, `wait` raises it where somebody sees it
            self.fault = self.fault or error
            self._stop.set()
            self._close(now=True)

    def _capture(self) -> None:
        items = self._source.items(self._stop)
        number = 0
        try:
            while True:
                before = time.perf_counter()
                seen = next(items, None)
                if seen is None:
                    break
                self._note("capture", before)
                if not self._captured.put(Item(number, seen)):
                    break
                number += 1
        finally:
            items.close()  # type: ignore[attr-defined]  # a generator: it closes what it opened
            self._captured.close()

    def _prepare(self) -> None:
        while (item := self._captured.take()) is not None:
            if not self._pipeline.hears:
                before = time.perf_counter()
                item.inputs = self._pipeline.prepare(item.seen)
                self._note("prepare", before)
            if not self._prepared.put(item):
                return
        self._prepared.close()

    def _infer(self) -> None:
        while (item := self._prepared.take()) is not None:
            before = time.perf_counter()
            if item.inputs is None:
                answers = self._pipeline(item.seen)
            else:
                answers = [self._pipeline.answer(item.inputs, item.seen.shape[:2])]
            self._note("infer", before)
            for answer in answers:
                item.answer = answer
                self._on_answer(item.number, answer)
                self._account(item)
            if self._draw is not None and answers and not self._pipeline.hears:
                self._answered.put(item)
        self._answered.close()

    def _show(self) -> None:
        assert self._draw is not None
        while (item := self._answered.take()) is not None:
            before = time.perf_counter()
            self.picture = self._draw(item.seen, item.answer)
            self._note("draw", before)

    def _account(self, item: Item) -> None:
        self._times.append(time.perf_counter())
        passed = self._times[-1] - self._times[0]
        adapter = self._pipeline.adapter
        if adapter is not None:
            self.learned = adapter.report()
        self.shown = Shown(
            answered=self.shown.answered + 1,
            dropped=self._captured.dropped,
            losses=self._source.losses,
            rate=(len(self._times) - 1) / passed if passed > 0 else 0.0,
            milliseconds=dict(self._milliseconds),
            number=item.number,
            answer=item.answer,
        )

    def _note(self, stage: str, before: float) -> None:
        now = (time.perf_counter() - before) * 1e3
        self._milliseconds[stage] = self._milliseconds.get(stage, now) * (1 - SHARE_OF_NEW) + now * SHARE_OF_NEW
