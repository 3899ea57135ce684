"""Learned salience: what must hold of masks and gates, of two tasks on one encoder, of
the leak test; and the run, by hand where it can be.
"""

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
    MAPS,
    ORDER,
    ROLES,
    STAGES,
    TICKS,
    LearnedSalienceConfig,
    arms,
    measures,
    metrics,
    run,
    training,
)
from mlcv_explore.ideas.learned_salience import idea as subject
from mlcv_explore.ideas.learned_salience import material as materials
from mlcv_explore.ideas.learned_salience.leak import leak
from mlcv_explore.ideas.learned_salience.masker import (
    FORMS,
    MaskerSettings,
    blended,
    loss,
    masked,
    masker,
    optimised,
    random_fill,
)
from mlcv_explore.ideas.learned_salience.masker import training as masker_training
from mlcv_explore.ideas.learned_salience.sharing import Learner, schedule, ticks
from mlcv_explore.models import classifiers
from mlcv_explore.saliency.measures import mass_in_mask, mass_on_tag
from mlcv_explore.seeds import numpy_stream, seeded, stream

SMALL = LearnedSalienceConfig(
    experiment="order", scenes=60, updates=10, batch_size=8, tested=20, pictures=10, width=4
)
MEAN, STD = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)


@cache
def untrained(seed: int = 0) -> nn.Sequential:
    return seeded(seed, lambda: classifiers.residual_classifier(4, 4, MEAN, STD)).eval()


@cache
def pictures(count: int = 16) -> torch.Tensor:
    return (
        torch.from_numpy(materials.generated(SMALL, 0.25, count, 0, "pictures of a test").images)
        .float()
        .div(255)
    )


# --- masks


def test_a_mask_of_one_gives_the_clean_logits_and_a_mask_of_nothing_those_of_the_fill() -> None:
    given, network = pictures(), untrained()
    fill = random_fill(given, stream(0, "fill"))
    whole, none = (torch.full(given.shape[:1] + given.shape[2:], value) for value in (1.0, 0.0))
    assert torch.equal(network(blended(given, whole, fill)), network(given))
    assert torch.equal(network(blended(given, none, fill)), network(fill))
    half = blended(given, 0.5 * whole, fill)
    torch.testing.assert_close(half, (given + fill) / 2)


def test_fills_are_noisy_colours_or_blurs_and_no_picture_keeps_its_pixels() -> None:
    given = pictures(64)
    fill = random_fill(given, stream(1, "fill"))
    assert fill.min() >= 0 and fill.max() <= 1 and torch.equal(fill, random_fill(given, stream(1, "fill")))
    steps = (fill[:, :, 1:] - fill[:, :, :-1]).abs().mean((1, 2, 3))
    blurred = steps < 0.05
    assert 16 <= int(blurred.sum()) <= 48 and float(steps[~blurred].min()) > 0.1
    torch.testing.assert_close(fill[blurred].mean((2, 3)), given[blurred].mean((2, 3)), atol=0.1, rtol=0)


class Sure(nn.Module):
    """A classifier that gives class 0 this probability, and class 1 the rest, whatever
    it sees.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.logits = torch.tensor([share, 1 - share]).log()

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(len(given), 2)


def test_the_loss_by_hand() -> None:
    given = torch.zeros(2, 3, 2, 2)
    masks = torch.tensor([[[0.0, 1.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]])
    area, answers = torch.tensor([2.0, 4.0]), torch.tensor([0, 0])
    kept, left = -np.log(0.8), -np.log1p(-0.999 * 0.8)
    size, steps = (2 * 0.5 + 4 * 0.5) / 2, 0.0 + (1 + 1) / 4  # no step down, two of four across
    both, preserve = (MaskerSettings(objective=name, smoothness=3.0) for name in ("both", "preserve"))
    found = [float(loss(Sure(0.8), given, masks, given, area, each, answers)) for each in (both, preserve)]
    assert found == pytest.approx([kept + left + size + 3 * steps, kept + size + 3 * steps], rel=1e-5)
    assert float(loss(Sure(0.8), given, masks, given, area, both, 1 - answers)) == pytest.approx(
        -np.log(0.2) - np.log1p(-0.999 * 0.2) + size + 3 * steps, rel=1e-5
    )


@pytest.mark.parametrize("form", FORMS)
def test_one_pass_gives_the_classifiers_answer_a_mask_and_gates(form: str) -> None:
    network = masker(untrained(), 32, MaskerSettings(form, widest=4), 0).eval()
    found = masked(network, untrained(), pictures(), 4.0)
    torch.testing.assert_close(found.logits, untrained()(pictures()))
    assert (
        found.masks.shape == found.gates.shape == (16, 32, 32)
        and found.masks.min() > 0
        and found.masks.max() < 1
    )
    assert bool(found.gates.any()) == (form == "gated") and found.gates.max() <= 1


def test_only_one_form_reads_the_picture_beside_the_features() -> None:
    for form in FORMS:
        network = masker(untrained(), 32, MaskerSettings(form, widest=4), 0)
        read = network.decoder.blocks[-1][0].in_channels - network.decoder.blocks[-2][0].out_channels
        assert read == {"none": 0, "plain": 4, "gated": 4, "image": 7}[form]
    with pytest.raises(ValueError, match="form must be one of none, plain, image, gated, got 'half'"):
        masker(untrained(), 32, MaskerSettings("half"), 0)


def test_the_classifier_stays_as_it_is_running_statistics_too() -> None:
    network = copy.deepcopy(untrained()).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    settings = MaskerSettings(updates=3, batch_size=8, widest=4)
    made = masker(network, 32, settings, 0)
    start = copy.deepcopy(made.state_dict())
    losses = list(masker_training(made, network, pictures(), settings, 0))
    assert len(losses) == 3 and all(
        torch.equal(value, before[name]) for name, value in network.state_dict().items()
    )
    assert not torch.equal(made.state_dict()["decoder.last.weight"], start["decoder.last.weight"])
    assert all(parameter.grad is None for parameter in network.parameters())


def test_maskers_of_one_seed_meet_the_same_pictures_and_fills() -> None:
    settings = MaskerSettings("plain", updates=2, batch_size=8, widest=4)
    made = [masker(untrained(), 32, settings, 0) for _ in range(2)]
    turns = zip(*(masker_training(one, untrained(), pictures(), settings, 0) for one in made), strict=True)
    assert all(first == second for first, second in turns)
    other = masker(untrained(), 32, settings, 0)
    assert next(masker_training(other, untrained(), pictures(), settings, 1)) != next(
        masker_training(made[0], untrained(), pictures(), settings, 0)
    )


def test_a_constant_classifier_needs_nothing_of_a_picture() -> None:
    network = copy.deepcopy(untrained())
    nn.init.zeros_(network.linear.weight)
    settings = MaskerSettings(updates=60, batch_size=8, rate=0.03, widest=4)
    made = masker(network, 32, settings, 0)
    for _ in masker_training(made, network, pictures(), settings, 0):
        pass
    assert float(masked(made, network, pictures(), 4.0).masks.mean()) < 0.02


def achievable(background: float, side: int = 32, tag: int = 4) -> float:
    """The share on the tag of a mask that is 1 there and `background` on every other
    pixel.
    """
    return tag**2 / (tag**2 + (side**2 - tag**2) * background)


def test_what_a_mask_can_have_on_the_tag_is_bounded_by_its_background() -> None:
    assert achievable(0.0018) == pytest.approx(0.9, abs=0.002) and achievable(0.05) == pytest.approx(
        0.241, abs=0.001
    )
    assert achievable(1.0) == 16 / 1024


@cache
def tag_reader() -> tuple[nn.Sequential, torch.Tensor]:
    config = SMALL.replace(scenes=400, updates=200, batch_size=16, width=8)
    taught, _ = materials.tagged(config, 1.0, 400, 0, "taught")
    learner = Learner(config, "classify_only", taught, 4, 0)
    for _ in learner.lessons(taught):
        pass
    return learner.network.eval().requires_grad_(False), taught.pictures


def test_the_mask_of_a_classifier_that_reads_the_tag_lies_on_the_tag() -> None:
    network, taught = tag_reader()
    explained, known = materials.tagged(SMALL, 0.25, 60, 0, "explained")
    with torch.no_grad():
        answers = network(explained.pictures).argmax(1).numpy()
    assert (answers == known.tags).mean() > 0.9 and (answers == known.labels).mean() < 0.5
    settings = MaskerSettings(
        "gated", low_area=10.0, high_area=10.0, updates=120, batch_size=16, rate=0.02, widest=8
    )
    made = masker(network, 32, settings, 0)
    for _ in masker_training(made, network, taught, settings, 0):
        pass
    masks = masked(made, network, explained.pictures, 10.0).masks.numpy()
    on_tag = mass_on_tag(masks, known.tag_boxes).mean()
    assert on_tag > achievable(0.05) > 15 * achievable(1.0)
    assert mass_in_mask(masks, known.masks).mean() < 0.1 < known.masks.mean()  # the object is left alone


def test_a_mask_optimised_for_a_picture_finds_the_half_that_the_classifier_reads() -> None:
    class LeftHalf(nn.Module):
        def forward(self, given: torch.Tensor) -> torch.Tensor:
            left = 20 * (given[:, :, :, :16].mean((1, 2, 3)) - 0.5)
            return torch.stack([left, -left], dim=1)

    given = torch.full((2, 3, 32, 32), 0.9)
    found = optimised(
        LeftHalf(), given, MaskerSettings(low_area=1.0, high_area=1.0, smoothness=0.1), 0, steps=40
    )
    assert found.shape == (2, 32, 32) and float(found[:, :, :12].mean()) > 3 * float(found[:, :, 20:].mean())


# --- two tasks, one encoder


@pytest.mark.parametrize("arm", [*ORDER, *DETECT])
def test_budgets_are_equal(arm: str) -> None:
    phases = schedule(arm, SMALL.replace(budget="encoder"))
    assert sum(phase.updates for phase in phases if not phase.frozen) == SMALL.updates
    for task in {task for phase in phases for task in phase.tasks}:
        assert (
            sum(phase.updates for phase in schedule(arm, SMALL.replace(budget="task")) if task in phase.tasks)
            == SMALL.updates
        )
    assert [phase.frozen for phase in phases] == [False, arm.endswith("_frozen")][-len(phases) :]
    first = {"classify": "classify", "segment": "segment", "detect": "detect"}.get(arm.split("_")[0])
    assert first is None or phases[0].tasks[0] == first
    wanted = "detect" if arm in DETECT else "segment"
    assert {task for phase in phases for task in phase.tasks} <= {"classify", wanted}


def taught(config: LearnedSalienceConfig = SMALL, seed: int = 0) -> materials.Material:
    return materials.shared(config, config.scenes, seed, "taught")


def finished(
    arm: str, config: LearnedSalienceConfig = SMALL, tested: materials.Material | None = None
) -> Learner:
    material = taught(config)
    learner = Learner(config, arm, material, 4, 0)
    for _ in learner.lessons(tested or material):
        pass
    return learner


@pytest.mark.parametrize("arm", ["parallel", "classify_and_detect"])
def test_a_second_task_of_weight_0_changes_nothing_of_the_classifier(arm: str) -> None:
    alone, together = finished("classify_only"), finished(arm, SMALL.replace(weight=0.0))
    weighted = finished(arm)
    for name, value in alone.network.state_dict().items():
        assert torch.equal(value, together.network.state_dict()[name]), name
    assert not torch.equal(alone.network.stem[0].weight, weighted.network.stem[0].weight)


def test_a_frozen_encoder_stays_and_forgets_nothing() -> None:
    config = SMALL.replace(budget="encoder")
    material, alone = taught(config), finished("segment_only", config)
    frozen = finished("segment_first_frozen", config)
    for name, value in alone.network.state_dict().items():
        if not name.startswith("linear"):
            assert torch.equal(value, frozen.network.state_dict()[name]), name
    assert frozen.first == frozen.measured(material, ("segment",))
    tuned = finished("segment_first", config)
    assert not torch.equal(alone.network.stem[0].weight, tuned.network.stem[0].weight)


def test_what_is_tested_with_changes_no_weight() -> None:
    others = materials.shared(SMALL, 20, 5, "tested")
    one, other = finished("classify_first"), finished("classify_first", tested=others)
    assert all(
        torch.equal(value, other.network.state_dict()[name])
        for name, value in one.network.state_dict().items()
    )
    assert one.first != other.first


def test_outline_pixels_teach_nothing() -> None:
    given = taught()
    masks = given.masks.clone()
    masks[:, :, :16] = OUTLINE
    learner = Learner(
        SMALL,
        "segment_only",
        materials.Material(given.pictures, given.swapped, given.labels, masks, given.boxes),
        4,
        0,
    )
    logits = torch.from_numpy(learner.predicted(given.pictures[:8]))[:, :, 16:]
    by_hand = nn.functional.binary_cross_entropy_with_logits(logits, given.masks[:8, :, 16:].float())
    torch.testing.assert_close(learner._loss(torch.arange(8), ("segment",)), by_hand)


def test_lessons_are_parted_as_evenly_as_can_be() -> None:
    done: list[int] = []

    def lessons() -> object:
        for step in range(23):
            done.append(step)
            yield

    counts = [len(done) for _ in ticks(lessons(), 23, 10)]
    assert counts == [2, 4, 6, 9, 11, 13, 16, 18, 20, 23]


# --- material


def test_backgrounds_name_the_class_as_often_as_is_asked() -> None:
    given = materials.generated(SMALL, 0.25, 400, 0, "backgrounds of a test")
    brightness = np.sort(given.backgrounds.mean((1, 2, 3)))
    for agreement, low, high in ((1.0, 1.0, 1.0), (0.7, 0.62, 0.78), (0.25, 0.17, 0.33)):
        plates = materials.telling_plates(given, agreement, 0, "test")
        group = np.searchsorted(brightness, plates.mean((1, 2, 3))) // 100
        assert low <= (group == given.labels).mean() <= high, agreement


def test_swapped_scenes_are_the_same_but_for_the_background() -> None:
    material, given = taught(), materials.generated(SMALL, 0.25, SMALL.scenes, 0, "taught")
    objects = torch.from_numpy(given.masks.astype(bool))[:, None].expand_as(material.pictures)
    assert torch.equal(material.pictures[objects], material.swapped[objects])
    changed = (material.pictures != material.swapped).any(1).float().mean()
    assert changed > 0.5 and torch.equal(material.masks, torch.from_numpy(given.masks))
    tagged, known = materials.tagged(SMALL, 1.0, 60, 0, "tested")
    assert np.array_equal(known.tags, known.labels)
    apart = (tagged.pictures != tagged.swapped).any(1)  # the tag alone
    assert int(apart.sum((1, 2)).max()) == 16 and 0.5 < float(apart.any((1, 2)).float().mean()) < 0.95


# --- the leak


def test_a_mask_that_knows_the_class_leaks_and_one_that_does_not_does_not() -> None:
    draws = numpy_stream(0, "labels of a test")
    labels = draws.integers(0, 4, 600)
    shapes = draws.random((600, 16, 16)) * 0.2
    telling = shapes.copy()
    for index, label in enumerate(labels):
        telling[index, 4 * label : 4 * label + 4] += 0.5
    told, untold = (
        leak(torch.from_numpy(masks), torch.from_numpy(labels), 4, 0) for masks in (telling, shapes)
    )
    assert told > 0.65 and abs(untold) < 0.1
    assert abs(leak(torch.ones(600, 16, 16), torch.from_numpy(labels), 4, 0)) < 0.1


# --- the run


def test_every_arm_has_a_role_and_every_experiment_its_arms() -> None:
    assert set(ROLES) == set(ARMS)
    for experiment in EXPERIMENTS:
        two, every = (
            set(arms(LearnedSalienceConfig(experiment=experiment, arms=which))) for which in ("two", "all")
        )
        assert two < every <= set(ARMS)
    assert all(measures(LearnedSalienceConfig(experiment="all", arms="all"), arm) for arm in ARMS)
    textures = LearnedSalienceConfig(label="texture")
    assert "leak" in measures(textures, "gated") and "leak" not in measures(LearnedSalienceConfig(), "gated")
    assert "tag" not in measures(LearnedSalienceConfig(dataset="oxford_pets"), "gated")


@pytest.mark.parametrize(
    ("settings", "silent"),
    [
        ({}, {"cause_tag", "segment_first_helps_task"}),
        ({"budget": "task"}, {"cause_tag", "segment_first_helps", "classify_first_helps"}),
        ({"rho": 1.0}, {"cause", "skips_help", "gates_help", "segment_first_helps_task"}),
        ({"rho": 0.6}, {"cause", "cause_tag", "skips_help", "gates_help", "segment_first_helps_task"}),
    ],
)
def test_a_run_decides_no_claim_that_takes_other_settings_for_granted(
    settings: dict, silent: set[str]
) -> None:
    config = LearnedSalienceConfig(experiment="all", arms="all", label="texture", **settings)
    columns = {
        f"{arm}_{measure}": np.linspace(0, 1, 4) for arm in arms(config) for measure in measures(config, arm)
    }
    told = {verdict.claim.name for verdict in runs.decided(subject, config, columns)}
    assert told == {claim.name for claim in subject.claims} - silent


def test_a_run_is_as_long_as_its_stages_and_shows_a_scene_at_its_end() -> None:
    film = list(run(SMALL, (3,)))
    assert len(film) == TICKS * STAGES["order"] and film[-1].scene.any() and not film[0].scene.any()
    last = film[-1]
    assert {name for name in metrics(SMALL, film) if name.startswith("segment_first")} == {
        f"segment_first_{measure}" for measure in ("accuracy", "swapped", "iou", "forgotten")
    }
    assert 0 <= last.measured.max() <= 1 and film[0].curves.any() and not film[0].measured.any()
    assert last.shown[0, ARMS.index("segment_first")].any() and not last.shown[0, ARMS.index("gated")].any()


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_nothing_is_learned_from_what_is_tested(experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other test scenes every curve, which is all that training leads to, stays
    what it was to the last bit; only the exam differs.
    """
    config = SMALL.replace(experiment=experiment)
    films = [list(run(config, (0,)))]
    given = materials.generated

    def other(config: LearnedSalienceConfig, rho: float, count: int, seed: int, purpose: str) -> object:
        return given(config, rho, count, seed + 1000 * (purpose in ("tested", "explained")), purpose)

    monkeypatch.setattr(materials, "generated", other)
    films.append(list(run(config, (0,))))
    for one, another in zip(*films, strict=True):
        np.testing.assert_array_equal(one.curves, another.curves)
    assert (films[0][-1].measured != films[1][-1].measured).any()


@cache
def few_pets() -> data.Dataset:
    """Pictures of noise with masks of rectangles in an outline, of the size and with
    the values of Oxford-IIIT Pet.
    """
    draws = numpy_stream(0, "pets of a test")
    parts = []
    for count in (40, 24):
        masks = np.zeros((count, 64, 64), np.uint8)
        masks[:, 10:40, 20:50], masks[:, 12:38, 22:48] = data.OUTLINE, 1
        images = draws.integers(0, 256, (count, 3, 64, 64)).astype(np.uint8)
        parts.append(
            data.Images(images, draws.integers(0, 37, count), data.CATALOGUE["oxford_pets"].classes, masks)
        )
    return data.Dataset("oxford_pets", *parts, "made by a test")


def test_pets_go_the_same_way_without_a_known_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "load", lambda name: few_pets())
    config = SMALL.replace(experiment="all", dataset="oxford_pets", batch_size=4)
    taught, held, tested = (
        materials.pets(config, 60, 3, part) for part in ("taught", "validation", "tested")
    )
    assert (len(taught.labels), len(held.labels)) == (30, 10)
    for one, other in ((taught, held), (taught, tested), (held, tested)):
        assert not (one.pictures[:, None] == other.pictures).all((2, 3, 4)).any()
    assert torch.equal(taught.boxes[0], torch.tensor([12, 22, 38, 48]) / 64)
    found = metrics(config, list(run(config, (0,))))
    assert found["truth_mass"] == 1 and "gated_tag" not in found and found["truth_box_found"] == 1
    assert (
        all(np.isfinite(values).all() for values in found.values()) and 0 <= found["segment_first_iou"] <= 1
    )


def test_maps_are_judged_on_means_of_what_was_explained_so_far() -> None:
    config = SMALL.replace(experiment="salience", pictures=20)
    film = list(run(config, (0,)))[-TICKS:]
    measured = np.stack([frame.measured[0, ARMS.index("truth")] for frame in film])
    names = list(training.MEASURES)
    assert (measured[:, names.index("mass")] == 1).all() and (measured[:, names.index("pointing")] == 1).all()
    areas = measured[:, names.index("area")] * np.arange(1, TICKS + 1)[:, None][:, 0]
    explained, _ = materials.tagged(config, 0.25, 20, 0, "explained")
    by_two = (explained.masks == 1).float().mean((1, 2)).view(TICKS, 2).mean(1).numpy()
    assert np.diff(areas, prepend=0) == pytest.approx(by_two, abs=1e-5)
    faithful = measured[:, names.index("insertion")] - measured[:, names.index("deletion")]
    assert measured[:, names.index("faithful")] == pytest.approx(faithful, abs=1e-6)
    control = film[-1].measured[0, ARMS.index("random")]
    assert abs(control[names.index("faithful")]) < 0.2 and set(arms(config)) - set(MAPS) == {
        "classifier",
        "second",
    }
