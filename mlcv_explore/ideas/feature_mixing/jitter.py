"""Contrastive learning on features: the two views of a picture are made by jitter of
its pixels, or of its features.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch.nn import functional

from mlcv_explore.ideas.feature_mixing import PROBE_ARMS, FeatureMixingConfig
from mlcv_explore.ideas.feature_mixing.material import Material, material
from mlcv_explore.ideas.feature_mixing.networks import Network, networks
from mlcv_explore.ideas.feature_mixing.pretraining import (
    Views,
    contrast,
    drawn,
    features_mixed_a_little,
    flat,
    jittered_pixels,
    noisy_features,
)
from mlcv_explore.metrics.linear_probe import principal_components, probe
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import stream

AT = 1  # the depth whose features are jittered
READ = 2  # the depth that is compared, and probed
RATE = 0.003


def course(config: FeatureMixingConfig, seeds: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Arm after arm: its place in PROBE_ARMS, and the probes' test accuracy (S,)."""
    stuff = material(config, list(seeds))
    for place, arm in enumerate(PROBE_ARMS):
        yield place, probed(stuff, *encoded(arm, config, stuff, list(seeds)))


def encoded(
    arm: str, config: FeatureMixingConfig, stuff: Material, seeds: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of training, validation and test pictures, each (S, n, d), by what this arm
    learned without labels; the oracle learned with all.
    """
    if arm == "probe_pixels":
        return tuple(
            np.broadcast_to(part.flatten(1).numpy(), (len(seeds), len(part), part[0].numel()))
            for part in _parts(stuff)
        )
    flattened = config.network == "dense"
    network = networks(config.network, tuple(stuff.pictures.shape[1:]), config.width, stuff.classes, seeds)
    generators = [stream(seed, "contrast") for seed in seeds]
    if arm == "probe_supervised":
        _supervised(network, flattened, stuff, seeds, config.contrast_steps)
    elif arm != "probe_random":
        views = views_of(arm, config, network, flattened)
        with torch.no_grad():
            shape = network.through(
                _seen(stuff.pictures[:1].expand(len(seeds), 1, *stuff.pictures.shape[1:]), flattened), 0, READ
            ).shape[2:]
        contrast(network, views, shape, stuff.pictures, seeds, generators, config.contrast_steps)
    with torch.no_grad():
        return tuple(_codes(network, part, flattened, len(seeds)) for part in _parts(stuff))


def views_of(arm: str, config: FeatureMixingConfig, network: Network, flattened: bool) -> Views:
    """Two views of each picture, (S, B, C, h, w) → features (S, 2B, …) at READ."""
    changes = {
        "probe_noise": partial(noisy_features, strength=config.feature_noise),
        "probe_mixed": partial(features_mixed_a_little, weight=config.jitter_weight),
        "probe_both": partial(features_mixed_a_little, weight=config.jitter_weight),
    }

    def views(batch: torch.Tensor, generators: list[torch.Generator]) -> torch.Tensor:
        if arm in ("probe_jitter", "probe_both"):
            both = torch.cat(
                [
                    jittered_pixels(batch, config.pixel_noise, config.pixel_shift, generators)
                    for _ in range(2)
                ],
                dim=1,
            )
        else:
            both = torch.cat([batch, batch], dim=1)
        features = network.through(_seen(both, flattened), 0, AT)
        if arm in changes:
            half = features.shape[1] // 2
            features = torch.cat(
                [changes[arm](part, generators=generators) for part in features.split(half, dim=1)], dim=1
            )
        return network.through(features, AT, READ)

    return views


def probed(stuff: Material, taught: np.ndarray, validated: np.ndarray, tested: np.ndarray) -> np.ndarray:
    """Test accuracy (S,) of logistic probes on the labelled pictures' codes, in the
    components of all training codes.
    """
    own, split = stuff.own_labels(), stuff.split
    found = []
    for row, labelled in enumerate(stuff.labelled):
        components = principal_components(taught[row], taught.shape[-1])
        codes = [components.transform(part) for part in (taught[row][labelled], validated[row], tested[row])]
        found.append(
            (
                probe(codes[0], own[row], codes[1], split.validation.labels, codes[2]).argmax(1)
                == split.test.labels
            ).mean()
        )
    return np.array(found, dtype=np.float32)


def _supervised(network: Network, flattened: bool, stuff: Material, seeds: list[int], steps: int) -> None:
    generators = [stream(seed, "supervised") for seed in seeds]
    labels = torch.from_numpy(stuff.split.train.labels)
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    for _ in range(steps):
        places = drawn(torch.arange(len(labels)), generators)
        logits = network.through(_seen(stuff.pictures[places], flattened))
        gradient_step(
            optimiser, functional.cross_entropy(logits.mT, labels[places], reduction="none").mean(1).sum()
        )


def _parts(stuff: Material) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return stuff.pictures, stuff.validated, stuff.tested


def _codes(network: Network, pictures: torch.Tensor, flattened: bool, count: int) -> np.ndarray:
    seen = flat(pictures[None])[0] if flattened else pictures
    parts = [network.through(part.expand(count, *part.shape), 0, READ) for part in seen.split(500)]
    return torch.cat(parts, dim=1).flatten(2).numpy()


def _seen(pictures: torch.Tensor, flattened: bool) -> torch.Tensor:
    return flat(pictures) if flattened else pictures
