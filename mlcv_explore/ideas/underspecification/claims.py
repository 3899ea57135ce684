"""Arms, measures, claims, limits and earlier work of underspecification."""

from mlcv_explore.idea import Provenance
from mlcv_explore.idea_text import arms, measures, works
from mlcv_explore.statistics.declared import declared

TRAINED = ("supervised", "augmented", "contrastive", "autoencoder")
LEARNED = ("supervised", "contrastive", "autoencoder")  # those of which randomness varies one by one
PIPELINES = ("supervised", "matched", "contrastive", "autoencoder")  # those that are adapted as well
ADAPTATIONS = ("bn", "tent", "coral", "mme")
ORDERS = {  # arm of one network under many batch orders → its pipeline and adaptation
    "order": ("supervised", "none"),
    "supervised_orders": ("supervised", "tent"),
    "contrastive_orders": ("contrastive", "tent"),
}
ARM_TABLE = arms("""
    supervised (baseline): Supervised — Trained with labels on the images as they are.
    augmented (other): Supervised on views — Trained with labels on the views that contrastive
            training sees; then a new linear head on features that stay.
    matched (other): Supervised on views, matched — The same, stopped when as accurate on
            validation images as contrastive networks.
    contrastive (idea): Contrastive — SimCLR without labels, then a linear head on features that stay.
    autoencoder (variant): Autoencoder — Reconstructs images, then a linear head on features that stay.
    supervised_bn (baseline): Supervised, batch statistics — Every test batch is normalised by its own.
    supervised_tent (baseline): Supervised, Tent — And the entropy of predictions is lowered.
    supervised_coral (baseline): Supervised, CORAL — Features of test and training images are aligned.
    supervised_mme (baseline): Supervised, MME — Minimax entropy on the test images.
    matched_bn (other): Matched, batch statistics
    matched_tent (other): Matched, Tent
    matched_coral (other): Matched, CORAL
    matched_mme (other): Matched, MME
    contrastive_bn (idea): Contrastive, batch statistics
    contrastive_tent (idea): Contrastive, Tent
    contrastive_coral (idea): Contrastive, CORAL
    contrastive_mme (idea): Contrastive, MME
    autoencoder_bn (variant): Autoencoder, batch statistics
    autoencoder_tent (variant): Autoencoder, Tent
    autoencoder_coral (variant): Autoencoder, CORAL
    autoencoder_mme (variant): Autoencoder, MME
    oracle (oracle): Corruptions known — Supervised, with labelled corrupted images besides.
    noop (control): Supervised, Tent of 0 steps — Equal to supervised, bit for bit.
    order (control): One network, batch orders — Not adapted: its spread must be zero.
    supervised_orders (control): One supervised network, Tent, batch orders — Nothing but the order
            of test images differs.
    contrastive_orders (control): One contrastive network, Tent, batch orders
    """)
MEASURE_TABLE = measures("""
    clean (%): Accuracy, clean
    corrupted (%): Accuracy, corrupted
    iid (points, lower): Excess SD, clean
    excess (points, lower): Excess SD, corrupted
    logit (lower): Excess SD of logits, corrupted
    disagreement (%, lower): Pairs that disagree, corrupted
    line: R² of the agreement line
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
        So they do on the scale of logits, by over 0.05.
    accuracy: contrastive − matched = 1 in clean
        Both are equally accurate on clean images, within a point: else they are not compared.
    autoencoder: autoencoder − supervised ≠ 0.5 in excess
        Autoencoder networks differ by over half a point more, or less, than supervised ones.
    tent: supervised_tent − supervised ≠ 0.5 in excess
        Tent changes how much supervised networks differ by over half a point.
    entropy: supervised_tent − supervised_bn ≠ 0.25 in excess
        It does so by over a quarter point beyond the test batches' own statistics.
    orders: supervised_orders − supervised_tent ≠ 0.5 in excess
        Batch orders alone make one network differ by half a point more, or less, than networks do.
    line: supervised_tent − supervised ≠ 0.05 in line
        Tent changes the R² of the agreement line by over 0.05.
    """,
    {"varied": "all"},
    {"logit": "", "line": ""},
)
PROVENANCE = Provenance(
    "2026-11-28",
    True,
    1,
    (
        "Before the claims, one replicate of digits (seed 0) was run in an earlier form, without the matched"
        " arm; view noise and width were chosen by accuracy on validation images of seeds 0 and 1. The"
        " evidence has seeds 1400 to 1419.",
    ),
)
LIMITS = (
    "Dense networks of two hidden layers: of photographs they read 64 features of one ImageNet network, so"
    " nothing below those features varies.",
    "Matched networks are stopped early; other ways to make them as accurate may differ.",
    "30 networks give a standard deviation to within about a quarter; intervals are over 20 splits.",
    "CORAL and MME train on the unlabelled test images themselves, for as few updates as Tent; MME without"
    " the few labels of the target that its authors assume.",
    "Test images come in shuffled classes, in batches of 100: what Tent needs.",
    "Corruptions are those of CIFAR-10-C at one severity; other shifts of deployment are not among them.",
)
PRIOR_WORK = works("""
Underspecification (D'Amour et al., 2020) https://arxiv.org/abs/2011.03395
    Networks equal on held-out images differ under stress: 50 ResNet-50s by 0.001 there, 0.024 pixelated.
    The same question for networks trained without labels, and adapted at test time.
MultiBERTs (Sellam et al., 2021) https://arxiv.org/abs/2106.16163
    25 checkpoints, and a bootstrap over seeds and examples at once.
    That bootstrap beside the demo; the verdicts rest on 20 splits with 30 networks each.
Tent (Wang et al., 2021) https://arxiv.org/abs/2006.10726
    CIFAR-10-C: error 43.5 % falls to 20.4 % by batch statistics and to 18.6 % by entropy.
    Here the spread of adapted networks is measured beside their mean.
On pitfalls of test-time adaptation (Zhao et al., 2023) https://arxiv.org/abs/2306.03536
    Choices depend on batch order, and no method covers all shifts.
    Batch order alone, of one network, is told apart from the spread between networks.
Agreement-on-the-line under adaptation (Kim et al., 2023) https://arxiv.org/abs/2310.04941
    Adaptation makes the line between clean and shifted performance straighter.
    Its R² over pairs of networks of one pipeline, whose accuracies hardly differ.
Accuracy on the line (Miller et al., 2021) https://arxiv.org/abs/2107.04649
    Accuracy under shift mostly follows accuracy on clean images.
    The counter-view: here clean accuracy is held equal and the rest measured.
Contrastive learning and shortcut features (Chen et al., 2020) https://arxiv.org/abs/2011.02803
    A few easy shared bits can suppress all other features of contrastive networks.
    Whether equal networks then differ more under corruption.
""")
