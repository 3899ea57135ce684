"""Components and a map as buffers of a module: what is read is what was fitted."""

import numpy as np
import pytest
from torch import nn

from mlcv_explore.metrics import embedding_map
from mlcv_explore.metrics.embedding_map import FittedMap
from mlcv_explore.metrics.linear_probe import principal_components
from mlcv_explore.models import stored_maps

KEY = "encoder_{}0"


def stored() -> nn.Module:
    owner = nn.Module()
    stored_maps.register(owner, KEY, size=20, components=12, mapped=30)
    return owner


@pytest.mark.parametrize("moved", [0.0, 0.25])
def test_a_map_is_read_as_it_was_fitted_also_from_saved_weights(moved, monkeypatch):
    """In UMAP's place: coordinates are the two leading features, and its own transform
    puts points `moved` of the width to the right.
    """

    def fit(features: np.ndarray, held_out: np.ndarray, seed: int) -> tuple[FittedMap, np.ndarray]:
        assert features.shape == (30, 12) and seed == 3
        fitted = FittedMap(features, features[:, :2])
        return fitted, fitted.transform(held_out) + np.array([moved * fitted.width, 0])

    monkeypatch.setattr(embedding_map, "fit", fit)
    codes, held_out = (np.random.default_rng(0).normal(size=(size, 20)) for size in (30, 7))
    owner, again = stored(), stored()
    assert stored_maps.fit(owner, KEY, codes, held_out, 3) == pytest.approx(moved)
    again.load_state_dict(owner.state_dict())
    components, fitted = stored_maps.read(again, KEY)
    expected = principal_components(codes).transform(codes)
    np.testing.assert_allclose(components.transform(codes), expected, atol=1e-6)
    np.testing.assert_allclose(fitted.features, expected, atol=1e-6)
    np.testing.assert_array_equal(fitted.coordinates, fitted.features[:, :2])
    assert sorted(owner.state_dict()) == [
        f"encoder_{name}0" for name in ("basis", "coordinates", "features", "mean")
    ]
