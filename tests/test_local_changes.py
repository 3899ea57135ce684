"""Images that differ from one in a rectangle: the same outputs, of fewer values."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models.efficientnet_lite import SameConvolution
from mlcv_explore.saliency import SaliencySettings, large_images, local_changes, perturbation
from mlcv_explore.saliency.local_changes import Changed
from mlcv_explore.seeds import seeded

IMAGE = torch.rand(3, 72, 80, generator=torch.Generator().manual_seed(1))


class Recorder(nn.Module):
    """Passes features on and keeps the sizes of what is computed of them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(features.parts.shape) if isinstance(features, Changed) else ())
        return features


class Residual(nn.Module):
    """A branch added to its input, in place if so wanted."""

    def __init__(self, *branch: nn.Module, in_place: bool = False) -> None:
        super().__init__()
        self.branch, self.in_place = nn.Sequential(*branch), in_place

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        made = self.branch(features)
        if not self.in_place:
            return made + features
        made += features
        return made


class Called(nn.Module):
    """A function as a module."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.function(features)


def head(channels: int) -> tuple[nn.Module, ...]:
    return nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(9 * channels, 4)


def normalised(channels: int) -> nn.Module:
    norm = nn.BatchNorm2d(channels)
    norm.running_mean.uniform_(-0.2, 0.2)
    norm.running_var.uniform_(0.5, 2)
    return norm


NETWORKS = {
    "strides, groups, dilation": lambda: [
        SameConvolution(3, 6, 3, 2, bias=False),
        normalised(6),
        nn.ReLU6(),
        nn.Conv2d(6, 6, 5, padding=2, groups=6),
        nn.SiLU(),
        nn.Conv2d(6, 8, 3, stride=(1, 2), padding=(0, 1), dilation=(2, 1)),
        *head(8),
    ],
    "residual": lambda: [
        Called(lambda images: (images - 0.5) / torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1)),
        nn.Conv2d(3, 4, 3, padding=1),
        Residual(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3, padding=1)),
        Residual(nn.ReLU(inplace=True), nn.Conv2d(4, 4, 1), in_place=True),  # the input changes too
        *head(4),
    ],
    "others": lambda: [
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.PReLU(4),
        Called(lambda features: torch.cat([features, 2 - features], 1)),
        nn.GroupNorm(2, 8),
        *head(8),
    ],
    "stride beyond the kernel": lambda: [nn.Conv2d(3, 5, 2, stride=5), nn.ReLU(), *head(5)],
}


def network(name: str) -> nn.Sequential:
    return seeded(0, lambda: nn.Sequential(*NETWORKS[name]())).eval()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(1, 1), (9, 14), (40, 50)])
def test_outputs_are_those_of_the_whole_images(name: str, size: tuple[int, int]) -> None:
    model, (height, width) = network(name), size
    random = torch.Generator().manual_seed(2)
    corners = [(0, 0), (72 - height, 80 - width), (20, 7), (13, 80 - width)]
    parts = torch.rand(4, 3, height, width, generator=random)
    images = IMAGE.repeat(4, 1, 1, 1)
    for image, part, (top, left) in zip(images, parts, corners, strict=True):
        image[:, top : top + height, left : left + width] = part
    batches = [(parts[:3], corners[:3]), (parts[3:], corners[3:]), (parts, corners)]
    with torch.no_grad():
        expected = [model(images[:3]), model(images[3:]), model(images)]
    for made, right in zip(local_changes.logits(model, IMAGE, batches), expected, strict=True):
        torch.testing.assert_close(made, right, rtol=1e-4, atol=1e-5)


def test_only_what_a_rectangle_reaches_is_computed() -> None:
    """By hand: 6 pixels from place 10 reach outputs 9 to 16 of a kernel of 3, those reach
    outputs 4 to 8 of one of 3 with stride 2 and padding 1, and these most of one of 41. The
    first image is computed whole too, to compare.
    """
    seen = [Recorder() for _ in range(3)]
    layers = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, 2, 1), nn.Conv2d(4, 4, 41, padding=20)
    model = nn.Sequential(*(one for pair in zip(layers, seen, strict=True) for one in pair), *head(4)).eval()
    given = torch.zeros(1, 3, 6, 6), [(10, 10)]
    list(local_changes.logits(model, IMAGE, [given]))
    assert [one.seen for one in seen] == [[(1, 4, 8, 8), ()], [(1, 4, 5, 5), ()], [(), ()]]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"window": 3, "stride": 7},
        {"window": 16, "stride": 5, "baseline": "blur"},
        {"window": 1, "stride": 3},
    ],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_occlusion_is_that_of_whole_images(name: str, settings: dict) -> None:
    given = network(name), IMAGE, 1, SaliencySettings(**settings)
    plain, made = perturbation.occlusion(*given), large_images.occlusion(*given)
    largest = float(plain.values.abs().max())
    torch.testing.assert_close(made.values, plain.values, rtol=1e-4, atol=1e-4 * largest + 1e-6)
    assert made.forwards == plain.forwards and made.backwards == 0


class Standardised(nn.Conv2d):
    """A convolution that computes its weights in every pass."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(images, self.weight - self.weight.mean(), self.bias)


def test_a_network_without_rules_has_its_map_all_the_same() -> None:
    def on_a_view(features: torch.Tensor) -> torch.Tensor:
        features[:, :2].clamp_(0, 0.2)
        return features

    in_place = Called(lambda features: features.clamp_(0, 0.5))
    changed = [nn.Sequential(nn.Conv2d(3, 4, 3), one) for one in (in_place, Called(on_a_view))]
    for first in (Standardised(3, 4, 3), *changed):
        model = seeded(0, lambda first=first: nn.Sequential(first, *head(4))).eval()
        batches = [(torch.zeros(1, 3, 5, 5), [(place, place)]) for place in range(9)]
        with pytest.raises(NotImplementedError):
            list(local_changes.logits(model, IMAGE, batches))
        given = model, IMAGE, 1, SaliencySettings(window=6, stride=2)
        plain, made = perturbation.occlusion(*given), large_images.occlusion(*given)
        assert torch.equal(plain.values, made.values)
