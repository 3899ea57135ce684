"""Idea: 8
Section: Feature space
Title: Mixing in feature space
Question: Two images are added inside a network and their labels too. Does that beat training on each alone, and is the soft label all there is to it?

Take the features of two training images at some depth of a network, add λ times the
second to the first, F = F_i + λ·F_j, scale the sum of their labels to one, y = (y_i +
λ·y_j)/(1 + λ), and train what comes after on such pairs. It changes two things at once:
the *features* are mixed, and the *labels* become soft. The experiment takes them apart:
neither, the label alone, the features alone, both.

**What to watch.** The four arms of the 2×2, and label smoothing of the matched strength
λ/(1 + λ), which knows nothing of partners. The same images seen one by one with the
same weights (*separate*) show what seeing more images a step is worth. Accuracy is one
thing; the likelihood and the calibration of what is said are others, and there the arms
come apart.

**What it does not show.** That mixing pays with many labels or large networks: there
are ten labels a class, and one small network. A share of the benefit is told only where
the benefit is more than a point. The second experiment, objects pasted through their
masks into feature maps, is on generated scenes, whose masks are exact.

**Traps avoided.** The softmax of a one-hot vector gives the true class of ten only
0.23, label smoothing of 0.85, even at λ = 0: so sum-to-one is the default and softmax
an arm. Before the last layer mixing features merely mixes logits, so depth 2 leaves a
hidden layer above it. Several partners share one λ, so that more of them is not more
mixing. All arms of a seed share split, labelled images, initial weights, order and
partners; validation chooses, test is touched once.

**Copy-paste.** The object of one scene, through its mask shrunk to the size of the map,
into the features of another; labels by what is left to be seen of either. A rectangle
of the same area is the control, the same paste in the picture itself the rival; a
classifier and a detector judge.

**Contrast.** Two views of an image need no change of its pixels: they can be made by
jitter of its features, with noise, or with a little of another image mixed in.

Source: Verma, Lamb, Beckham et al., Manifold Mixup: Better Representations by
Interpolating Hidden States, 2018, https://arxiv.org/abs/1806.05236

Source: Zhang, Cisse, Dauphin, Lopez-Paz, mixup: Beyond Empirical Risk Minimization,
2017, https://arxiv.org/abs/1710.09412

Source: Ghiasi, Cui, Srinivas et al., Simple Copy-Paste is a Strong Data Augmentation
Method for Instance Segmentation, 2020, https://arxiv.org/abs/2012.07177

Source: Chen, Kornblith, Norouzi, Hinton, A Simple Framework for Contrastive Learning of
Visual Representations, 2020, https://arxiv.org/abs/2002.05709
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import model_validator

from mlcv_explore import data
from mlcv_explore.config import Config, SettingError, setting
from mlcv_explore.data.coarse import GROUPS
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Cell, Film, Idea, Picture, Prior, Study
from mlcv_explore.statistics import Claim

CORE = ("plain", "soft", "mixed", "both")  # the 2×2: neither, soft label alone, mixed features alone, both
RIVALS = ("input_mixup", "cutmix", "manifold")
ARMS = (*CORE, "smoothing", "separate", "scrambled", *RIVALS, "oracle")  # the order of the arm axis A
COARSE_ARMS = tuple(f"coarse_{arm}" for arm in CORE)
PASTE_ARMS = (
    "paste_none",
    "paste_object",
    "paste_rectangle",
    "paste_patch",
    "paste_image",
    "paste_scrambled",
    "paste_oracle",
)
PROBE_ARMS = (
    "probe_pixels", "probe_random", "probe_unjittered", "probe_jitter", "probe_noise", "probe_mixed", "probe_both", "probe_supervised",
)  # fmt: skip
MEASURES = ("accuracy", "nll", "miscalibration")  # fraction, nats, expected calibration error
PASTE_MEASURES = ("accuracy", "boxes")  # of the classifier; share of the scenes whose surest box is right
EXPERIMENTS = ("mixing", "paste", "contrastive", "all")
EXAMPLES = 40  # pictures shown with their mixtures
FRAMES = 20  # of the mixing experiment
PASTE_FRAMES = 5


def sizes(dataset: str) -> tuple[int, int, int]:
    """Training, validation and test pictures: of digits, whose 1,797 are used up, half
    are for testing.
    """
    return (600, 297, 900) if dataset == "digits" else (5000, 1000, 5000)


class FeatureMixingConfig(Config):
    """What the reader sets; the defaults are the recorded run."""

    experiment: str = setting(
        "mixing",
        "Experiment",
        choices=EXPERIMENTS,
        help="Features and labels; objects pasted into feature maps; jittered views.",
    )
    weight: float = setting(
        0.5,
        "Weight λ",
        low=0,
        high=2,
        step=0.05,
        help="Of partners' features and labels; at 0 nothing is mixed.",
    )
    depth: int = setting(
        2,
        "Depth",
        low=0,
        high=3,
        step=1,
        help="Where features are mixed: 0 are the pixels, 3 the last hidden layer.",
    )
    scaling: str = setting(
        "sum_to_one",
        "Labels are scaled by",
        choices=("sum_to_one", "softmax", "argmax"),
        help="How y_i + λ·y_j becomes a label.",
    )
    labels: int = setting(10, "Labels a class", low=1, high=500, step=1, help="On digits at most 59.")
    temperature: float = setting(1.0, "Softmax temperature", low=0.05, high=5, step=0.05, more=True)
    images: int = setting(
        2,
        "Images in a mixture, m",
        low=1,
        high=10,
        step=1,
        more=True,
        help="The partners share λ; with 1 nothing is mixed.",
    )
    mode: str = setting(
        "sum",
        "Mode",
        choices=("sum", "convex", "extrapolate"),
        more=True,
        help="F_i + λF_j; that over 1 + λ; F_i + λ(F_i − F_j), hard labels.",
    )
    partners: str = setting(
        "any",
        "Partners are of",
        choices=("any", "same", "other"),
        more=True,
        help="Any class, the same, or all others.",
    )
    encoder: str = setting(
        "random",
        "Encoder starts",
        choices=("random", "autoencoder", "rotation", "contrastive"),
        more=True,
        help="Taught without labels first?",
    )
    tuned: bool = setting(
        True, "Encoder is tuned", more=True, help="Off: layers below the depth stay as they start."
    )
    pretraining: int = setting(600, "Pretraining steps", low=0, high=20_000, step=100, more=True)
    steps: int = setting(400, "Steps", low=10, high=20_000, step=50, more=True)
    batch_size: int = setting(50, "Batch size", low=5, high=512, step=5, more=True)
    width: int = setting(
        128,
        "Width",
        low=8,
        high=512,
        step=8,
        more=True,
        help="Units of a layer, or channels of the first block.",
    )
    learning_rate: float = setting(0.003, "Learning rate", low=0.00001, high=1, step=0.001, more=True)
    dataset: str = setting(
        "digits", "Data", choices=tuple(GROUPS), more=True, help="All but digits must be on this machine."
    )
    network: str = setting("dense", "Network", choices=("dense", "convolutional"), more=True)
    scenes: int = setting(200, "Scenes to paste in", low=33, high=5000, step=8, more=True)
    tested_scenes: int = setting(1000, "Test scenes", low=50, high=5000, step=50, more=True)
    paste_share: float = setting(0.5, "Share of scenes pasted into", low=0, high=1, step=0.05, more=True)
    paste_depth: int = setting(1, "Depth of pasting", low=0, high=2, step=1, more=True)
    paste_steps: int = setting(600, "Steps with pasting", low=2, high=20_000, step=50, more=True)
    contrast_steps: int = setting(400, "Contrastive steps", low=10, high=20_000, step=50, more=True)
    jitter_weight: float = setting(0.25, "λ of a mixed view", low=0, high=1, step=0.05, more=True)
    feature_noise: float = setting(
        0.25, "Feature noise of a view", low=0, high=2, step=0.05, more=True, help="In standard deviations."
    )
    pixel_noise: float = setting(0.2, "Pixel noise of a view", low=0, high=1, step=0.05, more=True)
    pixel_shift: int = setting(
        0,
        "Pixel shift of a view",
        low=0,
        high=8,
        step=1,
        more=True,
        help="At most so many pixels either way.",
    )

    @model_validator(mode="after")
    def _fits(self) -> "FeatureMixingConfig":
        data.check_split(self.dataset, *sizes(self.dataset))
        classes, counted = len(data.entry(self.dataset).classes), sizes(self.dataset)[0]
        most = counted // classes - 1  # the smallest class may be one short of its share
        if self.labels > most:
            where = f"{self.dataset} ({counted:,} training images in {classes} classes)"
            raise SettingError(f"labels must be at most {most} on {where}, got {self.labels}.")
        rules = {
            "any": (self.labels * classes, "labelled images"),
            "same": (self.labels, "labelled images of a class, with partners of the same"),
            "other": (classes, "classes, with partners of others"),
        }
        most, what = rules[self.partners]
        if self.images > most:
            raise SettingError(f"images must be at most the {most} {what}, got {self.images}.")
        return self


@dataclass(frozen=True)
class Frame:
    """What is known after one part of the run; S seeds, float32, shares in [0, 1]. What
    belongs to other parts is as it was, at first 0.
    """

    step: int  # parts done
    steps: int
    stage: str  # "mixing", "coarser", "paste" or "contrastive"
    measured: np.ndarray  # (S, len(ARMS), len(MEASURES)) on the test pictures
    validation: np.ndarray  # (S, len(ARMS)) accuracy on the validation pictures
    loss: np.ndarray  # (S, len(ARMS)) of the last batch, nats
    coarse: np.ndarray  # (S, len(COARSE_ARMS), len(MEASURES)) of a second network, on coarse classes
    pasted: np.ndarray  # (S, len(PASTE_ARMS), len(PASTE_MEASURES))
    probes: np.ndarray  # (S, len(PROBE_ARMS)) test accuracy
    # (S, EXAMPLES, 5) features of "both" in their plane: x, y, label, and x, y of the mixture
    cloud: np.ndarray


def stages(config: FeatureMixingConfig) -> tuple[str, ...]:
    """Which experiments a run has."""
    return EXPERIMENTS[:-1] if config.experiment == "all" else (config.experiment,)


def mixing_steps(config: FeatureMixingConfig) -> list[int]:
    """The steps of the mixing experiment that become frames, evenly spread."""
    return np.unique(np.linspace(0, config.steps, min(config.steps, FRAMES) + 1).round().astype(int))[
        1:
    ].tolist()


def paste_steps(config: FeatureMixingConfig) -> list[int]:
    """The same of pasting."""
    return np.unique(np.linspace(0, config.paste_steps, PASTE_FRAMES + 1).round().astype(int))[1:].tolist()


def frame_count(config: FeatureMixingConfig) -> int:
    """How many frames a run has."""
    counts = {
        "mixing": len(mixing_steps(config)) + 1,
        "paste": len(paste_steps(config)),
        "contrastive": len(PROBE_ARMS),
    }
    return sum(counts[stage] for stage in stages(config))


def run(config: FeatureMixingConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """Every experiment that is asked for. Raises FloatingPointError with a sentence for
    the reader when an arm diverges.
    """
    from mlcv_explore.ideas.feature_mixing import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: FeatureMixingConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed, on test pictures: accuracy, likelihood and calibration at the last
    step, accuracy where validation was best; what the 2×2 says; the second network,
    pasting and probes.
    """
    last, asked = film[-1], stages(config)
    found: dict[str, np.ndarray] = {}
    if "mixing" in asked:
        shown = [frame for frame in film if frame.stage == "mixing"]
        best = series(shown, "validation").argmax(1)  # (S, A), the first best; test is not looked at
        measured = series(shown, "measured")  # (S, T, A, M)
        for place, arm in enumerate(ARMS):
            found |= {f"{arm}_{name}": last.measured[:, place, index] for index, name in enumerate(MEASURES)}
            found[f"{arm}_stopped"] = np.take_along_axis(
                measured[:, :, place, 0], best[:, place, None], axis=1
            )[:, 0]
        for place, arm in enumerate(COARSE_ARMS):
            found |= {f"{arm}_{name}": last.coarse[:, place, index] for index, name in enumerate(MEASURES)}
        found |= _effects({arm: found[f"{arm}_accuracy"].astype(float) for arm in CORE})
    if "paste" in asked:
        found |= {
            f"{arm}_{name}": last.pasted[:, place, index]
            for place, arm in enumerate(PASTE_ARMS)
            for index, name in enumerate(PASTE_MEASURES)
        }
    if "contrastive" in asked:
        found |= {f"{arm}_accuracy": last.probes[:, place] for place, arm in enumerate(PROBE_ARMS)}
    return {name: np.asarray(values, dtype=float) for name, values in found.items()}


def _effects(accuracy: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the contrasts of the 2×2 are made of: means over two arms each, and the
    benefit of both.
    """
    plain, soft, mixed, both = (accuracy[arm] for arm in CORE)
    return {
        "halfway_accuracy": (plain + both) / 2,
        "features_mixed_accuracy": (mixed + both) / 2,
        "features_kept_accuracy": (plain + soft) / 2,
        "labels_soft_accuracy": (soft + both) / 2,
        "labels_hard_accuracy": (plain + mixed) / 2,
        "agreeing_accuracy": both + plain,
        "differing_accuracy": mixed + soft,
        "benefit_accuracy": both - plain,
    }


def picture(film: Film) -> Picture:
    """Test accuracy of the four arms, of the rival and of the bound; of other
    experiments what they have.
    """
    shown = [frame for frame in film if frame.stage == "mixing"]
    if shown:
        roles = {
            "baseline": "plain",
            "variant": "soft",
            "idea": "both",
            "other": "input_mixup",
            "oracle": "oracle",
        }
        accuracy = series(shown, "measured")[..., 0]
        labels = {
            "baseline": "plain",
            "variant": "soft label alone",
            "idea": "features and labels",
            "other": "input mixup",
            "oracle": "all labels",
        }
        steps = np.arange(1, len(shown) + 1, dtype=float)
        return Picture(
            steps,
            {role: accuracy[:, :, ARMS.index(arm)] for role, arm in roles.items()},
            labels,
            "part of the training",
            "test accuracy",
        )
    pasted = [frame for frame in film if frame.stage == "paste"]
    if pasted:
        roles = {
            "baseline": "paste_none",
            "idea": "paste_object",
            "control": "paste_rectangle",
            "other": "paste_image",
            "oracle": "paste_oracle",
        }
        labels = {
            "baseline": "nothing pasted",
            "idea": "object in features",
            "control": "rectangle",
            "other": "in the picture",
            "oracle": "8 times the scenes",
        }
        boxes = series(pasted, "pasted")[..., 1]
        steps = np.arange(1, len(pasted) + 1, dtype=float)
        return Picture(
            steps,
            {role: boxes[:, :, PASTE_ARMS.index(arm)] for role, arm in roles.items()},
            labels,
            "part of the training",
            "boxes right",
        )
    probes = film[-1].probes
    return Picture(
        np.arange(1, len(PROBE_ARMS) + 1, dtype=float),
        {"idea": probes},
        {"idea": "probes"},
        "arm",
        "test accuracy",
    )


def _claim(
    name: str,
    sentence: str,
    direction: str,
    margin: float,
    *contrasts: tuple[str, str],
    measure: str = "accuracy",
    when: tuple[tuple[str, Any], ...] = (),
) -> Claim:
    unit = "nats" if measure == "nll" else "points"
    return Claim(name, sentence, measure, unit, direction, margin, contrasts, when)


CLAIMS = (  # written down before any seed of the study was run; each can fail
    # contradicted when adding features and labels gives no point over training on the features alone
    _claim(
        "gain",
        "Mixed features with soft labels beat training on the features alone by more than 1 point.",
        "greater",
        0.01,
        ("both", "plain"),
    ),
    # contradicted when the soft label on unmixed features gives less than half of what both give
    _claim(
        "soft_label_alone",
        "The soft label alone, on unmixed features, gives more than half of that benefit.",
        "greater",
        0.0,
        ("soft", "halfway"),
    ),
    # main effects: each factor, averaged over the other
    _claim(
        "mixing_effect",
        "Averaged over hard and soft labels, mixing features gains more than 1 point.",
        "greater",
        0.01,
        ("features_mixed", "features_kept"),
    ),
    _claim(
        "soft_effect",
        "Averaged over mixed and unmixed features, soft labels gain more than 1 point.",
        "greater",
        0.01,
        ("labels_soft", "labels_hard"),
    ),
    # contradicted when the two add up: then the gain of both is the sum of the gains of either
    _claim(
        "redundant",
        "Both together gain more than 1 point less than the sum of what either gains alone.",
        "less",
        0.01,
        ("agreeing", "differing"),
    ),
    # contradicted when partners' labels carry more than the strength of the smoothing
    _claim(
        "smoothing_does_it",
        "Label smoothing of strength λ/(1 + λ) ties with soft labels of partners within 1 point.",
        "equal",
        0.01,
        ("smoothing", "soft"),
        when=(("scaling", "sum_to_one"), ("partners", "any"), ("mode", "sum")),
    ),
    # contradicted when seeing the partner as an example of its own is as good
    _claim(
        "not_more_sight",
        "Mixing beats seeing the same images one by one, with the same weights, by more than 1 point.",
        "greater",
        0.01,
        ("both", "separate"),
    ),
    _claim(
        "right_partner",
        "It beats mixed features with the label of an unrelated partner by more than 1 point.",
        "greater",
        0.01,
        ("both", "scrambled"),
    ),
    _claim(
        "likelihood",
        "Mixed features with soft labels lower the negative log-likelihood below that of the soft label"
        " alone.",
        "less",
        0.0,
        ("both", "soft"),
        measure="nll",
    ),
    _claim(
        "against_mixup",
        "It beats input mixup by more than 1 point.",
        "greater",
        0.01,
        ("both", "input_mixup"),
    ),
    _claim(
        "against_manifold", "It ties with manifold mixup within 1 point.", "equal", 0.01, ("both", "manifold")
    ),
    _claim(
        "sum_or_softmax",
        "Dividing by the sum is more accurate than the softmax (temperature 1), by more than 1 point.",
        "greater",
        0.01,
        ("sum_to_one", "softmax"),
    ),
    _claim(
        "softmax_likelihood",
        "Dividing by the sum has a lower negative log-likelihood than the softmax (temperature 1).",
        "less",
        0.0,
        ("sum_to_one", "softmax"),
        measure="nll",
    ),
    _claim(
        "argmax",
        "Dividing by the sum is more accurate than the largest label alone, by more than 1 point.",
        "greater",
        0.01,
        ("sum_to_one", "argmax"),
    ),
    _claim(
        "more_images",
        "Three and five images, sharing one λ, are each more accurate than two by more than 1 point.",
        "greater",
        0.01,
        ("three", "two"),
        ("five", "two"),
    ),
    # does pretraining first matter: to the accuracy, and to what mixing gives
    _claim(
        "pretraining",
        "Encoders pretrained as autoencoder, by rotation and by contrast each end more than 1 point above a"
        " random start.",
        "greater",
        0.01,
        ("autoencoder", "random"),
        ("rotation", "random"),
        ("contrastive", "random"),
    ),
    _claim(
        "pretraining_first",
        "After pretraining, each of the three ways, the benefit of mixing is more than 1 point larger than"
        " from a random start.",
        "greater",
        0.01,
        ("after_autoencoder", "after_random"),
        ("after_rotation", "after_random"),
        ("after_contrastive", "after_random"),
    ),
    _claim(
        "coarser",
        "A second network, taught a coarser task on mixed features, beats one taught on the features alone by"
        " more than 1 point.",
        "greater",
        0.01,
        ("coarse_both", "coarse_plain"),
    ),
    _claim(
        "paste",
        "Objects pasted into feature maps raise a classifier's accuracy by more than 1 point.",
        "greater",
        0.01,
        ("paste_object", "paste_none"),
    ),
    _claim(
        "paste_boxes",
        "They raise the share of right boxes of a detection head by more than 1 point.",
        "greater",
        0.01,
        ("paste_object", "paste_none"),
        measure="boxes",
    ),
    _claim(
        "paste_shape",
        "An object through its mask beats a rectangle of the same area, for the classifier, by more than 1"
        " point.",
        "greater",
        0.01,
        ("paste_object", "paste_rectangle"),
    ),
    _claim(
        "paste_where",
        "Pasting objects in feature maps beats pasting them in the pictures by more than 1 point.",
        "greater",
        0.01,
        ("paste_object", "paste_image"),
    ),
    _claim(
        "jitter",
        "Contrast between views with a little of another image's features mixed in beats no jitter by more"
        " than 1 point.",
        "greater",
        0.01,
        ("probe_mixed", "probe_unjittered"),
    ),
    _claim(
        "jitter_pixels",
        "Such views beat views with jittered pixels by more than 1 point.",
        "greater",
        0.01,
        ("probe_mixed", "probe_jitter"),
    ),
)

WEIGHTS = (0.25, 1.0, 2.0)  # beside the default
STARTS = ("random", "autoencoder", "rotation", "contrastive")
SHOWN = (*ARMS, *COARSE_ARMS)


def _study(name: str, seeds: int, base: FeatureMixingConfig) -> Study:
    """Every claim, then tables: λ, depth, labels, scalings, images, modes, partners,
    starts frozen and tuned.
    """
    named = {claim.name: {arm: arm for pair in claim.contrasts for arm in pair} for claim in CLAIMS}
    paste, contrast = base.replace(experiment="paste"), base.replace(experiment="contrastive")
    where = {claim: paste for claim in ("paste", "paste_boxes", "paste_shape", "paste_where")} | {
        "jitter": contrast,
        "jitter_pixels": contrast,
    }
    elsewhere = {
        "sum_or_softmax",
        "softmax_likelihood",
        "argmax",
        "more_images",
        "pretraining",
        "pretraining_first",
    }
    cells = [
        Cell(claim, where.get(claim, base), arms) for claim, arms in named.items() if claim not in elsewhere
    ]
    softmax, argmax = base.replace(scaling="softmax"), base.replace(scaling="argmax")
    for claim in ("sum_or_softmax", "softmax_likelihood"):
        cells += [Cell(claim, base, {"sum_to_one": "both"}), Cell(claim, softmax, {"softmax": "both"})]
    cells += [Cell("argmax", base, {"sum_to_one": "both"}), Cell("argmax", argmax, {"argmax": "both"})]
    several = {"two": base, "three": base.replace(images=3), "five": base.replace(images=5)}
    cells += [Cell("more_images", config, {arm: "both"}) for arm, config in several.items()]
    starts = {start: base.replace(encoder=start) for start in STARTS}
    cells += [Cell("pretraining", config, {start: "both"}) for start, config in starts.items()]
    cells += [
        Cell("pretraining_first", config, {f"after_{start}": "benefit"}) for start, config in starts.items()
    ]
    cells.append(Cell("arms", base, {arm: arm for arm in SHOWN}))
    tables: dict[str, Mapping[str, Any]] = {f"weight {weight:g}": {"weight": weight} for weight in WEIGHTS}
    tables |= {f"depth {depth}": {"depth": depth} for depth in (0, 1, 3)} | {
        f"labels {count}": {"labels": count} for count in (5, 20)
    }
    tables |= {
        "scaling softmax": {"scaling": "softmax"},
        "scaling softmax cold": {"scaling": "softmax", "temperature": 0.2},
    }
    tables |= {"scaling argmax": {"scaling": "argmax"}, "images 3": {"images": 3}, "images 5": {"images": 5}}
    tables |= {f"mode {mode}": {"mode": mode} for mode in ("convex", "extrapolate")}
    tables |= {f"partners {kind}": {"partners": kind} for kind in ("same", "other")}
    tables |= {f"start {start}": {"encoder": start} for start in STARTS[1:]}
    tables |= {f"frozen {start}": {"encoder": start, "tuned": False} for start in STARTS}
    cells += [
        Cell(title, base.replace(**changes), {arm: arm for arm in CORE}) for title, changes in tables.items()
    ]
    cells += [
        Cell("pasted", paste, {arm: arm for arm in PASTE_ARMS}),
        Cell("probes", contrast, {arm: arm for arm in PROBE_ARMS}),
    ]
    return Study(name, tuple(cells), tuple(range(seeds)))


DONE_BEFORE = (
    Prior(
        "Manifold mixup (Verma et al., 2018)",
        "https://arxiv.org/abs/1806.05236",
        "Mixing convexly at a random one of three depths, with λ from Beta(2, 2): a WideResNet-28-10 comes to"
        " 97.45 % on CIFAR-10.",
        "One depth and one λ, so that each can be varied; features and labels are changed one at a time.",
    ),
    Prior(
        "Bypassing input mixing",
        "https://openreview.net/forum?id=mLtPtH2SIHX",
        "Averaging two features with soft labels, nearly this idea, performs on a par with the mixup"
        " variants.",
        "The same comparison with intervals over seeds, and the soft label on unmixed features beside it.",
    ),
    Prior(
        "Dataset augmentation in feature space (DeVries and Taylor, 2017)",
        "https://arxiv.org/abs/1702.05538",
        "Extrapolating between features of one class helped; interpolating sometimes hurt.",
        "Extrapolation is a mode, partners of the same class a setting.",
    ),
    Prior(
        "PatchUp (Faramarzi et al., 2020)",
        "https://arxiv.org/abs/2006.07794",
        "Blocks of hidden maps are pasted or mixed at random layers; better than mixup, CutMix and manifold"
        " mixup on small photographs.",
        "Patches of any area are an arm beside objects through their masks.",
    ),
    Prior(
        "Simple copy-paste (Ghiasi et al., 2020)",
        "https://arxiv.org/abs/2012.07177",
        "Objects pasted through masks in the picture: 49.1 mask AP on COCO, +0.6, and +3.6 on the rare"
        " classes of LVIS.",
        "The paste is made in a feature map; pasting in the picture is the rival.",
    ),
    Prior(
        "MoCHi (Kalantidis et al., 2020)",
        "https://arxiv.org/abs/2010.01028",
        "Hard negatives mixed in the embedding space improve contrastive learning.",
        "Positives are mixed, below the embedding: both views of an image have a little of another in them.",
    ),
)


def _checkpoints() -> Mapping[str, Any]:
    from mlcv_explore.ideas.feature_mixing.shipping import CHECKPOINTS

    return CHECKPOINTS


idea = Idea(
    config=FeatureMixingConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=CLAIMS,
    quick=FeatureMixingConfig(
        experiment="all", steps=10, pretraining=20, width=16, scenes=40, tested_scenes=50, paste_steps=2, contrast_steps=10, labels=5, batch_size=25
    ),
    picture=picture,
    studies=(
        _study("live", 16, FeatureMixingConfig()),
        _study("full", 5, FeatureMixingConfig(dataset="cifar10", network="convolutional", width=32, labels=100, steps=4000, batch_size=128,
                                              pretraining=4000, contrast_steps=4000, pixel_shift=4, paste_steps=3000, scenes=1000)),
    ),
    prior_work=DONE_BEFORE,
    checkpoints=_checkpoints,
)  # fmt: skip
