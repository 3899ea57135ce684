"""Idea: 8
Section: Feature space
Title: Mixing in feature space
Question: Does mixing two images inside a network improve its accuracy?
Try: Move λ: two images' features are added inside a network, decoded and classified.
Answer: Mixing features and labels gains 3.0 points over plain training; soft labels
  alone give the same gain.
But: Label smoothing alone ends 0.6 points higher than mixing [0.1, 1.2]; mixing wins
  only on likelihood (by 0.31 nats per image) and calibration.
Holds when: digits have ten labels per class and features are mixed before the last
  hidden layer: +3.0 points [2.5, 3.6] over plain training at mixing weight λ = 0.5, n =
  16.
Fails when: pixels are mixed: −1.3 points [−2.2, −0.5]; both images share a class: −0.8
  [−1.3, −0.3]; autoencoder features are frozen: −1.2 [−1.9, −0.5]; n = 16.
Verdict: matched by label smoothing
Data: handwritten digits

Take the features F_i and F_j of two training images at some depth of a network. Train the
layers above on F = F_i + λ·F_j with the label y = (y_i + λ·y_j)/(1 + λ); λ is the weight
of the second image, its *partner*. This changes two things: features are *mixed*, and
labels become *soft*. The experiment separates them in a 2×2: neither (plain), soft labels
only, mixed features only, both.

**What to watch.** The four arms, and label smoothing of the matched strength λ/(1 + λ),
which uses no partner. The arm *images separately* trains on the same images with the same
weights, unmixed. Accuracy, likelihood and calibration rank the arms differently.

**What it does not show.** That mixing pays with many labels or large networks: there are
ten labels per class and one small network. Shares of the gain are shown only if its
interval lies above 1 point. Copy-paste is tested on generated scenes with exact masks.

**Controls.** The softmax of a one-hot label of ten classes gives the true class only 0.23,
even at λ = 0: labels are divided by their sum, and softmax is an arm. Before the last
layer, mixing features only mixes logits: depth 2 leaves a hidden layer above. Several
partners share one λ. All arms of a seed share split, labelled images, initial weights,
batches and partners. Early stopping uses validation images; test images only measure.

**Copy-paste.** The object of one scene is pasted into the feature map of another, through
its mask reduced to the map's size. Labels follow the visible pixels of both objects. The
control is a rectangle of the same area; the baseline pastes into the image itself. A
classifier and a detection head are measured.

**Contrastive views.** Two views of an image can be made without changing its pixels: by
noise on its features, or by mixing in some of another image's features.

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
from typing import Any

import numpy as np

from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Cell, Film, Idea, Picture, Study, Tile
from mlcv_explore.ideas.feature_mixing import claims
from mlcv_explore.ideas.feature_mixing.settings import (
    ARMS,
    COARSE_ARMS,
    CORE,
    ENCODERS,
    MEASURES,
    PASTE_ARMS,
    PASTE_MEASURES,
    PROBE_ARMS,
    FeatureMixingConfig,
    Frame,
)


def run(config: FeatureMixingConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """The experiments of the run. Raises FloatingPointError with a sentence for the
    reader when an arm diverges.
    """
    from mlcv_explore.ideas.feature_mixing import training  # torch comes with it

    yield from training.run(config, seeds)


def metrics(config: FeatureMixingConfig, film: Film) -> dict[str, np.ndarray]:
    """Per seed on test images: accuracy, likelihood and calibration at the last step,
    accuracy at the best validation step, the effects of the 2×2, copy-paste, probes.
    """
    last, stages = film[-1], config.stages
    columns: dict[str, np.ndarray] = {}
    if "mixing" in stages:
        shown = [frame for frame in film if frame.stage == "mixing"]
        best = series(shown, "validation").argmax(1)  # (S, A) the first best; not looked up on test
        accuracy = series(shown, "measured")[..., 0]  # (S, T, A)
        stopped = np.take_along_axis(accuracy, best[:, None], axis=1)[:, 0]  # (S, A)
        for place, arm in enumerate(ARMS):
            columns |= {
                f"{arm}_{name}": last.measured[:, place, index] for index, name in enumerate(MEASURES)
            }
            columns[f"{arm}_stopped"] = stopped[:, place]
        for place, arm in enumerate(COARSE_ARMS):
            columns |= {f"{arm}_{name}": last.coarse[:, place, index] for index, name in enumerate(MEASURES)}
        columns |= _effects(*(columns[f"{arm}_accuracy"].astype(float) for arm in CORE))
    if "paste" in stages:
        columns |= {
            f"{arm}_{name}": last.pasted[:, place, index]
            for place, arm in enumerate(PASTE_ARMS)
            for index, name in enumerate(PASTE_MEASURES)
        }
    if "contrastive" in stages:
        columns |= {f"{arm}_accuracy": last.probes[:, place] for place, arm in enumerate(PROBE_ARMS)}
    return {name: np.asarray(values, dtype=float) for name, values in columns.items()}


def _effects(
    plain: np.ndarray, soft: np.ndarray, mixed: np.ndarray, both: np.ndarray
) -> dict[str, np.ndarray]:
    """What the contrasts of the 2×2 are made of, of the accuracy (S,) of its arms."""
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
    """Test accuracy of mixing arms over training, else correct boxes, else the probes."""
    stages = {frame.stage for frame in film}
    if not stages & {"mixing", "paste"}:
        places = np.arange(1, len(PROBE_ARMS) + 1, dtype=float)
        return Picture(places, {"idea": film[-1].probes}, {"idea": "probes"}, "arm", "test accuracy")
    if "mixing" in stages:
        stage, arms, title = "mixing", ARMS, "test accuracy"
        shown = ("plain", "soft", "both", "input_mixup", "oracle")
        values = series([frame for frame in film if frame.stage == stage], "measured")[..., 0]
    else:
        stage, arms, title = "paste", PASTE_ARMS, "correct boxes"
        shown = tuple(f"paste_{kind}" for kind in ("none", "object", "rectangle", "image", "oracle"))
        values = series([frame for frame in film if frame.stage == stage], "pasted")[..., 1]
    roles = {idea.arm(arm).role: arm for arm in shown}
    return Picture(
        np.arange(1, values.shape[1] + 1, dtype=float),
        {role: values[:, :, arms.index(arm)] for role, arm in roles.items()},
        {role: idea.label(arm).lower() for role, arm in roles.items()},
        "part of the training",
        title,
    )


def _study(name: str, seeds: int, base: FeatureMixingConfig) -> Study:
    """Every claim, then the 2×2 with one setting changed, then all arms of copy-paste and
    of contrastive views.
    """
    paste, contrast = base.replace(experiment="paste"), base.replace(experiment="contrastive")
    softmax, argmax = base.replace(scaling="softmax"), base.replace(scaling="argmax")
    encoders = {encoder: base.replace(encoder=encoder) for encoder in ENCODERS}
    counts = {"two": base, "three": base.replace(images=3), "five": base.replace(images=5)}
    elsewhere = {  # claims whose arms are runs with other settings → (settings, arm in rows, arm in run)
        "sum_or_softmax": [(base, "sum_to_one", "both"), (softmax, "softmax", "both")],
        "softmax_likelihood": [(base, "sum_to_one", "both"), (softmax, "softmax", "both")],
        "argmax": [(base, "sum_to_one", "both"), (argmax, "argmax", "both")],
        "more_images": [(config, arm, "both") for arm, config in counts.items()],
        "pretraining": [(config, encoder, "both") for encoder, config in encoders.items()],
        "pretraining_first": [
            (config, f"after_{encoder}", "benefit") for encoder, config in encoders.items()
        ],
    }
    experiments = {"paste": paste, "jitter": contrast}
    cells = [
        Cell(
            claim.name,
            experiments.get(claim.name.partition("_")[0], base),
            {arm: arm for pair in claim.contrasts for arm in pair},
        )
        for claim in claims.CLAIMS
        if claim.name not in elsewhere
    ]
    cells += [
        Cell(claim, config, {arm: source})
        for claim, runs in elsewhere.items()
        for config, arm, source in runs
    ]
    cells.append(Cell("arms", base, {arm: arm for arm in (*ARMS, *COARSE_ARMS)}))
    tables: dict[str, Mapping[str, Any]] = {
        **{f"weight {weight:g}": {"weight": weight} for weight in (0.25, 1.0, 2.0)},
        **{f"depth {depth}": {"depth": depth} for depth in (0, 1, 3)},
        **{f"labels {count}": {"labels": count} for count in (5, 20)},
        "scaling softmax": {"scaling": "softmax"},
        "scaling softmax cold": {"scaling": "softmax", "temperature": 0.2},
        "scaling argmax": {"scaling": "argmax"},
        **{f"images {count}": {"images": count} for count in (3, 5)},
        **{f"mode {mode}": {"mode": mode} for mode in ("convex", "extrapolate")},
        **{f"partners {kind}": {"partners": kind} for kind in ("same", "other")},
        **{f"start {encoder}": {"encoder": encoder} for encoder in ENCODERS[1:]},
        **{f"frozen {encoder}": {"encoder": encoder, "tuned": False} for encoder in ENCODERS},
    }
    cells += [
        Cell(title, base.replace(**changes), {arm: arm for arm in CORE}) for title, changes in tables.items()
    ]
    cells.append(Cell("pasted", paste, {arm: arm for arm in PASTE_ARMS}))
    cells.append(Cell("probes", contrast, {arm: arm for arm in PROBE_ARMS}))
    return Study(name, tuple(cells), tuple(range(seeds)))


def _checkpoints() -> Mapping[str, Any]:
    from mlcv_explore.ideas.feature_mixing.pretrain import CHECKPOINTS

    return CHECKPOINTS


def _tiles() -> tuple[Tile, ...]:
    """Two images, and three mixtures between them, decoded."""
    from mlcv_explore.ideas.feature_mixing import inference  # torch comes with it

    return inference.tiles()


idea = Idea(
    config=FeatureMixingConfig,
    frame=Frame,
    run=run,
    metrics=metrics,
    claims=claims.CLAIMS,
    quick=FeatureMixingConfig(
        experiment="all",
        steps=10,
        pretraining=20,
        width=16,
        scenes=40,
        tested_scenes=50,
        paste_steps=2,
        contrast_steps=10,
        labels=5,
        batch_size=25,
    ),
    picture=picture,
    arms=claims.ARM_TABLE,
    measures=claims.MEASURE_TABLE,
    studies=(_study("live", 16, FeatureMixingConfig()),),
    prior_work=claims.PRIOR_WORK,
    provenance=claims.PROVENANCE,
    limits=(
        "8×8 digits, 100 labelled images, one small dense network; copy-paste on generated scenes.",
        "Nothing on photographs or with many labels.",
    ),
    checkpoints=_checkpoints,
    tiles=_tiles,
)
