"""Idea: 19
Section: Learning
Title: Copernican learner
Question: Can a learning curve's past alone forecast its future (Gott's rule)?
Try: Move the stop along a curve. The bands forecast its end; dashed: the actual curve.
Answer: No: Gott's intervals score worse than quantiles of other curves and than an
  interval that carries no information.
Terms: *Gott's rule*: the change that a curve has still to make lies between 1/39 and 39
  times the change it has made so far, with 95 % confidence. *Any step*: also after the
  curve has flattened, where Gott still expects a large change. *Other curves'
  quantiles*: what that ratio was on other data sets. The *uninformative interval*:
  always 1/100 to 100 times. *Interval score*: width plus a penalty where the future
  lies outside, in log ratios; lower is better. A *source* is a data set with one kind
  of curve.
But: While a curve still improves, Gott's rule scores better than fits of an exponential
  (by 8.9) or a power law (11.5) with their own intervals. Yet without t-SNE's curves
  the lead over the exponential is only 2.0, and even the uninformative interval beats
  both fits.
Subject: Gott's rule
Holds when: no case found. Closest: on photographs, while curves still improve, 92 % of
  steps fall inside (95 % is not ruled out), but the score only equals the uninformative
  one.
Fails when: any step counts: the 95 % intervals contain the future in 63 % of steps (65
  % on photographs). Other curves' quantiles lead most on training loss (by 22.8), least
  on feature importances (6.5; on photographs boosting loss, 0.9).
Verdict: behind other curves' quantiles
Effect: Interval score (lower is better): Gott's rule − other curves' quantiles
Data: curves of bundled data
Data on photographs: curves of photographs
Unit: sources
Unit on photographs: sources

If the moment of observation is uniform over a life, so is the share of it that is past.
Gott's rule: with confidence c, the future lies between past · (1 − c)/(1 + c) and past
· (1 + c)/(1 − c). At 50 % that is a third to three times the past, at 95 % 1/39 to 39
times. Here *importance* replaces time: the gain of boosting rounds, the variance of
components, the importance of features, the fall of a loss.

**True by construction.** If the stop is uniform in the predicted quantity, the interval
covers whatever the curve; such cases are marked and are no evidence. The question is
any step, and steps that still improve.

**What to watch.** Learning curves are steep first and flat later. At a random step most
of the gain is past, so the interval forecasts too much.

**Sources.** A source is a data set with one kind of curve: boosting loss, training
loss, PCA variance, feature importances or t-SNE loss. Bundled are curves of 28 sources,
on features of CIFAR-10's photographs, digits, wine, breast cancer, diabetes and iris
(whose four columns make no spectrum). On photographs there are curves of 25 sources:
features and pixels of CIFAR-10's animals and vehicles, pixels of Fashion-MNIST. A seed
is a source, its number a mean over stops, then 12 curves; intervals resample sources.

**Baselines.** *Other curves' quantiles* are quantiles of future/past on the same kind
of curve of all other data sets, never of its own. The *uninformative interval* carries
no information; a useful rule must beat both. Fits know the budget, not the curve's end.

**Three learners.** *Boosting in groups* fits the group of columns with the largest
predicted gain next. *Feature selection* keeps columns with the most predicted
importance, though they became available at different times. *A PCA cut* goes on where
few steps passed since the last improvement, relative to its age. At equal ages the
forecast is proportional to the past and cannot change a ranking; hence the control with
shuffled ages, at equal fits. They ran on four and five data sets: too few for an
interval, so no claim is made. With a PCA cut Gott's rule has 1.3 and 1.4 points more
regret than with shuffled ages, on all nine data sets.

Source: Gott, Nature 363:315, 1993, https://doi.org/10.1038/363315a0; Caves, 2000,
https://arxiv.org/abs/astro-ph/0001414; Gneiting and Raftery, Strictly Proper Scoring
Rules, JASA 102, 2007, https://doi.org/10.1198/016214506000001437
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mlcv_explore.config import Config, setting
from mlcv_explore.idea import Cell, Film, Idea, Picture, Study
from mlcv_explore.ideas.copernican import arms, claims, clusters
from mlcv_explore.ideas.copernican.clusters import GROUPS, LEARNED, curves, other_data_sets, source_of
from mlcv_explore.ideas.copernican.forecasts import LEVELS, MEASURES, METHODS, STOPS, evaluate
from mlcv_explore.ideas.copernican.learners import LEARNERS, RULES, regrets
from mlcv_explore.ideas.copernican.lifetimes import SIMULATED, coverage
from mlcv_explore.models.learning_curves import KINDS, LONGEST
from mlcv_explore.seeds import numpy_stream
from mlcv_explore.statistics import Clusters

PARTS = ("intervals", "learners", "all")
SHOWN = 3  # curves of each source that a frame keeps
HALF = 0.5  # a second confidence, reported beside the one that is set


class CopernicanConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    renamed: ClassVar[Mapping[str, str]] = {"lives": "lifetimes"}
    confidence: float = setting(
        0.95, "Confidence c", low=0.05, high=0.99, step=0.01, help="Nominal coverage of the intervals."
    )
    part: str = setting(
        "intervals",
        "Parts",
        choices=PARTS,
        help="intervals: curves. learners: the three learners. all: both.",
    )
    tables: str = setting(
        "bundled", "Data sets", choices=tuple(GROUPS), help="A seed is a source: a data set, a kind of curve."
    )
    curves: int = setting(6, "Curves of each source", low=2, high=30, step=1)
    problems: int = setting(3, "Problems for each learner", low=1, high=40, step=1, more=True)
    rounds: int = setting(100, "Budget, rounds or epochs", low=20, high=LONGEST, step=10, more=True)
    lifetimes: int = setting(20_000, "Lifetimes of each kind", low=100, high=200_000, step=1000, more=True)


@dataclass(frozen=True)
class Frame:
    """One part of the run: simulated lifetimes, curves on a data set, all forecasts, or a
    learner; S seeds, float32, shares in [0, 1]. Arrays of other parts are 0.
    """

    step: int  # parts done
    steps: int
    part: str  # "lives", a data set whose curves are drawn, "curves", or one of LEARNERS
    simulated: np.ndarray  # (S, len(SIMULATED), len(LEVELS) + 1) coverage at LEVELS and at the confidence
    kind: np.ndarray  # (S,) int32, place in KINDS of the seed's source
    calibration: np.ndarray  # (S, len(STOPS), len(LEVELS)) coverage of Gott's interval
    measured: np.ndarray  # (S, len(STOPS), len(METHODS), len(MEASURES))
    regret: np.ndarray  # (S, len(RULES))
    fits: np.ndarray  # (S, len(RULES)) a problem
    shown: np.ndarray  # (S, SHOWN, LONGEST + 1) float16, curves: importance, share of its end
    lengths: np.ndarray  # (S, SHOWN) int32, their steps


def run(config: CopernicanConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """One frame a part with all seeds; every part of a seed has its own stream. Raises
    FloatingPointError with a sentence when too few curves of a kind are usable, and
    DataError where photographs are not here.
    """
    from sklearn import config_context

    drawn = (*GROUPS[config.tables], "curves") if config.part != "learners" else ()
    parts = ("lives", *drawn, *(LEARNERS if config.part != "intervals" else ()))
    for step, part in enumerate(parts, start=1):
        with config_context(assume_finite=True, skip_parameter_validation=True):  # a third of the time
            results = [compute(config, part, seed) for seed in seeds]
        arrays = {name: np.stack([values[name] for values in results]) for name in results[0]}
        yield Frame(step, len(parts), part, **arrays)


def compute(config: CopernicanConfig, part: str, seed: int) -> dict[str, np.ndarray]:
    """A frame's arrays of one part and seed, without the seed axis; other parts' are 0."""
    sizes: dict[str, tuple[int, ...]] = {
        "simulated": (len(SIMULATED), len(LEVELS) + 1),
        "calibration": (len(STOPS), len(LEVELS)),
        "measured": (len(STOPS), len(METHODS), len(MEASURES)),
        "regret": (len(RULES),),
        "fits": (len(RULES),),
    }
    arrays = {name: np.zeros(size, np.float32) for name, size in sizes.items()}
    kind, own, draw = source_of(config.tables, seed)
    others, size = other_data_sets(config.tables, kind, own), (draw, config.curves, config.rounds)
    arrays["kind"] = np.int32(KINDS.index(kind))
    arrays["shown"] = np.zeros((SHOWN, LONGEST + 1), np.float16)
    arrays["lengths"] = np.zeros(SHOWN, np.int32)
    if part == "lives":
        levels = np.append(LEVELS, config.confidence)
        arrays["simulated"][:] = [
            coverage(
                law, way, levels, config.lifetimes, numpy_stream(seed, f"{law} lives inspected by {way}")
            )
            for law, way in SIMULATED
        ]
    elif part in (own, *others):
        curves(kind, part, *size)  # drawn once, for every seed of this kind
    elif part == "curves":
        known = curves(kind, own, *size)
        pool = [curve for name in others for curve in curves(kind, name, *size)]
        arrays["measured"][:], arrays["calibration"][:] = evaluate(known, pool, config.confidence)
        for place, curve in enumerate(known[:SHOWN]):
            steps = len(curve.past)
            arrays["shown"][place, : steps + 1] = curve.progress / curve.progress[-1]
            arrays["lengths"][place] = steps
    elif part in LEARNERS:
        name = LEARNED[config.tables][seed % len(LEARNED[config.tables])]
        rng = numpy_stream(seed, f"problems of {part}")
        arrays["regret"][:], arrays["fits"][:] = regrets(part, name, config.problems, rng)
    return arrays


def metrics(config: CopernicanConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed, of the parts in the film: coverage, width and score of every method at
    every kind of stop on the seed's source, regrets and fits on its data set.
    """
    frames = {frame.part: frame for frame in film}
    simulated, half = frames["lives"].simulated, int(np.searchsorted(LEVELS, HALF))
    columns = {f"lives_{law}_{way}_coverage": simulated[:, i, -1] for i, (law, way) in enumerate(SIMULATED)}
    columns["nominal_coverage"] = np.full(len(simulated), config.confidence)
    columns["nominal_half_coverage"] = np.full(len(simulated), HALF)
    for row, stops in enumerate(STOPS if "curves" in frames else ()):
        columns[f"{stops}_half_coverage"] = frames["curves"].calibration[:, row, half]
        for column, method in enumerate(METHODS):
            for place, measure in enumerate(MEASURES if method == "copernican" else MEASURES[:-1]):
                columns[f"{stops}_{method}_{measure}"] = frames["curves"].measured[:, row, column, place]
    for learner in (learner for learner in LEARNERS if learner in frames):
        for place, rule in enumerate(RULES):
            for measure in ("regret", "fits"):
                columns[f"{learner}_{rule}_{measure}"] = getattr(frames[learner], measure)[:, place]
    return {name: np.asarray(values, dtype=float) for name, values in columns.items()}


def picture(film: Film) -> Picture:
    """Coverage over confidence: curves at any step, else lifetimes that slow down."""
    drawn = [frame.calibration[:, STOPS.index("time")] for frame in film if frame.part == "curves"]
    slowing = film[0].simulated[:, SIMULATED.index(("exponential", "decelerating")), :-1]
    covered = drawn[0] if drawn else slowing
    lines = {"idea": covered, "baseline": np.tile(LEVELS, (len(covered), 1))}
    labels = {"idea": "real curves" if drawn else "slowing lifetimes", "baseline": "nominal"}
    return Picture(LEVELS, lines, labels, "confidence", "coverage")


def split_sizes(config: CopernicanConfig) -> Clusters:
    """A seed is a source of curves; where there are learners, one of their data sets, of
    whose number that of the sources is a multiple.
    """
    return Clusters(len((clusters.sources if config.part == "intervals" else LEARNED.get)(config.tables)))


def _study(name: str, tables: str) -> Study:
    """One draw: every source once; every claim, all methods, lifetimes, and the learners."""
    base = CopernicanConfig(tables=tables, curves=12, problems=2)
    learners, count = base.replace(part="learners"), split_sizes(base).count
    cells = [
        *((claim.name, base, claim.arms) for claim in claims.CLAIMS),
        ("curves", base, [arm.name for arm in arms.FORECAST_ARMS]),
        ("lives", base, [arm.name for arm in arms.LIFETIME_ARMS]),
        ("learners", learners, [arm.name for arm in arms.LEARNER_ARMS]),
    ]
    every = tuple(Cell(figure, config, {arm: arm for arm in named}) for figure, config, named in cells)
    return Study(name, every, tuple(range(claims.FIRST_SEED, claims.FIRST_SEED + count)))


def estimand(config: CopernicanConfig) -> str:
    """What a claim's differences are taken over."""
    count = split_sizes(config).count
    if config.part != "intervals":
        return f"over {count} data sets, each with problems drawn anew"
    return (
        f"over {count} sources of curves, each one of {len(GROUPS[config.tables])} data sets with one of"
        f" {len(KINDS)} kinds of curve; sub-samples and hyper-parameters are drawn anew"
    )


idea = Idea(
    config=CopernicanConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=claims.CLAIMS,
    quick=CopernicanConfig(part="all", curves=2, problems=1, rounds=20, lifetimes=500),
    picture=picture,
    arms=(*arms.NOMINAL_ARMS, *arms.FORECAST_ARMS, *arms.LEARNER_ARMS, *arms.LIFETIME_ARMS),
    measures=arms.MEASURE_TABLE,
    provenance=claims.PROVENANCE,
    limits=claims.LIMITS,
    studies=(_study("live", "bundled"), _study("photographs", "photographs")),
    prior_work=claims.PRIOR_WORK,
    split_sizes=split_sizes,
    estimand=estimand,
)
