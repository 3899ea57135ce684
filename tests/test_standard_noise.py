"""Standard noise: quantiles by hand and as SciPy's, moments, order, symmetry."""

import numpy as np
import pytest
from scipy import stats

from mlcv_explore.data.standard_noise import FREEDOM, standard_noise
from mlcv_explore.seeds import numpy_stream

CLASSES = 10


@pytest.fixture(scope="module")
def draws() -> np.ndarray:
    return numpy_stream(0, "a test").standard_normal((200_000, CLASSES), dtype=np.float32)


@pytest.mark.parametrize("shape", ["gaussian", "laplace", "uniform", "rademacher", "student_t"])
def test_distributions_have_mean_zero_and_variance_one_and_keep_the_order(shape, draws):
    pushed = standard_noise(shape, draws)
    assert pushed.dtype == np.float32
    assert pushed.mean() == pytest.approx(0, abs=0.01) and pushed.var() == pytest.approx(1, abs=0.02)
    assert (np.diff(pushed[:2000, 0][np.argsort(draws[:2000, 0])]) >= 0).all()
    assert standard_noise(shape, -draws[:100]) == pytest.approx(-pushed[:100], abs=1e-5)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("uniform", np.sqrt(3) / 2),
        ("laplace", np.log(2) / np.sqrt(2)),
        ("student_t", 0.7266868 * np.sqrt(3 / 5)),
        ("rademacher", 1),
    ],
)
def test_upper_quartiles_by_hand(shape, expected):
    assert standard_noise(shape, np.full((1, 1), 0.6744898))[0, 0] == pytest.approx(expected, abs=1e-4)


def test_rademacher_noise_is_exactly_plus_or_minus_one(draws):
    assert np.array_equal(np.unique(standard_noise("rademacher", draws)), [-1, 1])


@pytest.mark.parametrize(
    ("shape", "law"),
    [
        ("laplace", stats.laplace(scale=1 / np.sqrt(2))),
        ("uniform", stats.uniform(-np.sqrt(3), 2 * np.sqrt(3))),
        ("student_t", stats.t(FREEDOM, scale=np.sqrt(1 - 2 / FREEDOM))),
    ],
    ids=["laplace", "uniform", "student_t"],
)
def test_quantiles_are_scipys_out_to_five_standard_deviations(shape, law):
    lower = np.linspace(-5, 0, 1001)[:, None]
    expected = law.ppf(stats.norm.cdf(lower))
    assert standard_noise(shape, lower) == pytest.approx(expected, abs=1e-4, rel=1e-4)
    assert standard_noise(shape, -lower) == pytest.approx(-expected, abs=1e-4, rel=1e-4)
    assert law.var() == pytest.approx(1)


@pytest.mark.parametrize("shape", ["zero_sum", "zero_sum_equal_trace"])
def test_zero_sum_noise_sums_to_zero(shape, draws):
    assert standard_noise(shape, draws[:1000]).sum(-1) == pytest.approx(0, abs=1e-5)
    assert standard_noise(shape, draws).var() == pytest.approx(1 - 1 / CLASSES, abs=0.01)
