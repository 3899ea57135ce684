"""Maps of large images for pages and the command line, where every pass through a network
is dear: integrated gradients with their steps where the path bends, RISE in batches,
occlusion by what each square reaches, and a network that receives few images at a time; of
all images, Captum's DeepLift with its check.

Recorded runs rest on `supported`, whose steps are fixed.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from mlcv_explore import environment
from mlcv_explore.saliency import captum_deeplift, local_changes, memory, methods, perturbation
from mlcv_explore.saliency.attribution import Map
from mlcv_explore.saliency.methods import Attribution, SaliencySettings, Target
from mlcv_explore.saliency.supported import LARGE, Refused
from mlcv_explore.seeds import stream

AT_ONCE = 2  # images in a pass with gradients: more are hardly faster, and each keeps its features
MASKS_AT_ONCE = 4  # of RISE, whose passes keep nothing; with more of them features leave the cache
EVENLY = 2 / 3  # of the steps of a path; the others go where they are missing
ENOUGH = methods.MAX_GAP / 2  # completeness error at which a first look needs no more steps
WINDOWS_AT_ONCE = 16  # of occlusion: late layers are faster on more, early ones see the windows alone
# what is computed here, after the others
OWN = ("occlusion", "integrated_gradients", "rise")


class InParts(nn.Module):
    """A network that receives AT_ONCE images at a time, whatever its caller has."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, h, w) → (B, classes)."""
        return torch.cat([self.network(part) for part in images.split(AT_ONCE)])


def attribute_each(
    network: nn.Module,
    image: torch.Tensor,
    target: Target,
    names: Sequence[str],
    settings: SaliencySettings,
    seed: int,
    *more: Any,
) -> Iterator[Map | Refused]:
    """The maps of these methods as `supported.attribute_each` yields them, those of OWN on
    a large image by this module, and Captum's DeepLift by `captum_deeplift`; OutOfMemory
    where memory was lacking. Raises SaliencyError likewise.
    """
    own = [name for name in OWN if name in names and max(image.shape[1:]) > LARGE]
    others = [name for name in names if name not in own and name != captum_deeplift.NAME]
    # also without any: it checks what all methods have in common
    yield from memory.attribute_each(network, image, target, others, settings, seed, *more)
    device = next((parameter.device for parameter in network.parameters()), image.device)
    given = network, image.to(device), target, settings
    if captum_deeplift.NAME in names:
        yield from map(memory.judged, captum_deeplift.attribute_each(*given, seed, *more))
    for name in own:
        start = time.perf_counter()
        try:
            made = rise(*given, seed) if name == "rise" else WITHOUT_DRAWS[name](*given)
        except Exception as error:  # of a network from elsewhere
            yield memory.failed(name, error)
            continue
        cost = (time.perf_counter() - start) * 1000, made.forwards, made.backwards
        yield Map(name, target, made.values.detach().float().cpu().numpy(), True, *cost, made.checks)


def integrated_gradients(
    network: nn.Module, image: torch.Tensor, target: Target, settings: SaliencySettings
) -> Attribution:
    """Integrated gradients by the trapezoid rule. Two thirds of the steps crowd near the
    baseline, α = u³; each of the others halves the interval whose gradients explain the
    score's change over it worst.

    At most `steps` gradients, fewer where the map is complete within ENOUGH; if so set,
    at least as many, and more until it is complete within MAX_GAP. docs/ideas/saliency.md
    has the errors.
    """
    start = methods.baseline(image, settings.baseline)
    scores: dict[float, float] = {}  # α → the score there
    products: dict[float, torch.Tensor] = {}  # α → gradient × (image − baseline), channels summed
    slopes: dict[float, float] = {}  # α → the sum of these products

    def compute(places: list[float]) -> None:
        for begin in range(0, len(places), AT_ONCE):
            part = places[begin : begin + AT_ONCE]
            points = torch.stack([torch.lerp(start, image, place) for place in part])
            points = points.contiguous(memory_format=torch.channels_last).requires_grad_()
            with torch.enable_grad():
                reached = methods.score(network(points), target)
            (gradient,) = torch.autograd.grad(reached.sum(), points)
            along = (gradient * (image - start)).sum(1)
            scores.update(zip(part, reached.tolist(), strict=True))
            products.update(zip(part, along, strict=True))
            slopes.update(zip(part, along.sum((1, 2), dtype=torch.float64).tolist(), strict=True))

    least = max(2, round(EVENLY * settings.steps))
    compute([(step / (least - 1)) ** 3 for step in range(least)])
    most, enough = settings.steps, ENOUGH
    if settings.complete:
        least, most, enough = settings.steps, methods.MAX_STEPS, methods.MAX_GAP
    while True:
        intervals = list(itertools.pairwise(sorted(scores)))
        values = sum((b - a) / 2 * (products[a] + products[b]) for a, b in intervals)
        gap, count = methods.completeness_gap(values, scores[1.0] - scores[0.0]), len(scores)
        if count >= most or (count >= least and gap <= enough):
            return Attribution(values, count, count, {"completeness_gap": gap, "steps": count})
        missing = {
            (a, b): abs(scores[b] - scores[a] - (b - a) * (slopes[a] + slopes[b]) / 2) for a, b in intervals
        }
        worst = sorted(intervals, key=missing.get, reverse=True)[: min(AT_ONCE, most - count)]
        compute([(a + b) / 2 for a, b in worst])


def rise(
    network: nn.Module, image: torch.Tensor, target: Target, settings: SaliencySettings, seed: int
) -> Attribution:
    """RISE as `perturbation.rise` computes it, with the same masks, more of them in a batch."""
    half = settings.half_precision and (image.device.type != "cpu" or environment.has_bfloat16())
    total, coverage, sum_of_scores = torch.zeros_like(image[0]), torch.zeros_like(image[0]), 0.0
    drawn = perturbation.random_masks(image, settings, stream(seed, "masks"))
    while batch := list(itertools.islice(drawn, MASKS_AT_ONCE)):
        masks = torch.stack(batch)
        scores = methods.scores_without_gradients(network, [image * masks], target, half)
        total += torch.einsum("n,nhw->hw", scores, masks[:, 0])
        coverage += masks.sum((0, 1))
        sum_of_scores += float(scores.sum())
    values = (total - sum_of_scores / settings.masks * coverage) / (settings.masks * settings.mask_share)
    return Attribution(values, settings.masks, 0)


def occlusion(
    network: nn.Module, image: torch.Tensor, target: Target, settings: SaliencySettings
) -> Attribution:
    """Occlusion as `perturbation.occlusion` computes it, of the same squares: of each layer
    only what a square reaches, where the network lets that be computed alone.
    """
    height, width = image.shape[1:]
    side, stride = (
        max(1, round(size * min(height, width) / 32)) for size in (settings.window, settings.stride)
    )
    cover = methods.baseline(image, settings.baseline)
    rows, columns = (perturbation.starts(length, side, stride) for length in (height, width))
    places = list(itertools.product(rows, columns))

    def changes() -> Iterator[tuple[torch.Tensor, local_changes.Corners]]:
        for begin in range(0, len(places), WINDOWS_AT_ONCE):
            batch = places[begin : begin + WINDOWS_AT_ONCE]
            corners = [(min(top, height - side), min(left, width - side)) for top, left in batch]
            parts = []
            for (top, left), (y, x) in zip(batch, corners, strict=True):
                inside = slice(y, y + side), slice(x, x + side)
                part, covered = image[:, *inside].clone(), cover[:, *inside]
                part[:, top - y :, left - x :] = covered[:, top - y :, left - x :]
                parts.append(part)
            yield torch.stack(parts), corners

    whole = methods.scores_without_gradients(network, [image[None]], target)[0]
    try:
        outputs = local_changes.logits(network, image, changes())
        scores = torch.cat([methods.score(one, target) for one in outputs])
    except (RuntimeError, TypeError):  # an operation without a rule, or of tensors alone
        return perturbation.occlusion(network, image, target, settings)
    total, times = torch.zeros_like(image[0]), torch.zeros_like(image[0])
    for (top, left), fall in zip(places, whole - scores, strict=True):
        total[top : top + side, left : left + side] += fall
        times[top : top + side, left : left + side] += 1
    return Attribution(total / times.clamp(min=1), len(places) + 1, 0)


WITHOUT_DRAWS = {"integrated_gradients": integrated_gradients, "occlusion": occlusion}
