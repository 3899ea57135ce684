"""The run: networks predict images from their conditioning; curves on validation images,
every measure once on test images.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mlcv_explore.data import cutout_images
from mlcv_explore.data.dataset import to_bytes, to_float
from mlcv_explore.data.masked_images import (
    MaskedImages,
    fill_regions,
    generated_split,
    mean_colours,
    pets_split,
)
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.ideas.inverted_unet import ARMS, MEASURES, SHOWN, Frame, InvertedUnetConfig, arms_of
from mlcv_explore.ideas.inverted_unet.conditioning import (
    Conditioning,
    channel_count,
    colour_channel,
    condition,
)
from mlcv_explore.metrics import image_quality
from mlcv_explore.models import mask_baselines
from mlcv_explore.models.conditional_generation import CODES, TRIES, GeneratorTrainer, predict
from mlcv_explore.seeds import numpy_stream, stream

# of the object's pixels in the loss; a function of the mask alone, so the optimum stays the mean
OBJECT_WEIGHT = 8.0
TRAINED = ("unet", "shuffled")
NEAREST = 20  # masks whose images are averaged
FRAMES = 10  # of the training; one more shows the test


def scenes_config(dependence: float, side: int = 32) -> ScenesConfig:
    """Scenes with large objects, whose class is the texture."""
    return ScenesConfig(side=side, label="texture", smallest=0.35, largest=0.5, dependence=dependence)


def splits(config: InvertedUnetConfig, seed: int) -> tuple[MaskedImages, ...]:
    """Training, validation and test images, disjoint. Raises DataError when the images
    are not on this machine, SettingError when there are too few of them.
    """
    sizes = config.scenes, config.validation_size, config.test_images
    if config.dataset == "composites":
        return cutout_images.split(sizes, config.side, seed)
    if config.dataset == "pets":
        return pets_split(sizes, seed)
    return generated_split(scenes_config(config.dependence, config.side), sizes, seed)


def frame_steps(config: InvertedUnetConfig) -> list[int]:
    """Updates after which a frame is made."""
    count = min(FRAMES, config.updates)
    return [round(config.updates * (index + 1) / count) for index in range(count)]


def run(config: InvertedUnetConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train the networks of all seeds in turn; a frame every few updates, and one after
    the test. The images in a frame are the first seed's.
    """
    trainers, steps = [Trainer(config, seed) for seed in seeds], config.updates + 1
    for step in (*frame_steps(config), steps):
        for trainer in trainers:
            if step < steps:
                trainer.train_to(step)
            else:
                trainer.select()
                trainer.test()
        shown = np.zeros((len(seeds), *trainers[0].shown.shape), np.uint8)
        shown[0] = trainers[0].shown
        curves, measured = (
            np.stack(arrays).astype(np.float32)
            for arrays in zip(*((trainer.curve, trainer.measured) for trainer in trainers), strict=True)
        )
        yield Frame(step, steps, curves, measured, shown)


class Trainer:
    """One seed: its images, its networks, and the measures of every arm so far."""

    def __init__(self, config: InvertedUnetConfig, seed: int, loss: str = "l2") -> None:
        """`loss` is that of the networks; one with codes predicts the mean over codes."""
        self.config, self.seed, self.arms = config, seed, arms_of(config)
        self.training_images, self.validation_images, self.test_images = splits(config, seed)
        self.conditioning, self.validation = map(
            self._condition, (self.training_images, self.validation_images)
        )
        categories = self.training_images.categories
        inputs, base = (count(categories, config.detail) for count in (channel_count, colour_channel))
        about = inputs, config.width, config.rate, config.updates, seed, base
        self.learners = {arm: GeneratorTrainer(loss, *about) for arm in TRAINED if arm in self.arms}
        self.best = dict.fromkeys(self.learners, (-np.inf, {}))  # validation, weights
        self.random = numpy_stream(seed, "batches")
        self.shuffled = numpy_stream(seed, "shuffled masks").permutation(len(self.training_images))
        self.done, self.loss = 0, 0.0  # updates, and the loss of the network trained last
        self.curve = np.zeros(len(ARMS))
        self.measured = np.zeros((len(ARMS), len(MEASURES)))
        self.shown = np.zeros((SHOWN, 3, config.side, config.side), np.uint8)

    def train_to(self, step: int) -> None:
        """Update every network on the same batches up to `step`, then evaluate on the
        validation images; the weights with the best result so far are kept.
        """
        while self.done < step:
            self._update()
            self.done += 1
        images = self.validation_images
        truths, objects = to_float(images.images), images.objects
        for arm, learner in self.learners.items():
            output = self._output(arm, self.validation, f"validation {step}")
            result = image_quality.explained_variance(output, truths, objects)
            self.curve[ARMS.index(arm)] = result
            if result > self.best[arm][0]:
                state = learner.network.state_dict()
                self.best[arm] = result, {name: value.clone() for name, value in state.items()}
            if arm == "unet":
                self.shown = to_bytes(output[:SHOWN])

    def select(self) -> None:
        """Go back to the weights that were best on the validation images."""
        for arm, learner in self.learners.items():
            learner.network.load_state_dict(self.best[arm][1])

    def test(self) -> None:
        """Every measure of every arm on the test images, which nothing has used before."""
        images, conditioning = self.test_images, self._condition(self.test_images)
        truths, objects, backgrounds = to_float(images.images), images.objects, images.backgrounds
        outputs = self.untrained(images)
        for arm in self.learners:
            outputs[arm] = self._output(arm, conditioning, "test")
        if "ceiling" in self.arms:
            outputs["ceiling"] = images.determined[:, None].repeat(3, 1) / 255
        for arm, output in outputs.items():
            values = {"explained": image_quality.explained_variance(output, truths, objects)}
            if arm != "ceiling":
                values |= {
                    "psnr": image_quality.psnr(output, truths),
                    "ssim": image_quality.ssim(output, truths),
                    "energy": image_quality.gradient_energy(output, truths),
                }
                if self.config.dataset != "composites":
                    values["background"] = image_quality.explained_variance(output, truths, backgrounds)
            for measure, value in values.items():
                self.measured[ARMS.index(arm), MEASURES.index(measure)] = value
        self.shown = to_bytes(outputs["unet"][:SHOWN])

    def untrained(self, images: MaskedImages) -> dict[str, np.ndarray]:
        """Images float32 (n, 3, h, w) of the arms without a network, from the training
        images and these masks; "colour" and "shaded" also know each object's mean colour.
        """
        training, objects = self.training_images, images.objects
        shape = len(images), *training.images.shape[1:]
        regions = fill_regions(images.regions, mean_colours([training]))
        nearest, neighbours = mask_baselines.neighbours(training, images, NEAREST)
        own = mask_baselines.object_colours(images).astype(np.float32) / 255
        values = {
            "mean": np.broadcast_to(to_float(training.images.mean(axis=0, dtype=np.float64)), shape),
            "region": regions,
            "regression": mask_baselines.regression(training, objects),
            "nearest": nearest,
            "neighbours": neighbours,
            "colour": np.broadcast_to(own[:, :, None, None], shape),
            "shaded": mask_baselines.shaded(training, objects, own),
        }
        for arm in ("regression", "colour", "shaded"):  # of the object alone
            values[arm] = np.where(objects[:, None], values[arm], regions)
        return values

    def _condition(self, images: MaskedImages) -> Conditioning:
        return condition(images, self.config.detail)

    def _output(self, arm: str, conditioning: Conditioning, purpose: str) -> np.ndarray:
        """A network's images, float32 (n, 3, h, w): with codes the mean over TRIES of them."""
        network, count = self.learners[arm].network, len(conditioning.regions)
        if not network.codes:
            return predict(network, conditioning.inputs, count)
        generator = stream(self.seed, f"codes of {arm} for {purpose}")
        codes = torch.randn((TRIES, count, CODES), generator=generator)
        return np.mean([predict(network, conditioning.inputs, count, code) for code in codes], axis=0)

    def _update(self) -> None:
        """One step of every network on one batch, half of it mirrored left to right: light
        from above stays above.

        The control gets other images' masks, and learns where both images are object or
        neither is: it lacks the relation between mask and appearance, and nothing else.
        """
        training = self.training_images
        indices = self.random.integers(len(training), size=self.config.batch)
        mirrored = torch.from_numpy(self.random.random(self.config.batch) < 0.5)[:, None, None, None]

        def batch(values: np.ndarray) -> torch.Tensor:
            images = torch.from_numpy(values)
            return torch.where(mirrored, images.flip(-1), images)

        images, own = (
            batch(to_float(training.images[indices])),
            training.pixel_weights(OBJECT_WEIGHT, indices),
        )
        for arm, learner in self.learners.items():
            masks = self.shuffled[indices] if arm == "shuffled" else indices
            weights = training.pixel_weights(OBJECT_WEIGHT, masks)
            weights = batch(np.where(weights == own, weights, 0)[:, None])
            self.loss = learner.step(batch(self.conditioning.inputs(masks)), images, weights)
            if not np.isfinite(self.loss):
                raise FloatingPointError(
                    f"The arm {arm} of seed {self.seed} diverged at update {self.done + 1}: lower the rate."
                )
