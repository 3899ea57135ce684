"""Writing and fetching single files, each whole or not at all."""

import http.client
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

CHUNK_BYTES = 256 * 1024
TIMEOUT_SECONDS = 30  # without a byte
USER_AGENT = "pytorch/vision"  # as torchvision, whose addresses these are


class TransferError(OSError):
    """The server could not be reached or the connection broke off; the text states why."""


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name beside its place, then rename it. Text is
    UTF-8; missing folders are made. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def fetch(url: str, path: Path, progress: Callable[[int, int], None]) -> None:
    """Write what a URL returns to `path`; `progress` gets the bytes so far and in all
    (0 where the server does not state them), and what it raises stops the transfer.

    Raises TransferError when the network fails, and OSError when the disk does. What
    was written until then stays.
    """
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(url, headers={"User-Agent": USER_AGENT}), timeout=TIMEOUT_SECONDS
        )
    except (OSError, http.client.HTTPException) as error:
        raise TransferError(str(getattr(error, "reason", None) or error)) from error
    with response, path.open("wb") as file:
        total = int(response.headers.get("Content-Length") or 0)
        while chunk := _chunk(response):
            file.write(chunk)
            progress(file.tell(), total)
        if response.length:  # http.client reads a connection closed too soon as an end
            raise TransferError(f"broken off {response.length:,} bytes before the end")


def _chunk(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise TransferError(f"broken off: {error}") from error
