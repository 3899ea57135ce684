"""Curves that readers bring as a CSV file. What comes from outside is checked; nothing
of it is trusted, and no file is written.
"""

import re
import threading
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mlcv_explore.data import uploads

MOST_BYTES = 32 << 20  # a million rows of two long numbers
MOST_ROWS = 2000  # that are kept; of more, this many are taken at even distances
FEWEST_ROWS = 3
MOST_COLUMNS = 2
LARGEST = 1e300  # so that forty times as much is still a number
LONGEST_LINE = 200  # characters; a row of two numbers needs fifty
BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_reading = threading.BoundedSemaphore(2)  # a file at the limit takes a quarter of a gigabyte while it is read
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf(inity)?)", re.IGNORECASE)


class BadCurve(uploads.BadUpload):
    """A file that is refused. The text is one sentence: the file, which rule it breaks,
    and the value.
    """


@dataclass(frozen=True, eq=False)
class Brought:
    """A reader's curve as importance so far."""

    name: str  # safe to show
    x: np.ndarray  # (n,) float64, rising
    importance: np.ndarray  # (n,) float64, 0 or more, never falling, the last above 0
    notes: tuple[str, ...] = ()  # sentences: what was done to it


def read(content: bytes, name: str) -> Brought:
    """The curve in a CSV file: two columns x, y, or one column y; a header may stand
    above.

    Columns are parted by commas, semicolons, tabs or blanks; with semicolons, tabs or
    blanks, a comma is a decimal comma. A curve that ends lower than it began is a loss,
    and its importance is how far it has fallen; one that rises is its own importance.
    Raises BadCurve.
    """
    called = uploads.shown_name(name)
    if len(content) > MOST_BYTES:
        raise BadCurve(
            f"{called} must be at most {MOST_BYTES >> 20} MB, got {len(content) / (1 << 20):.1f} MB."
        )
    with _reading:
        return _read(content, called)


def _read(content: bytes, called: str) -> Brought:
    lines = _lines(content, called)
    separator = _separator(lines)
    header = int(
        len(lines) > 1 and not any(NUMBER.fullmatch(part) for part in _parts(lines[0][1], separator))
    )
    table = _table(lines[header:], separator, called)
    if len(table) < FEWEST_ROWS:
        raise BadCurve(f"{called} must have at least {FEWEST_ROWS} rows of numbers, got {len(table)}.")
    rows = [number for number, _ in lines[header:]]
    notes = ["Its first line is no number and was taken for a header."] if header else []
    y = table[:, -1]
    x = table[:, 0] if table.shape[1] == MOST_COLUMNS else np.arange(float(len(y)))
    falls = np.flatnonzero(np.diff(x) <= 0)
    if len(falls):
        place = int(falls[0])
        rule = "repeats" if x[place + 1] == x[place] else "falls from"
        raise BadCurve(
            f"{called} must have a rising x: in line {rows[place + 1]} it {rule} {x[place]:g}, got"
            f" {x[place + 1]:g}."
        )
    importance, said = _importance(y, rows, called)
    notes += said
    if len(x) > MOST_ROWS:
        kept = np.linspace(0, len(x) - 1, MOST_ROWS).round().astype(int)
        notes.append(f"It has {len(x):,} rows: {MOST_ROWS:,} of them at even distances are used.")
        x, importance = x[kept], importance[kept]
    return Brought(called, x, importance, tuple(notes))


def _lines(content: bytes, called: str) -> list[tuple[int, str]]:
    """The lines that hold something, with their numbers from 1."""
    coding = next((coding for mark, coding in BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(coding)
    except UnicodeDecodeError:
        raise BadCurve(f"{called} must be a text file in UTF-8, got bytes that are none.") from None
    if "\0" in text:
        raise BadCurve(f"{called} must be a text file, got binary data.")
    lines = [
        (number, line.strip().replace('"', ""))
        for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    ]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        raise BadCurve(f"{called} must hold numbers, got an empty file.")
    return lines


def _separator(lines: list[tuple[int, str]]) -> str:
    """What parts the columns, by the last line, which is no header: ";", a tab, "," or
    " ".
    """
    last = lines[-1][1]
    return next(
        (each for each in (";", "\t") if each in last),
        "," if "," in last and " " not in last.replace(", ", ",") else " ",
    )


def _parts(line: str, separator: str) -> list[str]:
    parts = line.split() if separator == " " else [part.strip() for part in line.split(separator)]
    return parts if separator == "," else [part.replace(",", ".") for part in parts]


def _table(lines: list[tuple[int, str]], separator: str, called: str) -> np.ndarray:
    """The numbers, (n, 1) or (n, 2), finite. One pass in C; where that fails, the first
    line at fault is looked for.
    """
    if not lines:
        raise BadCurve(f"{called} must have at least {FEWEST_ROWS} rows of numbers, got 0.")
    texts = (line if separator == "," else line.replace(",", ".") for _, line in lines)
    try:
        table = np.loadtxt(texts, delimiter=None if separator == " " else separator, ndmin=2, comments=None)
    except ValueError:
        table = None
    if table is None or table.shape[1] > MOST_COLUMNS or not (np.abs(table) <= LARGEST).all():
        raise BadCurve(_fault(lines, separator, called))
    return table


def _fault(lines: list[tuple[int, str]], separator: str, called: str) -> str:
    """The sentence about the first line that cannot be used."""
    width = len(_parts(lines[0][1], separator))
    for number, line in lines:
        parts = _parts(line[:LONGEST_LINE], separator)
        if len(line) > LONGEST_LINE:
            return (
                f"{called} must have lines of at most {LONGEST_LINE} characters: line {number} has"
                f" {len(line):,}."
            )
        if len(parts) > MOST_COLUMNS or len(parts) != width:
            rule = (
                f"the {width} of the first line"
                if width <= MOST_COLUMNS
                else "one column y or two columns x, y"
            )
            return f"{called} must have {rule}: line {number} has {len(parts)} columns."
        for part in parts:
            shown = uploads.shown_name(part.replace("/", " ").replace("\\", " ")) if part else "nothing"
            if not NUMBER.fullmatch(part):
                return f"{called} must hold numbers alone: line {number} has {shown}."
            if not abs(float(part)) <= LARGEST:
                return f"{called} must hold finite numbers up to {LARGEST:g}: line {number} has {shown}."
    return f"{called} must hold one column y or two columns x, y of numbers."


def _importance(y: np.ndarray, rows: list[int], called: str) -> tuple[np.ndarray, list[str]]:
    """Importance so far, and what was done for it."""
    if y[-1] < y[0]:
        lowest = np.minimum.accumulate(y)
        notes = [
            "It ends lower than it began, so it was taken for a loss: its importance is how far it has fallen"
            " so far."
        ]
        if (lowest != y).any():
            notes.append("Where it rises between, the fall so far stays.")
        return y[0] - lowest, notes
    below = np.flatnonzero(y < 0)
    if len(below):
        place = int(below[0])
        raise BadCurve(
            f"{called} must have a past of 0 or more: in line {rows[place]} a curve that rises has"
            f" {y[place]:g}."
        )
    highest = np.maximum.accumulate(y)
    if not highest[-1] > highest[0]:
        raise BadCurve(f"{called} must grow or fall: all its values are {y[0]:g}.")
    return highest, (
        ["Where it falls, the most it had reached stays."]
        if any(after < before for before, after in pairwise(y))
        else []
    )
