"""A mask network: predicts which pixels a frozen classifier needs, trained without
masks.

The classifier is the encoder of a U-Net whose decoder ends in one mask. The part of the
image inside the mask must keep the predicted class, the complement must lose it, and
the mask must be small and smooth (Dabkowski and Gal, 1705.07857). The decoder reads the
area weight, so one network serves a range of mask sizes (Dosovitskiy and Djolonga, You
Only Train Once, 2020).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.models.unet import Decoder, backbone_channels, backbone_features
from mlcv_explore.models.updates import shuffled_batches
from mlcv_explore.seeds import seeded, stream

FORMS = ("none", "plain", "image", "gated")  # of the decoder's skip connections
BLUR = 1 / 8  # deviation of the blur that fills, as a share of the side
NOISE = 0.2  # deviation of the noise on the random colour
NEARLY_ONE = 0.999  # a probability of 1 would make the deletion loss infinite
PIXELS_A_CELL = 4  # of the optimised mask, which is upsampled smoothly


@dataclass(frozen=True)
class MaskSettings:
    """Architecture, loss and training of a mask network."""

    form: str = "gated"
    objective: str = "both"  # or "preserve" or "destroy": one term of the loss alone
    low_area: float = 4.0  # area weights in training: uniform in log(1 + weight)
    high_area: float = 4.0
    smoothness: float = 0.5
    updates: int = 300
    batch_size: int = 32
    rate: float = 0.01
    # weight of the gates' mean, as a share of the area weight: without a cost gates stay open
    gate_cost: float = 0.1
    widest: int = 16  # channels of the decoder at most


@dataclass(frozen=True, eq=False)
class MaskOutput:
    """What one forward pass gives for B images."""

    logits: torch.Tensor  # (B, classes), the classifier's own
    masks: torch.Tensor  # (B, h, w) in [0, 1]
    gates: torch.Tensor  # (B, h, w) in [0, 1], mean over the skip connections; zeros without gates


class MaskNetwork(nn.Module):
    """The decoder from a classifier's features to a mask; the form "image" has plain
    skip connections and reads the image itself. It holds no part of the classifier.
    """

    def __init__(self, channels: tuple[int, ...], form: str, widest: int = 16) -> None:
        super().__init__()
        if form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}.")
        self.form = form
        finest, *middle, coarsest = channels
        # one more of the coarsest: log(1 + area weight)
        inputs = (finest + 3 * (form == "image"), *middle, coarsest + 1)
        self.decoder = Decoder(inputs, 1, "plain" if form == "image" else form, widest)

    def forward(self, classifier: nn.Sequential, images: torch.Tensor, area: torch.Tensor) -> MaskOutput:
        """Images (B, 3, h, w) in [0, 1] and area weights (B,) ≥ 0 → the classifier's
        logits, masks and gates.
        """
        with torch.no_grad():
            features, logits = backbone_features(classifier, images)
        weight = area.log1p()[:, None, None, None].expand(-1, 1, *features[-1].shape[-2:])
        features[-1] = torch.cat([features[-1], weight], dim=1)
        if self.form == "image":
            features[0] = torch.cat([features[0], _resized(images, features[0])], dim=1)
        decoded = self.decoder.decode(features)
        masks = _resized(decoded.values, images).sigmoid()[:, 0]
        gates = [_resized(gate, images)[:, 0] for gate in decoded.gates]
        return MaskOutput(logits, masks, torch.stack(gates).mean(0) if gates else torch.zeros_like(masks))


def build(classifier: nn.Sequential, side: int, settings: MaskSettings, seed: int) -> MaskNetwork:
    """An untrained mask network for this classifier's images of that side."""
    channels = backbone_channels(classifier, side)
    network = seeded(
        seed,
        lambda: MaskNetwork(channels, settings.form, settings.widest),
        f"weights of the masker, {settings.form}",
    )
    return network.to(memory_format=torch.channels_last)


def blend(images: torch.Tensor, masks: torch.Tensor, fill: torch.Tensor) -> torch.Tensor:
    """The images where masks (B, h, w) are 1, the fill where they are 0."""
    return torch.lerp(fill, images, masks[:, None])


def random_fill(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """What replaces hidden pixels in training: for each image with equal probability a
    random colour with noise, or its own blur. The image's mean colour, the fill of the
    evaluation, is neither.
    """
    colours = torch.rand((len(images), 3, 1, 1), generator=generator)
    blurred = torch.rand((len(images), 1, 1, 1), generator=generator) < 0.5
    noisy = (colours + NOISE * torch.randn(images.shape, generator=generator)).clamp(0, 1)
    return torch.where(blurred.to(images.device), _blurred(images), noisy.to(images))


def mask_loss(
    classifier: nn.Module,
    images: torch.Tensor,
    masks: torch.Tensor,
    fill: torch.Tensor,
    area: torch.Tensor,
    settings: MaskSettings,
    targets: torch.Tensor,
) -> torch.Tensor:
    """Mean over images of −log p(target | kept) − log(1 − p(target | complement)) +
    area · mean(mask) + smoothness · mean squared step of the mask.

    `masks` are (B, h, w), `area` (B,) weights, `targets` int64 (B,) the classes
    predicted for the whole images.
    """
    down, across = masks[:, 1:] - masks[:, :-1], masks[:, :, 1:] - masks[:, :, :-1]
    steps = down.square().mean() + across.square().mean()
    total = (area * masks.mean((1, 2))).mean() + settings.smoothness * steps
    if settings.objective != "destroy":
        total = total + functional.cross_entropy(classifier(blend(images, masks, fill)), targets)
    if settings.objective != "preserve":
        left = classifier(blend(images, 1 - masks, fill)).softmax(1).gather(1, targets[:, None])
        total = total - torch.log1p(-NEARLY_ONE * left).mean()
    return total


def train(
    network: MaskNetwork, classifier: nn.Sequential, images: torch.Tensor, settings: MaskSettings, seed: int
) -> Iterator[float]:
    """Train on images (n, 3, h, w) in [0, 1]; yields the loss of every update. The
    classifier stays as it is, running statistics too.

    Order, fills and area weights have streams of their own: networks of one seed train
    on the same ones.
    """
    classifier.eval().requires_grad_(False)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.rate, fused=True)
    order, fills, weights = (
        stream(seed, f"{name} of the masker") for name in ("order", "fills", "area weights")
    )
    low, high = math.log1p(settings.low_area), math.log1p(settings.high_area)
    chosen = shuffled_batches(len(images), settings.batch_size, order)
    network.train()
    for step in range(settings.updates):
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * (1 - step / settings.updates)
        batch = images[next(chosen)].contiguous(memory_format=torch.channels_last)
        area = torch.expm1(low + (high - low) * torch.rand(len(batch), generator=weights))
        fill = random_fill(batch, fills)
        output = network(classifier, batch, area)
        value = mask_loss(classifier, batch, output.masks, fill, area, settings, output.logits.argmax(1))
        value = value + settings.gate_cost * (area * output.gates.mean((1, 2))).mean()
        gradient_step(optimiser, value)
        yield float(value.detach())
    network.eval()


def optimise_masks(
    classifier: nn.Module,
    images: torch.Tensor,
    settings: MaskSettings,
    seed: int,
    steps: int = 100,
    rate: float = 0.1,
) -> torch.Tensor:
    """The baseline without a network: one mask an image, (B, h, w) in [0, 1], optimised
    on the same loss (Fong and Vedaldi, 1704.03296).

    One value for 4 × 4 pixels, upsampled smoothly, against adversarial patterns. The
    area weight is the middle of the settings' range.
    """
    fills = stream(seed, "fills of the optimised mask")
    with torch.no_grad():
        targets = classifier(images).argmax(1)
    area = torch.full((len(images),), (settings.low_area + settings.high_area) / 2)
    cells = [-(-length // PIXELS_A_CELL) for length in images.shape[-2:]]
    logits = torch.zeros(len(images), 1, *cells, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=rate)
    for _ in range(steps):
        masks, fill = _resized(logits, images).sigmoid()[:, 0], random_fill(images, fills)
        # the loss is a mean over images; each mask has to move as if it were alone
        gradient_step(
            optimiser, len(images) * mask_loss(classifier, images, masks, fill, area, settings, targets)
        )
    return _resized(logits.detach(), images).sigmoid()[:, 0]


@torch.no_grad()
def predict(
    network: MaskNetwork, classifier: nn.Sequential, images: torch.Tensor, area: float, batch: int = 250
) -> MaskOutput:
    """Logits, masks and gates of images (n, 3, h, w) at one area weight."""
    parts = [network(classifier, part, torch.full((len(part),), area)) for part in images.split(batch)]
    names = ("logits", "masks", "gates")
    return MaskOutput(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


@torch.no_grad()
def agreement(
    network: MaskNetwork,
    classifier: nn.Sequential,
    images: torch.Tensor,
    fill: torch.Tensor,
    area: float,
    batch: int = 250,
) -> dict[str, float]:
    """Share of images (n, 3, h, w) whose predicted class stays with the part "kept",
    with the "complement"; and the mean "area" of the masks.
    """
    output = predict(network, classifier, images, area, batch)
    targets, shares = output.logits.argmax(1), {"area": float(output.masks.mean())}
    for name, masks in (("kept", output.masks), ("complement", 1 - output.masks)):
        parts = blend(images, masks, fill).split(batch)
        predicted = torch.cat([classifier(part).argmax(1) for part in parts])
        shares[name] = float((predicted == targets).float().mean())
    return shares


def _resized(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(values, like.shape[-2:], mode="bilinear", align_corners=False)


def _blurred(images: torch.Tensor) -> torch.Tensor:
    """Gaussian blur, separately down and across, borders repeated."""
    deviation = BLUR * images.shape[-1]
    radius = round(2 * deviation)
    kernel = torch.exp(-(torch.arange(-radius, radius + 1).float() ** 2) / (2 * deviation**2))
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, 1, -1)
    padded = functional.pad(images, [radius] * 4, mode="replicate")
    across = functional.conv2d(padded, kernel, groups=images.shape[1])
    return functional.conv2d(across, kernel.mT, groups=images.shape[1])
