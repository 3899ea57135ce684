"""Tables of an idea as one writes them down: its arms, its measures, earlier work.

A line that begins with eight spaces more than the first goes on with the one above.
"""

import re
import textwrap
from typing import get_args

from mlcv_explore.idea import Arm, Measure, Prior, Role

_ARM = re.compile(rf"(\w+) \(({'|'.join(get_args(Role))})\): (.+?)(?: — (.+))?")
_MEASURE = re.compile(r"(\w+)(?: \((%|points)?(?:, )?(lower|neither)?\))?: (.+)")


def arms(text: str) -> tuple[Arm, ...]:
    """One arm a line, `name (role): label — what it is`. Raises ValueError with a line that
    cannot be read.
    """
    found = (_read(_ARM, line) for line in _lines(text))
    return tuple(Arm(name, label, role, rest or "") for name, role, label, rest in found)


def measures(text: str) -> tuple[Measure, ...]:
    """One measure a line, `name (unit, direction): label`; the unit may be % or points,
    the direction lower or neither where higher is not better. Raises ValueError with a
    line that cannot be read.
    """
    found = (_read(_MEASURE, line) for line in _lines(text))
    better = {None: "higher", "lower": "lower", "neither": ""}
    return tuple(Measure(name, label, unit or "", better[side]) for name, unit, side, label in found)


def works(text: str) -> tuple[Prior, ...]:
    """Earlier work, three lines each: title and https link, if it has one; its result; what
    differs here. Raises ValueError where a line is missing.
    """
    lines, entries = _lines(text), []
    for head, result, differs in zip(lines[::3], lines[1::3], lines[2::3], strict=True):
        title, found, rest = head.partition(" https:")
        entries.append(Prior(title, found.strip() + rest, result, differs))
    return tuple(entries)


def _lines(text: str) -> list[str]:
    whole = textwrap.dedent(text).strip().replace("\n" + 8 * " ", " ")
    return [line.strip() for line in whole.splitlines()]


def _read(pattern: re.Pattern[str], line: str) -> tuple[str, ...]:
    if not (found := pattern.fullmatch(line)):
        raise ValueError(f"Not a line of this table: {line!r}.")
    return found.groups()
