"""A visitor's curve in a CSV file, as progress so far: checked, never trusted, never
written to disk.
"""

import re
import threading
from dataclasses import dataclass

import numpy as np

from mlcv_explore.data import uploads

MAX_MB = 32  # a million rows of two long numbers
MAX_ROWS = 2000  # that are kept, at even distances
MIN_ROWS = 3
LARGEST = 1e300  # so that multiples stay finite
LONGEST_LINE = 200  # characters; a row of two numbers needs fifty
BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_parsing = threading.BoundedSemaphore(2)  # a file at the limit takes a quarter of a gigabyte meanwhile
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf(inity)?)", re.IGNORECASE)


class BadCurve(uploads.BadUpload):
    """A rejected file. The text is one sentence: the file, the rule, the value."""


@dataclass(frozen=True, eq=False)
class ProgressCurve:
    """A curve as progress so far: the fall of a loss, else the highest value."""

    x: np.ndarray  # (n,) float64, rising
    progress: np.ndarray  # (n,) float64, 0 or more, never falling, the last above 0
    notes: tuple[str, ...] = ()  # sentences: how the file was interpreted


def parse_upload(content: bytes, name: str) -> ProgressCurve:
    """The curve in a CSV file: columns x, y, or y alone, under an optional header.

    Separators are commas, semicolons, tabs or blanks; but for commas, a comma is a
    decimal comma. A curve that ends lower than it began is a loss, its progress the
    fall so far. Raises BadCurve.
    """
    file = uploads.shown_name(name)
    if len(content) > MAX_MB << 20:
        raise BadCurve(f"{file} must be at most {MAX_MB} MB, got {len(content) / (1 << 20):.1f} MB.")
    with _parsing:
        return _parse(content, file)


def _parse(content: bytes, file: str) -> ProgressCurve:
    lines = _lines(content, file)
    separator = _separator(lines[-1][1])
    header = int(
        len(lines) > 1 and not any(NUMBER.fullmatch(part) for part in _parts(lines[0][1], separator))
    )
    rows = [number for number, _ in lines[header:]]
    values = _numbers(lines[header:], separator, file)
    if len(values) < MIN_ROWS:
        raise BadCurve(f"{file} must have at least {MIN_ROWS} rows of numbers, got {len(values)}.")
    y = values[:, -1]
    x = values[:, 0] if values.shape[1] == 2 else np.arange(float(len(y)))
    falls = np.flatnonzero(np.diff(x) <= 0)
    if len(falls):
        at = int(falls[0])
        rule = "repeats" if x[at + 1] == x[at] else "falls from"
        raise BadCurve(
            f"{file} must have a rising x: in line {rows[at + 1]} it {rule} {x[at]:g}, got {x[at + 1]:g}."
        )
    progress, notes = _progress(y, rows, file)
    if header:
        notes.insert(0, "The first line is a header.")
    if len(x) > MAX_ROWS:
        kept = np.linspace(0, len(x) - 1, MAX_ROWS).round().astype(int)
        notes.append(f"{MAX_ROWS:,} of {len(x):,} rows are used, at even distances.")
        x, progress = x[kept], progress[kept]
    return ProgressCurve(x, progress, tuple(notes))


def _lines(content: bytes, file: str) -> list[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise BadCurve(f"{file} must be a text file in UTF-8, got other bytes.") from None
    if "\0" in text:
        raise BadCurve(f"{file} must be a text file, got binary data.")
    numbered = enumerate(re.split(r"\r\n|\r|\n", text), start=1)
    lines = [(number, line.strip().replace('"', "")) for number, line in numbered]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        raise BadCurve(f"{file} must hold numbers, got an empty file.")
    return lines


def _separator(line: str) -> str:
    """What separates the columns of the last line, which is no header."""
    for mark in (";", "\t"):
        if mark in line:
            return mark
    return "," if "," in line and " " not in line.replace(", ", ",") else " "


def _parts(line: str, separator: str) -> list[str]:
    parts = line.split() if separator == " " else [part.strip() for part in line.split(separator)]
    return parts if separator == "," else [part.replace(",", ".") for part in parts]


def _numbers(lines: list[tuple[int, str]], separator: str, file: str) -> np.ndarray:
    """The numbers, (n, 1) or (n, 2), finite; one pass in C."""
    texts = (line if separator == "," else line.replace(",", ".") for _, line in lines)
    try:
        values = np.loadtxt(texts, delimiter=None if separator == " " else separator, ndmin=2, comments=None)
    except ValueError:
        values = None
    if values is None or values.shape[1] > 2 or not (np.abs(values) <= LARGEST).all():
        raise BadCurve(f"{file} must {_broken_rule(lines, separator)}.")
    return values


def _broken_rule(lines: list[tuple[int, str]], separator: str) -> str:
    """The first rule that a line breaks, the line and its value."""
    width = len(_parts(lines[0][1], separator))
    for number, line in lines:
        parts = _parts(line[:LONGEST_LINE], separator)
        if len(line) > LONGEST_LINE:
            return f"have lines of at most {LONGEST_LINE} characters: line {number} has {len(line):,}"
        if len(parts) > 2 or len(parts) != width:
            rule = f"the {width} of the first line" if width <= 2 else "one column y or two columns x, y"
            return f"have {rule}: line {number} has {len(parts)} columns"
        for part in parts:
            shown = uploads.shown_name(part.replace("/", " ").replace("\\", " ")) if part else "nothing"
            if not NUMBER.fullmatch(part):
                return f"hold numbers alone: line {number} has {shown}"
            if not abs(float(part)) <= LARGEST:
                return f"hold finite numbers up to {LARGEST:g}: line {number} has {shown}"
    return "hold one column y or two columns x, y of numbers"


def _progress(y: np.ndarray, rows: list[int], file: str) -> tuple[np.ndarray, list[str]]:
    """Progress so far (n,), and how y was interpreted."""
    if y[-1] < y[0]:
        lowest = np.minimum.accumulate(y)
        notes = ["The curve ends lower than it began, so it is a loss: its fall so far is used."]
        if (lowest != y).any():
            notes.append("Where it rises in between, its lowest value so far is used.")
        return y[0] - lowest, notes
    negative = np.flatnonzero(y < 0)
    if len(negative):
        at = int(negative[0])
        raise BadCurve(
            f"{file} must have a past of 0 or more: in line {rows[at]} a curve that rises has {y[at]:g}."
        )
    highest = np.maximum.accumulate(y)
    if not highest[-1] > highest[0]:
        raise BadCurve(f"{file} must grow or fall: all its values are {y[0]:g}.")
    return highest, ["Where it falls, its highest value so far is used."] if (highest != y).any() else []
