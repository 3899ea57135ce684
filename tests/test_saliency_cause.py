"""Which composites an object decides, and what an image-only network knows of it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore.data import composites
from mlcv_explore.data.dataset import DataError
from mlcv_explore.models.checkpoints import Classifier
from mlcv_explore.saliency import cause, image_only
from mlcv_explore.saliency.measures import mass_in_mask
from tests import composite_files


@pytest.fixture
def objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[composites.Cutout, ...]:
    """A red object with a class, two others without one; a background of red, one of grey."""
    colours = {"red": ((220, 0, 0), "red"), "rust": ((230, 10, 0), ""), "sea": ((0, 40, 220), "")}
    composite_files.write(tmp_path, colours)
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    return composites.cutouts()


class SeesRed(nn.Module):
    """Predicts class 1 where more than 2 % of the pixels are red."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        red = (images[:, 0] - images[:, 1] > 0.7).float().mean((1, 2))
        return torch.stack([torch.full_like(red, 0.02), red], 1)


def test_a_place_counts_where_the_object_and_not_the_background_alone_decides(
    objects: tuple[composites.Cutout, ...],
) -> None:
    drawn = composites.generate(objects[0], 30, 0, side=32)
    counted = cause.decided_by_object(SeesRed(), drawn, 1)
    grey = drawn.backgrounds[:, 0, 0, 0] == 90  # the other one is red itself
    assert 5 < grey.sum() < 25 and np.array_equal(counted, grey)
    assert not cause.decided_by_object(SeesRed(), drawn, 0).any()


def test_the_class_explained_is_the_listed_one_or_the_one_predicted_most(
    objects: tuple[composites.Cutout, ...],
) -> None:
    classes = ("red", "more red")  # by its list an object may be what the network does not predict
    model = Classifier("sees red", SeesRed(), classes, 32, {})
    listed, most, _ = objects
    assert cause.explained_class(model, listed) == 0 and cause.explained_class(model, most) == 1


def test_an_image_only_network_finds_an_object_it_has_not_seen_and_depends_on_no_classifier(
    objects: tuple[composites.Cutout, ...],
) -> None:
    others = (objects[0], objects[2]) * 8  # each time at other places
    network = image_only.network(others, 16)
    assert network is image_only.network(others, 16)  # trained once
    drawn = composites.generate(objects[1], 12, 5, side=32)
    grey = drawn.backgrounds[:, 0, 0, 0] == 90
    images = torch.from_numpy(drawn.images).float().div(255)
    maps = np.stack([image_only.generate(network, image) for image in images])
    assert maps.shape == drawn.masks.shape and maps.min() >= 0 and maps.max() <= 1
    share = mass_in_mask(maps, drawn.masks)[grey].mean()
    assert share > 1.5 * drawn.masks[grey].mean()  # than chance
    with pytest.raises(DataError, match="needs a recognised object besides the one explained"):
        image_only.network((), 16)
