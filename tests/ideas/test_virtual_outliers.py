"""Virtual outliers: what is trained on what, the invariants of the brief, and the demo."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from mlcv_explore.config import SettingError
from mlcv_explore.data import gallery
from mlcv_explore.ideas.virtual_outliers import (
    ALONE,
    ARMS,
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
from mlcv_explore.metrics.outlier_detection import auroc
from mlcv_explore.models import virtual_outliers
from mlcv_explore.models.layered_network import LayeredNetwork
from tests.calls import recorded

SHORT = VirtualOutliersConfig(train_size=400, test_size=200, epochs=4, width=4, neighbours=5, start=0.5)


@functools.cache
def parts() -> training.Parts:
    """A seed's images; no test changes them."""
    return training.prepare(SHORT, 0)


def weights(name: str, config: VirtualOutliersConfig = SHORT) -> dict[str, torch.Tensor]:
    """What one arm's network has learned."""
    return training.trained(config, parts(), name, 0).state_dict()


def test_the_names_of_arms_and_measures_are_those_of_their_tables() -> None:
    assert tuple(arm.name for arm in claims.ARM_TABLE) == ("energy", "msp", *ARMS[2:])
    assert {arm.name for arm in claims.ARM_TABLE} == {*ARMS}
    assert tuple(measure.name for measure in claims.MEASURE_TABLE) == MEASURES


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
    plain, third = (training.trained(config, stored, name, 0).state_dict() for name in ("energy", "vos_3"))
    same = {key for key, value in plain.items() if torch.equal(third[key], value)}
    assert {key for key in plain if key.startswith(("heads.0", "heads.1", "heads.3"))} <= same
    assert not {key for key in plain if key.startswith("heads.2")} & same


@functools.cache
def plain() -> training.Opened:
    """The network without outliers, and its features."""
    return training.opened(training.trained(SHORT, parts(), "energy", 0), parts())


def test_scores_without_outliers_by_hand() -> None:
    """From the inverse covariance, all distances, and validation images as the reference."""
    found: dict[str, list[np.ndarray]] = {}
    training._untrained(plain(), parts(), lambda name, scores: found.update({name: scores}) or {})
    own, labels, head = plain(), parts().train[1], plain().network.heads[-1]

    def apart(layer: int, group: list[torch.Tensor]) -> np.ndarray:
        gaussians = virtual_outliers.fit(own.train[layer], labels, 8)
        means = torch.stack([own.train[layer][labels == label].mean(0) for label in range(8)])
        inverse, away = torch.linalg.inv(gaussians.root @ gaussians.root.T), group[layer][:, None] - means
        return -torch.einsum("nki,ij,nkj->nk", away, inverse, away).amin(1).numpy()

    def fifth(layer: int, group: list[torch.Tensor]) -> np.ndarray:
        return -torch.cdist(group[layer], own.train[layer]).sort(1).values[:, 4].numpy()

    def spread(score: Callable[..., np.ndarray], *about: Any) -> np.ndarray:
        values, reference = (score(*about, group) for group in (group, own.groups[0]))
        return (values - reference.mean()) / reference.std()

    def energy(group: list[torch.Tensor]) -> np.ndarray:
        return head(group[-1]).exp().sum(1).log().numpy()

    for place, group in enumerate(own.groups):
        layers, near = ([spread(score, layer) for layer in range(4)] for score in (apart, fifth))
        expected = {
            "msp": head(group[-1]).softmax(1).max(1).values.numpy(),
            "energy": energy(group),
            "mahalanobis_last": apart(3, group),
            "mahalanobis": np.mean(layers, 0),
            "mixed": np.mean([*layers[:3], spread(energy)], 0),
            "fusion": np.mean(near, 0),
        }
        for name, values in expected.items():
            assert np.allclose(found[name][place], values, rtol=0.02, atol=0.02), (name, place)


def test_prediction_depth_by_hand_in_every_group() -> None:
    for group, depths in zip(plain().groups, training.depth_of(SHORT, plain(), parts()), strict=True):
        predicted, wrong = plain().network.heads[-1](group[-1]).argmax(1), []
        for known, values in zip(plain().train, group, strict=True):
            votes = parts().train[1][torch.cdist(values, known).argsort(1)[:, : SHORT.neighbours]].tolist()
            wrong.append([max(own, key=own.count) for own in votes] != predicted.numpy())
        expected = (np.array(wrong) * np.arange(1, 5)[:, None]).max(0)
        assert (expected == depths).mean() > 0.98  # but for neighbours equally far


def test_every_arm_is_given_its_own_outliers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the class of each image, of the features of that epoch, from a stream of its own."""
    given: dict[str, tuple[LayeredNetwork, Any]] = {}
    streams = recorded(monkeypatch, training, "stream")
    likely = recorded(monkeypatch, training.virtual_outliers, "least_likely")

    def train(network: LayeredNetwork, *about: Any) -> None:
        outliers = about[4]
        if outliers is not None:
            outliers()
            for parameter in network.parameters():
                parameter.data.mul_(1.5)  # as training would change it between two epochs
            given[name] = network, outliers()(torch.arange(50))

    monkeypatch.setattr(training, "train", train)
    for name in NETWORKS:
        training.trained(SHORT, parts(), name, 7)
    keys = [call[:2] for call in streams]
    assert len({*keys}) == len(keys) == len(NETWORKS) and all(
        seed == 7 and key != "order" for seed, key in keys
    )
    images, labels = parts().train
    assert len(likely) == 8 and all(torch.equal(call[1], labels[:50]) for call in likely)
    network, drawn = given["vos_last"]
    gaussians = virtual_outliers.fit(network.features(images)[-1].detach(), labels, 8)
    away = gaussians.distances(drawn[3])
    radii = away.gather(1, labels[:50, None]).sqrt() / virtual_outliers.typical_radius(gaussians, SHORT.draws)
    assert radii.min() > 0.8 and radii.max() < 1.6 and drawn.keys() == {3}
    assert given["several"][1].keys() == {0, 1, 2, 3}
    network, drawn = given["real_features"]
    assert torch.cdist(drawn[3], network.features(images)[-1]).amin(1).max() < 0.01
    network, drawn = given["oracle"]
    known = network.features(torch.cat(list(parts().known.values())))
    assert torch.cdist(drawn[3], known[3]).amin(1).max() < 0.01


def test_references_are_validation_images_and_measures_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("standardised", "known", "virtual", "fitted_weights", "rank_correlation", "rates", "opened")
    calls = {name: recorded(monkeypatch, training, name) for name in names}
    shares = recorded(monkeypatch, training.virtual_outliers, "share_less_likely")
    (*_, last) = training.run(SHORT.replace(epochs=1, start=0.0), (0,))
    one, count = parts(), len(parts().validation[0])
    assert all(call[1].shape[1] == count for call in calls["standardised"])
    assert [len(calls[name]) for name in ("known", "virtual")] == [1, 1]
    assert [call[1].shape[1] for call in calls["fitted_weights"]] == [
        count,
        sum(map(len, one.known.values())),
    ]
    assert all(len(first) == len(second) == len(one.test[0]) for first, second in calls["rank_correlation"])
    assert all(len(call[1]) == count and call[3] == SHORT.draws for call in shares)
    rated = {call[0]: call[1] for call in calls["rates"]}
    for layer, name in enumerate(VOS):  # each at its own layer
        network = calls["opened"][NETWORKS.index(name)][0]
        expected = network.log_odds(network.features(one.test[0])[layer], layer)
        assert np.allclose(rated[name][1], expected.numpy(), atol=1e-4)
        right = (network(one.test[0]).argmax(1) == one.test[1]).float().mean()
        found = last.measured[0, ARMS.index(name), MEASURES.index("accuracy")]
        assert found == pytest.approx(float(right))


def test_photographs_known_are_not_those_tested_and_studies_keep_the_published_weight() -> None:
    one = training.prepare(IMAGENET, 0)
    for kind in one.known:
        known, tested = (
            {each.numpy().tobytes() for each in part[kind]} for part in (one.known, one.outliers)
        )
        assert not known & tested and len(tested) >= 80, kind
    for cell in (cell for study in idea.studies for cell in study.cells if cell.claim != "weights"):
        assert (cell.config.weight == 0.1) == bool({*cell.arms} & {*ALONE})


def test_every_network_has_equal_updates_and_no_test_image(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, fits = recorded(monkeypatch, training, "train"), recorded(monkeypatch, training, "fitted_weights")
    (*_, last) = training.run(SHORT.replace(epochs=1, start=0.0), (0,))
    assert len(calls) == len(NETWORKS) and all(torch.equal(call[1], calls[0][1]) for call in calls)
    assert {call[3] for call in calls} == {1}
    names = [tuple(call[6]) for call in calls]
    assert names == [(3,), (0,), (1,), (2,), (3,), (0, 1, 2, 3), (3,), (3,), (0, 1, 2, 3)]
    seen = {image.numpy().tobytes() for image in (*calls[0][1], *parts().validation[0])}
    assert not seen & {image.numpy().tobytes() for image in parts().test[0]}
    for kind, images in parts().known.items():  # the oracle knows other images of the same kinds
        own = {image.numpy().tobytes() for image in images}
        assert not own & {image.numpy().tobytes() for image in parts().outliers[kind]}, kind
    assert [real.shape[1] for real, _ in fits] == [len(parts().validation[0])] * 2
    assert np.isfinite(last.measured).all()
    measured = idea.metrics(SHORT, [last])
    assert all(0 < measured[f"{arm}_auroc"] <= 1 for arm in ARMS[:-2])


def test_two_classes_are_left_out_of_training_and_validation() -> None:
    one = parts()
    assert training.classes(one) == 10 - LEFT_OUT and one.test[1].max() == 7
    assert len(one.train[0]) + len(one.known["near"]) == SHORT.train_size
    assert len(one.test[0]) + len(one.outliers["near"]) == SHORT.test_size
    assert len(one.validation[0]) < VALIDATION
    other = training.prepare(SHORT, 1)
    assert not torch.equal(one.outliers["near"][:5], other.outliers["near"][:5])


def test_virtual_outliers_alone_fit_the_weights_of_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    network = training.trained(SHORT, parts(), "several", 0)
    own = training.opened(network, parts())
    drawn = recorded(monkeypatch, training.virtual_outliers, "least_likely")
    found = training.virtual(SHORT, own, parts(), 0)
    assert found.shape == (4, len(parts().validation[0])) and [call[2] for call in drawn] == [SHORT.draws] * 4
    assert all(torch.equal(call[1], parts().validation[1]) for call in drawn)
    odds = own.over(own.log_odds)
    scores = training.combined(odds, found)
    assert [len(each) for each in scores] == [len(group) for group in parts().groups]
    single = training.combined([each[2:3] for each in odds], found[2:3])
    assert auroc(single[1], single[2]) == pytest.approx(auroc(odds[1][2], odds[2][2]))


def test_rates_average_near_and_far_and_depths_see_their_own_images() -> None:
    draws = np.random.default_rng(0)
    scores = [draws.normal(size=50), draws.normal(size=60) + 1, *(draws.normal(size=40) for _ in range(4))]
    depths = [np.zeros(50, int), np.arange(60) % 5, *(np.arange(40) % 5 for _ in range(4))]
    found = training.rates("one", scores, depths)
    kinds = [auroc(scores[1], each) for each in scores[2:]]
    assert found["one", "near"] == kinds[0] and found["one", "far"] == pytest.approx(np.mean(kinds[1:]))
    assert found["one", "auroc"] == pytest.approx((kinds[0] + np.mean(kinds[1:])) / 2)
    deep = [each[where >= 2] for each, where in zip(scores[1:], depths[1:], strict=True)]
    kinds = auroc(deep[0], deep[1]), auroc(deep[0], np.concatenate(deep[2:]))
    assert found["one", "deep"] == pytest.approx(np.mean(kinds))
    same = training.rates("one", [scores[0], scores[1], *[scores[1]] * 4], [depths[0], *[depths[1]] * 5])
    assert same["one", "auroc"] == 0.5  # real against real
    few = [np.zeros(50, int), np.zeros(60, int), *[np.zeros(40, int)] * 4]
    assert training.rates("one", scores, few)["one", "deep"] == 0.5


def test_the_best_layer_rises_where_deep_images_are_told_apart_later() -> None:
    draws = np.random.default_rng(1)
    depths = [np.zeros(9, int), *[np.arange(600) % 4] * 3]

    def odds(count: int, shift: float) -> np.ndarray:
        best = np.where(np.arange(count) % 4 < 2, 1, 3)  # layer 2 of shallow, layer 4 of deep images
        return draws.normal(size=(4, count)) + shift * (np.arange(4)[:, None] == best)

    groups = [odds(9, 0), odds(600, 2), odds(600, -2), odds(600, -2)]
    assert training.rise(groups, depths) == 2 and training.rise(groups, [3 - each for each in depths]) == -2
    dealt = [training.rise(groups, training.shuffled(depths, seed)) for seed in range(20)]
    assert abs(np.mean(dealt)) < 1


def test_impossible_settings_are_refused_in_a_sentence() -> None:
    with pytest.raises(SettingError, match="neighbours must be below 40, a tenth of train_size 400"):
        VirtualOutliersConfig(train_size=400, neighbours=40)
    with pytest.raises(SettingError, match="width must be a multiple of 4, got 6"):
        VirtualOutliersConfig(width=6)
    with pytest.raises(SettingError, match="train_size must be at most 3,200 on photographs"):
        IMAGENET.replace(train_size=4000)


def test_the_demo_finds_a_cat_real_and_coins_and_noise_not() -> None:
    known = inference.load("photographs")
    cat, coins = (
        inference.read("photographs", inference.photograph(gallery.photographs()[name].read().pixels))
        for name in ("cat", "coins")
    )
    assert known.classes[cat.prediction] == "cat" and cat.combined > 30 and 0 <= cat.depth <= 4
    assert coins.combined < 2
    digit = inference.read("digits", inference.example("7"))
    assert digit.combined > 5 and inference.read("digits", inference.example("noise")).combined < 5
    assert digit.depth == 0 and set(digit.votes) == {digit.prediction}
    assert np.allclose(
        digit.odds,
        inference.load("digits").opened.network.slopes.numpy() * digit.energies
        + inference.load("digits").opened.network.offsets.numpy(),
        atol=1e-5,
    )


def test_the_map_is_of_its_layer_and_percentiles_count_real_images() -> None:
    reading, demo = inference.read("digits", inference.example("noise")), inference.load("digits")
    first, last = (inference.cloud("digits", reading, layer, 10_000) for layer in (0, 3))
    assert not np.allclose(first.real, last.real) and first.shrinkage != last.shrinkage
    expected = [100 * (own < value).mean() for own, value in zip(demo.odds, reading.odds, strict=True)]
    assert reading.percentiles == pytest.approx(expected)


def test_less_likely_outliers_lie_farther_out_and_fewer_real_features_beyond() -> None:
    reading = inference.read("digits", inference.example("7"))
    clouds = [inference.cloud("digits", reading, 3, draws) for draws in (1, 1000, 1_000_000)]
    assert [each.radius for each in clouds] == sorted(each.radius for each in clouds)
    assert clouds[0].radius == pytest.approx(1)
    shares = [each.less_likely for each in clouds]
    assert shares == sorted(shares, reverse=True) and len(VOS) == 4
