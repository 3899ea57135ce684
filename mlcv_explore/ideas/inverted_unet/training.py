"""The run of idea 17: every arm paints pictures from what is told of them, its curves
on validation pictures, one exam on test pictures.
"""

from collections.abc import Callable, Iterator, Sequence

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
    arms,
    frame_steps,
)
from mlcv_explore.ideas.inverted_unet import measures as worth
from mlcv_explore.ideas.inverted_unet.ladder import Told, channels, told
from mlcv_explore.ideas.inverted_unet.networks import (
    CODES,
    SPREAD,
    Critic,
    Inverter,
    OnPatches,
    Posterior,
    absolute,
    best_code,
    divergence,
    squared,
)
from mlcv_explore.ideas.inverted_unet.rivals import NEAREST, mean_picture, nearest, region_means, webp
from mlcv_explore.ideas.inverted_unet.worlds import Pictures, parts
from mlcv_explore.metrics.overlap import intersection_over_union
from mlcv_explore.models import classifiers
from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import numpy_stream, seeded, stream, stream_seed

TRIES = NEAREST  # codes an arm that samples may try
# of the object's pixels in the loss; it hangs on the mask alone, so the best answer is still the
# mean given the mask
OBJECT_WEIGHT = 8.0
# norm; without normalisation a single steep step can end in a network that paints one colour
LONGEST_GRADIENT = 0.1
PIXEL_WEIGHT = 100.0  # of the L1 loss beside the critic, as in pix2pix
JUDGE_WIDTH, JUDGE_UPDATES, JUDGE_BATCH, JUDGE_RATE = 8, 300, 32, 0.004
BATCH = 50  # pictures painted at once in an exam
TRAINED = ("l2", "l1", "sampled", "cvae", "shuffled", "adversarial")
SAMPLING = ("sampled", "cvae")


def run(config: InvertedUnetConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Train all arms of all seeds in turn; a frame every few updates, and one more
    after the exam.
    """
    students = [Student(config, seed) for seed in seeds]
    for step in frame_steps(config):
        for student in students:
            student.train_to(step)
        yield frame(step, config.updates + 1, students)
    for student in students:
        student.examine()
    yield frame(config.updates + 1, config.updates + 1, students)


def frame(step: int, steps: int, students: "Sequence[Student]") -> Frame:
    """What all seeds have come to; the pictures are the first seed's."""
    curves = np.stack([student.curve for student in students]).astype(np.float32)  # (S, A)
    measured = np.stack([student.measured for student in students]).astype(np.float32)  # (S, A, K)
    shown = np.zeros((len(students), *students[0].shown.shape), np.uint8)
    shown[0] = students[0].shown
    return Frame(step, steps, curves, measured, shown)


class Learner:
    """One arm's network with all it needs to take a step."""

    def __init__(self, arm: str, config: InvertedUnetConfig, inputs: int, seed: int) -> None:
        self.arm, self.updates = arm, config.updates
        codes = CODES if arm in SAMPLING else 0
        # equal weights in all arms of a seed that have no code
        self.network = seeded(seed, lambda: Inverter(inputs, config.width, codes))
        self.posterior = (
            seeded(seed, lambda: Posterior(inputs, config.width), "posterior") if arm == "cvae" else None
        )
        self.critic = (
            seeded(seed, lambda: Critic(inputs, 2 * config.width), "critic") if arm == "adversarial" else None
        )
        self.luck = stream(seed, f"codes of {arm}")
        learned = [
            *self.network.parameters(),
            *(self.posterior.parameters() if self.posterior is not None else ()),
        ]
        self.optimiser, self.schedule = descent(learned, config.rate, config.updates)
        if self.critic is not None:
            self.critic_optimiser, self.critic_schedule = descent(
                list(self.critic.parameters()), config.rate, config.updates
            )

    def step(self, given: torch.Tensor, pictures: torch.Tensor, weights: torch.Tensor) -> float:
        """One update on a batch; returns the loss."""
        self.network.train()
        loss = self._loss(given, pictures, weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), LONGEST_GRADIENT)
        self.optimiser.step()
        self.schedule.step()
        return float(loss.detach())

    def _loss(self, given: torch.Tensor, pictures: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        if self.arm == "l1":
            return absolute(self.network(given), pictures, weights).mean()
        if self.arm == "sampled":
            codes = torch.randn(TRIES, len(given), CODES, generator=self.luck)
            return squared(
                self.network(given, best_code(self.network, given, pictures, weights, codes)),
                pictures,
                weights,
            ).mean()
        if self.arm == "cvae":
            mean, log_variance = self.posterior(given, pictures)
            code = mean + (log_variance / 2).exp() * torch.randn(mean.shape, generator=self.luck)
            errors = (
                squared(self.network(given, code), pictures, weights) * pictures[0].numel() / (2 * SPREAD**2)
            )
            return (errors + divergence(mean, log_variance)).mean() / pictures[0].numel()
        if self.arm == "adversarial":
            return self._adversarial_loss(given, pictures, weights)
        return squared(self.network(given), pictures, weights).mean()

    def _adversarial_loss(
        self, given: torch.Tensor, pictures: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        """The painter's, after one step of the critic on the same batch."""
        made = self.network(given)
        doubt, belief = self.critic(given, pictures), self.critic(given, made.detach())
        gradient_step(
            self.critic_optimiser, functional.softplus(-doubt).mean() + functional.softplus(belief).mean()
        )
        self.critic_schedule.step()
        fooled = functional.softplus(-self.critic(given, made)).mean()
        return fooled + PIXEL_WEIGHT * absolute(made, pictures, weights).mean()


def descent(
    learned: list[nn.Parameter], rate: float, updates: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """Adam under one cycle (Smith, 1708.07120)."""
    adam = torch.optim.Adam(learned, lr=rate, fused=True)
    return adam, torch.optim.lr_scheduler.OneCycleLR(adam, rate, total_steps=updates)


def pixel_weights(pictures: Pictures, places: np.ndarray | slice = slice(None)) -> np.ndarray:
    """What each pixel counts in the loss, float32 (n, h, w): the object more, what is
    neither side nothing; mean about 1 over scenes.
    """
    regions = pictures.regions[places]
    weights = np.where(np.isin(regions, pictures.world.objects), OBJECT_WEIGHT, 1.0).astype(np.float32)
    weights[np.isin(regions, pictures.world.ignored)] = 0
    return weights


class Student:
    """One seed: its pictures, its arms, and what they have come to."""

    def __init__(self, config: InvertedUnetConfig, seed: int, only: Sequence[str] = TRAINED) -> None:
        """`only` these of the arms that train are trained."""
        self.config, self.seed, self.asked = config, seed, arms(config)
        self.taught, self.validated, self.tested = parts(config, seed)
        self.told = told(self.taught, config.detail, config.edges)
        inputs = channels(self.taught.world, config.detail)
        self.learners = {arm: Learner(arm, config, inputs, seed) for arm in only if arm in self.asked}
        self.chance = numpy_stream(seed, "batches")
        self.others = numpy_stream(seed, "shuffled masks").permutation(len(self.taught))
        self.first = next(iter(self.learners))
        self.done, self.loss = 0, 0.0  # of the arm trained last
        self.curve = np.zeros(len(ARMS))
        self.measured = np.zeros((len(ARMS), len(MEASURES)))
        side = config.side
        self.shown = np.zeros((SHOWN, 3, side, side), np.uint8)

    def train_to(self, step: int) -> None:
        """Update every arm on the same batches until so many are done, then measure on
        the validation pictures.
        """
        while self.done < step:
            self._update()
            self.done += 1
        given = told(self.validated, self.config.detail, self.config.edges)
        truths = as_shares(self.validated.images)
        for arm, learner in self.learners.items():
            outputs = self._painted(
                learner, given, truths, pixel_weights(self.validated), f"validation {step}"
            )
            self.curve[ARMS.index(arm)] = worth.explained(outputs, truths, self.validated.objects)
            if arm == self.first:
                self.shown = as_bytes(outputs[:SHOWN])

    def examine(self) -> None:
        """Every measure of every arm on the test pictures, which nothing has looked at
        before.
        """
        given, truths = (
            told(self.tested, self.config.detail, self.config.edges),
            as_shares(self.tested.images),
        )
        painted, extra = self._answers(given, truths)
        judges = Judges(self.taught, self.seed) if self.config.arms == "all" else None
        objects, backgrounds = self.tested.objects, self.tested.backgrounds
        for arm, outputs in painted.items():
            found = {
                "explained": worth.explained(outputs, truths, objects),
                "background": worth.explained(outputs, truths, backgrounds),
                "psnr": worth.psnr(outputs, truths),
                "ssim": worth.ssim(outputs, truths),
                "energy": worth.energy(outputs, truths),
                **(judges.say(outputs, self.tested) if judges is not None else {}),
                **extra.get(arm, {}),
            }
            for measure, value in found.items():
                self.measured[ARMS.index(arm), MEASURES.index(measure)] = value
        if "ceiling" in self.asked:
            best = self.tested.determined[:, None].repeat(3, 1) / 255
            self.measured[ARMS.index("ceiling"), MEASURES.index("explained")] = worth.explained(
                best, truths, objects
            )
        self.shown = as_bytes(painted[self.first][:SHOWN])

    def _answers(
        self, given: Told, truths: np.ndarray
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, float]]]:
        """What every arm paints for the test pictures, float32 (n, 3, h, w), and what
        is known of an arm beside that.
        """
        binary, weights = self.config.detail == "binary", pixel_weights(self.tested)
        # (NEAREST, n, 3, h, w)
        near = as_shares(self.taught.images[nearest(self.taught, self.tested.regions, binary)].swapaxes(0, 1))
        sizes = given.sizes()
        small, small_sizes = webp(self.tested.images, sizes)
        painted = {
            "mean": mean_picture(self.taught, len(self.tested)),
            "region": region_means(self.taught, self.tested, binary),
            "nearest": near[0],
            "nearest5": worth.best(near, truths, weights),
            "webp": small,
            "truth": truths,
        }
        extra = {"l2": {"bytes": float(sizes.mean())}, "webp": {"bytes": float(small_sizes.mean())}}
        for arm, learner in self.learners.items():
            if arm in SAMPLING:
                samples = np.stack(
                    [
                        self._painted_once(learner, given, codes)
                        for codes in self._codes(arm, len(self.tested), "test")
                    ]
                )
                painted[arm] = worth.best(samples, truths, weights)
                extra[arm] = {"diversity": worth.diversity(samples, self.tested.objects)}
            else:
                painted[arm] = self._painted_once(learner, given, None)
        return painted, extra

    def _update(self) -> None:
        """One step of every arm on one batch, half of it mirrored."""
        places = self.chance.integers(len(self.taught), size=self.config.batch)
        mirrored = torch.from_numpy(self.chance.random(self.config.batch) < 0.5)[:, None, None, None]
        pictures = mirrored_some(torch.from_numpy(as_shares(self.taught.images[places])), mirrored)
        for arm, learner in self.learners.items():
            # the control is told of other pictures
            seen = self.others[places] if arm == "shuffled" else places
            given = mirrored_some(torch.from_numpy(self.told.inputs(seen)), mirrored)
            weights = mirrored_some(torch.from_numpy(pixel_weights(self.taught, seen))[:, None], mirrored)
            self.loss = learner.step(given, pictures, weights)
            if not np.isfinite(self.loss):
                raise FloatingPointError(
                    f"The arm {arm} of seed {self.seed} diverged at update {self.done + 1}: lower the rate."
                )

    def _codes(self, arm: str, count: int, purpose: str) -> torch.Tensor:
        """Codes to try, (TRIES, count, CODES)."""
        return torch.randn(TRIES, count, CODES, generator=stream(self.seed, f"codes of {arm} for {purpose}"))

    def _painted(
        self, learner: Learner, given: Told, truths: np.ndarray, weights: np.ndarray, purpose: str
    ) -> np.ndarray:
        """What an arm paints; those that sample have as many tries as there are nearest
        masks.
        """
        if learner.arm not in SAMPLING:
            return self._painted_once(learner, given, None)
        codes = self._codes(learner.arm, len(truths), purpose)
        return worth.best(
            np.stack([self._painted_once(learner, given, each) for each in codes]), truths, weights
        )

    @staticmethod
    def _painted_once(learner: Learner, given: Told, codes: torch.Tensor | None) -> np.ndarray:
        return paint(learner.network, given, codes)


@torch.no_grad()
def paint(network: Inverter, given: Told, codes: torch.Tensor | None = None) -> np.ndarray:
    """The pictures a network paints of what it is told, float32 (n, 3, h, w) clipped to
    [0, 1].
    """
    network.eval()
    outputs = []
    for start in range(0, len(given.labels), BATCH):
        part = slice(start, start + BATCH)
        outputs.append(network(torch.from_numpy(given.inputs(part)), None if codes is None else codes[part]))
    return torch.cat(outputs).clamp_(0, 1).numpy()


class Judges:
    """Two small networks trained on true pictures: one finds the object, one names its
    class. What they say of the truth is their own bound.
    """

    def __init__(self, taught: Pictures, seed: int) -> None:
        self.size = len(taught.world.labels)
        middle, spread = (0.45, 0.45, 0.42), (0.25, 0.25, 0.27)
        own = stream_seed(seed, "judges")
        self.finder = seeded(own, lambda: OnPatches(3, 1, JUDGE_WIDTH, normalise=True), "finder")
        self.namer = seeded(
            own, lambda: classifiers.residual_classifier(JUDGE_WIDTH, self.size, middle, spread), "namer"
        )
        objects, labels = (
            torch.from_numpy(taught.objects.astype(np.float32))[:, None],
            torch.from_numpy(taught.labels),
        )
        teach(
            self.finder,
            functional.binary_cross_entropy_with_logits,
            taught.images,
            objects,
            numpy_stream(own, "batches of the finder"),
        )
        teach(
            self.namer,
            functional.cross_entropy,
            taught.images,
            labels,
            numpy_stream(own, "batches of the namer"),
        )

    def say(self, outputs: np.ndarray, truths: Pictures) -> dict[str, float]:
        """How well the object is found in pictures float32 (n, 3, h, w) (intersection
        over union), and how often its class is named.
        """
        with torch.no_grad():
            parts = torch.from_numpy(np.ascontiguousarray(outputs)).split(BATCH)
            found = torch.cat([self.finder(part)[:, 0] > 0 for part in parts]).numpy()
            named = torch.cat([self.namer(part).argmax(1) for part in parts]).numpy()
        overlap = intersection_over_union(
            found & ~np.isin(truths.regions, truths.world.ignored), truths.objects
        )
        return {"iou": float(overlap.mean()), "accuracy": float((named == truths.labels).mean())}


def teach(
    judge: nn.Module,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    images: np.ndarray,
    answers: torch.Tensor,
    chance: np.random.Generator,
) -> None:
    """Train a judge on true pictures uint8 (n, 3, h, w), and put it into evaluation
    mode.
    """
    updates = min(JUDGE_UPDATES, len(images) // 4)  # few pictures are soon known
    optimiser, schedule = descent(list(judge.parameters()), JUDGE_RATE, updates)
    judge.to(memory_format=torch.channels_last).train()
    for _ in range(updates):
        places = chance.integers(len(images), size=min(JUDGE_BATCH, len(images)))
        batch = torch.from_numpy(as_shares(images[places])).contiguous(memory_format=torch.channels_last)
        gradient_step(optimiser, loss(judge(batch), answers[places]))
        schedule.step()
    judge.eval()


def mirrored_some(pictures: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """Those of (B, …, w) mirrored where `which` (B, 1, 1, 1) is true: light from above
    stays above.
    """
    return torch.where(which, pictures.flip(-1), pictures)


def as_shares(pictures: np.ndarray) -> np.ndarray:
    """uint8 pictures as float32 in [0, 1]."""
    return pictures.astype(np.float32) / 255


def as_bytes(pictures: np.ndarray) -> np.ndarray:
    """float pictures in [0, 1] as uint8."""
    return np.rint(np.clip(pictures, 0, 1) * 255).astype(np.uint8)
