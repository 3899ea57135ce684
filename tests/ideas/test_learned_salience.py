"""Learned saliency: arms and their budgets, images, claims, the run."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mlcv_explore.data import OUTLINE, annotated_images, scenes
from mlcv_explore.data.annotated_images import AnnotatedImages
from mlcv_explore.experiment import runs
from mlcv_explore.ideas.learned_salience import (
    ARMS,
    CLASSIFIERS,
    CURVES,
    DETECT,
    EXPERIMENTS,
    FRAMES,
    MAPS,
    MASKERS,
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
    training,
)
from mlcv_explore.ideas.learned_salience import idea as subject
from mlcv_explore.models.multitask import MultitaskSettings
from mlcv_explore.saliency import mask_network
from mlcv_explore.saliency.mask_network import FORMS

SMALL = LearnedSalienceConfig(
    experiment="order", scenes=60, updates=4, batch_size=8, test_scenes=20, explained_scenes=4, width=4
)


@pytest.mark.parametrize("arm", [*ORDER, *DETECT])
def test_budgets_are_equal(arm: str) -> None:
    phases = training.schedule(SMALL.replace(budget="encoder"), arm)
    assert sum(phase.updates for phase in phases if not phase.frozen) == SMALL.updates
    tasks, by_task = {task for phase in phases for task in phase.tasks}, SMALL.replace(budget="task")
    for task in tasks:
        counts = [phase.updates for phase in training.schedule(by_task, arm) if task in phase.tasks]
        assert sum(counts) == SMALL.updates
    assert [phase.frozen for phase in phases] == [False, arm.endswith("_frozen")][-len(phases) :]
    first = arm.split("_")[0]
    assert first == "parallel" or phases[0].tasks[0] == first
    assert tasks <= {"classify", "detect" if arm in DETECT else "segment"}
    assert (len(phases), len(tasks)) == {
        **{name: (1, 1) for name in ("classify_only", "segment_only", "detect_only")},
        **{name: (1, 2) for name in ("parallel", "classify_and_detect")},
    }.get(arm, (2, 2))


def test_tags_agree_in_training_and_are_swapped_in_other_parts_alone() -> None:
    config = SMALL.replace(experiment="salience")
    train, test = (training.draw_images(config, 60, 0, part, 1.0) for part in ("taught", "tested"))
    explained = training.draw_images(config, 60, 0, "explained")
    for made in (train, explained):
        assert made.swapped is made.images
    apart = (test.images != test.swapped).any(1)
    assert int(apart.sum((1, 2)).max()) == 16 and 0.5 < float(apart.any((1, 2)).float().mean()) < 0.95
    order = training.draw_images(SMALL, 60, 0, "taught", 1.0)
    assert (order.images != order.swapped).any(1).float().mean() > 0.5
    assert torch.equal(order.masks, train.masks) and not torch.equal(order.masks, test.masks)


def test_arms_and_measures_are_declared_and_every_experiment_has_its_own() -> None:
    assert tuple(arm.name for arm in subject.arms) == ARMS
    assert tuple(measure.name for measure in subject.measures) == MEASURES
    assert {form for form, _ in MASKERS.values()} == {*FORMS}
    for experiment in EXPERIMENTS:
        two, every = (
            {*arms(LearnedSalienceConfig(experiment=experiment, arms=which))} for which in ("two", "all")
        )
        assert two < every <= {*ARMS}
    assert {*arms(SMALL.replace(experiment="salience"))} - {*MAPS} == {*CLASSIFIERS}
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
    ("settings", "decided"),
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
def test_a_run_with_other_settings_than_a_claim_assumes_does_not_decide_it(
    settings: dict, decided: set[str]
) -> None:
    config = LearnedSalienceConfig(experiment="all", arms="all", **settings)
    columns = {
        f"{arm}_{name}": np.linspace(0, 1, 4) for arm in arms(config) for name in measures_of(config, arm)
    }
    assert {verdict.claim.name for verdict in runs.decided(subject, config, columns)} == decided


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
    assert not tables.measured(SMALL, film[:1], "iou") and tables.measured(SMALL, film, "iou")


def test_scores_are_stored_under_their_arm_and_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    given = training.draw_images(SMALL, 8, 0, "taught")
    trained = training.trainer(SMALL.replace(weight=0.3), "segment_first", given, 0)
    assert trained.settings == MultitaskSettings(width=4, batch_size=8, weight=0.3)
    state, trained.first_scores = training.SeedRun(SMALL, 0), {"iou": 0.9}
    state._measure("segment_first", trained, given)
    row = dict(zip(MEASURES, state.measured[ARMS.index("segment_first")], strict=True))
    assert row["forgotten"] == pytest.approx(0.9 - row["iou"]) and row["accuracy"] > 0 == row["overlap"]
    shares = {"area": 0.3, "kept": 0.1, "complement": 0.2}
    monkeypatch.setattr(mask_network, "agreement", lambda *_: shares)
    config = SMALL.replace(experiment="salience", updates=2)
    film = list(run(config, (0,)))
    curves = [frame.curves[0, ARMS.index("gated")] for frame in film[2:4]]
    assert [dict(zip(CURVES, curve, strict=True)) for curve in curves] == 2 * [
        {"accuracy": pytest.approx(0.1), "swapped": pytest.approx(0.2), "extent": pytest.approx(0.3)}
    ]
    truth = np.stack([frame.measured[0, ARMS.index("truth")] for frame in film])
    mass, pointing, area = truth[:, [MEASURES.index(name) for name in ("mass", "pointing", "area")]].T
    assert mass.tolist() == pointing.tolist() == [0] * 4 + [1] * 2
    sizes = (training.draw_images(config, 4, 0, "explained").masks.numpy() == 1).mean((1, 2))
    assert area[4:] == pytest.approx([sizes[:2].mean(), sizes.mean()])  # over the images so far


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_nothing_is_trained_on_test_images(experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other test scenes every curve is the same to the last bit; the scores differ."""
    config = SMALL.replace(experiment=experiment, updates=2)
    films, generate = [list(run(config, (0,)))], training.generate_scenes

    def other(config: LearnedSalienceConfig, rho: float, count: int, seed: int, purpose: str) -> object:
        return generate(config, rho, count, seed + 1000 * (purpose in ("tested", "explained")), purpose)

    monkeypatch.setattr(training, "generate_scenes", other)
    films.append(list(run(config, (0,))))
    for one, another in zip(*films, strict=True):
        np.testing.assert_array_equal(one.curves, another.curves)
    assert (films[0][-1].measured != films[1][-1].measured).any()


def test_pets_run_without_a_known_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    requested = set()

    def pets(part: str, count: int, seed: int) -> AnnotatedImages:
        """Scenes in the form of Oxford-IIIT Pet."""
        requested.add((part, count))
        given = scenes.generate(scenes.ScenesConfig(side=64), count, seed, part)
        given.masks[:, 40:][given.masks[:, 40:] == 0] = OUTLINE
        return replace(annotated_images.of_scenes(given), classes=37, tag_boxes=None)

    monkeypatch.setattr(annotated_images, "pets", pets)
    config = SMALL.replace(experiment="all", dataset="oxford_pets", batch_size=4, updates=2)
    columns = metrics(config, list(run(config, (0,))))
    assert requested == {("train", 60), ("validation", 20), ("test", 20), ("test", 4)}
    assert columns["truth_mass"] == columns["truth_box_found"] == 1 and "gated_tag" not in columns
    assert all(np.isfinite(values).all() for values in columns.values())
