"""Virtual outliers: what is trained on what, the invariants of the brief, and the demo."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from mlcv_explore.config import SettingError
from mlcv_explore.data import gallery
from mlcv_explore.data.open_set import OpenSet
from mlcv_explore.ideas.virtual_outliers import (
    ALONE,
    ARMS,
    BY_DEPTH,
    IMAGENET,
    MEASURES,
    VALIDATION,
    VirtualOutliersConfig,
    claims,
    idea,
    inference,
    training,
)
from mlcv_explore.ideas.virtual_outliers.claims import LEFT_OUT, NETWORKS, VOS
from mlcv_explore.metrics import outlier_detection
from mlcv_explore.models import layer_features, layer_scores, virtual_outliers
from mlcv_explore.models.layered_network import LAYERS, LayeredNetwork
from tests.calls import recorded

SHORT = VirtualOutliersConfig(train_size=400, test_size=200, epochs=4, width=4, neighbours=5, start=0.5)


@cache
def parts() -> OpenSet:
    """A seed's images; no test changes them."""
    return training.prepare(SHORT, 0)


def contents(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def weights(name: str, config: VirtualOutliersConfig = SHORT) -> dict[str, torch.Tensor]:
    """What one arm's network has learned."""
    return training.trained(config, parts(), name, 0).network.state_dict()


def test_the_names_of_arms_and_measures_are_those_of_their_tables() -> None:
    assert tuple(arm.name for arm in claims.ARM_TABLE) == ARMS
    assert tuple(measure.name for measure in claims.MEASURE_TABLE) == MEASURES and len(VOS) == LAYERS == 4


def test_weight_0_is_the_network_without_outliers_bit_for_bit() -> None:
    plain = weights("energy")
    for name in ("vos_last", "several", "npos", "real_features"):
        none = weights(name, SHORT.replace(weight=0.0))
        assert all(torch.equal(none[key], value) for key, value in plain.items()), name
        some = weights(name)
        assert any(not torch.equal(some[key], value) for key, value in plain.items()), name


def test_outliers_begin_at_their_epoch_and_change_their_layers_alone() -> None:
    """Stored features are not trained, so a layer's classifier learns by itself."""
    config = IMAGENET.replace(train_size=500, epochs=2, neighbours=5, start=0.5)
    stored = training.prepare(config, 0)
    plain, third = (
        training.trained(config, stored, name, 0).network.state_dict() for name in ("energy", "vos_3")
    )
    same = {key for key, value in plain.items() if torch.equal(third[key], value)}
    assert {key for key in plain if key.startswith(("heads.0", "heads.1", "heads.3"))} <= same
    assert not {key for key in plain if key.startswith("heads.2")} & same


def test_every_arm_is_given_its_own_outliers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the class of each image, of the features of that epoch, from a stream of its own."""
    given: dict[str, tuple[LayeredNetwork, Any]] = {}
    streams = recorded(monkeypatch, training, "stream")
    likely = recorded(monkeypatch, virtual_outliers, "least_likely")

    def train(network: LayeredNetwork, *about: Any) -> None:
        outliers = about[4]
        if outliers is not None:
            outliers()
            for parameter in network.parameters():
                parameter.data.mul_(1.5)  # as training would change it between two epochs
            given[name] = network, outliers()(torch.arange(50))
        network.requires_grad_(False)

    monkeypatch.setattr(training, "train", train)
    for name in NETWORKS:
        training.trained(SHORT, parts(), name, 7)
    keys = [call[:2] for call in streams]
    assert len({*keys}) == len(keys) == len(NETWORKS) and all(
        seed == 7 and key != "order" for seed, key in keys
    )
    images, labels = parts().train
    assert len(likely) == 8 and all(torch.equal(call[1], labels[:50]) for call in likely)
    assert all(call[2] == SHORT.draws for call in likely)
    network, drawn = given["vos_last"]
    gaussians = virtual_outliers.fit(network.features(images)[-1], labels, 8)
    away = gaussians.distances(drawn[3])
    radii = away.gather(1, labels[:50, None]).sqrt() / virtual_outliers.typical_radius(gaussians, SHORT.draws)
    assert radii.min() > 0.8 and radii.max() < 1.6 and drawn.keys() == {3}
    assert given["several"][1].keys() == {0, 1, 2, 3}
    for name, known in (("real_features", images), ("oracle", torch.cat(list(parts().known.values())))):
        network, drawn = given[name]
        assert torch.cdist(drawn[3], network.features(known)[3]).amin(1).max() < 0.01


def test_references_are_validation_images_and_measures_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("standardised", "fitted_weights", "rates")
    calls = {name: recorded(monkeypatch, outlier_detection, name) for name in names}
    names = ("virtual", "of_images", "opened", "depths")
    calls |= {name: recorded(monkeypatch, layer_scores, name) for name in names}
    ranks = recorded(monkeypatch, training, "rank_correlation")
    shares = recorded(monkeypatch, virtual_outliers, "share_less_likely")
    fitted = recorded(monkeypatch, training, "train")
    (*_, last) = idea.run(SHORT.replace(epochs=1, start=0.0), (0,))
    one, count = parts(), len(parts().validation[0])
    assert all(call[1].shape[1] == count for call in calls["standardised"])
    ((_, labels, draws, _),), ((_, known),) = calls["virtual"], calls["of_images"]
    assert torch.equal(labels, one.validation[1]) and draws == SHORT.draws
    assert torch.equal(known, torch.cat(list(one.known.values())))
    sizes = [(real.shape[1], outliers.shape[1]) for real, outliers in calls["fitted_weights"]]
    assert sizes == [(count, count), (count, len(known))]
    assert all(len(first) == len(second) == len(one.test[0]) for first, second in ranks)
    assert all(len(call[1]) == count and call[3] == SHORT.draws for call in shares)
    ((plain, neighbours),) = calls["depths"]
    assert plain.network is calls["opened"][0][0] and neighbours == SHORT.neighbours
    own = [scores for scores, _ in calls["rates"]][7:11]  # after those of the plain network
    for layer, (name, scores) in enumerate(zip(VOS, own, strict=True)):  # each at its own layer
        network = calls["opened"][NETWORKS.index(name)][0]
        expected = network.log_odds(network.features(one.test[0])[layer], layer)
        assert np.allclose(scores[1], expected.numpy(), atol=1e-4)
        right = (network(one.test[0]).argmax(1) == one.test[1]).float().mean()
        found = last.measured[0, ARMS.index(name), MEASURES.index("accuracy")]
        assert found == pytest.approx(float(right))
    # equal updates, and no test image
    assert len(fitted) == len(NETWORKS) and all(torch.equal(call[1], fitted[0][1]) for call in fitted)
    assert {call[3] for call in fitted} == {1}
    layers = [tuple(call[6]) for call in fitted]
    assert layers == [(3,), (0,), (1,), (2,), (3,), (0, 1, 2, 3), (3,), (3,), (0, 1, 2, 3)]
    seen = contents(torch.cat([fitted[0][1], one.validation[0]]))
    assert not seen & contents(one.test[0])
    assert np.isfinite(last.measured).all()
    measured = idea.metrics(SHORT, [last])
    assert all(0 < measured[f"{arm}_auroc"] <= 1 for arm in ARMS if arm not in BY_DEPTH)


@pytest.mark.parametrize("config", [SHORT, IMAGENET])
def test_two_classes_are_left_out_and_no_outlier_that_is_known_is_tested(
    config: VirtualOutliersConfig,
) -> None:
    one, other = training.prepare(config, 0), training.prepare(config, 1)
    assert len(one.classes) == 10 - LEFT_OUT and int(one.train[1].max()) + 1 == 10 - LEFT_OUT
    assert one.test[1].max() == 7
    assert len(one.train[0]) + len(one.known["near"]) == config.train_size
    assert len(one.test[0]) + len(one.outliers["near"]) == config.test_size
    assert len(one.validation[0]) < VALIDATION
    assert not torch.equal(one.outliers["near"][:5], other.outliers["near"][:5])
    for kind, images in one.known.items():
        tested = contents(one.outliers[kind])
        assert not contents(images) & tested and len(tested) >= (80 if config == IMAGENET else 30), kind


def test_claims_about_one_layer_have_the_published_weight() -> None:
    for cell in (cell for study in idea.studies for cell in study.cells if cell.claim != "weights"):
        assert (cell.config.weight == 0.1) == bool({*cell.arms} & {*ALONE})


def test_impossible_settings_are_refused_in_a_sentence() -> None:
    with pytest.raises(SettingError, match="neighbours must be below 40, a tenth of train_size 400"):
        VirtualOutliersConfig(train_size=400, neighbours=40)
    with pytest.raises(SettingError, match="width must be a multiple of 4, got 6"):
        VirtualOutliersConfig(width=6)
    with pytest.raises(SettingError, match="train_size must be at most 3,200 on photographs"):
        IMAGENET.replace(train_size=4000)


def test_the_demo_finds_a_cat_and_a_digit_real_and_coins_and_noise_not() -> None:
    cat, coins = (
        inference.read("photographs", layer_features.small(gallery.photographs()[name].read().pixels))
        for name in ("cat", "coins")
    )
    assert inference.load("photographs").classes[cat.prediction] == "cat"
    assert cat.combined > 30 and 0 <= cat.depth <= 4 and coins.combined < 2
    digit, noise = (inference.read("digits", inference.examples()[name]) for name in ("7", "noise"))
    assert digit.combined > 5 and noise.combined < 5
    assert digit.depth == 0 and set(digit.votes) == {digit.prediction}
