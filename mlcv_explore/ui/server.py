"""What the server process holds once for all visitors: the job engine, the warm-up, the
clean end.
"""

import gc
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlcv_explore.experiment.jobs import Jobs

PATIENCE = 1.5  # seconds the warm-up waits for a first page before it starts by itself

_engine: "Jobs | None" = None
_creating = threading.Lock()
_painted = threading.Event()
_ready = threading.Event()


def jobs() -> "Jobs":
    """The one job engine of this process, made on first use (a page run as a plain
    script has no lifespan).
    """
    global _engine
    with _creating:
        if _engine is None:
            from mlcv_explore.experiment.jobs import Jobs

            _engine = Jobs()
        return _engine


def use(engine: "Jobs") -> None:
    """Let this engine, already made, be the one of this process: a cluster of one's
    own, or one inside the process.
    """
    global _engine
    with _creating:
        _engine = engine


def warm_up() -> None:
    """Start, in a thread and once, everything slow; it waits for the first page so as
    not to slow that one down.
    """
    threading.Thread(target=_boot, name="warm-up", daemon=True).start()


def painted() -> None:
    """A page was drawn: the warm-up may have the processor."""
    _painted.set()


def ready() -> bool:
    """Whether the workers and the heavy imports are there."""
    return _ready.is_set()


def close() -> None:
    """End the job engine, if it was ever made."""
    global _engine
    with _creating:
        if _engine is not None:
            _engine.close()
            _engine = None


def _boot() -> None:
    _painted.wait(PATIENCE)
    jobs().warm()
    import pandas  # noqa: F401  for the first table

    from mlcv_explore import charts, idea
    from mlcv_explore.experiment import runs
    from mlcv_explore.ui import attributions, evidence

    for card in idea.cards():
        subject = idea.load(card.slug)
        if found := evidence.recorded(card.slug):
            run, film = found
            config = subject.config(**run.config)
            # SciPy, before a first verdict has to wait for it
            runs.decided(subject, config, subject.metrics(config, film), 1, 1)
            picture = subject.picture(film)
            lines = {role: charts.Line(role, values) for role, values in picture.lines.items()}
            charts.curves(
                picture.x, lines, picture.x_title, picture.y_title, palette=charts.PALETTES["light"]
            )
    import torch

    torch.set_num_threads(1)
    attributions.warm_up()
    # Streamlit collects after every script run: with the imports in sight that costs some 85 ms,
    # frozen nothing
    gc.collect()
    gc.freeze()
    _ready.set()
