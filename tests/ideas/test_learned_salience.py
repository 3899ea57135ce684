"""Learned saliency: masks and gates, two tasks on one encoder, the leak test, and the run."""

import copy
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore import data
from mlcv_explore.data import OUTLINE
from mlcv_explore.experiment import runs
from mlcv_explore.ideas.learned_salience import (
    ARMS,
    DETECT,
    EXPERIMENTS,
    FRAMES,
    MAPS,
    MEASURES,
    ORDER,
    STAGES,
    LearnedSalienceConfig,
    arms,
    frames_per_stage,
    measures_of,
    metrics,
    run,
    tables,
)
from mlcv_explore.ideas.learned_salience import dataset as datasets
from mlcv_explore.ideas.learned_salience import idea as subject
from mlcv_explore.ideas.learned_salience import mask_network as masks
from mlcv_explore.ideas.learned_salience.leak import leak
from mlcv_explore.ideas.learned_salience.mask_network import FORMS, MaskSettings
from mlcv_explore.ideas.learned_salience.multitask import MultitaskTrainer, in_parts, schedule
from mlcv_explore.models import classifiers
from mlcv_explore.saliency.measures import mass_in_mask, mass_on_tag
from mlcv_explore.seeds import numpy_stream, seeded, stream

SMALL = LearnedSalienceConfig(
    experiment="order", scenes=60, updates=4, batch_size=8, tested=20, pictures=4, width=4
)
MEAN, STD = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)


@cache
def untrained() -> nn.Sequential:
    return seeded(0, lambda: classifiers.residual_classifier(4, 4, MEAN, STD)).eval()


@cache
def images(count: int = 16) -> torch.Tensor:
    scenes = datasets.generate_scenes(SMALL, 0.25, count, 0, "pictures of a test")
    return torch.from_numpy(scenes.images).float().div(255)


def equal_weights(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


# --- masks


def test_a_mask_of_one_gives_the_clean_logits_and_a_mask_of_zero_those_of_the_fill() -> None:
    given, network = images(), untrained()
    fill = masks.random_fill(given, stream(0, "fill"))
    whole, none = (torch.full((16, 32, 32), value) for value in (1.0, 0.0))
    assert torch.equal(network(masks.blend(given, whole, fill)), network(given))
    assert torch.equal(network(masks.blend(given, none, fill)), network(fill))
    torch.testing.assert_close(masks.blend(given, 0.5 * whole, fill), (given + fill) / 2)


def test_fills_are_noisy_colours_or_blurs_and_no_image_keeps_its_pixels() -> None:
    given = images(64)
    fill, again = (masks.random_fill(given, stream(1, "fill")) for _ in range(2))
    assert fill.min() >= 0 and fill.max() <= 1 and torch.equal(fill, again)
    steps = (fill[:, :, 1:] - fill[:, :, :-1]).abs().mean((1, 2, 3))
    blurred = steps < 0.05
    assert 16 <= int(blurred.sum()) <= 48 and float(steps[~blurred].min()) > 0.1
    torch.testing.assert_close(fill[blurred].mean((2, 3)), given[blurred].mean((2, 3)), atol=0.1, rtol=0)


def test_the_loss_by_hand() -> None:
    def classifier(given: torch.Tensor) -> torch.Tensor:  # class 0 with 0.8, whatever the image
        return torch.tensor([0.8, 0.2]).log().expand(len(given), 2)

    given = torch.zeros(2, 3, 2, 2)
    shown = torch.tensor([[[0.0, 1.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]])
    area, targets = torch.tensor([2.0, 4.0]), torch.tensor([0, 0])
    size, steps = (2 * 0.5 + 4 * 0.5) / 2, 0.0 + (1 + 1) / 4  # no step down, two of four across
    rest, kept, left = size + 3 * steps, -np.log(0.8), -np.log1p(-0.999 * 0.8)
    other = -np.log(0.2) - np.log1p(-0.999 * 0.2)
    for objective, named, expected in (
        ("both", targets, kept + left),
        ("preserve", targets, kept),
        ("destroy", targets, left),
        ("both", 1 - targets, other),
    ):
        settings = MaskSettings(objective=objective, smoothness=3.0)
        value = masks.mask_loss(classifier, given, shown, given, area, settings, named)
        assert float(value) == pytest.approx(expected + rest, rel=1e-5), objective


@pytest.mark.parametrize("form", FORMS)
def test_one_pass_gives_the_classifiers_logits_a_mask_and_gates(form: str) -> None:
    network = masks.build(untrained(), 32, MaskSettings(form, widest=4), 0).eval()
    output = masks.predict(network, untrained(), images(), 4.0)
    torch.testing.assert_close(output.logits, untrained()(images()))
    assert output.masks.shape == output.gates.shape == (16, 32, 32)
    assert output.masks.min() > 0 and output.masks.max() < 1 and output.gates.max() <= 1
    assert bool(output.gates.any()) == (form == "gated")
    blocks = network.decoder.blocks  # only one form reads the image beside the features
    inputs = blocks[-1][0].in_channels - blocks[-2][0].out_channels
    assert inputs == {"none": 0, "plain": 4, "gated": 4, "image": 7}[form]
    with pytest.raises(ValueError, match="form must be one of none, plain, image, gated, got 'half'"):
        masks.build(untrained(), 32, MaskSettings("half"), 0)


def test_the_classifier_is_frozen_running_statistics_too_and_equal_seeds_train_alike() -> None:
    network = copy.deepcopy(untrained()).train()
    before, settings = copy.deepcopy(network), MaskSettings(updates=3, batch_size=8, widest=4)
    made = [masks.build(network, 32, settings, 0) for _ in range(3)]
    first, second = (list(masks.train(each, network, images(), settings, 0)) for each in made[:2])
    assert first == second and len(first) == 3 and equal_weights(network, before)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert equal_weights(made[0], made[1]) and not equal_weights(made[0], made[2])
    assert next(masks.train(made[2], network, images(), settings, 1)) != first[0]


def test_a_constant_classifier_needs_no_pixel() -> None:
    network = copy.deepcopy(untrained())
    nn.init.zeros_(network.linear.weight)
    settings = MaskSettings(updates=60, batch_size=8, rate=0.03, widest=4)
    made = masks.build(network, 32, settings, 0)
    list(masks.train(made, network, images(), settings, 0))
    assert float(masks.predict(made, network, images(), 4.0).masks.mean()) < 0.02


def achievable(background: float, side: int = 32, tag: int = 4) -> float:
    """Share on the tag of a mask that is 1 there and `background` on every other pixel."""
    return tag**2 / (tag**2 + (side**2 - tag**2) * background)


def test_the_mask_of_a_classifier_that_reads_the_tag_lies_on_the_tag() -> None:
    assert achievable(0.0018) == pytest.approx(0.9, abs=0.002) and achievable(1.0) == 16 / 1024
    config = SMALL.replace(updates=200, batch_size=16, width=8)
    training, _ = datasets.with_tags(config, 1.0, 400, 0, "taught")
    trainer = MultitaskTrainer(config, "classify_only", training, 0)
    list(trainer.train(training))
    network = trainer.network.eval().requires_grad_(False)
    explained, scenes = datasets.with_tags(SMALL, 0.25, 60, 0, "explained")
    with torch.no_grad():
        predicted = network(explained.images).argmax(1).numpy()
    assert (predicted == scenes.tags).mean() > 0.9 and (predicted == scenes.labels).mean() < 0.5
    settings = MaskSettings(
        "gated", low_area=10.0, high_area=10.0, updates=90, batch_size=16, rate=0.02, widest=8
    )
    made = masks.build(network, 32, settings, 0)
    list(masks.train(made, network, training.images, settings, 0))
    shown = masks.predict(made, network, explained.images, 10.0).masks.numpy()
    assert mass_on_tag(shown, scenes.tag_boxes).mean() > achievable(0.05) > 15 * achievable(1.0)
    assert mass_in_mask(shown, scenes.masks).mean() < 0.1 < scenes.masks.mean()  # not on the object


def test_an_optimised_mask_covers_the_half_that_the_classifier_reads() -> None:
    class LeftHalf(nn.Module):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            left = 20 * (given[:, :, :, :16].mean((1, 2, 3)) - 0.5)
            return torch.stack([left, -left], dim=1)

    settings = MaskSettings(low_area=1.0, high_area=1.0, smoothness=0.1)
    found = masks.optimise_masks(LeftHalf(), torch.full((2, 3, 32, 32), 0.9), settings, 0, steps=40)
    assert found.shape == (2, 32, 32) and float(found[:, :, :12].mean()) > 3 * float(found[:, :, 20:].mean())


# --- two tasks, one encoder


@pytest.mark.parametrize("arm", [*ORDER, *DETECT])
def test_budgets_are_equal(arm: str) -> None:
    phases = schedule(arm, SMALL.replace(budget="encoder"))
    assert sum(phase.updates for phase in phases if not phase.frozen) == SMALL.updates
    tasks, by_task = {task for phase in phases for task in phase.tasks}, SMALL.replace(budget="task")
    for task in tasks:
        counts = [phase.updates for phase in schedule(arm, by_task) if task in phase.tasks]
        assert sum(counts) == SMALL.updates
    assert [phase.frozen for phase in phases] == [False, arm.endswith("_frozen")][-len(phases) :]
    first = arm.split("_")[0]
    assert first == "parallel" or phases[0].tasks[0] == first
    assert tasks <= {"classify", "detect" if arm in DETECT else "segment"}


def training_images() -> datasets.AnnotatedImages:
    return datasets.with_backgrounds(SMALL, SMALL.scenes, 0, "taught")


def finished(
    arm: str, config: LearnedSalienceConfig = SMALL, test_seed: int | None = None
) -> MultitaskTrainer:
    training = training_images()
    test = training if test_seed is None else datasets.with_backgrounds(SMALL, 20, test_seed, "tested")
    trainer = MultitaskTrainer(config, arm, training, 0)
    list(trainer.train(test))
    return trainer


@pytest.mark.parametrize("arm", ["parallel", "classify_and_detect"])
def test_a_second_task_of_weight_0_changes_nothing_of_the_classifier(arm: str) -> None:
    alone, together = finished("classify_only"), finished(arm, SMALL.replace(weight=0.0))
    assert equal_weights(alone.network, together.network)
    assert not torch.equal(alone.network.stem[0].weight, finished(arm).network.stem[0].weight)


def test_a_frozen_encoder_stays_and_loses_nothing_of_the_first_task() -> None:
    alone, frozen, tuned = map(finished, ("segment_only", "segment_first_frozen", "segment_first"))
    for name, value in alone.network.state_dict().items():
        assert name.startswith("linear") or torch.equal(value, frozen.network.state_dict()[name]), name
    assert frozen.first_scores == frozen.evaluate(training_images(), ("segment",))
    assert not torch.equal(alone.network.stem[0].weight, tuned.network.stem[0].weight)


def test_test_images_change_no_weight() -> None:
    one, other = finished("classify_first"), finished("classify_first", test_seed=5)
    assert equal_weights(one.network, other.network) and one.first_scores != other.first_scores


def test_outline_pixels_do_not_count() -> None:
    given = training_images()
    truth = given.masks.clone()
    truth[:, :, :16] = OUTLINE
    partial = datasets.AnnotatedImages(given.images, given.swapped, given.labels, truth, given.boxes)
    trainer = MultitaskTrainer(SMALL, "segment_only", partial, 0)
    logits = trainer.predict(given.images[:8], ("segment",)).masks[:, :, 16:]
    by_hand = nn.functional.binary_cross_entropy_with_logits(logits, given.masks[:8, :, 16:].float())
    torch.testing.assert_close(trainer.loss(torch.arange(8), ("segment",)), by_hand)


def test_updates_are_parted_as_evenly_as_can_be() -> None:
    done: list[int] = []
    updates = (done.append(step) for step in range(23))
    assert [len(done) for _ in in_parts(updates, 23, 10)] == [2, 4, 6, 9, 11, 13, 16, 18, 20, 23]


# --- data


def test_backgrounds_name_the_class_with_the_chosen_probability() -> None:
    given = datasets.generate_scenes(SMALL, 0.25, 400, 0, "backgrounds of a test")
    brightness = np.sort(given.backgrounds.mean((1, 2, 3)))
    for agreement, low, high in ((1.0, 1.0, 1.0), (0.7, 0.62, 0.78), (0.25, 0.17, 0.33)):
        backgrounds = datasets.informative_backgrounds(given, agreement, 0, "test")
        group = np.searchsorted(brightness, backgrounds.mean((1, 2, 3))) // 100
        assert low <= (group == given.labels).mean() <= high, agreement


def test_swapped_scenes_differ_in_background_or_tag_alone() -> None:
    training, given = training_images(), datasets.generate_scenes(SMALL, 0.25, SMALL.scenes, 0, "taught")
    objects = torch.from_numpy(given.masks.astype(bool))[:, None].expand_as(training.images)
    assert torch.equal(training.images[objects], training.swapped[objects])
    assert (training.images != training.swapped).any(1).float().mean() > 0.5
    assert torch.equal(training.masks, torch.from_numpy(given.masks))
    tagged, scenes = datasets.with_tags(SMALL, 1.0, 60, 0, "tested")
    assert np.array_equal(scenes.tags, scenes.labels)
    apart = (tagged.images != tagged.swapped).any(1)
    assert int(apart.sum((1, 2)).max()) == 16 and 0.5 < float(apart.any((1, 2)).float().mean()) < 0.95


def test_the_leak_is_high_for_masks_that_encode_the_class_and_zero_for_others() -> None:
    draws = numpy_stream(0, "labels of a test")
    labels = draws.integers(0, 4, 450)
    shapes = draws.random((450, 16, 16)) * 0.2
    encoding = shapes.copy()
    for index, label in enumerate(labels):
        encoding[index, 4 * label : 4 * label + 4] += 0.5
    high, low, none = (
        leak(torch.from_numpy(values), torch.from_numpy(labels), 4, 0)
        for values in (encoding, shapes, np.ones((450, 16, 16)))
    )
    assert high > 0.65 and abs(low) < 0.1 and abs(none) < 0.1


# --- the run


def test_arms_and_measures_are_declared_and_every_experiment_has_its_own() -> None:
    assert tuple(arm.name for arm in subject.arms) == ARMS
    assert tuple(measure.name for measure in subject.measures) == MEASURES
    for experiment in EXPERIMENTS:
        two, every = (
            {*arms(LearnedSalienceConfig(experiment=experiment, arms=which))} for which in ("two", "all")
        )
        assert two < every <= {*ARMS}
    assert all(measures_of(LearnedSalienceConfig(experiment="all", arms="all"), arm) for arm in ARMS)
    assert "leak" in measures_of(LearnedSalienceConfig(label="texture"), "gated")
    assert "leak" not in measures_of(LearnedSalienceConfig(), "gated")
    assert "tag" not in measures_of(LearnedSalienceConfig(dataset="oxford_pets"), "gated")


MASKS = {
    *("faithful", "faithful_in_noise", "cause", "skips_help", "gates_help", "picture_helps_not"),
    *("as_good_as_optimised", "transfers"),
}
IN_ORDER = {"segment_first_helps", "order_matters", "classify_first_helps"}
BOXES = {"head_beats_salience", "learned_beats_gradient"}


@pytest.mark.parametrize(
    ("settings", "judged"),
    [
        ({}, MASKS | IN_ORDER),
        ({"label": "texture"}, {"leaks"}),
        ({"rho": 1.0}, {"cause_tag"} | IN_ORDER),
        ({"rho": 0.6}, IN_ORDER),
        ({"area": 1.0}, IN_ORDER),
        ({"budget": "task"}, MASKS | {"segment_first_helps_task"}),
        ({"background": 0.25}, MASKS | BOXES),
        ({"dataset": "oxford_pets"}, MASKS - {"cause"} | {"classify_first_helps"}),
    ],
)
def test_a_run_with_other_settings_than_a_claim_takes_for_granted_does_not_judge_it(
    settings: dict, judged: set[str]
) -> None:
    config = LearnedSalienceConfig(experiment="all", arms="all", **settings)
    columns = {
        f"{arm}_{name}": np.linspace(0, 1, 4) for arm in arms(config) for name in measures_of(config, arm)
    }
    assert {verdict.claim.name for verdict in runs.decided(subject, config, columns)} == judged


def test_a_run_is_as_long_as_its_stages_and_shows_a_scene_at_its_end() -> None:
    assert frames_per_stage(LearnedSalienceConfig()) == FRAMES and frames_per_stage(SMALL) == 4
    film = list(run(SMALL, (3,)))
    assert len(film) == 4 * STAGES["order"] and film[-1].scene.any() and not film[0].scene.any()
    assert {name for name in metrics(SMALL, film) if name.startswith("segment_first")} == {
        f"segment_first_{measure}" for measure in ("accuracy", "swapped", "iou", "forgotten")
    }
    assert 0 <= film[-1].measured.max() <= 1 and film[0].curves.any() and not film[0].measured.any()
    assert "segment_first" in tables.shown_maps(film[-1]) and "gated" not in tables.shown_maps(film[-1])
    curves = tables.training_curves(SMALL, film[:3])
    assert {arm: curve.shape for arm, curve in curves["order", "IoU with the object"].items()} == {
        arm: (1, 3) for arm in ("classify_first", "segment_first")
    }
    assert not tables.measured(SMALL, film[0], "iou") and tables.measured(SMALL, film[-1], "iou")


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_nothing_is_trained_on_test_images(experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other test scenes every curve is the same to the last bit; the scores differ."""
    config = SMALL.replace(experiment=experiment, updates=2)
    films, generate = [list(run(config, (0,)))], datasets.generate_scenes

    def other(config: LearnedSalienceConfig, rho: float, count: int, seed: int, purpose: str) -> object:
        return generate(config, rho, count, seed + 1000 * (purpose in ("tested", "explained")), purpose)

    monkeypatch.setattr(datasets, "generate_scenes", other)
    films.append(list(run(config, (0,))))
    for one, another in zip(*films, strict=True):
        np.testing.assert_array_equal(one.curves, another.curves)
    assert (films[0][-1].measured != films[1][-1].measured).any()


@cache
def few_pets() -> data.Dataset:
    """Noise with rectangular masks in an outline, in the form of Oxford-IIIT Pet."""
    draws, parts = numpy_stream(0, "pets of a test"), []
    for count in (40, 24):
        truth = np.zeros((count, 64, 64), np.uint8)
        truth[:, 10:40, 20:50], truth[:, 12:38, 22:48] = data.OUTLINE, 1
        values = draws.integers(0, 256, (count, 3, 64, 64)).astype(np.uint8)
        classes = data.CATALOGUE["oxford_pets"].classes
        parts.append(data.Images(values, draws.integers(0, 37, count), classes, truth))
    return data.Dataset("oxford_pets", *parts, "made by a test")


def test_pets_run_without_a_known_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "load", lambda name: few_pets())
    config = SMALL.replace(experiment="all", dataset="oxford_pets", batch_size=4, updates=2)
    training, held, test = (datasets.pets(config, 60, 3, part) for part in ("taught", "validation", "tested"))
    assert (len(training), len(held)) == (30, 10)
    for one, other in ((training, held), (training, test), (held, test)):
        assert not (one.images[:, None] == other.images).all((2, 3, 4)).any()
    assert torch.equal(training.boxes[0], torch.tensor([12, 22, 38, 48]) / 64)
    found = metrics(config, list(run(config, (0,))))
    assert found["truth_mass"] == found["truth_box_found"] == 1 and "gated_tag" not in found
    assert all(np.isfinite(values).all() for values in found.values())


def test_maps_are_measured_as_means_over_the_images_so_far() -> None:
    config = SMALL.replace(experiment="salience", pictures=8)
    film = list(run(config, (0,)))[-4:]
    measured = {
        name: np.array([frame.measured[0, ARMS.index("truth"), index] for frame in film])
        for index, name in enumerate(MEASURES)
    }
    assert (measured["mass"] == 1).all() and (measured["pointing"] == 1).all()
    explained, _ = datasets.with_tags(config, 0.25, 8, 0, "explained")
    by_two = (explained.masks == 1).float().mean((1, 2)).view(4, 2).mean(1).numpy()
    assert np.diff(measured["area"] * np.arange(1, 5), prepend=0) == pytest.approx(by_two, abs=1e-5)
    assert measured["faithful"] == pytest.approx(measured["insertion"] - measured["deletion"], abs=1e-6)
    assert abs(film[-1].measured[0, ARMS.index("random"), MEASURES.index("faithful")]) < 0.2
    assert {*arms(config)} - {*MAPS} == {"classifier", "second"}
