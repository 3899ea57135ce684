"""The job engine on a real cluster of processes: share, follow, cancel, and every fault
a run can have.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from mlcv_explore import idea
from mlcv_explore.experiment import cluster, jobs, registry, runs, watchdog, worker
from mlcv_explore.experiment.job import CLUSTER_LOST, RunState
from mlcv_explore.experiment.jobs import Busy, Jobs

pytestmark = pytest.mark.alone
DEADLINE = 40.0  # seconds any condition may take on a busy machine
FAULTY = Path(__file__).parent / "faulty_ideas"
ROOT = Path(__file__).parent.parent


def until(holds: Callable[[], object], seconds: float = DEADLINE) -> None:
    """Wait until a condition holds; fail when it does not within the deadline."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.01)


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of this module's own, known to the workers, beside ideas that fail."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("home")
    patch.setenv("MLCV_HOME", str(folder))
    patch.setenv("MLCV_IDEAS", str(FAULTY))
    patch.setenv("MLCV_WORKER_MEMORY", "600MB")
    idea.cards.cache_clear()
    yield folder
    patch.undo()
    idea.cards.cache_clear()


@pytest.fixture(scope="module")
def engine(home: Path) -> Iterator[Jobs]:
    """One engine with one worker; a run nobody follows has a quarter of a second."""
    engine = Jobs(workers=1, grace=0.25)
    engine.warm()
    yield engine
    engine.close()


_names = iter(range(1, 1_000_000))


def sham(**values: object) -> "object":
    """Settings of a run that no other test asks for."""
    return idea.load("sham").config(**{"name": next(_names), **values})


def began(home: Path, config: object) -> int:
    """How often the generator of these settings was started."""
    file = home / "begun"
    return file.read_text().split().count(str(config.name)) if file.exists() else 0


def ended(engine: Jobs, run_id: str) -> RunState:
    """The state of a run once it has ended."""
    until(lambda: engine.state(run_id).status not in ("waiting", "running"))
    return engine.state(run_id)


def seen(engine: Jobs, run_id: str, step: int = 1) -> list[object]:
    """The film once it has come to this step."""
    until(lambda: engine.state(run_id).step >= step)
    return engine.frames(run_id)


def free(engine: Jobs) -> None:
    """Wait until no run is under way."""
    until(lambda: queue(engine) == {"running": 0, "waiting": 0})


def queue(engine: Jobs) -> dict[str, int]:
    """How many runs are running and waiting."""
    states = [job.status for job in engine._registry.jobs.values()]
    return {"running": states.count("running"), "waiting": states.count("waiting")}


def one_sentence(text: str) -> bool:
    """Whether a reader could be shown this: one line, no traceback, ended by a full
    stop.
    """
    return bool(text) and "\n" not in text and "Traceback" not in text and text.endswith(".")


def test_two_visitors_share_one_run_and_the_film_is_the_generators(engine: Jobs, home: Path) -> None:
    config = sham(steps=6, pace=0.1)
    first = engine.start("sham", config, (3, 4), "a")
    second = engine.start("sham", config, (3, 4), "b")
    assert first == second
    state = ended(engine, first)
    assert (state.status, state.message, state.step, state.steps) == ("finished", "", 6, 6)
    assert began(home, config) == 1
    film, alone = engine.frames(first), list(idea.load("sham").run(config, (3, 4)))
    assert [frame.step for frame in film] == [1, 2, 3, 4, 5, 6]
    for frame, expected in zip(film, alone, strict=True):
        assert np.array_equal(frame.values, expected.values)
    assert film[0].process != os.getpid()


def test_a_finished_run_is_saved_and_read_from_disk(engine: Jobs, home: Path) -> None:
    config = sham()
    run_id = engine.start("sham", config, (0, 1), "a")
    saved = ended(engine, run_id).run
    assert saved.folder == home / "runs" / f"sham-{run_id}" and saved.id == run_id and saved.seeds == (0, 1)
    assert saved.metrics["other_value"]["mean"] == pytest.approx(saved.metrics["sham_value"]["mean"] + 1)
    assert [verdict["status"] for verdict in saved.verdicts] == ["supported"]
    other = Jobs(scheduler="tcp://127.0.0.1:9")  # nothing listens there: only the disk can answer
    assert other.start("sham", config, (0, 1), "b") == run_id
    assert other.state(run_id).status == "finished"
    assert np.array_equal(other.frames(run_id)[-1].values, engine.frames(run_id)[-1].values)
    other.close()
    runs.delete(saved)
    engine.start("sham", config, (0, 1), "a")
    assert ended(engine, run_id).status == "finished" and began(home, config) == 2


def test_a_damaged_saved_film_is_computed_again(engine: Jobs, home: Path) -> None:
    config = sham()
    run_id = engine.start("sham", config, (0,), "a")
    film = ended(engine, run_id).run.folder / "film.npz"
    film.write_bytes(film.read_bytes()[:-1] + b"?")  # of the same size: only its checksum differs
    other = Jobs(scheduler=engine._connection.client.scheduler.address, grace=60)
    other.start("sham", config, (0,), "b")
    assert ended(other, run_id).status == "finished" and len(other.frames(run_id)) == 5
    assert began(home, config) == 2
    runs.film_bytes(runs.find(run_id))
    other.close()


def test_a_late_joiner_sees_the_film_from_the_beginning(engine: Jobs) -> None:
    config = sham(steps=200, pace=0.05)
    run_id = engine.start("sham", config, (0,), "a")
    seen(engine, run_id, 10)
    assert engine.start("sham", config, (0,), "b") == run_id
    steps = [frame.step for frame in engine.frames(run_id)]
    assert steps == list(range(1, len(steps) + 1)) and len(steps) >= 10
    state = engine.state(run_id)
    assert 0 < state.produced <= state.received and 1 < state.seconds_left < 60
    # The other still watches: one who cancels only leaves
    assert engine.cancel(run_id, "b") is False
    seen(engine, run_id, state.step + 10)
    assert engine.state(run_id).status == "running"
    assert engine.cancel(run_id, "a") is True
    assert ended(engine, run_id).status == "cancelled"
    assert [frame.step for frame in engine.frames(run_id)[:10]] == list(range(1, 11))  # what was shown stays


def test_a_cancelled_run_ends_soon_is_closed_and_can_be_started_again(engine: Jobs, home: Path) -> None:
    config = sham(steps=100, pace=0.05)
    run_id = engine.start("sham", config, (0,), "a")
    seen(engine, run_id)
    start = time.monotonic()
    assert engine.cancel(run_id, "a")
    again = engine.start("sham", config, (0,), "a")  # at once: the attempt before may not have ended
    assert again == run_id and engine.state(run_id).status == "waiting" and engine.frames(run_id) == []
    until(
        lambda: (
            str(config.name) in (home / "closed").read_text().split() if (home / "closed").exists() else False
        )
    )
    assert time.monotonic() - start < 5
    assert seen(engine, run_id)[0].step == 1 and engine.state(run_id).status == "running"
    assert engine.cancel(run_id, "a")
    assert ended(engine, run_id).status == "cancelled" and began(home, config) == 2
    assert engine.cancel(run_id, "a") is False and engine.cancel("nothing", "a") is False


def test_a_waiting_run_is_cancelled_without_having_begun(engine: Jobs, home: Path) -> None:
    long, waiting, after = sham(steps=100, pace=0.1), sham(), sham()
    first = engine.start("sham", long, (0,), "a")
    seen(engine, first)
    second, third = engine.start("sham", waiting, (0,), "b"), engine.start("sham", after, (0,), "c")
    assert engine.state(second).ahead == 1 and engine.state(third).ahead == 2
    assert engine.cancel(second, "b")
    assert ended(engine, second).status == "cancelled"
    assert engine.state(third).ahead == 1
    engine.cancel(first, "a")
    assert ended(engine, third).status == "finished" and began(home, waiting) == 0


def test_a_killed_worker_fails_its_run_alone_and_start_again_works(engine: Jobs) -> None:
    config, patient = sham(steps=60, pace=0.1), [sham(), sham()]
    run_id = engine.start("sham", config, (0,), "a")
    worker = seen(engine, run_id)[0].process
    others = [engine.start("sham", other, (0,), "b") for other in patient]
    os.kill(worker, signal.SIGKILL)
    state = ended(engine, run_id)
    assert (
        state.status == "failed"
        and "600MB" in state.message
        and one_sentence(state.message.split("). ")[0] + ").")
    )
    assert all(ended(engine, other).status == "finished" for other in others)
    assert engine.start("sham", config, (0,), "a") == run_id
    assert seen(engine, run_id)[0].process != worker
    engine.cancel(run_id, "a")
    free(engine)


def test_a_run_beyond_its_memory_fails_in_one_sentence(engine: Jobs) -> None:
    run_id = engine.start("sham", sham(kind="hogs"), (0,), "a")
    state = ended(engine, run_id)
    assert state.status == "failed" and "memory (600MB)" in state.message
    after = engine.start("sham", sham(), (0,), "a")
    assert ended(engine, after).status == "finished"


def test_the_worker_of_a_run_that_does_not_end_is_restarted(
    engine: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "CANCEL_TIMEOUT", 0.5)
    config = sham(kind="sleeps")
    run_id = engine.start("sham", config, (0,), "a")
    worker = seen(engine, run_id)[0].process
    waiting = engine.start("sham", sham(), (0,), "b")
    engine.cancel(run_id, "a")
    # an equal run takes its place: the stuck one must go all the same
    engine.start("sham", config, (0,), "c")
    until(lambda: not psutil.pid_exists(worker))
    engine.cancel(run_id, "c")
    assert ended(engine, run_id).status == "cancelled"
    done = ended(engine, waiting)
    assert done.status == "finished", done.message


def test_an_abandoned_run_is_cancelled_after_the_grace_time(engine: Jobs) -> None:
    config = sham(steps=1000, pace=0.02)
    run_id = engine.start("sham", config, (0,), "a")
    engine.watch(run_id, "b")
    seen(engine, run_id)
    engine.leave("a")
    engine.leave("b")
    engine.watch(run_id, "b")  # a reload
    version = engine.state(run_id).step
    seen(engine, run_id, version + 100)
    assert engine.state(run_id).status == "running"
    engine.leave("b")
    start = time.monotonic()
    assert ended(engine, run_id).status == "cancelled"
    assert time.monotonic() - start > 0.25


def test_admission(engine: Jobs) -> None:
    first = engine.start("sham", sham(steps=1000, pace=0.05), (0,), "a")
    seen(engine, first)
    waiting = [engine.start("sham", sham(), (0,), "a") for _ in range(jobs.OWN_WAITING)]
    with pytest.raises(Busy) as refused:
        engine.start("sham", sham(), (0,), "a")
    assert (
        one_sentence(str(refused.value))
        and "2 runs waiting" in str(refused.value)
        and "3 runs are ahead" in str(refused.value)
    )
    # an equal one is joined, not refused
    assert engine.start("sham", engine._registry.jobs[waiting[0]].config, (0,), "a") == waiting[0]
    for number in range(jobs.ALL_WAITING - jobs.OWN_WAITING):
        waiting.append(engine.start("sham", sham(), (0,), f"visitor {number}"))
    assert queue(engine) == {"running": 1, "waiting": 16}
    with pytest.raises(Busy, match="17 runs are ahead of yours"):
        engine.start("sham", sham(), (0,), "another")
    engine.cancel(waiting[1], "a")
    waiting[1] = engine.start("sham", sham(), (0,), "another")
    engine.cancel(first, "a")
    assert {ended(engine, run_id).status for run_id in waiting} == {"finished"}


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("refuses", "The sham refuses at this step; ask for less."),
        ("diverges", "The loss is no number any more at step 2; lower the learning rate."),
        (
            "breaks",
            (
                "The run stopped with an unexpected error (KeyError: 'a\\nmistake'). Start again; if it"
                " recurs, the server's log has the traceback."
            ),
        ),
    ],
)
def test_an_error_of_an_idea_is_reported_in_one_sentence(engine: Jobs, kind: str, sentence: str) -> None:
    run_id = engine.start("sham", sham(kind=kind, pace=0.4), (0,), "a")
    state = ended(engine, run_id)
    assert (state.status, state.message) == ("failed", sentence)
    assert [frame.step for frame in engine.frames(run_id)] == [1]
    assert runs.find(run_id) is None


def test_frames_that_wait_when_a_run_breaks_are_sent_before_its_error(home: Path) -> None:
    first, second, *_ = idea.load("sham").run(sham(), (0,))
    sent: list[dict] = []
    with pytest.raises(ValueError), worker._EventSender(sent.append) as sender:
        sender.send_soon(first)
        until(lambda: sent)
        sender.send_soon(second)  # it waits for its quarter of a second
        raise ValueError
    assert [event["step"] for event in sent] == [1, 2]


def test_a_frame_larger_than_an_event_comes_with_the_whole_film(engine: Jobs) -> None:
    run_id = engine.start("sham", sham(size=20_000, steps=8, pace=0.2), (0,), "a")
    until(lambda: engine.state(run_id).step >= 3)
    # 160 kB of noise: only the step is sent
    assert engine.state(run_id).status == "running" and engine.frames(run_id) == []
    assert ended(engine, run_id).status == "finished" and len(engine.frames(run_id)) == 8


def test_a_film_whose_step_goes_back_starts_again(engine: Jobs) -> None:
    run_id = engine.start("sham", sham(kind="goes back", at=8, steps=1000, pace=0.1), (0,), "a")
    seen(engine, run_id, 9)
    steps = [frame.step for frame in engine.frames(run_id)]
    assert steps[0] in (1, 9) and 7 not in steps
    engine.cancel(run_id, "a")
    free(engine)


def test_output_of_an_idea_does_not_block_its_run(engine: Jobs) -> None:
    run_id = engine.start("sham", sham(kind="talks"), (0,), "a")
    assert ended(engine, run_id).status == "finished"


def test_two_engines_on_one_scheduler_do_not_mix(engine: Jobs, home: Path, tmp_path: Path) -> None:
    address = engine._connection.client.scheduler.address
    other = Jobs(scheduler=address, grace=60, root=tmp_path)
    config = sham(steps=20, pace=0.05)
    assert engine.start("sham", config, (0,), "a") == other.start("sham", config, (0,), "a")
    run_id = runs.identity("sham", config, (0,))
    seen(engine, run_id)
    assert other.state(run_id).status == "waiting" and other.frames(run_id) == []
    engine.cancel(run_id, "a")
    assert ended(engine, run_id).status == "cancelled"
    assert ended(other, run_id).status == "finished"
    assert [frame.step for frame in other.frames(run_id)] == list(range(1, 21)) and began(home, config) == 2
    other.close()
    after = engine.start("sham", sham(), (0,), "a")  # one engine that closes does not take the cluster along
    assert ended(engine, after).status == "finished"


def test_a_run_that_cannot_be_saved_is_shown_all_the_same(engine: Jobs, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    other = Jobs(scheduler=engine._connection.client.scheduler.address, grace=60, root=tmp_path / "runs")
    config = sham()
    run_id = other.start("sham", config, (0,), "a")
    state = ended(other, run_id)
    assert (
        state.status == "finished" and "could not be saved" in state.message and one_sentence(state.message)
    )
    assert len(other.frames(run_id)) == 5 and state.run.metrics["sham_value"]["mean"] is not None
    other.start("sham", config, (0,), "b")
    assert other.state(run_id) == state  # shown again as long as its film is cached
    other.close()


def test_undefined_metrics_are_null_on_disk(engine: Jobs) -> None:
    run_id = engine.start("sham", sham(kind="undefined"), (0, 1), "a")
    folder = ended(engine, run_id).run.folder
    assert json.loads((folder / "run.json").read_text())["metrics"]["sham_value"] == {
        "mean": None,
        "low": None,
        "high": None,
        "per_seed": [None, None],
    }


def test_memory_is_bounded_over_many_runs(engine: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "FILM_BYTES", 3 * 5 * 8000)
    monkeypatch.setattr(registry, "ENDED", 6)
    ids = []
    for _ in range(10):
        ids.append(engine.start("sham", sham(size=1000), (0,), "a"))
        assert ended(engine, ids[-1]).status == "finished"
    assert 1 <= len(engine._registry.films) <= 3 and len(engine._registry.jobs) <= 7
    assert all(not job.frames and job.future is None for job in engine._registry.jobs.values())
    assert len(engine.frames(ids[-5])) == 5  # read from disk again
    assert engine.state(ids[0]) is None and engine.frames(ids[0]) == []


def test_a_scheduler_that_does_not_answer_is_reported_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER", 0.5)
    lonely = Jobs(scheduler="tcp://127.0.0.1:9")
    with pytest.raises(Busy, match=r"the cluster of tcp://127\.0\.0\.1:9 does not answer"):
        lonely.start("sham", sham(), (0,), "a")
    lonely.close()


def test_a_lost_cluster_fails_its_runs_and_the_next_start_has_a_new_one(
    engine: Jobs, capfd: pytest.CaptureFixture[str]
) -> None:
    config = sham(steps=100, pace=0.05)
    run_id, waiting = engine.start("sham", config, (0,), "a"), engine.start("sham", sham(), (0,), "b")
    worker = seen(engine, run_id)[0].process
    os.kill(engine._connection.process.pid, signal.SIGKILL)
    state = ended(engine, run_id)
    assert (state.status, state.message) == ("failed", CLUSTER_LOST) and ended(
        engine, waiting
    ).status == "failed"
    assert engine.start("sham", config, (0,), "a") == run_id
    assert seen(engine, run_id)[0].process != worker
    engine.cancel(run_id, "a")
    assert ended(engine, run_id).status == "cancelled"
    until(lambda: not psutil.pid_exists(worker))
    assert "Traceback" not in capfd.readouterr().err


def test_closing_leaves_no_process_behind() -> None:
    short = Jobs(workers=1)
    run_id = short.start("sham", sham(kind="sleeps", at=2), (0,), "a")
    seen(short, run_id)
    family = [
        psutil.Process(short._connection.process.pid),
        *psutil.Process(short._connection.process.pid).children(recursive=True),
    ]
    assert len(family) >= 2
    short.close()
    until(
        lambda: (
            not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
        ),
        15,
    )
    with pytest.raises(Busy):
        short.start("sham", sham(), (0,), "a")


def test_closing_while_the_cluster_comes_up_leaves_no_process_behind() -> None:
    short = Jobs(workers=1)

    def warm() -> None:
        with pytest.raises(Busy):
            short.warm()

    warming = threading.Thread(target=warm)
    warming.start()
    until(lambda: short._connection is not None and short._connection.process is not None)
    process = psutil.Process(short._connection.process.pid)
    short.close()
    warming.join(DEADLINE)
    assert not warming.is_alive() and short._connection is None
    until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 15)


ENDING = """
import time
from mlcv_explore import idea
from mlcv_explore.experiment.jobs import Jobs
engine = Jobs(workers=1)
run = engine.start("sham", idea.load("sham").config(steps=6, pace=0.02, name={name}), (0,), "a")
while engine.state(run).step < {step}:
    time.sleep(0.005)
{close}
"""


@pytest.mark.parametrize(("step", "close"), [(1, "engine.close()"), (6, "engine.close()"), (1, "")])
def test_a_server_that_ends_in_mid_run_ends_quietly(step: int, close: str) -> None:
    script = ENDING.format(name=next(_names), step=step, close=close)
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE, cwd=ROOT
    )
    assert (ended.returncode, ended.stderr) == (0, "")
