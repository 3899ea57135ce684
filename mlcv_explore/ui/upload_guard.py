"""Limits on uploads that Streamlit does not enforce itself: files and bytes a session,
and bytes in all.
"""

import time
from collections import OrderedDict

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

UPLOADS = "/_stcore/upload_file/"
SESSION_FILES = 12
SESSION_BYTES = 96 << 20  # four images of the largest size
ALL_BYTES = 512 << 20
WINDOW = 600.0  # seconds after which an upload no longer counts


class UploadGuard:
    """Rejects an upload without a length, or one that would take a session or the
    server over its limit. Pure ASGI.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        # path → (when, session, bytes)
        self.admitted: OrderedDict[str, tuple[float, str, int]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 411 or 429 in one sentence."""
        path = scope.get("path", "")
        if scope["type"] != "http" or scope["method"] != "PUT" or UPLOADS not in path:
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"")
        if not length.isdigit():
            await PlainTextResponse("An upload must state its length.", 411)(scope, receive, send)
        elif not self._admits(path, int(length)):
            await PlainTextResponse("Too many uploads at once; try again in some minutes.", 429)(
                scope, receive, send
            )
        else:
            await self.app(scope, receive, send)

    def _admits(self, path: str, size: int) -> bool:
        now, session = time.monotonic(), path.split(UPLOADS, 1)[1].split("/", 1)[0]
        while self.admitted and now - next(iter(self.admitted.values()))[0] > WINDOW:
            self.admitted.popitem(last=False)
        own = [bytes_ for _, owner, bytes_ in self.admitted.values() if owner == session]
        total = sum(bytes_ for _, _, bytes_ in self.admitted.values())
        if len(own) >= SESSION_FILES or sum(own) + size > SESSION_BYTES or total + size > ALL_BYTES:
            return False
        self.admitted[path] = (now, session, size)
        return True
