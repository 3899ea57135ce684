"""A progress bar on stderr, if that is a terminal or `--progress` was given."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from mlcv_explore.data import own_folders


def bar(options: argparse.Namespace, what: str, unit: str, total: int | None = None) -> tqdm:
    """A bar that writes nothing when stderr is no terminal and `--progress` was not
    given.
    """
    hidden = not (options.progress or sys.stderr.isatty())
    return tqdm(
        total=total, desc=what, unit=unit, file=sys.stderr, disable=hidden, leave=False, dynamic_ncols=True
    )


@contextmanager
def reading(options: argparse.Namespace) -> Iterator[None]:
    """A bar for every own folder that is decoded within it."""
    bars: list[tqdm] = []

    def progress(done: int, total: int) -> None:
        if not bars or done < bars[-1].n:  # read once more, as squares
            bars.append(bar(options, "reading images", "image", total))
        bars[-1].update(done - bars[-1].n)

    try:
        with own_folders.reported_to(progress):
            yield
    finally:
        for opened in bars:
            opened.close()
