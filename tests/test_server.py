"""What the server does while networks compute: one at a time, and memory is kept meanwhile."""

import threading

import pytest

from mlcv_explore.ui import server


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
