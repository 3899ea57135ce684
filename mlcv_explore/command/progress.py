"""A progress bar on stderr, if that is a terminal or `--progress` was given."""

import argparse
import sys

from tqdm import tqdm


def bar(options: argparse.Namespace, what: str, unit: str, total: int | None = None) -> tqdm:
    """A bar that writes nothing when stderr is no terminal and `--progress` was not
    given.
    """
    hidden = not (options.progress or sys.stderr.isatty())
    return tqdm(
        total=total, desc=what, unit=unit, file=sys.stderr, disable=hidden, leave=False, dynamic_ncols=True
    )
