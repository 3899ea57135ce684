"""The run: every arm predicts images from their conditioning; curves on validation
images, every measure once on test images.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.ideas.inverted_unet import (
    ARMS,
    MEASURES,
    SHOWN,
    Frame,
    InvertedUnetConfig,
    arms_of,
    baselines,
    frame_steps,
    image_quality,
    networks,
)
from mlcv_explore.ideas.inverted_unet.conditioning import Conditioning, channel_count, condition
from mlcv_explore.ideas.inverted_unet.evaluators import Evaluators
from mlcv_explore.ideas.inverted_unet.masked_images import MaskedImages, splits, to_bytes, to_float
from mlcv_explore.ideas.inverted_unet.networks import CODES, absolute_error, one_cycle, predict, squared_error
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream, seeded, stream

TRIES = baselines.NEAREST  # codes a sampling arm may try
# of the object's pixels in the loss; a function of the mask alone, so the optimum stays the mean
OBJECT_WEIGHT = 8.0
# norm; without normalisation one steep step can end in a constant image
MAX_GRADIENT_NORM = 0.1
PIXEL_WEIGHT = 100.0  # of the L1 loss beside the discriminator, as in pix2pix
TRAINED = ("l2", "l1", "sampled", "cvae", "shuffled", "adversarial")
SAMPLING = ("sampled", "cvae")


def run(config: InvertedUnetConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train all arms of all seeds in turn; a frame every few updates, and one after the
    test.
    """
    trainers = [Trainer(config, seed) for seed in seeds]
    for step in frame_steps(config):
        for trainer in trainers:
            trainer.train_to(step)
        yield frame(step, config.updates + 1, trainers)
    for trainer in trainers:
        trainer.test()
    yield frame(config.updates + 1, config.updates + 1, trainers)


def frame(step: int, steps: int, trainers: "Sequence[Trainer]") -> Frame:
    """The state of all seeds; the images are the first seed's."""
    curves = np.stack([trainer.curve for trainer in trainers]).astype(np.float32)  # (S, A)
    measured = np.stack([trainer.measured for trainer in trainers]).astype(np.float32)  # (S, A, K)
    shown = np.zeros((len(trainers), *trainers[0].shown.shape), np.uint8)
    shown[0] = trainers[0].shown
    return Frame(step, steps, curves, measured, shown)


class Learner:
    """One arm's network, optimiser and loss."""

    def __init__(self, arm: str, config: InvertedUnetConfig, inputs: int, seed: int) -> None:
        self.arm = arm
        codes = CODES if arm in SAMPLING else 0
        # equal weights in all arms of a seed that have no code
        self.network = seeded(seed, lambda: networks.Inverter(inputs, config.width, codes))
        parameters = list(self.network.parameters())
        if arm == "cvae":
            self.posterior = seeded(seed, lambda: networks.Posterior(inputs, config.width), "posterior")
            parameters += self.posterior.parameters()
        if arm == "adversarial":
            self.critic = seeded(seed, lambda: networks.Discriminator(inputs, 2 * config.width), "critic")
            critic_parameters = list(self.critic.parameters())
            self.critic_optimiser, self.critic_schedule = one_cycle(
                critic_parameters, config.rate, config.updates
            )
        self.generator = stream(seed, f"codes of {arm}")
        self.optimiser, self.schedule = one_cycle(parameters, config.rate, config.updates)

    def step(self, given: torch.Tensor, images: torch.Tensor, weights: torch.Tensor) -> float:
        """One update on a batch; returns the loss."""
        self.network.train()
        loss = self._loss(given, images, weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT_NORM)
        self.optimiser.step()
        self.schedule.step()
        return float(loss.detach())

    def _loss(self, given: torch.Tensor, images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        if self.arm == "l1":
            return absolute_error(self.network(given), images, weights).mean()
        if self.arm == "sampled":
            codes = torch.randn(TRIES, len(given), CODES, generator=self.generator)
            code = networks.best_code(self.network, given, images, weights, codes)
            return squared_error(self.network(given, code), images, weights).mean()
        if self.arm == "cvae":
            mean, log_variance = self.posterior(given, images)
            code = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=self.generator)
            errors = squared_error(self.network(given, code), images, weights)
            errors = errors * images[0].numel() / (2 * networks.SPREAD**2)
            return (errors + networks.kl_divergence(mean, log_variance)).mean() / images[0].numel()
        if self.arm == "adversarial":
            return self._adversarial_loss(given, images, weights)
        return squared_error(self.network(given), images, weights).mean()

    def _adversarial_loss(
        self, given: torch.Tensor, images: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        """The generator's loss, after one step of the discriminator on the same batch."""
        outputs = self.network(given)
        true, false = self.critic(given, images), self.critic(given, outputs.detach())
        gradient_step(
            self.critic_optimiser, functional.softplus(-true).mean() + functional.softplus(false).mean()
        )
        self.critic_schedule.step()
        fooled = functional.softplus(-self.critic(given, outputs)).mean()
        return fooled + PIXEL_WEIGHT * absolute_error(outputs, images, weights).mean()


def pixel_weights(images: MaskedImages, indices: np.ndarray | slice = slice(None)) -> np.ndarray:
    """Weight of each pixel in the loss, float32 (n, h, w): more on the object, 0 where
    ignored; mean about 1 over scenes.
    """
    regions = images.regions[indices]
    weights = np.where(np.isin(regions, images.categories.objects), OBJECT_WEIGHT, 1.0).astype(np.float32)
    weights[np.isin(regions, images.categories.ignored)] = 0
    return weights


class Trainer:
    """One seed: its images, its arms, and their measures so far."""

    def __init__(self, config: InvertedUnetConfig, seed: int, only: Sequence[str] = TRAINED) -> None:
        """`only` these of the trained arms are trained."""
        self.config, self.seed, self.arms = config, seed, arms_of(config)
        self.training_images, self.validation_images, self.test_images = splits(config, seed)
        self.conditioning = condition(self.training_images, config.detail, config.edges)
        inputs = channel_count(self.training_images.categories, config.detail)
        self.learners = {arm: Learner(arm, config, inputs, seed) for arm in only if arm in self.arms}
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
        conditioning = condition(self.validation_images, self.config.detail, self.config.edges)
        truths, weights = to_float(self.validation_images.images), pixel_weights(self.validation_images)
        for arm, learner in self.learners.items():
            if arm in SAMPLING:
                samples = self._samples(arm, conditioning, f"validation {step}")
                outputs = image_quality.best(samples, truths, weights)
            else:
                outputs = predict(learner.network, conditioning)
            self.curve[ARMS.index(arm)] = image_quality.explained(
                outputs, truths, self.validation_images.objects
            )
            if arm == self.first:
                self.shown = to_bytes(outputs[:SHOWN])

    def test(self) -> None:
        """Every measure of every arm on the test images, which nothing has used before."""
        images, truths = self.test_images, to_float(self.test_images.images)
        outputs, extra = self._outputs(
            condition(images, self.config.detail, self.config.edges), images, truths
        )
        evaluators = Evaluators(self.training_images, self.seed) if self.config.arms == "all" else None
        objects, backgrounds = images.objects, images.backgrounds
        for arm, output in outputs.items():
            values = {
                "explained": image_quality.explained(output, truths, objects),
                "background": image_quality.explained(output, truths, backgrounds),
                "psnr": image_quality.psnr(output, truths),
                "ssim": image_quality.ssim(output, truths),
                "energy": image_quality.energy(output, truths),
                **(evaluators.scores(output, images) if evaluators is not None else {}),
                **extra.get(arm, {}),
            }
            for measure, value in values.items():
                self._record(arm, measure, value)
        if "ceiling" in self.arms:
            best = images.determined[:, None].repeat(3, 1) / 255
            self._record("ceiling", "explained", image_quality.explained(best, truths, objects))
        self.shown = to_bytes(outputs[self.first][:SHOWN])

    def _record(self, arm: str, measure: str, value: float) -> None:
        self.measured[ARMS.index(arm), MEASURES.index(measure)] = value

    def _outputs(
        self, conditioning: Conditioning, images: MaskedImages, truths: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, float]]]:
        """Every arm's test images, float32 (n, 3, h, w), and measures that only some
        arms have.
        """
        training, binary, weights = (
            self.training_images,
            self.config.detail == "binary",
            pixel_weights(images),
        )
        indices = baselines.nearest(training, images.regions, binary)
        near = to_float(training.images[indices].swapaxes(0, 1))  # (NEAREST, n, 3, h, w)
        sizes = conditioning.sizes()
        compressed, compressed_sizes = baselines.webp(images.images, sizes)
        outputs = {
            "mean": baselines.mean_image(training, len(images)),
            "region": baselines.region_means(training, images, binary),
            "nearest": near[0],
            "nearest5": image_quality.best(near, truths, weights),
            "webp": compressed,
            "truth": truths,
        }
        extra = {"l2": {"bytes": float(sizes.mean())}, "webp": {"bytes": float(compressed_sizes.mean())}}
        for arm, learner in self.learners.items():
            if arm in SAMPLING:
                samples = self._samples(arm, conditioning, "test")
                outputs[arm] = image_quality.best(samples, truths, weights)
                extra[arm] = {"diversity": image_quality.diversity(samples, images.objects)}
            else:
                outputs[arm] = predict(learner.network, conditioning)
        return outputs, extra

    def _update(self) -> None:
        """One step of every arm on one batch, half of it mirrored."""
        indices = self.random.integers(len(self.training_images), size=self.config.batch)
        mirrored = torch.from_numpy(self.random.random(self.config.batch) < 0.5)[:, None, None, None]
        images = mirror(torch.from_numpy(to_float(self.training_images.images[indices])), mirrored)
        for arm, learner in self.learners.items():
            # the control gets other images' masks
            masks = self.shuffled[indices] if arm == "shuffled" else indices
            given = mirror(torch.from_numpy(self.conditioning.inputs(masks)), mirrored)
            weights = mirror(torch.from_numpy(pixel_weights(self.training_images, masks))[:, None], mirrored)
            self.loss = learner.step(given, images, weights)
            if not np.isfinite(self.loss):
                raise FloatingPointError(
                    f"The arm {arm} of seed {self.seed} diverged at update {self.done + 1}: lower the rate."
                )

    def _samples(self, arm: str, conditioning: Conditioning, purpose: str) -> np.ndarray:
        """An arm's images under TRIES codes, float32 (TRIES, n, 3, h, w)."""
        shape = (TRIES, len(conditioning.labels), CODES)
        codes = torch.randn(shape, generator=stream(self.seed, f"codes of {arm} for {purpose}"))
        return np.stack([predict(self.learners[arm].network, conditioning, each) for each in codes])


def mirror(images: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """Images (B, …, w) mirrored left to right where `which` (B, 1, 1, 1) is true: light
    from above stays above.
    """
    return torch.where(which, images.flip(-1), images)
