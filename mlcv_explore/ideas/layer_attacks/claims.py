"""Arms, measures, claims, limits and earlier work of the layer attacks."""

from mlcv_explore.idea import Arm, Measure, Provenance
from mlcv_explore.idea_text import works
from mlcv_explore.statistics.declared import declared

SITES = ("input", "early", "middle", "late", "logits")
MEANINGS = ("raw", "whitened", "unit", "distance", "shift")
NETWORKS = (
    *("plain", "at_input", "at_early", "at_middle", "at_late"),
    *("early_block", "late_blocks", "own_block", "own_blocks"),
)
ARM_TABLE = (
    Arm("input", "Input", "baseline", "The image itself."),
    Arm("early", "Early block", "idea", "Output of the first block; of the ImageNet network, of block 2."),
    Arm("middle", "Middle block", "idea", "Of the second block; of the ImageNet network, of block 5."),
    Arm("late", "Late block", "idea", "Of the third block; of the ImageNet network, of block 8."),
    Arm("logits", "Logits", "idea", "The network's output."),
    Arm("raw", "Raw", "variant", "The norm of the perturbation as it is."),
    Arm("whitened", "Whitened", "idea", "Root mean square, all directions of the channels equally wide."),
    Arm("unit", "Per channel", "idea", "Root mean square in standard deviations of each channel."),
    Arm("distance", "Next class", "idea", "In distances to the nearest activation of another class."),
    Arm("shift", "Noise shift", "idea", "In shifts that one random noise at the input causes at the layer."),
    Arm(
        "whole",
        "Whitened, whole norm",
        "variant",
        "Whitened, not divided by the root of the count of values.",
    ),
    Arm("untrained", "Untrained", "control", "Whitened, for the network before training."),
    Arm("flat", "No trend", "oracle", "Equally large at all layers."),
    Arm("depth", "Depth", "baseline", "The layer's number."),
    Arm("dimension", "Dimension", "idea", "Intrinsic dimension of the layer's activations."),
    Arm("plain", "Plain", "baseline", "Trained on images as they are."),
    Arm("at_input", "Robust at input", "oracle", "Trained with perturbations of the input."),
    Arm("at_early", "Robust at early block", "variant", "Trained with perturbations after the first block."),
    Arm("at_middle", "Robust at middle block", "variant", "After the second block."),
    Arm("at_late", "Robust at late block", "variant", "After the third block."),
    Arm(
        "early_block",
        "Robust first block",
        "idea",
        "First block of the network robust at its input (4 % of the weights) frozen, the rest trained.",
    ),
    Arm("late_blocks", "Robust later blocks", "idea", "The reverse: its later blocks and head, frozen."),
    Arm("own_block", "Own first block", "control", "The plain network's own first block frozen, as long."),
    Arm("own_blocks", "Own later blocks", "control", "Its own later blocks and head frozen, as long."),
)
MEASURE_TABLE = (
    Measure("raw", "Smallest perturbation, raw", better=""),
    Measure("whitened", "Smallest perturbation, whitened", better=""),
    Measure("unit", "Smallest perturbation, per channel", better=""),
    Measure("distance", "Smallest perturbation, next class", better=""),
    Measure("shift", "Smallest perturbation, noise shift", better=""),
    Measure("noise", "Changed by noise of this size (about 0 by definition)", "%", ""),
    Measure("dimension", "Intrinsic dimension", better=""),
    Measure("trend", "Rank correlation of smallest perturbation and depth", better=""),
    Measure("ranks", "Rank correlation with the smallest whitened perturbation", better=""),
    Measure("clean", "Test accuracy", "%"),
    Measure("robust", "Accuracy under attack at the input", "%"),
    Measure("early", "Accuracy under attack at the early block", "%"),
    Measure("middle", "Accuracy under attack at the middle block", "%"),
    Measure("late", "Accuracy under attack at the late block", "%"),
)
UNITS = {"trend": "", "ranks": ""}
CLAIMS = (
    *declared(
        """
        whitened: whitened − flat > 0.5 in trend
            Whitened, the smallest perturbation's rank correlation with depth is above 0.5.
        raw: raw − flat > 0.5 in trend
            In raw units the smallest perturbation's rank correlation with depth is above 0.5.
        unit: unit − flat > 0.5 in trend
            In standard deviations of each channel its rank correlation with depth is above 0.5.
        distance: distance − flat > 0.5 in trend
            In distances to the next class its rank correlation with depth is above 0.5.
        shift: shift − flat > 0.5 in trend
            In shifts caused by one noise at the input its rank correlation with depth is above 0.5.
        dimension: dimension − depth > 0.2 in ranks
            Intrinsic dimension ranks the layers' smallest perturbations better than depth does.
        """,
        {"experiment": "depth"},
        UNITS,
    ),
    *declared(
        """
        transplant: early_block − late_blocks > 5 in robust
            A robust first block protects a plain network over 5 points more than robust later blocks do.
        trained: at_input − at_late > 5 in robust
            Training on perturbed inputs protects the input over 5 points more than on late features.
        """,
        {"experiment": "training"},
    ),
)
PROVENANCE = Provenance(
    "2026-11-27",
    False,
    2,
    (
        "Claims and margins were fixed after a pilot on digits (seeds 0 to 2) that had shown a rank"
        " correlation of 0.9 under all five meanings; seeds 700 to 719 are in no earlier row. Of photographs"
        " two groups outside the study had been run to see the time.",
        "The first evidence on digits had set the sizes of robust training on test images; a reviewer saw"
        " it. They are now measured on validation images, with a control for later blocks, and the first"
        " rows were discarded.",
        "The whole whitened norm was added after the reviewer's remark that dividing by the count of values"
        " decides part of the order; on photographs it was computed from the sizes already measured, and one"
        " group run again agrees. Sentences now say rank correlation where they said grows.",
    ),
)
LIMITS = (
    "One architecture a study: splits or photographs are repeated, so intervals say that the order is"
    " stable here, not that other networks have it; the five meanings are readings of one attack.",
    "Five layers: a rank correlation of 0.9 leaves one pair of neighbours turned, here input and block 1.",
    "Depth ranks the layers at 0.9 already, so no predictor could lead it by 0.2 on digits.",
    "Whitening is over channels: neighbouring places stay correlated, and a grey image has one channel.",
    "The noise shift is 1 at the input by construction; next class tends to ½ where classes are apart.",
    "An attack gives an upper bound: 20 steps from three starts (ImageNet: 10 from the image itself).",
    "The robust first block has 4 % of the weights, the later ones 96 %; transplants train twice as long.",
    "Hidden perturbations are free: no image need cause them, and rectified features may turn negative.",
    "Photographs are chosen to keep their class when mirrored; a third are composites.",
)
PRIOR_WORK = works("""
Vulnerable latent layers (Singh et al., 2019) https://arxiv.org/abs/1905.05186
    Latent layers of robust networks break under small perturbations; training there adds robustness.
    Sizes are compared between layers under five meanings, and with random noise.
Layers susceptible to attacks (Siddiqui and Breuel, 2021) https://arxiv.org/abs/2107.04827
    Retraining late layers does not make a network robust: early layers carry the vulnerability.
    Its transplants on a small scale: here robust later blocks keep as much as a robust first one.
Feature space perturbations (Xu et al., 2020) https://arxiv.org/abs/2004.12385
    Perturbs channel means and deviations of an external style encoder within a factor of 1.5.
    The classifier's own layers are perturbed, unit by unit.
Adversarial training (Madry et al., 2018) https://arxiv.org/abs/1706.06083
    Projected gradient descent from random starts; training on it keeps part of CIFAR-10's accuracy.
    The same search from every layer, and the size it needs by bisection.
Intrinsic dimension in adversarial training (Altinisik et al., 2024) https://arxiv.org/abs/2405.17130
    Early layers of vision models have a low intrinsic dimension; attacks off the manifold bite there.
    Here the dimension falls with depth on digits: it is the rival of depth as a predictor.
""")
