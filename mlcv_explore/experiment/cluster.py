"""A connection to a dask cluster: one of this machine's own, one inside this process
for tests, or any scheduler.
"""

import json
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from mlcv_explore.experiment import fingerprint, worker

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

ANSWER = 10.0  # seconds a scheduler has to answer
log = logging.getLogger(__name__)


class Connection:
    """A client of a scheduler, with the process or cluster that was started for it."""

    def __init__(self, scheduler: str | None, processes: bool, workers: int | None) -> None:
        """A scheduler's address, else a cluster started for it: in a process of its
        own, or in this one. `open` connects.
        """
        self._scheduler, self._processes, self._workers = scheduler, processes, workers
        self.client: Client | None = None
        self.process: subprocess.Popen | None = None
        self.cluster: LocalCluster | None = None

    def open(self) -> None:
        """Start what is needed and connect. Raises OSError when nothing answers."""
        from distributed import Client

        # a cluster that is gone is reported to the reader, in a sentence
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        address = self._scheduler
        if address is None and self._processes:
            self.process = _start_process(self._workers)
            line = self.process.stdout.readline()
            if not line:
                raise ConnectionError("The compute process did not start.")
            address = json.loads(line)["address"]
        elif address is None:
            self.cluster = _start_cluster(self._workers)
            address = self.cluster.scheduler_address
        self.client = Client(address, set_as_default=False, timeout=ANSWER, name="mlcv-explore")

    @property
    def alive(self) -> bool:
        """Whether runs can be submitted."""
        return self.client is not None and self.client.status == "running" and not self.process_ended

    @property
    def process_ended(self) -> bool:
        """Whether the process started for it is gone."""
        return self.process is not None and self.process.poll() is not None

    def close(self) -> None:
        """Close the client and end what was started for it."""
        for part in (self.client, self.cluster):
            try:
                if part is not None:
                    part.close(timeout=5)
            except Exception:  # it is gone already
                log.info("Closing %s was not answered", type(part).__name__)
        if self.process is not None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()


def _start_process(workers: int | None) -> subprocess.Popen:
    """`python -m mlcv_explore.experiment.worker`, which ends with this process: its
    standard input is held open by us.
    """
    flags = ["--workers", str(workers)] if workers else []
    paths = (str(fingerprint.PACKAGE.parent), os.environ.get("PYTHONPATH"))
    return subprocess.Popen(
        [sys.executable, "-m", "mlcv_explore.experiment.worker", *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        start_new_session=True,  # Ctrl-C ends the server, and the server ends this
    )


def _start_cluster(workers: int | None) -> "LocalCluster":
    import dask
    from distributed import LocalCluster

    with dask.config.set(worker.SETTINGS):
        return LocalCluster(
            n_workers=workers or 1,
            threads_per_worker=1,
            processes=False,
            dashboard_address=None,
            protocol="tcp",
            host="127.0.0.1",
        )
