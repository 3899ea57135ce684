"""The run: every arm predicts images from their conditioning; curves on validation
images, every measure once on test images.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from mlcv_explore.data.compressed_images import webp
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
from mlcv_explore.ideas.inverted_unet.conditioning import Conditioning, channel_count, condition
from mlcv_explore.metrics import image_quality
from mlcv_explore.metrics.generated_images import Evaluators
from mlcv_explore.metrics.overlap import MaskIndex
from mlcv_explore.models.conditional_generation import CODES, SAMPLING, TRIES, GeneratorTrainer, predict
from mlcv_explore.seeds import numpy_stream, stream

# of the object's pixels in the loss; a function of the mask alone, so the optimum stays the mean
OBJECT_WEIGHT = 8.0
TRAINED = ("l2", "l1", "sampled", "cvae", "shuffled", "adversarial")
FRAMES = 10  # of the training; one more shows the test


def scenes_config(dependence: float, side: int = 32) -> ScenesConfig:
    """Scenes with large objects, whose class is the texture."""
    return ScenesConfig(side=side, label="texture", smallest=0.35, largest=0.5, dependence=dependence)


def splits(config: InvertedUnetConfig, seed: int) -> tuple[MaskedImages, ...]:
    """Training, validation and test images, disjoint. Raises DataError when the pets are
    not on this machine, SettingError when there are too few of them.
    """
    sizes = config.scenes, config.validation_size, config.test_images
    if config.dataset == "pets":
        return pets_split(sizes, seed)
    return generated_split(scenes_config(config.dependence, config.side), sizes, seed)


def frame_steps(config: InvertedUnetConfig) -> list[int]:
    """Updates after which a frame is made."""
    count = min(FRAMES, config.updates)
    return [round(config.updates * (index + 1) / count) for index in range(count)]


def run(config: InvertedUnetConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train all arms of all seeds in turn; a frame every few updates, and one after the
    test. The images in a frame are the first seed's.
    """
    trainers, steps = [Trainer(config, seed) for seed in seeds], config.updates + 1
    for step in (*frame_steps(config), steps):
        for trainer in trainers:
            trainer.test() if step == steps else trainer.train_to(step)
        shown = np.zeros((len(seeds), *trainers[0].shown.shape), np.uint8)
        shown[0] = trainers[0].shown
        curves, measured = (
            np.stack(arrays).astype(np.float32)
            for arrays in zip(*((trainer.curve, trainer.measured) for trainer in trainers), strict=True)
        )
        yield Frame(step, steps, curves, measured, shown)


class Trainer:
    """One seed: its images, its arms, and their measures so far."""

    def __init__(self, config: InvertedUnetConfig, seed: int, only: Sequence[str] = TRAINED) -> None:
        """`only` these of the trained arms are trained."""
        self.config, self.seed, self.arms = config, seed, arms_of(config)
        self.training_images, self.validation_images, self.test_images = splits(config, seed)
        self.conditioning, self.validation = map(
            self._condition, (self.training_images, self.validation_images)
        )
        inputs = channel_count(self.training_images.categories, config.detail)
        about = inputs, config.width, config.rate, config.updates, seed
        self.learners = {
            arm: GeneratorTrainer("l2" if arm == "shuffled" else arm, *about)
            for arm in only
            if arm in self.arms
        }
        self.random = numpy_stream(seed, "batches")
        self.shuffled = numpy_stream(seed, "shuffled masks").permutation(len(self.training_images))
        self.first = next(iter(self.learners))
        self.done, self.loss = 0, 0.0  # updates, and the loss of the arm trained last
        self.curve = np.zeros(len(ARMS))
        self.measured = np.zeros((len(ARMS), len(MEASURES)))
        self.shown = np.zeros((SHOWN, 3, config.side, config.side), np.uint8)

    def train_to(self, step: int) -> None:
        """Update every arm on the same batches up to `step`, then evaluate on the
        validation images.
        """
        while self.done < step:
            self._update()
            self.done += 1
        images = self.validation_images
        truths, objects = to_float(images.images), images.objects
        for arm in self.learners:
            output, _ = self._output(arm, images, self.validation, f"validation {step}")
            self.curve[ARMS.index(arm)] = image_quality.explained_variance(output, truths, objects)
            if arm == self.first:
                self.shown = to_bytes(output[:SHOWN])

    def test(self) -> None:
        """Every measure of every arm on the test images, which nothing has used before."""
        images, conditioning = self.test_images, self._condition(self.test_images)
        truths, objects, backgrounds = to_float(images.images), images.objects, images.backgrounds
        sizes = conditioning.sizes()
        compressed, compressed_sizes = webp(images.images, sizes)
        outputs = self._untrained(images, truths) | {"webp": compressed, "truth": truths}
        extra = {"l2": {"bytes": sizes.mean()}, "webp": {"bytes": compressed_sizes.mean()}}
        for arm in self.learners:
            outputs[arm], samples = self._output(arm, images, conditioning, "test")
            if samples is not None:
                extra[arm] = {"diversity": image_quality.diversity(samples, objects)}
        evaluators = Evaluators(self.training_images, self.seed) if self.config.arms == "all" else None
        for arm, output in outputs.items():
            self._record(
                arm,
                explained=image_quality.explained_variance(output, truths, objects),
                background=image_quality.explained_variance(output, truths, backgrounds),
                psnr=image_quality.psnr(output, truths),
                ssim=image_quality.ssim(output, truths),
                energy=image_quality.gradient_energy(output, truths),
                **(evaluators.scores(output, images) if evaluators is not None else {}),
                **extra.get(arm, {}),
            )
        if "ceiling" in self.arms:
            best = images.determined[:, None].repeat(3, 1) / 255
            self._record("ceiling", explained=image_quality.explained_variance(best, truths, objects))
        self.shown = to_bytes(outputs[self.first][:SHOWN])

    def _condition(self, images: MaskedImages) -> Conditioning:
        return condition(images, self.config.detail, self.config.edges)

    def _record(self, arm: str, **values: float) -> None:
        for measure, value in values.items():
            self.measured[ARMS.index(arm), MEASURES.index(measure)] = value

    def _untrained(self, images: MaskedImages, truths: np.ndarray) -> dict[str, np.ndarray]:
        """Images float32 (n, 3, h, w) of the arms that only use the training images
        and masks; regions are two, object and the rest, for a binary mask.
        """
        pixels, binary = self.training_images.images, self.config.detail == "binary"
        training, test = (part.binary() if binary else part for part in (self.training_images, images))
        index = MaskIndex(training.regions, training.categories.objects)
        indices = np.stack([index.nearest(mask, TRIES) for mask in test.regions])
        near = to_float(pixels[indices].swapaxes(0, 1))  # (TRIES, n, 3, h, w)
        mean = to_float(pixels.mean(axis=0, dtype=np.float64))
        return {
            "mean": np.broadcast_to(mean, truths.shape),
            "region": fill_regions(test.regions, mean_colours([training])),
            "nearest": near[0],
            "nearest5": image_quality.best_sample(near, truths, images.pixel_weights(OBJECT_WEIGHT)),
        }

    def _output(
        self, arm: str, images: MaskedImages, conditioning: Conditioning, purpose: str
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """A trained arm's images, float32 (n, 3, h, w): of an arm with codes the best
        under TRIES codes, and all of them, (TRIES, n, 3, h, w).
        """
        network, count = self.learners[arm].network, len(images)
        if arm not in SAMPLING:
            return predict(network, conditioning.inputs, count), None
        generator = stream(self.seed, f"codes of {arm} for {purpose}")
        codes = torch.randn((TRIES, count, CODES), generator=generator)
        samples = np.stack([predict(network, conditioning.inputs, count, code) for code in codes])
        weights = images.pixel_weights(OBJECT_WEIGHT)
        return image_quality.best_sample(samples, to_float(images.images), weights), samples

    def _update(self) -> None:
        """One step of every arm on one batch, half of it mirrored left to right: light
        from above stays above.
        """
        training = self.training_images
        indices = self.random.integers(len(training), size=self.config.batch)
        mirrored = torch.from_numpy(self.random.random(self.config.batch) < 0.5)[:, None, None, None]

        def batch(values: np.ndarray) -> torch.Tensor:
            images = torch.from_numpy(values)
            return torch.where(mirrored, images.flip(-1), images)

        images = batch(to_float(training.images[indices]))
        for arm, learner in self.learners.items():
            # the control gets other images' masks
            masks = self.shuffled[indices] if arm == "shuffled" else indices
            weights = batch(training.pixel_weights(OBJECT_WEIGHT, masks)[:, None])
            self.loss = learner.step(batch(self.conditioning.inputs(masks)), images, weights)
            if not np.isfinite(self.loss):
                raise FloatingPointError(
                    f"The arm {arm} of seed {self.seed} diverged at update {self.done + 1}: lower the rate."
                )
