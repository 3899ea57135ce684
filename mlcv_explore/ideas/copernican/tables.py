"""What Answer shows beyond the claims, from the rows of a study: columns of intervals."""

from typing import Any

import numpy as np

from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.copernican import arms
from mlcv_explore.ideas.copernican.clusters import sources
from mlcv_explore.ideas.copernican.forecasts import METHODS
from mlcv_explore.statistics import in_unit
from mlcv_explore.statistics.clusters import cluster_means

LABELS = {arm.name: arm.label for arm in arms.METHOD_ARMS if arm.name in METHODS}
COLUMNS = {  # head → stops, method, measure
    "Coverage (%)": ("time", "copernican", "coverage"),
    "Gott's rule": ("time", "copernican", "score"),
    "Other curves' quantiles": ("time", "quantiles", "score"),
    "Coverage, improving (%)": ("improving", "copernican", "coverage"),
    "Gott's rule, improving": ("improving", "copernican", "score"),
    "Quantiles, improving": ("improving", "quantiles", "score"),
}
NOTES = {
    "kinds": "By kind of curve: means over its sources; all {count} with intervals. Interval scores at any"
    " step and while improving, lower is better. {over:.0%} of Gott's misses overestimate the future.",
    "methods": "Interval scores and coverage over {count} sources, lower scores are better. All but Gott's"
    " rule, the uninformative interval and plain fits use other data sets' curves of the same kind.",
    "learners": "Regret of Gott's rule minus another's at equal fits, in points; above 0 Gott's rule is"
    " worse. Means over {sets} data sets, too few for an interval: described, without a verdict.",
    "lifetimes": "Coverage of simulated lifetimes; uniform in time or in importance: true by construction.",
}


def details(table: Table, group: str) -> dict[str, tuple[dict[str, list[Any]], str]]:
    """Key → a table on a group of data sets, {head, with its unit: cells}, and its note."""
    over, covered = (table.values("curves", "time_copernican", name) for name in ("over", "coverage"))
    share, sets = over.mean() / (1 - covered.mean()), table.split("learners").count
    about = {"count": len(sources(group)), "over": share, "sets": sets}
    shown = {"kinds": by_kind(table, group), "methods": by_method(table), "learners": by_learner(table)}
    if group == "bundled":
        shown["lifetimes"] = {"Law": list(arms.LAW_LABELS.values())}
        for way, label in arms.INSPECTION_LABELS.items():
            rows = [{"claim": "lives", "arm": f"lives_{law}_{way}"} for law in arms.LAW_LABELS]
            column = {f"{label[0].upper()}{label[1:]} (%)": {"measure": "coverage"}}
            shown["lifetimes"] |= table.cross(rows, column)
    return {key: (columns, NOTES[key].format(**about)) for key, columns in shown.items()}


def by_kind(table: Table, group: str) -> dict[str, list[Any]]:
    """Coverage and scores by kind of curve: means, of all sources with intervals."""
    kinds = np.array([kind for kind, _ in sources(group)])
    rows = {label: kinds == kind for kind, label in arms.KIND_LABELS.items()}
    columns: dict[str, list[Any]] = {
        "Kind of curve": [*rows, "All"],
        "Sources": [str(own.sum()) for own in rows.values()] + [str(len(kinds))],
    }
    for head, (stops, method, measure) in COLUMNS.items():
        query, unit = ("curves", f"{stops}_{method}", measure), "%" if head.endswith("(%)") else ""
        values = table.values(*query)
        means = [f"{in_unit(values[own].mean(), unit):.1f}" for own in rows.values()]
        columns[head] = [*means, table.interval(*query)]
    return columns


def by_method(table: Table) -> dict[str, list[Any]]:
    """Score and coverage of every method at any step, while improving, and against Gott's."""
    columns: dict[str, list[Any]] = {"Forecast": list(LABELS.values())}
    for stops, label in (("time", "any step"), ("improving", "improving")):
        rows = [{"claim": "curves", "arm": f"{stops}_{method}"} for method in LABELS]
        gott = [{**rows[0], "minus": row["arm"]} for row in rows[1:]]
        apart = table.cross(gott, {"": {"measure": "score"}})[""]
        columns |= table.cross(rows, {f"Score, {label}": {"measure": "score"}})
        columns[f"Gott's rule minus it, {label}"] = ["–", *apart]
        columns |= table.cross(rows, {f"Coverage, {label} (%)": {"measure": "coverage"}})
    return columns


def by_learner(table: Table) -> dict[str, list[Any]]:
    """Regret of Gott's rule minus another's: mean over data sets, and on how many lower."""
    columns: dict[str, list[Any]] = {"Learner": list(arms.LEARNER_LABELS.values())}
    for arm in arms.RULE_ARMS[1:]:  # the first is Gott's
        columns[f"Minus {arm.label[0].lower()}{arm.label[1:]}"] = [
            f"{in_unit(means.mean(), 'points'):+z.1f}, lower on {(means < 0).sum()}".replace("-", "−")
            for means in (regret_difference(table, learner, arm.name) for learner in arms.LEARNER_LABELS)
        ]
    return columns


def regret_difference(table: Table, learner: str, rule: str) -> np.ndarray:
    """Regret of Gott's rule minus that of another, as a fraction, mean on each data set (D,)."""
    own, other = (table.values("learners", f"{learner}_{name}", "regret") for name in ("copernican", rule))
    return cluster_means(own - other, table.split("learners").of(len(own)))
