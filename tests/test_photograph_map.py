"""Photographs among the features that ship: how they are read, what lies outside, the
classifier, and the two ways from one photograph to another.
"""

from dataclasses import replace

import numpy as np
import pytest

from mlcv_explore import data
from mlcv_explore.data import gallery
from mlcv_explore.models import checkpoints, photograph_features, photograph_map, photograph_paths
from mlcv_explore.models.photograph_map import PhotographSpace
from mlcv_explore.models.photograph_paths import SHARES, Photograph, PhotographPaths
from tests import opening
from tests.opening import words

SLUG = "feature_mixing"
CHECKPOINT = f"{SLUG}_photographs/0"
WAYS = tuple(photograph_paths.WAYS)


@pytest.fixture(scope="module")
def space() -> PhotographSpace:
    return photograph_map.load(CHECKPOINT)


def photograph(name: str, known: bool = False) -> Photograph:
    return Photograph(gallery.photographs()[name].read().pixels, name if known else None)


@pytest.fixture(scope="module")
def cat_to_coffee(space: PhotographSpace) -> PhotographPaths:
    """As two uploads of which nothing is known."""
    return photograph_paths.mix(space, photograph("cat"), photograph("coffee"))


# --- reading


def test_a_photograph_is_read_by_its_middle_square_and_one_of_cifar10s_size_as_it_is() -> None:
    chance = np.random.default_rng(0)
    small = chance.integers(0, 256, (32, 32, 3), np.uint8)
    assert np.array_equal(photograph_map.squares(small), small.transpose(2, 0, 1))
    wide = chance.integers(0, 256, (60, 100, 3), np.uint8)
    assert np.array_equal(photograph_map.squares(wide), photograph_map.squares(wide[:, 20:80]))
    flat = photograph_map.squares(np.full((1, 7, 3), 9, np.uint8))
    assert flat.shape == (3, 32, 32) and (flat == 9).all()


def test_the_share_outside_by_hand() -> None:
    components = 2 * np.eye(2, 4)  # of length 2, as the projection's are of one length that is not 1
    centred = np.array([[3.0, 0, 4, 0], [0, 5, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]])
    shares = photograph_map.outside_share(centred, centred @ components.T, components)
    assert shares[:3] == pytest.approx([0.8, 0, 1]) and np.isfinite(shares).all()


# --- what ships


def test_the_classifier_that_ships_is_the_one_its_references_give(space: PhotographSpace) -> None:
    dataset = data.load(photograph_map.REFERENCES)
    weight, bias = photograph_map.classifier(dataset.train.images, dataset.train.labels)
    assert space.weight == pytest.approx(weight, abs=2e-3) and space.bias == pytest.approx(bias, abs=2e-3)
    predicted = space.probabilities(dataset.test.images.astype(float)).argmax(1)
    stated = space.card["metrics"]["test_accuracy"]
    assert (predicted == dataset.test.labels).mean() == pytest.approx(stated, abs=1e-4) and stated > 0.7


def test_distances_are_in_units_of_a_test_photographs_and_a_reference_is_its_own_neighbour(
    space: PhotographSpace,
) -> None:
    test = data.load(photograph_map.REFERENCES).test.images[::10].astype(float)
    distances, places = space.nearest(test)
    by_hand = np.linalg.norm(space.references.images.astype(float) - test[3], axis=1)
    assert places[3, 0] == by_hand.argmin() and (np.diff(distances, axis=1) >= 0).all()
    assert np.median(distances[:, 0]) == pytest.approx(1, abs=0.03)
    own, places = space.nearest(space.references.images[[7, 4321]].astype(float))
    assert own[:, 0] == pytest.approx([0, 0]) and places[:, 0].tolist() == [7, 4321]
    shown = space.references.labels[space.drawn]
    assert np.bincount(shown).min() >= 80 and len(shown) == len(space.references) / 10


def test_a_map_of_other_features_is_refused(space: PhotographSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = replace(data.load(photograph_map.REFERENCES), fingerprint="another")
    monkeypatch.setattr(data, "load", lambda _: dataset)
    with pytest.raises(checkpoints.CheckpointError, match="was made of another cifar10_features"):
        photograph_map.load.__wrapped__(CHECKPOINT)


def test_photographs_of_another_copy_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    part = data.load("digits").train
    monkeypatch.setattr(data, "load", lambda name: data.Dataset(name, part, part, "another"))
    with pytest.raises(data.DataError, match="another copy of cifar10 "):
        photograph_features.originals(photograph_map.REFERENCES)


# --- the two ways


def test_both_ways_begin_and_end_at_the_two_photographs(cat_to_coffee: PhotographPaths) -> None:
    features, pixels = (cat_to_coffee.paths[way] for way in WAYS)
    for name in ("places", "probabilities", "distances", "nearest"):
        for end in (0, -1):
            values = getattr(features, name)[end], getattr(pixels, name)[end]
            np.testing.assert_allclose(*values, atol=1e-6, err_msg=name)
    assert np.abs(features.probabilities[5] - pixels.probabilities[5]).max() > 0.05


def test_mixed_features_mix_the_classifiers_logits_and_pixels_do_not(cat_to_coffee: PhotographPaths) -> None:
    def bends(way: str) -> float:
        logits = np.log(cat_to_coffee.paths[way].probabilities)
        logits -= logits.mean(1, keepdims=True)
        return float(np.abs(logits - photograph_paths.between(logits[0], logits[-1])).max())

    assert bends("features mixed") < 1e-9 < 0.5 < bends("pixels mixed")


def test_blends_and_labels_by_hand(cat_to_coffee: PhotographPaths, space: PhotographSpace) -> None:
    squares = [photograph_map.squares(photograph(name).pixels) for name in ("cat", "coffee")]
    by_hand = 0.7 * squares[0] + 0.3 * squares[1]
    place = photograph_paths.at(0.3)
    assert SHARES[place] == pytest.approx(0.3) and place == 3
    np.testing.assert_allclose(cat_to_coffee.blends[place], by_hand, atol=0.51)
    first, second = cat_to_coffee.labels
    assert space.classes[first] == "cat" and first != second
    assert cat_to_coffee.target[place][[first, second]] == pytest.approx([0.7, 0.3])
    assert cat_to_coffee.target.sum(1) == pytest.approx(np.ones(len(SHARES)))


def test_neighbours_are_those_of_the_share(cat_to_coffee: PhotographPaths, space: PhotographSpace) -> None:
    tables = [photograph_paths.neighbours(space, cat_to_coffee, place) for place in (0, 10)]
    for table, photograph_name in zip(tables, ("cat", "coffee"), strict=True):
        point = space.read(photograph_map.squares(photograph(photograph_name).pixels)[None]).points[0]
        distances = np.linalg.norm(space.references.images.astype(float) - point, axis=1)
        near = distances.argsort()[:5]
        unit = space.card["metrics"]["nearest_distance"]
        by_hand = [
            f"{space.classes[space.references.labels[row]]} · {distances[row] / unit:.2f}" for row in near
        ]
        assert table["Features mixed"] == table["Pixels mixed"] == by_hand
    assert tables[0] != tables[1]


def test_what_is_none_of_the_classes_is_reported(
    cat_to_coffee: PhotographPaths, space: PhotographSpace
) -> None:
    cat, coffee = cat_to_coffee.notes
    assert cat == "Predicted class used: cat." and coffee.startswith("**Probably none of the ten classes**")
    known = photograph_paths.mix(space, photograph("cat", known=True), photograph("galaxies", known=True))
    assert known.notes[0] == "Class cat." and known.notes[1].startswith("**None of the ten classes**;")
    assert space.novelty(np.array([0.0, 2.0])).tolist() == [0, 100]


# --- on the page of feature mixing


def test_two_photographs_are_mixed_as_features_and_as_pixels() -> None:
    def neighbours() -> str:
        return str(app.dataframe[0].value)

    link = {"data": "Photographs", "photo-second-name": "coffee", "share": "1.5"}
    app = opening.opened(SLUG, **link)
    assert "share must be between 0 and 1" in words(app)
    assert not app.exception and len(app.get("vega_lite_chart")) == 3
    assert "Class cat." in words(app) and "**None of the ten classes**" in words(app)
    half = neighbours()
    app.slider(key=f"{SLUG}-share").set_value(1.0).run()
    assert neighbours() != half and not app.exception
    app.segmented_control(key=f"{SLUG}-photo-first-source").set_value("Upload").run()
    assert "once both are chosen" in words(app) and not app.dataframe
    app.file_uploader[0].upload("bad.png", b"<svg onload='a'/>", "image/png").run()
    assert len(app.error) == 1 and not app.dataframe
    flower = gallery.photographs()["flower"].path.read_bytes()
    app.file_uploader[0].upload("a<b>.jpg", flower, "image/jpeg").run()
    assert not app.exception and app.dataframe and "<b>" not in words(app)
    assert "**Probably none of the ten classes**" in words(app)
