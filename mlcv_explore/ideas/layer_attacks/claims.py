"""Arms, measures, claims, limits and earlier work of the layer attacks."""

from mlcv_explore.idea import Provenance
from mlcv_explore.idea_text import arms, measures, works
from mlcv_explore.statistics.declared import declared

SITES = ("input", "early", "middle", "late", "logits")
MEANINGS = ("raw", "whitened", "unit", "distance", "shift")
TRANSPLANTS = ("early_block", "late_blocks", "own_block", "own_blocks")
NETWORKS = ("plain", "at_input", "at_early", "at_middle", "at_late", *TRANSPLANTS)
ARM_TABLE = arms("""
input (baseline): Input — The image itself.
early (idea): Early block — Output of the first block; of the ImageNet network, of block 2.
middle (idea): Middle block — Of the second block; of the ImageNet network, of block 5.
late (idea): Late block — Of the third block; of the ImageNet network, of block 8.
logits (idea): Logits — The network's output.
raw (variant): Raw — The norm of the perturbation as it is.
whitened (idea): Whitened — Root mean square, all directions of the channels equally wide.
unit (idea): Per channel — Root mean square in standard deviations of each channel.
distance (idea): Next class — In distances to the nearest activation of another class.
shift (idea): Noise shift — In shifts that one random noise at the input causes at the layer.
whole (variant): Whitened, whole norm — Whitened, not divided by the root of the count of values.
untrained (control): Untrained — Whitened, for the network before training.
flat (oracle): No trend — Equally large at all layers.
depth (baseline): Depth — The layer's number.
dimension (idea): Dimension — Intrinsic dimension of the layer's activations.
plain (baseline): Plain — Trained on images as they are.
at_input (oracle): Robust at input — Trained with perturbations of the input.
at_early (variant): Robust at early block — Trained with perturbations after the first block.
at_middle (variant): Robust at middle block — After the second block.
at_late (variant): Robust at late block — After the third block.
early_block (idea): Robust first block — First block of the network robust at its input (4 % of the
        weights) frozen, the rest trained.
late_blocks (idea): Robust later blocks — The reverse: its later blocks and head, frozen.
own_block (control): Own first block — The plain network's own first block frozen, as long.
own_blocks (control): Own later blocks — Its own later blocks and head frozen, as long.
""")
MEASURE_TABLE = measures("""
raw (neither): Smallest perturbation, raw
whitened (neither): Smallest perturbation, whitened
unit (neither): Smallest perturbation, per channel
distance (neither): Smallest perturbation, next class
shift (neither): Smallest perturbation, noise shift
noise (%, neither): Changed by noise of this size
dimension (neither): Intrinsic dimension
trend (neither): Rank correlation of smallest perturbation and depth
ranks (neither): Rank correlation with the smallest whitened perturbation
clean (%): Test accuracy
robust (%): Accuracy under attack at the input
early (%): Accuracy under attack at the early block
middle (%): Accuracy under attack at the middle block
late (%): Accuracy under attack at the late block
""")
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
        {"trend": "", "ranks": ""},
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
