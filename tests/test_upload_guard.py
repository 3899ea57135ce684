"""The upload guard as a server would call it: what passes, what is refused, and that
time forgives.
"""

import asyncio

import pytest

from mlcv_explore.ui import upload_guard
from mlcv_explore.ui.upload_guard import SESSION_BYTES, SESSION_FILES, UPLOADS, UploadGuard


def guarded() -> UploadGuard:
    """A guard before an application that answers 204 to everything."""

    async def accepts(scope: dict, receive: object, send: object) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return UploadGuard(accepts)


def status(guard: UploadGuard, path: str, length: str | None = "1000", method: str = "PUT") -> int:
    """The status with which one request is answered."""
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [] if length is None else [(b"content-length", length.encode())]
    asyncio.run(guard({"type": "http", "method": method, "path": path, "headers": headers}, receive, send))
    return sent[0]["status"]


def test_a_session_has_so_many_files_and_another_session_its_own():
    guard = guarded()
    assert [status(guard, f"{UPLOADS}a/{number}") for number in range(SESSION_FILES)] == [204] * SESSION_FILES
    assert status(guard, f"{UPLOADS}a/one-more") == 429
    assert status(guard, f"{UPLOADS}b/first") == 204


def test_a_session_has_so_many_bytes():
    guard = guarded()
    assert status(guard, f"{UPLOADS}a/0", str(SESSION_BYTES - 10)) == 204
    assert status(guard, f"{UPLOADS}a/1", "11") == 429
    assert status(guard, f"{UPLOADS}a/2", "10") == 204


@pytest.mark.parametrize("length", [None, "", "-1", "many"])
def test_an_upload_states_its_length(length):
    assert status(guarded(), f"{UPLOADS}a/0", length) == 411


def test_what_is_no_upload_passes():
    guard = guarded()
    assert status(guard, "/anything", None, "GET") == 204
    assert status(guard, f"{UPLOADS}a/0", None, "DELETE") == 204


def test_the_server_has_so_many_bytes_in_all_until_they_are_old(monkeypatch):
    guard, now = guarded(), [0.0]
    monkeypatch.setattr(upload_guard.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(upload_guard, "ALL_BYTES", 20 * 1000)
    assert {status(guard, f"{UPLOADS}{visitor}/0") for visitor in range(20)} == {204}
    assert status(guard, f"{UPLOADS}late/0") == 429
    now[0] = upload_guard.WINDOW + 1
    assert status(guard, f"{UPLOADS}late/0") == 204
