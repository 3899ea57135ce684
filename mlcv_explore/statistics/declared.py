"""Claims written as text, as one writes them down beforehand: two lines each.

    gain: mixed, pasted − plain > 1
        Mixing and pasting each beat plain training by more than 1 point.

The first line has name, arms, the arm or arms that each is compared with, direction (> greater,
< less, = equal, ≠ different), margin and measure. The margin is in points of a share,
in the measure's own unit where that is another. `, any SETTING` at its end takes out a
setting that the sentence does not take for granted, such as one its arms differ in;
`, when SETTING = VALUE` adds settings, several with `and`.
"""

import re
from collections.abc import Mapping
from itertools import product
from typing import Any

from mlcv_explore.statistics.claims import Claim

DIRECTIONS = {">": "greater", "<": "less", "=": "equal", "≠": "different"}
_HEAD = re.compile(
    r"(\w+): (\w+(?:, \w+)*) − (\w+(?:, \w+)*) ([><=≠]) ([\d.]+)(?: in (\w+))?(?:, any (\w+))?"
    r"(?:, when (\w+ = \w+(?: and \w+ = \w+)*))?"
)


def declared(
    text: str, when: Mapping[str, Any] | None = None, units: Mapping[str, str] | None = None
) -> tuple[Claim, ...]:
    """The claims of a text about runs with the settings `when`; `units` are those of
    measures that are no shares. Raises ValueError with a line that cannot be read.
    """
    lines, claims = [line.strip() for line in text.strip().splitlines()], []
    for head, sentence in zip(lines[::2], lines[1::2], strict=True):
        if not (parts := _HEAD.fullmatch(head)):
            raise ValueError(f"Not a claim's first line: {head!r}.")
        name, arms, others, sign, margin, measure, free, added = parts.groups()
        measure = measure or "accuracy"
        unit = (units or {}).get(measure, "points")
        size = float(margin) / 100 if unit == "points" else float(margin)
        pairs = tuple(product(arms.split(", "), others.split(", ")))
        given = tuple((setting, value) for setting, value in (when or {}).items() if setting != free)
        for pair in added.split(" and ") if added else ():
            setting, value = pair.split(" = ")
            given += ((setting, int(value) if value.isdecimal() else value),)
        claims.append(Claim(name, sentence, measure, unit, DIRECTIONS[sign], size, pairs, given))
    return tuple(claims)
