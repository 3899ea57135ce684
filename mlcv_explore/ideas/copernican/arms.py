"""Arms and measures of the experiment, with the labels their parts have on the page."""

from mlcv_explore.idea import Arm, Measure
from mlcv_explore.ideas.copernican.forecasts import BY_CONSTRUCTION as UNIFORM
from mlcv_explore.ideas.copernican.lifetimes import AGES, BY_CONSTRUCTION, SIMULATED
from mlcv_explore.statistics.lifetimes import LAWS

CURVE_TEXTS = {  # source of a curve → label, title of the x axis, what it shows; "": a visitor's own
    "boosting": ("Boosting loss", "round", "Fall of the held-out loss of gradient boosting, as a share"),
    "training": ("Training loss", "epoch", "Fall of a perceptron's training loss, as a share"),
    "variance": ("PCA variance", "component", "Variance explained by principal components, up to 99.9 %"),
    "features": ("Feature importances", "feature", "Importance of a random forest's features, largest first"),
    "tsne": ("t-SNE loss", "iteration", "Fall of the divergence of t-SNE, as a share"),
    "": ("Your own CSV", "x", "Importance until its last gain"),
}
KIND_LABELS = {kind: text[0] for kind, text in CURVE_TEXTS.items() if kind}
STOP_LABELS = {"time": "at any step", "importance": "uniform in importance", "improving": "while improving"}
METHOD_ARMS = (
    Arm("copernican", "Gott's rule", "idea", "From past·(1−c)/(1+c) to past·(1+c)/(1−c)."),
    Arm("half", "Gott's rule, 50 %", "idea", "The same rule at 50 % confidence."),
    Arm("null", "Uninformative interval", "control", "From a hundredth of the past to a hundred times."),
    Arm("fitted", "Fitted factor k", "variant", "From past/k to k·past, k fitted on other data sets."),
    Arm("exponential", "Exponential fit", "other", "Fit to the visible part, interval from its residuals."),
    Arm("power", "Power-law fit", "other", "Fit to the visible part, interval from its residuals."),
    Arm("exponential_others", "Exponential, others' errors", "other", "Interval: errors on other data sets."),
    Arm("power_others", "Power law, others' errors", "other", "Interval: errors on other data sets."),
    Arm("quantiles", "Other curves' quantiles", "baseline", "Quantiles of future/past on other data sets."),
    Arm("oracle", "This curve's quantiles", "oracle", "Quantiles of future/past on the curve itself."),
)
LEARNER_LABELS = {"groups": "Boosting in groups", "adding": "Feature selection", "cut": "PCA cut"}
RULE_ARMS = (
    Arm("copernican", "Gott's rule", "idea", "By predicted future: rate times age."),
    Arm("validated", "Validation", "other", "By (cross-)validation at equal numbers of fits."),
    Arm("shuffled", "Shuffled ages", "control", "Gott's rule with ages permuted."),
    Arm("ageblind", "Rate alone", "variant", "Gott's rule without ages."),
    Arm("default", "Plain rule", "baseline", "In turn; features by age."),
)
LAW_LABELS = {law: law.capitalize() for law in LAWS} | {"lognormal": "Log-normal"}
INSPECTION_LABELS = {
    "time": "uniform in time",
    "importance": "uniform in importance",
    "decelerating": "importance slows down",
    "improving": "while improving",
} | {name: f"at age {age:g}" for name, age in AGES.items()}

NOMINAL_ARMS = (
    Arm("nominal", "Nominal", "baseline", "The confidence of the interval."),
    Arm("nominal_half", "Nominal 50 %", "baseline"),
)
FORECAST_ARMS = tuple(
    Arm(
        f"{stops}_{arm.name}",
        f"{arm.label}, {stop_label}",
        # true by construction is the bound of Gott's rule, not evidence for it
        "oracle" if stops == UNIFORM and arm.role == "idea" else arm.role,
        arm.description,
    )
    for stops, stop_label in STOP_LABELS.items()
    for arm in METHOD_ARMS
)
LEARNER_ARMS = tuple(
    Arm(f"{learner}_{arm.name}", f"{label}, {arm.label}", arm.role, arm.description)
    for learner, label in LEARNER_LABELS.items()
    for arm in RULE_ARMS
)
LIFETIME_ARMS = tuple(
    Arm(
        f"lives_{law}_{way}",
        f"Simulated: {LAW_LABELS[law]}, {INSPECTION_LABELS[way]}",
        "oracle" if way in BY_CONSTRUCTION else "variant",
        "Lifetimes of mean 1.",
    )
    for law, way in SIMULATED
)
MEASURE_TABLE = (
    Measure("coverage", "Coverage", "%", ""),
    Measure("score", "Interval score", "", "lower"),
    Measure("width", "Interval width, log(future/past)", "", ""),
    Measure("over", "Future overestimated", "%", "lower"),
    Measure("regret", "Regret", "points", "lower"),
    Measure("fits", "Model fits", "", ""),
)
