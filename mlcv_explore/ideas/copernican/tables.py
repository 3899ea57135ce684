"""What Answer shows beyond the claims, from the rows of a study: columns of intervals."""

import math
from typing import Any

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.copernican.arms import (
    INSPECTION_LABELS,
    KIND_LABELS,
    LAW_LABELS,
    LEARNER_LABELS,
    METHOD_ARMS,
    RULE_ARMS,
    STOP_LABELS,
)
from mlcv_explore.ideas.copernican.curves import KINDS
from mlcv_explore.ideas.copernican.forecasts import METHODS, STOPS, applies, uniform_stop
from mlcv_explore.ideas.copernican.intervals import MAX_RATIO
from mlcv_explore.ideas.copernican.lifetimes import SIMULATED

Columns = dict[str, list[Any]]  # head, with its unit → cells: text or Interval
UNINFORMATIVE = 2 * math.log(MAX_RATIO)  # score of an interval from 1/100 to 100 times the past
BASELINES = tuple(method for method in METHODS if method not in ("copernican", "oracle"))
LABELS = {arm.name: arm.label for arm in METHOD_ARMS}


def details(table: Table) -> dict[str, tuple[Columns, str]]:
    """Key → a table and its note."""
    half = table.interval("curves", "curves_time_half", "coverage").text("%")
    censored = table.interval("curves", "epochs", "censored").text("%")
    score_note = "Interval scores {}, lower is better; Bonferroni over all comparisons."
    return {
        "coverage": (
            coverage(table),
            f"Coverage of the 95 % interval. At any step the 50 % interval covers {half};"
            f" {overestimated(table):.0%} of the misses overestimate the future. Left out for want of a"
            f" usable best epoch: {censored} of the runs.",
        ),
        "any-step": (scores(table, "time"), score_note.format(STOP_LABELS["time"])),
        "improving": (scores(table, "improving"), score_note.format(STOP_LABELS["improving"])),
        "regrets": (
            regrets(table),
            "Regret against the best choice at equal fits: explained variance, for the cut accuracy.",
        ),
        "lifetimes": (
            lifetimes(table),
            "Coverage of simulated lifetimes; uniform in time and in importance are true by construction.",
        ),
    }


def reason(table: Table) -> str:
    """What remains as a reason to use the rule, in two sentences."""
    improving, count = table.interval("curves", "curves_improving_copernican", "score"), tally(table)
    return (
        f"At improving steps it beats fits with intervals of their own, with a score of {improving.text()};"
        f" an interval from 1/100 to 100 times the past scores {UNINFORMATIVE:.1f}. Of {count['all']}"
        f" comparisons with baselines, it wins {count['won']} ({count['won_doubling']} against always"
        f" doubling) and loses {count['lost']}."
    )


def coverage(table: Table) -> Columns:
    """Coverage of Gott's interval, kinds by stops, and where it is true by construction."""
    columns: Columns = {"Curves": list(KIND_LABELS.values())}
    for stops, label in STOP_LABELS.items():
        arms = [f"{kind}_{stops}_copernican" for kind in KIND_LABELS]
        columns[f"{label.capitalize()} (%)"] = [table.interval("curves", arm, "coverage") for arm in arms]
    return columns | {"True by construction": [STOP_LABELS[uniform_stop(kind)] for kind in KIND_LABELS]}


def overestimated(table: Table) -> float:
    """Of the misses at any step, the share in which the future was below the interval."""
    arm = "curves_time_copernican"
    missed = 1 - table.values("curves", arm, "coverage").mean()
    return float(table.values("curves", arm, "over").mean() / missed)


def lifetimes(table: Table) -> Columns:
    """Coverage of simulated lifetimes, laws by inspections."""
    columns: Columns = {"Law": list(LAW_LABELS.values())}
    for way, label in INSPECTION_LABELS.items():
        columns[f"{label.capitalize()} (%)"] = [
            table.interval("lives", f"lives_{law}_{way}", "coverage") if (law, way) in SIMULATED else "–"
            for law in LAW_LABELS
        ]
    return columns


def comparisons(table: Table) -> dict[tuple[str, str], dict[str, int]]:
    """(kind, stops) → baseline → −1 where the score of Gott's interval is significantly
    lower, 1 where higher, else 0; Bonferroni over all comparisons.
    """
    cells = [(kind, stops, other) for kind in KINDS for stops in STOPS for other in BASELINES]
    cells = [cell for cell in cells if applies(cell[0], cell[2])]
    signs: dict[tuple[str, str], dict[str, int]] = {}
    for kind, stops, other in cells:
        arms = [f"{kind}_{stops}_{method}" for method in ("copernican", other)]
        apart = table.difference("curves", *arms, "score", level=1 - 0.05 / len(cells))
        signs.setdefault((kind, stops), {})[other] = int(apart.low > 0) - int(apart.high < 0)
    return signs


def scores(table: Table, stops: str) -> Columns:
    """Interval score of every method at one kind of stop, and significant differences."""
    columns: Columns = {"Curves": [KIND_LABELS[kind] for kind in KINDS]}
    for method in METHODS:
        columns[LABELS[method]] = [
            table.interval("curves", f"{kind}_{stops}_{method}", "score") if applies(kind, method) else "–"
            for kind in KINDS
        ]
    signs = comparisons(table)
    for head, sign in (("Gott's rule is better than", -1), ("worse than", 1)):
        found = [
            [LABELS[other] for other, is_ in signs[kind, stops].items() if is_ == sign] for kind in KINDS
        ]
        columns[head] = [", ".join(names) or "–" for names in found]
    return columns


def tally(table: Table) -> dict[str, int]:
    """How many comparisons, outside what is true by construction, Gott's rule wins, wins
    against always doubling, and loses.
    """
    signs = comparisons(table)
    counted = [cell for (kind, stops), cell in signs.items() if stops != uniform_stop(kind)]
    every = [sign for cell in counted for sign in cell.values()]
    doubled = sum(cell["double"] == -1 for cell in counted)
    return {"all": len(every), "won": every.count(-1), "won_doubling": doubled, "lost": every.count(1)}


def regrets(table: Table) -> Columns:
    """Regret of every rule of every learner, and its fits a problem."""
    columns: Columns = {"Learner": list(LEARNER_LABELS.values())}
    for rule in RULE_ARMS:
        arms = [f"{learner}_{rule.name}" for learner in LEARNER_LABELS]
        columns[f"{rule.label} (points)"] = [table.interval("learners", arm, "regret") for arm in arms]
    fits = [table.values("learners", f"{learner}_copernican", "fits").mean() for learner in LEARNER_LABELS]
    return columns | {"Fits a problem": [f"{count:.4g}" for count in fits]}
