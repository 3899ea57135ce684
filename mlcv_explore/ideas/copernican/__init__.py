"""Idea: 19
Section: Learning
Title: Copernican learner
Question: As much lies ahead as behind, says Gott's rule: does its interval hold when time is importance, and does it ever beat plain extrapolation?

If the moment at which you look at something is one like any other in its life, then as
much of it lies ahead as behind, give or take. J. Richard Gott made that an interval:
with confidence c the future lies between past · (1 − c)/(1 + c) and past · (1 + c)/(1 −
c). At 50 % that is a third to three times the past, at 95 % a thirty-ninth to
thirty-nine times. The author asks it of *importance* instead of time: what boosting
rounds have gained, the variance that components explain, the importance of features,
the fall of a loss.

**Where it must hold.** When the stop is uniform in the quantity that is predicted, the
interval covers by construction. That is labelled so wherever it is shown and supports
nothing. The question is what happens at the stops one really has: at any step, at a
fixed step, while things still improve.

**What to watch.** Curves of learning are steep first and flat later. At a step drawn at
random most of the gain is past, so the interval promises too much.

**The three learners.** *Boosting*: the next weak learner goes to the group of columns
whose predicted remaining gain is largest. *Adding features* that came at unequal times:
keep those with the most importance predicted to come. *A PCA cut*: go on where the
drought since the best is short for its age. At equal ages the prediction is
proportional to the past, so it cannot re-rank anything; whatever it is good for needs
unequal ages. Hence the shuffled ages as a control.

**What it does not show.** Large networks. The curves are of five small data sets that
come with scikit-learn, of rounds and epochs up to a hundred, and of components and
columns up to 64. The end of a curve is its last gain within that budget.

**Traps avoided.** Many stops on one curve are one curve: a seed's number is a mean over
stops, then curves, and intervals are over seeds, widened because seeds draw from the
same data sets. Runs whose best epoch is the last of the budget are counted and not
used. Rivals may use other curves where their name says so; no rival knows the end of
the curve, only the budget. In scores a future under a hundredth of the past counts as a
hundredth. All learners spend equal numbers of fits. The few constants were set on seeds
that are in no study.

Source: Gott, Implications of the Copernican principle for our future prospects, Nature
363:315, 1993, https://doi.org/10.1038/363315a0

Source: Caves, Predicting future duration from present age: A critical assessment, 2000,
https://arxiv.org/abs/astro-ph/0001414

Source: Gneiting and Raftery, Strictly Proper Scoring Rules, Prediction, and Estimation,
JASA 102, 2007, https://doi.org/10.1198/016214506000001437
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mlcv_explore.config import Config, setting
from mlcv_explore.idea import Cell, Film, Idea, Picture, Prior, Study
from mlcv_explore.ideas.copernican.forecasts import FITS, LEVELS, MEASURES, METHODS, STOPS
from mlcv_explore.ideas.copernican.growth import IMPORTANCE_KINDS, KINDS, LONGEST
from mlcv_explore.ideas.copernican.learners import LEARNERS, RULES
from mlcv_explore.ideas.copernican.lives import INSPECTIONS, LAWS, age_of, lasts
from mlcv_explore.statistics import Claim, Split

PARTS = ("all", "intervals", "learners")
SHOWN = 3  # curves of each kind that a frame keeps, of the first seed
HALF = 0.5  # a second confidence, at which coverage is told beside that of the setting
LIVES = tuple(
    (law, inspection) for law in LAWS for inspection in INSPECTIONS if lasts(law, age_of(inspection))
)
ROLES = {
    "copernican": "idea",
    "fitted": "variant",
    "double": "baseline",
    **dict.fromkeys(FITS, "other"),
    "quantiles": "control",
    "oracle": "oracle",
}
RULE_ROLES = {
    "copernican": "idea",
    "validated": "other",
    "shuffled": "control",
    "ageblind": "variant",
    "default": "baseline",
}


class CopernicanConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    confidence: float = setting(
        0.95,
        "Confidence c",
        low=0.05,
        high=0.99,
        step=0.01,
        help="Of the interval whose coverage, width and score are told.",
    )
    part: str = setting(
        "all",
        "What is asked",
        choices=PARTS,
        help="intervals: lives and curves. learners: lives and the three learners.",
    )
    curves: int = setting(
        6,
        "Curves of each kind",
        low=2,
        high=30,
        step=1,
        help="Each with its own sub-sample and hyper-parameters; six kinds.",
    )
    problems: int = setting(3, "Problems for each learner", low=1, high=40, step=1, more=True)
    rounds: int = setting(
        100,
        "Rounds, epochs, iterations",
        low=20,
        high=LONGEST,
        step=10,
        more=True,
        help="The budget of a curve.",
    )
    lives: int = setting(
        20_000,
        "Simulated lives",
        low=100,
        high=200_000,
        step=1000,
        more=True,
        help="For each law and inspection.",
    )


@dataclass(frozen=True)
class Frame:
    """One part of the run: simulated lives, a kind of curve, or a learner; S seeds.
    What belongs to other parts is 0.
    """

    step: int  # parts done
    steps: int
    part: str  # "lives", one of KINDS, or one of LEARNERS
    # (S, len(LIVES), len(LEVELS) + 1) float32, share covered at every level, and at the confidence
    # that is set
    simulated: np.ndarray
    calibration: np.ndarray  # (S, len(STOPS), len(LEVELS)) float32, share covered by Gott's interval
    measured: np.ndarray  # (S, len(STOPS), len(METHODS), len(MEASURES)) float32
    unused: np.ndarray  # (S,) float32, share of the draws that gave no curve
    regret: np.ndarray  # (S, len(RULES)) float32, a fraction of 1 below the best
    fits: np.ndarray  # (S, len(RULES)) float32, spent on a problem
    # (S, SHOWN, LONGEST + 1) float32, importance so far of some curves of the first seed, as a
    # share of its end
    shown: np.ndarray
    signals: np.ndarray  # (S, SHOWN, LONGEST + 1) float32, what those had gained so far, likewise
    lengths: np.ndarray  # (S, SHOWN, 2) int32, their steps, and the steps known beforehand to be the last


def parts(config: CopernicanConfig) -> tuple[str, ...]:
    """The parts of a run, one a frame."""
    kinds = KINDS if config.part != "learners" else ()
    return ("lives", *kinds, *(LEARNERS if config.part != "intervals" else ()))


def run(config: CopernicanConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Every part for all seeds. Raises FloatingPointError with a sentence when too few
    curves of a kind can be used.
    """
    from mlcv_explore.ideas.copernican import training

    yield from training.run(config, seeds)


def applies(kind: str, method: str) -> bool:
    """Whether a method can be asked about a kind: what extrapolates importance cannot
    say when a best epoch comes.
    """
    return kind != "epochs" or method not in FITS


def metrics(config: CopernicanConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed: coverage of Gott's interval everywhere, scores of every method,
    coverage and width of all at stops uniform in time, regrets and fits.
    """
    frames = {frame.part: frame for frame in film}
    count = len(film[0].simulated)
    found = {
        f"lives_{law}_{way}_coverage": frames["lives"].simulated[:, place, -1]
        for place, (law, way) in enumerate(LIVES)
    }
    found |= {
        "nominal_coverage": np.full(count, config.confidence),
        "nominal_half_coverage": np.full(count, HALF),
    }
    if config.part != "learners":
        tables = {kind: frames[kind].measured for kind in KINDS}
        tables["curves"] = np.mean([tables[kind] for kind in IMPORTANCE_KINDS], axis=0)
        halves = {kind: frames[kind].calibration[:, :, int(np.searchsorted(LEVELS, HALF))] for kind in KINDS}
        halves["curves"] = np.mean([halves[kind] for kind in IMPORTANCE_KINDS], axis=0)
        for kind, table in tables.items():
            for row, stops in enumerate(STOPS):
                found[f"{kind}_{stops}_half_coverage"] = halves[kind][:, row]
                for column, method in enumerate(METHODS):
                    wanted = ("coverage", "score", "over") if method == "copernican" else ("score",)
                    if method != "copernican" and stops == "time":
                        wanted = ("coverage", "width", "score")
                    for measure in wanted if applies(kind, method) else ():
                        found[f"{kind}_{stops}_{method}_{measure}"] = table[
                            :, row, column, MEASURES.index(measure)
                        ]
        found["epochs_censored"] = frames["epochs"].unused
    if config.part != "intervals":
        for learner in LEARNERS:
            for place, rule in enumerate(RULES):
                found[f"{learner}_{rule}_regret"] = frames[learner].regret[:, place]
                found[f"{learner}_{rule}_fits"] = frames[learner].fits[:, place]
    return {name: np.asarray(values, dtype=float) for name, values in found.items()}


def picture(film: Film) -> Picture:
    """How often Gott's interval covers at every confidence, on the real curves at any
    step, or without them on simulated lives that slow down.
    """
    kinds = [frame.calibration for frame in film if frame.part in IMPORTANCE_KINDS]
    covered = (
        np.mean(kinds, axis=0)[:, STOPS.index("time")]
        if kinds
        else film[0].simulated[:, LIVES.index(("exponential", "decelerating")), :-1]
    )
    lines = {"idea": covered, "baseline": np.tile(LEVELS, (len(covered), 1))}
    return Picture(
        LEVELS,
        lines,
        {"idea": "real curves" if kinds else "lives that slow down", "baseline": "as promised"},
        "confidence",
        "share covered",
    )


def resampled(config: CopernicanConfig) -> Split:
    """Every seed draws sub-samples of the same data sets anew, two parts to learn from
    for each that is held out.
    """
    return Split(2, 1)


ASKED = (("confidence", 0.95),)


def _covers(name: str, sentence: str, *contrasts: tuple[str, str]) -> Claim:
    return Claim(name, sentence, "coverage", "points", "equal", 0.03, contrasts, ASKED)


def _scores(name: str, sentence: str, *contrasts: tuple[str, str]) -> Claim:
    return Claim(name, sentence, "score", "", "less", 0.0, contrasts, ASKED)


def _learns(learner: str, rival: str, sentence: str) -> Claim:
    return Claim(
        f"{learner}_{rival}",
        sentence,
        "regret",
        "points",
        "less",
        0.0,
        ((f"{learner}_copernican", f"{learner}_{rival}"),),
    )


CLAIMS = (  # written down before anything was run; each can fail
    # contradicted when most of the importance is past at most steps, or most is still to come: then
    # a step is no moment like any other
    _covers(
        "covers",
        "On five kinds of real curve, stopped at any step alike, the Copernican 95 % interval covers within 3"
        " points of 95 %.",
        ("curves_time_copernican", "nominal"),
    ),
    _covers(
        "covers_half",
        "On the same curves and stops, the Copernican 50 % interval covers within 3 points of 50 %.",
        ("curves_time_half", "nominal_half"),
    ),
    # contradicted when one of the five kinds is off by more
    _covers(
        "covers_each",
        "The 95 % interval does so on each kind: boosting, training loss, PCA variance, importances of"
        " features, t-SNE loss.",
        *((f"{kind}_time_copernican", "nominal") for kind in IMPORTANCE_KINDS),
    ),
    # contradicted when looking only while there is progress spoils the law of the moment, or does not mend it
    _covers(
        "covers_improving",
        "Stopped at any step that still improves, the 95 % interval covers within 3 points of 95 % on the"
        " five kinds together.",
        ("curves_improving_copernican", "nominal"),
    ),
    _covers(
        "covers_best_epoch",
        "For epochs until the best, stopped at any epoch that still improves, the 95 % interval covers within"
        " 3 points of 95 %.",
        ("epochs_improving_copernican", "nominal"),
    ),
    # contradicted when a fit to what is visible, with an interval of its own, has the lower score
    _scores(
        "beats_extrapolation",
        "At any step the Copernican interval has a lower interval score than an exponential and than a"
        " power-law fit to the same visible part.",
        ("curves_time_copernican", "curves_time_exponential"),
        ("curves_time_copernican", "curves_time_power"),
    ),
    _scores(
        "beats_extrapolation_improving",
        "At steps that still improve, it has a lower interval score than either fit.",
        ("curves_improving_copernican", "curves_improving_exponential"),
        ("curves_improving_copernican", "curves_improving_power"),
    ),
    # contradicted when a handful of other curves tells more than the principle
    _scores(
        "beats_other_curves",
        "At any step it has a lower interval score than the quantiles of future over past on other curves of"
        " the kind.",
        ("curves_time_copernican", "curves_time_quantiles"),
    ),
    # contradicted when Gott's own factor is as good as one fitted to other curves
    _scores(
        "fitted_beats_gott",
        "At any step an interval from past/k to k·past, with k from other curves, has a lower interval score"
        " than Gott's.",
        ("curves_time_fitted", "curves_time_copernican"),
    ),
    _learns(
        "groups",
        "validated",
        "Boosting by predicted remaining gain has less regret than choosing by validation at as many fits.",
    ),
    _learns(
        "groups", "shuffled", "Boosting by predicted remaining gain has less regret than with shuffled ages."
    ),
    _learns(
        "adding",
        "validated",
        "Keeping features by predicted importance has less regret than cross-validation at as many fits.",
    ),
    _learns(
        "adding",
        "shuffled",
        "Keeping features by predicted importance has less regret than with shuffled ages.",
    ),
    _learns(
        "cut",
        "validated",
        "A PCA cut by drought over age has less regret than cross-validation at as many fits.",
    ),
    _learns("cut", "shuffled", "A PCA cut by drought over age has less regret than with shuffled ages."),
)


def _study(name: str, seeds: int, base: CopernicanConfig) -> Study:
    """Every claim, all kinds at all stops, all methods, all rules of the learners."""
    asked = {
        "intervals": base.replace(part="intervals", problems=1),
        "learners": base.replace(part="learners"),
    }
    cells = [
        Cell(
            claim.name,
            asked["learners" if claim.measure == "regret" else "intervals"],
            {arm: arm for pair in claim.contrasts for arm in pair},
        )
        for claim in CLAIMS
    ]
    copernican = [
        f"{kind}_{stops}_{arm}"
        for kind in ("curves", *KINDS)
        for stops in STOPS
        for arm in ("copernican", "half")
    ]
    rivals = [
        f"{kind}_{stops}_{method}"
        for kind in ("curves", *KINDS)
        for stops in STOPS
        for method in METHODS
        if applies(kind, method) and method != "copernican"
    ]
    cells.append(Cell("curves", asked["intervals"], {arm: arm for arm in (*copernican, *rivals, "epochs")}))
    cells.append(
        Cell(
            "lives",
            asked["intervals"],
            {arm: arm for arm in (f"lives_{law}_{inspection}" for law, inspection in LIVES)},
        )
    )
    cells.append(
        Cell(
            "learners",
            asked["learners"],
            {arm: arm for arm in (f"{learner}_{rule}" for learner in LEARNERS for rule in RULES)},
        )
    )
    return Study(name, tuple(cells), tuple(range(seeds)))


DONE_BEFORE = (
    Prior(
        "Gott's interval (1993)",
        "https://doi.org/10.1038/363315a0",
        "With 95 % confidence the future lasts between 1/39 and 39 times the past; applied to the Berlin"
        " Wall, Broadway shows, and mankind.",
        "Importance in the place of time, on curves whose end is known, so that coverage is counted and"
        " rivals are scored.",
    ),
    Prior(
        "A critical assessment (Caves, 2000, 2008)",
        "https://arxiv.org/abs/astro-ph/0001414",
        "The rule is right only where no time scale of the phenomenon is known; offered bets on the ages of"
        " dogs, it loses.",
        "The same failure is simulated with lives looked at at a fixed age, and measured on curves that have"
        " a known shape.",
    ),
    Prior(
        "LC-PFN (Adriaensen et al., 2023)",
        "https://arxiv.org/abs/2310.20447",
        "A transformer extrapolates learning curves with uncertainty, over 10,000 times faster than MCMC,"
        " tested on 20,000 real curves.",
        "Small rivals that can be read: exponential and power-law fits, and quantiles of a handful of other"
        " curves.",
    ),
    Prior(
        "Extrapolation of learning curves (Domhan et al., 2015)",
        "https://ml.informatik.uni-freiburg.de/wp-content/uploads/papers/15-IJCAI-Extrapolation_of_Learning_Curves.pdf",
        "A Bayesian ensemble of eleven curve families stops bad runs early and halves the time of a"
        " hyper-parameter search.",
        "A rule without any family, held against cross-validation and shuffled ages at equal numbers of"
        " fits.",
    ),
)

idea = Idea(
    config=CopernicanConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=CLAIMS,
    quick=CopernicanConfig(curves=2, problems=1, rounds=20, lives=500),
    picture=picture,
    studies=(
        _study("live", 20, CopernicanConfig(curves=8, problems=16)),
        _study("full", 30, CopernicanConfig(curves=30, problems=40, rounds=LONGEST)),
    ),
    prior_work=DONE_BEFORE,
    split_sizes=resampled,
)
