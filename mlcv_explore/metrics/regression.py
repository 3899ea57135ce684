"""Metrics of predicted numbers."""

import numpy as np


def explained_variance(target: np.ndarray, output: np.ndarray) -> float:
    """Share of the variance of a target (n,) that an output (n,) explains; negative if
    worse than a constant, 0 for a constant target.
    """
    return float(1 - ((target - output) ** 2).mean() / target.var()) if target.var() > 0 else 0.0
