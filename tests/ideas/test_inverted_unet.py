"""Inverted U-Net: what must hold of any network that paints from masks, the ladder, the
measures by hand, and masks that readers bring.
"""

import io
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

from mlcv_explore.config import SettingError
from mlcv_explore.data import DataError
from mlcv_explore.data import scenes as generated
from mlcv_explore.data.gallery import photographs
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.data.uploads import BadImage
from mlcv_explore.ideas.inverted_unet import (
    ARMS,
    MEASURES,
    RUNGS,
    InvertedUnetConfig,
    arms,
    brought,
    idea,
    measures,
    metrics,
    painting,
    rivals,
    run,
    shipping,
    training,
)
from mlcv_explore.ideas.inverted_unet.ladder import (
    Told,
    channels,
    edges_of,
    sides_of_edges,
    thumbnails_of,
    told,
)
from mlcv_explore.ideas.inverted_unet.networks import Inverter, absolute, best_code, divergence, squared
from mlcv_explore.ideas.inverted_unet.worlds import REGIONS, SCENES, Pictures, of_scenes, parts
from mlcv_explore.models import checkpoints
from mlcv_explore.seeds import numpy_stream, seeded, stream

SMALL = InvertedUnetConfig(scenes=600, tested=120, updates=200, width=8, batch=16)


@cache
def small(dependence: float = 1.0) -> dict[str, float]:
    """Metrics of a small run of one seed."""
    config = SMALL.replace(dependence=dependence)
    film = list(run(config, (0,)))
    return {name: float(values[0]) for name, values in metrics(config, film).items()}


@cache
def pictures(count: int = 40, dependence: float = 1.0) -> Pictures:
    return of_scenes(dependence, count, 0, "of a test")


def noise(name: str, *shape: int) -> np.ndarray:
    return numpy_stream(0, f"test {name}").random(shape).astype(np.float32)


def fitted(
    given: np.ndarray, wanted: np.ndarray, updates: int, loss: object = squared, width: int = 16
) -> np.ndarray:
    """What a network paints that was taught these pairs by heart, float32 (n, 3, h, w)."""
    told, truths = torch.from_numpy(given), torch.from_numpy(wanted)
    network = seeded(0, lambda: Inverter(given.shape[1], width))
    optimiser, schedule = training.descent(list(network.parameters()), 0.004, updates)
    weights = torch.ones(len(given), 1, *given.shape[2:])
    for _ in range(updates):
        optimiser.zero_grad()
        loss(network(told), truths, weights).mean().backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return network.eval()(told).numpy()


def test_two_pictures_of_one_mask_are_painted_as_their_average():
    given = told(pictures(1), "class").inputs().repeat(2, 0)
    wanted = np.stack([np.full((3, 32, 32), 0.2, np.float32), np.full((3, 32, 32), 0.8, np.float32)])
    wanted[:, :, :, 16:] += np.array([0.1, -0.3])[:, None, None, None]
    painted = fitted(given, wanted, 200)
    assert np.abs(painted - wanted.mean(0)).max() < 0.01


def test_three_pictures_of_one_mask_are_painted_as_their_median_under_absolute_error():
    given = told(pictures(1), "class").inputs().repeat(3, 0)
    wanted = np.stack([np.full((3, 32, 32), value, np.float32) for value in (0.2, 0.3, 0.9)])
    assert np.abs(fitted(given, wanted, 200, absolute) - 0.3).max() < 0.03


def test_equal_masks_are_painted_equally_and_other_codes_otherwise():
    given = torch.from_numpy(told(pictures(3), "class").inputs())
    for codes in (0, 8):
        network = seeded(1, lambda codes=codes: Inverter(given.shape[1], 8, codes)).eval()
        torch.nn.init.normal_(network.drawn.net.decoder.last.weight, generator=stream(0, "test weights"))
        code = torch.randn(2, 3, 8, generator=stream(0, "test codes")) if codes else None
        with torch.no_grad():
            one, again = (network(given.clone(), None if code is None else code[0]) for _ in range(2))
            assert torch.equal(one, again) and not torch.allclose(one[0], one[1])
            if code is not None:
                assert not torch.allclose(one, network(given, code[1]))


def test_fed_the_picture_itself_it_gives_it_back():
    wanted = training.as_shares(pictures(4).images[:, :, 8:24, 8:24])
    assert measures.psnr(np.clip(fitted(wanted, wanted, 600, width=24), 0, 1), wanted) > 30


def test_what_is_explained_is_gained_from_the_mask_and_stays_below_the_ceiling():
    found = small()
    assert found["l2_explained"] - found["region_explained"] > 0.2
    assert found["l2_explained"] <= found["ceiling_explained"] + 0.02


def test_nothing_is_gained_where_appearance_is_independent():
    found = small(0.0)
    assert abs(found["l2_explained"] - found["region_explained"]) < 0.08
    assert abs(found["ceiling_explained"]) < 0.05


def test_told_of_other_pictures_masks_it_paints_the_mean_picture():
    for found in (small(), small(0.0)):
        assert found["shuffled_explained"] == pytest.approx(found["mean_explained"], abs=0.12)
        assert found["shuffled_background"] == pytest.approx(found["mean_background"], abs=0.05)


def test_the_ceiling_is_that_of_the_scenes_and_the_truths_mean_given_the_mask():
    config = ScenesConfig(label="texture", smallest=0.35, largest=0.5, dependence=0.7)
    made, ours = generated.generate(config, 200, 3, "x"), of_scenes(0.7, 200, 3, "x")
    best = ours.determined[:, None].repeat(3, 1) / 255
    found = measures.explained(best, training.as_shares(ours.images), ours.objects)
    assert found == pytest.approx(generated.ceiling(made), abs=1e-5)


def test_the_name_of_the_texture_does_not_tell_the_mean_colour():
    """Contrast has either sign equally often: the mean of what is drawn is about zero
    for every texture.
    """
    ours = of_scenes(1.0, 3000, 1, "signs")
    drawn = ours.images.mean(1) - ours.determined
    means = [
        drawn[ours.labels == label][ours.objects[ours.labels == label]].mean()
        for label in range(len(SCENES.labels))
    ]
    assert np.abs(means).max() < 3  # of about 25 grey levels of contrast


def test_channels_are_hard_and_every_rung_keeps_those_below():
    before = np.empty((40, 0, 32, 32), np.float32)
    for rung in RUNGS:
        inputs = told(pictures(), rung).inputs()
        assert inputs.shape[1] == channels(SCENES, rung) and inputs.dtype == np.float32
        assert np.array_equal(inputs[:, : before.shape[1]], before)
        if rung != "thumbnail":
            assert set(np.unique(inputs)) == {0, 1}
        before = inputs
    ours = pictures()
    assert np.array_equal(before[:, 0], ours.objects) and (before[:, 1:8].sum(1) == 1).all()
    assert np.array_equal(
        before[:, 8:12].argmax(1)[ours.objects], np.repeat(ours.labels, ours.objects.sum((1, 2)))
    )
    blocks = before[:, -3:].reshape(40, 3, 4, 8, 4, 8)
    assert (np.ptp(blocks, axis=(3, 5)) == 0).all()  # enlarged by the nearest pixel


def test_edges_by_hand_and_a_line_drawing_that_does_not_know_dark_from_light():
    step = np.full((1, 3, 8, 8), 100, np.uint8)
    step[..., 4:] = 200  # of the 5 columns around, those beyond the step make 40 or 60 grey levels
    bright, dark = sides_of_edges(step)[0]
    assert np.array_equal(bright.any(0), [False] * 4 + [True, True, False, False])
    assert np.array_equal(dark.any(0), [False] * 2 + [True, True] + [False] * 4)
    assert not sides_of_edges(np.full((1, 3, 8, 8), 90, np.uint8)).any()
    lines, inverted = (edges_of(each, "lines") for each in (step, 255 - step))
    assert np.array_equal(lines, inverted) and np.array_equal(lines[:, 0], lines[:, 1])
    assert np.array_equal(edges_of(255 - step, "sides"), sides_of_edges(step)[:, ::-1])


def test_thumbnails_are_mean_colours():
    image = np.zeros((1, 3, 8, 8), np.uint8)
    image[0, 0, :2, :2] = [[10, 20], [30, 40]]
    assert thumbnails_of(image)[0, 0, 0, 0] == 25 and thumbnails_of(image).sum() == 25


def test_bytes_grow_with_the_detail_and_count_one_line_drawing_once():
    sizes = [told(pictures(), rung).sizes().mean() for rung in RUNGS]
    assert (np.diff(sizes) > 0).all()
    assert (
        told(pictures(), "edges", "lines").sizes().mean() < told(pictures(), "edges", "sides").sizes().mean()
    )


def test_measures_by_hand():
    truth = noise("truth", 2, 3, 16, 16)
    where = np.zeros((2, 16, 16), bool)
    where[:, :4] = True
    assert measures.explained(truth, truth, where) == 1
    mean = np.full_like(truth, truth.transpose(0, 2, 3, 1)[where].mean())
    assert measures.explained(mean, truth, where) == pytest.approx(0, abs=1e-6)
    assert measures.psnr(truth + 0.1, truth) == pytest.approx(20, abs=1e-3)
    assert measures.psnr(truth, truth) == pytest.approx(58.9, abs=0.1)
    ramp = np.broadcast_to(np.arange(16, dtype=np.float32) / 16, (1, 3, 16, 16))
    assert measures.energy(ramp / 2, ramp) == pytest.approx(0.25) and measures.energy(truth * 0, truth) == 0
    other = noise("other", 2, 3, 16, 16)
    slow = [
        structural_similarity(a, b, channel_axis=0, data_range=1.0) for a, b in zip(other, truth, strict=True)
    ]
    assert measures.ssim(other, truth) == pytest.approx(np.mean(slow), abs=1e-6)
    samples = np.stack([np.zeros_like(truth), np.ones_like(truth)])
    assert measures.diversity(samples, where) == pytest.approx(0.5)


def test_the_best_of_several_is_each_pictures_own():
    truth = noise("truth", 2, 3, 8, 8)
    samples = np.stack([np.stack([truth[0], truth[0]]), np.stack([truth[1], truth[1]])])
    assert np.array_equal(measures.best(samples, truth, np.ones((2, 8, 8), np.float32)), truth)


def test_the_best_code_and_the_divergence():
    network = seeded(2, lambda: Inverter(1, 4, 8)).eval()
    torch.nn.init.normal_(network.drawn.net.decoder.last.weight, generator=stream(0, "test weights"))
    codes = torch.randn(3, 2, 8, generator=stream(0, "test codes"))
    given, weights = torch.ones(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    with torch.no_grad():
        wanted = torch.stack([network(given, codes[2])[0], network(given, codes[1])[1]])
    assert torch.equal(
        best_code(network, given, wanted, weights, codes), torch.stack([codes[2, 0], codes[1, 1]])
    )
    assert divergence(torch.zeros(1, 8), torch.zeros(1, 8)) == 0
    assert divergence(torch.ones(1, 8), torch.zeros(1, 8)) == pytest.approx(4)


def test_the_object_counts_more_whatever_the_picture_shows_and_what_is_ignored_nothing():
    ours = pictures()
    weights = training.pixel_weights(ours)
    assert set(weights[ours.objects]) == {training.OBJECT_WEIGHT} and set(weights[~ours.objects]) == {1}
    world = SCENES.__class__(("background", "pet", "outline"), (1,), (2,), ("cat",))
    pet = Pictures(world, ours.images[:1], np.array([[[0, 1], [2, 1]]], np.uint8), np.zeros(1, int))
    assert training.pixel_weights(pet).tolist() == [
        [[1, training.OBJECT_WEIGHT], [0, training.OBJECT_WEIGHT]]
    ]
    assert pet.backgrounds.tolist() == [[[True, False], [False, False]]]


def test_rivals_by_hand():
    ours = pictures()
    places = rivals.nearest(ours, ours.regions, False)
    # nobody is nearer than oneself
    assert np.array_equal(places[:, 0], np.arange(40)) and places.shape == (40, 5)
    square = np.zeros((3, 4, 4), np.uint8)
    square[0, :2], square[1, :3], square[2, 3] = 1, 1, 1
    asked = np.zeros((4, 4), np.uint8)
    asked[:2, :3] = 1
    assert rivals.Masks(square, (1,)).nearest(asked, 3).tolist() == [0, 1, 2]
    tagged = np.stack([square[0], square[0]])
    tagged[1, 3, 3] = 2  # the object is the same: the rest decides
    asked[3, 3] = 2
    assert rivals.Masks(tagged, (1,)).nearest(asked, 2).tolist() == [1, 0]
    filled = rivals.region_means(ours, ours, False)
    pixels = ours.images.transpose(0, 2, 3, 1)
    code = REGIONS.index("tag")
    assert filled.transpose(0, 2, 3, 1)[ours.regions == code][0] == pytest.approx(
        pixels[ours.regions == code].mean(0) / 255, abs=1e-5
    )
    two = rivals.region_means(ours, ours, True)
    assert len(np.unique(two.transpose(0, 2, 3, 1).reshape(-1, 3), axis=0)) == 2
    assert rivals.mean_picture(ours, 2) == pytest.approx(np.stack([ours.images.mean(0) / 255] * 2), abs=1e-5)


def test_a_webp_fits_its_bytes_or_is_the_smallest_there_is():
    images = pictures(6).images
    _, tight = rivals.webp(images, np.full(6, 10))
    roomy, sizes = rivals.webp(images, np.full(6, 120))
    wide, more = rivals.webp(images, np.full(6, 600))
    assert (tight < 60).all() and (tight > 10).all()  # no WebP has ten bytes: what it takes is told
    assert (sizes <= 120).all() and (more <= 600).all() and (more > sizes).all()
    truths = training.as_shares(images)
    assert measures.psnr(wide, truths) > measures.psnr(roomy, truths)


def test_test_pictures_have_no_part_in_the_training():
    config = SMALL.replace(scenes=40, tested=10, updates=12, width=4, arms="all", adversarial=True)
    one, other = (training.Student(each, 0) for each in (config, config.replace(tested=40)))
    for student in (one, other):
        student.train_to(12)
    assert not np.array_equal(one.tested.images[0], one.taught.images[0])
    everything = [{image.tobytes() for image in part.images} for part in parts(config, 0)]
    assert not everything[0] & everything[2] and not everything[1] & everything[2]
    for arm in one.learners:
        weights = zip(
            one.learners[arm].network.parameters(), other.learners[arm].network.parameters(), strict=True
        )
        assert all(torch.equal(a, b) for a, b in weights), arm


def test_arms_start_from_the_same_weights():
    student = training.Student(SMALL.replace(scenes=20, tested=10, width=4, arms="all"), 5)
    first = student.learners["l2"].network.state_dict()
    for arm in ("l1", "shuffled"):
        assert all(
            torch.equal(value, first[name])
            for name, value in student.learners[arm].network.state_dict().items()
        )


def test_only_what_is_asked_for_is_measured():
    assert arms(InvertedUnetConfig(arms="one")) == tuple(
        arm
        for arm in ARMS
        if arm in ("mean", "region", "nearest", "nearest5", "l2", "webp", "ceiling", "truth")
    )
    assert "ceiling" not in arms(InvertedUnetConfig(detail="edges")) and "adversarial" in arms(
        InvertedUnetConfig(adversarial=True)
    )
    found = small()
    assert (
        "l2_bytes" in found
        and "l2_iou" not in found
        and "truth_explained" not in found
        and found["truth_energy"] == 1
    )
    assert {name.rpartition("_")[2] for name in found} <= set(MEASURES)


def test_pets_need_their_side_and_their_files(tmp_path, monkeypatch):
    with pytest.raises(SettingError, match="dataset pets needs side 64"):
        InvertedUnetConfig(dataset="pets")
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    monkeypatch.setenv("MLCV_HOME", str(tmp_path))
    pets = InvertedUnetConfig(dataset="pets", side=64)
    with pytest.raises(DataError, match="oxford_pets"):
        next(run(pets, (0,)))
    assert all(
        cell.config.dataset == "pets" and "ceiling" not in cell.arms.values()
        for cell in idea.studies[1].cells
    )


def test_the_full_study_runs_on_pictures_of_its_kind(monkeypatch):
    """Pictures with pets' regions and labels, drawn here: photographs do not ship."""
    world = SCENES.__class__(
        ("background", "pet", "outline"), (1,), (2,), tuple(f"breed {number}" for number in range(37))
    )

    def drawn(config: InvertedUnetConfig, seed: int) -> tuple[Pictures, ...]:
        chance = numpy_stream(seed, "pets of a test")
        shapes = [(count, 64, 64) for count in (config.scenes, config.validated, config.tested)]
        return tuple(
            Pictures(
                world,
                chance.integers(0, 256, (n, 3, h, w), np.uint8),
                chance.integers(0, 3, (n, h, w)).astype(np.uint8),
                chance.integers(0, 37, n),
            )
            for n, h, w in shapes
        )

    monkeypatch.setattr(training, "parts", drawn)
    config = idea.studies[1].cells[0].config.replace(scenes=20, tested=10, updates=10, width=4, batch=4)
    found = metrics(config, list(run(config, (0,))))
    assert np.isfinite(found["adversarial_explained"]).all() and "ceiling_explained" not in found


def test_the_networks_that_ship_are_small_say_what_they_are_and_stay_below_the_ceiling():
    for name in idea.checkpoints():
        weights = checkpoints.FOLDER / name / "0" / checkpoints.WEIGHTS
        assert weights.stat().st_size < 2_000_000
        _, card = painting.network(name.removeprefix(shipping.PREFIX))
        assert (card["kind"], card["architecture"], card["recipe"]["dependence"]) == (
            "inverter",
            "Inverter",
            1,
        )
        explained = card["metrics"]["test_explained"]
        assert 0.7 < explained <= card["metrics"].get("test_ceiling", 1) + 0.02
    assert set(idea.checkpoints()) <= {name.split("/")[0] for name in checkpoints.names(shipping.KIND)}


def test_a_network_is_made_as_a_run_makes_it_and_measured_as_it_is_stored():
    recipe = shipping.CHECKPOINTS["inverted_unet_sampled"].hyperparameters.replace(
        scenes=20, tested=10, updates=10, width=4
    )
    reports: list[tuple[int, int, float, float]] = []
    made = shipping.make("sampled", 0, recipe, lambda *said: reports.append(said))
    assert [report[0] for report in reports] == list(range(1, 11)) and {report[1] for report in reports} == {
        10
    }
    assert all(torch.equal(value, value.half().float()) for value in made.network.state_dict().values())
    again = Inverter(**made.about["arguments"])
    again.load_state_dict(made.network.state_dict())
    assert {"kind", "architecture", "arguments", "data", "steps", "metrics"} <= set(made.about)


def test_what_ships_paints_larger_objects_brighter_and_lights_them_from_above():
    regions = np.zeros((2, 32, 32), np.uint8)
    regions[0, 10:21, 10:21] = regions[1, 8:24, 8:24] = REGIONS.index("square")
    small_one, large_one = (painting.painted("class", each, 0).astype(float) for each in regions)
    assert large_one[12:20, 12:20].mean() - small_one[12:20, 12:20].mean() > 60
    assert large_one[9:12, 10:22].mean() - large_one[20:23, 10:22].mean() > 20
    assert np.array_equal(painting.sampled(regions[0], 3, 2), painting.sampled(regions[0], 3, 2))
    assert not np.array_equal(painting.sampled(regions[0], 3, 2), painting.sampled(regions[0], 4, 2))


def test_errors_of_regions_by_hand():
    regions = np.zeros((32, 32), np.uint8)
    regions[:4] = REGIONS.index("tag")
    truth = np.full((32, 32, 3), 100, np.uint8)
    output = truth.copy()
    output[:4] += 30
    assert painting.errors(output, truth, regions) == {"background": 0.0, "tag": 30.0}


# masks that readers bring


def png(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def test_a_mask_in_the_palettes_colours_comes_back_whatever_its_size():
    regions = pictures().regions[0]
    exact = brought.from_picture(png(brought.coloured(regions)), "mask.png", 32)
    assert np.array_equal(exact.regions, regions) and exact.notes == ()
    large = brought.from_picture(png(brought.coloured(regions).repeat(5, 0).repeat(5, 1)), "mask.png", 32)
    assert np.array_equal(large.regions, regions) and "160 × 160" in large.notes[0]
    wide = brought.from_picture(png(brought.coloured(regions).repeat(3, 1)), "mask.png", 32)
    assert np.array_equal(wide.regions, regions) and "each axis by itself" in wide.notes[0]


def test_unknown_colours_become_the_nearest_and_it_is_said():
    pixels = brought.coloured(pictures().regions[0]).copy()
    pixels[:4] = [60, 140, 210]  # nearly the circle's
    taken = brought.from_picture(png(pixels), "mask.png", 32)
    assert (
        (taken.regions[:4] == REGIONS.index("circle")).all()
        and "nearest one" in taken.notes[0]
        and "%" in taken.notes[0]
    )
    noisy = brought.from_picture(
        png(brought.coloured(pictures().regions[0]).repeat(8, 0).repeat(8, 1), "JPEG", quality=60),
        "mask.jpg",
        32,
    )
    assert (noisy.regions == pictures().regions[0]).mean() > 0.97


def test_black_and_white_and_grey_levels():
    white = np.zeros((32, 32), np.uint8)
    white[8:20, 8:20] = 255
    taken = brought.from_picture(png(white), "mask.png", 32, "cross")
    assert (
        taken.regions[8:20, 8:20] == REGIONS.index("cross")
    ).all() and taken.regions.sum() == 144 * REGIONS.index("cross")
    assert "white is the object, taken for a cross" in taken.notes[0] and len(taken.notes) == 1
    soft = brought.from_picture(
        png(np.asarray(Image.fromarray(white).resize((90, 90), Image.Resampling.BILINEAR))), "mask.png", 32
    )
    assert set(np.unique(soft.regions)) == {0, 1} and "brighter than the middle" in soft.notes[-1]


@pytest.mark.parametrize("shade", [0, 255])
def test_empty_and_full_masks_are_masks(shade):
    taken = brought.from_picture(png(np.full((10, 10), shade, np.uint8)), "mask.png", 32)
    assert set(np.unique(taken.regions)) == {int(shade > 0)}
    inputs = Told(SCENES, "label", taken.regions[None], np.array([2])).inputs()
    assert np.isfinite(inputs).all() and inputs[:, 0].all() == (shade > 0)


def test_a_photograph_is_no_mask():
    kept = next(iter(photographs().values())).path.read_bytes()
    with pytest.raises(BadImage, match="is a photograph, not a mask"):
        brought.from_picture(kept, "cat.jpg", 32)
    grey = png(np.asarray(Image.open(io.BytesIO(kept)).convert("L")))
    with pytest.raises(BadImage, match="is a photograph, not a mask"):
        brought.from_picture(grey, "cat.png", 32)
    with pytest.raises(BadImage, match="only JPEG, PNG, WebP and GIF"):
        brought.from_picture(b"<svg onload='alert(1)'/>", "../<b>x</b>.svg", 32)
