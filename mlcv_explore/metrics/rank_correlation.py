"""Rank correlation of two series."""

import numpy as np


def rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's; 0 where one of both is constant."""
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1]) if all(np.ptp(values) for values in ranks) else 0.0
