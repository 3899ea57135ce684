"""Losses of a perceptron on the way, against scikit-learn's own."""

import numpy as np
import pytest
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier, MLPRegressor

from mlcv_explore.data.tabular import draw_parts
from mlcv_explore.models.perceptron import perceptron_losses
from mlcv_explore.seeds import numpy_stream

SETTINGS = {"hidden_layer_sizes": (12,), "learning_rate_init": 0.02, "batch_size": 50, "random_state": 0}


@pytest.mark.parametrize("name", ["wine", "diabetes"])
def test_losses_are_scikit_learns_and_begin_at_a_constant_prediction(name):
    train, held = draw_parts((name,), 150, (2, 1), numpy_stream(1, name))
    training, validation = perceptron_losses(train, held, 6, SETTINGS)
    model, known = MLPClassifier(**SETTINGS), {"classes": [0, 1, 2]}
    if name == "diabetes":
        model, known = MLPRegressor(**SETTINGS), {}
    for _ in range(6):
        model.partial_fit(train.columns, train.target, **known)
    assert training[1:].tolist() == model.loss_curve_ and training[-1] < training[0]
    if name == "wine":
        assert training[0] == validation[0] == np.log(3)
        assert validation[-1] == pytest.approx(log_loss(held.target, model.predict_proba(held.columns)))
    else:
        assert training[0] == validation[0] == pytest.approx((train.target**2).mean() / 2)
        errors = held.target - model.predict(held.columns)
        assert validation[-1] == pytest.approx((errors**2).mean() / 2)
