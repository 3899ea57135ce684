"""Learned saliency on composites: which objects are held out, what is measured where, and
the orders of two tasks.
"""

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from mlcv_explore.config import SettingError
from mlcv_explore.data import composites, grouped_composites
from mlcv_explore.ideas import saliency
from mlcv_explore.ideas.learned_salience import ORDER, photographs
from mlcv_explore.ideas.learned_salience import idea as subject
from mlcv_explore.models import imagenet
from mlcv_explore.models.multitask import MultitaskTrainer
from mlcv_explore.saliency import cause, image_only, photograph_masker
from mlcv_explore.saliency.photograph_masker import PhotographMasker
from mlcv_explore.seeds import seeded
from tests import composite_files
from tests.calls import recorded

OBJECTS = {
    "animals__a": ((250, 250, 0), "king penguin"),
    "animals__b": ((0, 120, 250), "hen"),
    "plants__a": ((0, 250, 0), ""),
    "plants__b": ((120, 250, 0), ""),
    "sports__a": ((250, 0, 250), ""),
    "vehicles__a": ((250, 0, 0), ""),
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six objects, the third the study's, of 64 pixels; an untrained mask network."""
    composite_files.write(tmp_path, OBJECTS)
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    sizes = {"SIDE": 64, "TAUGHT": 24, "SEEN": 12, "TESTED": 12, "WIDTH": 4, "BATCH": 4}
    for name, value in {"OBJECTS": (2,), "FRESH": (), "PILOTS": (3,), **sizes}.items():
        monkeypatch.setattr(photographs, name, value)
    monkeypatch.setattr(photographs, "SETTINGS", photographs.SETTINGS.replace(masks=4, samples=2, steps=4))
    monkeypatch.setattr(image_only, "network", lambda cutouts, side: None)
    monkeypatch.setattr(image_only, "generate", lambda network, image: image.mean(0).numpy())
    monkeypatch.setattr(photograph_masker, "load", lambda: seeded(0, PhotographMasker).eval())


def test_seeds_are_fresh_and_objects_of_study_check_and_pilot_distinct() -> None:
    scenes, study = subject.studies
    assert len(scenes.seeds) == 20 and not {*scenes.seeds} & {*range(7), *range(100, 104), 1000, 1001}
    assert {cell.config.dataset for cell in study.cells} == {"composites"}
    parts = photographs.OBJECTS, photographs.FRESH, photographs.PILOTS
    held = {place for part in parts for place in part}
    assert study.seeds == parts[0] and [len(part) for part in parts] == [24, 10, 6] and len(held) == 40
    # no evidence explained them; the first 28 are those with a class
    assert not held & {*saliency.OBJECTS} and min(held) >= 28


def test_networks_are_trained_on_none_of_them(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    every = cause.objects()
    assert photographs.training_objects() == (*every[:2], *every[4:]) and len(every) == 6
    asked = recorded(monkeypatch, image_only, "network")
    next(photographs.maps(2))
    # those with a class, none of them held out
    assert {tuple(one.name for one in cutouts) for cutouts, _ in asked} == {("a", "b")}


def test_maps_are_measured_at_places_that_the_object_decides(small: None) -> None:
    places, network = photographs.Places(2), imagenet.load().network
    whole, bare = (cause.predicted(network, part) for part in (places.drawn.images, places.drawn.backgrounds))
    chosen = whole != bare
    assert 0 < chosen.sum() < len(chosen) and places.decided == pytest.approx(chosen.mean())
    order = [*np.flatnonzero(chosen), *np.flatnonzero(~chosen)][: photographs.MAP_PARTS]
    assert places.order.tolist() == order and np.array_equal(places.targets, whole)
    drawn = composites.generate(cause.objects()[2], 20, 2, "maps learned", 64)
    assert np.array_equal(places.drawn.images, drawn.images)

    first, last = map(deepcopy, photographs.maps(2))
    assert {*last} == {*photographs.MAPS, "classifier"}
    assert last["truth"]["mass"] == last["truth"]["pointing"] == 1
    masks = places.drawn.masks[places.order]
    assert last["random"]["mass"] == pytest.approx(masks.mean(), abs=0.05)
    # faithfulness is of the first place, mass the mean of all
    for arm in photographs.MAPS:
        assert last[arm]["faithful"] == first[arm]["faithful"]
        assert last[arm]["faithful"] == pytest.approx(last[arm]["insertion"] - last[arm]["deletion"])
    assert last["gradient"]["mass"] != first["gradient"]["mass"]
    each = [places.measure(index)["mass"][photographs.MAPS.index("learned")] for index in range(2)]
    assert last["learned"]["mass"] == pytest.approx(np.mean(each))
    maps, image = places.maps(0), cause.as_float(places.drawn.images[0])
    expected = photograph_masker.predict(photograph_masker.load(), network, image)
    assert np.array_equal(maps["learned"], expected)
    assert np.array_equal(maps["edges_squared"], maps["edges"] ** 2)
    assert np.array_equal(maps["truth"], places.drawn.masks[0])
    places.targets = places.targets + 1  # the mask network reads no class
    other = places.maps(0)
    assert np.array_equal(other["learned"], expected)
    assert not np.array_equal(other["gradient"], maps["gradient"])
    with pytest.raises(SettingError, match="between 0 and 5 on composites, where each is an object, got 6"):
        next(photographs.maps(6))


def test_orders_are_tested_on_objects_held_out(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = recorded(monkeypatch, MultitaskTrainer, "evaluate")
    drawn = recorded(monkeypatch, grouped_composites, "generate")
    parts = list(photographs.orders(20, 1))
    assert len(parts) == photographs.ORDER_PARTS and [*parts[-1]] == [*ORDER]
    training, held = grouped_composites.split(grouped_composites.groups(), 1)
    about = {purpose: (every, agreement) for every, _, _, purpose, agreement, _ in drawn}
    assert about["order taught"] == about["order seen"] == (training, photographs.AGREEMENT)
    assert about["order tested"] == (held, photographs.AGREEMENT)
    images = {request[3]: grouped_composites.generate(*request).images for request in tuple(drawn)}
    # only the last scores are those of the objects held out
    for place, (_, data, _) in enumerate(tested, -len(tested)):
        assert torch.equal(data.images, images["order tested" if place >= -4 else "order seen"])
    assert {*parts[-1]["parallel"]} == {"accuracy", "swapped", "iou"}
    assert {*parts[-1]["classify_only"]} == {"accuracy", "swapped"}
    assert list(photographs.orders(20, 1))[-1] == parts[-1]
