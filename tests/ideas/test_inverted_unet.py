"""Inverted U-Net: what holds of any network from masks to images, conditioning, measures
by hand, uploaded masks, and the page.
"""

import io
import time
from functools import cache, partial

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from mlcv_explore.config import SettingError
from mlcv_explore.data import DataError, scenes
from mlcv_explore.data.gallery import photographs
from mlcv_explore.data.uploads import BadImage
from mlcv_explore.experiment.jobs import Jobs
from mlcv_explore.ideas import inverted_unet as unet
from mlcv_explore.ideas.inverted_unet import conditioning as levels
from mlcv_explore.ideas.inverted_unet import idea, inference, networks, pretrain, training
from mlcv_explore.ideas.inverted_unet import image_quality as quality
from mlcv_explore.ideas.inverted_unet import mask_upload as masks
from mlcv_explore.ideas.inverted_unet.masked_images import REGIONS, SCENES, MaskedImages, splits, to_float
from mlcv_explore.ideas.inverted_unet.masked_images import generate_scenes as generate
from mlcv_explore.models import checkpoints
from mlcv_explore.seeds import numpy_stream, seeded, stream
from mlcv_explore.ui import server
from tests import opening
from tests.opening import words

SMALL = unet.InvertedUnetConfig(scenes=600, tested=120, updates=120, width=8, batch=16)
PETS = SCENES.__class__(("background", "pet", "outline"), (1,), (2,), tuple(f"breed {n}" for n in range(37)))
opened = partial(opening.opened, "inverted_unet")


@cache
def small(dependence: float = 1.0) -> dict[str, float]:
    """Metrics of a small run of one seed."""
    config = SMALL.replace(dependence=dependence)
    film = list(unet.run(config, (0,)))
    return {name: float(values[0]) for name, values in unet.metrics(config, film).items()}


@cache
def masked(count: int = 40) -> MaskedImages:
    return generate(1.0, count, 0, "of a test")


def noise(name: str, *shape: int) -> np.ndarray:
    return numpy_stream(0, f"test {name}").random(shape).astype(np.float32)


def constant(*values: float) -> np.ndarray:
    return np.stack([np.full((3, 16, 16), value, np.float32) for value in values])


def fitted(given, wanted, updates, loss=networks.squared_error, width=16):
    """A network's images after memorising these pairs, float32 (n, 3, h, w)."""
    inputs, truths = torch.from_numpy(given), torch.from_numpy(wanted)
    network = seeded(0, lambda: networks.Inverter(given.shape[1], width))
    optimiser, schedule = networks.one_cycle(list(network.parameters()), 0.004, updates)
    for _ in range(updates):
        optimiser.zero_grad()
        loss(network(inputs), truths, torch.ones(len(given), 1, *given.shape[2:])).mean().backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return network.eval()(inputs).numpy()


def with_codes(seed: int, inputs: int, width: int, codes: int) -> networks.Inverter:
    """A network that is not constant before training."""
    network = seeded(seed, lambda: networks.Inverter(inputs, width, codes)).eval()
    torch.nn.init.normal_(network.drawn.net.decoder.last.weight, generator=stream(0, "test weights"))
    return network


def test_images_of_one_mask_give_their_mean_and_under_absolute_their_median():
    given = levels.condition(masked(1), "class").inputs()[:, :, 8:24, 8:24]
    wanted = constant(0.2, 0.8)
    wanted[:, :, :, 8:] += np.array([0.1, -0.3])[:, None, None, None]
    assert np.abs(fitted(given.repeat(2, 0), wanted, 120) - wanted.mean(0)).max() < 0.01
    median = fitted(given.repeat(3, 0), constant(0.2, 0.3, 0.9), 120, networks.absolute_error)
    assert np.abs(median - 0.3).max() < 0.03


def test_equal_masks_give_equal_images_and_other_codes_other_ones():
    given = torch.from_numpy(levels.condition(masked(3), "class").inputs())
    for codes in (0, 8):
        network = with_codes(1, given.shape[1], 8, codes)
        code = torch.randn(2, 3, 8, generator=stream(0, "test codes")) if codes else (None, None)
        with torch.no_grad():
            one, again = network(given.clone(), code[0]), network(given.clone(), code[0])
            assert torch.equal(one, again) and not torch.allclose(one[0], one[1])
            assert not codes or not torch.allclose(one, network(given, code[1]))


def test_given_the_image_itself_it_reconstructs_it():
    wanted = to_float(masked(2).images[:, :, 8:24, 8:24])
    assert quality.psnr(np.clip(fitted(wanted, wanted, 400, width=24), 0, 1), wanted) > 30


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
    config = scenes.ScenesConfig(label="texture", smallest=0.35, largest=0.5, dependence=0.7)
    made, ours = scenes.generate(config, 200, 3, "x"), generate(0.7, 200, 3, "x")
    best = ours.determined[:, None].repeat(3, 1) / 255
    explained = quality.explained(best, to_float(ours.images), ours.objects)
    assert explained == pytest.approx(scenes.ceiling(made), abs=1e-5)
    # contrast has either sign equally often: the texture's name does not predict the mean colour
    ours = generate(1.0, 3000, 1, "signs")
    drawn, inside = ours.images.mean(1) - ours.determined, ours.objects
    own = [ours.labels == label for label in range(len(SCENES.labels))]
    assert max(abs(drawn[label][inside[label]].mean()) for label in own) < 3  # contrast: 25 grey levels


def test_channels_are_hard_and_every_level_keeps_those_below():
    ours, before = masked(), np.empty((40, 0, 32, 32), np.float32)
    for level in unet.LEVELS:
        inputs = levels.condition(ours, level).inputs()
        assert inputs.shape[1] == levels.channel_count(SCENES, level) and inputs.dtype == np.float32
        assert np.array_equal(inputs[:, : before.shape[1]], before)
        assert level == "thumbnail" or set(np.unique(inputs)) == {0, 1}
        before = inputs
    assert np.array_equal(before[:, 0], ours.objects) and (before[:, 1:8].sum(1) == 1).all()
    named = np.repeat(ours.labels, ours.objects.sum((1, 2)))
    assert np.array_equal(before[:, 8:12].argmax(1)[ours.objects], named)
    assert (np.ptp(before[:, -3:].reshape(40, 3, 4, 8, 4, 8), axis=(3, 5)) == 0).all()  # nearest pixel


def test_edges_and_thumbnails_by_hand():
    step = np.full((1, 3, 8, 8), 100, np.uint8)
    step[..., 4:] = 200  # of the 5 columns around, those beyond the step add 40 or 60 grey levels
    bright, dark = levels.edge_sides(step)[0]
    assert np.array_equal(bright.any(0), [False] * 4 + [True, True, False, False])
    assert np.array_equal(dark.any(0), [False] * 2 + [True, True] + [False] * 4)
    assert not levels.edge_sides(np.full((1, 3, 8, 8), 90, np.uint8)).any()
    lines, inverted = (levels.edge_maps(each, "lines") for each in (step, 255 - step))
    assert np.array_equal(lines, inverted) and np.array_equal(lines[:, 0], lines[:, 1])
    assert np.array_equal(levels.edge_maps(255 - step, "sides"), levels.edge_sides(step)[:, ::-1])
    image = np.zeros((1, 3, 8, 8), np.uint8)
    image[0, 0, :2, :2] = [[10, 20], [30, 40]]
    thumbnail = levels.thumbnails_of(image)
    assert thumbnail[0, 0, 0, 0] == 25 and thumbnail.sum() == 25
    # bytes grow too, and one line drawing counts once
    sizes = [levels.condition(masked(), level).sizes().mean() for level in unet.LEVELS]
    assert (np.diff(sizes) > 0).all()
    assert levels.condition(masked(), "edges", "lines").sizes().mean() < sizes[unet.LEVELS.index("edges")]


def test_measures_by_hand():
    truth, other = noise("truth", 2, 3, 16, 16), noise("other", 2, 3, 16, 16)
    where = np.zeros((2, 16, 16), bool)
    where[:, :4] = True
    assert quality.explained(truth, truth, where) == 1
    mean = np.full_like(truth, truth.transpose(0, 2, 3, 1)[where].mean())
    assert quality.explained(mean, truth, where) == pytest.approx(0, abs=1e-6)
    assert quality.psnr(truth + 0.1, truth) == pytest.approx(20, abs=1e-3)
    assert quality.psnr(truth, truth) == pytest.approx(58.9, abs=0.1)
    ramp = np.broadcast_to(np.arange(16, dtype=np.float32) / 16, (1, 3, 16, 16))
    assert quality.energy(ramp / 2, ramp) == pytest.approx(0.25)
    assert quality.energy(truth * 0, truth) == 0
    slow = [structural_similarity(other[n], truth[n], channel_axis=0, data_range=1.0) for n in (0, 1)]
    assert quality.ssim(other, truth) == pytest.approx(np.mean(slow), abs=1e-6)
    samples = np.stack([np.zeros_like(truth), np.ones_like(truth)])
    assert quality.diversity(samples, where) == pytest.approx(0.5)
    samples = np.stack([np.stack([each, each]) for each in truth])  # each image has a best of its own
    assert np.array_equal(quality.best(samples, truth, np.ones((2, 16, 16), np.float32)), truth)


def test_the_best_code_and_the_divergence():
    network, codes = with_codes(2, 1, 4, 8), torch.randn(3, 2, 8, generator=stream(0, "test codes"))
    given = weights = torch.ones(2, 1, 8, 8)
    with torch.no_grad():
        wanted = torch.stack([network(given, codes[2])[0], network(given, codes[1])[1]])
    best = networks.best_code(network, given, wanted, weights, codes)
    assert torch.equal(best, torch.stack([codes[2, 0], codes[1, 1]]))
    assert networks.kl_divergence(torch.zeros(1, 8), torch.zeros(1, 8)) == 0
    assert networks.kl_divergence(torch.ones(1, 8), torch.zeros(1, 8)) == pytest.approx(4)


def test_the_objects_weight_depends_on_the_mask_alone_and_what_is_ignored_has_none():
    ours, weight = masked(), training.OBJECT_WEIGHT
    weights = training.pixel_weights(ours)
    assert set(weights[ours.objects]) == {weight} and set(weights[~ours.objects]) == {1}
    pet = MaskedImages(PETS, ours.images[:1], np.array([[[0, 1], [2, 1]]], np.uint8), np.zeros(1, int))
    assert training.pixel_weights(pet).tolist() == [[[1, weight], [0, weight]]]
    assert pet.backgrounds.tolist() == [[[True, False], [False, False]]]


def test_baselines_by_hand():
    ours = masked()
    indices = unet.baselines.nearest(ours, ours.regions, False)
    assert np.array_equal(indices[:, 0], np.arange(40)) and indices.shape == (40, 5)  # itself first
    square = np.zeros((3, 4, 4), np.uint8)
    square[0, :2], square[1, :3], square[2, 3] = 1, 1, 1
    asked = np.zeros((4, 4), np.uint8)
    asked[:2, :3] = 1
    assert unet.baselines.MaskIndex(square, (1,)).nearest(asked, 3).tolist() == [0, 1, 2]
    tagged = np.stack([square[0], square[0]])
    tagged[1, 3, 3] = asked[3, 3] = 2  # equal objects: the rest decides
    assert unet.baselines.MaskIndex(tagged, (1,)).nearest(asked, 2).tolist() == [1, 0]
    filled, tag = unet.baselines.region_means(ours, ours, False), ours.regions == REGIONS.index("tag")
    mean = ours.images.transpose(0, 2, 3, 1)[tag].mean(0) / 255
    assert filled.transpose(0, 2, 3, 1)[tag][0] == pytest.approx(mean, abs=1e-5)
    two = unet.baselines.region_means(ours, ours, True).transpose(0, 2, 3, 1)
    assert len(np.unique(two.reshape(-1, 3), axis=0)) == 2
    assert unet.baselines.mean_image(ours, 2)[1] == pytest.approx(ours.images.mean(0) / 255, abs=1e-5)


def test_a_webp_fits_its_bytes_or_is_the_smallest_there_is():
    images = masked(6).images
    (_, tight), (roomy, sizes), (wide, more) = (
        unet.baselines.webp(images, np.full(6, size)) for size in (10, 120, 600)
    )
    assert (tight < 60).all() and (tight > 10).all()  # no WebP has ten bytes
    assert (sizes <= 120).all() and (more <= 600).all() and (more > sizes).all()
    truths = to_float(images)
    assert quality.psnr(wide, truths) > quality.psnr(roomy, truths)


def test_test_images_have_no_part_in_training_and_arms_start_equal():
    config = SMALL.replace(scenes=40, tested=10, updates=12, width=4, arms="all", adversarial=True)
    one, other = (training.Trainer(each, 0) for each in (config, config.replace(tested=40)))
    first = one.learners["l2"].network.state_dict()
    for arm in ("l1", "shuffled"):
        initial = one.learners[arm].network.state_dict()
        assert all(torch.equal(value, first[name]) for name, value in initial.items())
    for trainer in (one, other):
        trainer.train_to(12)
    contents = [{image.tobytes() for image in part.images} for part in splits(config, 0)]
    assert not contents[0] & contents[2] and not contents[1] & contents[2]
    for arm in one.learners:
        pairs = (trainer.learners[arm].network.parameters() for trainer in (one, other))
        assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True)), arm


def test_only_what_is_asked_for_is_measured():
    alone = {"mean", "region", "nearest", "nearest5", "l2", "webp", "ceiling", "truth"}
    assert set(unet.arms_of(unet.InvertedUnetConfig(arms="one"))) == alone
    assert "ceiling" not in unet.arms_of(unet.InvertedUnetConfig(detail="edges"))
    assert "adversarial" in unet.arms_of(unet.InvertedUnetConfig(adversarial=True))
    names = small()
    assert "l2_bytes" in names and "l2_iou" not in names and "truth_explained" not in names
    assert names["truth_energy"] == 1
    assert {name.rpartition("_")[2] for name in names} <= set(unet.MEASURES)
    declared = {arm.name for arm in idea.arms}
    assert declared >= {arm for study in idea.studies for cell in study.cells for arm in cell.arms}


def test_pets_need_their_side_and_their_files_and_a_run_on_their_kind_has_no_ceiling(tmp_path, monkeypatch):
    with pytest.raises(SettingError, match="dataset pets needs side 64"):
        unet.InvertedUnetConfig(dataset="pets")
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    monkeypatch.setenv("MLCV_HOME", str(tmp_path))
    with pytest.raises(DataError, match="oxford_pets"):
        next(unet.run(unet.InvertedUnetConfig(dataset="pets", side=64), (0,)))

    def drawn(config: unet.InvertedUnetConfig, seed: int) -> list[MaskedImages]:
        random, sizes = numpy_stream(seed, "pets"), (config.scenes, config.validation_size, config.tested)
        images = [random.integers(0, 256, (n, 3, 64, 64), np.uint8) for n in sizes]
        codes = [random.integers(0, 3, (n, 64, 64)).astype(np.uint8) for n in sizes]
        breeds = [random.integers(0, 37, n) for n in sizes]
        return [MaskedImages(PETS, *part) for part in zip(images, codes, breeds, strict=True)]

    monkeypatch.setattr(training, "splits", drawn)
    config = unet.InvertedUnetConfig(
        arms="all",
        adversarial=True,
        dataset="pets",
        side=64,
        scenes=20,
        tested=10,
        updates=4,
        width=4,
        batch=4,
    )
    film = list(unet.run(config, (0,)))
    values = unet.metrics(config, film)
    assert np.isfinite(values["adversarial_explained"]).all() and "ceiling_explained" not in values
    assert inference.shown_images(film[-1], config, 0).shape == (3, 64, 64, 3)


def test_shipped_networks_are_small_and_stay_below_the_ceiling():
    for name in idea.checkpoints():
        assert (checkpoints.FOLDER / name / "0" / checkpoints.WEIGHTS).stat().st_size < 2_000_000
        _, card = inference.network(name.removeprefix(pretrain.PREFIX))
        about = card["kind"], card["architecture"], card["recipe"]["dependence"]
        assert about == ("inverter", "Inverter", 1)
        assert 0.7 < card["metrics"]["test_explained"] <= card["metrics"].get("test_ceiling", 1) + 0.02
    assert set(idea.checkpoints()) <= {name.split("/")[0] for name in checkpoints.names(pretrain.KIND)}


def test_a_shipped_network_is_trained_as_a_run_and_measured_as_stored():
    spec = pretrain.CHECKPOINTS["inverted_unet_sampled"].hyperparameters
    spec, reports = spec.replace(scenes=20, tested=10, updates=10, width=4), []
    made = pretrain.train("sampled", 0, spec, lambda *values: reports.append(values[:2]))
    assert reports == [(step, 10) for step in range(1, 11)]
    assert all(torch.equal(value, value.half().float()) for value in made.network.state_dict().values())
    networks.Inverter(**made.about["arguments"]).load_state_dict(made.network.state_dict())
    assert {"kind", "architecture", "arguments", "data", "steps", "metrics"} <= set(made.about)


def test_the_demo_predicts_larger_objects_brighter_and_lit_from_above():
    regions = np.zeros((2, 32, 32), np.uint8)
    regions[0, 10:21, 10:21] = regions[1, 8:24, 8:24] = REGIONS.index("square")
    small_one, large_one = (inference.generate("class", each).astype(float) for each in regions)
    assert large_one[12:20, 12:20].mean() - small_one[12:20, 12:20].mean() > 60
    assert large_one[9:12, 10:22].mean() - large_one[20:23, 10:22].mean() > 20
    sample = partial(inference.sample, regions[0], count=2)
    assert np.array_equal(sample(3), sample(3)) and not np.array_equal(sample(3), sample(4))
    truth = np.full((32, 32, 3), 100, np.uint8)
    errors = inference.region_errors(truth + 30 * (regions[0] > 0)[..., None], truth, regions[0])
    assert errors == {"background": 0.0, "square": 30.0}


# uploaded masks


def file(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **options)
    return content.getvalue()


def parsed(pixels: np.ndarray, kind: str = "PNG", shape: str = "circle", **options: object) -> masks.Mask:
    return masks.parse_mask(file(pixels, kind, **options), "mask.png", 32, shape)


def test_a_mask_in_the_palettes_colours_comes_back_whatever_its_size():
    regions = masked().regions[0]
    colours = masks.coloured(regions)
    sizes = ((1, 1), (5, 5), (1, 3))
    exact, large, wide = (parsed(colours.repeat(down, 0).repeat(across, 1)) for down, across in sizes)
    assert all(np.array_equal(mask.regions, regions) for mask in (exact, large, wide))
    assert exact.notes == () and "160 × 160" in large.notes[0] and "each axis by itself" in wide.notes[0]
    jpeg = parsed(colours.repeat(8, 0).repeat(8, 1), "JPEG", quality=60)
    assert (jpeg.regions == regions).mean() > 0.97
    near = colours.copy()
    near[:4] = [60, 140, 210]  # nearly the circle's
    mask = parsed(near)
    assert (mask.regions[:4] == REGIONS.index("circle")).all()
    assert "%" in mask.notes[0] and "nearest colour" in mask.notes[0]


def test_black_and_white_and_grey_levels():
    white, cross = np.zeros((32, 32), np.uint8), REGIONS.index("cross")
    white[8:20, 8:20] = 255
    mask = parsed(white, shape="cross")
    assert (mask.regions[8:20, 8:20] == cross).all() and mask.regions.sum() == 144 * cross
    assert "white is the object, a cross" in mask.notes[0] and len(mask.notes) == 1
    soft = parsed(np.asarray(Image.fromarray(white).resize((90, 90), Image.Resampling.BILINEAR)))
    assert set(np.unique(soft.regions)) == {0, 1} and "above middle grey" in soft.notes[-1]
    for shade in (0, 255):
        regions = parsed(np.full((10, 10), shade, np.uint8)).regions
        inputs = levels.Conditioning(SCENES, "label", regions[None], np.array([2])).inputs()
        assert set(np.unique(regions)) == {int(shade > 0)} and inputs[:, 0].all() == (shade > 0)
        assert np.isfinite(inputs).all()


def test_a_photograph_is_no_mask():
    kept = next(iter(photographs().values())).path.read_bytes()
    grey = file(np.asarray(Image.open(io.BytesIO(kept)).convert("L")))
    for content in (kept, grey):
        with pytest.raises(BadImage, match="is a photograph, not a mask"):
            masks.parse_mask(content, "cat.jpg", 32)
    with pytest.raises(BadImage, match="only JPEG, PNG, WebP and GIF"):
        masks.parse_mask(b"<svg onload='alert(1)'/>", "../<b>x</b>.svg", 32)


# the page


@pytest.mark.parametrize("level", ["binary", "label", "thumbnail"])
def test_a_level_predicts_a_scene_beside_its_true_image(level):
    app = opened(rung=level, scene="3")
    text = words(app)
    assert not app.exception and "True image" in text and "Nearest in training" in text
    assert ("Edges: scene 3" in text) == (level == "thumbnail")
    assert len(app.selectbox) == (level != "binary")


def test_an_uploaded_mask_is_used_and_a_bad_one_reported():
    app = opened(begin="Upload", rung="edges")
    assert "Edges: the outline" in words(app)
    mine = masks.coloured(inference.examples().regions[4]).repeat(2, 0).repeat(2, 1)
    app.file_uploader[0].upload("mine <b>.png", file(mine), "image/png")
    text = words(app.run())
    assert "64 × 64" in text and "<b>" not in text and "True image" not in text
    overlap = int(text.replace(" %", "%").partition("overlap ")[2].partition("%")[0])
    assert overlap > 80  # of the nearest of 6,000 masks to that of a scene
    app.file_uploader[0].upload("bad.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "image/png")
    assert "bad.png" in words(app.run()) and not app.exception and "Its mask" in words(app)


def test_a_painted_mask_is_used_and_that_of_another_scene_is_not(monkeypatch):
    sent = {"painted": "scene 1:" + str(REGIONS.index("circle")) * 32 * 32}
    monkeypatch.setattr("mlcv_explore.ui.canvas._canvas", lambda **_: type("Sent", (), sent)())
    assert "True image\n" not in words(opened()) and "True image\n" in words(opened(scene="2"))


def test_a_run_is_drawn_with_its_own_settings_whatever_the_controls_show():
    server.use(Jobs(processes=False))
    try:
        quick = idea.quick.replace(arms="one", adversarial=False)
        link = {name: str(value) for name, value in quick.changed().items()} | {"seeds": "2", "act": "Train"}
        app = opened(**link)
        app.button(key="inverted_unet-train").click().run()
        deadline = time.monotonic() + 60
        while "Interim analysis" not in words(app):
            assert time.monotonic() < deadline and not app.exception
            time.sleep(0.25)
            app.run()
        app.selectbox(key="inverted_unet-side").set_value(64).run()
        assert not app.exception and "Mask, U-Net, true image; seed 0" in words(app)
    finally:
        server.close()
    for side in (32, 64):  # the side is that of the run's scenes too
        config = quick.replace(side=side)
        for frame in (*(film := list(unet.run(config, (5,))))[:1], film[-1]):
            shown = inference.shown_images(frame, config, 5)
            assert shown.shape == (9, side, side, 3)
        truth = splits(config, 5)[2].images[:3].transpose(0, 2, 3, 1)
        assert np.array_equal(shown[2::3], truth)
