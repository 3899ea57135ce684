"""Idea 8: the formula by hand and its limits, partners, arms that must be equal, that no
test image is trained on, and the demo that ships.
"""

import copy
import dataclasses
import itertools

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.data import DataError
from mlcv_explore.ideas.feature_mixing import (
    copy_paste,
    dataset,
    idea,
    inference,
    metrics,
    mixing,
    networks,
    pretrain,
    self_supervised,
    tables,
    training,
)
from mlcv_explore.ideas.feature_mixing.settings import ARMS, CORE, PASTE_ARMS, PROBE_ARMS, FeatureMixingConfig
from mlcv_explore.seeds import numpy_stream, stream

SHORT = FeatureMixingConfig(steps=10, width=16, labels=5, batch_size=20)
SEEDS = (0, 1)
PARTNERS = FeatureMixingConfig.setting("partners").choices


def random(*shape: int, purpose: str = "test") -> torch.Tensor:
    return torch.randn(shape, generator=stream(0, purpose))


def one_hot(labels: list[int], classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).float()


def dense(width: int = 16, seeds: tuple[int, ...] = (0,)) -> networks.DenseNetworks:
    return networks.build_networks("dense", (1, 8, 8), width, 10, seeds)


def trainer(name: str, config: FeatureMixingConfig) -> tuple[training.ArmTrainer, training.BatchSampler]:
    """An arm before its first step, and its batches."""
    images = dataset.load(config, SEEDS)
    sampler = dataset.BatchSampler(config, images, SEEDS, images.inputs["train"])
    return training.ArmTrainer(name, config, dense(config.width, SEEDS), (1, 8, 8), SEEDS), sampler


def first_batch(name: str, config: FeatureMixingConfig) -> tuple[training.ArmTrainer, dataset.Batch]:
    arm, sampler = trainer(name, config)
    return arm, next(sampler.batches())


def weights(name: str, config: FeatureMixingConfig, steps: int = 3) -> torch.Tensor:
    """All parameters of an arm after some steps."""
    arm, sampler = trainer(name, config)
    for batch in itertools.islice(sampler.batches(), steps):
        arm.step(batch)
    return torch.cat([parameter.detach().flatten() for parameter in arm.networks.parameters()])


# --- the formula


def test_the_authors_example() -> None:
    columns = list(tables.scaling_example().values())[1:]
    assert [column[1] for column in columns] == ["0.157", "0.259", "0.427", "0.157"]  # softmax
    assert [column[0] for column in columns] == ["0.000", "0.333", "0.667", "0.000"]
    assert [column[2] for column in columns] == ["0.000", "0.000", "1.000", "0.000"]


@pytest.mark.parametrize(("classes", "share"), [(4, 0.475), (10, 0.232), (100, 0.027)])
def test_softmax_smooths_a_one_hot_label_even_at_weight_0(classes: int, share: float) -> None:
    own, other = one_hot([1], classes), one_hot([0], classes)
    smoothed = mixing.soft_labels(own, other, 0.0, "softmax")
    assert float(smoothed[0, 1]) == pytest.approx(share, abs=5e-4)
    assert torch.equal(mixing.soft_labels(own, other, 0.0, "sum_to_one"), own)


@pytest.mark.parametrize("scaling", mixing.SCALINGS)
@pytest.mark.parametrize("mode", mixing.MODES)
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
    first, second, own, other = (
        random(3, 5),
        random(3, 5, purpose="b"),
        one_hot([0, 1, 2], 4),
        one_hot([3] * 3, 4),
    )
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
        summed, convex = (
            torch.nn.functional.normalize(mixing.mix_features(first, second, 0.5, mode), dim=-1)
            @ head.weight.T
            for mode in ("sum", "convex")
        )
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


# --- partners and labelled images


@pytest.mark.parametrize("kind", PARTNERS)
def test_partners_have_the_wanted_class_differ_and_are_never_the_image_itself(kind: str) -> None:
    labels = np.repeat(np.arange(4), 5)
    for draw in range(20):
        partners = dataset.sample_partners(kind, labels, 3, numpy_stream(draw, "partners"))
        assert partners.shape == (20, 3)
        assert all(len({own, *row}) == 4 for own, row in enumerate(partners))
        classes = labels[partners]
        if kind == "same":
            assert (classes == labels[:, None]).all()
        if kind == "other":
            assert all(len({labels[own], *row}) == 4 for own, row in enumerate(classes))


def test_partners_are_uniform() -> None:
    labels, draws = np.repeat(np.arange(3), [2, 4, 6]), 3000
    counts = {kind: np.zeros((12, 12)) for kind in PARTNERS}
    for draw in range(draws):
        for kind, table in counts.items():
            partners = dataset.sample_partners(kind, labels, 1, numpy_stream(draw, "even"))[:, 0]
            table[np.arange(12), partners] += 1 / draws
    assert np.abs(counts["any"][~np.eye(12, dtype=bool)] - 1 / 11).max() < 0.03
    np.testing.assert_allclose(counts["same"][:2, :2], np.eye(2)[::-1])
    assert np.abs(counts["other"][0, 2:6] - 1 / 8).max() < 0.03
    assert np.abs(counts["other"][0, 6:] - 1 / 12).max() < 0.03


def test_labelled_images_are_even_over_classes_and_fewer_are_a_subset() -> None:
    few, many = (dataset.load(SHORT.replace(labels=count), [3]) for count in (5, 9))
    assert set(few.labelled[0]) < set(many.labelled[0])
    assert np.bincount(few.labels[0]).tolist() == [5] * 10
    assert not np.array_equal(few.labelled[0], dataset.load(SHORT, [4]).labelled[0])


# --- arms


def test_where_nothing_is_mixed_every_arm_is_the_baseline_bit_for_bit() -> None:
    plain = weights("plain", SHORT)
    for arm in ("soft", "mixed", "both", "smoothing", "separate", "scrambled"):
        assert torch.equal(weights(arm, SHORT.replace(weight=0.0)), plain), arm
        assert not torch.equal(weights(arm, SHORT), plain), arm
    for arm in ("soft", "mixed", "both", "separate", "scrambled"):
        assert torch.equal(weights(arm, SHORT.replace(images=1)), plain), arm
    softmax = SHORT.replace(weight=0.0, scaling="softmax")
    assert not torch.equal(weights("both", softmax), plain) and torch.equal(weights("mixed", softmax), plain)
    same = SHORT.replace(partners="same")  # labels stay hard, features are mixed
    assert torch.equal(weights("soft", same), weights("plain", same))
    assert torch.equal(weights("both", same), weights("mixed", same))
    assert not torch.equal(weights("mixed", same), weights("plain", same))


def test_the_arm_both_is_the_formula_written_out() -> None:
    arm, batch = first_batch("both", SHORT.replace(images=3, weight=0.8))
    inputs = (batch.inputs, batch.partners[:, :20], batch.partners[:, 20:])
    own, *partners = (arm.networks.partial_forward(values, 0, 2)[1] for values in inputs)
    features = own + 0.8 * (partners[0] + partners[1]) / 2
    labels = batch.labels[1] + 0.4 * batch.partner_labels[1, 0] + 0.4 * batch.partner_labels[1, 1]
    logits = features @ arm.networks.weights[2][1].T + arm.networks.biases[2][1].T
    logits = logits.relu() @ arm.networks.weights[3][1].T + arm.networks.biases[3][1].T
    by_hand = -(labels / 1.8 * logits.log_softmax(-1)).sum(-1)
    torch.testing.assert_close(arm.losses(batch)[1], by_hand, rtol=1e-4, atol=1e-5)


def test_arms_share_batches_and_partners_and_differ_in_targets_as_declared() -> None:
    made = {name: trainer(name, SHORT) for name in (*CORE, "scrambled")}
    batches = [next(sampler.batches()) for _, sampler in made.values()]
    assert all(torch.equal(batch.inputs, batches[0].inputs) for batch in batches)
    assert all(torch.equal(batch.partners, batches[0].partners) for batch in batches)
    targets = {name: arm.targets(batches[0]) for name, (arm, _) in made.items()}
    assert torch.equal(targets["plain"], targets["mixed"]) and torch.equal(targets["soft"], targets["both"])
    assert torch.equal(targets["plain"], batches[0].labels)
    assert not torch.equal(targets["soft"], batches[0].labels)
    torch.testing.assert_close(targets["scrambled"].sum(-1), torch.ones(2, 20))
    assert not torch.equal(targets["scrambled"], targets["soft"])


def test_images_separately_have_the_weights_of_the_mixture() -> None:
    arm, batch = first_batch("separate", SHORT)
    own = mixing.soft_cross_entropy(arm.networks(batch.inputs), batch.labels)
    partners = mixing.soft_cross_entropy(arm.networks(batch.partners), batch.partner_labels[:, 0])
    torch.testing.assert_close(arm.losses(batch), (own + 0.5 * partners) / 1.5)


def test_only_the_layers_above_the_depth_learn_when_the_encoder_is_frozen() -> None:
    arm, sampler = trainer("both", SHORT.replace(tuned=False))
    before = [parameter.detach().clone() for parameter in arm.networks.weights]
    arm.step(next(sampler.batches()))
    changed = [not torch.equal(now, old) for now, old in zip(arm.networks.weights, before, strict=True)]
    assert changed == [False, False, True, True]


@pytest.mark.parametrize("name", ["input_mixup", "cutmix"])
def test_the_baselines_of_torchvision_draw_from_a_stream_of_their_own(name: str) -> None:
    arm, batch = first_batch(name, SHORT)
    torch.manual_seed(1)
    first = arm.losses(batch)
    torch.manual_seed(2)
    torch.testing.assert_close(arm.losses(batch), first)
    arm.steps = 1
    assert not torch.equal(arm.losses(batch), first)


def test_manifold_mixup_mixes_features_and_labels_with_one_share() -> None:
    arm, batch = first_batch("manifold", SHORT)
    logits, targets = arm._manifold_mixup(batch)
    shares = targets.max(-1).values.min(-1).values  # of images with a neighbour of another class
    assert (shares < 1).all() and (shares >= 0.5).all()
    torch.testing.assert_close(targets.sum(-1), torch.ones(2, 20))
    assert logits.shape == (2, 20, 10)


def test_the_oracle_has_every_label_and_as_many_steps() -> None:
    images = dataset.load(SHORT, SEEDS)
    assert images.labelled.shape == (2, 50) and len(images.split.train) == 600
    film = list(idea.run(SHORT.replace(steps=100, width=64, batch_size=50), (0,)))
    assert [frame.stage for frame in film] == ["mixing"] * 20 + ["coarser"] and film[-1].steps == 21
    accuracy = film[-1].measured[0, :, 0]
    assert accuracy[ARMS.index("oracle")] > accuracy[0] + 0.04  # 600 labels against 50


# --- nothing is trained or chosen on test images


def test_no_test_image_changes_what_is_trained_or_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    config, real = SHORT.replace(experiment="contrastive", contrast_steps=10), data.split

    def other(*arguments: object) -> data.Split:
        """The split with other test images and labels."""
        split = real(*arguments)
        flipped = np.ascontiguousarray(split.test.images[:, :, ::-1])
        test = data.Images(flipped, np.roll(split.test.labels, 1), split.test.classes)
        return dataclasses.replace(split, test=test)

    def outcome() -> tuple[list, tuple]:
        codes = self_supervised.codes("probe_mixed", config, dataset.load(config, [0]), [0])
        return list(idea.run(SHORT, (0,))), codes

    film, codes = outcome()
    monkeypatch.setattr(data, "split", other)
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
    columns = metrics(SHORT, film)
    assert all(columns[f"{arm}_stopped"] == pytest.approx(0.02) for arm in ARMS)
    assert columns["both_accuracy"] == film[-1].measured[0, 3, 0]


def test_probes_choose_on_validation_and_are_scored_on_test_images() -> None:
    images = dataset.load(SHORT, [0])
    codes = self_supervised.codes("probe_pixels", SHORT, images, [0])
    assert self_supervised.probe_accuracy(images, *codes)[0] > 0.6
    wrong = dataclasses.replace(images.split.test, labels=(images.split.test.labels + 1) % 10)
    relabelled = dataclasses.replace(images, split=dataclasses.replace(images.split, test=wrong))
    assert self_supervised.probe_accuracy(relabelled, *codes)[0] < 0.2
    # the unit is that of training codes: such small test codes are all alike
    assert self_supervised.probe_accuracy(images, codes[0], codes[1], 1e-6 * codes[2])[0] < 0.2


def test_the_second_network_learns_coarse_classes_on_features_that_stay() -> None:
    config, encoder = SHORT.replace(steps=200, width=32), dense(32)
    images, before = dataset.load(config, [0]), copy.deepcopy(encoder)
    assert (training.train_coarse(config, encoder, images, [0])[0, :, 0] > 0.6).all()
    pairs = zip(encoder.parameters(), before.parameters(), strict=True)
    assert all(torch.equal(now, old) for now, old in pairs)
    assert images.coarse_names == ("round", "straight", "bent")
    assert images.coarse_classes.tolist() == [0, 1, 2, 2, 1, 2, 0, 1, 0, 0]


def test_the_effects_are_those_of_a_two_by_two_table() -> None:
    values = dict(zip(CORE, map(np.array, ([0.5, 0.6], [0.6, 0.7], [0.55, 0.65], [0.7, 0.9])), strict=True))
    mixed, soft, interaction, gain = (effect.mean for effect in tables.effects(values).values())
    assert (mixed, soft) == (pytest.approx(0.1), pytest.approx(0.15))
    assert interaction == pytest.approx(0.1) and mixed + soft == pytest.approx(gain)
    assert tables.soft_label_shares(values) is None  # two seeds: the gain may be below a point
    draws = numpy_stream(0, "jitter").standard_normal((4, 40))
    many = {arm: np.tile(values[arm], 20) + 0.001 * noise for arm, noise in zip(CORE, draws, strict=True)}
    gain = (many["both"] - many["plain"]).mean()
    alone, averaged = tables.soft_label_shares(many)
    assert alone.mean == pytest.approx((many["soft"] - many["plain"]).mean() / gain)
    by_hand = (many["soft"] - many["plain"] + many["both"] - many["mixed"]).mean() / 2 / gain
    assert averaged.mean == pytest.approx(by_hand)


# --- copy-paste


def test_boxes_survive_encoding_and_iou_is_that_by_hand() -> None:
    boxes, kinds = torch.tensor([[4.0, 8.0, 17.0, 20.0], [0.0, 0.0, 12.0, 12.0]]), torch.tensor([2, 0])
    cells = torch.zeros(2, 9, 8, 8)
    cells[:, 4], cells[:, 5:] = 5.0, copy_paste.encode_boxes(boxes)  # none everywhere, but for two cells
    cells[0, 2, 2, 3] = cells[1, 0, 1, 1] = 9.0
    decoded_kinds, decoded = copy_paste.decode_boxes(cells)
    assert decoded_kinds.tolist() == kinds.tolist()
    torch.testing.assert_close(decoded, boxes)
    corner, half, apart = ([0.0, 0, 4, 4], [0.0, 2, 4, 6], [8.0, 8, 9, 9])
    iou = copy_paste.box_iou(torch.tensor([corner] * 3), torch.tensor([corner, half, apart]))
    torch.testing.assert_close(iou, torch.tensor([1, 1 / 3, 0]))


def test_cells_predict_what_is_visible_and_the_pasted_object_covers_the_own() -> None:
    scenes = copy_paste.generate(40, 0, "taught")
    masks, labels, boxes = scenes.masks[:1], scenes.labels[:2].split(1), scenes.boxes[:2].split(1)
    kinds, reach = copy_paste.detection_targets(labels, (masks, 0 * masks), boxes)
    assert set(kinds.flatten().tolist()) == {int(labels[0]), 4}
    assert (kinds == labels[0]).sum() == (torch.nn.functional.avg_pool2d(masks, 4) >= 0.5).sum()
    torch.testing.assert_close(reach, copy_paste.encode_boxes(boxes[0]))
    kinds, reach = copy_paste.detection_targets(labels, (0 * masks, masks), boxes)
    inside = kinds[0] == labels[1]
    assert inside.any() and torch.equal(reach[0][:, inside], copy_paste.encode_boxes(boxes[1])[0][:, inside])


def test_every_arm_pastes_through_its_own_mask() -> None:
    masks = copy_paste.generate(40, 0, "taught").masks
    places, shares = torch.full((4, 2), 0.5), torch.full((4,), 0.3)
    pasted = {arm: copy_paste.paste_mask(arm, masks[:4], masks[4:8], places, shares) for arm in PASTE_ARMS}
    assert not pasted["paste_none"].any() and not pasted["paste_oracle"].any()
    assert torch.equal(pasted["paste_object"], masks[:4]) and torch.equal(pasted["paste_image"], masks[:4])
    assert torch.equal(pasted["paste_scrambled"], masks[4:8])
    areas = pasted["paste_rectangle"].sum((1, 2, 3)) / masks[:4].sum((1, 2, 3))
    assert ((areas - 1).abs() < 0.15).all()
    assert (pasted["paste_patch"].mean((1, 2, 3)) - 0.3).abs().max() < 0.03


def test_without_pasting_every_arm_is_the_plain_one_bit_for_bit() -> None:
    config, states = FeatureMixingConfig(scenes=40, paste_share=0.0), []
    for arm in PASTE_ARMS[:-1]:
        arm_trainer = copy_paste.SceneTrainer(arm, config, 0)
        arm_trainer.train_to(2)
        states.append(torch.cat([each.detach().flatten() for each in arm_trainer.network.parameters()]))
    assert all(torch.equal(state, states[0]) for state in states)


def test_arms_of_a_seed_see_the_same_scenes_and_the_oracle_eight_times_as_many() -> None:
    config = FeatureMixingConfig(scenes=40)
    trainers = [copy_paste.SceneTrainer(f"paste_{kind}", config, 3) for kind in ("none", "object", "oracle")]
    batches = [torch.stack(each.next_batch()) for each in trainers[:2]]
    assert torch.equal(*batches) and len(set(batches[0][0].tolist())) == 32
    for _ in range(100):  # never the scene itself, in any epoch
        own, partner, unrelated = trainers[0].next_batch()
        assert (own != partner).all() and (own != unrelated).all() and (partner != unrelated).all()
    oracle = trainers[2].scenes.images
    assert len(oracle) == 320 and torch.equal(oracle[:40], trainers[0].scenes.images)


class Constant(torch.nn.Module):
    """A network that returns the same outputs whatever its input."""

    def __init__(self, *outputs: torch.Tensor) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, _: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.outputs


def test_a_box_is_correct_only_with_its_class_and_half_an_overlap() -> None:
    test = copy_paste.generate(4, 0, "tested")
    arm_trainer, cells = (
        copy_paste.SceneTrainer("paste_none", FeatureMixingConfig(scenes=40), 0),
        torch.zeros(4, 9, 8, 8),
    )
    cells[:, 5:] = copy_paste.encode_boxes(test.boxes)
    for row, label in enumerate(test.labels):
        cells[row, (label + (row == 1)) % 4, 4, 4] = 9.0  # the second has another class
    cells[2, 5:] += 2.0  # the third a box far too large
    arm_trainer.network = Constant(one_hot(((test.labels + 1) % 4).tolist(), 4), cells)
    assert arm_trainer.evaluate(test) == [0.0, 0.5]


def test_test_scenes_are_none_of_the_training_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    made, real = {"taught": set(), "tested": set()}, copy_paste.generate

    def recorded(count: int, seed: int, purpose: str) -> copy_paste.SceneTensors:
        scenes = real(count, seed, purpose)
        made[purpose] |= {image.numpy().tobytes() for image in scenes.images}
        return scenes

    monkeypatch.setattr(copy_paste, "generate", recorded)
    list(copy_paste.run(FeatureMixingConfig(scenes=40, tested_scenes=50, paste_steps=2), (0,)))
    assert len(made["tested"]) == 50 and not made["taught"] & made["tested"]


# --- training without labels


def test_the_contrastive_loss_by_hand_and_at_its_least() -> None:
    # views of two images, at right angles
    embedded = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, 3.0]]])
    by_hand = -np.log(np.exp(2) / (np.exp(2) + 2))
    assert float(self_supervised.contrastive_loss(embedded)) == pytest.approx(by_hand, rel=1e-5)
    assert float(self_supervised.contrastive_loss(embedded[:, [0, 1, 3, 2]])) > by_hand
    mixed = self_supervised.mix_within_batch(torch.eye(6)[None], 0.25, [stream(0, "jitter")])[0]
    torch.testing.assert_close(mixed.sum(1), torch.ones(6))
    assert mixed.max(1).values.min() >= 0.8 - 1e-6  # one partner each


@pytest.mark.parametrize("kind", ["random", "autoencoder", "rotation", "contrastive"])
def test_pretraining_changes_the_encoder_alone_and_a_random_start_nothing(kind: str) -> None:
    config, start = SHORT.replace(encoder=kind, pretraining=3), dense()
    trained = copy.deepcopy(start)
    self_supervised.pretrain_encoder(config, trained, dataset.load(config, [0]).images, [0])
    changed = [not torch.equal(own, other) for own, other in zip(start.weights, trained.weights, strict=True)]
    assert changed == [kind != "random", kind != "random", False, False]


def test_an_autoencoder_keeps_more_of_the_image_in_a_narrow_layer() -> None:
    images, errors = dataset.load(SHORT, [0]), []
    pixels = images.inputs["train"].numpy()
    for steps in (0, 100):
        config, network = SHORT.replace(encoder="autoencoder", width=8, pretraining=steps), dense(8)
        self_supervised.pretrain_encoder(config, network, images.images, [0])
        codes = networks.apply_networks(network, images.inputs["train"], 1, 0, 2)[0].numpy()
        known = np.column_stack([codes, np.ones(len(codes))])
        errors.append(np.square(pixels - known @ np.linalg.lstsq(known, pixels, rcond=None)[0]).mean())
    assert errors[1] < 0.9 * errors[0]


def test_every_contrastive_arm_starts_alike_and_changes_what_its_name_says() -> None:
    strengths = {
        "pixel_noise": "probe_jitter",
        "feature_noise": "probe_noise",
        "jitter_weight": "probe_mixed",
    }
    config, images = SHORT.replace(**dict.fromkeys(strengths, 0.0)), random(1, 6, 1, 8, 8).abs()

    def views(arm: str, changed: FeatureMixingConfig) -> torch.Tensor:
        return self_supervised.contrastive_views(arm, changed, dense())(images, [stream(0, "contrast")])

    unchanged = views("probe_unjittered", config)
    for arm in PROBE_ARMS[2:7]:
        torch.testing.assert_close(views(arm, config), unchanged, msg=arm)
    torch.testing.assert_close(unchanged[:, :6], unchanged[:, 6:])
    for name, arm in strengths.items():
        changed = views(arm, config.replace(**{name: 0.5}))
        assert not torch.allclose(changed[:, :6], changed[:, 6:]), arm


@pytest.mark.parametrize(
    ("kind", "shape"), [("dense", (1, 8, 8)), ("convolutional", (1, 8, 8)), ("convolutional", (3, 32, 32))]
)
def test_a_network_run_in_two_parts_is_the_network(kind: str, shape: tuple[int, ...]) -> None:
    stack = networks.build_networks(kind, shape, 8, 5, [0, 1])
    inputs = dataset.as_inputs(random(2, 3, *shape), kind)
    with torch.no_grad():
        whole = stack(inputs)
        assert whole.shape == (2, 3, 5)
        for depth in range(4):
            features = stack.partial_forward(inputs, 0, depth)
            torch.testing.assert_close(stack.partial_forward(features, depth), whole)
            assert depth == 0 or features.shape[2:] == stack.feature_shape(depth)
    assert len(stack.encoder_parameters(0)) == 0 and len(stack.encoder_parameters(2)) > 0


# --- refusals


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"labels": 80}, "labels must be at most 59"),
        ({"partners": "same", "labels": 3, "images": 4}, "at most the 3 labelled images of a class"),
    ],
)
def test_impossible_combinations_are_refused_in_a_sentence(changes: dict, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence) as refusal:
        FeatureMixingConfig(**changes)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("folders", "count"), [(("train/cat",), 3), (("train/cat", "test/cat"), 1)])
def test_a_folder_with_one_class_or_one_image_is_refused_in_a_sentence(
    tmp_path, monkeypatch, folders, count
) -> None:
    from PIL import Image

    for folder in folders:
        place = tmp_path / "cifar10" / folder
        place.mkdir(parents=True)
        for number in range(count):
            Image.fromarray(np.full((32, 32, 3), 40 * number, np.uint8)).save(place / f"{number}.png")
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    with pytest.raises((DataError, SettingError)) as refusal:
        list(idea.run(FeatureMixingConfig(dataset="cifar10", network="convolutional"), (0,)))
    assert "cifar10" in str(refusal.value) and "\n" not in str(refusal.value)


def test_an_arm_that_diverges_is_named_with_what_to_do() -> None:
    arm, sampler = trainer("both", SHORT)
    with torch.no_grad():
        arm.networks.weights[3][1, 0, 0] = torch.inf
    arm.step(next(sampler.batches()))
    sentence = r"both arm diverged.* at step 7 for 1 of 2 seeds; lower learning_rate \(0.003\)"
    with pytest.raises(FloatingPointError, match=sentence):
        training._evaluate(training._Film(SHORT, 2), {"both": arm}, dataset.load(SHORT, SEEDS), 7)


@pytest.mark.real_data
def test_a_convolutional_network_runs_on_photographs() -> None:
    config = FeatureMixingConfig(
        dataset="cifar10", network="convolutional", steps=10, width=8, labels=10, batch_size=10
    )
    try:
        data.load("cifar10")
    except DataError:
        pytest.skip("needs CIFAR-10 under MLCV_DATA")
    film = list(idea.run(config, (0,)))
    assert np.isfinite(film[-1].measured).all()


# --- the demo


def demo(name: str) -> tuple[inference.MixingDemo, inference.MixInput, inference.MixInput]:
    shown = inference.demo(name)
    return shown, inference.test_input(shown, 0), inference.test_input(shown, 1)


@pytest.mark.parametrize("name", pretrain.DATASETS)
def test_the_demo_that_ships_is_what_its_card_states(name: str) -> None:
    shown = inference.demo(name)
    stated = shown.card["metrics"]
    for depth in range(4):
        median, late = inference.map_error(name, depth)
        assert median == pytest.approx(stated[f"map{depth}_median"], abs=2e-4)
        assert late == pytest.approx(stated[f"map{depth}_p90"], abs=4e-4)
        if name == "digits":  # scenes differ more: the page states their placement error
            assert median <= 0.01 and late <= 0.03
        features = inference.feature_map(name, depth).features
        assert features.shape == (len(shown.mapped), 33)
        if depth in (0, 2):  # the images are those that the map was fitted to
            images = torch.from_numpy(shown.mapped.images[:50]).float() / 255
            with torch.no_grad():
                own = shown.model.components(shown.model.features(images, depth), depth).numpy()
            np.testing.assert_allclose(own, features[:50], atol=0.02)
    with torch.no_grad():
        predicted = shown.model.logits(shown.test.as_float(), 0).argmax(1).numpy()
    assert (predicted == shown.test.labels).mean() == pytest.approx(stated["test_accuracy"], abs=0.01)
    mapped = {image.tobytes() for image in shown.mapped.images}
    assert not any(image.tobytes() in mapped for image in shown.test.images)


def test_components_keep_the_distance_from_the_maps_space() -> None:
    model = inference.demo("digits").model
    mean, basis = model.mean0, model.basis0
    scale = float(basis.square().sum(0).mean().sqrt())
    off = random(64)
    off -= basis @ torch.linalg.lstsq(basis, off[:, None]).solution[:, 0]
    components = model.components((mean + off)[None], 0)[0]
    assert float(components[-1]) == pytest.approx(scale * float(off.norm()), rel=0.05)
    assert float(components[:-1].norm()) < 0.05 * float(components[-1])


@pytest.mark.parametrize("name", pretrain.DATASETS)
def test_at_weight_0_the_mixture_is_the_first_image_and_its_trail_starts_there(name: str) -> None:
    shown, first, second = demo(name)
    for depth in range(4):
        mixture = inference.mix(shown, first, (second,), inference.MixSettings(weight=0.0, depth=depth))
        np.testing.assert_allclose(mixture.place, mixture.ends[0], atol=1e-4)
        np.testing.assert_allclose(mixture.trail[0], mixture.ends[0], atol=1e-4)
        assert mixture.target.tolist() == np.eye(len(shown.classes))[first.label].tolist()
        assert mixture.predicted.sum() == pytest.approx(1, abs=1e-5)
        alone = inference.mix(shown, first, (), inference.MixSettings(depth=depth))
        np.testing.assert_allclose(alone.image, mixture.image, atol=1e-6)


def test_a_sum_is_farther_from_real_features_than_a_convex_mixture_and_a_test_image() -> None:
    shown = inference.demo("digits")
    inputs = [inference.test_input(shown, number) for number in range(41)]
    novelty = {}
    for mode in ("sum", "convex"):
        settings = inference.MixSettings(mode, 1.0)
        mixtures = [
            inference.mix(shown, *pair, settings) for pair in zip(inputs, zip(inputs[1:21]), strict=False)
        ]
        novelty[mode] = np.array([mixture.novelty_percentile for mixture in mixtures])
        assert (novelty[mode] >= 0).all() and (novelty[mode] <= 1).all()
    assert novelty["sum"].mean() > novelty["convex"].mean()
    alone = [inference.mix(shown, each, (), inference.MixSettings()).distance for each in inputs[:40]]
    assert np.median(alone) == pytest.approx(1, abs=0.25)
    far = inference.mix(shown, inputs[0], (inputs[1],), inference.MixSettings(weight=2.0))
    assert far.distance > 2 and far.novelty_percentile == 1


def test_an_empty_rectangle_pastes_nothing_and_a_full_one_is_the_partner() -> None:
    shown, first, second = demo("scenes")
    settings = [inference.MixSettings("rectangle", depth=1, area=area) for area in (0.0, 1.0)]
    empty, full = (inference.mix(shown, first, (second,), each) for each in settings)
    assert not empty.pasted.any() and empty.target.argmax() == first.label and empty.target.max() == 1
    np.testing.assert_allclose(empty.place, empty.ends[0], atol=1e-4)
    np.testing.assert_allclose(full.place, full.ends[1], atol=1e-4)
    assert full.target.tolist() == np.eye(4)[second.label].tolist() and len(full.trail) == 0
    pasted = inference.mix(shown, first, (second,), inference.MixSettings("object", depth=0))
    inside = second.mask > 0
    np.testing.assert_allclose(pasted.image[:, inside], second.image[:, inside], atol=1e-6)
    np.testing.assert_allclose(pasted.image[:, ~inside], first.image[:, ~inside], atol=1e-6)


def test_uploads_of_any_shape_fit_and_their_object_differs_from_the_border() -> None:
    pixels = np.full((90, 40, 3), 200, np.uint8)
    pixels[30:60, 10:30] = (30, 60, 90)
    for name in pretrain.DATASETS:
        shown = inference.demo(name)
        chosen = inference.photograph_input(shown, pixels)
        assert chosen.image.shape == shown.mapped.images.shape[1:] and chosen.label is None
        assert chosen.image.min() >= 0 and chosen.image.max() <= 1
        side = chosen.mask.shape[0]
        assert chosen.mask[side // 2, side // 2] == 1 and not chosen.mask[:, 0].any()
        assert name == "digits" or not chosen.mask[0].any()  # a digit is as high as its image
        mixture = inference.mix(shown, chosen, (inference.test_input(shown, 0),), inference.MixSettings())
        assert mixture.guessed == (True, False)
    digits = inference.demo("digits")  # ink is bright, cropped, as large as fits; none gives an empty digit
    assert inference.photograph_input(digits, pixels).image[0, :, 4].min() > 0.5
    assert not inference.photograph_input(digits, np.full((8, 8, 3), 7, np.uint8)).image.any()


def test_several_partners_share_one_weight() -> None:
    shown = inference.demo("digits")
    inputs = [inference.test_input(shown, number) for number in range(4)]
    mixture = inference.mix(shown, inputs[0], inputs[1:], inference.MixSettings("convex", 0.6, 0))
    by_hand = (inputs[0].image + 0.2 * sum(each.image for each in inputs[1:])) / 1.6
    np.testing.assert_allclose(mixture.image, by_hand, atol=1e-5)
    labels = np.eye(10)[[each.label for each in inputs]]
    np.testing.assert_allclose(mixture.target, (labels[0] + 0.2 * labels[1:].sum(0)) / 1.6, atol=1e-6)
