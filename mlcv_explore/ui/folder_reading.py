"""Reading a large image folder of the visitor's own: a thread of the server decodes it for
all who wait for it, with count, time left and a button that cancels.
"""

import logging
import threading
import time
import uuid

import streamlit as st

from mlcv_explore.data import own_folders
from mlcv_explore.data.dataset import DataError
from mlcv_explore.ui import figures

REFRESH = 0.5  # seconds between two looks at a reading
SHORT = 0.4  # seconds: a folder that is read sooner shows no progress
# seconds a visitor counts as waiting after the last look: a browser lets a hidden tab look once a minute
GRACE = 300.0
log = logging.getLogger(__name__)


class _Abandoned(Exception):
    """Ends a reading that nobody waits for."""


class Reading:
    """One folder that is being decoded, or was."""

    def __init__(self, name: str, visitor: str) -> None:
        self.name = name
        self.done, self.total = 0, 0
        self.error = ""  # one sentence
        self.started = time.monotonic()
        self._looks = {visitor: self.started}  # visitor → when it last looked
        self._thread = threading.Thread(target=self._read, name=f"reading {name}", daemon=True)
        self._thread.start()

    @property
    def under_way(self) -> bool:
        """Whether images are still being decoded."""
        return self._thread.is_alive()

    @property
    def seconds_left(self) -> float | None:
        """By the pace so far; None before the first image."""
        elapsed = time.monotonic() - self.started
        return elapsed / self.done * (self.total - self.done) if self.done else None

    def look(self, visitor: str) -> None:
        """This visitor waits for it."""
        self._looks[visitor] = time.monotonic()

    def leave(self, visitor: str) -> None:
        """This visitor waits no longer; without another one it ends before the next image."""
        self._looks.pop(visitor, None)

    def wait(self, seconds: float) -> None:
        """Until it has ended, but no longer than this."""
        self._thread.join(seconds)

    def _read(self) -> None:
        try:
            with own_folders.reported_to(self._progress):
                own_folders.about(self.name)
        except _Abandoned:
            pass
        except DataError as error:
            self.error = str(error)
        except Exception as error:  # without a sentence the page would have it read again and again
            log.exception("%s could not be read", self.name)
            kind = type(error).__name__
            self.error = f"{self.name} could not be read ({kind}); the server's log has the details."

    def _progress(self, done: int, total: int) -> None:
        if not any(time.monotonic() - seen < GRACE for seen in list(self._looks.values())):
            raise _Abandoned
        if done < self.done:  # once more, as squares
            self.started = time.monotonic()
        self.done, self.total = done, total


_readings: dict[str, Reading] = {}  # name → the last one
_starting = threading.Lock()


def reading_of(name: str, visitor: str, anew: bool) -> Reading:
    """The last reading of this folder, which this visitor waits for; `anew` starts another
    one unless it is under way.
    """
    with _starting:
        known = _readings.get(name)
        if known is None or (anew and not known.under_way):
            known = _readings[name] = Reading(name, visitor)
    known.look(visitor)
    return known


def show(slug: str, name: str) -> None:
    """Read the folder `name`, with progress; the page runs again once it is read. To be
    called where it turned out to be unread.
    """
    visitor = st.session_state.setdefault(f"{slug}-reader", uuid.uuid4().hex)
    asked = f"{slug}-reading"  # the folder that this visitor has asked for, and whether it is wanted
    known, wanted = st.session_state.get(asked, ("", True))
    if known == name and not wanted:
        st.info(f"Reading {name} was cancelled.", icon=":material/stop_circle:")
        st.button("Read it", key=f"{slug}-read", on_click=st.session_state.pop, args=(asked, None))
        return
    st.session_state[asked] = name, True
    reading = reading_of(name, visitor, anew=known != name)
    reading.wait(SHORT)
    if reading.error:
        st.error(reading.error, icon=":material/error:", title="The folder cannot be used")
        st.button("Read it again", key=f"{slug}-read", on_click=st.session_state.pop, args=(asked, None))
        return

    def cancel() -> None:
        reading.leave(visitor)
        st.session_state[asked] = name, False

    st.button("Cancel", icon=":material/stop:", key=f"{slug}-reading-cancel", on_click=cancel)

    @st.fragment(run_every=REFRESH, key=f"{slug}-reading-progress")
    def panel() -> None:
        reading.look(visitor)
        if not reading.under_way:
            if not reading.error:  # else the page would have it read anew
                st.session_state.pop(asked, None)
            st.rerun()
        left = f" · about {figures.duration(reading.seconds_left)} left" if reading.done else ""
        text = f"Reading {name}: {reading.done:,} of {reading.total:,} images{left}"
        st.progress(reading.done / max(1, reading.total), text=text)

    panel()
