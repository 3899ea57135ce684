"""Claims written as text become the claims they spell out."""

import pytest

from mlcv_explore.statistics import Claim
from mlcv_explore.statistics.declared import declared

TEXT = """
gain: both − plain > 1, any depth
    Both beats plain by more than 1 point.
likelihood: both, soft − plain < 0.5 in nll
    Both has a lower likelihood.
every: both − plain, soft > 2
    Both beats the two others.
"""


def test_every_part_of_a_claim_is_read():
    when = {"depth": 2, "weight": 0.5}
    gain, likelihood, every = declared(TEXT, when, {"nll": "nats"})
    sentence = "Both beats plain by more than 1 point."
    pairs = (("both", "plain"),)
    assert gain == Claim("gain", sentence, "accuracy", "points", "greater", 0.01, pairs, (("weight", 0.5),))
    assert likelihood.contrasts == (("both", "plain"), ("soft", "plain"))
    assert (likelihood.unit, likelihood.direction, likelihood.margin) == ("nats", "less", 0.5)
    assert dict(likelihood.when) == when and every.contrasts == (("both", "plain"), ("both", "soft"))


def test_equality_and_difference():
    tie, apart = declared("tie: a − b = 2 in boxes\nA tie.\napart: a − b ≠ 0\nApart.")
    assert (tie.direction, tie.margin, tie.measure, tie.when) == ("equal", 0.02, "boxes", ())
    assert apart.direction == "different"


def test_settings_of_one_claim_stand_in_its_line():
    text = "few: a − b > 1 in rate, any size, when shift = new_classes and count = 50\nA few."
    (few,) = declared(text, {"size": 3, "width": 8})
    assert few.when == (("width", 8), ("shift", "new_classes"), ("count", 50)) and few.measure == "rate"


@pytest.mark.parametrize(
    "head", ["gain: both − plain", "gain both − plain > 1", "a: b − c > x", "a: b − c > 1, when d"]
)
def test_a_line_that_cannot_be_read_is_named(head: str):
    with pytest.raises(ValueError, match="Not a claim's first line"):
        declared(f"{head}\nA sentence.")
