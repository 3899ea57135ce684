"""Numbers as text for a terminal."""

from collections.abc import Mapping, Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their longest cell, words to the left."""
    cells = [tuple(map(str, row)) for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def estimate(value: Mapping[str, float | None]) -> tuple[str, str]:
    """A mean and its interval; a dash where it is undefined."""
    mean, low, high = (value[name] for name in ("mean", "low", "high"))
    interval = "–" if low is None or high is None else f"[{low:.4f}, {high:.4f}]"
    return number(mean), interval


def number(value: float | None) -> str:
    """Four digits after the point; a dash where it is undefined."""
    return "–" if value is None else f"{value:.4f}"
