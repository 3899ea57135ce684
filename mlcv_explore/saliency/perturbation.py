"""Attribution by perturbation: occlusion and RISE, forward passes only."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore import environment
from mlcv_explore.saliency.methods import (
    Attribution,
    SaliencySettings,
    Target,
    baseline,
    batches,
    scores_without_gradients,
)
from mlcv_explore.seeds import stream


def occlusion(
    network: nn.Module, image: torch.Tensor, target: Target, settings: SaliencySettings
) -> Attribution:
    """The drop of the score when a square is covered with the baseline (Zeiler and
    Fergus, 1311.2901): a pixel's mean over the squares on it.

    Square and stride are given for 32 pixels and grow with the shorter side.
    """
    height, width = image.shape[1:]
    side, stride = (
        max(1, round(size * min(height, width) / 32)) for size in (settings.window, settings.stride)
    )
    cover = baseline(image, settings.baseline)
    places = [(top, left) for top in starts(height, side, stride) for left in starts(width, side, stride)]

    def covered(top: int, left: int) -> torch.Tensor:
        changed = image.clone()
        changed[:, top : top + side, left : left + side] = cover[:, top : top + side, left : left + side]
        return changed

    whole = scores_without_gradients(network, [image[None]], target)[0]
    falls = whole - scores_without_gradients(network, batches(covered(*place) for place in places), target)
    total, times = torch.zeros_like(image[0]), torch.zeros_like(image[0])
    for (top, left), fall in zip(places, falls, strict=True):
        total[top : top + side, left : left + side] += fall
        times[top : top + side, left : left + side] += 1
    # a stride beyond the square leaves pixels that are never covered
    return Attribution(total / times.clamp(min=1), len(places) + 1, 0)


def rise(
    network: nn.Module, image: torch.Tensor, target: Target, settings: SaliencySettings, seed: int
) -> Attribution:
    """RISE (Petsiuk et al., 1806.07421): scores of the image behind random masks,
    (score − mean score) · mask summed over N masks, over N·p.

    The mean is taken off because logits have no zero: with it a constant added to all
    of them would change the map.
    """
    half = settings.half_precision and (image.device.type != "cpu" or environment.has_bfloat16())
    total, coverage, sum_of_scores = torch.zeros_like(image[0]), torch.zeros_like(image[0]), 0.0
    for masks in batches(random_masks(image, settings, stream(seed, "masks"))):
        scores = scores_without_gradients(network, [image * masks], target, half)
        total += torch.einsum("n,nhw->hw", scores, masks[:, 0])
        coverage += masks.sum((0, 1))
        sum_of_scores += float(scores.sum())
    values = (total - sum_of_scores / settings.masks * coverage) / (settings.masks * settings.mask_share)
    return Attribution(values, settings.masks, 0)


def random_masks(
    image: torch.Tensor, settings: SaliencySettings, generator: torch.Generator
) -> Iterator[torch.Tensor]:
    """Masks (1, h, w) in [0, 1]: a coarse grid of visible and hidden cells, enlarged
    smoothly and moved by less than a cell.
    """
    cells, height, width = settings.mask_cells, *image.shape[1:]
    tall, wide = -(-height // cells), -(-width // cells)
    for _ in range(settings.masks):
        grid = (torch.rand(1, 1, cells, cells, generator=generator) < settings.mask_share).float()
        top, left = (int(torch.randint(size, (), generator=generator)) for size in (tall, wide))
        large = functional.interpolate(
            grid, ((cells + 1) * tall, (cells + 1) * wide), mode="bilinear", align_corners=False
        )[0]
        yield large[:, top : top + height, left : left + width].to(image.device)


def starts(length: int, side: int, stride: int) -> range:
    """Where squares start; the last one may reach over the border, so that every pixel
    is covered.
    """
    return range(0, max(length - side, 0) + stride, stride)
