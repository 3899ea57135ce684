"""Arms, measures, claims, limits and earlier work of underspecification."""

from mlcv_explore.data.corruptions import KINDS
from mlcv_explore.idea import Arm, Provenance
from mlcv_explore.idea_text import arms, measures, works
from mlcv_explore.statistics.declared import declared

LEARNED = ("supervised", "contrastive", "autoencoder")  # those of which randomness varies one by one
TRAINED = ("supervised", "augmented", "contrastive", "autoencoder")
PIPELINES = ("supervised", "matched", "contrastive", "autoencoder")  # those that are adapted as well
ADAPTATIONS = {"bn": "batch statistics", "tent": "Tent", "coral": "CORAL", "mme": "MME"}
ORDERS = {  # arm of one network under many batch orders → its pipeline and adaptation
    "order": ("supervised", "none"),
    "supervised_orders": ("supervised", "tent"),
    "contrastive_orders": ("contrastive", "tent"),
}
SOURCES = ("weights", "order", "head", "split")  # of randomness
ADAPTED = tuple(f"{pipeline}_{adaptation}" for pipeline in PIPELINES for adaptation in ADAPTATIONS)
ARMS = (*TRAINED, "matched", "untrained", *ADAPTED, "oracle", "noop", *ORDERS)
MEASURES = ("clean", "corrupted", "iid", "excess", "logit", "disagreement", "line", *KINDS)
OWN = arms("""
    supervised (baseline): Supervised — Trained with labels on the images as they are.
    augmented (other): Supervised on views — With labels on contrastive training's views; then a new head.
    matched (other): Supervised, accuracy-matched — The same, stopped when as accurate on validation images.
    untrained (control): Untrained, with a head — The same after one step, then a linear head.
    contrastive (idea): Contrastive — SimCLR without labels, then a linear head on features that stay.
    autoencoder (variant): Autoencoder — Reconstructs images, then a linear head on features that stay.
    oracle (oracle): Corruptions known — Supervised, with labelled corrupted images besides.
    noop (control): Supervised, Tent of 0 steps — Equal to supervised, bit for bit.
    order (control): One network, batch orders — Not adapted: its excess SD must be zero.
    supervised_orders (control): One supervised network, Tent, batch orders — Only the order differs.
    contrastive_orders (control): One contrastive network, Tent, batch orders — Only the order differs.
    """)
ARM_TABLE = OWN + tuple(
    Arm(f"{arm.name}_{name}", f"{arm.label}, {label}", arm.role, f"Adapted to test images: {label}.")
    for arm in OWN
    if arm.name in PIPELINES
    for name, label in ADAPTATIONS.items()
)
MEASURE_TABLE = measures("""
    clean (%): Accuracy, clean
    corrupted (%): Accuracy, corrupted
    iid (points, lower): Excess SD, clean
    excess (points, lower): Excess SD, corrupted
    logit (lower): Excess SD of logits, corrupted
    disagreement (%, lower): Pairs that disagree, corrupted
    line: R² of agreement, corrupted against clean
    noise (points, lower): Excess SD, noise
    blur (points, lower): Excess SD, blur
    contrast (points, lower): Excess SD, contrast
    pixelate (points, lower): Excess SD, pixelate
    jpeg (points, lower): Excess SD, JPEG
    rotation (points, lower): Excess SD, rotation
    fog (points, lower): Excess SD, fog
    """)
CLAIMS = declared(
    """
    contrastive: contrastive − matched ≠ 0.5 in excess
        Contrastive networks differ by over half a point more, or less, than equally accurate supervised ones.
    logits: contrastive − matched ≠ 0.05 in logit
        On the scale of logits contrastive networks differ by over 0.05 more, or less, too.
    accuracy: contrastive − matched = 1 in clean
        Both are equally accurate on clean images, within a point: else they are not compared.
    autoencoder: autoencoder − supervised ≠ 0.5 in excess
        Autoencoder networks differ by over half a point more, or less, than supervised ones.
    tent: supervised_tent − supervised ≠ 0.5 in excess
        Tent changes how much supervised networks differ by over half a point.
    entropy: supervised_tent − supervised_bn ≠ 0.25 in excess
        It does so by over a quarter point beyond the test batches' own statistics.
    orders: supervised_orders − supervised_tent ≠ 0.5 in excess
        The batch order alone makes one network differ by over half a point more, or less, than networks do.
    line: supervised_tent − supervised ≠ 0.05 in line
        Tent changes the R² of the line of agreement, corrupted against clean, by over 0.05.
    """,
    {"varied": "all"},
    {"logit": "", "line": ""},
)
CHOSEN = (
    "Before the claims, one split of digits (seed 0) was run in an earlier form, without matched networks;"
    " view noise and width were chosen by validation images of seeds 0 and 1. Untrained and convolutional"
    " networks were added afterwards; no claim reads them."
)
PROVENANCE = Provenance("2026-11-28", False, 1, (CHOSEN,))
LIMITS = (
    "Dense networks read features of photographs by one ImageNet network; of pixels there are six small"
    " convolutional networks of every kind, 25 to 36 % accurate: too few to decide anything.",
    "Matched networks are stopped early, which alone raises their excess SD by 1.1 points [0.6, 1.6] on"
    " digits; no rival was matched by fewer labels or a narrower network.",
    "Autoencoders on digits differ by 1.2 points [0.5, 1.9] more than supervised networks, but are 1.9 less"
    " accurate clean and 2.5 more corrupted.",
    "With 8 networks, as in a short run, a split's difference scatters by about 1.2 points.",
    "Ten updates at the published rates, on shuffled batches of 100 test images; MME has no labels of them.",
)
PRIOR_WORK = works("""
Underspecification (D'Amour et al., 2020) https://arxiv.org/abs/2011.03395
    Networks equal on held-out images differ under stress: 50 ResNet-50s by 0.001 there, 0.024 pixelated.
    The same question for networks trained without labels, and adapted at test time.
MultiBERTs (Sellam et al., 2021) https://arxiv.org/abs/2106.16163
    25 checkpoints, and a bootstrap over seeds and examples.
    The verdicts rest on 20 splits with 30 networks each; the demo's intervals are over 12 networks.
Tent (Wang et al., 2021) https://arxiv.org/abs/2006.10726
    CIFAR-10-C: error 43.5 % falls to 20.4 % by batch statistics and to 18.6 % by entropy.
    Here the spread of adapted networks is measured beside their mean.
On pitfalls of test-time adaptation (Zhao et al., 2023) https://arxiv.org/abs/2306.03536
    Choices depend on batch order, and no method covers all shifts.
    Batch order alone, of one network, is measured beside the spread between networks.
Agreement-on-the-line under adaptation (Kim et al., 2023) https://arxiv.org/abs/2310.04941
    Adaptation makes the line between clean and shifted performance straighter.
    Its R² over pairs of networks of one pipeline, whose accuracies hardly differ.
""")
