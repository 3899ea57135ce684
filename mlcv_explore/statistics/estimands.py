"""What the mean of a claim's paired differences is taken over: the text that stands with
every verdict.
"""

ONE_SPLIT = "over training seeds (initial weights, order, noise) on one fixed split"

OWN_LABELS = "over seeds (labelled images, initial weights, order, noise) on one fixed split"

OWN_DATA = (
    "over seeds that each draw data of their own from one generator (data, initial weights, order, noise)"
)

MANY_SPLITS = "over re-drawn splits of one data set (Nadeau–Bengio corrected)"


def estimand(over: str, of_medians: bool = False) -> str:
    """The estimand of a claim whose differences are taken `over` this."""
    return f"{'median' if of_medians else 'mean'} paired difference {over}"
