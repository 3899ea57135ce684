"""Learned saliency: arms and their budgets, images, claims, the run."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from mlcv_explore.data import OUTLINE, annotated_images, scenes
from mlcv_explore.data.annotated_images import AnnotatedImages
from mlcv_explore.experiment import runs
from mlcv_explore.ideas import learned_salience as own
from mlcv_explore.ideas.learned_salience import ARMS, MEASURES, arms, claims, photographs, tables, training
from mlcv_explore.ideas.learned_salience import idea as subject
from mlcv_explore.models import checkpoints
from mlcv_explore.models.multitask import MultitaskSettings
from mlcv_explore.saliency import generation, mask_network
from mlcv_explore.saliency.attribution import METHODS as OF_ANOTHER_IDEA
from mlcv_explore.saliency.attribution import attribute_all
from mlcv_explore.saliency.methods import SaliencySettings
from tests.calls import recorded

SMALL = subject.config(experiment="order", scenes=60, updates=4, test_scenes=20, explained_scenes=4, width=4)
SALIENCE = SMALL.replace(experiment="salience", updates=2, explained_scenes=1)


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image-only network is trained for one epoch; the contract's run has all of them."""
    monkeypatch.setattr(generation, "GenerationConfig", partial(generation.GenerationConfig, epochs=1))


@pytest.mark.parametrize("updates", [4, 5])
def test_orders_have_equal_updates_of_the_encoder_and_half_of_them_per_task(updates: int) -> None:
    config, classify = SMALL.replace(updates=updates), ("classify",)
    images = training.draw_images(config, 8, 0, "taught")
    trained = {arm: training.trainer(config, arm, images, 0) for arm in own.ORDER}
    phases = {arm: [(phase.tasks, phase.updates) for phase in each.phases] for arm, each in trained.items()}
    assert phases == {
        "classify_half": [(classify, updates - 2)],
        "classify_only": [(classify, updates)],
        "segment_first": [(("segment",), 2), (classify, updates - 2)],
        "parallel": [(("classify", "segment"), updates)],
    }
    for each in trained.values():
        assert not any(phase.frozen for phase in each.phases)
        assert each.settings == MultitaskSettings(width=4, batch_size=16)
        assert all(map(torch.equal, each.network.parameters(), trained["parallel"].network.parameters()))


def test_tags_agree_in_training_and_are_swapped_in_other_parts_alone() -> None:
    train, test = (training.draw_images(SALIENCE, 60, 0, part, 1.0) for part in ("taught", "tested"))
    explained = training.draw_images(SALIENCE, 60, 0, "explained")
    assert train.swapped is train.images and explained.swapped is explained.images
    apart = (test.images != test.swapped).any(1)
    assert int(apart.sum((1, 2)).max()) == 16 and 0.5 < float(apart.any((1, 2)).float().mean()) < 0.95
    order = training.draw_images(SMALL, 60, 0, "taught", 1.0)
    assert (order.images != order.swapped).any(1).float().mean() > 0.5
    assert torch.equal(order.masks, train.masks) and not torch.equal(order.masks, test.masks)


def test_arms_and_measures_are_declared_and_methods_are_all_of_another_idea() -> None:
    assert {arm.name for arm in subject.arms} == {*ARMS}
    assert tuple(measure.name for measure in subject.measures) == MEASURES
    assert {*own.METHODS} == {name for name, method in OF_ANOTHER_IDEA.items() if not method.control}
    assert {*own.DECODED, *own.CONTROLS} < {*own.MAPS} and {*claims.STRONGEST} < {*own.METHODS}
    every, measures_of = subject.config(experiment="all", label="texture"), own.measures_of
    assert arms(every) == ARMS and all(measures_of(every, arm) for arm in ARMS)
    assert "leak" not in measures_of(every, "gates") and "leak" not in measures_of(SMALL, "learned")
    pets, composites = (every.replace(dataset=name) for name in ("oxford_pets", "composites"))
    unknown = {"mass", "pointing", "tag", "leak", "swapped"}
    assert not unknown & {name for arm in ARMS for name in measures_of(pets, arm)}
    assert measures_of(composites, "learned") == (*own.MAP_MEASURES[:3], "mass", "pointing")
    assert measures_of(composites, "classifier") == ("accuracy",)
    assert (pets.background, composites.background, composites.rho) == (0.25, 0.5, 0.25)


OF_MAPS = {"cause", "beats_image", "faithful"}
OF_ORDERS = {"segment_first", "segment_first_task", "joint"}


@pytest.mark.parametrize(
    ("settings", "decided"),
    [
        ({}, OF_MAPS),
        ({"label": "texture"}, {"leaks"}),
        ({"rho": 1.0}, {"cause_tag"}),
        ({"rho": 0.6}, set()),
        ({"area": 1.0}, set()),
        ({"experiment": "order"}, set()),
        ({"updates": 1200}, OF_MAPS | OF_ORDERS),
        ({"updates": 1200, "background": 0.7}, OF_MAPS),
        ({"dataset": "oxford_pets"}, {"faithful"}),
        ({"dataset": "composites"}, OF_MAPS),
    ],
)
def test_a_run_with_other_settings_than_a_claim_assumes_does_not_decide_it(
    settings: dict, decided: set[str]
) -> None:
    config = subject.config(**({"experiment": "all"} | settings))
    known = {arm: own.measures_of(config, arm) for arm in arms(config)}
    columns = {f"{arm}_{name}": np.linspace(0, 1, 8) for arm in known for name in known[arm]}
    assert {verdict.claim.name for verdict in runs.decided(subject, config, columns)} == decided


def test_a_seed_has_collapsed_where_one_of_its_classifiers_has() -> None:
    alone, joint = np.array([0.9, 0.3, 0.9]), np.array([0.9, 0.9, 0.39])
    columns = {"learned_mass": np.zeros(3), "classify_only_accuracy": alone, "parallel_accuracy": joint}
    assert claims.collapsed(columns).tolist() == [False, True, True]
    assert claims.collapsed({"learned_mass": np.zeros(3)}).tolist() == [False] * 3


def test_maps_are_those_of_the_methods_for_the_predicted_class() -> None:
    classifier = checkpoints.load("scenes/0").network
    given = training.draw_images(SALIENCE, 3, 0, "explained")
    network = mask_network.build(classifier, 32, training.mask_settings(SALIENCE), 0)
    blind = generation.train(given.images, given.masks.numpy(), generation.GenerationConfig(), 0)
    maps = training.maps_of(SALIENCE, classifier, (network.eval(), blind), given, own.MAPS, 0)
    assert [*maps] == [*own.MAPS] and all(values.shape == (3, 32, 32) for values in maps.values())
    target = int(classifier(given.images[1:2]).argmax())
    settings = SaliencySettings(**training.BUDGET)
    (expected,) = attribute_all(classifier, given.images[1], target, ("occlusion",), settings, 0)
    np.testing.assert_array_equal(maps["occlusion"][1], np.abs(expected.values.astype(float)))
    learned = mask_network.predict(network, classifier, given.images, SALIENCE.area)
    np.testing.assert_array_equal(maps["learned"], learned.masks.numpy().astype(float))
    np.testing.assert_array_equal(maps["truth"], given.masks.numpy() == 1)
    np.testing.assert_array_equal(maps["edges_squared"], np.square(maps["edges"].astype(np.float32)))


def test_a_run_is_as_long_as_its_stages_and_shows_a_scene_at_its_end() -> None:
    assert own.frames_per_stage(subject.config()) == own.FRAMES and own.frames_per_stage(SMALL) == 4
    film = list(subject.run(SMALL, (3,)))
    assert len(film) == 4 * own.STAGES["order"] and film[-1].scene.any() and not film[0].scene.any()
    of_one = [name for name in subject.metrics(SMALL, film) if name.startswith("segment_first")]
    assert of_one == [f"segment_first_{measure}" for measure in ("accuracy", "swapped", "iou")]
    assert 0 <= film[-1].measured.max() <= 1 and film[0].curves.any() and not film[0].measured.any()
    assert {*tables.shown_maps(film[-1])} == {"segment_first", "parallel"}
    curves = tables.training_curves(SMALL, film[:3])["order", "IoU with the object"]
    shapes = {arm: curve.shape for arm, curve in curves.items()}
    assert shapes == {"segment_first": (1, 3), "parallel": (1, 3)}
    assert not tables.measured(SMALL, film[:1], "iou") and tables.measured(SMALL, film, "iou")


def test_scores_are_stored_under_their_arm_and_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    given = training.draw_images(SMALL, 8, 0, "taught")
    trained, state = training.trainer(SMALL, "segment_first", given, 0), training.SeedRun(SMALL, 0)
    state._measure("segment_first", trained, given)
    row = dict(zip(MEASURES, state.measured[ARMS.index("segment_first")], strict=True))
    scores = trained.evaluate(given, trained.tasks)
    assert {name: row[name] for name in scores} == pytest.approx(scores)
    assert row["accuracy"] > 0 == row["mass"]
    shares = {"area": 0.3, "kept": 0.1, "complement": 0.2}
    monkeypatch.setattr(mask_network, "agreement", lambda *_: shares)
    taught, config = recorded(monkeypatch, generation, "train"), SALIENCE.replace(explained_scenes=4)
    film = list(subject.run(config, (0,)))
    # the image-only network learns the scenes of training, not those explained
    images = training.draw_images(config, config.scenes, 0, "taught")
    assert torch.equal(taught[0][0], images.images) and (taught[0][1] == (images.masks.numpy() == 1)).all()
    for frame in film[2:4]:
        curves = dict(zip(own.CURVES, frame.curves[0, ARMS.index("learned")], strict=True))
        assert curves == pytest.approx({"accuracy": 0.1, "swapped": 0.2, "extent": 0.3})
    truth = np.stack([frame.measured[0, ARMS.index("truth")] for frame in film])
    mass, pointing, area = truth[:, [MEASURES.index(name) for name in ("mass", "pointing", "area")]].T
    assert mass.tolist() == pointing.tolist() == [0] * 4 + [1] * 2
    sizes = (training.draw_images(config, 4, 0, "explained").masks.numpy() == 1).mean((1, 2))
    assert area[4:] == pytest.approx([sizes[:2].mean(), sizes.mean()])  # over the images so far


@pytest.mark.parametrize("experiment", own.EXPERIMENTS)
def test_nothing_is_trained_on_test_images(experiment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With other test scenes every curve is the same to the last bit; the scores differ."""
    config, generate = SALIENCE.replace(experiment=experiment), training.generate_scenes
    films = [list(subject.run(config, (0,)))]

    def other(*about: object) -> scenes.Scenes:
        *first, seed, purpose = about
        held = purpose in ("tested", "explained", "masks to decode")
        return generate(*first, seed + 1000 * held, purpose)

    monkeypatch.setattr(training, "generate_scenes", other)
    films.append(list(subject.run(config, (0,))))
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
    config = SALIENCE.replace(experiment="all", dataset="oxford_pets")
    columns = subject.metrics(config, list(subject.run(config, (0,))))
    assert requested == {("train", 60), ("validation", 20), ("test", 20), ("test", 1)}
    assert "learned_mass" not in columns and "parallel_swapped" not in columns
    assert all(np.isfinite(values).all() for values in columns.values())


def test_composites_are_measured_by_their_own_generators(monkeypatch: pytest.MonkeyPatch) -> None:
    def maps(seed: int) -> Iterator[photographs.Measured]:
        yield {"learned": {"mass": 0.2, "noisy": 0.9}, "blind": {"pointing": 0.5}}
        yield {"learned": {"mass": 0.25}, "blind": {"pointing": 0.75}, "classifier": {"accuracy": 0.4}}

    def orders(updates: int, seed: int) -> Iterator[photographs.Measured]:
        yield from ({"parallel": {"iou": 0.1 * part, "swapped": 0.5}} for part in range(3))

    for name, value in {"maps": maps, "orders": orders, "MAP_PARTS": 2, "ORDER_PARTS": 3}.items():
        monkeypatch.setattr(photographs, name, value)
    asked = [recorded(monkeypatch, photographs, name) for name in ("maps", "orders")]
    config = SMALL.replace(experiment="all", dataset="composites")
    film = list(subject.run(config, (32,)))
    assert asked == [[(32,)], [(4, 32)]]
    assert [(frame.step, frame.steps) for frame in film] == [(step, 5) for step in range(1, 6)]
    columns = subject.metrics(config, film)
    expected = {"learned_mass": 0.25, "blind_pointing": 0.75, "parallel_iou": 0.2, "classifier_accuracy": 0.4}
    assert {name: float(columns[name][0]) for name in expected} == pytest.approx(expected)
    assert not film[-1].measured[0, ARMS.index("learned"), MEASURES.index("noisy")]


def test_the_leak_is_that_of_maps_of_other_scenes_of_textures(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = iter(np.arange(1, 6) / 10)
    monkeypatch.setattr(training, "leak", lambda *_: next(parts))
    decoded, config = recorded(monkeypatch, training, "leak"), SALIENCE.replace(label="texture")
    columns = subject.metrics(config, list(subject.run(config, (3,))))
    assert [float(columns[f"{arm}_leak"][0]) for arm in own.DECODED] == pytest.approx(np.arange(1, 6) / 10)
    fresh = training.draw_images(config, config.test_scenes, 3, "masks to decode")
    for masks, labels, *about in decoded:
        assert torch.equal(labels, fresh.labels) and masks.shape == (20, 32, 32) and about == [4, 3]
    assert torch.equal(decoded[own.DECODED.index("truth")][0], (fresh.masks == 1).double())
    for purpose in ("taught", "tested", "explained"):
        other = training.draw_images(config, config.test_scenes, 3, purpose)
        assert not torch.equal(other.labels, fresh.labels)
    list(subject.run(SALIENCE, (3,)))
    assert len(decoded) == len(own.DECODED)
