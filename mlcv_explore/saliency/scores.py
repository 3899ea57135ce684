"""Scores of the maps of one image, method by method: cost, faithfulness, sensitivity,
and on generated scenes localisation of the true cause.
"""

import csv
import io
import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import torch
from torch import nn

from mlcv_explore.models.layers import layers, randomised
from mlcv_explore.saliency import faithfulness, measures
from mlcv_explore.saliency.attribution import Map
from mlcv_explore.saliency.captum_calls import Progress, ScoreNetwork
from mlcv_explore.saliency.methods import SaliencySettings
from mlcv_explore.saliency.supported import attribute

PERTURBATIONS, DEVIATION = 50, 0.1  # of infidelity: images, and the noise's share of the range
NEIGHBOURS, RADIUS = 3, 0.02  # of max-sensitivity: images, and how far a pixel may move
RUNS = NEIGHBOURS + 2  # of every method: on the image, near it, and of a randomised network


@dataclass(frozen=True)
class Truth:
    """Ground truth of a generated scene."""

    mask: np.ndarray  # (h, w) uint8, 1 on the object
    tag_box: np.ndarray  # (4,) int64: top, left, bottom, right, half open


@dataclass(frozen=True)
class Score:
    """The measures of one map; None where one does not apply."""

    method: str
    milliseconds: float
    passes: int  # images through the network, forward and back
    lowest: float
    highest: float
    # area under the target's probability while the most salient pixels are removed; low is faithful
    deletion: float
    insertion: float  # and while they are shown; high is faithful
    # mean square error of the map's prediction of the logit's change under noise, at the map's best
    # scale
    infidelity: float
    max_sensitivity: float  # the largest relative change of the map when every pixel moves a little
    # 1 − |rank correlation| with the map of the same network with all layers randomised; 0: the map
    # does not depend on the weights
    moved: float
    # |sum − logit difference| / |logit difference|, where the method guarantees none
    completeness_gap: float | None
    on_object: float | None  # share of the map's mass
    on_tag: float | None
    points_at_object: float | None  # 1 when the largest value lies on it


def scores(
    network: nn.Module,
    image: torch.Tensor,
    maps: Sequence[Map],
    settings: SaliencySettings,
    seed: int,
    layer: str | None = None,
    truth: Truth | None = None,
    progress: Progress | None = None,
) -> list[Score]:
    """Every measure of these maps of an image (3, h, w), which have one target; in
    their order.

    The probability that deletion and insertion follow is that of the target, of a
    difference that of its first class. All methods run again with the same draws on
    perturbed images and on a randomised copy of the network, so this costs several
    times as much as the maps; `progress` is that of `attribute_each`, over all of it.
    """
    target, names = maps[0].target, [one.method for one in maps]
    values = np.stack([one.values for one in maps]).astype(np.float64)  # (M, h, w)
    first = torch.tensor([target[0] if isinstance(target, tuple) else target])
    arguments = (network, image[None], first, values[None])
    deletion, insertion = (
        curve(*arguments, seed=seed).area[0] for curve in (faithfulness.deletion, faithfulness.insertion)
    )
    noise = faithfulness.gaussian_noise(image[None], DEVIATION, PERTURBATIONS, seed)
    infidelity = faithfulness.infidelity(
        ScoreNetwork(network, target),
        image[None],
        torch.zeros(1, dtype=torch.int64),
        torch.from_numpy(values)[None, :, None].float(),
        noise,
        True,
    )[0]
    again = settings.replace(complete=False)  # the same steps on every image

    finished = itertools.count()

    def explained(model: nn.Module, given: torch.Tensor) -> np.ndarray:
        run = next(finished)
        report = progress and (lambda done, total: progress(run * total + done, RUNS * total))
        computed = attribute(model, given, target, names, again, seed, layer, report)
        by_method = {one.method: one.values for one in computed}
        return np.stack([by_method[name] for name in names])

    same = image.expand(len(maps), *image.shape)  # one for each method: all run on one image
    near = faithfulness.uniform_noise(image[None], RADIUS, NEIGHBOURS, seed).expand(-1, *same.shape)
    sensitivity = faithfulness.max_sensitivity(
        lambda images: explained(network, images[0].clamp(0, 1)), same, near
    )
    control = explained(randomised(network, len(layers(network)), seed), image)
    moved = 1 - np.abs(measures.similarity(values, control).rank)
    on_object = on_tag = points = [None] * len(maps)
    if truth is not None:
        on_object, points = (
            measures.mass_in_mask(values, truth.mask).tolist(),
            measures.pointing(values, truth.mask).tolist(),
        )
        on_tag = measures.mass_on_tag(values, truth.tag_box).tolist()
    rows = []
    for place, one in enumerate(maps):
        cost = (
            one.milliseconds,
            one.forwards + one.backwards,
            float(one.values.min()),
            float(one.values.max()),
        )
        measured = (
            float(of_maps[place]) for of_maps in (deletion, insertion, infidelity, sensitivity, moved)
        )
        rows.append(
            Score(
                one.method,
                *cost,
                *measured,
                one.checks.get("completeness_gap"),
                on_object[place],
                on_tag[place],
                points[place],
            )
        )
    return rows


def as_csv(image_scores: dict[str, Sequence[Score]]) -> str:
    """A row for every image and method; what does not apply is left empty."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(["image", *(field.name for field in fields(Score))])
    for name, rows in image_scores.items():
        table.writerows(
            [name, *("" if value is None else value for value in asdict(row).values())] for row in rows
        )
    return file.getvalue()
