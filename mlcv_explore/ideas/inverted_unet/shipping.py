"""How the networks that ship are made: one a rung of the ladder, and one that samples."""

from collections.abc import Mapping
from functools import partial

from mlcv_explore.data.dataset import Images, content_fingerprint
from mlcv_explore.ideas.inverted_unet import ARMS, MEASURES, InvertedUnetConfig, frame_steps
from mlcv_explore.ideas.inverted_unet.ladder import RUNGS, channels
from mlcv_explore.ideas.inverted_unet.networks import CODES
from mlcv_explore.ideas.inverted_unet.training import Student
from mlcv_explore.ideas.inverted_unet.worlds import Pictures
from mlcv_explore.models.checkpoints import CheckpointSpec, ProgressCallback, TrainedCheckpoint

PREFIX = "inverted_unet_"
SAMPLED = "sampled"
KIND = "inverter"
SAID = ("explained", "background", "psnr", "ssim", "energy")  # of a network, on its card


def make(
    arm: str, seed: int, recipe: InvertedUnetConfig, report: ProgressCallback | None
) -> TrainedCheckpoint:
    """Train one arm as a run does, and measure its weights as they are stored."""
    student = Student(recipe, seed, only=(arm,))
    for step in frame_steps(recipe):
        student.train_to(step)
        if report is not None:
            report(step, recipe.updates, student.loss, float(student.curve[ARMS.index(arm)]))
    network = student.learners[arm].network
    network.load_state_dict({name: value.half().float() for name, value in network.state_dict().items()})
    student.examine()
    found = dict(zip(MEASURES, student.measured[ARMS.index(arm)].tolist(), strict=True))
    said = {f"test_{name}": round(found[name], 4) for name in SAID}
    if "ceiling" in student.asked:
        said["test_ceiling"] = round(
            float(student.measured[ARMS.index("ceiling"), MEASURES.index("explained")]), 4
        )
    about = {
        "kind": KIND,
        "architecture": "Inverter",
        "arguments": {
            "inputs": channels(student.taught.world, recipe.detail),
            "width": recipe.width,
            "codes": CODES if arm == SAMPLED else 0,
        },
        "rung": recipe.detail,
        "input": {"size": recipe.side},
        "data": {
            "name": f"scenes, dependence {recipe.dependence:g}",
            "fingerprint": content_fingerprint(_images(student.taught), _images(student.tested)),
        },
        "steps": recipe.updates,
        "metrics": said | {"test_size": len(student.tested)},
    }
    return TrainedCheckpoint(network, about)


def _images(pictures: Pictures) -> Images:
    return Images(pictures.images, pictures.labels, pictures.world.labels, pictures.regions)


def _recipe(rung: str, arms: str = "one") -> InvertedUnetConfig:
    return InvertedUnetConfig(detail=rung, arms=arms, scenes=6000, updates=2000)


CHECKPOINTS: Mapping[str, CheckpointSpec] = {
    **{f"{PREFIX}{rung}": CheckpointSpec(_recipe(rung), partial(make, "l2")) for rung in RUNGS},
    f"{PREFIX}{SAMPLED}": CheckpointSpec(_recipe("class", "all"), partial(make, SAMPLED)),
}
