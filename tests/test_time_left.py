"""Time left of a run: by hand, from the timing of earlier runs."""

from pathlib import Path

import numpy as np
import pytest

from mlcv_explore import idea
from mlcv_explore.experiment import film, runs
from mlcv_explore.experiment.job import Job, expected_timing, seconds_left
from mlcv_explore.experiment.worker import TIMING_ERROR, share_of_time, timing

SLOW_END = ((0.0, 0.0), (0.5, 0.0), (1.0, 1.0))  # nothing, then the second half


def test_timing_begins_at_the_first_frame_whatever_came_before():
    steps, times = [0, 10, 20], [30.0, 31.0, 33.0]  # thirty seconds of imports
    assert timing(steps, times) == ((0.0, 0.0), (0.5, 0.3333), (1.0, 1.0))
    assert timing([1, 5, 10], [30.0, 31.0, 32.25]) == ((0.1, 0.0), (1.0, 1.0))  # one line
    assert timing([5], [3.0]) == () and timing([], []) == ()


def test_a_last_frame_that_takes_long_is_not_spread_over_the_steps_before_it():
    steps, times = list(range(1, 201)), [0.01 * step for step in range(1, 200)] + [4.0]
    corners = timing(list(steps), list(times))
    assert corners == ((0.005, 0.0), (0.995, 0.4962), (1.0, 1.0))
    assert share_of_time(corners, 0.99) == pytest.approx(0.4962 * 197 / 198, abs=1e-4)


def test_timing_passes_every_frame_closely_in_few_corners():
    steps = np.arange(1, 501)
    times = np.cumsum(np.where(steps <= 250, 1.0, 3.0) + np.random.default_rng(0).normal(0, 0.2, 500))
    corners = timing(list(steps), list(times))
    passed = (times - times[0]) / (times[-1] - times[0])
    read = [share_of_time(corners, step / 500) for step in steps]
    assert np.abs(read - passed).max() < TIMING_ERROR + 2e-4 and len(corners) < 12


def test_stages_that_stand_still_in_steps_keep_their_time():
    corners = timing([0, 10, 10, 20], [0.0, 1.0, 3.0, 4.0])
    assert corners == ((0.0, 0.0), (0.5, 0.25), (0.5, 0.75), (1.0, 1.0))
    assert share_of_time(corners, 0.5) == 0.75 and share_of_time(corners, 0.25) == 0.125


def test_share_of_time_interpolates_and_is_linear_where_unknown():
    assert share_of_time((), 0.3) == 0.3
    assert share_of_time(SLOW_END, 0.5) == 0 and share_of_time(SLOW_END, 0.775) == pytest.approx(0.55)
    assert (share_of_time(SLOW_END, -1), share_of_time(SLOW_END, 2)) == (0, 1)


def test_time_left_follows_the_timing_and_the_clock():
    config = idea.load("saliency").config()
    job = Job("run", "saliency", config, (0,), status="running", steps=100, step=75, received=110.0)
    assert seconds_left(job, 110.0) is None  # no first frame
    job.first = (100.0, 50)
    assert seconds_left(job, 110.0) == pytest.approx(10)  # half of what is left took ten seconds
    assert seconds_left(job, 112.0) == pytest.approx(8)
    assert seconds_left(job, 125.0) == 0
    job.timing = ((0.0, 0.0), (0.75, 0.5), (0.95, 0.6), (1.0, 1.0))  # of 50 to 75 steps: a sixth
    assert seconds_left(job, 110.0) == pytest.approx(30)
    job.timing = ((0.0, 0.0), (0.9, 0.0), (1.0, 1.0))  # of a run whose last steps alone took time
    assert seconds_left(job, 110.0) == pytest.approx(10)


def test_the_expected_timing_is_of_the_run_that_is_most_alike(tmp_path: Path):
    subject = idea.load("label_noise")
    recorded = runs.recorded("label_noise")
    longer, other = subject.quick.replace(epochs=subject.quick.epochs + 1), subject.quick.replace(kind="pair")
    assert expected_timing("label_noise", longer, tmp_path) == recorded.timing
    frames = list(subject.run(subject.quick, (0,)))
    run = runs.of("label_noise", subject.quick, (0,), frames, 1.0, device="cpu", timing=SLOW_END)
    runs.write(run, film.pack(frames), root=tmp_path)
    assert expected_timing("label_noise", subject.quick, tmp_path) == SLOW_END
    assert expected_timing("label_noise", longer, tmp_path) == SLOW_END
    assert expected_timing("label_noise", other, tmp_path) == recorded.timing
    default = subject.config(**recorded.config)
    assert expected_timing("label_noise", default, tmp_path) == recorded.timing  # its own settings first


def test_every_idea_ships_with_its_timing():
    for card in idea.cards():
        assert len(runs.recorded(card.slug).timing) >= 2, f"record {card.slug} --timing"
