"""What all tests share: a home of their own, one thread, no setting of the developer's
machine, and a budget of processor time for every idea.
"""

import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.timing import slowness

settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")

BUDGET = 25.0  # CPU-seconds of the suite that an idea may take, on the reference machine
# Four come near it or pass it on a busy machine; no idea may be added
ALLOWED = {
    "saliency": 40.0,
    "learned_salience": 27.0,
    "hierarchical_explanation": 27.0,
    "inverted_unet": 28.0,
}
UNSET = (
    "MLCV_SCHEDULER",
    "MLCV_PUBLIC",
    "MLCV_IDEAS",
    "MLCV_MODELS",
    "MLCV_RUNS_MB",
    "MLCV_WORKER_MEMORY",
    "MLCV_FEEDBACK_URL",
)
LONGEST = "test_the_run_that_ships_is_what_the_code_makes_today"
_spent: Counter[str] = Counter()  # slug → CPU-seconds; in the process that reports


def pytest_configure(config: pytest.Config) -> None:
    """Before any test module is imported; child processes inherit all of it."""
    os.environ["MLCV_HOME"] = tempfile.mkdtemp(prefix="mlcv-explore-tests-")
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in UNSET:
        os.environ.pop(name, None)


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(os.environ["MLCV_HOME"], ignore_errors=True)


@pytest.fixture(autouse=True)
def own_main_module() -> Iterator[None]:
    """Streamlit's test runner leaves its script as `__main__`, and a process spawned later
    would run that first.
    """
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


def names_alone(file: Path) -> bool:
    """Whether a file may have tests that are marked `alone`: it sets the mark, or lies with
    the browser's, all of which have it.
    """
    return file.parent.name == "browser" or "mark.alone" in file.read_text(encoding="utf-8")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only those are asked for, the other files are not imported: that takes longer
    than any of their tests.
    """
    tests = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if tests and config.option.markexpr == "alone" and not names_alone(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest groups go out first, so that the workers end together."""
    for item in items:
        if item.get_closest_marker("alone") and not names_alone(item.path):
            raise pytest.UsageError(f"{item.nodeid} is marked alone, and -m alone would not find its file")
    first = ("test_every_idea.py", "test_pages.py", "test_journeys.py", "test_jobs.py", "test_saliency.py")
    items.sort(
        key=lambda item: (
            not (item.path.name == first[0] and item.get_closest_marker("slow")),
            first.index(item.path.name) if item.path.name in first else len(first),
        )
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """What shares films or fixtures goes to one worker. A scheduler of our own, as
    pytest-xdist 3.8 sets its group names on an attribute that pytest 9.2 does not read.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFilm(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return ByFilm(config, log)


def group(nodeid: str) -> str:
    """A test's file; of the contract the idea, and each recorded run that is made again
    by itself.
    """
    file, _, test = nodeid.partition("::")
    if not file.endswith("test_every_idea.py"):
        return file
    slug = test.partition("[")[2].rstrip("]").partition("-")[0]
    return nodeid if test.startswith(LONGEST) else f"{file} {slug}"


def slug_of(item: pytest.Item) -> str:
    """The idea a test is about: its parameter `slug` or `card`, or its file's name."""
    given = item.callspec.params if hasattr(item, "callspec") else {}
    if "slug" in given or "card" in given:
        return given.get("slug") or given["card"].slug
    named = re.match(r"test_(.+?)(_page|_tables|_captum|_contextual|_photographs)?\.py$", item.path.name)
    return named[1] if named and item.path.parent.name == "ideas" else ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Processor time of setup, test and teardown, counted for the test's idea. Recorded
    runs that are made again are not part of its budget: they are only after a change.
    """
    started = time.process_time()
    item.user_properties.append(("idea", "" if item.get_closest_marker("slow") else slug_of(item)))
    item.stash[_started] = started
    return (yield)


_started = pytest.StashKey[float]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[pytest.TestReport]:
    report = yield
    if call.when == "teardown":
        spent = time.process_time() - item.stash[_started]
        # a long test is measured by what the machine did during it
        report.user_properties.append(("cpu", spent / slowness(anew=spent > 1)))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    about = dict(report.user_properties)
    if "cpu" in about and about.get("idea"):
        _spent[about["idea"]] += about["cpu"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _spent:
        terminalreporter.section(f"CPU-seconds an idea, at most {BUDGET:g}")
        for slug, seconds in sorted(_spent.items(), key=lambda pair: -pair[1]):
            over = "  over its budget" if seconds > ALLOWED.get(slug, BUDGET) else ""
            terminalreporter.line(f"{seconds:6.1f}  {slug}{over}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput") and any(
        seconds > ALLOWED.get(slug, BUDGET) for slug, seconds in _spent.items()
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
