"""Inverted U-Net: what a mask determines, conditioning, runs, pretrained networks, the page."""

from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from mlcv_explore.charts import images
from mlcv_explore.config import SettingError
from mlcv_explore.data import DataError, composites, cutout_images, masked_images, scenes
from mlcv_explore.data.dataset import to_float
from mlcv_explore.data.masked_images import SCENE_COLOURS, SCENE_REGIONS, Categories, MaskedImages
from mlcv_explore.ideas import inverted_unet as unet
from mlcv_explore.ideas.inverted_unet import conditioning as levels
from mlcv_explore.ideas.inverted_unet import idea, inference, pretrain, training
from mlcv_explore.metrics.image_quality import explained_variance
from mlcv_explore.models import checkpoints, mask_baselines
from mlcv_explore.models.conditional_generation import Generator
from mlcv_explore.seeds import numpy_stream
from tests import opening
from tests.opening import words

SMALL = unet.InvertedUnetConfig(scenes=600, test_images=120, updates=120)
TINY = unet.InvertedUnetConfig(scenes=40, test_images=10, updates=12, width=4)
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


@pytest.fixture
def cutouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLCV_DATA with 40 coloured ellipses as cut-outs."""
    rows, columns = np.indices((40, 40))
    (tmp_path / "cutouts").mkdir()
    (tmp_path / "backgrounds").mkdir()
    random, names = numpy_stream(0, "cut-outs of a test"), [f"kind{n % 3}__{n}x.png" for n in range(40)]
    for name in names:
        inside = ((rows - 20) / random.uniform(8, 20)) ** 2 + ((columns - 20) / 19) ** 2 <= 1
        pixels = np.zeros((40, 40, 4), np.uint8)
        pixels[inside] = (*random.integers(0, 256, 3), 255)
        Image.fromarray(pixels).save(tmp_path / "cutouts" / name)
    (tmp_path / "cutouts/cutouts.csv").write_text("file,imagenet_class\n" + "".join(f"{n},\n" for n in names))
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))


OF_CUTOUTS = TINY.replace(dataset="composites", side=48, scenes=24)


def test_the_mask_explains_up_to_the_ceiling_and_nothing_where_appearance_is_independent():
    dependent, independent = small(), small(0.0)
    assert dependent["unet_explained"] - dependent["region_explained"] > 0.2
    assert dependent["unet_explained"] <= dependent["ceiling_explained"] + 0.02
    assert dependent["regression_explained"] == pytest.approx(dependent["ceiling_explained"], abs=0.02)
    assert abs(independent["unet_explained"] - independent["region_explained"]) < 0.08
    assert abs(independent["ceiling_explained"]) < 0.05
    for values in (dependent, independent):  # the control knows regions' colours, no more
        assert values["shuffled_explained"] == pytest.approx(values["region_explained"], abs=0.12)
        assert values["shuffled_background"] == pytest.approx(values["mean_background"], abs=0.05)


def test_the_ceiling_is_that_of_the_scenes():
    ours = generated(0.7, 200)
    config = scenes.ScenesConfig(label="texture", smallest=0.35, largest=0.5, dependence=0.7)
    made, best = scenes.generate(config, 200, 3, "of a test"), ours.determined[:, None].repeat(3, 1) / 255
    explained = explained_variance(best, to_float(ours.images), ours.objects)
    assert explained == pytest.approx(scenes.ceiling(made), abs=1e-5)
    assert np.array_equal(ours.labels, made.labels) and ours.categories == OWN


def test_channels_are_hard_and_every_level_keeps_those_below():
    ours, before = generated(), np.empty((40, 0, 32, 32), np.float32)
    for level in unet.LEVELS:
        given = levels.condition(ours, level)
        inputs = given.inputs()
        assert inputs.shape[1] == levels.channel_count(OWN, level) and inputs.dtype == np.float32
        assert np.array_equal(inputs[:, : before.shape[1]], before)
        assert np.array_equal(given.inputs(np.array([7, 2])), inputs[[7, 2]])
        assert levels.includes(level, "colour") or set(np.unique(inputs)) == {0, 1}
        before = inputs
    assert np.array_equal(before[:, 0], ours.objects) and (before[:, 1:8].sum(1) == 1).all()
    own = np.repeat(mask_baselines.object_colours(ours) / 255, ours.objects.sum((1, 2)), axis=0)
    first = levels.colour_channel(OWN, "thumbnail")
    colours = before[:, first : first + 3].transpose(0, 2, 3, 1)
    assert colours[ours.objects] == pytest.approx(own) and (colours[~ours.objects] == 0.5).all()
    assert set(np.unique(before[:, first + 3 : first + 5])) == {0, 1}
    assert levels.colour_channel(OWN, "class") is None
    assert (np.ptp(before[:, -3:].reshape(40, 3, 4, 8, 4, 8), axis=(3, 5)) == 0).all()  # nearest pixel


def test_test_images_have_no_part_in_training_and_networks_start_equal():
    one, other = (training.Trainer(config, 0) for config in (TINY, TINY.replace(test_images=40)))
    first, second = (one.learners[arm].network.state_dict() for arm in training.TRAINED)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    other.validation_images, other.validation = one.validation_images, one.validation
    for trainer in (one, other):
        trainer.train_to(12)
        trainer.select()
    parts = one.training_images, one.validation_images, one.test_images
    contents = [{image.tobytes() for image in part.images} for part in parts]
    assert not contents[0] & contents[2] and not contents[1] & contents[2]
    for arm in one.learners:
        pairs = (trainer.learners[arm].network.parameters() for trainer in (one, other))
        assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True)), arm


def test_the_weights_that_were_best_on_validation_images_are_tested():
    trainer = training.Trainer(TINY.replace(updates=60, rate=0.02), 1)
    states, curve = [], []
    for step in range(6, 61, 6):
        trainer.train_to(step)
        states.append(
            {name: value.clone() for name, value in trainer.learners["unet"].network.state_dict().items()}
        )
        curve.append(trainer.curve[unet.ARMS.index("unet")])
    best, images = int(np.argmax(curve)), trainer.validation_images
    output = trainer._output("unet", trainer._condition(images), "of a test")
    assert curve[-1] == explained_variance(output, to_float(images.images), images.objects)
    trainer.select()
    own = trainer.learners["unet"].network.state_dict()
    assert all(torch.equal(value, states[best][name]) for name, value in own.items())
    assert trainer.best["unet"][0] == max(curve)


def test_arms_without_a_network_use_training_images_alone():
    trainer = training.Trainer(TINY, 0)
    train, some, test = trainer.training_images, trainer.training_images.take(slice(6)), trainer.test_images
    outputs = trainer.untrained(some)
    assert outputs["nearest"] == pytest.approx(to_float(some.images))  # itself
    assert outputs["mean"][1] == pytest.approx(train.images.mean(0) / 255, abs=1e-5)
    tag = some.regions == SCENE_REGIONS.index("tag")
    own = train.images.transpose(0, 2, 3, 1)[train.regions == SCENE_REGIONS.index("tag")].mean(0) / 255
    assert outputs["region"].transpose(0, 2, 3, 1)[tag][0] == pytest.approx(own, abs=1e-5)
    black = masked_images.MaskedImages(test.categories, 0 * test.images, test.regions, test.labels)
    first, second = trainer.untrained(test), trainer.untrained(black)
    for arm in first:  # nothing of a test image but, where stated, its colour
        assert np.array_equal(first[arm], second[arm]) == (arm not in ("colour", "shaded")), arm
    inside = test.objects[:, None]
    assert (first["regression"] == first["region"])[np.broadcast_to(~inside, first["region"].shape)].all()
    colour, truths = first["colour"].transpose(0, 2, 3, 1), to_float(test.images).transpose(0, 2, 3, 1)
    assert colour[0][test.objects[0]].mean(0) == pytest.approx(truths[0][test.objects[0]].mean(0), abs=0.003)


def test_the_control_differs_by_its_masks_alone(monkeypatch):
    trainer, batches = training.Trainer(TINY, 0), {arm: [] for arm in training.TRAINED}
    for arm, learner in trainer.learners.items():
        monkeypatch.setattr(learner, "step", lambda *given, arm=arm: batches[arm].append(given) or 0.0)
    trainer.train_to(3)
    assert [len(batches[arm]) for arm in training.TRAINED] == [3, 3]
    for (given, truths, weights), (others, same, agreeing) in zip(*batches.values(), strict=True):
        assert torch.equal(truths, same) and not torch.equal(given, others)
        # the first channel is the object
        assert torch.equal(weights, torch.where(given[:, :1] == 1, training.OBJECT_WEIGHT, 1.0))
        equal = given[:, :1] == others[:, :1]
        assert torch.equal(agreeing, torch.where(equal, weights, 0)) and not equal.all()


def test_a_network_that_is_given_the_colour_begins_with_it():
    trainer = training.Trainer(TINY.replace(detail="colour"), 0)
    output = trainer._output("unet", trainer._condition(trainer.test_images), "test")
    filled = np.where(
        trainer.test_images.objects[:, None], trainer.untrained(trainer.test_images)["colour"], 0.5
    )
    assert output == pytest.approx(filled, abs=1e-6)


def test_only_arms_of_the_settings_are_measured():
    assert unet.arms_of(unet.InvertedUnetConfig()) == unet.ARMS
    assert "shuffled" not in unet.arms_of(unet.InvertedUnetConfig(control=False))
    assert "ceiling" not in unet.arms_of(unet.InvertedUnetConfig(detail="edges"))
    # the axes of a frame are the declared arms and measures
    assert tuple(arm.name for arm in idea.arms)[: len(unet.ARMS)] == unet.ARMS
    assert tuple(measure.name for measure in idea.measures) == unet.MEASURES


def test_cut_outs_are_split_by_object_and_their_runs_have_no_ceiling(cutouts):
    film = list(unet.run(OF_CUTOUTS, (0, 1)))
    values = unet.metrics(OF_CUTOUTS, film)
    assert all(np.isfinite(column).all() for column in values.values())
    assert "ceiling_explained" not in values and "unet_background" not in values
    # objects of one colour: their own mean explains them up to their rims, all others' none of it
    assert (values["colour_explained"] > 0.9).all() and (values["region_explained"] < 0.1).all()
    split = idea.split_sizes(OF_CUTOUTS)
    assert (split.train, split.test) == (24, 10) and idea.split_sizes(TINY) is None
    parts = training.splits(OF_CUTOUTS, 0)
    assert [len(part) for part in parts] == [24, 5, 10]
    shown = inference.shown_images(film[-1], OF_CUTOUTS, 0)
    assert np.array_equal(shown[2::3], parts[2].images[:3].transpose(0, 2, 3, 1))


def test_photographs_need_their_side_and_their_files(tmp_path, monkeypatch):
    for dataset, side in unet.SIDES.items():
        with pytest.raises(SettingError, match=f"dataset {dataset} needs side {side}"):
            unet.InvertedUnetConfig(dataset=dataset)
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    monkeypatch.setenv("MLCV_HOME", str(tmp_path))
    with pytest.raises(DataError, match="cut-outs"):
        next(unet.run(OF_CUTOUTS, (0,)))
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
    assert np.isfinite(values["unet_background"]).all() and "ceiling_explained" not in values
    assert inference.shown_images(film[-1], config, 0).shape == (3, 64, 64, 3)


def test_pretrained_networks_are_small_and_stay_below_the_ceiling():
    for name in idea.checkpoints():
        assert (checkpoints.FOLDER / name / "0" / checkpoints.WEIGHTS).stat().st_size < 2_000_000
        _, card = inference.network(name.removeprefix(pretrain.PREFIX))
        about = card["kind"], card["architecture"], card["recipe"]["dependence"]
        assert about == (pretrain.KIND, "Generator", 1) and card["level"] == card["recipe"]["detail"]
        if card["recipe"]["dataset"] == "scenes":
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


def test_objects_that_were_held_out_are_on_the_card_as_masks(cutouts):
    made = pretrain.train("l2", 3, OF_CUTOUTS.replace(updates=4, control=False), None)
    test = training.splits(OF_CUTOUTS, 3)[2]
    assert len(made.about["examples"]) == pretrain.EXAMPLES
    for text, mask in zip(made.about["examples"].values(), test.objects, strict=False):
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))
        assert np.array_equal(bits.reshape(48, 48), mask)


def test_shipped_masks_have_predictions_and_where_photographs_are_here_truths(monkeypatch):
    names, masks, outputs, _ = inference.held_out()
    assert len(names) == pretrain.EXAMPLES and masks.shape == (4, 48, 48) and outputs.dtype == np.uint8
    assert (np.abs(outputs[masks == 0].astype(int) - 128) < 25).mean() > 0.9  # grey around the object
    monkeypatch.delenv("MLCV_DATA", raising=False)
    assert inference.held_out()[3] is None


@pytest.mark.real_data
def test_the_truth_of_a_shipped_mask_is_its_photograph():
    if not composites.present():
        pytest.skip("MLCV_DATA has no cut-outs")
    (shown, masks, _, truths), (own, names) = inference.held_out(), cutout_images.load(48)
    places = [names.index(name) for name in shown]
    assert np.array_equal(masks, own.regions[places])
    assert np.array_equal(truths, own.images[places].transpose(0, 2, 3, 1))
    assert set(places) <= set(cutout_images.split_indices((186, 25, 50), 0)[2])  # seed 0's test part


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


@pytest.mark.parametrize("level", ["binary", "colour", "thumbnail"])
def test_a_level_predicts_a_scene_beside_its_true_image(level):
    app = opened(level=level, scene="3")
    text = words(app)
    assert not app.exception and "True image" in text and "Nearest in training" in text
    assert ("Edges: scene 3" in text) == (level == "thumbnail")
    assert len(app.color_picker) == (level != "binary") and "U-Net of photographs" in text


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
    config = idea.quick.replace(control=False, side=side)
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
