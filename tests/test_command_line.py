"""The command line: one object or one sentence, the right exit status, and numbers that
are the run's own.
"""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, Future, LocalCluster
from scipy import stats

from mlcv_explore import environment, idea
from mlcv_explore.command import main
from mlcv_explore.experiment import fingerprint, runs, studies

PRIVATE = Path(__file__).parent / "private_ideas"
PATIENCE = 120  # seconds


@pytest.fixture(autouse=True)
def coin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The coin is an idea, its assets and kept runs lie in a folder of this test."""
    monkeypatch.setenv("MLCV_IDEAS", str(PRIVATE))
    monkeypatch.setenv("MLCV_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(idea, "ASSETS", tmp_path / "assets")
    idea.cards.cache_clear()
    yield
    idea.cards.cache_clear()


class Result:
    """What a command answered."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    def json(self) -> dict:
        assert (self.status, self.err.replace("Tossing\n", "")) == (0, "")
        assert self.out.count("\n") == 1
        return json.loads(self.out, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]):
    def command(*words: str) -> Result:
        status = main(words)
        return Result(status, *capsys.readouterr())

    return command


@pytest.fixture
def one_cluster() -> Iterator[tuple[str, str]]:
    """Words that have several commands share a cluster, in this process; without them
    each starts and ends one of every core.
    """
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
    ) as cluster:
        yield "--scheduler", cluster.scheduler_address


def start(*words: str, **environment: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "mlcv_explore", *words]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # a suite started in the background hands on that it is ignored
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, **streams, env={**os.environ, **environment}, preexec_fn=heard)


def test_ideas_are_listed_with_the_texts_of_the_menu(cli) -> None:
    listed = {listed_idea["slug"]: listed_idea for listed_idea in cli("ideas", "--json").json()["ideas"]}
    assert list(listed) == [card.slug for card in idea.cards()]
    assert listed["coin"] == {
        "slug": "coin",
        "number": 99,
        "section": "Noise",
        "title": "A biased coin",
        "question": "Does a coin that is bent come up heads more often than a fair one?",
    }
    assert "A bent" not in cli("ideas").out
    assert "Does a coin that is bent" in cli("ideas").out


def test_a_run_is_one_object_with_the_numbers_of_the_run(cli) -> None:
    printed = cli("run", "coin", "--bend", "0.3", "--seeds", "6", "--json").json()
    config = idea.load("coin").config(bend=0.3)
    frames = list(idea.load("coin").run(config, range(6)))
    measured = idea.load("coin").metrics(config, frames)
    assert set(printed) == {"slug", "key", "config", "seeds", "seconds", "metrics", "verdict", "verdicts"}
    assert (printed["slug"], printed["key"], printed["config"], printed["seeds"]) == (
        "coin",
        config.key(),
        config.model_dump(),
        list(range(6)),
    )
    assert set(printed["metrics"]) == set(measured) == {"fair_heads", "bent_heads"}
    for name, values in measured.items():
        metric = printed["metrics"][name]
        low, high = stats.t.interval(0.95, 5, values.mean(), stats.sem(values))
        assert metric["per_seed"] == values.tolist()
        assert (metric["mean"], metric["low"], metric["high"]) == pytest.approx((values.mean(), low, high))
    difference = measured["bent_heads"] - measured["fair_heads"]
    assert printed["verdict"] == printed["verdicts"][0]
    # the other claim's arm is not in a single run
    assert [verdict["claim"] for verdict in printed["verdicts"]] == ["bent_wins"]
    assert (printed["verdict"]["status"], printed["verdict"]["estimate"]["n"]) == ("supported", 6)
    assert printed["verdict"]["estimate"]["mean"] == pytest.approx(difference.mean())


def test_few_seeds_stand_beside_their_mean_and_many_do_not(cli) -> None:
    words_before = ("run", "coin", "--bend", "0.3", "--first-seed", "7", "--seeds")
    few, many = cli(*words_before, "5").out.splitlines(), cli(*words_before, "6").out.splitlines()
    values = cli(*words_before, "5", "--json").json()["metrics"]["bent_heads"]["per_seed"]
    assert few[2].split()[-10:] == [word for seed in range(7, 12) for word in ("seed", str(seed))]
    assert next(line for line in few if line.startswith("bent_heads")).split()[-5:] == [
        f"{value:.4f}" for value in values
    ]
    assert many[2].endswith("95 % interval") and not any("seed 7" in line for line in many)


def test_at_strength_zero_both_arms_are_equal_to_the_last_bit(cli) -> None:
    printed = cli("run", "coin", "--bend", "0", "--seeds", "3", "--json").json()
    assert printed["metrics"]["bent_heads"]["per_seed"] == printed["metrics"]["fair_heads"]["per_seed"]
    assert printed["verdict"]["status"] == "contradicted"


def test_one_seed_decides_nothing_and_the_undefined_is_null(cli) -> None:
    printed = cli("run", "coin", "--seeds", "1", "--json").json()
    assert (printed["metrics"]["bent_heads"]["low"], printed["metrics"]["bent_heads"]["high"]) == (None, None)
    assert printed["verdict"]["status"] == "undecided"


def test_seeds_start_at_the_first_seed_given(cli) -> None:
    whole = cli("run", "coin", "--seeds", "5", "--json").json()["metrics"]["bent_heads"]["per_seed"]
    part = cli("run", "coin", "--seeds", "2", "--first-seed", "3", "--json").json()
    assert part["seeds"] == [3, 4]
    assert part["metrics"]["bent_heads"]["per_seed"] == whole[3:]


def test_flags_are_the_settings_names_also_with_hyphens(cli) -> None:
    keys = {
        cli("run", "coin", *words, "--seeds", "1", "--json").json()["key"]
        for words in (("--thumb_side", "right"), ("--thumb-side=right",))
    }
    assert keys == {idea.load("coin").config(thumb_side="right").key()}


def test_without_json_the_answer_can_be_read(cli) -> None:
    result = cli("run", "coin", "--seeds", "4")
    assert (result.status, result.err) == (0, "Tossing\n")
    assert "bent_heads" in result.out
    assert "Tossing" not in result.out
    assert "Supported" in result.out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("run coin --bend 9", "coin.bend must be between 0 and 0.5, got 9.0."),
        ("run coin --bend -1", "coin.bend must be between 0 and 0.5, got -1.0."),
        ("run coin --bend nan", "coin.bend must be between 0 and 0.5, got nan."),
        ("run coin --bend -inf", "coin.bend must be between 0 and 0.5, got -inf."),
        ("run coin --bend -1e3", "coin.bend must be between 0 and 0.5, got -1000.0."),
        ("run coin --bend lots", "coin.bend must be between 0 and 0.5, got 'lots'."),
        ("run coin --bend=", "coin.bend must be between 0 and 0.5, got ''."),
        ("run coin --tosses 2.5", "coin.tosses must be a whole number between 1 and 10000, got '2.5'."),
        ("run coin --thumb-side up", "coin.thumb_side must be one of left, right, got 'up'."),
        ("run coin --breaks maybe", "coin.breaks must be true or false, got 'maybe'."),
        ("run coin --bendd 0.1", "coin has no setting 'bendd'; did you mean 'bend'?"),
        ("run coin --toss 5", "coin has no setting 'toss'; did you mean 'tosses'?"),
        ("run coin --jsn", "coin has no setting 'jsn'; did you mean 'json'?"),
        (
            "run coin --zzz 5",
            "coin has no setting 'zzz'; the settings are bend, tosses, steps, thumb_side, breaks.",
        ),
        ("run coin --bend", "expected one argument"),
        ("run coin --seeds 0", "run.seeds must be a whole number between 1 and 10000, got 0."),
        ("run coin --seeds x", "run.seeds must be a whole number between 1 and 10000, got 'x'."),
        ("run coin --seeds nan", "run.seeds must be a whole number between 1 and 10000, got 'nan'."),
        (
            "run coin --first-seed -1",
            "run.first_seed must be a whole number between 0 and 1000000000, got -1.",
        ),
        ("run coin fair", "run takes no argument 'fair'."),
        ("run coni", "There is no idea 'coni'; did you mean 'coin'?"),
        ("run ../coin", "There is no idea '../coin'"),
        ("run", "the following arguments are required: SLUG"),
        ("run --bend 0.1 coin", "run has the idea before its settings: run SLUG --setting VALUE."),
        ("record nothing", "There is no idea 'nothing'"),
        ("evidence coin --study weekly", "coin has no study 'weekly'; it has live."),
        ("evidence coin --seeds 2", "give with --out where its rows may go."),
        ("evidence coin coin --bend 0.1 --out /tmp", "one idea at a time"),
        ("ideas --jsn", "ideas has no option 'jsn'; did you mean 'json'?"),
        ("download no_such_set", "no_such_set"),
        ("rnu coin", "invalid choice: 'rnu'"),
        ("", "the following arguments are required: COMMAND"),
    ],
)
def test_bad_usage_is_one_sentence_and_nothing_else(cli, words: str, sentence: str) -> None:
    result = cli(*words.split())
    assert (result.status, result.out) == (2, "")
    assert sentence in result.err
    assert result.err.count("\n") == 1
    assert not (environment.home() / "runs").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_anything_runs(cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = cli("run", "coin", "--out", str(tmp_path / "file" / "inside"))
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("--out must be a folder that can be written, got ")


def test_a_run_that_fails_is_one_sentence_and_status_one(cli) -> None:
    result = cli("run", "coin", "--breaks", "--json")
    assert (result.status, result.out, result.err) == (1, "", "The coin broke at step 1; lower bend.\n")


def test_a_run_is_saved_in_the_folder_given_else_among_the_runs(cli, tmp_path: Path) -> None:
    printed = cli("run", "coin", "--seeds", "3", "--out", str(tmp_path / "mine"), "--json").json()
    (folder,) = (tmp_path / "mine").iterdir()
    kept = runs.read(folder)
    assert (kept.key, kept.seeds, kept.metrics) == (printed["key"], (0, 1, 2), printed["metrics"])
    assert runs.all_runs()[0] == []
    cli("run", "coin", "--seeds", "3")
    assert [run.key for run in runs.all_runs()[0]] == [printed["key"]]


def test_a_home_that_cannot_be_written_costs_the_copy_not_the_answer(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLCV_HOME", str(tmp_path / "file"))
    result = cli("run", "coin", "--seeds", "2", "--json")
    assert result.status == 0
    assert json.loads(result.out)["seeds"] == [0, 1]
    assert result.err.replace("Tossing\n", "").count("\n") == 1


def test_the_recorded_run_is_a_run_folder_with_two_charts(cli) -> None:
    printed = cli("record", "coin", "--seeds", "4", "--json").json()
    again = cli("record", "coin", "--seeds", "3", "--json").json()
    recorded = runs.recorded("coin")
    assert (printed["seeds"], again["seeds"], recorded.seeds) == ([0, 1, 2, 3], [0, 1, 2], (0, 1, 2))
    assert recorded.current
    assert [path.name for path in (idea.ASSETS / "coin").iterdir()] == ["default"]
    charts = [(recorded.folder / f"picture.{scheme}.svg").read_text() for scheme in ("light", "dark")]
    assert all(chart.startswith("<svg") for chart in charts)
    assert charts[0] != charts[1]

    film = (recorded.folder / "film.npz").read_bytes()
    (recorded.folder / "picture.light.svg").unlink()
    drawn = cli("record", "coin", "--images", "--json").json()
    assert (drawn, cli("record", "coin", "--images").out) == (
        {"slug": "coin", "bytes": {}},
        "coin: 0 images drawn, 0 kB\n",
    )
    assert (recorded.folder / "picture.light.svg").read_text() == charts[0]
    assert (recorded.folder / "film.npz").read_bytes() == film
    assert (idea.ASSETS / "gallery" / "cat.webp").stat().st_size < 6000


def test_verify_stamps_only_what_comes_out_equal(cli, one_cluster: tuple[str, str]) -> None:
    verify = [
        ("evidence", "coin", "--verify", "--json", *one_cluster),
        ("record", "coin", "--verify", "--json"),
    ]
    cli("record", "coin", "--seeds", "3", "--json").json()
    cli("evidence", "coin", "--json", *one_cluster).json()
    folder = idea.ASSETS / "coin"
    files = folder / "live.json", folder / "default" / "run.json"
    for words in verify:
        assert cli(*words).status == 0  # the code is the one stamped: a reference is written
    assert len(json.loads((folder / "check.json").read_text())[environment_key()]["live"]) == 2

    current = fingerprint.fingerprint("coin")
    for file in files:
        file.write_text(file.read_text().replace(current, "0" * 12))
    assert not runs.recorded("coin").current
    for words in verify:
        assert cli(*words).status == 0
    assert all(current in file.read_text() for file in files) and runs.recorded("coin").current

    check = json.loads((folder / "check.json").read_text())
    check[environment_key()]["live"][0]["bent_heads"] += 0.001
    (folder / "check.json").write_text(json.dumps(check))
    files[0].write_text(files[0].read_text().replace(current, "0" * 12))
    result = cli("evidence", "coin", "--verify", *one_cluster)
    assert result.status == 1 and "1 of 4 numbers differ, the first bent_heads" in result.err
    assert current not in files[0].read_text()
    (folder / "check.json").unlink()
    result = cli("evidence", "coin", "--verify", *one_cluster)
    assert result.status == 1 and "no reference for this processor" in result.err
    assert cli("evidence", "coin", "--verify", "--seeds", "2").status == 2


def test_decide_writes_todays_verdicts_on_what_ships_and_runs_nothing(
    cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("record", "coin", "--seeds", "3", "--json").json()
    cli("evidence", "coin", "--json").json()
    folder = idea.ASSETS / "coin"
    files = folder / "live.json", folder / "default" / "run.json"
    texts = [file.read_text() for file in files]
    for file, text in zip(files, texts, strict=True):
        old = text.replace('"supported"', '"undecided"').replace(fingerprint.fingerprint("coin"), "0" * 12)
        file.write_text(old)
    monkeypatch.setenv("COIN_LOST", "1")  # nothing can be run
    assert cli("evidence", "coin", "--decide").out == (
        "coin, study live:\n  bent_wins: undecided → supported\n  a_trace_ties: undecided → supported\n"
    )
    assert cli("evidence", "coin", "--decide", "--json").json() == {"changed": {"coin": {}}}
    assert cli("record", "coin", "--decide", "--json").json()["changed"] == {
        "bent_wins": "undecided → supported"
    }
    for file, text in zip(files, texts, strict=True):
        before, after = json.loads(text), json.loads(file.read_text())
        sentences = [[each["sentence"] for each in record["verdicts"]] for record in (before, after)]
        assert sentences[0] == sentences[1]
        assert after["fingerprint"] == "0" * 12  # of what computed the rows
        words = ("versions", "seeds", "seconds")
        assert [before[name] for name in words] == [after[name] for name in words]
    assert cli("evidence", "coin", "--decide", "--seeds", "2").status == 2


def test_a_study_whose_data_are_not_here_is_not_checked_and_says_why(
    cli, one_cluster: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("evidence", "coin", "--json", *one_cluster).json()
    file = idea.ASSETS / "coin" / "live.json"
    file.write_text(file.read_text().replace(fingerprint.fingerprint("coin"), "0" * 12))
    monkeypatch.setenv("COIN_LOST", "1")
    result = cli("evidence", "coin", "--verify", *one_cluster)
    assert (
        result.status == 0 and result.out == "coin, study live: not checked. The coin is not here: find it.\n"
    )
    (report,) = cli("evidence", "coin", "--verify", "--json", *one_cluster).json()["studies"]
    assert report["not_checked"] == "The coin is not here: find it." and "verdicts" not in report
    assert "0" * 12 in file.read_text() and not (file.parent / "check.json").exists()


def environment_key() -> str:
    return runs.versions()["processor"]


def test_evidence_is_rows_and_verdicts_and_goes_on_where_it_stopped(cli) -> None:
    (printed,) = cli("evidence", "coin", "--json").json()["studies"]
    folder = idea.ASSETS / "coin"
    rows = list(csv.DictReader((folder / "live.csv").open()))
    assert list(rows[0]) == ["claim", "arm", "bend", "seed", "measure", "value"]
    assert (printed["rows"], printed["cells"], printed["runs"]) == (len(rows), 3, 2) == (50, 3, 2)
    assert [verdict["claim"] for verdict in printed["verdicts"]] == ["bent_wins", "a_trace_ties"]
    assert printed["verdicts"][0]["status"] == "supported"
    assert printed["verdicts"][1]["estimate"]["n"] == 10

    record = json.loads((folder / "live.json").read_text())
    assert record["verdicts"] == printed["verdicts"]
    assert record["command"] == "python -m mlcv_explore evidence coin --study live"
    assert (record["fingerprint"], record["claims"][0]["margin"]) == (fingerprint.fingerprint("coin"), 0.1)
    bent = [float(row["value"]) for row in rows if row["claim"] == "bent_wins" and row["arm"] == "bent"]
    config = idea.load("coin").config()
    assert bent == pytest.approx(
        idea.load("coin").metrics(config, list(idea.load("coin").run(config, range(10))))["bent_heads"]
    )

    (kept,) = [
        path
        for path in (environment.home() / "evidence").iterdir()
        if runs.identity("coin", config, tuple(range(10))) in path.name
    ]
    outcome = json.loads(kept.read_text())
    kept.write_text(json.dumps({**outcome, "metrics": {**outcome["metrics"], "bent_heads": [0.25] * 10}}))
    cli("evidence", "coin")
    again = list(csv.DictReader((folder / "live.csv").open()))
    assert {row["value"] for row in again if row["claim"] == "bent_wins" and row["arm"] == "bent"} == {"0.25"}


def test_a_study_may_be_cut_down_and_changed_elsewhere(cli, tmp_path: Path) -> None:
    words = ("--first-cells", "1", "--seeds", "2", "--tosses", "3", "--out", str(tmp_path / "tiny"), "--json")
    (printed,) = cli("evidence", "coin", *words).json()["studies"]
    assert (printed["cells"], printed["seeds"], printed["rows"]) == (1, [0, 1], 4)
    # its cell was cut off
    assert (printed["verdicts"][1]["status"], printed["verdicts"][1]["estimate"]["n"]) == ("undecided", 0)
    record = json.loads((tmp_path / "tiny" / "coin" / "live.json").read_text())
    assert (
        record["command"]
        == "python -m mlcv_explore evidence coin --study live --tosses 3 --seeds 2 --first_cells 1"
    )
    assert not idea.ASSETS.exists()


def test_a_seed_that_diverges_is_recorded_and_leaves_the_others_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = {"bend": 0.2, "breaks": True, "tosses": 10}
    assert studies.perform("coin", values, (0, 1))["failed"] == {
        seed: "The coin broke\nat step 1; lower bend." for seed in ("0", "1")
    }
    whole = studies.perform("coin", {**values, "breaks": False}, (0, 1))
    monkeypatch.setenv("COIN_STRENGTH", "1")  # now it breaks only when two are tossed at once
    assert studies.perform("coin", values, (0, 1))["metrics"] == whole["metrics"]

    study = studies.first_cells(idea.load("coin").studies[0], 1)
    study = studies.changed(study, {}, 2)
    outcome = {
        "metrics": {"fair_heads": [0.5, None], "bent_heads": [0.7, None]},
        "failed": {"1": "broke"},
        "seconds": 0.0,
    }
    table = studies.rows(study, {study.cells[0].config.key(): outcome})
    written = {(row["arm"], row["measure"], row["seed"]): row["value"] for row in table}
    assert (written["bent", "heads", 0], written["bent", "heads", 1]) == (0.7, None)
    assert (written["bent", "diverged", 0], written["bent", "diverged", 1]) == (0.0, 1.0)
    assert studies.verdicts(idea.load("coin"), study, table)[0]["status"] == "undecided"


def test_a_worker_with_another_fingerprint_is_rejected() -> None:
    class Stranger(Client):
        def submit(self, *words: object, **options: object) -> Future:
            return super().submit(
                lambda: {"metrics": {}, "failed": {}, "seconds": 0.0, "fingerprint": "another"}
            )

    with Stranger(
        processes=False,
        n_workers=1,
        threads_per_worker=1,
        dashboard_address="127.0.0.1:0",
        set_as_default=False,
    ) as client:
        outcomes = studies.outcomes("coin", [idea.load("coin").config()], (0, 1), client)
        with pytest.raises(ConnectionError, match="other sources"):
            next(outcomes)
    assert not (environment.home() / "evidence").exists()


def test_an_arm_is_not_taken_for_another_whose_name_it_begins() -> None:
    outcome = {
        "metrics": {"noisy_accuracy": [0.5], "noisy_early_accuracy": [0.6]},
        "failed": {},
        "seconds": 0.0,
    }
    config = idea.load("coin").config()
    study = idea.Study("live", (idea.Cell("c", config, {"n": "noisy", "e": "noisy_early"}),), (0,))
    table = studies.rows(study, {config.key(): outcome})
    assert [(row["arm"], row["measure"], row["value"]) for row in table] == [
        ("n", "accuracy", 0.5),
        ("e", "accuracy", 0.6),
    ]


def test_doctor_reports_what_is_installed(cli, monkeypatch: pytest.MonkeyPatch) -> None:
    report = cli("doctor", "--json").json()
    assert {
        "versions",
        "device",
        "threads",
        "cores",
        "memory",
        "data",
        "disk",
        "settings",
        "scheduler",
        "shipped",
    } <= set(report)
    assert report["data"]["digits"]["present"]
    assert report["versions"]["numpy"] == np.__version__
    assert report["settings"]["MLCV_IDEAS"] == str(PRIVATE)
    assert report["shipped"]["coin"] == "not recorded yet"
    monkeypatch.setattr("mlcv_explore.command.report.TIMEOUT_SECONDS", 0.5)
    monkeypatch.setenv("MLCV_SCHEDULER", "tcp://127.0.0.1:9")
    assert cli("doctor", "--json").json()["scheduler"]["reachable"] is False
    assert "numpy" in cli("doctor").out


def test_help_lists_every_setting_with_its_rule(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["run", "coin", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert left.value.code == 0
    assert "How far the coin leans to heads, in 100 % steps." in shown
    assert all(
        f"--{declared.name}" in shown and declared.rule in shown
        for declared in idea.load("coin").config.settings()
    )


def test_a_fresh_process_prints_the_object_and_nothing_else() -> None:
    out, err = start("run", "coin", "--seeds", "2", "--json").communicate(timeout=PATIENCE)
    assert json.loads(out)["seeds"] == [0, 1]
    assert err == "Tossing\n"


def test_nobody_reading_is_no_error() -> None:
    process = start("ideas")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(PATIENCE) == 141


def test_an_interrupted_run_ends_quietly() -> None:
    process = start(
        "run", "coin", "--steps", "200", "--tosses", "10000", "--seeds", "3000", "--progress", "--json"
    )
    guard = threading.Timer(PATIENCE, process.kill)
    guard.start()
    shown = ""
    while "coin:" not in shown:
        shown += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    guard.cancel()
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err


def test_listing_and_bad_usage_do_not_wait_for_torch() -> None:
    script = (
        "import sys; from mlcv_explore.command import main; main(['ideas']); main(['run', 'nothing']);"
        " sys.exit('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=PATIENCE).returncode == 0
    )
