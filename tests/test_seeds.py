"""Named streams: one a purpose, the same everywhere, and the global generator is given
back.
"""

import subprocess
import sys
import threading

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from mlcv_explore.seeds import numpy_stream, seeded, stream, stream_seed


def test_the_stream_seed_is_pinned_across_machines_and_processes() -> None:
    assert stream_seed(3, "label noise") == 3981139219165601862
    command = [
        sys.executable,
        "-c",
        "from mlcv_explore.seeds import stream_seed; print(stream_seed(3, 'label noise'))",
    ]
    assert int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) == stream_seed(
        3, "label noise"
    )


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.text(max_size=20), st.text(max_size=20))
def test_streams_differ_by_seed_and_by_purpose(seed: int, other: int, purpose: str, another: str) -> None:
    assert 0 <= stream_seed(seed, purpose) < 2**63
    assert (stream_seed(seed, purpose) == stream_seed(other, another)) == (
        (seed, purpose) == (other, another)
    )


def test_a_draw_from_one_stream_never_moves_another() -> None:
    alone = torch.randn(5, generator=stream(0, "order"))
    noise, order = stream(0, "noise"), stream(0, "order")
    torch.randn(1000, generator=noise)
    assert torch.equal(torch.randn(5, generator=order), alone)
    assert np.array_equal(numpy_stream(0, "split").permutation(9), numpy_stream(0, "split").permutation(9))


def test_seeded_weights_depend_on_the_seed_alone_and_the_global_generator_is_put_back() -> None:
    torch.manual_seed(1)
    expected = torch.randn(3)
    torch.manual_seed(1)
    first = seeded(7, lambda: torch.nn.Linear(4, 3)).weight
    assert torch.equal(torch.randn(3), expected)
    assert torch.equal(seeded(7, lambda: torch.nn.Linear(4, 3)).weight, first)
    assert not torch.equal(seeded(8, lambda: torch.nn.Linear(4, 3)).weight, first)
    assert not torch.equal(seeded(7, lambda: torch.nn.Linear(4, 3), "other weights").weight, first)


def test_weights_are_put_back_when_building_fails() -> None:
    state = torch.get_rng_state()
    try:
        seeded(0, lambda: torch.randn(2) + torch.randn(3))
    except RuntimeError:
        assert torch.equal(torch.get_rng_state(), state)
    # and the lock was let go
    assert torch.equal(seeded(0, lambda: torch.randn(2)), seeded(0, lambda: torch.randn(2)))


def test_threads_that_build_at_once_get_the_weights_they_would_get_alone() -> None:
    alone = [seeded(seed, lambda: torch.randn(2000)) for seed in range(8)]
    together: dict[int, torch.Tensor] = {}

    def build(seed: int) -> None:
        together[seed] = seeded(seed, lambda: torch.cat([torch.randn(20) for _ in range(100)]))

    threads = [threading.Thread(target=build, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pieces = [seeded(seed, lambda: torch.cat([torch.randn(20) for _ in range(100)])) for seed in range(8)]
    assert all(torch.equal(together[seed], pieces[seed]) for seed in range(8))
    assert len({tuple(weights[:3].tolist()) for weights in alone}) == 8
