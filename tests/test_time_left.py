"""Time left of a run: by hand, from the pace of runs that differ in numbers alone."""

from pathlib import Path

import pytest

from mlcv_explore import idea
from mlcv_explore.experiment import film, runs
from mlcv_explore.experiment.job import Job, expected_pace, seconds_left
from mlcv_explore.experiment.worker import pace, share_of_time

SLOW_END = (0.0,) * 11 + tuple(place / 10 for place in range(1, 11))  # nothing, then the second half


def test_pace_begins_at_the_first_frame_whatever_came_before():
    steps, times = [0, 10, 20], [30.0, 31.0, 33.0]  # thirty seconds of imports
    shares = pace(steps, times)
    assert len(shares) == 21 and shares[0] == 0 and shares[-1] == 1
    assert shares[10] == pytest.approx(1 / 3, abs=1e-4) and shares[5] == pytest.approx(1 / 6, abs=1e-4)
    assert pace([5], [3.0]) == () and pace([], []) == ()


def test_share_of_time_interpolates_and_is_linear_where_unknown():
    assert share_of_time((), 0.3) == 0.3
    assert share_of_time(SLOW_END, 0.5) == 0 and share_of_time(SLOW_END, 0.775) == pytest.approx(0.55)
    assert (share_of_time(SLOW_END, -1), share_of_time(SLOW_END, 2)) == (0, 1)


def test_time_left_follows_the_pace_and_the_clock():
    config = idea.load("saliency").config()
    job = Job("run", "saliency", config, (0,), status="running", steps=100, step=75, received=110.0)
    assert seconds_left(job, 110.0) is None  # no first frame
    job.first = (100.0, 50)
    assert seconds_left(job, 110.0) == pytest.approx(10)  # half of what is left took ten seconds
    assert seconds_left(job, 112.0) == pytest.approx(8)
    assert seconds_left(job, 125.0) == 0
    job.pace = (*SLOW_END[:16], 0.1, 0.2, 0.3, 0.4, 1.0)  # the first 75 steps: half; then most at the end
    assert seconds_left(job, 110.0) == pytest.approx(10)
    job.pace = (0.0,) * 20 + (1.0,)  # of a run whose last step alone took time
    assert seconds_left(job, 110.0) == pytest.approx(10)
    job.pace = tuple(place**2 / 400 for place in range(21))
    assert seconds_left(job, 110.0) == pytest.approx(10 / (0.5625 - 0.25) * (1 - 0.5625))


def test_the_expected_pace_is_of_a_run_that_differs_in_numbers_alone(tmp_path: Path):
    subject = idea.load("label_noise")
    frames = list(subject.run(subject.quick, (0,)))
    run = runs.of("label_noise", subject.quick, (0,), frames, 1.0, device="cpu", pace=SLOW_END)
    runs.write(run, film.pack(frames), root=tmp_path)
    longer, other = subject.quick.replace(epochs=subject.quick.epochs + 1), subject.quick.replace(kind="pair")
    assert expected_pace("label_noise", subject.quick, tmp_path) == SLOW_END
    assert expected_pace("label_noise", longer, tmp_path) == SLOW_END
    assert expected_pace("label_noise", other, tmp_path) == ()
    recorded = runs.recorded("label_noise")
    default = subject.config(**recorded.config)
    assert expected_pace("label_noise", default, tmp_path) == recorded.pace  # its own settings first
