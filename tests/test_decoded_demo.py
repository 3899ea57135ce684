"""Decoded classifiers that ship are what their cards state."""

import numpy as np
import pytest
import torch

from mlcv_explore.models import checkpoints, decoded_demo

NAMES = checkpoints.names(decoded_demo.KIND)


@pytest.mark.parametrize("name", NAMES)
def test_a_network_that_ships_is_what_its_card_states(name: str):
    shown = decoded_demo.load(name)
    stated, inputs = shown.card["metrics"], torch.from_numpy(shown.mapped.images[:50]).float() / 255
    for depth in range(4):
        median, late = np.quantile(shown.map(depth).errors, (0.5, 0.9))
        assert median == pytest.approx(stated[f"map{depth}_median"], abs=2e-4)
        assert late == pytest.approx(stated[f"map{depth}_p90"], abs=4e-4)
        if shown.dataset == "digits":  # scenes differ more: the page states their placement error
            assert median <= 0.01 and late <= 0.03
        features = shown.map(depth).fitted.features
        assert features.shape == (len(shown.mapped), 33)
        if depth in (0, 2):  # the images are those that the map was fitted to
            own = shown.model.components(shown.model.features(inputs, depth), depth).numpy()
            np.testing.assert_allclose(own, features[:50], atol=0.02)
    predicted = shown.model.logits(shown.test.as_float(), 0).argmax(1).numpy()
    assert (predicted == shown.test.labels).mean() == pytest.approx(stated["test_accuracy"], abs=0.01)
    mapped = {image.tobytes() for image in shown.mapped.images}
    assert not any(image.tobytes() in mapped for image in shown.test.images)


def test_both_data_sets_ship_and_their_parts_have_masks():
    assert {decoded_demo.load(name).dataset for name in NAMES} == set(decoded_demo.DATASETS)
    for dataset in decoded_demo.DATASETS:
        train, test = decoded_demo.dataset_images(dataset, 120, 50, 0)
        assert (len(train), len(test)) == (120, 50) and train.classes == test.classes
        assert train.masks.shape == (120, *train.images.shape[2:]) and 0 < train.masks.mean() < 1
