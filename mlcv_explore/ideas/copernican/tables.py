"""What Answer shows beyond the claims, from the rows of a study: columns of intervals."""

import math
from typing import Any

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.copernican import arms
from mlcv_explore.ideas.copernican.forecasts import METHODS, STOPS, applies, uniform_stop
from mlcv_explore.ideas.copernican.intervals import MAX_RATIO
from mlcv_explore.models.learning_curves import KINDS

UNINFORMATIVE = 2 * math.log(MAX_RATIO)  # score of an interval from 1/100 to 100 times the past
LABELS = {arm.name: arm.label for arm in arms.METHOD_ARMS if arm.name in METHODS}
RULES = {arm.name: arm.label for arm in arms.RULE_ARMS}
EACH = {kind: arms.KIND_LABELS[kind] for kind in KINDS}
TABLES = {  # key → claim, measure, arm of row and column, head of the rows, labels of rows and columns
    "coverage": ("curves", "coverage", "{}_{}_copernican", "Curves", arms.KIND_LABELS, arms.STOP_LABELS),
    "time": ("curves", "score", "{}_time_{}", "Curves", EACH, LABELS),
    "improving": ("curves", "score", "{}_improving_{}", "Curves", EACH, LABELS),
    "regrets": ("learners", "regret", "{}_{}", "Learner", arms.LEARNER_LABELS, RULES),
    "lifetimes": ("lives", "coverage", "lives_{}_{}", "Law", arms.LAW_LABELS, arms.INSPECTION_LABELS),
}
NOTES = {
    "coverage": "Coverage of the 95 % interval. At any step the 50 % interval covers {half}; {over:.0%} of"
    " the misses overestimate the future. Left out for want of a usable best epoch: {censored} of the runs.",
    "time": "Interval scores at any step, lower is better; Bonferroni over all comparisons.",
    "improving": "Interval scores while improving, lower is better; Bonferroni over all comparisons.",
    "regrets": "Regret against the best choice at equal fits: explained variance, for the cut accuracy.",
    "lifetimes": "Coverage of simulated lifetimes; uniform in time or in importance: true by construction.",
}


def details(table: Table) -> dict[str, tuple[dict[str, list[Any]], str]]:
    """Key → a table, {head, with its unit: cells}, and its note."""
    shown = {}
    for key, (claim, measure, arm, head, rows, columns) in TABLES.items():
        unit = {"coverage": " (%)", "regret": " (points)"}.get(measure, "")
        shown[key] = {head: list(rows.values())}
        for column, label in columns.items():
            queries = [{"arm": arm.format(row, column)} for row in rows]
            title = f"{label[0].upper()}{label[1:]}{unit}"
            shown[key] |= table.cross(queries, {title: {"claim": claim, "measure": measure}})
    kinds, learners, signs = arms.KIND_LABELS, arms.LEARNER_LABELS, comparisons(table)
    shown["coverage"]["True by construction"] = [arms.STOP_LABELS[uniform_stop(kind)] for kind in kinds]
    fits = [table.values("learners", f"{learner}_copernican", "fits").mean() for learner in learners]
    shown["regrets"]["Fits a problem"] = [f"{count:.4g}" for count in fits]
    for stops in ("time", "improving"):
        for head, sign in (("Gott's rule is better than", -1), ("worse than", 1)):
            others = [
                [LABELS[other] for other, is_ in signs[kind, stops].items() if is_ == sign] for kind in KINDS
            ]
            shown[stops][head] = [", ".join(names) or "–" for names in others]
    arm = "curves_time_copernican"
    missed = 1 - table.values("curves", arm, "coverage").mean()
    about = {
        "half": table.interval("curves", "curves_time_half", "coverage").text("%"),
        "over": table.values("curves", arm, "over").mean() / missed,
        "censored": table.interval("curves", "epochs", "censored").text("%"),
    }
    return {key: (columns, NOTES[key].format(**about)) for key, columns in shown.items()}


def reason(table: Table) -> str:
    """What remains as a reason to use the rule, in two sentences."""
    improving, count = table.interval("curves", "curves_improving_copernican", "score"), tally(table)
    return (
        f"At improving steps it beats fits with intervals of their own, with a score of {improving.text()};"
        f" an interval from 1/100 to 100 times the past scores {UNINFORMATIVE:.1f}. Of {count['all']}"
        f" comparisons with baselines, it wins {count['won']} ({count['won_doubling']} against always"
        f" doubling) and loses {count['lost']}."
    )


def comparisons(table: Table) -> dict[tuple[str, str], dict[str, int]]:
    """(kind, stops) → baseline → −1 where the score of Gott's interval is significantly
    lower, 1 where higher, else 0; Bonferroni over all comparisons.
    """
    others = [method for method in METHODS if method not in ("copernican", "oracle")]
    cells = [
        (kind, stops, other) for kind in KINDS for stops in STOPS for other in others if applies(kind, other)
    ]
    signs: dict[tuple[str, str], dict[str, int]] = {}
    for kind, stops, other in cells:
        arms = [f"{kind}_{stops}_{method}" for method in ("copernican", other)]
        apart = table.difference("curves", *arms, "score", level=1 - 0.05 / len(cells))
        signs.setdefault((kind, stops), {})[other] = int(apart.low > 0) - int(apart.high < 0)
    return signs


def tally(table: Table) -> dict[str, int]:
    """How many comparisons, outside what is true by construction, Gott's rule wins, wins
    against always doubling, and loses.
    """
    cells = [cell for (kind, stops), cell in comparisons(table).items() if stops != uniform_stop(kind)]
    every = [sign for cell in cells for sign in cell.values()]
    doubled = sum(cell["double"] == -1 for cell in cells)
    return {"all": len(every), "won": every.count(-1), "won_doubling": doubled, "lost": every.count(1)}
