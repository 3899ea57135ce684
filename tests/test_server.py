"""What the server does while networks compute: one at a time, and memory is kept meanwhile;
its warm-up and its end.
"""

import threading
from types import SimpleNamespace

import pytest

from mlcv_explore import charts, idea
from mlcv_explore.experiment.jobs import Busy
from mlcv_explore.ui import attributions, evidence, server


def test_one_thread_computes_at_a_time() -> None:
    inside, most = 0, 0

    def compute() -> None:
        nonlocal inside, most
        for _ in range(200):
            with server.computing():
                inside += 1
                most = max(most, inside)
                sum(range(500))
                inside -= 1

    threads = [threading.Thread(target=compute) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads) and (inside, most) == (0, 1)


def test_each_result_is_computed_within_and_nothing_is_held_between_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options: list[dict[int, int]] = []
    monkeypatch.setattr(server, "_set_heap", options.append)

    def results():
        for number in range(3):
            assert options[-1] is server.COMPUTING
            yield number

    for number in server.computed(results()):
        assert options[-1] is server.HEAP and len(options) == 2 * (number + 1)
    with pytest.raises(ZeroDivisionError), server.computing():
        raise ZeroDivisionError
    assert options[-1] is server.HEAP and list(server.computed([])) == []


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has not begun its warm-up, and has no engine."""
    for name in ("_painted", "_ready", "_closing"):
        monkeypatch.setattr(server, name, threading.Event())
    monkeypatch.setattr(server, "_engine", None)
    monkeypatch.setattr(server, "_serving", True)
    server.painted()


def test_the_warm_up_goes_on_after_each_step_that_fails(
    fresh: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slugs, returns = [], threading.Semaphore(0)

    def fails(slug: str = "") -> None:
        slugs.append(slug)
        raise ValueError(f"nothing of {slug}")

    server.use(SimpleNamespace(warm=fails, close=lambda: None))
    monkeypatch.setattr(evidence, "recorded", fails)
    for module in (charts, attributions):
        monkeypatch.setattr(module, "warm_up", fails)
    monkeypatch.setattr(server, "gc", SimpleNamespace(collect=lambda: 0, freeze=lambda: None))
    monkeypatch.setattr(server, "TIDY", 0.001)
    monkeypatch.setattr(server, "_return_free_memory", returns.release)
    thread = threading.Thread(target=server._boot)
    thread.start()
    for _ in range(3):  # again and again
        assert returns.acquire(timeout=60)
    assert server.ready() and thread.is_alive()
    server.close()
    thread.join(60)
    assert not thread.is_alive() and slugs == ["", *(card.slug for card in idea.cards()), "", ""]
    failed = [record for record in caplog.records if record.name == server.__name__]
    assert len(failed) == len(slugs) and all(record.exc_info for record in failed)


def test_a_closing_server_starts_nothing_any_more(fresh: None) -> None:
    server.close()
    server._boot()
    assert server._engine is None and not server.ready()
    with pytest.raises(Busy, match="the server is closing"):
        server.jobs().warm()
    server.jobs().leave("a visitor whose tab is closed then")


def test_a_script_may_make_another_engine_once_it_has_closed_one(
    fresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_serving", False)
    first = server.jobs()
    server.close()
    assert server.jobs() is not first and not server.jobs()._closed.is_set()
    server.close()
