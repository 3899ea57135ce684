"""What a redraw of each kind of chart costs, here and in another checkout.

    python -m bench.charts [../former]

The other checkout is the root of the code to compare with, by default the last commit.
A redraw is the arrays' way to what Streamlit sends: the chart, its specification as
JSON and its rows as Arrow.
Each checkout draws in its own process; the two take turns, and the medians over the
rounds are compared. The first chart of a kind is measured alone, in a fresh process.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
ROUNDS, REDRAWS = 15, 40
TARGET = 1.1  # times the former cost: as fast as before, within the noise of a shared machine


def drawings() -> dict[str, Callable[[int], Any]]:
    """A redraw of every kind with numbers that depend on the round."""
    import numpy as np

    from mlcv_explore import charts

    palette = charts.PALETTES["light"]
    steps = np.arange(1.0, 61.0)
    noise = np.random.default_rng(0).normal(0, 0.02, (10, 60))

    def arms(turn: int) -> dict[str, Any]:
        rising = 1 - np.exp(-steps / (5 + turn % 7))
        return {role: scale * rising + noise for role, scale in (("baseline", 0.6), ("idea", 0.9))}

    def lines(turn: int) -> dict[str, Any]:
        return {f"arm {role}": charts.Line(role, values) for role, values in arms(turn).items()}

    def differences(turn: int) -> list[Any]:
        return [
            charts.Difference(f"claim {place}", 2.0 + turn % 5, 1.0, 8.0, noise[:, place], margin=1.0)
            for place in range(5)
        ]

    def bars(turn: int) -> list[Any]:
        return [charts.Bar(role, 0.5 + turn % 5 / 20, 0.4, 0.8, role) for role in charts.ROLES[:4]]

    cells, classes = noise[:5, :6], [f"class {place}" for place in range(6)]
    significant, near = cells > 0, np.abs(noise[:, :30]).reshape(150, 2)
    intervals = (charts.Band("95 %", 0.5, float("inf")), charts.Band("50 %", 0.6, 1.2))
    titles = ("noise", "arm", "points")
    return {
        "curves": lambda turn: charts.curves(
            steps, lines(turn), "epoch", "accuracy", palette=palette, marks={"now": float(turn % 60)}
        ),
        "thumbnail": lambda turn: charts.thumbnail(steps, arms(turn), palette),
        "differences": lambda turn: charts.paired_differences(differences(turn), palette),
        "effects": lambda turn: charts.effects(differences(turn), palette),
        "bars": lambda turn: charts.bars_with_intervals(bars(turn), "accuracy", palette),
        "heat map": lambda turn: charts.heat_map(
            cells * (1 + turn), list("abcde"), list("uvwxyz"), titles, palette, significant=significant
        ),
        "histograms": lambda turn: charts.histograms(
            np.linspace(0, 1, 21), {"clean": ("idea", np.arange(20) + turn)}, "confidence", palette
        ),
        "cone": lambda turn: charts.cone(
            steps, steps / 60, 20 + turn % 20, 0.9, intervals, "step", "gain", palette, (0.0, 1.5)
        ),
        "points": lambda turn: charts.points(
            near, ["7"] * 150, [""] * 150, palette, here={"mixed": (0.01 * (turn % 9), 0.02, "idea")}
        ),
        "shares": lambda turn: charts.shares(
            classes, {"target": ("idea", np.full(6, (turn % 9) / 9))}, palette
        ),
    }


def sent(chart: Any) -> int:
    """The bytes of a chart on their way to the browser."""
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, chart.data.schema) as stream:
        stream.write_table(chart.data)
    return len(json.dumps(chart.spec)) + sink.getvalue().size


def serve() -> None:
    """Time the redraws requested on the standard input: kind, round and count per line;
    prints medians in ms.
    """
    draw: dict[str, Callable[[int], Any]] = {}
    for line in sys.stdin:
        kind, turn, count = json.loads(line)
        draw = draw or drawings()
        took = []
        for redraw in range(count):
            started = time.perf_counter()
            sent(draw[kind](turn + redraw))
            took.append(1000 * (time.perf_counter() - started))
        print(statistics.median(took), flush=True)


class Checkout:
    """A process that draws with the code under one root."""

    def __init__(self, root: Path) -> None:
        environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        code = f"import runpy; runpy.run_path({str(__file__)!r}, run_name='child')['serve']()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def time(self, kind: str, turn: int, count: int) -> float:
        """The median of some redraws, ms."""
        print(json.dumps([kind, turn, count]), file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait(20)


def code_lines(root: Path) -> int:
    """Lines of the charts without images, formatted with the line length of this
    project.
    """
    paths = [path for path in (root / "mlcv_explore/charts").glob("*.py") if path.name != "images.py"]
    formatted = [
        subprocess.run(
            [sys.executable, "-m", "ruff", "format", "--config", str(ROOT / "pyproject.toml"), "-"],
            input=path.read_text(encoding="utf-8"),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for path in paths
    ]
    return sum(text.count("\n") for text in formatted)


def last_commit(folder: str) -> Path:
    """The package as it was last committed, unpacked into `folder`."""
    archive = subprocess.run(
        ["git", "archive", "HEAD", "mlcv_explore"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return Path(folder)


def compare(former_root: Path) -> dict[str, Any]:
    """Milliseconds a redraw of each kind in both checkouts, their ratios, lines of code."""
    report: dict[str, Any] = {"load before": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}
    former, present = Checkout(former_root), Checkout(ROOT)
    kinds = {}
    try:
        for kind in drawings():
            first = {"first, ms": present.time(kind, 0, 1), "former first, ms": former.time(kind, 0, 1)}
            rounds = [
                [checkout.time(kind, turn, REDRAWS) for checkout in (former, present)]
                for turn in range(ROUNDS)
            ]
            before, after = (statistics.median(column) for column in zip(*rounds, strict=True))
            ratio = statistics.median(there / here for here, there in rounds)
            kinds[kind] = {"former, ms": before, "ms": after, "ratio": ratio, **first}
    finally:
        former.close()
        present.close()
    ratios = [measured["ratio"] for measured in kinds.values()]
    here, there = code_lines(ROOT), code_lines(former_root)
    return report | {
        "kinds": kinds,
        "geometric mean of the ratios": statistics.geometric_mean(ratios),
        "met": statistics.geometric_mean(ratios) <= TARGET,
        "lines": {"former": there, "here": here, "fewer": 1 - here / there},
        "load after": os.getloadavg()[0],
    }


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("former", type=Path, nargs="?", help="root of the checkout to compare with")
    former = parser.parse_args().former
    with tempfile.TemporaryDirectory() as folder:
        json.dump(compare(former.resolve() if former else last_commit(folder)), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
