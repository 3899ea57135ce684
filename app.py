"""The server. `streamlit run app.py` opens it; `pages/frame.py` is the page it shows."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the server draws; training has the other cores

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mlcv_explore.ui import server
from mlcv_explore.ui.upload_guard import UploadGuard


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, bool]]:
    """Serve at once; everything slow is fetched by a thread after the first page is
    drawn.
    """
    server.warm_up()
    yield {"serving": True}
    server.close()


async def ready(_: Request) -> JSONResponse:
    """200 once the warm-up is over, 503 before."""
    return JSONResponse({"ready": server.ready()}, status_code=200 if server.ready() else 503)


app = st.App(
    Path(__file__).parent / "pages" / "frame.py",
    lifespan=lifespan,
    routes=[Route("/api/ready", ready)],
    middleware=[Middleware(UploadGuard)],
)
