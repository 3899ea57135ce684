"""Results computed beside a page: one after another, for as long as somebody looks."""

import threading

import pytest

from mlcv_explore.ui import background
from mlcv_explore.ui.background import GRACE, Background, Progress, Report

SOON = 20.0  # seconds any event may take on a busy machine


class Clock:
    """The time that the module sees, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(background, "time", clock)
    return clock


class Steps:
    """A computation of ten evaluations that waits before each until it is let go on."""

    def __init__(self) -> None:
        self.results: dict[str, int] = {}
        self.evaluations: list[str] = []
        self.go, self.waits, self.ended = (threading.Semaphore(0) for _ in range(3))

    def __call__(self, name: str, report: Report) -> None:
        try:
            for done in range(10):
                self.waits.release()
                assert self.go.acquire(timeout=SOON)
                report(done, 10)
                self.evaluations.append(name)
            self.results[name] = len(self.evaluations)
        finally:
            self.ended.release()

    def advance(self, count: int) -> None:
        """Let it do so many evaluations; it then waits before the next, or has ended."""
        for _ in range(count):
            assert self.waits.acquire(timeout=SOON)
            self.go.release()


def gone() -> None:
    """Wait until no thread computes."""
    for thread in threading.enumerate():
        if thread.name == background.NAME:
            thread.join(SOON)
            assert not thread.is_alive()


def test_results_are_computed_one_after_another_with_their_progress(clock: Clock) -> None:
    work, steps = Background(), Steps()
    assert work.look(["a", "b"], "ann", steps) is None
    steps.advance(6)
    assert steps.waits.acquire(timeout=SOON)  # before the seventh
    clock.now += 2.0
    progress = work.look(["a", "b"], "ann", steps)
    assert (progress.name, progress.done, progress.total, progress.share) == ("a", 5, 10, 0.5)
    assert progress.text() == "5 of 10 evaluations, about 2 s left"
    steps.go.release()
    steps.advance(13)
    gone()
    assert list(steps.results) == ["a", "b"] and steps.evaluations == ["a"] * 10 + ["b"] * 10


def test_nobody_looking_any_more_ends_it_before_all_evaluations(clock: Clock) -> None:
    work, steps = Background(), Steps()
    work.look(["a", "b"], "ann", steps)
    steps.advance(3)
    assert steps.waits.acquire(timeout=SOON)
    clock.now += GRACE
    steps.go.release()
    gone()
    assert steps.results == {} and steps.evaluations == ["a"] * 3
    work.look(["b"], "ann", steps)  # somebody is back
    steps.advance(10)
    gone()
    assert list(steps.results) == ["b"]


def test_what_is_dropped_ends_at_its_next_evaluation_and_the_next_begins(clock: Clock) -> None:
    work, steps = Background(), Steps()
    work.look(["a", "b"], "ann", steps)
    steps.advance(2)
    assert steps.waits.acquire(timeout=SOON)
    work.drop(["a"], "ann")
    steps.go.release()
    assert steps.ended.acquire(timeout=SOON)
    steps.advance(10)
    gone()
    assert steps.evaluations == ["a"] * 2 + ["b"] * 10 and list(steps.results) == ["b"]


def test_what_one_visitor_drops_goes_on_for_another_while_that_one_looks(clock: Clock) -> None:
    work, steps = Background(), Steps()
    work.look(["a"], "ann", steps)
    work.look(["a", "b"], "bob", steps)
    steps.advance(2)
    assert steps.waits.acquire(timeout=SOON)
    work.drop(["a", "b"], "ann")
    steps.go.release()
    steps.advance(3)
    assert steps.waits.acquire(timeout=SOON)
    clock.now += GRACE
    work.look(["a"], "bob", steps)
    steps.go.release()
    steps.advance(3)
    gone()
    assert steps.evaluations == ["a"] * 10 and list(steps.results) == ["a"]  # nobody looks at b any more


def test_the_last_visitor_to_drop_a_result_ends_it(clock: Clock) -> None:
    work, steps = Background(), Steps()
    for visitor in ("ann", "bob"):
        work.look(["a"], visitor, steps)
    steps.advance(2)
    assert steps.waits.acquire(timeout=SOON)
    for visitor in ("ann", "bob"):
        work.drop(["a"], visitor)
    steps.go.release()
    gone()
    assert steps.evaluations == ["a"] * 2 and steps.results == {}


def test_what_failed_is_computed_again_once_it_is_forgiven(clock: Clock) -> None:
    work, errors, results = Background(), [MemoryError()], []

    def compute(name: str, report: Report) -> None:
        if errors:
            raise errors.pop()
        results.append(name)

    work.look(["a"], "ann", compute)
    gone()
    assert work.failed == {"a"} and results == []
    work.forgive(["a"])
    work.look([] if "a" in work.failed else ["a"], "ann", compute)  # as a page does
    gone()
    assert work.failed == set() and results == ["a"]


def test_an_error_is_remembered_and_does_not_hold_up_the_next(clock: Clock) -> None:
    work, results = Background(), []

    def compute(name: str, report: Report) -> None:
        if name == "a":
            raise ZeroDivisionError
        results.append(name)

    work.look(["a", "b"], "ann", compute)
    gone()
    assert results == ["b"] and work.failed == {"a"}


def test_before_the_first_evaluation_it_waits_for_its_turn(clock: Clock) -> None:
    assert Progress("a", 0, 1, clock.now).text() == "waiting for its turn"
    assert Progress("a", 1, 20, clock.now).text() == "1 of 20 evaluations"
    assert Progress("a", 30, 20, clock.now).share == 1
