"""Losses of a small perceptron of scikit-learn's while it trains."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlcv_explore.data.tabular import TabularData


def perceptron_losses(
    train: TabularData, held_out: TabularData, epochs: int, settings: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Training and held-out loss, (epochs + 1,) each, of MLPClassifier or MLPRegressor
    with these settings: nats, or half squared deviations. The first is that of a
    constant prediction.
    """
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    classes, held = train.classes, held_out.target
    model = MLPClassifier(**settings) if classes else MLPRegressor(**settings)
    known = {"classes": np.arange(classes)} if classes else {}
    constant = float(np.log(classes)) if classes else 0.5 * float((train.target**2).mean())
    fitted, measured = [constant], [constant]
    for _ in range(epochs):
        model.partial_fit(train.columns, train.target, **known)
        fitted.append(model.loss_)
        if classes:
            probability = model.predict_proba(held_out.columns)[np.arange(len(held)), held]
            measured.append(-np.log(np.maximum(probability, 1e-9)).mean())
        else:
            measured.append(0.5 * ((held - model.predict(held_out.columns)) ** 2).mean())
    return np.array(fitted), np.array(measured)
