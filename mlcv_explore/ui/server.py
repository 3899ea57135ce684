"""The server process: its one job engine, its warm-up, its clean end."""

import ctypes
import gc
import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mlcv_explore.experiment.jobs import Jobs

Result = TypeVar("Result")
FIRST_PAGE = 1.5  # seconds the warm-up waits for a first page before it starts by itself
TIDY = 5.0  # seconds between two collections, after which free memory is returned; milliseconds
# glibc's malloc.h: one heap for all script threads, and arrays of half a megabyte and more in memory of
# their own, which goes back when they are freed
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
HEAP = {M_ARENA_MAX: 1, M_MMAP_THRESHOLD: 1 << 19, M_TRIM_THRESHOLD: 1 << 17}
# While a network computes, freed activations are used again: fresh pages for each would take two fifths
# of a map's time
COMPUTING = {M_MMAP_THRESHOLD: 1 << 25, M_TRIM_THRESHOLD: 1 << 29}

log = logging.getLogger(__name__)
# a test or a script keeps the C library's own options for its memory, and may make engine after engine
_serving = False
_turn = threading.Lock()  # to compute
_waiting, _counting = 0, threading.Lock()  # threads for their turn
_engine: "Jobs | None" = None
_creating = threading.Lock()
_painted = threading.Event()
_ready = threading.Event()
_closing = threading.Event()  # of a server


def jobs() -> "Jobs":
    """The one job engine of this process, made on first use (a page run as a plain
    script has no lifespan); one that starts nothing any more once the server is closing.
    """
    global _engine
    with _creating:
        if _engine is None:
            from mlcv_explore.experiment.jobs import Jobs

            _engine = Jobs()
            if _closing.is_set():
                _engine.close()
        return _engine


def use(engine: "Jobs") -> None:
    """Set the job engine of this process, before its first use."""
    global _engine
    with _creating:
        _engine = engine


def warm_up() -> None:
    """Start the slow imports and the cluster in a thread, once the first page is drawn."""
    global _serving
    _serving = True
    _set_heap(HEAP)
    _closing.clear()
    threading.Thread(target=_boot, name="warm-up", daemon=True).start()


@contextmanager
def computing() -> Iterator[None]:
    """Within it a network computes for a page, in one thread at a time: each would hold its
    features meanwhile, and training has the other cores. Freed memory is used again, and
    goes back to the system where the next turn is another page's, which would not fit it.
    """
    global _waiting
    with _counting:
        _waiting += 1
    with _turn:
        with _counting:
            _waiting -= 1
        _set_heap(COMPUTING)
        try:
            yield
        finally:
            _set_heap(HEAP)
            if _serving and _waiting:
                _return_free_memory()


def computed(results: Iterable[Result]) -> Iterator[Result]:
    """The results of a generator, each computed within `computing`; between two of them
    others have their turn.
    """
    waiting, end = iter(results), object()
    while True:
        with computing():
            result = next(waiting, end)
        if result is end:
            return
        yield result


def painted() -> None:
    """A page was drawn: the warm-up may have the processor."""
    _painted.set()


def ready() -> bool:
    """Whether the workers and the heavy imports are there, but for what failed: that is in
    the log, and tried again by the first page that needs it.
    """
    return _ready.is_set()


def close() -> None:
    """End the job engine, if it was ever made."""
    global _engine
    if _serving:
        _closing.set()
    with _creating:
        if _engine is not None:
            _engine.close()
            _engine = None


@contextmanager
def _logged(step: str) -> Iterator[None]:
    """A step of the warm-up, which goes on without it when it fails."""
    try:
        yield
    except Exception:
        if not _closing.is_set():  # else its workers were refused
            log.exception("The warm-up of %s failed", step)


def _boot() -> None:
    _painted.wait(FIRST_PAGE)
    if _closing.is_set():
        return
    with _logged("the workers"):
        jobs().warm()
    with _logged("tables"):
        import pandas  # noqa: F401  for the first one
    with _logged("verdicts"):
        from mlcv_explore import idea

        for card in idea.cards():
            with _logged(f"verdicts on {card.slug}"):
                _decide(card.slug)
    with _logged("charts"):
        from mlcv_explore import charts

        charts.warm_up()
    with _logged("maps"):
        import torch

        from mlcv_explore.ui import attributions

        torch.set_num_threads(1)
        attributions.warm_up()
    with _logged("data sets"):
        # most pages read one; imported by the first of them, its 30,000 objects would add 11 ms to
        # every move of every visitor
        import sklearn.datasets  # noqa: F401
    # with the imports in sight a full collection costs some 85 ms, frozen nothing
    gc.collect()
    gc.freeze()
    _return_free_memory()
    _ready.set()
    while not _closing.wait(TIDY):
        gc.collect()
        _return_free_memory()


def _decide(slug: str) -> None:
    """The verdicts on the recorded run of an idea: SciPy, before a first verdict has to wait
    for it.
    """
    from mlcv_explore import idea
    from mlcv_explore.experiment import runs
    from mlcv_explore.ui import evidence

    subject = idea.load(slug)
    if shipped := evidence.recorded(slug):
        run, film = shipped
        config = subject.config(**run.config)
        runs.decided(subject, config, subject.metrics(config, film), 1, 1)


def _set_heap(options: dict[int, int]) -> None:
    """Set options of the C library's memory allocation, in a server and where it has them."""
    if not _serving:
        return
    with suppress(AttributeError, OSError, TypeError):
        for option, value in options.items():
            ctypes.CDLL(None).mallopt(option, value)


def _return_free_memory() -> None:
    """Give what pages and warm-up have freed back to the system, where the C library
    can.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
