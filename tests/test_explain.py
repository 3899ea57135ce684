"""`predict`, `explain`, `checkpoints`: predictions and their explanations, from the
command line.
"""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from mlcv_explore.command import main
from mlcv_explore.data import gallery, uploads
from mlcv_explore.models import available_models, classifiers
from mlcv_explore.seeds import seeded

SIDE = 16


@pytest.fixture(autouse=True)
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small classifier of one's own, its weights drawn; in its folder lie a
    photograph and what is none.
    """
    folder = tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    card = {
        "architecture": "residual_classifier",
        "arguments": {"width": 4},
        "classes": ["cat", "dog", "ship"],
    }
    card["input"] = {"size": SIDE, "mean": [0.5] * 3, "std": [0.25] * 3}
    network = seeded(0, lambda: classifiers.residual_classifier(4, 3, [0.5] * 3, [0.25] * 3))
    save_file(network.state_dict(), folder / "weights.safetensors")
    (folder / "card.json").write_text(json.dumps(card))
    chance = np.random.default_rng(0)
    Image.fromarray(chance.integers(0, 256, (30, 50, 3), np.uint8)).save(tmp_path / "noise.png")
    Image.new("RGB", (20, 20), "red").save(tmp_path / "red.jpg")
    (tmp_path / "bad.png").write_bytes(b"no image")
    monkeypatch.setenv("MLCV_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    return "tiny"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(list(words))
    output = capsys.readouterr()
    return status, output.out, output.err


def json_of(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    status, out, err = run(capsys, *words, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def test_predict_gives_the_models_own_probabilities(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json_of(capsys, "predict", "noise.png", "red.jpg", "--model", "tiny")["images"]
    assert [row["image"] for row in rows] == ["noise.png", "red.jpg"]
    pixels = uploads.resized_to_square(uploads.read(Path("noise.png").read_bytes()).pixels, SIDE)
    with torch.no_grad():
        shares = available_models.load("tiny").network(torch.from_numpy(pixels)[None]).softmax(1)[0]
    assert {prediction["label"]: prediction["probability"] for prediction in rows[0]["top"]} == pytest.approx(
        dict(zip(("cat", "dog", "ship"), shares.tolist(), strict=True)), abs=2e-6
    )
    assert [prediction["probability"] for prediction in rows[0]["top"]] == pytest.approx(
        sorted(shares.tolist(), reverse=True), abs=2e-6
    )


def test_imagenet_is_the_default_and_the_command_reports_which_part_it_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = str(gallery.photographs()["coffee"].path)
    (row,) = json_of(capsys, "predict", path)["images"]
    assert row["top"][0]["label"] == "espresso" and row["top"][0]["probability"] > 0.9
    assert row["input"] == "centre crop of 350 × 350 from 600 × 400 pixels, resized to 224 × 224"
    (whole,) = json_of(capsys, "predict", path, "--whole")["images"]
    assert whole["input"] == "whole image of 600 × 400 pixels, resized to 224 × 224"
    assert whole["top"][0]["label"] == "espresso"
    assert whole["top"][0]["probability"] != row["top"][0]["probability"]
    status, out, _ = run(capsys, "predict", path)
    assert status == 0 and "espresso 0.9" in out and "(centre crop of 350 × 350 from" in out


def test_the_heat_map_of_a_crop_has_the_photographs_size_and_is_empty_outside_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = str(gallery.photographs()["coffee"].path)
    words = ["explain", path, "--method", "gradient", "--out", "heat.png", "--raw", "map.npy"]
    about = json_of(capsys, *words)
    assert about["target"] == "espresso" and about["model"] == "imagenet"
    assert about["input"].startswith("centre crop of 350 × 350") and np.load("map.npy").shape == (224, 224)
    heat = np.asarray(Image.open("heat.png"), dtype=int)
    paper, inside = heat[0, 0], np.zeros((400, 600), bool)
    inside[25:375, 125:475] = True
    drawn = (heat != paper).any(-1)
    assert heat.shape == (400, 600, 3) and not drawn[~inside].any() and drawn[inside].mean() > 0.5
    json_of(capsys, *words, "--whole")
    assert (np.asarray(Image.open("heat.png"), dtype=int) != paper).any(-1)[~inside].mean() > 0.3


def test_images_that_are_refused_do_not_hold_up_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(
        capsys, "predict", "bad.png", "noise.png", "absent.png", "--model", "tiny", "--json"
    )
    rows = {row["image"]: row for row in json.loads(out)["images"]}
    assert status == 2 and set(rows) == {"bad.png", "noise.png", "absent.png"}
    assert len(rows["noise.png"]["top"]) == 3 and set(rows["bad.png"]) == set(rows["absent.png"]) == {
        "image",
        "error",
    }
    assert "2 images were rejected" in err and err.count("\n") == 1


def test_integrated_gradients_add_up_and_the_files_have_their_sizes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [
        "explain",
        "noise.png",
        "--model",
        "tiny",
        "--method",
        "integrated_gradients",
        "--out",
        "heat.png",
        "--raw",
        "map.npy",
    ]
    about = json_of(capsys, *words, "--target", "dog")
    values = np.load("map.npy")
    assert (about["target"], about["method"], about["image"]) == ("dog", "integrated_gradients", "noise.png")
    assert about["map"] == {"shape": [SIDE, SIDE], "min": float(values.min()), "max": float(values.max())}
    assert Image.open("heat.png").size == (50, 30) and values.dtype == np.float32
    assert about["checks"]["completeness_gap"] <= 0.02 and about["checks"]["steps"] >= 50
    image = torch.from_numpy(
        uploads.resized_to_square(uploads.read(Path("noise.png").read_bytes()).pixels, SIDE)
    )
    with torch.no_grad():
        change = available_models.load("tiny").network(torch.stack([image, torch.zeros_like(image)]))[:, 1]
    gap = abs(values.sum(dtype=float) - float(change[0] - change[1])) / abs(float(change[0] - change[1]))
    assert gap == pytest.approx(about["checks"]["completeness_gap"], abs=1e-4)


def test_without_a_target_the_models_answer_is_explained_and_a_pair_is_a_difference(
    capsys: pytest.CaptureFixture[str],
) -> None:
    best = json_of(capsys, "predict", "noise.png", "--model", "tiny")["images"][0]["top"][0]["label"]
    assert (
        json_of(capsys, "explain", "noise.png", "--model", "tiny", "--method", "gradient")["target"] == best
    )
    maps = {}
    for target in ("cat", "ship", "cat, ship"):
        json_of(
            capsys,
            "explain",
            "noise.png",
            "--model",
            "tiny",
            "--method",
            "gradient",
            "--target",
            target,
            "--raw",
            "map.npy",
        )
        maps[target] = np.load("map.npy")
    np.testing.assert_allclose(maps["cat, ship"], maps["cat"] - maps["ship"], atol=1e-5)


def test_a_methods_settings_are_flags(capsys: pytest.CaptureFixture[str]) -> None:
    passes = [
        json_of(
            capsys, "explain", "red.jpg", "--model", "tiny", "--method", "smoothgrad", "--samples", count
        )["passes"]["backward"]
        for count in ("3", "9")
    ]
    assert passes == [3, 9]


def test_captums_methods_are_computed_by_name_and_listed_in_the_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["explain", "noise.png", "--model", "tiny", "--method", "captum:kernel_shap", "--raw", "map.npy"]
    about = json_of(capsys, *words, "--coalitions", "40", "--superpixels", "4", "--target", "dog")
    assert (about["method"], about["passes"]) == ("captum:kernel_shap", {"forward": 40, "backward": 0})
    assert np.load("map.npy").shape == (SIDE, SIDE) and about["checks"]["completeness_gap"] < 0.01
    with pytest.raises(SystemExit) as ended:
        main(["explain", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0 and "captum:kernel_shap" in text and "attention_rollout, captum:" in text
    assert "--superpixels" in text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["noise.png", "--method", "magic"], "--method must be one of random, "),
        (["noise.png", "--method", "captum:magic"], "captum:lrp, captum:feature_ablation, "),
        (["noise.png", "--method", "captum:kernel_shap", "--superpixels", "1"], "between 2 and 200, got 1"),
        (["noise.png", "--method", "captum:layer_conductance", "--layer", "roof"], "got 'roof'"),
        (["noise.png", "--method", "gradient", "--target", "shop"], "did you mean 'ship'?"),
        (["noise.png", "--method", "gradient", "--target", "cat,cat"], "needs two classes, got 0 twice"),
        (["noise.png", "--method", "gradient", "--target", "cat,dog,ship"], "one class of tiny or two"),
        (["noise.png", "--method", "gradcam", "--layer", "roof"], "got 'roof'"),
        (["bad.png", "--method", "gradient"], "bad.png"),
        (["absent.png", "--method", "gradient"], "absent.png cannot be read"),
        (
            ["noise.png", "--method", "gradient", "--out", "heat.jpg"],
            "--out must be a file that ends in .png",
        ),
        (
            ["noise.png", "--method", "gradient", "--raw", "no/map.npy"],
            "--raw must lie in a folder that exists",
        ),
        (
            ["noise.png", "--method", "smoothgrad", "--samples", "1"],
            "explain.samples must be a whole number between 2 and 500, got 1",
        ),
        (["noise.png", "--method", "smoothgrad", "--sample", "3"], "did you mean 'samples'?"),
        (["noise.png", "--method", "gradient", "--model", "nobody"], "no model 'nobody'"),
    ],
)
def test_what_cannot_be_explained_is_reported_in_one_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    own = [] if "--model" in words else ["--model", "tiny"]
    status, out, err = run(capsys, "explain", *words, *own, "--json")
    assert (status, out) == (2, "") and sentence in err and err.count("\n") == 1


def test_a_heat_map_is_paper_where_there_is_nothing_and_orange_where_it_speaks_for_the_class(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mlcv_explore.command.explain import heat_map
    from mlcv_explore.saliency import Map

    values = np.zeros((4, 4), np.float32)
    values[0, 0], values[3, 3] = 1.0, -1.0
    pixels = np.asarray(
        Image.open(io.BytesIO(heat_map(Map("gradient", 0, values, True, 1.0, 1, 1), (4, 4)))), dtype=int
    )
    assert pixels[0, 0, 0] > pixels[0, 0, 2] and pixels[3, 3, 2] > pixels[3, 3, 0]
    assert (pixels[1, 1] == pixels[2, 2]).all() and pixels[1, 1].min() > 240
