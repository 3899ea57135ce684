"""Inverted U-Net: what a mask determines, conditioning, runs, pretrained networks, the page."""

from functools import cache, partial

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from mlcv_explore.charts import images
from mlcv_explore.config import SettingError
from mlcv_explore.data import DataError, masked_images, scenes
from mlcv_explore.data.dataset import to_float
from mlcv_explore.data.masked_images import SCENE_COLOURS, SCENE_REGIONS, Categories, MaskedImages
from mlcv_explore.ideas import inverted_unet as unet
from mlcv_explore.ideas.inverted_unet import conditioning as levels
from mlcv_explore.ideas.inverted_unet import idea, inference, pretrain, training
from mlcv_explore.metrics.image_quality import explained_variance
from mlcv_explore.metrics.overlap import MaskIndex
from mlcv_explore.models import checkpoints
from mlcv_explore.models.conditional_generation import Generator
from mlcv_explore.seeds import numpy_stream
from tests import opening
from tests.opening import words

SMALL = unet.InvertedUnetConfig(scenes=600, test_images=120, updates=120, width=8, batch=16)
TINY = unet.InvertedUnetConfig(scenes=40, test_images=10, updates=12, width=4, arms="all", adversarial=True)
OWN = inference.SCENES
opened = partial(opening.opened, "inverted_unet")


@cache
def small(dependence: float = 1.0) -> dict[str, float]:
    """Metrics of a small run of one seed."""
    config = SMALL.replace(dependence=dependence)
    film = list(unet.run(config, (0,)))
    return {name: float(values[0]) for name, values in unet.metrics(config, film).items()}


@cache
def generated(dependence: float = 1.0, count: int = 40) -> MaskedImages:
    return masked_images.generate(training.scenes_config(dependence), count, 3, "of a test")


def test_the_mask_explains_up_to_the_ceiling_and_nothing_where_appearance_is_independent():
    dependent, independent = small(), small(0.0)
    assert dependent["l2_explained"] - dependent["region_explained"] > 0.2
    assert dependent["l2_explained"] <= dependent["ceiling_explained"] + 0.02
    assert abs(independent["l2_explained"] - independent["region_explained"]) < 0.08
    assert abs(independent["ceiling_explained"]) < 0.05
    for values in (dependent, independent):  # the control predicts the mean image
        assert values["shuffled_explained"] == pytest.approx(values["mean_explained"], abs=0.12)
        assert values["shuffled_background"] == pytest.approx(values["mean_background"], abs=0.05)


def test_the_ceiling_is_that_of_the_scenes_and_holds_for_every_texture():
    ours = generated(0.7, 200)
    config = scenes.ScenesConfig(label="texture", smallest=0.35, largest=0.5, dependence=0.7)
    made, best = scenes.generate(config, 200, 3, "of a test"), ours.determined[:, None].repeat(3, 1) / 255
    explained = explained_variance(best, to_float(ours.images), ours.objects)
    assert explained == pytest.approx(scenes.ceiling(made), abs=1e-5)
    assert np.array_equal(ours.labels, made.labels) and ours.categories == OWN
    # contrast has either sign equally often: the texture's name does not predict the mean colour
    ours = generated(1.0, 3000)
    drawn, inside = ours.images.mean(1) - ours.determined, ours.objects
    own = [ours.labels == label for label in range(len(scenes.TEXTURES))]
    assert max(abs(drawn[label][inside[label]].mean()) for label in own) < 3  # contrast: 25 grey levels


def test_channels_are_hard_and_every_level_keeps_those_below():
    ours, before, sizes = generated(), np.empty((40, 0, 32, 32), np.float32), []
    for level in unet.LEVELS:
        given = levels.condition(ours, level)
        inputs = given.inputs()
        assert inputs.shape[1] == levels.channel_count(OWN, level) and inputs.dtype == np.float32
        assert np.array_equal(inputs[:, : before.shape[1]], before)
        assert np.array_equal(given.inputs(np.array([7, 2])), inputs[[7, 2]])
        assert level == "thumbnail" or set(np.unique(inputs)) == {0, 1}
        before = inputs
        sizes.append(given.sizes().mean())
    assert np.array_equal(before[:, 0], ours.objects) and (before[:, 1:8].sum(1) == 1).all()
    named = np.repeat(ours.labels, ours.objects.sum((1, 2)))
    assert np.array_equal(before[:, 8:12].argmax(1)[ours.objects], named)
    assert (np.ptp(before[:, -3:].reshape(40, 3, 4, 8, 4, 8), axis=(3, 5)) == 0).all()  # nearest pixel
    # bytes grow too, and one line drawing counts once
    assert (np.diff(sizes) > 0).all()
    assert levels.condition(ours, "edges", "lines").sizes().mean() < sizes[unet.LEVELS.index("edges")]
    for code in (0, 3):  # nothing but background, nothing but object
        mask = np.full((1, 32, 32), code, np.uint8)
        (inputs,) = levels.Conditioning(OWN, "label", mask, np.array([2])).inputs()
        assert np.flatnonzero(inputs.all((1, 2))).tolist() == ([0, 1 + code, 8 + 2] if code else [1])
        assert inputs.sum() == inputs.all((1, 2)).sum() * 32 * 32


def test_test_images_have_no_part_in_training_and_arms_start_equal():
    one, other = (training.Trainer(config, 0) for config in (TINY, TINY.replace(test_images=40)))
    first = one.learners["l2"].network.state_dict()
    for arm in ("l1", "shuffled"):
        initial = one.learners[arm].network.state_dict()
        assert all(torch.equal(value, first[name]) for name, value in initial.items())
    for trainer in (one, other):
        trainer.train_to(12)
    parts = one.training_images, one.validation_images, one.test_images
    contents = [{image.tobytes() for image in part.images} for part in parts]
    assert not contents[0] & contents[2] and not contents[1] & contents[2]
    one.test()
    size = levels.condition(training.splits(TINY, 0)[2], "class").sizes().mean()
    assert one.measured[unet.ARMS.index("l2"), unet.MEASURES.index("bytes")] == size
    for arm in one.learners:
        pairs = (trainer.learners[arm].network.parameters() for trainer in (one, other))
        assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True)), arm


def test_arms_without_training_use_training_images_alone():
    trainer = training.Trainer(TINY, 0)
    train, some = trainer.training_images, trainer.training_images.take(slice(6))
    outputs = trainer._untrained(some, to_float(some.images))
    assert outputs["nearest"] == pytest.approx(to_float(some.images))  # itself
    assert outputs["mean"][1] == pytest.approx(train.images.mean(0) / 255, abs=1e-5)
    tag = some.regions == SCENE_REGIONS.index("tag")
    own = train.images.transpose(0, 2, 3, 1)[train.regions == SCENE_REGIONS.index("tag")].mean(0) / 255
    assert outputs["region"].transpose(0, 2, 3, 1)[tag][0] == pytest.approx(own, abs=1e-5)
    two = training.Trainer(TINY.replace(detail="binary"), 0)._untrained(some, to_float(some.images))
    assert len(np.unique(two["region"].transpose(0, 2, 3, 1).reshape(-1, 3), axis=0)) == 2
    test, index = trainer.test_images, MaskIndex(train.regions, OWN.objects)
    near = to_float(train.images[np.stack([index.nearest(mask, 5) for mask in test.regions])])
    truths, weights = to_float(test.images), test.pixel_weights(training.OBJECT_WEIGHT)
    errors = ((near - truths[:, None]) ** 2).mean(2) * weights[:, None]
    best = near[range(10), errors.mean((2, 3)).argmin(1)]
    assert np.array_equal(trainer._untrained(test, truths)["nearest5"], best)


def test_the_objects_weight_follows_the_mask_that_a_network_is_given(monkeypatch):
    trainer, batches = training.Trainer(TINY, 0), []

    def step(given: torch.Tensor, images: torch.Tensor, weights: torch.Tensor) -> float:
        batches.append((given, weights))
        return 0.0

    for learner in trainer.learners.values():
        monkeypatch.setattr(learner, "step", step)
    trainer.train_to(1)
    assert len(batches) == len(training.TRAINED)
    for given, weights in batches:  # the first channel is the object
        assert torch.equal(weights, torch.where(given[:, :1] == 1, training.OBJECT_WEIGHT, 1.0))


def test_only_arms_of_the_settings_are_measured():
    alone = {"mean", "region", "nearest", "nearest5", "l2", "webp", "ceiling", "truth"}
    assert set(unet.arms_of(unet.InvertedUnetConfig(arms="one"))) == alone
    assert "ceiling" not in unet.arms_of(unet.InvertedUnetConfig(detail="edges"))
    names = small()
    assert "l2_bytes" in names and "l2_iou" not in names and "truth_explained" not in names
    assert names["truth_energy"] == 1
    # the axes of a frame are the declared arms and measures
    assert tuple(arm.name for arm in idea.arms)[: len(unet.ARMS)] == unet.ARMS
    assert tuple(measure.name for measure in idea.measures) == unet.MEASURES


def test_pets_need_their_side_and_their_files_and_a_run_on_their_kind_has_no_ceiling(tmp_path, monkeypatch):
    with pytest.raises(SettingError, match="dataset pets needs side 64"):
        unet.InvertedUnetConfig(dataset="pets")
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    monkeypatch.setenv("MLCV_HOME", str(tmp_path))
    config = TINY.replace(dataset="pets", side=64, scenes=20, updates=4, batch=4)
    with pytest.raises(DataError, match="oxford_pets"):
        next(unet.run(config, (0,)))
    breeds = Categories(("background", "pet", "outline"), (1,), (2,), tuple(map(str, range(37))))

    def drawn(sizes: tuple[int, ...], seed: int) -> list[MaskedImages]:
        random = numpy_stream(seed, "pets")
        images = [random.integers(0, 256, (n, 3, 64, 64), np.uint8) for n in sizes]
        codes = [random.integers(0, 3, (n, 64, 64)).astype(np.uint8) for n in sizes]
        labels = [random.integers(0, 37, n) for n in sizes]
        return [MaskedImages(breeds, *part) for part in zip(images, codes, labels, strict=True)]

    monkeypatch.setattr(training, "pets_split", drawn)
    film = list(unet.run(config, (0,)))
    values = unet.metrics(config, film)
    assert np.isfinite(values["adversarial_explained"]).all() and "ceiling_explained" not in values
    assert inference.shown_images(film[-1], config, 0).shape == (3, 64, 64, 3)


def test_pretrained_networks_are_small_and_stay_below_the_ceiling():
    for name in idea.checkpoints():
        assert (checkpoints.FOLDER / name / "0" / checkpoints.WEIGHTS).stat().st_size < 2_000_000
        _, card = inference.network(name.removeprefix(pretrain.PREFIX))
        about = card["kind"], card["architecture"], card["recipe"]["dependence"]
        assert about == (pretrain.KIND, "Generator", 1) and card["level"] == card["recipe"]["detail"]
        assert 0.7 < card["metrics"]["test_explained"] <= card["metrics"].get("test_ceiling", 1) + 0.02
    assert set(idea.checkpoints()) <= {name.split("/")[0] for name in checkpoints.names(pretrain.KIND)}


def test_a_pretrained_network_is_trained_as_a_run_and_measured_as_stored():
    spec = pretrain.CHECKPOINTS["inverted_unet_sampled"].hyperparameters
    spec, reports = spec.replace(scenes=20, test_images=10, updates=10, width=4), []
    made = pretrain.train("sampled", 0, spec, lambda *values: reports.append(values[:2]))
    assert reports == [(step, 10) for step in range(1, 11)]
    assert all(torch.equal(value, value.half().float()) for value in made.network.state_dict().values())
    Generator(**made.about["arguments"]).load_state_dict(made.network.state_dict())
    assert {"kind", "architecture", "arguments", "data", "steps", "metrics"} <= set(made.about)


def test_the_demo_predicts_larger_objects_brighter_and_lit_from_above():
    regions = np.zeros((2, 32, 32), np.uint8)
    regions[0, 10:21, 10:21] = regions[1, 8:24, 8:24] = SCENE_REGIONS.index("square")
    small_one, large_one = (inference.predicted("class", mask).astype(float) for mask in regions)
    assert large_one[12:20, 12:20].mean() - small_one[12:20, 12:20].mean() > 60
    assert large_one[9:12, 10:22].mean() - large_one[20:23, 10:22].mean() > 20
    sample = partial(inference.sample, regions[0], count=2)
    assert np.array_equal(sample(3), sample(3)) and not np.array_equal(sample(3), sample(4))
    truth = np.full((32, 32, 3), 100, np.uint8)
    errors = inference.region_errors(truth + 30 * (regions[0] > 0)[..., None], truth, regions[0])
    assert errors == {"background": 0.0, "square": 30.0}


def test_the_nearest_training_scene_is_made_again_as_in_training(monkeypatch):
    hyperparameters = pretrain.CHECKPOINTS["inverted_unet_class"].hyperparameters.replace(scenes=500)
    monkeypatch.setattr(
        inference, "CHECKPOINTS", {"inverted_unet_class": checkpoints.CheckpointSpec(hyperparameters, None)}
    )
    inference._training_masks.cache_clear()
    train = training.splits(hyperparameters, 0)[0]
    image, mask, overlap = inference.nearest_training(train.regions[371])
    assert overlap == 1 and np.array_equal(mask, train.regions[371])
    assert np.array_equal(image, train.images[371].transpose(1, 2, 0))
    tag = SCENE_REGIONS.index("tag")
    colour = np.rint(train.images.transpose(0, 2, 3, 1)[train.regions == tag].mean(0))
    assert np.array_equal(inference.region_means(np.full((32, 32), tag, np.uint8))[5, 5], colour)
    inference._training_masks.cache_clear()


# the page


@pytest.mark.parametrize("level", ["binary", "label", "thumbnail"])
def test_a_level_predicts_a_scene_beside_its_true_image(level):
    app = opened(level=level, scene="3")
    text = words(app)
    assert not app.exception and "True image" in text and "Nearest in training" in text
    assert ("Edges: scene 3" in text) == (level == "thumbnail")
    assert len(app.selectbox) == (level != "binary")


def test_an_uploaded_mask_is_used_and_a_bad_one_reported():
    app = opened(begin="Upload", rung="edges")  # the level's name in earlier links
    assert "Edges: the outline" in words(app)
    mine = images.png(SCENE_COLOURS[inference.examples().regions[4]].repeat(2, 0).repeat(2, 1))
    app.file_uploader[0].upload("mine <b>.png", mine, "image/png")
    text = words(app.run())
    assert "64 × 64" in text and "<b>" not in text and "True image" not in text
    overlap = int(text.replace(" %", "%").partition("overlap ")[2].partition("%")[0])
    assert overlap > 80  # of the nearest of 6,000 masks to that of a scene
    app.file_uploader[0].upload("bad.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "image/png")
    assert "bad.png" in words(app.run()) and not app.exception and "Its mask" in words(app)


def test_a_painted_mask_is_used_and_that_of_another_scene_is_not(monkeypatch):
    sent = {"painted": "scene 1:" + str(SCENE_REGIONS.index("circle")) * 32 * 32}
    monkeypatch.setattr("mlcv_explore.ui.canvas._canvas", lambda **_: type("Sent", (), sent)())
    assert "True image\n" not in words(opened()) and "True image\n" in words(opened(scene="2"))


@pytest.mark.parametrize("side", [32, 64])
def test_images_of_a_run_stand_beside_masks_and_scenes_of_its_side(side):
    config = idea.quick.replace(arms="one", adversarial=False, side=side)
    film = list(unet.run(config, (5,)))
    truth = training.splits(config, 5)[2].images[:3].transpose(0, 2, 3, 1)
    for frame in (film[0], film[-1]):
        shown = inference.shown_images(frame, config, 5)
        assert shown.shape == (9, side, side, 3)
    assert np.array_equal(shown[2::3], truth)


def test_a_run_shows_masks_beside_the_networks_and_the_true_images():
    def drawn() -> None:
        import runpy

        from mlcv_explore.ui import evidence

        page, (run, film) = runpy.run_path("pages/inverted_unet.py"), evidence.recorded("inverted_unet")
        page["draw"](film, page["subject"].config(**run.config), run.seeds)

    app = AppTest.from_function(drawn, default_timeout=60).run()
    assert not app.exception and "Mask, U-Net, true image; seed 0" in words(app)
