"""A masker: a network that learns, without any mask as an answer, which pixels a frozen
classifier needs.

The classifier itself is the encoder of a U-Net whose decoder ends in one mask. What the
mask keeps must keep the answer (preserve), what it leaves must lose it (destroy), and
it should be small and smooth (Dabkowski and Gal, 1705.07857). Masks are asked for at an
area weight, which the decoder is told, so that one masker answers for a whole range of
them (as in Dosovitskiy and Djolonga, You Only Train Once, 2020).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.ideas.learned_salience import FORMS
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.models.unet import Decoder, backbone_channels, backbone_features
from mlcv_explore.seeds import seeded, stream

OBJECTIVES = ("both", "preserve", "destroy")
BLUR = 1 / 8  # deviation of the blur that fills, as a share of the side
NOISE = 0.2  # deviation of what is added to the random colour
SURE = 0.999  # a probability of 1 would make the loss of destroying infinite
PIXELS_A_CELL = 4  # of the optimised mask, which is enlarged smoothly


@dataclass(frozen=True)
class MaskerSettings:
    """What a masker is asked for."""

    form: str = "gated"
    objective: str = "both"
    low_area: float = 4.0  # area weights in training: drawn evenly in log(1 + weight)
    high_area: float = 4.0
    smoothness: float = 0.5
    updates: int = 300
    batch_size: int = 32
    rate: float = 0.01
    # of the gates' mean, as a share of the area weight: open gates are to cost something, or none
    # would close
    toll: float = 0.1
    widest: int = 16  # channels of the decoder at most


@dataclass(frozen=True, eq=False)
class Masked:
    """What one forward pass says of pictures."""

    logits: torch.Tensor  # (B, classes): the classifier's own
    masks: torch.Tensor  # (B, h, w) in [0, 1]
    # (B, h, w) in [0, 1]: the gates' mean over the concatenations, each at the picture's side;
    # zeros where there are none
    gates: torch.Tensor


class Masker(nn.Module):
    """The way back from a classifier's features to a mask; the form "image" reads skips
    and the picture itself.

    It holds no part of the classifier: pictures go through that one frozen.
    """

    def __init__(self, channels: tuple[int, ...], form: str, widest: int = 16) -> None:
        super().__init__()
        if form not in FORMS:
            raise ValueError(f"form must be one of {', '.join(FORMS)}, got {form!r}.")
        self.form = form
        finest, *middle, coarsest = channels
        # the coarsest ones beside log(1 + area weight)
        read = (finest + 3 * (form == "image"), *middle, coarsest + 1)
        self.decoder = Decoder(read, 1, "plain" if form == "image" else form, widest)

    def forward(self, classifier: nn.Sequential, pictures: torch.Tensor, area: torch.Tensor) -> Masked:
        """Pictures (B, 3, h, w) in [0, 1], area weights (B,) of 0 or more → the
        classifier's answer and the mask of it.
        """
        with torch.no_grad():
            features, logits = backbone_features(classifier, pictures)
        weight = area.log1p()[:, None, None, None].expand(-1, 1, *features[-1].shape[-2:])
        features[-1] = torch.cat([features[-1], weight], dim=1)
        if self.form == "image":
            seen = functional.interpolate(
                pictures, features[0].shape[-2:], mode="bilinear", align_corners=False
            )
            features[0] = torch.cat([features[0], seen], dim=1)
        decoded = self.decoder.decode(features)
        masks = _enlarged(decoded.values, pictures).sigmoid()[:, 0]
        gates = [_enlarged(gate, pictures)[:, 0] for gate in decoded.gates]
        return Masked(logits, masks, torch.stack(gates).mean(0) if gates else torch.zeros_like(masks))


def masker(classifier: nn.Sequential, side: int, settings: MaskerSettings, seed: int) -> Masker:
    """An untrained masker for this classifier's pictures of that side, with this seed's
    weights.
    """
    channels = backbone_channels(classifier, side)
    built = seeded(
        seed,
        lambda: Masker(channels, settings.form, settings.widest),
        f"weights of the masker, {settings.form}",
    )
    return built.to(memory_format=torch.channels_last)


def blended(pictures: torch.Tensor, masks: torch.Tensor, fill: torch.Tensor) -> torch.Tensor:
    """The pictures where masks (B, h, w) are 1, the fill where they are 0."""
    return torch.lerp(fill, pictures, masks[:, None])


def random_fill(pictures: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """What stands in the place of hidden pixels while a masker learns: for each picture
    by even chance a random colour with noise, or its blur.

    The picture's own mean colour, under which masks are judged, is none of them: it has
    no noise.
    """
    colours = torch.rand((len(pictures), 3, 1, 1), generator=chance)
    blurred = torch.rand((len(pictures), 1, 1, 1), generator=chance) < 0.5
    noisy = (colours + NOISE * torch.randn(pictures.shape, generator=chance)).clamp(0, 1)
    return torch.where(blurred.to(pictures.device), _blurred(pictures), noisy.to(pictures))


def loss(
    classifier: nn.Module,
    pictures: torch.Tensor,
    masks: torch.Tensor,
    fill: torch.Tensor,
    area: torch.Tensor,
    settings: MaskerSettings,
    answers: torch.Tensor,
) -> torch.Tensor:
    """The mean over pictures of −log p(answer | kept) − log(1 − p(answer | left)) +
    area · mean(mask) + smoothness · mean squared step of the mask.

    `masks` are (B, h, w), `answers` int64 (B,) the classes the classifier gives the
    whole pictures, `area` (B,) weights.
    """
    steps = (masks[:, 1:] - masks[:, :-1]).square().mean() + (
        masks[:, :, 1:] - masks[:, :, :-1]
    ).square().mean()
    total = (area * masks.mean((1, 2))).mean() + settings.smoothness * steps
    if settings.objective != "destroy":
        total = total + functional.cross_entropy(classifier(blended(pictures, masks, fill)), answers)
    if settings.objective != "preserve":
        share = classifier(blended(pictures, 1 - masks, fill)).softmax(1).gather(1, answers[:, None])
        total = total - torch.log1p(-SURE * share).mean()
    return total


def training(
    network: Masker, classifier: nn.Sequential, pictures: torch.Tensor, settings: MaskerSettings, seed: int
) -> Iterator[float]:
    """Train on pictures (n, 3, h, w) in [0, 1], one update a step, each step's loss.
    The classifier stays as it is, running statistics too.

    Order, fills and area weights have streams of their own: maskers of one seed meet
    the same ones.
    """
    classifier.eval().requires_grad_(False)
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.rate, fused=True)
    order, fills, weights = (
        stream(seed, f"{name} of the masker") for name in ("order", "fills", "area weights")
    )
    low, high = math.log1p(settings.low_area), math.log1p(settings.high_area)
    chosen = batches(len(pictures), settings.batch_size, order)
    network.train()
    for step in range(settings.updates):
        for group in optimiser.param_groups:
            group["lr"] = settings.rate * (1 - step / settings.updates)
        batch = pictures[next(chosen)].contiguous(memory_format=torch.channels_last)
        area = torch.expm1(low + (high - low) * torch.rand(len(batch), generator=weights))
        fill = random_fill(batch, fills)
        found = network(classifier, batch, area)
        value = loss(classifier, batch, found.masks, fill, area, settings, found.logits.argmax(1))
        value = value + settings.toll * (area * found.gates.mean((1, 2))).mean()
        gradient_step(optimiser, value)
        yield float(value.detach())
    network.eval()


def optimised(
    classifier: nn.Module,
    pictures: torch.Tensor,
    settings: MaskerSettings,
    seed: int,
    steps: int = 100,
    rate: float = 0.1,
) -> torch.Tensor:
    """The rival that learns nothing: one mask a picture, (B, h, w) in [0, 1], descended
    on the same loss (Fong and Vedaldi, 1704.03296).

    The mask has one value for every 4 × 4 pixels and is enlarged smoothly, against the
    tiny patterns that fool a classifier. The area weight is the middle of the settings'
    range.
    """
    fills = stream(seed, "fills of the optimised mask")
    with torch.no_grad():
        answers = classifier(pictures).argmax(1)
    area = torch.full((len(pictures),), (settings.low_area + settings.high_area) / 2)
    cells = [-(-length // PIXELS_A_CELL) for length in pictures.shape[-2:]]
    logits = torch.zeros(len(pictures), 1, *cells, requires_grad=True)
    optimiser = torch.optim.Adam([logits], lr=rate)
    for _ in range(steps):
        masks = _enlarged(logits, pictures).sigmoid()[:, 0]
        # the loss is a mean over pictures; each mask is to move as if it were alone
        gradient_step(
            optimiser,
            len(pictures)
            * loss(classifier, pictures, masks, random_fill(pictures, fills), area, settings, answers),
        )
    return _enlarged(logits.detach(), pictures).sigmoid()[:, 0]


@torch.no_grad()
def masked(
    network: Masker, classifier: nn.Sequential, pictures: torch.Tensor, area: float, batch: int = 250
) -> Masked:
    """Answers, masks and gates of pictures (n, 3, h, w) at one area weight."""
    parts = [network(classifier, part, torch.full((len(part),), area)) for part in pictures.split(batch)]
    return Masked(
        *(torch.cat([getattr(part, name) for part in parts]) for name in ("logits", "masks", "gates"))
    )


def batches(count: int, size: int, chance: torch.Generator) -> Iterator[torch.Tensor]:
    """Indices of batches for ever, every picture once before any comes again."""
    while True:
        yield from torch.randperm(count, generator=chance).split(size)


def _enlarged(values: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(values, pictures.shape[-2:], mode="bilinear", align_corners=False)


def _blurred(pictures: torch.Tensor) -> torch.Tensor:
    """Gaussian blur, separately down and across, borders repeated."""
    deviation = BLUR * pictures.shape[-1]
    reach = round(2 * deviation)
    kernel = torch.exp(-(torch.arange(-reach, reach + 1).float() ** 2) / (2 * deviation**2))
    kernel = (kernel / kernel.sum()).expand(pictures.shape[1], 1, 1, -1)
    padded = functional.pad(pictures, [reach] * 4, mode="replicate")
    across = functional.conv2d(padded, kernel, groups=pictures.shape[1])
    return functional.conv2d(across, kernel.mT, groups=pictures.shape[1])
