"""Idea 8: the author's example by hand, arms that must be equal, that no test image is
trained on, and the demo's checkpoints.
"""

import dataclasses
import functools
import itertools

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.data.few_labels import FewLabels
from mlcv_explore.data.partners import Batch
from mlcv_explore.data.scene_tensors import generate
from mlcv_explore.data.small_images import SmallImage, from_images
from mlcv_explore.ideas.feature_mixing import idea, inference, tables, training
from mlcv_explore.ideas.feature_mixing import settings as names
from mlcv_explore.ideas.feature_mixing.settings import ARMS, CORE, FeatureMixingConfig
from mlcv_explore.metrics import classification
from mlcv_explore.models import scene_pasting
from mlcv_explore.models.contrastive_views import codes
from mlcv_explore.models.decoded_demo import DATASETS, DecodedDemo
from mlcv_explore.models.encoders import build_networks
from mlcv_explore.models.losses import soft_cross_entropy
from mlcv_explore.seeds import numpy_stream
from tests.calls import recorded

SHORT = FeatureMixingConfig(dataset="digits", steps=10, width=16, labels=5, batch_size=20, weight=0.5)
PHOTOGRAPHS = SHORT.replace(dataset="cifar10_features", width=8)
SEEDS = (0, 1)
TWO_BY_TWO = ([0.5, 0.6], [0.6, 0.7], [0.55, 0.65], [0.7, 0.9])  # accuracies of two seeds


@functools.cache
def labelled(dataset: str, labels: int) -> FewLabels:
    """The data of a run, read and split once for all tests; none changes them."""
    return training.load(FeatureMixingConfig(dataset=dataset, labels=labels), SEEDS)


def trained(name: str, config: FeatureMixingConfig, steps: int = 0) -> tuple[training.ArmTrainer, Batch]:
    """An arm after some steps, and its next batch."""
    about = config.batch_size, config.images - 1, config.partners
    batches = labelled(config.dataset, config.labels).batches(SEEDS, *about)
    start = build_networks("dense", (1, 8, 8), config.width, 10, SEEDS)
    arm = training.ArmTrainer(name, config, start, SEEDS)
    for batch in itertools.islice(batches, steps):
        arm.step(batch)
    return arm, next(batches)


def flat(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def weights(name: str, config: FeatureMixingConfig) -> torch.Tensor:
    """All parameters of an arm after three steps."""
    return flat(trained(name, config, 3)[0].networks)


def test_the_authors_example() -> None:
    columns = list(tables.scaling_example().values())[1:]
    by_hand = ["0.000", "0.333", "0.667", "0.000"], ["0.157", "0.259", "0.427", "0.157"]  # sum, softmax
    for place, row in enumerate((*by_hand, ["0.000", "0.000", "1.000", "0.000"])):
        assert [column[place] for column in columns] == row


def test_where_nothing_is_mixed_every_arm_is_the_baseline_bit_for_bit() -> None:
    plain = weights("plain", SHORT)
    for arm in ("soft", "mixed", "both", "smoothing", "matched", "separate", "scrambled"):
        assert torch.equal(weights(arm, SHORT.replace(weight=0.0, smoothing=0.0)), plain), arm
        assert not torch.equal(weights(arm, SHORT), plain), arm
        if arm not in names.SMOOTHED:  # which need no partner
            assert torch.equal(weights(arm, SHORT.replace(images=1)), plain), arm
    softmax = SHORT.replace(weight=0.0, scaling="softmax")
    assert not torch.equal(weights("both", softmax), plain) and torch.equal(weights("mixed", softmax), plain)
    same = SHORT.replace(partners="same")  # labels stay hard, features are mixed
    plain, mixed = weights("plain", same), weights("mixed", same)
    assert torch.equal(weights("soft", same), plain) and torch.equal(weights("both", same), mixed)
    assert not torch.equal(mixed, plain)


def test_the_arm_both_is_the_formula_written_out() -> None:
    arm, batch = trained("both", SHORT.replace(images=3, weight=0.8))
    inputs = (batch.inputs, batch.partners[:, :20], batch.partners[:, 20:])
    own, *partners = (arm.networks.partial_forward(values, 0, 2)[1] for values in inputs)
    features = own + 0.8 * (partners[0] + partners[1]) / 2
    labels = batch.labels[1] + 0.4 * batch.partner_labels[1, 0] + 0.4 * batch.partner_labels[1, 1]
    logits = features @ arm.networks.weights[2][1].T + arm.networks.biases[2][1].T
    logits = logits.relu() @ arm.networks.weights[3][1].T + arm.networks.biases[3][1].T
    by_hand = -(labels / 1.8 * logits.log_softmax(-1)).sum(-1)
    torch.testing.assert_close(arm.losses(batch)[1], by_hand, rtol=1e-4, atol=1e-5)


def test_arms_differ_in_targets_as_declared() -> None:
    _, batch = trained("plain", SHORT)
    targets = {name: trained(name, SHORT)[0].targets(batch) for name in (*CORE, *names.SMOOTHED, "scrambled")}
    assert torch.equal(targets["plain"], targets["mixed"]) and torch.equal(targets["soft"], targets["both"])
    assert torch.equal(targets["plain"], batch.labels) and not torch.equal(targets["soft"], batch.labels)
    unrelated = (batch.labels + 0.5 * batch.unrelated_labels) / 1.5
    torch.testing.assert_close(targets["scrambled"], unrelated)
    assert not torch.equal(targets["scrambled"], targets["soft"])
    for name, strength in (("matched", 1 / 3), ("smoothing", 0.05)):  # λ/(1 + λ), and ε
        torch.testing.assert_close(targets[name], (1 - strength) * batch.labels + strength / 10)


def test_images_separately_have_the_weights_of_the_mixture() -> None:
    arm, batch = trained("separate", SHORT)
    own = soft_cross_entropy(arm.networks(batch.inputs), batch.labels)
    partners = soft_cross_entropy(arm.networks(batch.partners), batch.partner_labels[:, 0])
    torch.testing.assert_close(arm.losses(batch), (own + 0.5 * partners) / 1.5)


@pytest.mark.parametrize("name", ["input_mixup", "cutmix", "manifold"])
def test_a_baseline_draws_anew_at_every_step(name: str) -> None:
    arm, batch = trained(name, SHORT)
    drawn = arm.losses(batch)
    arm.steps = 1
    assert not torch.equal(arm.losses(batch), drawn)


def test_only_the_layers_above_the_depth_learn_when_the_encoder_is_frozen() -> None:
    arm, batch = trained("both", SHORT.replace(tuned=False))
    before = [parameter.detach().clone() for parameter in arm.networks.weights]
    arm.step(batch)
    changed = [not torch.equal(now, old) for now, old in zip(arm.networks.weights, before, strict=True)]
    assert changed == [False, False, True, True]


def test_the_encoder_starts_as_it_was_pretrained() -> None:
    losses = {
        (kind, steps): next(idea.run(SHORT.replace(encoder=kind, pretraining=steps), (0,))).loss.tobytes()
        for kind, steps in itertools.product(names.ENCODERS, (0, 3))
    }
    assert len({losses[kind, 3] for kind in names.ENCODERS}) == len(names.ENCODERS)
    assert len({losses["random", 3], *(losses[kind, 0] for kind in names.ENCODERS)}) == 1


def test_the_oracle_has_every_label_and_as_many_steps() -> None:
    film = list(idea.run(SHORT.replace(steps=30, width=32, batch_size=50, learning_rate=0.02), (0,)))
    assert [frame.stage for frame in film] == ["mixing"] * 20 + ["coarser"] and film[-1].steps == 21
    accuracy = film[-1].measured[0, :, 0]
    assert accuracy[ARMS.index("oracle")] > accuracy[0] + 0.04  # 600 labels against 50
    assert not film[-3].scaled.any() and (film[-1].scaled > 0).all()  # temperatures are fitted at the end
    without = SHORT.replace(baselines=False)
    kept = idea.metrics(without, list(idea.run(without, (0,))))
    assert {name.rpartition("_")[0] for name in kept} == {*CORE, *names.SMOOTHED, "scrambled"}


def test_an_arm_that_diverges_is_named_with_what_to_do() -> None:
    arm, batch = trained("both", SHORT)
    with torch.no_grad():
        arm.networks.weights[3][1, 0, 0] = torch.inf
    arm.step(batch)
    sentence = r"both arm diverged.* at step 7 for 1 of 2 seeds; lower learning_rate \(0.003\)"
    with pytest.raises(FloatingPointError, match=sentence):
        training.evaluate({}, {"both": arm}, labelled("digits", SHORT.labels), 7)


def test_a_temperature_is_fitted_to_validation_images(monkeypatch: pytest.MonkeyPatch) -> None:
    arm, _ = trained("plain", SHORT, 80)
    images, arrays = labelled("digits", SHORT.labels), {"measured": np.zeros((2, len(ARMS), 3))}
    arrays |= {name: np.zeros((2, len(ARMS))) for name in ("loss", "validation", "scaled")}
    fitted = recorded(monkeypatch, classification, "inverse_temperature")
    training.evaluate(arrays, {"plain": arm}, images, SHORT.steps)
    ((logits, labels),) = fitted
    assert np.array_equal(labels, images.split.validation.labels) and logits.shape == (2, len(labels), 10)
    assert (arrays["scaled"][:, 0] < arrays["measured"][:, 0, 1]).all()  # too certain or too little


def test_no_test_image_changes_what_is_trained_or_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    config, real = SHORT.replace(experiment="contrastive", contrast_steps=10), data.split_own

    def other(*arguments: object) -> data.Split:
        """The split with other test images and labels."""
        test = (split := real(*arguments)).test
        changes = {"images": test.images[:, :, ::-1].copy(), "labels": np.roll(test.labels, 1)}
        return dataclasses.replace(split, test=dataclasses.replace(test, **changes))

    def outcome() -> tuple[list, tuple]:
        probed = codes("probe_mixed", config, training.load(config, [0]), [0])
        return list(idea.run(SHORT, (0,))), probed

    film, probed = outcome()
    monkeypatch.setattr(data, "split_own", other)
    changed_film, changed = outcome()
    for before, after in zip(film, changed_film, strict=True):
        for name in ("validation", "loss", "cloud"):
            assert np.array_equal(getattr(before, name), getattr(after, name)), name
    for name in ("measured", "scaled"):
        assert not np.array_equal(getattr(film[-1], name), getattr(changed_film[-1], name)), name
    same = [np.array_equal(own, other) for own, other in zip(probed, changed, strict=True)]
    assert same == [True, True, False]
    for place, frame in enumerate(film[:-1]):  # validation is best in the third part, test in the last
        frame.validation[:] = 0.9 if place == 2 else 0.1
        frame.measured[..., 0] = place / 100
    columns = idea.metrics(SHORT, film)
    assert all(columns[f"{arm}_stopped"] == pytest.approx(0.02) for arm in ARMS)
    assert columns["both_accuracy"] == film[-1].measured[0, 3, 0]


@pytest.mark.parametrize(
    ("config", "least"),
    [
        (SHORT.replace(steps=200, width=32), 0.6),
        # of vehicles and animals, which are six in ten
        (PHOTOGRAPHS.replace(steps=30, learning_rate=0.01, width=32, depth=1), 0.75),
    ],
)
def test_the_second_network_learns_coarse_classes_on_features_that_stay(
    config: FeatureMixingConfig, least: float
) -> None:
    images = labelled(config.dataset, config.labels)
    encoder = build_networks("dense", images.images["train"].shape[1:], config.width, 10, SEEDS)
    before = flat(encoder).clone()
    assert (training.train_coarse(config, encoder, images, SEEDS)[:, :, 0] > least).all()
    assert torch.equal(flat(encoder), before)


def test_the_effects_are_those_of_a_two_by_two_table() -> None:
    values = {f"{arm}_accuracy": np.array(column) for arm, column in zip(CORE, TWO_BY_TWO, strict=True)}
    mixed, soft, interaction, gain = (effect.mean for effect in tables.effects(values).values())
    assert (mixed, soft) == (pytest.approx(0.1), pytest.approx(0.15))
    assert interaction == pytest.approx(0.1) and mixed + soft == pytest.approx(gain)
    assert tables.soft_label_shares(values) is None  # two seeds: the gain may be below a point
    draws = numpy_stream(0, "jitter").standard_normal((4, 40))
    many = {arm: np.tile(values[arm], 20) + 0.001 * draw for arm, draw in zip(values, draws, strict=True)}
    plain, soft, mixed, both = many.values()
    alone, averaged = tables.soft_label_shares(many)
    assert alone.mean == pytest.approx((soft - plain).mean() / (both - plain).mean())
    assert averaged.mean == pytest.approx((soft - plain + both - mixed).mean() / 2 / (both - plain).mean())


def test_features_of_photographs_are_trained_on_as_they_are_stored() -> None:
    """64 numbers a photograph, not divided by 255; all of the official test part."""
    images = training.load(FeatureMixingConfig(labels=3), (0,))
    shapes = [tuple(images.images[part].shape) for part in ("train", "validation", "test")]
    assert shapes == [(5000, 64), (1000, 64), (2000, 64)] and images.labelled.shape == (1, 30)
    assert 0.8 < float(images.images["train"].var(0).mean()) < 1.2
    official = data.load("cifar10_features").test.as_float()
    assert torch.equal(images.images["test"].sort(0).values, official.sort(0).values)


def test_on_features_every_arm_is_trained_but_those_that_need_pixels() -> None:
    film = list(idea.run(PHOTOGRAPHS, (0,)))
    columns = idea.metrics(PHOTOGRAPHS, film)
    arms = [arm for arm in ARMS if arm != "cutmix"]
    assert [name for name in columns if name.endswith("_stopped")] == [f"{arm}_stopped" for arm in arms]
    assert "cutmix_accuracy" not in columns and not film[-1].measured[:, ARMS.index("cutmix")].any()
    assert len(np.unique(film[-1].measured[0], axis=0)) == len(ARMS)  # each arm at a place of its own
    for arm in arms:
        assert columns[f"{arm}_nll"][0] == film[-1].measured[0, ARMS.index(arm), 1] > 0
    every, digits = (config.replace(experiment="all") for config in (PHOTOGRAPHS, SHORT))
    assert every.stages == ("mixing", "paste") and digits.stages == names.EXPERIMENTS[:3]
    assert every.frames == PHOTOGRAPHS.frames + 5 == len(film) + 5


def test_both_studies_are_on_features_and_digits_stand_beside_them() -> None:
    """The same claims with ten and fifty labels, on seeds that no earlier look had used;
    each data set at the learning rate that is its own where none is set.
    """
    live, photographs = idea.studies
    assert live.cells[0].config == FeatureMixingConfig(learning_rate=FeatureMixingConfig().rate)
    assert {cell.config for cell in photographs.cells} == {live.cells[0].config.replace(labels=50)}
    assert live.seeds == photographs.seeds == tuple(range(700, 720))
    (digits,) = (cell.config for cell in live.cells if cell.claim == "digits")
    assert (digits.dataset, digits.rate, SHORT.rate) == ("digits", 0.003, 0.003)
    assert FeatureMixingConfig().rate == 0.0003 and FeatureMixingConfig(learning_rate=0.02).rate == 0.02


def test_test_scenes_are_none_of_the_training_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [recorded(monkeypatch, module, "generate") for module in (scene_pasting, training)]
    list(training.paste_scenes(FeatureMixingConfig(scenes=40, test_scenes=50, paste_steps=2), (0,)))
    taught, tested = (
        {image.numpy().tobytes() for asked in made for image in generate(*asked).images} for made in calls
    )
    assert len(tested) == 50 and len(taught) == 40 and not taught & tested


REFUSED = {  # sentence → settings
    "labels must be at most 59": {"labels": 80, "dataset": "digits"},
    r"labels must be at most 499 on cifar10_features \(5,000 training images": {"labels": 500},
    "experiment must be mixing, paste or all on cifar10_features, vectors": {"experiment": "contrastive"},
    "encoder must be random or autoencoder on .* without pixels, got 'rotation'": {"encoder": "rotation"},
    "network must be dense on cifar10_features, vectors without pixels": {"network": "convolutional"},
    "at most the 3 labelled images of a class": {"partners": "same", "labels": 3, "images": 4},
}


@pytest.mark.parametrize(("sentence", "changes"), REFUSED.items())
def test_impossible_combinations_are_rejected_in_a_sentence(sentence: str, changes: dict) -> None:
    with pytest.raises(SettingError, match=sentence) as refusal:
        FeatureMixingConfig(**changes)
    assert "\n" not in str(refusal.value)


def demo(name: str, count: int = 2) -> tuple[DecodedDemo, list[SmallImage]]:
    shown = inference.demo(name)
    return shown, [from_images(shown.test, number) for number in range(count)]


@pytest.mark.parametrize("name", DATASETS)
def test_at_weight_0_the_mixture_is_the_first_image_and_its_trail_starts_there(name: str) -> None:
    shown, (first, second) = demo(name)
    for depth in range(4):
        mixture = inference.mix(shown, first, (second,), inference.MixSettings(weight=0.0, depth=depth))
        np.testing.assert_allclose(mixture.place, mixture.ends[0], atol=1e-4)
        np.testing.assert_allclose(mixture.trail[0], mixture.ends[0], atol=1e-4)
        assert mixture.target.tolist() == np.eye(len(shown.classes))[first.label].tolist()
        alone = inference.mix(shown, first, (), inference.MixSettings(depth=depth))
        np.testing.assert_allclose(alone.image, mixture.image, atol=1e-6)


def test_distance_is_in_units_of_a_test_images_and_grows_with_the_weight() -> None:
    shown, inputs = demo("digits", 40)
    alone = [inference.mix(shown, image, (), inference.MixSettings()).distance for image in inputs]
    assert np.median(alone) == pytest.approx(1, abs=0.25)
    far = inference.mix(shown, inputs[0], (inputs[1],), inference.MixSettings(weight=2.0))
    assert far.distance > 2 and far.novelty_percentile == 1


def test_an_empty_rectangle_pastes_nothing_and_a_full_one_is_the_partner() -> None:
    shown, (first, second) = demo("scenes")
    settings = [inference.MixSettings("rectangle", depth=1, area=area) for area in (0.0, 1.0)]
    empty, full = (inference.mix(shown, first, (second,), options) for options in settings)
    assert not empty.pasted.any() and empty.target.argmax() == first.label and empty.target.max() == 1
    np.testing.assert_allclose(empty.place, empty.ends[0], atol=1e-4)
    np.testing.assert_allclose(full.place, full.ends[1], atol=1e-4)
    assert full.target.tolist() == np.eye(4)[second.label].tolist() and len(full.trail) == 0
    pasted = inference.mix(shown, first, (second,), inference.MixSettings("object", depth=0))
    inside = second.mask > 0
    np.testing.assert_allclose(pasted.image[:, inside], second.image[:, inside], atol=1e-6)
    np.testing.assert_allclose(pasted.image[:, ~inside], first.image[:, ~inside], atol=1e-6)


def test_several_partners_share_one_weight() -> None:
    shown, inputs = demo("digits", 4)
    mixture = inference.mix(shown, inputs[0], inputs[1:], inference.MixSettings("convex", 0.6, 0))
    by_hand = (inputs[0].image + 0.2 * sum(image.image for image in inputs[1:])) / 1.6
    np.testing.assert_allclose(mixture.image, by_hand, atol=1e-5)
    labels = np.eye(10)[[image.label for image in inputs]]
    np.testing.assert_allclose(mixture.target, (labels[0] + 0.2 * labels[1:].sum(0)) / 1.6, atol=1e-6)
    unlabelled = dataclasses.replace(inputs[1], label=None)
    guessed = inference.mix(shown, inputs[0], (unlabelled,), inference.MixSettings())
    assert guessed.guessed == (False, True) and guessed.labels == (inputs[0].label, inputs[1].label)
