"""Idea: 19
Section: Learning
Title: Copernican learner
Question: Can a learning curve's past alone forecast its future (Gott's rule)?
Try: Move the stop along a curve. The bands forecast its end; the dashed line is the
  actual curve.
Answer: Gott's 95 % interval covers only 62 % of steps on real learning curves; intervals
  from other curves forecast better.
Terms: *Gott's rule*: seen at a random moment, what is still to come lies between 1/39
  and 39 times what is past, with 95 % confidence. A step is *covered* when this
  interval contains the actual future; *nominal* are the 95 % it states. *Interval
  score*: width plus a penalty for futures outside, both in log (future/past); lower is
  better. *Points*: percentage points of coverage, or of a learner's test score.
But: Even where a curve still improves, the rule's interval score is 4.8 higher, thus
  worse, than that of other curves' quantiles. There it beats an exponential fit, by
  6.2.
Subject: Gott's rule
Holds when: the curve still improves: the interval score is 6.2 lower [4.5, 8.0], thus
  better, than an exponential fit's, though coverage stays 10.5 points short of 95 % [7.8,
  13.3]; n = 20.
Fails when: every step counts: coverage is 33.4 points short of 95 % [29.1, 37.6], on
  training loss 67.5 [55.1, 80.0]; learners that choose by the rule end 1.8 to 3.7 points
  below choosing by validation; n = 20.
Effect: Coverage: Gott's interval − the 95 % it states
Data: learning curves of 5 data sets

If the moment of observation is uniform over a life, so is the share of it that is past.
Gott's rule: with confidence c, the future lies between past · (1 − c)/(1 + c) and past ·
(1 + c)/(1 − c). At 50 % that is a third to three times the past, at 95 % 1/39 to 39
times. Here *importance* replaces time: the gain of boosting rounds, the variance of
components, the importance of features, the fall of a loss.

**True by construction.** If the stop is uniform in the predicted quantity, the interval
covers whatever the curve; such cases are marked and are no evidence. The question is
any step, a fixed step, and steps that still improve.

**What to watch.** Learning curves are steep first and flat later. At a random step most
of the gain is past, so the interval forecasts too much.

**Three learners.** *Boosting in groups* fits the group of columns with the largest
predicted gain next. *Feature selection* keeps columns with the most predicted importance,
though they became available at different times. *A PCA cut* goes on where few steps passed
since the last improvement, relative to its age. At equal ages the forecast is proportional
to the past and cannot change a ranking; hence the control with shuffled ages.

**Controls.** A seed's number is a mean over stops, then over curves. Seeds share the data
sets, so intervals have the Nadeau–Bengio correction. Runs whose best epoch ends the budget
are counted and left out. Baselines know the budget, not the curve's end; they use other
curves only where their name says so. All rules of a learner have equal numbers of fits.
Curves are of small models: at most 100 rounds or epochs, 64 components or columns.

Source: Gott, Nature 363:315, 1993, https://doi.org/10.1038/363315a0; Caves, 2000,
https://arxiv.org/abs/astro-ph/0001414; Gneiting and Raftery, Strictly Proper Scoring
Rules, JASA 102, 2007, https://doi.org/10.1198/016214506000001437
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mlcv_explore.config import Config, setting
from mlcv_explore.idea import Cell, Film, Idea, Picture, Prior, Provenance, Study
from mlcv_explore.ideas.copernican import arms
from mlcv_explore.ideas.copernican.forecasts import (
    FIVE_KINDS,
    LEVELS,
    MEASURES,
    METHODS,
    STOPS,
    applies,
    evaluate,
)
from mlcv_explore.ideas.copernican.learners import LEARNERS, RULES, regrets
from mlcv_explore.ideas.copernican.lifetimes import SIMULATED, coverage
from mlcv_explore.models.learning_curves import KINDS, LONGEST, draw_curves
from mlcv_explore.seeds import numpy_stream
from mlcv_explore.statistics import Split
from mlcv_explore.statistics.declared import declared

PARTS = ("all", "intervals", "learners")
SHOWN = 3  # curves of each kind that a frame keeps, of the first seed
HALF = 0.5  # a second confidence, reported beside the one that is set


class CopernicanConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    renamed: ClassVar[Mapping[str, str]] = {"lives": "lifetimes"}
    confidence: float = setting(
        0.95, "Confidence c", low=0.05, high=0.99, step=0.01, help="Nominal coverage of the intervals."
    )
    part: str = setting(
        "all", "Parts", choices=PARTS, help="intervals: curves. learners: the three learners. all: both."
    )
    curves: int = setting(6, "Curves of each kind", low=2, high=30, step=1, help="Of six kinds.")
    problems: int = setting(3, "Problems for each learner", low=1, high=40, step=1, more=True)
    rounds: int = setting(100, "Budget, rounds or epochs", low=20, high=LONGEST, step=10, more=True)
    lifetimes: int = setting(20_000, "Lifetimes of each kind", low=100, high=200_000, step=1000, more=True)


@dataclass(frozen=True)
class Frame:
    """One part of the run: simulated lifetimes, a kind of curve, or a learner; S seeds,
    float32, shares in [0, 1]. Arrays of other parts are 0.
    """

    step: int  # parts done
    steps: int
    part: str  # "lives", one of KINDS, or one of LEARNERS
    simulated: np.ndarray  # (S, len(SIMULATED), len(LEVELS) + 1) coverage at LEVELS and at the confidence
    calibration: np.ndarray  # (S, len(STOPS), len(LEVELS)) coverage of Gott's interval
    measured: np.ndarray  # (S, len(STOPS), len(METHODS), len(MEASURES))
    unused: np.ndarray  # (S,) share of the draws that gave no usable curve
    regret: np.ndarray  # (S, len(RULES))
    fits: np.ndarray  # (S, len(RULES)) a problem
    shown: np.ndarray  # (S, SHOWN, LONGEST + 1) the first seed's curves: importance, share of its end
    lengths: np.ndarray  # (S, SHOWN, 2) int32, their steps and horizons


def run(config: CopernicanConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """One frame a part with all seeds; every part of a seed has its own stream. Raises
    FloatingPointError with a sentence when too few curves of a kind are usable.
    """
    from sklearn import config_context

    kinds = KINDS if config.part != "learners" else ()
    parts = ("lives", *kinds, *(LEARNERS if config.part != "intervals" else ()))
    for step, part in enumerate(parts, start=1):
        with config_context(assume_finite=True, skip_parameter_validation=True):  # a third of the time
            results = [compute(config, part, seed, place == 0) for place, seed in enumerate(seeds)]
        arrays = {name: np.stack([values[name] for values in results]) for name in results[0]}
        yield Frame(step, len(parts), part, **arrays)


def compute(config: CopernicanConfig, part: str, seed: int, keep_curves: bool) -> dict[str, np.ndarray]:
    """A frame's arrays of one part and seed, without the seed axis; other parts' are 0."""
    sizes: dict[str, tuple[int, ...]] = {
        "simulated": (len(SIMULATED), len(LEVELS) + 1),
        "calibration": (len(STOPS), len(LEVELS)),
        "measured": (len(STOPS), len(METHODS), len(MEASURES)),
        "unused": (),
        "regret": (len(RULES),),
        "fits": (len(RULES),),
        "shown": (SHOWN, LONGEST + 1),
    }
    arrays = {name: np.zeros(size, np.float32) for name, size in sizes.items()}
    arrays["lengths"] = np.zeros((SHOWN, 2), np.int32)
    if part == "lives":
        levels = np.append(LEVELS, config.confidence)
        arrays["simulated"][:] = [
            coverage(
                law, way, levels, config.lifetimes, numpy_stream(seed, f"{law} lives inspected by {way}")
            )
            for law, way in SIMULATED
        ]
    elif part in KINDS:
        rng = numpy_stream(seed, f"curves of {part}")
        drawn, unused = draw_curves(part, config.curves, config.rounds, rng)
        arrays["measured"][:], arrays["calibration"][:] = evaluate(drawn, config.confidence, part != "epochs")
        arrays["unused"] = np.float32(unused / (unused + len(drawn)))
        for place, curve in enumerate(drawn[: SHOWN if keep_curves else 0]):
            steps = len(curve.past)
            arrays["shown"][place, : steps + 1] = curve.progress / curve.progress[-1]
            arrays["lengths"][place] = steps, curve.horizon
    else:
        rng = numpy_stream(seed, f"problems of {part}")
        arrays["regret"][:], arrays["fits"][:] = regrets(part, config.problems, rng)
    return arrays


def metrics(config: CopernicanConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed, of the parts in the film: coverage of Gott's interval and scores of every
    method at every kind of stop, coverage and width of all at any step, regrets and fits.
    """
    frames = {frame.part: frame for frame in film}
    simulated, half = frames["lives"].simulated, int(np.searchsorted(LEVELS, HALF))
    columns = {f"lives_{law}_{way}_coverage": simulated[:, i, -1] for i, (law, way) in enumerate(SIMULATED)}
    columns["nominal_coverage"] = np.full(len(simulated), config.confidence)
    columns["nominal_half_coverage"] = np.full(len(simulated), HALF)
    measured = {kind: frames[kind].measured for kind in KINDS if kind in frames}
    halves = {kind: frames[kind].calibration[:, :, half] for kind in measured}
    if set(FIVE_KINDS) <= set(measured):
        for arrays in (measured, halves):
            arrays["curves"] = np.mean([arrays[kind] for kind in FIVE_KINDS], axis=0)
    for kind, values in measured.items():
        for row, stops in enumerate(STOPS):
            columns[f"{kind}_{stops}_half_coverage"] = halves[kind][:, row]
            for column, method in enumerate(METHODS):
                reported = ("coverage", "width", "score") if stops == "time" else ("score",)
                if method == "copernican":
                    reported = ("coverage", "score", "over")
                for measure in reported if applies(kind, method) else ():
                    cell = values[:, row, column, MEASURES.index(measure)]
                    columns[f"{kind}_{stops}_{method}_{measure}"] = cell
    if "epochs" in frames:
        columns["epochs_censored"] = frames["epochs"].unused
    for learner in (learner for learner in LEARNERS if learner in frames):
        for place, rule in enumerate(RULES):
            for measure in ("regret", "fits"):
                columns[f"{learner}_{rule}_{measure}"] = getattr(frames[learner], measure)[:, place]
    return {name: np.asarray(values, dtype=float) for name, values in columns.items()}


def picture(film: Film) -> Picture:
    """Coverage over confidence: real curves at any step, or without them simulated
    lifetimes whose importance slows down.
    """
    kinds = [frame.calibration[:, STOPS.index("time")] for frame in film if frame.part in FIVE_KINDS]
    slowing = film[0].simulated[:, SIMULATED.index(("exponential", "decelerating")), :-1]
    covered = np.mean(kinds, axis=0) if kinds else slowing
    lines = {"idea": covered, "baseline": np.tile(LEVELS, (len(covered), 1))}
    labels = {"idea": "real curves" if kinds else "slowing lifetimes", "baseline": "nominal"}
    return Picture(LEVELS, lines, labels, "confidence", "coverage")


EACH = ", ".join(f"{kind}_time_copernican" for kind in FIVE_KINDS)
INTERVAL_CLAIMS = f"""
covers: curves_time_copernican − nominal = 3 in coverage
The 95 % interval covers within 3 points of 95 %, at any step of five kinds of real curve.
covers_half: curves_time_half − nominal_half = 3 in coverage, any confidence
The 50 % interval covers within 3 points of 50 %, at any step of the same curves.
covers_each: {EACH} − nominal = 3 in coverage
The 95 % interval covers within 3 points for boosting, training loss, PCA variance, feature importances\
 and t-SNE loss.
covers_improving: curves_improving_copernican − nominal = 3 in coverage
The 95 % interval covers within 3 points of 95 % at steps that still improve, over all five kinds.
covers_best_epoch: epochs_improving_copernican − nominal = 3 in coverage
The 95 % interval for the best epoch covers within 3 points of 95 % at epochs that still improve.
beats_extrapolation: curves_time_copernican − curves_time_exponential, curves_time_power < 0 in score
Gott's interval has a lower interval score than exponential and power-law fits at any step.
beats_extrapolation_improving: curves_improving_copernican − curves_improving_exponential,\
 curves_improving_power < 0 in score
Gott's interval has a lower interval score than either fit at steps that still improve.
beats_other_curves: curves_time_copernican − curves_time_quantiles < 0 in score
Gott's interval has a lower interval score than quantiles of future/past on other curves, at any step.
fitted_beats_gott: curves_time_fitted − curves_time_copernican < 0 in score
An interval from past/k to k·past, k fitted on other curves, has a lower interval score than Gott's.
"""
LEARNER_CLAIMS = """
groups_validated: groups_copernican − groups_validated < 0 in regret
Boosting by predicted remaining gain has less regret than choosing by validation, at equal fits.
groups_shuffled: groups_copernican − groups_shuffled < 0 in regret
Boosting by predicted remaining gain has less regret than with shuffled ages.
adding_validated: adding_copernican − adding_validated < 0 in regret
Selecting features by predicted importance has less regret than cross-validation, at equal fits.
adding_shuffled: adding_copernican − adding_shuffled < 0 in regret
Selecting features by predicted importance has less regret than with shuffled ages.
cut_validated: cut_copernican − cut_validated < 0 in regret
A PCA cut by steps since improvement, relative to age, has less regret than cross-validation, at equal fits.
cut_shuffled: cut_copernican − cut_shuffled < 0 in regret
A PCA cut by steps since improvement, relative to age, has less regret than with shuffled ages.
"""
CLAIMS = (*declared(INTERVAL_CLAIMS, {"confidence": 0.95}, {"score": ""}), *declared(LEARNER_CLAIMS))


def _study(name: str, seeds: int, base: CopernicanConfig) -> Study:
    """Every claim, all kinds at all stops, all methods, all rules of the learners."""
    intervals, learners = base.replace(part="intervals", problems=1), base.replace(part="learners")
    cells = [
        *((claim.name, learners if claim.measure == "regret" else intervals, claim.arms) for claim in CLAIMS),
        ("curves", intervals, [arm.name for arm in arms.FORECAST_ARMS]),
        ("lives", intervals, [arm.name for arm in arms.LIFETIME_ARMS]),
        ("learners", learners, [arm.name for arm in arms.LEARNER_ARMS]),
    ]
    every = tuple(Cell(figure, config, {arm: arm for arm in named}) for figure, config, named in cells)
    return Study(name, every, tuple(range(seeds)))


PRIOR_WORK = (
    Prior(
        "Gott's interval (1993)",
        "https://doi.org/10.1038/363315a0",
        "95 % interval: 1/39 to 39 times the past; applied to the Berlin Wall and Broadway shows.",
        "Importance replaces time, on curves whose end is known: coverage is counted, baselines are scored.",
    ),
    Prior(
        "A critical assessment (Caves, 2000, 2008)",
        "https://arxiv.org/abs/astro-ph/0001414",
        "Right only where no time scale is known; bets on the ages of dogs would lose.",
        "The same failure in lifetimes inspected at a fixed age, and on curves of a known shape.",
    ),
    Prior(
        "LC-PFN (Adriaensen et al., 2023)",
        "https://arxiv.org/abs/2310.20447",
        "A transformer extrapolates 20,000 real learning curves, over 10,000 times faster than MCMC.",
        "Simpler baselines: exponential and power-law fits, and quantiles of a few other curves.",
    ),
    Prior(
        "Extrapolation of learning curves (Domhan et al., 2015)",
        "https://ml.informatik.uni-freiburg.de/wp-content/uploads/papers/15-IJCAI-Extrapolation_of_Learning_Curves.pdf",
        "An ensemble of eleven curve families stops bad runs and halves a hyperparameter search's time.",
        "A rule without any family, against cross-validation and shuffled ages at equal fits.",
    ),
)

OVER_DRAWS = (
    "over sub-samples and hyper-parameters drawn anew by each seed, of the same five data sets"
    " (Nadeau–Bengio corrected)"
)

idea = Idea(
    config=CopernicanConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=CLAIMS,
    quick=CopernicanConfig(curves=2, problems=1, rounds=20, lifetimes=500),
    picture=picture,
    arms=(*arms.NOMINAL_ARMS, *arms.FORECAST_ARMS, *arms.LEARNER_ARMS, *arms.LIFETIME_ARMS),
    measures=arms.MEASURE_TABLE,
    provenance=Provenance(
        "2026-11-25",
        False,
        3,
        (
            "Coverage on PCA curves of digits (71 % and 19 %) and a trial of boosting curves were known when"
            " the claims were committed.",
            "Three constants of the PCA cut were set on seeds 100 to 103, on the same data.",
            "After the first run, an error that made every regret of boosting in groups zero was corrected.",
            "After the first run, learners had 16 problems a seed instead of 4, and more selections and cuts;"
            " three claims against validation moved from undecided to contradicted.",
            "Coverage and scores are equal in all three runs; margins did not change; four sentences were"
            " reworded on 2026-11-26.",
        ),
    ),
    limits=(
        "Curves of small models on five bundled data sets, shared by all seeds.",
        "Interval scores clip futures below 1/100 of the past.",
        "The gain over fits at improving steps is over fits with intervals from their own residuals.",
    ),
    studies=(_study("live", 20, CopernicanConfig(curves=8, problems=16)),),
    prior_work=PRIOR_WORK,
    # every seed re-draws sub-samples of the same data sets: two parts train, one is held out
    split_sizes=lambda _: Split(2, 1),
    estimand=lambda _: OVER_DRAWS,
)
