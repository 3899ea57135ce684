"""How the pretrained networks are trained: one a conditioning level, and one that samples."""

from collections.abc import Mapping
from functools import partial

from mlcv_explore.data.dataset import content_fingerprint
from mlcv_explore.ideas.inverted_unet import ARMS, MEASURES, InvertedUnetConfig
from mlcv_explore.ideas.inverted_unet.conditioning import LEVELS, channel_count
from mlcv_explore.ideas.inverted_unet.training import Trainer, frame_steps
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint
from mlcv_explore.models.conditional_generation import CODES

PREFIX = "inverted_unet_"
SAMPLED = "sampled"
KIND = "generator"
REPORTED = ("explained", "background", "psnr", "ssim", "energy")  # measures on a card


def train(
    arm: str, seed: int, hyperparameters: InvertedUnetConfig, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Train one arm as a run does, and measure its weights as they are stored, float16."""
    trainer = Trainer(hyperparameters, seed, only=(arm,))
    for step in frame_steps(hyperparameters):
        trainer.train_to(step)
        if report is not None:
            report(step, hyperparameters.updates, trainer.loss, float(trainer.curve[ARMS.index(arm)]))
    network = trainer.learners[arm].network
    network.load_state_dict({name: value.half().float() for name, value in network.state_dict().items()})
    trainer.test()
    own, ceiling = (trainer.measured[ARMS.index(name)] for name in (arm, "ceiling"))
    metrics = {f"test_{name}": round(float(own[MEASURES.index(name)]), 4) for name in REPORTED}
    if "ceiling" in trainer.arms:
        metrics["test_ceiling"] = round(float(ceiling[MEASURES.index("explained")]), 4)
    parts = (trainer.training_images, trainer.test_images)
    about = {
        "kind": KIND,
        "architecture": "Generator",
        "arguments": {
            "inputs": channel_count(parts[0].categories, hyperparameters.detail),
            "width": hyperparameters.width,
            "codes": CODES if arm == SAMPLED else 0,
        },
        "level": hyperparameters.detail,
        "input": {"size": hyperparameters.side},
        "data": {
            "name": f"scenes, dependence {hyperparameters.dependence:g}",
            "fingerprint": content_fingerprint(*(part.as_images() for part in parts)),
        },
        "steps": hyperparameters.updates,
        "metrics": metrics | {"test_size": len(trainer.test_images)},
    }
    return TrainedCheckpoint(network, about)


def _hyperparameters(level: str, arms: str = "one") -> InvertedUnetConfig:
    return InvertedUnetConfig(detail=level, arms=arms, scenes=6000, updates=2000)


CHECKPOINTS: Mapping[str, CheckpointSpec] = {
    **{f"{PREFIX}{level}": CheckpointSpec(_hyperparameters(level), partial(train, "l2")) for level in LEVELS},
    f"{PREFIX}{SAMPLED}": CheckpointSpec(_hyperparameters("class", "all"), partial(train, SAMPLED)),
}
