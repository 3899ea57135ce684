"""Models of the reader's own: architectures by name, weights as people save them, class
names in every form, heads of one logit; and one sentence for all that does not fit.
"""

import argparse
import json
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from opening import opened, words
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from mlcv_explore.command import main
from mlcv_explore.models import architectures, available_models, own_models
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.seeds import seeded

MEAN, STD = [0.5, 0.4, 0.3], [0.25, 0.2, 0.1]
INPUT = {"size": 32, "mean": MEAN, "std": STD}
CLASSES = ["cat", "dog", "ship"]
VIT = {
    "architecture": "timm/vit_tiny_patch16_224",
    "arguments": {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2},
    "classes": CLASSES,
    "input": INPUT,
}
SHUFFLENET = {"architecture": "torchvision/shufflenet_v2_x0_5", "classes": CLASSES, "input": INPUT}
RESNET = SHUFFLENET | {"architecture": "torchvision/resnet18"}
IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a model named "mine"."""
    monkeypatch.setenv("MLCV_MODELS", str(tmp_path / "models"))
    place = tmp_path / "models" / "mine"
    place.mkdir(parents=True)
    return place


def network(card: dict, count: int = 3) -> nn.Module:
    """The network of a card, as its library makes it, with drawn weights."""
    return seeded(0, lambda: _drawn(architectures.create(card, count, "a test")))[1].eval()


@torch.no_grad()
def _drawn(model: nn.Module) -> nn.Module:
    for parameter in model.parameters():
        if parameter.ndim == 2:  # torchvision's and timm's own heads are nearly zero
            nn.init.normal_(parameter, std=0.2)
    return model


def normalised(images: torch.Tensor) -> torch.Tensor:
    return (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def save(folder: Path, card: dict, tensors: dict[str, torch.Tensor]) -> None:
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "weights.safetensors")
    (folder / "card.json").write_text(json.dumps(card))


def refused(folder: Path) -> str:
    """The sentence of a model that cannot be used."""
    with pytest.raises(CheckpointError) as error:
        own_models.read(folder, "mine")
    text = str(error.value)
    assert text.endswith((".", "?")) and "\n" not in text and "mine" in text
    return text


# --- architectures


@pytest.mark.parametrize("stated", [VIT, RESNET, RESNET | {"architecture": "resnet18"}])
def test_an_architecture_by_name_computes_what_its_library_does(
    stated: dict, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = network(stated)
    save(folder, stated, alone.state_dict())
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was used"))
    state = torch.get_rng_state()
    model = available_models.load("mine")
    with torch.no_grad():
        assert torch.allclose(model.network(IMAGES), alone(normalised(IMAGES)), atol=1e-4)
    assert model.classes == tuple(CLASSES) and model.side == 32 and not model.network.training
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"architecture": "timm/vit_tinny_patch16_224"}, "did you mean 'timm/vit_tiny_patch16_224'"),
        ({"architecture": "vit_tiny_patch16_224"}, "did you mean 'timm/vit_tiny_patch16_224'"),
        ({"architecture": "timm/hf-hub:someone/something"}, "the library must be torchvision or timm"),
        ({"architecture": "timm/local-dir:x"}, "which timm does not have"),
        ({"architecture": "keras/resnet18"}, "the library must be torchvision or timm"),
        ({"architecture": 7}, "must name its architecture"),
        ({"arguments": {"pretrained": True}}, "states the argument 'pretrained'"),
        ({"arguments": {"checkpoint_path": "x"}}, "states the argument 'checkpoint_path'"),
        ({"arguments": [1]}, "must state arguments as an object"),
        ({"arguments": {"legs": 4}}, "arguments that timm/vit_tiny_patch16_224 does not take"),
        ({"arguments": {"in_chans": 1}}, "input.size 32, which timm/vit_tiny_patch16_224 does not take"),
    ],
)
def test_an_architecture_that_cannot_be_made_is_one_sentence(
    changes: dict, sentence: str, folder: Path
) -> None:
    tensors = network(VIT).state_dict()
    if changes.get("arguments") == {"in_chans": 1}:
        changes = {"arguments": VIT["arguments"] | {"in_chans": 1}}
        tensors = network(VIT | changes).state_dict()
    save(folder, VIT | changes, tensors)
    assert sentence in refused(folder)


# --- weights


@pytest.mark.parametrize(
    "prefixed",
    [
        lambda tensors: {f"module.{name}": value for name, value in tensors.items()},
        lambda tensors: {f"_orig_mod.{name}": value for name, value in tensors.items()},
        lambda tensors: {f"module._orig_mod.{name}": value for name, value in tensors.items()},
        lambda tensors: {f"model.{name}": value for name, value in tensors.items()},
        lambda tensors: {f"1.{name}": value for name, value in tensors.items()},
        lambda tensors: {name: value for name, value in tensors.items() if "num_batches" not in name},
    ],
)
def test_names_that_wrappers_leave_are_accepted(prefixed: Callable, folder: Path) -> None:
    alone = network(SHUFFLENET)
    save(folder, SHUFFLENET, prefixed(alone.state_dict()))
    with torch.no_grad():
        assert torch.allclose(
            own_models.read(folder, "mine").network(IMAGES), alone(normalised(IMAGES)), atol=1e-4
        )


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda tensors: tensors,
        lambda tensors: {"epoch": 3, "state_dict": tensors},
        lambda tensors: {"state_dict": {"model": {f"module.{name}": tensors[name] for name in tensors}}},
    ],
)
@pytest.mark.parametrize("file", ["weights.pth", "weights.pt"])
def test_a_file_of_torch_is_read_as_tensors_whatever_wraps_them(
    wrapped: Callable, file: str, folder: Path
) -> None:
    alone = network(VIT)
    torch.save(wrapped(alone.state_dict()), folder / file)
    (folder / "card.json").write_text(json.dumps(VIT))
    with torch.no_grad():
        given = available_models.load("mine").network(IMAGES)
        assert torch.allclose(given, alone(normalised(IMAGES)), atol=1e-4)


class Payload:
    """What a pickle could run."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("was-run"),)


@pytest.mark.parametrize("extra", [Payload(), argparse.Namespace(rate=1)])
def test_a_file_that_holds_more_than_tensors_is_refused_and_not_run(
    extra: object, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    torch.save({"state_dict": network(VIT).state_dict(), "args": extra}, folder / "weights.pth")
    (folder / "card.json").write_text(json.dumps(VIT))
    text = refused(folder)
    assert (
        "mine/weights.pth cannot be read as tensors alone (it holds" in text and "save its state dict" in text
    )
    assert not (folder / "was-run").exists()


def test_files_without_weights_are_refused(folder: Path) -> None:
    (folder / "card.json").write_text(json.dumps(VIT))
    assert "put weights.safetensors beside its card.json" in refused(folder)
    for content, sentence in (
        ([torch.zeros(2)], "hold no tensors by name"),
        ({}, "hold no tensors by name"),
        ({"head.weight": 3}, "hold 'head.weight', which is no plain tensor"),
        ({"head.weight": torch.zeros(3, 3).to_sparse()}, "which is no plain tensor"),
    ):
        torch.save(content, folder / "weights.pth")
        assert sentence in refused(folder)
    (folder / "weights.pth").write_bytes(b"damaged")
    assert "mine/weights.pth cannot be read as tensors alone" in refused(folder)
    save_file({}, folder / "weights.safetensors")
    assert "mine/weights.safetensors hold no tensors by name" in refused(folder)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_every_precision_compute_in_float32(kind: torch.dtype, folder: Path) -> None:
    alone = network(VIT)
    save(folder, VIT, {name: value.to(kind) for name, value in alone.state_dict().items()})
    alone.load_state_dict({name: value.to(kind).float() for name, value in alone.state_dict().items()})
    model = own_models.read(folder, "mine")
    assert {parameter.dtype for parameter in model.network.parameters()} == {torch.float32}
    with torch.no_grad():
        assert torch.allclose(model.network(IMAGES), alone(normalised(IMAGES)), atol=1e-4)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda tensors: tensors.pop("blocks.0.norm1.weight"),
            "tensor 'blocks.0.norm1.weight' [24] is missing",
        ),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "the architecture has no tensor 'extra'"),
        (
            lambda tensors: tensors.update(pos_embed=torch.zeros(1, 50, 24)),
            "the tensor 'pos_embed' is [1, 50, 24], the architecture has [1, 17, 24]",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named_with_their_file(
    change: Callable, sentence: str, folder: Path
) -> None:
    tensors = network(VIT).state_dict()
    change(tensors)
    save(folder, VIT, tensors)
    text = refused(folder)
    assert (
        text.startswith("The weights of mine/weights.safetensors do not fit its card: ") and sentence in text
    )


def test_weights_that_are_no_numbers_are_refused(folder: Path) -> None:
    tensors = network(VIT).state_dict()
    tensors["head.bias"] = torch.tensor([0.0, float("nan"), 0.0])
    save(folder, VIT, tensors)
    assert "logits that are not finite" in refused(folder)


def test_replaced_weights_of_another_kind_of_file_are_another_model(folder: Path) -> None:
    alone = network(VIT)
    torch.save(alone.state_dict(), folder / "weights.pth")
    (folder / "card.json").write_text(json.dumps(VIT))
    before = available_models.load("mine")
    tensors = {
        name: value + 1 if name == "head.bias" else value for name, value in alone.state_dict().items()
    }
    save(folder, VIT, tensors)
    after = available_models.load("mine")
    assert before.key != after.key
    assert torch.equal(after.network[1].head.bias, before.network[1].head.bias + 1)


# --- classes


@pytest.mark.parametrize(
    ("stated", "names"),
    [
        (["cat", "dog"], ["cat", "dog"]),
        ({"0": "cat", "1": "dog"}, ["cat", "dog"]),
        ({"1": ["n02", "dog"], "0": ["n01", "cat"]}, ["cat", "dog"]),
        ([["n01", "cat"], " wild \n cat "], ["cat", "wild cat"]),
        (["crane", "tench", "crane"], ["crane (0)", "tench", "crane (2)"]),
        (["crane (1)", "crane", "crane"], ["crane (1) (0)", "crane (1) (1)", "crane (2)"]),
        (None, None),
    ],
)
def test_class_names_in_every_form(stated: object, names: list[str] | None) -> None:
    assert own_models.class_names(stated, "mine") == names


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ({"0": "cat", "2": "dog"}, "must number its 2 classes from 0 to 1, and '1' is missing"),
        ("cat", "must state classes as a list of names"),
        ([], "must state classes as a list of names"),
        ({}, "must state classes as a list of names"),
        (["cat", ""], "must name each class by a text, got ''"),
        (["cat", None], "must name each class by a text, got None"),
        (["cat", []], "must name each class by a text, got []"),
    ],
)
def test_class_names_that_are_none_are_one_sentence(stated: object, sentence: str) -> None:
    with pytest.raises(CheckpointError) as error:
        own_models.class_names(stated, "mine")
    assert sentence in str(error.value) and "mine" in str(error.value)


def test_imagenets_two_cranes_are_told_apart_by_number() -> None:
    names = [f"class {number}" for number in range(1000)]
    names[134] = names[517] = "crane"
    told = own_models.class_names(names, "mine")
    assert told[134] == "crane (134)" and told[517] == "crane (517)" and len(set(told)) == 1000


def test_the_head_counts_the_classes_where_the_card_names_none(folder: Path) -> None:
    card = {key: value for key, value in VIT.items() if key != "classes"}
    save(folder, card, network(VIT, 5).state_dict())
    model = own_models.read(folder, "mine")
    assert model.classes == ("class 0", "class 1", "class 2", "class 3", "class 4")
    assert model.network(IMAGES).shape == (2, 5)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_another_number_of_classes_than_the_head_has_is_one_sentence(count: int, folder: Path) -> None:
    save(folder, VIT, network(VIT, count).state_dict())
    text = refused(folder)
    assert f"names 3 classes, and weights.safetensors has {count}: the tensor 'head.weight'" in text
    assert f"is [{count}, 24], the architecture has [3, 24]" in text


@pytest.mark.parametrize(
    ("stated", "names"),
    [(["no", "yes"], ("no", "yes")), (["cat"], ("not cat", "cat")), (None, ("class 0", "class 1"))],
)
@pytest.mark.parametrize("base", [VIT, SHUFFLENET])
def test_one_logit_is_the_second_of_two_classes_by_the_sigmoid(
    base: dict, stated: list[str] | None, names: tuple[str, str], folder: Path
) -> None:
    alone = network(base, 1)
    save(folder, base | {"classes": stated}, alone.state_dict())
    model = own_models.read(folder, "mine")
    with torch.no_grad():
        logits, single = model.network(IMAGES), alone(normalised(IMAGES))[:, 0]
    assert model.classes == names and model.card["classes"] == list(names)
    assert torch.allclose(logits.softmax(1)[:, 1], single.sigmoid(), atol=1e-5)
    assert torch.allclose(logits[:, 1] - logits[:, 0], single, atol=1e-4)


# --- input


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"size": [32, 32]}, "input.size as one whole number of pixels from 8 to 1,024, got [32, 32]"),
        ({"size": -32}, "got -32"),
        ({"size": "32"}, "got '32'"),
        ({"size": 32.5}, "got 32.5"),
        ({"size": True}, "got True"),
        ({"size": 10**6}, "got 1000000"),
        (
            {"size": 64},
            "input.size 64, which timm/vit_tiny_patch16_224 does not take (Input height (64) doesn't",
        ),
        ({"std": [1, 1, 0]}, "input.std as three numbers above 0"),
        ({"std": 1}, "input.std as three numbers above 0"),
        ({"mean": [0.5, 0.5]}, "input.mean as three numbers, for red, green and blue"),
        ({"mean": [0.5, 0.5, "x"]}, "input.mean as three numbers"),
        ({"crop": 0}, "input.crop as a share of the shorter side"),
        ({"crop": None}, "input.crop as a share of the shorter side"),
        ({"resampling": "nearest"}, "input.resampling as bilinear or bicubic, got 'nearest'"),
    ],
)
def test_an_input_that_the_network_does_not_take_is_one_sentence(
    changes: dict, sentence: str, folder: Path
) -> None:
    save(folder, VIT | {"input": INPUT | changes}, network(VIT).state_dict())
    assert sentence in refused(folder)


def test_torchvisions_fixed_size_is_one_sentence_too(folder: Path) -> None:
    card = {"architecture": "torchvision/vit_b_32", "classes": CLASSES, "input": INPUT | {"size": 256}}
    card["arguments"] = {"num_layers": 1}
    assert "arguments that torchvision/vit_b_32 does not take" in _created(card)
    model = seeded(0, lambda: architectures.create(card | {"arguments": {}}, 3, "mine"))
    with pytest.raises(
        CheckpointError, match=r"input.size 256, .* \(Wrong image height! Expected 224 but got 256!\)"
    ):
        own_models._check_logits(model, card["architecture"], 256, 3, "mine")


def _created(card: dict) -> str:
    with pytest.raises(CheckpointError) as error:
        architectures.create(card, 3, "mine")
    return str(error.value)


# --- from the command line and on the page


SUITED = ("gradient", "smoothgrad", "integrated_gradients", "occlusion", "gradcam", "attention_rollout")


@pytest.fixture
def photograph(tmp_path: Path, folder: Path) -> Path:
    """A photograph, and a vision transformer of one's own."""
    save(folder, VIT, network(VIT).state_dict())
    path = tmp_path / "photograph.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    return path


def test_a_transformer_of_ones_own_predicts_and_is_explained_from_the_command_line(
    photograph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(photograph), "--model", "mine", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["images"]
    assert {best["label"] for best in row["top"]} == set(CLASSES)
    assert sum(best["probability"] for best in row["top"]) == pytest.approx(1, abs=1e-5)
    flags = [
        "--model",
        "mine",
        "--json",
        "--raw",
        str(tmp_path / "map.npy"),
        "--out",
        str(tmp_path / "heat.png"),
    ]
    for method in SUITED:
        assert main(["explain", str(photograph), "--method", method, *flags]) == 0
        about = json.loads(capsys.readouterr().out)
        assert about["target"] == row["top"][0]["label"] and about["map"]["max"] > about["map"]["min"]
        assert np.load(tmp_path / "map.npy").shape == (32, 32) and Image.open(tmp_path / "heat.png").size == (
            60,
            40,
        )
    assert main(["explain", str(photograph), "--method", "guided_backprop", *flags]) == 2
    assert "this network has GELU." in capsys.readouterr().err
    assert main(["explain", str(photograph), "--method", "gradcam", "--layer", "1.blocks.0", *flags]) == 0


def test_a_transformer_of_ones_own_is_explained_on_the_page_and_refused_tiles_say_why(
    photograph: Path,
) -> None:
    labels = ["Gradient", "SmoothGrad", "Integrated gradients", "Occlusion", "Grad-CAM", "Attention rollout"]
    app = opened("saliency", photograph="coffee", methods=[*labels, "Guided Backprop"], model="mine")
    text = words(app)
    assert not app.exception and not app.error and app.selectbox(key="saliency-model").value == "mine"
    assert set(app.selectbox(key="saliency-by").options) == set(labels)
    assert "**Guided Backprop**" in text and "this network has GELU." in text
    assert app.selectbox(key="saliency-layer").value == "1.blocks.1"
    assert app.selectbox(key="saliency-layer").options == ["1.patch_embed.proj", "1.blocks.0", "1.blocks.1"]
    assert "the same for every class" in text.replace("\u00a0", " ")


def test_a_swin_shows_its_maps_in_the_tiles_and_why_others_do_not_exist(folder: Path) -> None:
    card = {
        "architecture": "timm/swin_tiny_patch4_window7_224",
        "arguments": {
            "img_size": 32,
            "patch_size": 2,
            "window_size": 4,
            "embed_dim": 8,
            "depths": [1, 2],
            "num_heads": [2, 2],
        },
        "classes": CLASSES,
        "input": INPUT,
    }
    save(folder, card, network(card).state_dict())
    maps, refused_ones = ["Gradient", "Grad-CAM"], ["Attention rollout", "DeepLift", "Guided Backprop"]
    app = opened("saliency", photograph="coffee", methods=[*maps, *refused_ones], model="mine")
    assert not app.exception and not app.error and app.selectbox(key="saliency-model").value == "mine"
    assert app.selectbox(key="saliency-by").options == maps
    assert app.selectbox(key="saliency-layer").value == "1.layers.1.blocks.1"  # the last block
    reasons = {
        "Attention rollout": "attends within windows or changes its tokens",
        "DeepLift": "no rule for attention",
        "Guided Backprop": "this network has GELU.",
    }
    for name, reason in reasons.items():
        (tile,) = [part.value for part in app.caption if part.value.startswith(f"**{name}**")]
        assert reason in tile
