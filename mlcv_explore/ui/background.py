"""What takes seconds and is computed beside the page: in a thread of this process, for as
long as somebody looks.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

GRACE = 5.0  # seconds a computation goes on after the last look; a page looks twice a second
NAME = "background"  # of the threads

Report = Callable[[int, int], None]  # evaluations so far, and about how many there will be
log = logging.getLogger(__name__)


class NotWanted(Exception):
    """Nobody waits for this result any more."""


@dataclass(frozen=True)
class Progress:
    """Where the result that is being computed stands."""

    name: str
    done: int
    total: int
    started: float  # of the first evaluation, on the monotonic clock

    @property
    def share(self) -> float:
        """Of the evaluations, at most 1."""
        return min(1.0, self.done / self.total)

    def text(self) -> str:
        """Evaluations so far and the seconds that are left, once a tenth is done."""
        if not self.done:
            return "waiting for its turn"
        left = (time.monotonic() - self.started) * (1 - self.share) / self.share
        after = f", about {left:.0f} s left" if self.share >= 0.1 else ""
        return f"{self.done} of {self.total} evaluations{after}"


class Background:
    """Results by name, computed one after another while a page looks, for all visitors who
    wait for them; safe to call from any thread.

    `look` starts the thread and keeps it going. A closed tab, another page or other settings
    look no more: without another visitor the thread then ends within `GRACE` and a batch of
    evaluations.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looks: dict[str, dict[str, float]] = {}  # name → visitor → when it last looked
        self._thread: threading.Thread | None = None
        self._progress: Progress | None = None
        self.failed: set[str] = set()  # of an error that is in the server's log

    def look(
        self, names: Iterable[str], visitor: str, compute: Callable[[str, Report], None]
    ) -> Progress | None:
        """This visitor waits for these names: have `compute(name, report)` called for them in
        their order, each until it is `done` or all have dropped it; the progress of the one
        under way.

        What a `report` raises has to end `compute`.
        """
        with self._lock:
            for name in names:
                self._looks.setdefault(name, {})[visitor] = time.monotonic()
            if self._looks and self._thread is None:
                self._thread = threading.Thread(target=self._work, args=(compute,), name=NAME, daemon=True)
                self._thread.start()
            return self._progress

    def drop(self, names: Iterable[str], visitor: str) -> None:
        """This visitor waits no longer for these names; what nobody else waits for stops at
        its next batch of evaluations.
        """
        with self._lock:
            for name in names:
                self._looks.get(name, {}).pop(visitor, None)

    def forgive(self, names: Iterable[str]) -> None:
        """Let these names be tried again after they have failed."""
        with self._lock:
            self.failed.difference_update(names)

    def _work(self, compute: Callable[[str, Report], None]) -> None:
        while name := self._next():
            try:
                compute(name, partial(self._report, name))
            except NotWanted:
                continue
            except Exception:  # of one result; the next may come to its end
                log.exception("no result for %s", name)
                with self._lock:
                    self.failed.add(name)
            with self._lock:
                self._looks.pop(name, None)

    def _next(self) -> str | None:
        """The next name that is still looked at; None ends the thread."""
        with self._lock:
            self._progress = None
            self._looks = {name: looks for name, looks in self._looks.items() if self._waited_for(name)}
            name = next(iter(self._looks), None)
            if name is None:
                self._thread = None
            return name

    def _waited_for(self, name: str) -> bool:
        now = time.monotonic()
        return any(now - look < GRACE for look in self._looks.get(name, {}).values())

    def _report(self, name: str, done: int, total: int) -> None:
        now = time.monotonic()
        with self._lock:
            if not self._waited_for(name):
                raise NotWanted
            started = self._progress.started if self._progress and self._progress.done else now
            self._progress = Progress(name, done, total, started)
