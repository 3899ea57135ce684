"""How the pretrained networks are trained: one a conditioning level, one that samples, and
one of photographs.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np

from mlcv_explore.data import cutout_images
from mlcv_explore.data.dataset import content_fingerprint
from mlcv_explore.ideas.inverted_unet import ARMS, MEASURES, PHOTOGRAPHS, InvertedUnetConfig, measures_of
from mlcv_explore.ideas.inverted_unet.conditioning import LEVELS, channel_count, colour_channel
from mlcv_explore.ideas.inverted_unet.training import Trainer, frame_steps
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.conditional_generation import CODES

PREFIX = "inverted_unet_"
SAMPLED, OF_PHOTOGRAPHS = "sampled", "photographs"
KIND = "generator"
EXAMPLES = 4  # objects that were held out, whose masks stand on the card


def train(
    loss: str, seed: int, hyperparameters: InvertedUnetConfig, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Train a network as a run does, and measure its weights as they are stored, float16."""
    trainer = Trainer(hyperparameters, seed, loss)
    for step in frame_steps(hyperparameters):
        trainer.train_to(step)
        if report is not None:
            report(step, hyperparameters.updates, trainer.loss, float(trainer.curve[ARMS.index("unet")]))
    trainer.select()
    network, parts = trainer.learners["unet"].network, (trainer.training_images, trainer.test_images)
    network.load_state_dict({name: value.half().float() for name, value in network.state_dict().items()})
    trainer.test()
    own, ceiling = (trainer.measured[ARMS.index(name)] for name in ("unet", "ceiling"))
    measures = measures_of(hyperparameters, "unet")
    metrics = {f"test_{name}": round(float(own[MEASURES.index(name)]), 4) for name in measures}
    if "ceiling" in trainer.arms:
        metrics["test_ceiling"] = round(float(ceiling[MEASURES.index("explained")]), 4)
    categories, level = parts[0].categories, hyperparameters.detail
    scenes = hyperparameters.dataset == "scenes"
    about = {
        "kind": KIND,
        "architecture": "Generator",
        "arguments": {
            "inputs": channel_count(categories, level),
            "width": hyperparameters.width,
            "codes": CODES if loss == "sampled" else 0,
            "base": colour_channel(categories, level),
        },
        "level": level,
        "input": {"size": hyperparameters.side},
        "data": {
            "name": f"scenes, dependence {hyperparameters.dependence:g}" if scenes else "composites",
            "fingerprint": content_fingerprint(*(part.as_images() for part in parts)),
        },
        "steps": hyperparameters.updates,
        "metrics": metrics | {"test_size": len(trainer.test_images)},
    }
    return TrainedCheckpoint(network, about if scenes else about | {"examples": _held_out(trainer)})


def _held_out(trainer: Trainer) -> dict[str, str]:
    """Name → mask, its bits as hexadecimal digits, of the first test objects."""
    sizes = trainer.config.scenes, trainer.config.validation_size, trainer.config.test_images
    _, names = cutout_images.load(trainer.config.side)
    shown = cutout_images.split_indices(sizes, trainer.seed)[2][:EXAMPLES]
    masks = trainer.test_images.objects
    return {
        names[index]: np.packbits(mask).tobytes().hex() for index, mask in zip(shown, masks, strict=False)
    }


def _hyperparameters(level: str) -> InvertedUnetConfig:
    return InvertedUnetConfig(detail=level, control=False, scenes=4000, updates=1200, width=16)


CHECKPOINTS: Mapping[str, CheckpointSpec] = {
    **{f"{PREFIX}{level}": CheckpointSpec(_hyperparameters(level), partial(train, "l2")) for level in LEVELS},
    f"{PREFIX}{SAMPLED}": CheckpointSpec(_hyperparameters("class"), partial(train, "sampled")),
    f"{PREFIX}{OF_PHOTOGRAPHS}": CheckpointSpec(PHOTOGRAPHS.replace(control=False), partial(train, "l2")),
}
