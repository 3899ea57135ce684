"""Simulated lifetimes: their mean, and those that exceed an age."""

import numpy as np
import pytest

from mlcv_explore.seeds import numpy_stream
from mlcv_explore.statistics.lifetimes import LAWS, draw_lifetimes, exceeds


@pytest.mark.parametrize("law", LAWS)
def test_lifetimes_above_an_age_are_those_that_are_drawn_and_kept(law):
    drawn = draw_lifetimes(law, 400_000, numpy_stream(3, law))
    # a Pareto law with tail 1.5 has no variance
    assert drawn.min() >= 0 and (law == "pareto" or drawn.mean() == pytest.approx(1, abs=0.02))
    kept, longer = drawn[drawn > 0.5], draw_lifetimes(law, 400_000, numpy_stream(4, law), age=0.5)
    for share in (0.1, 0.5, 0.9):
        assert np.quantile(longer, share) == pytest.approx(np.quantile(kept, share), rel=0.03)
    with pytest.raises(ValueError, match="law of lifetimes must be one of"):
        draw_lifetimes("gamma", 3, numpy_stream(0, "x"))
    assert not exceeds("uniform", 2) and exceeds(law, 1.9)
    with pytest.raises(ValueError, match="No lifetime of the uniform law exceeds 3"):
        draw_lifetimes("uniform", 3, numpy_stream(0, "x"), age=3)
