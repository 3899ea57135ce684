"""A real server and a real Chromium. Without a browser these tests are skipped, unless
MLCV_BROWSER=required.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
IDLE = '[data-testid="stApp"][data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs a browser."""
    for test in items:
        if Path(__file__).parent in test.path.parents:
            test.add_marker(pytest.mark.browser)
            test.add_marker(pytest.mark.alone)
            if not CHROMIUM and os.environ.get("MLCV_BROWSER") != "required":
                test.add_marker(
                    pytest.mark.skip(
                        reason="no Chromium on this machine (MLCV_BROWSER=required makes this an error)"
                    )
                )


@contextmanager
def serving(script: Path, home: Path, healthy: str) -> Iterator[str]:
    """The address of `streamlit run` of this script with an empty MLCV_HOME, once the
    path `healthy` answers.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = ["--server.headless=true", f"--server.port={port}", "--server.fileWatcherType=none"]
    with open(home / "server.log", "w") as log:
        command = [sys.executable, "-m", "streamlit", "run", str(script), *flags]
        own = {"MLCV_HOME": str(home), "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **own})
        try:
            _wait_for(f"http://127.0.0.1:{port}{healthy}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the app, its workers ready."""
    with serving(ROOT / "app.py", tmp_path_factory.mktemp("served"), "/api/ready") as address:
        yield address


def _wait_for(address: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if urllib.request.urlopen(address, timeout=5).status == 200:
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError("the server never got ready")


@pytest.fixture(scope="package")
def browser() -> Iterator[object]:
    """Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@dataclass
class Tab:
    """One tab: the page, its console's errors, and the requests that failed or left
    this machine.
    """

    page: object
    complaints: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        """Go there and wait until the script has come to rest."""
        self.page.goto(address, wait_until="domcontentloaded")
        self.idle()

    def idle(self) -> None:
        """Until the script has run and nothing waits to be drawn."""
        self.page.wait_for_timeout(250)  # the widgets' own debounce
        self.page.wait_for_selector(IDLE, timeout=30_000)
        self.page.wait_for_function(
            "() => !document.querySelector('[data-testid=stSkeleton]')", timeout=20_000
        )
        self.page.wait_for_timeout(100)

    def text(self) -> str:
        """Text of the main part of the page."""
        return self.page.inner_text('[data-testid="stMain"]')

    def downloads(self, key: str) -> None:
        """Open a downloads menu once the page is at rest: a menu whose button moves out of
        sight follows it there, where nothing can be clicked. And wait until its rerun is
        over: a file that is asked for before belongs to a script that has ended.
        """
        self.idle()
        button = self.page.locator(f".st-key-{key}-downloads button:visible").first
        button.evaluate("element => element.scrollIntoView({block: 'center'})")
        button.click()
        self.idle()

    def act(self, name: str) -> None:
        """Switch to an act."""
        self.page.get_by_role("radio", name=name, exact=True).click()
        self.idle()


@pytest.fixture
def new_tab(browser: object) -> Iterator[object]:
    """Opens tabs of a size and colour scheme; afterwards none may have complained."""
    contexts, tabs = [], []

    def make(width: int = 1440, height: int = 900, scheme: str = "light") -> Tab:
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, accept_downloads=True
        )
        tab = Tab(context.new_page())
        tab.page.on(
            "console",
            lambda message: (
                tab.complaints.append(message.text)
                if message.type == "error" and not _expected(message.text)
                else None
            ),
        )
        tab.page.on(
            "response",
            lambda got: (
                tab.complaints.append(f"{got.status} {got.url}")
                if got.status >= 400 and not _expected(got.url)
                else None
            ),
        )
        tab.page.on(
            "request",
            lambda request: (
                tab.complaints.append(f"left the machine: {request.url}") if _outside(request.url) else None
            ),
        )
        contexts.append(context)
        tabs.append(tab)
        return tab

    yield make
    for context in contexts:
        context.close()
    assert [complaint for tab in tabs for complaint in tab.complaints] == []


def _expected(text: str) -> bool:
    """Streamlit's own probes, what the responses report already, and an image that a
    newer one replaced before the browser requested it.
    """
    return "/_stcore/" in text or "Failed to load resource" in text or "/media/" in text


def _outside(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:", "about:"))
