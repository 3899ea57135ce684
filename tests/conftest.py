"""What all tests share: a home of their own, one thread, and no setting of the
developer's machine.
"""

import os
import shutil
import tempfile

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


def pytest_configure(config: pytest.Config) -> None:
    """Before any test module is imported; child processes inherit all of it."""
    os.environ["MLCV_HOME"] = tempfile.mkdtemp(prefix="mlcv-explore-tests-")
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in (
        "MLCV_SCHEDULER",
        "MLCV_PUBLIC",
        "MLCV_IDEAS",
        "MLCV_MODELS",
        "MLCV_RUNS_MB",
        "MLCV_WORKER_MEMORY",
        "MLCV_FEEDBACK_URL",
    ):
        os.environ.pop(name, None)


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(os.environ["MLCV_HOME"], ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares films or fixtures goes to one worker; runs that are made again, the
    longest of all, go out first and one by one.
    """
    for item in items:
        slug = item.callspec.params.get("slug") if hasattr(item, "callspec") else None
        longest = item.get_closest_marker("slow") and slug
        group = (
            f"{item.path.name} {slug} {item.name if longest else ''}"
            if item.path.name == "test_every_idea.py" and slug
            else item.path.name
        )
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(
        key=lambda item: not (item.path.name == "test_every_idea.py" and item.get_closest_marker("slow"))
    )
