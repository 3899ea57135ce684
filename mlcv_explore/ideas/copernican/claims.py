"""Claims of the idea, how they came about, what they do not cover, and earlier work."""

from mlcv_explore.idea import Provenance
from mlcv_explore.idea_text import works
from mlcv_explore.statistics.declared import declared

FIRST_SEED = 700  # of both studies, the first source of a draw; earlier evidence has 0 to 19, pilots 1008 on

TEXT = """
scores_lower: time_copernican − time_quantiles, time_null < 0 in score
Gott's interval has a lower interval score than other curves' quantiles and an uninformative interval.
covers: time_copernican − nominal = 3 in coverage
The 95 % interval covers within 3 points of 95 %, at any step.
covers_half: time_half − nominal_half = 3 in coverage, any confidence
The 50 % interval covers within 3 points of 50 %, at any step.
covers_improving: improving_copernican − nominal = 3 in coverage
The 95 % interval covers within 3 points of 95 % at steps that still improve.
scores_lower_improving: improving_copernican − improving_quantiles, improving_null < 0 in score
At improving steps Gott's interval scores lower than other curves' quantiles and an uninformative interval.
beats_fits_improving: improving_copernican − improving_exponential, improving_power < 0 in score
At improving steps Gott's interval scores lower than exponential and power-law fits with their own intervals.
calibrated: time_quantiles − time_null < 0 in score
Other curves' quantiles have a lower interval score than an uninformative interval, at any step.
"""
CLAIMS = declared(TEXT, {"confidence": 0.95}, {"score": ""})

PROVENANCE = Provenance(
    "2026-11-27",
    False,
    1,
    (
        "Bundled sources: earlier evidence on five of the six data sets, and a pilot with other draws of all"
        " 28 sources (seeds 1008 to 1035), had shown the direction of every claim.",
        "Claims of an earlier evidence, made three times with seeds 0 to 19, are replaced; its findings are"
        " in the lab notes.",
        "Sources on photographs: no result on these tables was seen before the claims were committed; two of"
        " five share 20 % of their rows with a bundled table of the pilot.",
    ),
)

LIMITS = (
    "Sources share data sets and kinds of curve, and the interval treats them as independent. With the five"
    " kinds as units the headline is 11.5 [3.2, 19.7], on photographs 10.9 [−0.1, 21.8] (plain t);"
    " against the uninformative interval 9.3 [1.3, 17.3] and 9.1 [−1.1, 19.3].",
    "Curves were made for this idea; those in the recorded runs of other ideas are not among them.",
    "Curves are of small models: at most 100 rounds or epochs, 150 columns; a curve ends at its last gain.",
    "Interval scores clip futures at 1/100 and 100 times the past, the uninformative interval's ends: it"
    " never pays for a miss. On five PCA sources clips of 50 to 1,000 give headline differences of 4.4 to"
    " 14.1 and 2.0 to 9.0; while improving, the difference from it changes sign.",
    "Learners ran on four and five data sets: too few for an interval, so that they have no verdict.",
)

PRIOR_WORK = works("""
Gott's interval (1993) https://doi.org/10.1038/363315a0
    95 % interval: 1/39 to 39 times the past; applied to the Berlin Wall and Broadway shows.
    Importance replaces time, on curves whose end is known: coverage is counted, baselines are scored.
A critical assessment (Caves, 2000, 2008) https://arxiv.org/abs/astro-ph/0001414
    Right only where no time scale is known; bets on the ages of dogs would lose.
    The same failure in lifetimes inspected at a fixed age, and on curves of a known shape.
LC-PFN (Adriaensen et al., 2023) https://arxiv.org/abs/2310.20447
    A transformer extrapolates 20,000 real learning curves, over 10,000 times faster than MCMC.
    Simpler baselines: exponential and power-law fits, and quantiles of a few other curves.
Extrapolation of learning curves (Domhan et al., 2015) https://ml.informatik.uni-freiburg.de/wp-content/uploads/papers/15-IJCAI-Extrapolation_of_Learning_Curves.pdf
    An ensemble of eleven curve families stops bad runs and halves a hyperparameter search's time.
    A rule without any family, against cross-validation and shuffled ages at equal fits.
""")
