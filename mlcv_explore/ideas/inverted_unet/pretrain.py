"""How the shipped networks are trained: one a conditioning level, and one that samples."""

from collections.abc import Mapping
from functools import partial

from mlcv_explore.data.dataset import Images, content_fingerprint
from mlcv_explore.ideas.inverted_unet import ARMS, MEASURES, InvertedUnetConfig, frame_steps
from mlcv_explore.ideas.inverted_unet.conditioning import LEVELS, channel_count
from mlcv_explore.ideas.inverted_unet.networks import CODES
from mlcv_explore.ideas.inverted_unet.training import Trainer
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint

PREFIX = "inverted_unet_"
SAMPLED = "sampled"
KIND = "inverter"
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
    values = dict(zip(MEASURES, trainer.measured[ARMS.index(arm)].tolist(), strict=True))
    metrics = {f"test_{name}": round(values[name], 4) for name in REPORTED}
    if "ceiling" in trainer.arms:
        ceiling = trainer.measured[ARMS.index("ceiling"), MEASURES.index("explained")]
        metrics["test_ceiling"] = round(float(ceiling), 4)
    categories = trainer.training_images.categories
    parts = (
        Images(part.images, part.labels, categories.labels, part.regions)
        for part in (trainer.training_images, trainer.test_images)
    )
    about = {
        "kind": KIND,
        "architecture": "Inverter",
        "arguments": {
            "inputs": channel_count(categories, hyperparameters.detail),
            "width": hyperparameters.width,
            "codes": CODES if arm == SAMPLED else 0,
        },
        "rung": hyperparameters.detail,
        "input": {"size": hyperparameters.side},
        "data": {
            "name": f"scenes, dependence {hyperparameters.dependence:g}",
            "fingerprint": content_fingerprint(*parts),
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
