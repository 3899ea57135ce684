"""Cancellation of runs, and the thread that watches over it: abandoned runs, runs that
do not end, a cluster that is lost.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlcv_explore.experiment import worker
from mlcv_explore.experiment.cluster import Connection
from mlcv_explore.experiment.job import Job
from mlcv_explore.experiment.registry import Registry

if TYPE_CHECKING:
    from distributed import Client

INTERVAL = 0.5  # seconds between two checks
CANCEL_TIMEOUT = 5.0  # seconds a cancelled run has to end by itself before its worker is restarted
log = logging.getLogger(__name__)


class Watchdog:
    """Cancels runs, and restarts the workers of those that do not end.

    `grace` is the seconds a run goes on after its last watcher left, `connection` the
    connection of now, and `on_lost` is called with one whose cluster is lost.
    """

    def __init__(
        self,
        registry: Registry,
        grace: float,
        connection: Callable[[], Connection | None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self._registry, self._grace = registry, grace
        self._connection, self._on_lost = connection, on_lost
        self._cancelled: list[Job] = []  # not yet ended; an equal run may have taken their place
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Let the thread end."""
        self._closed.set()

    def cancel(self, job: Job) -> None:
        """Have a run end before its next frame, or at once if it waits."""
        with self._registry.lock:
            if not job.cancelled:
                job.cancelled = time.time()
                self._cancelled.append(job)
            job.version += 1
            connection, attempt = self._connection(), job.attempt
            future = job.future if job.status == "waiting" else None

        def send() -> None:
            try:
                if future is not None:
                    connection.client.cancel([future], force=True)
                connection.client.run(worker.stop, attempt, on_error="ignore")
            except Exception:  # the cluster is ending, and the run with it
                log.info("Cancelling %s: the cluster did not answer", job.id)

        threading.Thread(target=send, name="cancel", daemon=True).start()

    def _run(self) -> None:
        while not self._closed.wait(INTERVAL):
            stuck = self._cancel_abandoned()
            connection = self._connection()
            if connection is None or connection.client is None:
                continue
            if connection.client.status in ("closed", "closing", "newly-created") or connection.process_ended:
                self._on_lost(connection)
            elif stuck:
                self._restart_workers(connection.client, stuck)

    def _cancel_abandoned(self) -> list[Job]:
        """Cancel runs whose last watcher left a while ago; returns the cancelled ones
        that should have ended by now.
        """
        with self._registry.lock:
            now = time.time()
            for job in self._registry.live():
                left = list(job.watchers.values())
                if not job.cancelled and left and None not in left and now - max(left) > self._grace:
                    self.cancel(job)
            self._cancelled = [job for job in self._cancelled if job.live]
            return [job for job in self._cancelled if now - job.cancelled > CANCEL_TIMEOUT]

    def _restart_workers(self, client: "Client", stuck: list[Job]) -> None:
        try:
            # one that never began is only taken from the scheduler: what runs at its worker is innocent
            attempts = {job.attempt for job in stuck if job.status == "running"}
            busy = [
                address
                for address, keys in client.processing().items()
                if attempts & {str(key) for key in keys}
            ]
            for job in stuck:
                self._registry.end(job, "cancelled")
            if busy:
                client.restart_workers(busy, timeout=30, raise_for_error=False)
        except Exception:
            log.exception("A worker could not be restarted")
