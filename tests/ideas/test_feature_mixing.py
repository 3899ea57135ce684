"""Idea 8: the formula by hand and its limits, arms that must be equal, that no test
image is trained on, and the demo's checkpoints.
"""

import copy
import dataclasses
import functools
import itertools

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.data.coarse import coarse
from mlcv_explore.data.few_labels import FewLabels
from mlcv_explore.data.partners import Batch
from mlcv_explore.data.small_images import SmallImage, from_images, from_photograph
from mlcv_explore.ideas.feature_mixing import copy_paste, idea, inference, mixing, tables, training, views
from mlcv_explore.ideas.feature_mixing import settings as names
from mlcv_explore.ideas.feature_mixing.settings import ARMS, CORE, PASTE_ARMS, FeatureMixingConfig
from mlcv_explore.models import detection, photograph_paths
from mlcv_explore.models.decoded_demo import DATASETS, DecodedDemo
from mlcv_explore.models.encoders import DenseNetworks, build_networks
from mlcv_explore.seeds import numpy_stream, stream

SHORT = FeatureMixingConfig(dataset="digits", steps=10, width=16, labels=5, batch_size=20)
PHOTOGRAPHS = SHORT.replace(dataset="cifar10_features", width=8)
SCENES = FeatureMixingConfig(scenes=40, test_scenes=50, paste_steps=2)
SEEDS = (0, 1)
TWO_BY_TWO = ([0.5, 0.6], [0.6, 0.7], [0.55, 0.65], [0.7, 0.9])  # accuracies of two seeds


def random(*shape: int, purpose: str = "test") -> torch.Tensor:
    return torch.randn(shape, generator=stream(0, purpose))


def one_hot(labels: list[int], classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).float()


def dense(width: int = 16, seeds: tuple[int, ...] = (0,)) -> DenseNetworks:
    return build_networks("dense", (1, 8, 8), width, 10, seeds)


@functools.cache
def labelled(dataset: str, labels: int) -> FewLabels:
    """The data of a run, read and split once for all tests; none changes them."""
    return training.load(FeatureMixingConfig(dataset=dataset, labels=labels), SEEDS)


def trained(name: str, config: FeatureMixingConfig, steps: int = 0) -> tuple[training.ArmTrainer, Batch]:
    """An arm after some steps, and its next batch."""
    about = config.batch_size, config.images - 1, config.partners
    batches = labelled(config.dataset, config.labels).batches(SEEDS, *about)
    arm = training.ArmTrainer(name, config, dense(config.width, SEEDS), SEEDS)
    for batch in itertools.islice(batches, steps):
        arm.step(batch)
    return arm, next(batches)


def flat(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def weights(name: str, config: FeatureMixingConfig) -> torch.Tensor:
    """All parameters of an arm after three steps."""
    return flat(trained(name, config, 3)[0].networks)


# --- the formula


def test_the_authors_example() -> None:
    columns = list(tables.scaling_example().values())[1:]
    by_hand = ["0.000", "0.333", "0.667", "0.000"], ["0.157", "0.259", "0.427", "0.157"]  # sum, softmax
    for place, row in enumerate((*by_hand, ["0.000", "0.000", "1.000", "0.000"])):
        assert [column[place] for column in columns] == row


@pytest.mark.parametrize(("classes", "share"), [(4, 0.475), (10, 0.232), (100, 0.027)])
def test_softmax_smooths_a_one_hot_label_even_at_weight_0(classes: int, share: float) -> None:
    own, other = one_hot([1], classes), one_hot([0], classes)
    smoothed = mixing.soft_labels(own, other, 0.0, "softmax")
    assert float(smoothed[0, 1]) == pytest.approx(share, abs=5e-4)
    assert torch.equal(mixing.soft_labels(own, other, 0.0, "sum_to_one"), own)


@pytest.mark.parametrize("scaling", names.SCALINGS)
@pytest.mark.parametrize("mode", names.MODES)
def test_labels_are_shares_that_sum_to_1_and_pairs_of_a_class_stay_hard(scaling: str, mode: str) -> None:
    own, other = one_hot([0, 1, 2], 4), torch.tensor([[0, 0.5, 0.5, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    for weight in (0.0, 0.3, 1.0, 2.0):
        labels = mixing.soft_labels(own, other, weight, scaling, 0.7, mode)
        assert (labels >= 0).all()
        torch.testing.assert_close(labels.sum(1), torch.ones(3))
        if scaling != "softmax":
            assert torch.equal(labels[1:], own[1:])
        if mode == "extrapolate" and scaling == "sum_to_one":
            torch.testing.assert_close(labels, own)


def test_weight_1_is_symmetric_and_the_largest_of_equals_is_the_own_label() -> None:
    first, second = random(3, 5), random(3, 5, purpose="b")
    own, other = one_hot([0, 1, 2], 4), one_hot([3] * 3, 4)
    assert torch.equal(mixing.mix_features(first, second, 1.0), mixing.mix_features(second, first, 1.0))
    swapped = mixing.soft_labels(other, own, 1.0, "sum_to_one")
    assert torch.equal(mixing.soft_labels(own, other, 1.0, "sum_to_one"), swapped)
    assert torch.equal(mixing.soft_labels(own, other, 1.0, "argmax"), own)
    assert torch.equal(mixing.soft_labels(own, other, 1.5, "argmax"), other)


def test_modes_by_hand_and_weight_0_changes_no_bit() -> None:
    first, second = torch.tensor([1.0, 4.0]), torch.tensor([3.0, 0.0])
    by_hand = {"sum": [2.5, 4.0], "convex": [5 / 3, 8 / 3], "extrapolate": [0.0, 6.0]}
    for mode, values in by_hand.items():
        torch.testing.assert_close(mixing.mix_features(first, second, 0.5, mode), torch.tensor(values))
        assert torch.equal(mixing.mix_features(first, second, 0.0, mode), first)


def test_before_a_linear_layer_mixing_only_mixes_logits_and_a_normalised_layer_ignores_the_scale() -> None:
    first, second, head = random(6, 8), random(6, 8, purpose="other"), torch.nn.Linear(8, 3)
    with torch.no_grad():
        mixed = head(mixing.mix_features(first, second, 0.5, "convex"))
        torch.testing.assert_close(mixed, mixing.mix_features(head(first), head(second), 0.5, "convex"))
        both = [mixing.mix_features(first, second, 0.5, mode) for mode in ("sum", "convex")]
        summed, convex = (torch.nn.functional.normalize(each, dim=-1) @ head.weight.T for each in both)
    torch.testing.assert_close(summed, convex)
    assert mixing.own_share(0.5) == pytest.approx(2 / 3)


def test_smoothing_is_the_mean_of_soft_labels_over_partners_of_every_class() -> None:
    own = one_hot([2], 10)
    every = [mixing.soft_labels(own, one_hot([label], 10), 0.5, "sum_to_one") for label in range(10)]
    torch.testing.assert_close(torch.stack(every).mean(0), mixing.smooth_labels(own, 0.5))
    assert torch.equal(mixing.smooth_labels(own, 0.0), own)
    logits, targets = torch.tensor([[0.0, np.log(3.0)]]), torch.tensor([[0.25, 0.75]])
    by_hand = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert float(mixing.soft_cross_entropy(logits, targets)) == pytest.approx(by_hand)


# --- arms


def test_where_nothing_is_mixed_every_arm_is_the_baseline_bit_for_bit() -> None:
    plain = weights("plain", SHORT)
    for arm in ("soft", "mixed", "both", "smoothing", "separate", "scrambled"):
        assert torch.equal(weights(arm, SHORT.replace(weight=0.0)), plain), arm
        assert not torch.equal(weights(arm, SHORT), plain), arm
        if arm != "smoothing":  # which needs no partner
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
    targets = {name: trained(name, SHORT)[0].targets(batch) for name in (*CORE, "scrambled")}
    assert torch.equal(targets["plain"], targets["mixed"]) and torch.equal(targets["soft"], targets["both"])
    assert torch.equal(targets["plain"], batch.labels) and not torch.equal(targets["soft"], batch.labels)
    unrelated = (batch.labels + 0.5 * batch.unrelated_labels) / 1.5
    torch.testing.assert_close(targets["scrambled"], unrelated)
    assert not torch.equal(targets["scrambled"], targets["soft"])


def test_images_separately_have_the_weights_of_the_mixture() -> None:
    arm, batch = trained("separate", SHORT)
    own = mixing.soft_cross_entropy(arm.networks(batch.inputs), batch.labels)
    partners = mixing.soft_cross_entropy(arm.networks(batch.partners), batch.partner_labels[:, 0])
    torch.testing.assert_close(arm.losses(batch), (own + 0.5 * partners) / 1.5)


@pytest.mark.parametrize("name", ["input_mixup", "cutmix", "manifold"])
def test_a_baseline_steps_by_draws_of_its_own(name: str) -> None:
    torch.manual_seed(1)
    first = weights(name, SHORT)
    torch.manual_seed(2)
    assert torch.equal(weights(name, SHORT), first)
    assert not torch.equal(first, weights("plain", SHORT))
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
    images = labelled("digits", SHORT.labels)
    assert images.labelled.shape == (2, 50) and len(images.split.train) == 600
    film = list(idea.run(SHORT.replace(steps=30, width=32, batch_size=50, learning_rate=0.02), (0,)))
    assert [frame.stage for frame in film] == ["mixing"] * 20 + ["coarser"] and film[-1].steps == 21
    accuracy = film[-1].measured[0, :, 0]
    assert accuracy[ARMS.index("oracle")] > accuracy[0] + 0.04  # 600 labels against 50


def test_an_arm_that_diverges_is_named_with_what_to_do() -> None:
    arm, batch = trained("both", SHORT)
    with torch.no_grad():
        arm.networks.weights[3][1, 0, 0] = torch.inf
    arm.step(batch)
    sentence = r"both arm diverged.* at step 7 for 1 of 2 seeds; lower learning_rate \(0.003\)"
    with pytest.raises(FloatingPointError, match=sentence):
        training.evaluate({}, {"both": arm}, labelled("digits", SHORT.labels), 7)


# --- nothing is trained or chosen on test images


def test_no_test_image_changes_what_is_trained_or_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    config, real = SHORT.replace(experiment="contrastive", contrast_steps=10), data.split_own

    def other(*arguments: object) -> data.Split:
        """The split with other test images and labels."""
        split = real(*arguments)
        flipped = np.ascontiguousarray(split.test.images[:, :, ::-1])
        test = data.Images(flipped, np.roll(split.test.labels, 1), split.test.classes)
        return dataclasses.replace(split, test=test)

    def outcome() -> tuple[list, tuple]:
        codes = views.codes("probe_mixed", config, training.load(config, [0]), [0])
        return list(idea.run(SHORT, (0,))), codes

    film, codes = outcome()
    monkeypatch.setattr(data, "split_own", other)
    changed_film, changed_codes = outcome()
    for before, after in zip(film, changed_film, strict=True):
        for name in ("validation", "loss", "cloud"):
            assert np.array_equal(getattr(before, name), getattr(after, name)), name
    assert not np.array_equal(film[-1].measured, changed_film[-1].measured)
    same = [np.array_equal(own, other) for own, other in zip(codes, changed_codes, strict=True)]
    assert same == [True, True, False]
    for place, frame in enumerate(film[:-1]):  # validation is best in the third part, test in the last
        frame.validation[:] = 0.9 if place == 2 else 0.1
        frame.measured[..., 0] = place / 100
    columns = idea.metrics(SHORT, film)
    assert all(columns[f"{arm}_stopped"] == pytest.approx(0.02) for arm in ARMS)
    assert columns["both_accuracy"] == film[-1].measured[0, 3, 0]


def test_the_second_network_learns_coarse_classes_on_features_that_stay() -> None:
    config, encoder = SHORT.replace(steps=200, width=32), dense(32)
    before = copy.deepcopy(encoder)
    assert (training.train_coarse(config, encoder, training.load(config, [0]), [0])[0, :, 0] > 0.6).all()
    assert torch.equal(flat(encoder), flat(before))
    groups, kinds = coarse("digits")
    assert groups == ("round", "straight", "bent") and kinds.tolist() == [0, 1, 2, 2, 1, 2, 0, 1, 0, 0]


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


# --- features of photographs


def test_features_of_photographs_are_trained_on_as_they_are_stored() -> None:
    """64 numbers a photograph, not divided by 255; all of the official test part."""
    assert FeatureMixingConfig().dataset == "cifar10_features"
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
    assert len({frame.tobytes() for frame in film[-1].measured[0]}) == len(
        ARMS
    )  # each arm at a place of its own
    for arm in arms:
        assert columns[f"{arm}_nll"][0] == film[-1].measured[0, ARMS.index(arm), 1] > 0
    every = PHOTOGRAPHS.replace(experiment="all")
    assert (
        every.stages == ("mixing", "paste")
        and SHORT.replace(experiment="all").stages == names.EXPERIMENTS[:3]
    )
    assert every.frames == PHOTOGRAPHS.frames + 5 == len(film) + 5


def test_photographs_have_the_coarse_classes_of_their_set() -> None:
    config = PHOTOGRAPHS.replace(steps=30, learning_rate=0.01, width=32, depth=1)
    encoder = build_networks("dense", (64,), config.width, 10, (0,))
    accuracy = training.train_coarse(config, encoder, training.load(config, (0,)), [0])[0, :, 0]
    assert (accuracy > 0.75).all()  # of vehicles and animals, which are six in ten


def test_the_learning_rate_is_the_datas_own_where_none_is_set() -> None:
    """Digits are trained at 0.003 as before, to the last bit."""
    assert [FeatureMixingConfig(dataset=name).rate for name in ("cifar10_features", "digits")] == [
        0.0003,
        0.003,
    ]
    assert FeatureMixingConfig(learning_rate=0.02).rate == 0.02
    own = weights("both", SHORT)
    assert torch.equal(weights("both", SHORT.replace(learning_rate=0.003)), own)
    assert not torch.equal(weights("both", SHORT.replace(learning_rate=0.0003)), own)


def test_the_live_study_is_on_digits_and_the_other_on_photographs() -> None:
    """The same claims but those that need pixels, at the rate of each kind of data."""
    live, photographs = idea.studies
    assert {(cell.config.dataset, cell.config.learning_rate) for cell in live.cells} == {("digits", 0.003)}
    assert {cell.config.dataset for cell in photographs.cells} == {"cifar10_features"}
    assert {cell.config.rate for cell in photographs.cells} == {0.0003, 0.003}
    assert photographs.cells[0].config == FeatureMixingConfig(learning_rate=0.0003)
    assert len(live.seeds) == len(photographs.seeds) == 16
    names = {claim.name for claim in idea.claims}
    answered = [{cell.claim for cell in study.cells} & names for study in (live, photographs)]
    left_out = {"pretraining", "pretraining_first", "paste", "paste_boxes", "paste_shape", "paste_where"}
    assert answered == [names, names - left_out - {"jitter", "jitter_pixels"}]


# --- copy-paste


def test_every_arm_pastes_through_its_own_mask() -> None:
    masks = copy_paste.generate(40, 0, "taught").masks
    positions, shares = torch.full((4, 2), 0.5), torch.full((4,), 0.3)
    pasted = {arm: copy_paste.paste_mask(arm, masks[:4], masks[4:8], positions, shares) for arm in PASTE_ARMS}
    assert not pasted["paste_none"].any() and not pasted["paste_oracle"].any()
    assert torch.equal(pasted["paste_object"], masks[:4]) and torch.equal(pasted["paste_image"], masks[:4])
    assert torch.equal(pasted["paste_scrambled"], masks[4:8])
    areas = pasted["paste_rectangle"].sum((1, 2, 3)) / masks[:4].sum((1, 2, 3))
    assert ((areas - 1).abs() < 0.15).all()
    assert (pasted["paste_patch"].mean((1, 2, 3)) - 0.3).abs().max() < 0.03


def test_without_pasting_every_arm_is_the_plain_one_bit_for_bit() -> None:
    states = {}
    for share, arm in itertools.product((0.0, 1.0), PASTE_ARMS[:-1]):
        trainer = copy_paste.SceneTrainer(arm, SCENES.replace(paste_share=share), 0)
        trainer.train_to(2)
        states[share, arm] = flat(trainer.network)
    plain = states[0.0, "paste_none"]
    assert [arm for (_, arm), state in states.items() if torch.equal(state, plain)] == [
        *PASTE_ARMS[:-1],
        "paste_none",
    ]


def test_cells_learn_the_objects_that_are_visible_after_pasting(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, seen = copy_paste.SceneTrainer("paste_object", SCENES.replace(paste_share=1.0), 0), []
    real = detection.detection_targets
    monkeypatch.setattr(detection, "detection_targets", lambda *given: seen.append(given) or real(*given))
    own, partner, _ = copy.deepcopy(trainer).next_batch()
    trainer.train_to(1)
    (labels, (left, pasted), boxes, _), masks = seen[0], trainer.scenes.masks
    assert torch.equal(pasted, masks[partner]) and torch.equal(left, masks[own] * (1 - masks[partner]))
    for values, given in ((trainer.scenes.labels, labels), (trainer.scenes.boxes, boxes)):
        assert torch.equal(given[0], values[own]) and torch.equal(given[1], values[partner])


def test_arms_of_a_seed_see_the_same_scenes_and_the_oracle_eight_times_as_many() -> None:
    trainers = [copy_paste.SceneTrainer(f"paste_{kind}", SCENES, 3) for kind in ("none", "object", "oracle")]
    batches = [torch.stack(trainer.next_batch()) for trainer in trainers[:2]]
    assert torch.equal(*batches) and len(set(batches[0][0].tolist())) == 32
    for _ in range(100):  # never the scene itself, in any epoch
        own, partner, unrelated = trainers[0].next_batch()
        assert (own != partner).all() and (own != unrelated).all() and (partner != unrelated).all()
    oracle = trainers[2].scenes.images
    assert len(oracle) == 320 and torch.equal(oracle[:40], trainers[0].scenes.images)


def test_a_box_is_correct_only_with_its_class_and_half_an_overlap() -> None:
    test, trainer = copy_paste.generate(4, 0, "tested"), copy_paste.SceneTrainer("paste_none", SCENES, 0)
    cells = torch.zeros(4, 9, 8, 8)
    cells[:, 5:] = detection.encode_boxes(test.boxes, 8)
    for row, label in enumerate(test.labels):
        cells[row, (label + (row == 1)) % 4, 4, 4] = 9.0  # the second has another class
    cells[2, 5:] += 2.0  # the third a box far too large
    logits = one_hot(((test.labels + 1) % 4).tolist(), 4)
    trainer.network = lambda _: (logits, cells)
    assert trainer.evaluate(test) == [0.0, 0.5]


def test_test_scenes_are_none_of_the_training_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = {"taught": set(), "tested": set()}, copy_paste.generate

    def recorded(count: int, seed: int, purpose: str) -> copy_paste.SceneTensors:
        scenes = real(count, seed, purpose)
        made[purpose] |= {image.numpy().tobytes() for image in scenes.images}
        return scenes

    monkeypatch.setattr(copy_paste, "generate", recorded)
    list(copy_paste.run(SCENES, (0,)))
    assert len(made["tested"]) == 50 and not made["taught"] & made["tested"]


# --- contrastive views


def test_every_contrastive_arm_starts_alike_and_changes_what_it_is_named_after() -> None:
    strengths = {
        "pixel_noise": "probe_jitter",
        "feature_noise": "probe_noise",
        "jitter_weight": "probe_mixed",
    }
    config, images = SHORT.replace(**dict.fromkeys(strengths, 0.0)), random(1, 6, 1, 8, 8).abs()

    def seen(arm: str, changed: FeatureMixingConfig) -> torch.Tensor:
        return views.contrastive_views(arm, changed, dense())(images, [stream(0, "contrast")])

    unchanged = seen("probe_unjittered", config)
    for arm in names.PROBE_ARMS[2:7]:
        torch.testing.assert_close(seen(arm, config), unchanged, msg=arm)
    torch.testing.assert_close(unchanged[:, :6], unchanged[:, 6:])
    for name, arm in strengths.items():
        changed = seen(arm, config.replace(**{name: 0.5}))
        assert not torch.allclose(changed[:, :6], changed[:, 6:]), arm
    mixed = views.mix_within_batch(torch.eye(6)[None], 0.25, [stream(0, "jitter")])[0]
    torch.testing.assert_close(mixed.sum(1), torch.ones(6))
    assert mixed.max(1).values.min() >= 0.8 - 1e-6  # one partner each


def test_codes_of_pixels_are_the_pixels_of_every_part() -> None:
    images = training.load(SHORT, [0])
    codes = views.codes("probe_pixels", SHORT, images, [0])
    for code, part in zip(codes, images.images.values(), strict=True):
        assert np.array_equal(code[0], part.flatten(1))


# --- refusals


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"labels": 80, "dataset": "digits"}, "labels must be at most 59"),
        ({"labels": 500}, r"labels must be at most 499 on cifar10_features \(5,000 training images"),
        (
            {"experiment": "contrastive"},
            "experiment must be mixing, paste or all on cifar10_features, vectors",
        ),
        (
            {"encoder": "rotation"},
            "encoder must be random or autoencoder on .* without pixels, got 'rotation'",
        ),
        ({"network": "convolutional"}, "network must be dense on cifar10_features, vectors without pixels"),
        ({"partners": "same", "labels": 3, "images": 4}, "at most the 3 labelled images of a class"),
    ],
)
def test_impossible_combinations_are_rejected_in_a_sentence(changes: dict, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence) as refusal:
        FeatureMixingConfig(**changes)
    assert "\n" not in str(refusal.value)


# --- the demo


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
        assert mixture.predicted.sum() == pytest.approx(1, abs=1e-5)
        assert mixture.guessed == (False, False)
        alone = inference.mix(shown, first, (), inference.MixSettings(depth=depth))
        np.testing.assert_allclose(alone.image, mixture.image, atol=1e-6)


def test_a_sum_is_farther_from_real_features_than_a_convex_mixture_and_a_test_image() -> None:
    (shown, inputs), novelty = demo("digits", 41), {}
    for mode in ("sum", "convex"):
        settings = inference.MixSettings(mode, 1.0)
        pairs = itertools.pairwise(inputs[:21])
        mixtures = [inference.mix(shown, one, (other,), settings) for one, other in pairs]
        novelty[mode] = np.array([mixture.novelty_percentile for mixture in mixtures])
        assert (novelty[mode] >= 0).all() and (novelty[mode] <= 1).all()
    assert novelty["sum"].mean() > novelty["convex"].mean()
    alone = [inference.mix(shown, image, (), inference.MixSettings()).distance for image in inputs[:40]]
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


@pytest.mark.parametrize("name", DATASETS)
def test_a_photograph_fits_the_network_and_its_class_is_predicted(name: str) -> None:
    shown, (partner, _) = demo(name)
    pixels = np.full((90, 40, 3), 200, np.uint8)
    pixels[30:60, 10:30] = (30, 60, 90)
    chosen = from_photograph(pixels, *shown.test.images.shape[1:3])
    assert chosen.image.shape == shown.mapped.images.shape[1:] and chosen.label is None
    assert inference.mix(shown, chosen, (partner,), inference.MixSettings()).guessed == (True, False)


def test_photographs_are_mixed_by_the_formula_with_the_share_of_its_weight() -> None:
    first, second = random(6), random(6, purpose="other")
    features = photograph_paths.between(first.numpy(), second.numpy())
    labels = photograph_paths.between(*one_hot([1, 0], 2).numpy())
    for place, share in enumerate(photograph_paths.SHARES[:-1]):
        weight = share / (1 - share)
        by_formula = mixing.mix_features(first, second, weight, "convex")
        np.testing.assert_allclose(features[place], by_formula, atol=1e-6)
        target = mixing.soft_labels(*one_hot([1, 0], 2), weight, "sum_to_one")
        np.testing.assert_allclose(labels[place], target, atol=1e-6)
    assert np.array_equal(features[-1], second.numpy())


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
