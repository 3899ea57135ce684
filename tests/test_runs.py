"""Runs on disk: whole or absent after every crash, found again, bounded in size, and
reported in a sentence when they are damaged.
"""

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcv_explore import environment, idea
from mlcv_explore.command.arguments import read as understood
from mlcv_explore.experiment import film, fingerprint, runs
from mlcv_explore.experiment.runs import DamagedRun, NotSaved, Run

ROOT = Path(__file__).parent.parent
FILM = bytes(range(256)) * 40
SHIPPED = [card.slug for card in idea.cards() if (idea.ASSETS / card.slug / "default").is_dir()]
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def sham(monkeypatch: pytest.MonkeyPatch) -> Iterator[idea.Idea]:
    """An idea whose settings hold a blank and whose numbers can be undefined."""
    monkeypatch.setenv("MLCV_IDEAS", str(Path(__file__).parent / "faulty_ideas"))
    idea.cards.cache_clear()
    yield idea.load("sham")
    monkeypatch.undo()
    idea.cards.cache_clear()


def made(run_id: str = "0" * 20, **changes: Any) -> Run:
    """The record of a run that never was."""
    record = Run(
        id=run_id,
        slug="coin",
        key="k" * 16,
        config={"bias": 0.5, "shape": "fair"},
        seeds=(0, 1),
        started="2026-01-01T00:00:00+00:00",
        seconds=1.5,
        versions={"python": "3.11"},
        device="cpu",
        fingerprint="f" * 12,
        metrics={"coin_value": {"mean": 0.5, "low": None, "high": None, "per_seed": [0.5, None]}},
        verdicts=[{"status": "undecided", "sentence": "Not yet."}],
    )
    return replace(record, **changes)


def one_sentence(text: str) -> bool:
    """Whether a reader could be shown this: one line, no traceback, ended by its only
    full stop.
    """
    return (
        bool(text)
        and "\n" not in text
        and "Traceback" not in text
        and text.endswith(".")
        and ". " not in text
    )


def left_over(root: Path) -> list[str]:
    """Names of folders that were begun and not finished."""
    return [path.name for path in root.glob(".part-*")]


def whole(run: Run) -> bool:
    """Whether record and film are as they were written."""
    return runs.film_bytes(runs.read(run.folder)) == FILM


def child(script: str, *words: object, ahead: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    """A script in a process of its own that has this module's names."""
    start = (
        "import os, random, signal, sys, time\nfrom pathlib import Path\n"
        "from mlcv_explore.experiment import runs\nfrom tests.test_runs import made, FILM\n"
    )
    words = (*ahead, sys.executable, "-c", start + script, *map(str, words))
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)


# --- saved and found again


@given(
    config=st.dictionaries(
        st.text(max_size=8), st.booleans() | st.integers() | st.text(max_size=8) | numbers, max_size=4
    ),
    seeds=st.lists(st.integers(0, 2**63), min_size=1, max_size=4),
    metrics=st.dictionaries(
        st.text(max_size=8),
        st.dictionaries(st.text(max_size=5), numbers | st.lists(numbers, max_size=3), max_size=4),
    ),
    film=st.binary(max_size=200),
)
@settings(max_examples=30)
def test_a_saved_run_is_found_again_as_it_was(
    config: dict, seeds: list[int], metrics: dict, film: bytes
) -> None:
    with tempfile.TemporaryDirectory() as root:
        saved = runs.write(made(config=config, seeds=tuple(seeds), metrics=metrics), film, root=Path(root))
        loaded = runs.find(saved.id, Path(root))
        assert loaded == saved and loaded.folder == saved.folder == Path(root) / f"coin-{saved.id}"
        assert runs.film_bytes(loaded) == film and runs.all_runs(Path(root)) == ([saved], [])
        assert [type(value) for value in loaded.config.values()] == [type(value) for value in config.values()]
        assert runs.find("0" * 19, Path(root)) is None and runs.find("*", Path(root)) is None


def test_weights_lie_beside_the_film(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    weights = {"layer": np.arange(6, dtype=np.float32).reshape(2, 3)}
    saved = runs.write(made(), FILM, weights, tmp_path)
    assert np.array_equal(load_file(saved.folder / "weights.safetensors")["layer"], weights["layer"])


def test_the_newest_stands_first(tmp_path: Path) -> None:
    for number in (3, 1, 4, 0, 2):
        runs.write(
            made(f"{number:020}", started=f"2026-01-0{number + 1}T00:00:00+00:00"), FILM, root=tmp_path
        )
    assert [int(run.id) for run in runs.all_runs(tmp_path)[0]] == [4, 3, 2, 1, 0]


def test_a_second_copy_is_not_made_and_a_deleted_one_can_be_saved_again(tmp_path: Path) -> None:
    first = runs.write(made(device="first"), FILM, root=tmp_path)
    assert runs.write(made(device="second"), FILM + b"other", root=tmp_path) == first
    assert whole(first) and left_over(tmp_path) == []
    runs.delete(first)
    runs.delete(first)  # no error
    assert list(tmp_path.iterdir()) == []
    assert runs.write(made(device="second"), FILM, root=tmp_path).device == "second"


def test_an_empty_folder_has_no_runs(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert (
        runs.all_runs(absent) == ([], [])
        and runs.find("0" * 20, absent) is None
        and runs.total_bytes(absent) == 0
    )
    runs.limit(1, root=absent)
    assert not absent.exists()


@pytest.mark.parametrize("slug", SHIPPED)
def test_a_shipped_run_reads(slug: str) -> None:
    run, subject = runs.recorded(slug), idea.load(slug)
    frames = film.unpack(runs.film_bytes(run), subject.frame)
    assert (run.slug, frames[-1].step) == (slug, frames[-1].steps)
    columns = subject.metrics(subject.config(**run.config), frames)
    assert run.metrics.keys() == columns.keys()
    for name, column in columns.items():
        assert len(column) == len(run.seeds)
        assert run.metrics[name]["mean"] == pytest.approx(np.mean(column), abs=1e-6)


def test_an_idea_without_a_shipped_run_has_none() -> None:
    assert runs.recorded("never recorded") is None


def test_home_is_the_folder_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLCV_HOME", str(tmp_path))
    assert runs.write(made(), FILM).folder.parent == runs.runs_folder() == tmp_path / "runs"
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.setenv("MLCV_HOME", "~/saved")
    assert environment.home() == Path("/somewhere/saved")
    monkeypatch.delenv("MLCV_HOME")
    assert "mlcv-explore" in str(environment.home()) and environment.home().is_absolute()


# --- a place that cannot be written


def refused(root: Path) -> str:
    """The message of a run that could not be saved."""
    with pytest.raises(NotSaved) as error:
        runs.write(made(), FILM, root=root)
    return str(error.value)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("mine")
    assert one_sentence(refused(tmp_path / "runs")) and one_sentence(refused(tmp_path / "runs" / "deeper"))
    assert (tmp_path / "runs").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_a_file_where_the_run_should_be(tmp_path: Path) -> None:
    (tmp_path / "coin-00000000000000000000").write_text("mine")
    runs.write(made(), FILM, root=tmp_path)
    assert whole(runs.find("0" * 20, tmp_path))


WRITE_LARGE = """
{limit}
root = Path(sys.argv[1])
try:
    runs.write(made(), b"?" * 1_000_000, root=root)
except runs.NotSaved as error:
    print(error, len(list(root.iterdir())), sep="|")
    runs.write(made(), b"!", root=root)
    print(runs.film_bytes(runs.find("0" * 20, root)) == b"!")
"""


def test_a_film_beyond_the_size_a_file_may_have(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    ended = child(WRITE_LARGE.format(limit=limit), tmp_path)
    message, left = ended.stdout.splitlines()[0].split("|")
    assert one_sentence(message) and "too large" in message and left == "0"
    assert ended.stdout.splitlines()[1] == "True"  # a smaller one is still saved


def test_a_full_disk(tmp_path: Path) -> None:
    mount = ("sh", "-c", f'mount -t tmpfs -o size=200k tmpfs "{tmp_path}" && exec "$@"', "sh")
    # seen by that process only, and gone with it
    alone = ("unshare", "--user", "--map-root-user", "--mount", *mount)
    if shutil.which("unshare") is None or subprocess.run((*alone, "true"), capture_output=True).returncode:
        pytest.skip("no file system of its own can be mounted here")
    ended = child(WRITE_LARGE.format(limit=""), tmp_path, ahead=alone)
    message, left = ended.stdout.splitlines()[0].split("|")
    assert one_sentence(message) and "No space left" in message and left == "0"
    assert ended.stdout.splitlines()[1] == "True"


def test_a_record_that_is_no_json_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        runs.write(made(seconds=float("nan")), FILM, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- crashes and races

KILLED = """
root, chance = Path(sys.argv[1]), random.Random(0)
for attempt in range(20):
    child = os.fork()
    if child == 0:
        number = 1000 * attempt
        while True:
            saved = runs.write(made(f"{number:020}"), FILM * 50, root=root)
            if number % 3 == 0:
                runs.delete(saved)
            number += 1
    time.sleep(chance.uniform(0, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_writer_killed_at_any_moment_leaves_a_run_whole_or_absent(tmp_path: Path) -> None:
    ended = child(KILLED, tmp_path)
    assert ended.stderr == ""
    saved, damaged = runs.all_runs(tmp_path)
    assert damaged == [] and len(saved) >= 10
    assert all(runs.film_bytes(run) == FILM * 50 for run in saved)
    assert len(left_over(tmp_path)) >= 5  # the kills came in the middle
    for name in left_over(tmp_path):
        os.utime(tmp_path / name, (0, 0))
    runs.limit(1e6, root=tmp_path)
    assert left_over(tmp_path) == [] and len(runs.all_runs(tmp_path)[0]) == len(saved)


RACE = """
root, rounds = Path(sys.argv[1]), int(sys.argv[2])
for number in range(rounds):
    name = f"{number:020}"
    if number % 2:  # a damaged copy lies there
        (root / f"coin-{name}").mkdir(parents=True)
        (root / f"coin-{name}" / "film.npz").write_bytes(b"half")
    gate, opener = os.pipe()
    children = []
    for device in ("one", "two", "three"):
        child = os.fork()
        if child == 0:
            os.close(opener)
            os.read(gate, 1)
            saved = runs.write(made(name, device=device), FILM, root=root)
            os.write(1, f"{name} {saved.device} {saved.folder}\\n".encode())
            os._exit(0)
        children.append(child)
    os.close(gate)
    os.close(opener)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_writers_of_one_run_at_once_leave_one_whole_copy_that_all_return(tmp_path: Path) -> None:
    rounds = 30
    ended = child(RACE, tmp_path, rounds)
    assert ended.stderr == "" and len(ended.stdout.splitlines()) == 3 * rounds
    saved, damaged = runs.all_runs(tmp_path)
    assert damaged == [] and left_over(tmp_path) == [] and len(saved) == rounds and all(map(whole, saved))
    for run in saved:
        lines = [line.split() for line in ended.stdout.splitlines() if line.startswith(run.id)]
        assert {folder for _, _, folder in lines} == {str(run.folder)}
        # else a writer may put its own equal copy where another's was taken for the damaged one
        if int(run.id) % 2 == 0:
            assert {device for _, device, _ in lines} == {run.device}


# times that other folders were there than a moment ago: without care a count trips within the first
# 50, over a single file within 300
CAUGHT = 600
COME_AND_GO = """
import pathlib, shutil, sys
while True:
    folders = [pathlib.Path(sys.argv[1], f"coin-{number:020}") for number in range(30)]
    for folder in folders:
        folder.mkdir()
        for name in ("run.json", "film.npz", "weights.safetensors"):
            (folder / name).write_bytes(b"{}")
    for folder in folders:
        shutil.rmtree(folder)
"""


@pytest.mark.parametrize(
    "count",
    [runs.total_bytes, runs.all_runs, lambda root: runs.find(f"{29:020}", root)],
    ids=["total", "list", "find"],
)
def test_folders_that_vanish_while_they_are_counted(count: Callable[[Path], object], tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", COME_AND_GO, tmp_path])
    seen, deadline = [frozenset()], time.monotonic() + 20
    try:
        while time.monotonic() < deadline and len(seen) < CAUGHT:
            now = frozenset(path.name for path in tmp_path.iterdir())
            seen += [now] * (now != seen[-1])
            for _ in range(5):
                count(tmp_path)
        assert len(set(seen)) > 10
    finally:
        other.kill()
        other.wait()


LIMITED = """
root, offset = Path(sys.argv[1]), int(sys.argv[2])
for number in range(60):
    saved = runs.write(made(f"{offset + number:020}"), b"?" * 10_000, root=root)
    runs.limit(0.03, spare=saved.id, root=root)
    try:
        if runs.film_bytes(saved) != b"?" * 10_000:
            raise SystemExit("the run just saved is not the one that was written")
    except runs.DamagedRun:  # the other process made room since
        if saved.folder.exists():
            raise
    runs.total_bytes(root)
"""


def test_two_processes_that_make_room_at_once_do_not_trip(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as both:
        ended = list(both.map(lambda offset: child(LIMITED, tmp_path, offset), (0, 1000)))
    assert [process.stderr for process in ended] == ["", ""]
    saved, damaged = runs.all_runs(tmp_path)
    assert damaged == [] and 1 <= len(saved) <= 4 and {59, 1059} & {int(run.id) for run in saved}


# --- damage


def tampered(root: Path, **changes: Any) -> Path:
    """A saved run whose record was changed; None drops a key."""
    folder = runs.write(made(), FILM, root=root).folder
    record = {**json.loads((folder / "run.json").read_text()), **changes}
    (folder / "run.json").write_text(
        json.dumps({name: value for name, value in record.items() if value is not None})
    )
    return folder


def assert_skipped(root: Path) -> None:
    """The run is absent, reported in a sentence, and a whole one takes its place."""
    saved, damaged = runs.all_runs(root)
    assert (
        saved == []
        and len(damaged) == 1
        and one_sentence(damaged[0].reason)
        and damaged[0].folder.name in damaged[0].reason
    )
    assert runs.find("0" * 20, root) is None
    runs.write(made(), FILM, root=root)
    assert whole(runs.find("0" * 20, root)) and left_over(root) == [] and runs.all_runs(root)[1] == []


@given(length=st.integers(0, len(FILM) - 1))
@settings(max_examples=10)
def test_a_truncated_film(length: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        saved = runs.write(made(), FILM, root=Path(root))
        (saved.folder / "film.npz").write_bytes(FILM[:length])
        assert_skipped(Path(root))


@given(at=st.integers(0, len(FILM) - 1), bit=st.integers(0, 7))
@settings(max_examples=10)
def test_one_bit_of_a_film(at: int, bit: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        saved = runs.write(made(), FILM, root=Path(root))
        changed = bytearray(FILM)
        changed[at] ^= 1 << bit
        (saved.folder / "film.npz").write_bytes(changed)
        with pytest.raises(DamagedRun, match="checksum") as error:
            runs.film_bytes(runs.find(saved.id, Path(root)))
        assert one_sentence(str(error.value))
        assert whole(runs.write(made(), FILM, root=Path(root)))  # the damaged one made way


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=10)
def test_a_truncated_record(share: float) -> None:
    with tempfile.TemporaryDirectory() as root:
        record = runs.write(made(), FILM, root=Path(root)).folder / "run.json"
        text = record.read_bytes()
        record.write_bytes(text[: int(share * len(text))])
        assert_skipped(Path(root))


@given(value=json_values)
@settings(max_examples=20)
def test_a_record_that_is_another_json(value: object) -> None:
    with tempfile.TemporaryDirectory() as root:
        record = runs.write(made(), FILM, root=Path(root)).folder / "run.json"
        record.write_text(json.dumps(value))
        assert_skipped(Path(root))


@given(name=st.sampled_from(sorted(set(asdict(made())) - {"folder"})), value=json_values)
@settings(max_examples=60)
def test_any_value_under_any_name_is_read_or_reported(name: str, value: object) -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = tampered(Path(root), **{name: value})
        saved, damaged = runs.all_runs(Path(root))
        assert len(saved) + len(damaged) == 1 and all(one_sentence(damage.reason) for damage in damaged)
        for run in saved:
            assert run.folder == folder and len(run.seeds) > 0 and isinstance(run.started, str)
            assert isinstance(run.config, dict) and all(
                isinstance(metric, dict) for metric in run.metrics.values()
            )


# what later versions added may be missing: a run saved before is read all the same
@pytest.mark.parametrize("name", sorted(set(asdict(made())) - {"folder", "film_sha256", "timing", "looks"}))
def test_a_missing_key(name: str, tmp_path: Path) -> None:
    tampered(tmp_path, **{name: None})
    assert_skipped(tmp_path)


def test_a_missing_checksum_is_found_with_the_film(tmp_path: Path) -> None:
    tampered(tmp_path, film_sha256=None)
    with pytest.raises(DamagedRun, match="checksum"):
        runs.film_bytes(runs.find("0" * 20, tmp_path))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("config", [1, 2]),
        ("seeds", "012"),
        ("seeds", ["zero"]),
        ("seeds", []),
        ("seconds", "long"),
        ("started", 2026),
        ("metrics", {"coin_value": 0.5}),
        ("metrics", {"coin_value": {"mean": "high"}}),
        ("metrics", {"coin_value": {"mean": 0.5, "per_seed": ["high"]}}),
        ("verdicts", ["supported"]),
        ("film_bytes", FILM.hex()),
        ("slug", {}),
    ],
)
def test_a_wrong_type(name: str, value: object, tmp_path: Path) -> None:
    tampered(tmp_path, **{name: value})
    assert_skipped(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 100_000, b"null", b"{}", b"\0" * 4096])
def test_a_record_that_is_none(content: bytes, tmp_path: Path) -> None:
    (runs.write(made(), FILM, root=tmp_path).folder / "run.json").write_bytes(content)
    assert_skipped(tmp_path)


@pytest.mark.parametrize("name", ["run.json", "film.npz"])
def test_a_missing_file(name: str, tmp_path: Path) -> None:
    (runs.write(made(), FILM, root=tmp_path).folder / name).unlink()
    assert_skipped(tmp_path)


def test_one_damaged_run_hides_no_other(tmp_path: Path) -> None:
    others = [runs.write(made(f"{number:020}"), FILM, root=tmp_path) for number in range(1, 4)]
    tampered(tmp_path, seeds=None)
    (tmp_path / "notes").mkdir()
    saved, damaged = runs.all_runs(tmp_path)
    assert {run.id for run in saved} == {run.id for run in others} and {
        damage.folder.name for damage in damaged
    } == {f"coin-{0:020}", "notes"}


# --- size


def several(root: Path, ages: list[int]) -> list[Run]:
    """Runs of 10 kB of film that were saved so many seconds ago."""
    saved = []
    for number, age in enumerate(ages):
        saved.append(runs.write(made(f"{number:020}"), b"?" * 10_000, root=root))
        os.utime(saved[-1].folder, (time.time() - age,) * 2)
    return saved


def present(root: Path) -> list[int]:
    """Which of several runs are there."""
    return sorted(int(run.id) for run in runs.all_runs(root)[0])


def test_the_total_is_what_the_files_have(tmp_path: Path) -> None:
    saved = several(tmp_path, [1, 2])
    expected = sum(file.stat().st_size for run in saved for file in run.folder.iterdir())
    assert runs.total_bytes(tmp_path) == expected > 20_000


@given(
    ages=st.lists(st.integers(1, 10_000), min_size=1, max_size=5, unique=True),
    megabytes=st.floats(0.001, 0.06),
)
@settings(max_examples=15)
def test_the_oldest_go_until_the_rest_fits_and_the_newest_stays(ages: list[int], megabytes: float) -> None:
    with tempfile.TemporaryDirectory() as root:
        several(Path(root), ages)
        size = runs.total_bytes(Path(root)) / len(ages)  # all are alike
        runs.limit(megabytes, root=Path(root))
        fit = min(len(ages), max(1, int(megabytes * 1e6 // size)))
        newest_first = sorted(range(len(ages)), key=lambda number: ages[number])
        assert present(Path(root)) == sorted(newest_first[:fit]) and left_over(Path(root)) == []


def test_a_spared_run_stays_though_it_is_the_oldest(tmp_path: Path) -> None:
    several(tmp_path, [300, 200, 100])
    runs.limit(0.001, spare=f"{0:020}", root=tmp_path)
    assert present(tmp_path) == [0, 2]


def test_saving_one_more_makes_room_in_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLCV_HOME", str(tmp_path))
    several(runs.runs_folder(), [300, 200, 100])
    monkeypatch.setenv("MLCV_RUNS_MB", "0.025")
    runs.write(made(f"{3:020}"), b"?" * 10_000)
    assert present(runs.runs_folder()) == [2, 3]
    runs.write(made(f"{4:020}"), b"?" * 100_000)  # alone beyond the limit
    assert present(runs.runs_folder()) == [4]


@pytest.mark.parametrize(
    ("text", "megabytes"),
    [
        ("10", 10),
        ("0.5", 0.5),
        ("", 2048),
        ("much", 2048),
        ("0", 2048),
        ("-1", 2048),
        ("nan", 2048),
        (None, 2048),
    ],
)
def test_the_limit_is_a_positive_number_or_the_default(
    text: str | None, megabytes: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        monkeypatch.setenv("MLCV_RUNS_MB", text)
    assert runs.limit_megabytes() == megabytes


def test_an_unfinished_folder_is_removed_after_an_hour(tmp_path: Path) -> None:
    for name, age in ((".part-old", 3700), (".part-young", 3500)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "film.npz").write_bytes(b"?")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    runs.write(made(), FILM, root=tmp_path)
    runs.limit(1000, root=tmp_path)
    assert left_over(tmp_path) == [".part-young"] and present(tmp_path) == [0]
    assert runs.all_runs(tmp_path)[1] == []


# --- identity


config_values = {
    "at": st.integers(1, 1000),
    "pace": st.floats(0, 60),
    "kind": st.sampled_from(["good", "goes back", "talks"]),
}


@given(st.data())
@settings(max_examples=50)
def test_an_identity_is_of_slug_settings_seeds_and_sources(sham_config: type, data: st.DataObject) -> None:
    def drawn() -> tuple:
        values = {name: data.draw(values) for name, values in config_values.items()}
        seeds = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
        return (
            data.draw(st.sampled_from(["a", "b"])),
            sham_config(**values),
            tuple(seeds),
            data.draw(st.sampled_from(["f", "g"])),
        )

    first, second = drawn(), drawn()
    # often equal in all but one
    second = tuple(data.draw(st.sampled_from(pair)) for pair in zip(first, second, strict=True))
    assert (runs.identity(*first) == runs.identity(*second)) == (first == second)
    assert runs.identity(first[0], first[1], list(first[2]), first[3]) == runs.identity(*first)
    assert len(runs.identity(*first)) == 20 and int(runs.identity(*first), 16) >= 0


@pytest.fixture(scope="module")
def sham_config() -> type:
    """Settings of three kinds."""
    patch = pytest.MonkeyPatch()
    patch.setenv("MLCV_IDEAS", str(Path(__file__).parent / "faulty_ideas"))
    idea.cards.cache_clear()
    config = idea.load("sham").config
    patch.undo()
    idea.cards.cache_clear()
    return config


def test_an_identity_is_the_same_in_every_process() -> None:
    subject = idea.load("label_noise")
    script = (
        "from mlcv_explore import idea; from mlcv_explore.experiment import runs;"
        " print(runs.identity('label_noise', idea.load('label_noise').config(sigma=0.5), (3, 4)))"
    )
    printed = {child(script, ahead=("env", f"PYTHONHASHSEED={seed}")).stdout.strip() for seed in (1, 2)}
    assert printed == {runs.identity("label_noise", subject.config(sigma=0.5), (3, 4))}


def test_a_run_of_other_sources_is_not_current() -> None:
    assert (
        made(slug="label_noise", fingerprint=fingerprint.fingerprint("label_noise")).current
        and not made(slug="label_noise").current
    )


# --- what is written of a film


def test_undefined_metrics_are_null(sham: idea.Idea, tmp_path: Path) -> None:
    config = sham.config(kind="undefined")
    frames = list(sham.run(config, (0, 1)))
    saved = runs.write(runs.of("sham", config, (0, 1), frames, 2.0), film.pack(frames), root=tmp_path)

    def forbidden(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    record = json.loads((saved.folder / "run.json").read_text(), parse_constant=forbidden)
    assert record["metrics"]["sham_value"] == {
        "mean": None,
        "low": None,
        "high": None,
        "per_seed": [None, None],
    }
    assert record["metrics"]["other_value"]["mean"] is not None
    assert runs.find(saved.id, tmp_path) == saved


def test_the_record_of_a_film(sham: idea.Idea) -> None:
    config, before = sham.config(), time.time()
    frames = list(sham.run(config, (3, 4, 5)))
    run = runs.of("sham", config, (3, 4, 5), frames, 60.0, "cuda")
    values = frames[-1].values[:, 0]
    # the 97.5 % quantile of Student's t at 2 degrees of freedom
    half = 4.302652729911275 * values.std(ddof=1) / np.sqrt(3)
    metric = run.metrics["sham_value"]
    assert [metric["mean"], metric["low"], metric["high"]] == pytest.approx(
        [values.mean(), values.mean() - half, values.mean() + half]
    )
    assert metric["per_seed"] == list(values)
    assert (run.id, run.key, run.config) == (
        runs.identity("sham", config, (3, 4, 5)),
        config.key(),
        config.model_dump(),
    )
    assert (run.device, run.current, run.versions["python"]) == ("cuda", True, sys.version.split()[0])
    assert run.verdicts[0]["claim"] == "other_wins" and run.verdicts[0]["status"] == "supported"
    assert datetime.fromisoformat(run.started).timestamp() == pytest.approx(before - 60, abs=5)


def test_a_zip_holds_its_files_and_its_command_is_valid(sham: idea.Idea, tmp_path: Path) -> None:
    config = sham.config(kind="goes back", pace=1e-05, at=1000)
    frames = list(sham.run(sham.config(), (7, 8, 9)))
    weights = {"w": np.zeros(3)}
    run = runs.write(runs.of("sham", config, (7, 8, 9), frames, 1.0), film.pack(frames), weights, tmp_path)
    archive = zipfile.ZipFile(io.BytesIO(runs.as_zip(run)))
    assert archive.testzip() is None
    assert sorted(archive.namelist()) == [
        "README.txt",
        "config.json",
        "film.npz",
        "run.json",
        "weights.safetensors",
    ]
    for name in ("film.npz", "run.json", "weights.safetensors"):
        assert archive.read(name) == (run.folder / name).read_bytes()
    assert sham.config(**json.loads(archive.read("config.json"))) == config
    with np.load(io.BytesIO(archive.read("film.npz")), allow_pickle=False) as columns:
        assert columns["values"].shape == (5, 3, 1)
    readme = archive.read("README.txt").decode()
    assert run.fingerprint in readme
    command = next(line for line in readme.splitlines() if line.startswith("python"))
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "mlcv_explore", "run"]
    options = understood(words[3:])
    assert (options.slugs, options.seeds, options.first_seed) == (["sham"], 3, 7)
    assert sham.config(**options.changes) == config


@pytest.mark.parametrize("slug", SHIPPED)
def test_the_command_of_a_shipped_run_makes_the_same_run(slug: str) -> None:
    run, config = runs.recorded(slug), idea.load(slug).config
    with zipfile.ZipFile(io.BytesIO(runs.as_zip(run))) as archive:
        readme = archive.read("README.txt").decode()
    options = understood(
        shlex.split(next(line for line in readme.splitlines() if line.startswith("python")))[3:]
    )
    assert config(**options.changes) == config(**run.config)
    assert tuple(range(options.first_seed, options.first_seed + options.seeds)) == run.seeds


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    runs.write(made(), FILM, root=tmp_path)
    script = (
        "import sys; from pathlib import Path; from mlcv_explore.experiment import runs;"
        " print(len(runs.all_runs(Path(sys.argv[1]))[0]), 'torch' in sys.modules)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ended.stdout.split() == ["1", "False"]
