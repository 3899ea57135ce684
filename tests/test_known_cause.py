"""A known cause: what is pasted into a photograph, where it lies, and what a map should show."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from mlcv_explore.models.checkpoints import Classifier
from mlcv_explore.saliency.scores import Truth
from mlcv_explore.ui import known_cause
from mlcv_explore.ui.explained import Explained
from mlcv_explore.ui.inputs import ChosenImage
from tests.opening import opened, words


def test_a_pasted_tag_is_a_known_cause_and_maps_are_compared_with_its_area() -> None:
    link = {"photograph": "coffee", "methods": "Sobel edges", "model": "cifar10/0"}
    app = opened("saliency", paste="blue tag", corner="lower right", **link)
    text = words(app)
    assert not app.exception and not app.error and "pasted: blue tag" in text
    assert "Prediction before: bird" in text and "the class explained, changes by" in text
    known = next(table.value for table in app.dataframe if "On the pasted area" in table.value)
    (area,) = re.findall(r"It covers (\d\.\d)% of what the model reads", text)
    share, times = (float(known[head][0].rstrip("%")) for head in list(known)[1:3])
    assert list(known["Map"]) == ["Sobel edges"] and 1.0 < float(area) < 1.6
    assert times > 0.2 and times == pytest.approx(share / float(area), abs=0.1)
    app.selectbox(key="saliency-paste").set_value("").run()
    assert not app.exception and "Prediction before" not in words(app)


def test_what_a_map_should_show_depends_on_how_the_logit_changes() -> None:
    against, none, evidence = (known_cause.expected("cat", change) for change in (-0.1, 0.099, 0.1))
    assert evidence == "A map of cat should mark what was pasted." and "no reason to mark it" in none
    assert "evidence against cat" in against and known_cause.expected("cat", -0.099) == none


def test_what_is_pasted_lies_in_the_corner_of_the_part_that_is_read() -> None:
    pixels = np.zeros((60, 100, 3), np.uint8)
    image = ChosenImage(pixels, (100, 60), "black", "black")
    card = {"input": {"size": 32, "crop": 0.8}}
    explained = Explained(image, Classifier("none", torch.nn.Identity(), ("a",), 32, card), 0)
    left, top, right, bottom = explained.crop.pixels((100, 60))
    assert (right - left, bottom - top) == (48, 48)
    for place, corner in enumerate(known_cause.CORNERS):
        after = known_cause.paste(explained, "yellow tag", corner)
        rows, columns = np.nonzero(after.truth.mask)
        edge = (top, bottom - 6)[place // 2], (left, right - 6)[place % 2]
        assert (rows.min(), columns.min(), after.truth.mask.sum()) == (*edge, 36)
        assert (after.pixels[after.truth.mask == 1] == (255, 255, 0)).all() and not image.pixels.any()
        assert not after.pixels[after.truth.mask == 0].any() and list(after.truth.tag_box) == [
            *edge,
            *(start + 6 for start in edge),
        ]
    truth = replace(explained, image=after).truth
    assert list(truth.tag_box) == [28, 28, 32, 32]
    assert truth.mask[-4:, -4:].all() and truth.mask.sum() == 16  # an eighth of 32 pixels, in the last corner


def test_the_truth_of_an_image_of_the_inputs_shape_is_that_of_the_crop_too() -> None:
    mask = np.zeros((32, 32), np.uint8)
    mask[:8, :8] = 1
    box = np.array([0, 0, 8, 8])
    image = ChosenImage(np.zeros((32, 32, 3), np.uint8), (32, 32), "black", "black", Truth(mask, box))
    model = Classifier("none", torch.nn.Identity(), ("a",), 32, {"input": {"size": 32, "crop": 0.5}})
    assert Explained(image, model, 0).truth is None  # outside of the 16 pixels that are read
    whole = Explained(image, model, 0, whole=True).truth
    assert np.array_equal(whole.mask, mask) and np.array_equal(whole.tag_box, box)
    mask[:16, :16], box[2:] = 1, 16
    read = Explained(image, model, 0).truth
    assert read.mask[:16, :16].all() and read.mask.sum() == 256 and list(read.tag_box) == [0, 0, 16, 16]


def test_a_contrast_is_followed_as_a_difference_of_logits_beside_a_patch_that_only_hides() -> None:
    link = {"photograph": "coffee", "methods": "Sobel edges", "model": "cifar10/0", "paste": "blue tag"}
    text = words(opened("saliency", target="bird", minus="ship", **link))
    pattern = r"by.(\S+)\. A.patch.* by.(\S+): .* by.(\S+)\. .*classes is (\S+)\. "
    changes = [float(value.replace("−", "-")) for value in re.search(pattern, text).groups()]
    assert "The logit of bird − ship, the difference explained, changes" in text
    assert changes[0] == pytest.approx(changes[1] + changes[2], abs=0.011) and changes[3] > 0
    alone = {name: words(opened("saliency", target=name, **link)) for name in ("bird", "ship")}
    first, second = (float(re.search(pattern, found).group(1).replace("−", "-")) for found in alone.values())
    assert changes[0] == pytest.approx(first - second, abs=0.011) and abs(second) > 0.02


def of_a_thin_cut_out() -> None:
    import numpy as np
    import streamlit as st
    import torch

    from mlcv_explore.models.checkpoints import Classifier
    from mlcv_explore.ui import known_cause
    from mlcv_explore.ui.explained import Explained
    from mlcv_explore.ui.inputs import ChosenImage

    for side in (12, 30, 60, 900):
        image = ChosenImage(np.zeros((side, side, 3), np.uint8), (side, side), "black", "black")
        model = Classifier("none", torch.nn.Identity(), ("a",), 32, {"input": {"size": 32}})
        after = known_cause.paste(Explained(image, model, 0), "stroke", known_cause.CORNERS[0])
        st.write(f"{side}: {'as it was' if after is image else 'pasted'}")


def test_a_cut_out_that_is_too_thin_at_its_size_is_reported_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cutouts").mkdir()
    (tmp_path / "backgrounds").mkdir()
    stroke = np.zeros((300, 300, 4), np.uint8)
    stroke[np.abs(np.subtract.outer(range(300), range(300))) < 2] = 255
    Image.fromarray(stroke).save(tmp_path / "cutouts/stroke.png")
    (tmp_path / "cutouts/cutouts.csv").write_text("file,imagenet_class\nstroke.png,\n")
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    app = AppTest.from_function(of_a_thin_cut_out).run()
    pixels = re.findall(
        r"Nothing of stroke is left at (\d+) pixels", " ".join(one.value for one in app.error)
    )
    # the last is found in the image, and not in the 32 pixels that the model reads
    assert not app.exception and pixels == ["4", "10", "20", "300"]
    assert [line.value.split(": ")[1] for line in app.markdown] == ["as it was"] * 4
