"""Arms, measures, claims, related work and limits of the experiment."""

from dataclasses import replace

from mlcv_explore.idea import Arm, Measure, Prior, Provenance
from mlcv_explore.statistics.declared import declared

_TRAINED = (
    Arm("global", "End-to-end loss", "baseline", "One reconstruction loss through all levels."),
    Arm("greedy_code", "Layer-wise loss", "idea", "Each level, detached, reconstructs the code below it."),
    Arm("greedy_pixels", "Layer-wise, input target", "variant", "Detached levels reconstruct the input."),
    Arm("joint_code", "Not detached, code", "variant", "Layer-wise losses on codes reach lower levels."),
    Arm("joint_pixels", "Not detached, input", "variant", "Losses on the input reach lower levels."),
    Arm("both_code", "Both losses, code", "variant", "End-to-end loss plus layer-wise losses on codes."),
    Arm("both_pixels", "Both losses, input", "variant", "End-to-end loss plus layer-wise ones on the input."),
    Arm("committed", "Original code", "other", "End-to-end loss with the original code's ReLU output."),
    Arm("denoising", "Denoising autoencoder", "other", "Each level denoises a noisy copy of the code below."),
    Arm("contrastive", "Contrastive learner", "other", "InfoNCE on two noisy views, images also shifted."),
    Arm("pca", "PCA", "other", "Principal components at each level."),
    Arm("kmeans", "k-means", "other", "k-means features at each level."),
    Arm("random", "Untrained levels", "control", "The initial weights that all arms share."),
    Arm("supervised", "Supervised, all labels", "oracle", "The same levels trained with all labels."),
)
ARM_TABLE = (
    *_TRAINED,
    Arm("pixels", "Raw input", "control", "Probe on pixels or features; the strongest cheap baseline."),
    Arm("committed_frozen", "Original code, frozen probe", "other", "Only the probe's bias is trained."),
    Arm("committed_shifted", "Original code, level below", "other", "Probe one level too low."),
    *(Arm(f"{arm.name}_first", f"{arm.label}, first level", arm.role) for arm in _TRAINED),
)

MOST_LEVELS = 5
_LEVELS = range(1, MOST_LEVELS + 1)
MEASURES = (
    Measure("accuracy", "Probe accuracy, top level", "%"),
    Measure("rise", "Accuracy, top minus first level", "points"),
    Measure("coarse", "Probe accuracy on coarse classes, top level", "%"),
    *(Measure(f"level{level}", f"Probe accuracy, level {level}", "%") for level in _LEVELS),
    *(Measure(f"coarse{level}", f"Coarse classes, level {level}", "%") for level in _LEVELS),
    *(Measure(f"error{level}", f"Reconstruction error, level {level}", "", "lower") for level in _LEVELS),
    Measure("updates", "Updates per encoder", "", ""),
)

STUDIED = {"network": "dense", "levels": 3, "width": 32, "labels": 10, "epochs": 40}
STUDIED |= {"activation": "relu", "tied": False}
# first arm of a claim → a setting that it takes for granted too
ALSO = {"both_code": ("local_weight", 1.0), "denoising": ("noise", 0.5), "contrastive": ("noise", 0.5)}
# written down before any evidence was made; each can fail
DECLARED = """
own_targets: greedy_code − global > 1
The layer-wise loss (target: code below) gains over 1 point at the top level over the end-to-end loss.
rise: greedy_code − global > 1 in rise
Accuracy rises over 1 point more from first to top level with the layer-wise than with the end-to-end loss.
rises: greedy_code − greedy_code_first > 1
The top level is over 1 point more accurate than the first with the layer-wise loss.
pixels: greedy_pixels − global > 1
The layer-wise loss with the input as target gains over 1 point at the top over the end-to-end loss.
target_matters: greedy_pixels − greedy_code ≠ 1
Layer-wise targets matter: the input and the code below differ by over 1 point at the top.
detaching_helps: greedy_code − joint_code > 1
Levels detached from each other end over 1 point above levels whose losses reach the levels below.
both: both_code − global > 1
Layer-wise losses added to the end-to-end loss gain over 1 point at the top.
coarse: greedy_code − global > 1 in coarse
The layer-wise loss gains over 1 point at the top on coarse classes, over the end-to-end loss.
learns: greedy_code − random > 1
The layer-wise loss ends over 1 point above untrained levels.
denoising_replaces: denoising − greedy_code = 2
A denoising autoencoder in the autoencoder's place changes the top level's accuracy by less than 2 points.
contrastive_replaces: contrastive − greedy_code = 2
A contrastive learner in the autoencoder's place changes the top level's accuracy by less than 2 points.
pca_replaces: pca − greedy_code = 2
PCA in the autoencoder's place changes the top level's accuracy by less than 2 points.
kmeans_replaces: kmeans − greedy_code = 2
k-means in the autoencoder's place changes the top level's accuracy by less than 2 points.
repaired: global − committed > 1
A linear output instead of the original code's ReLU gains over 1 point at the top.
frozen: committed − committed_frozen > 20
The original code's probe, with frozen weights, loses over 20 points against a trained probe.
"""
CLAIMS = tuple(
    replace(claim, when=claim.when + tuple(ALSO[arm] for arm in claim.arms[:1] if arm in ALSO))
    for claim in declared(DECLARED, STUDIED)
)

PRIOR_WORK = (
    Prior(
        "The author's own code",
        "",
        "3 → 32 → 64 → 128 channels, CIFAR-100 at 224 pixels, 100 epochs: logged probes 10.2, 11.2, 9.2 %."
        " Own decoders are discarded (93,123 of 279,494 parameters get no gradient). The ReLU keeps the error"
        " above about 0.52 (logged losses average 0.49). Probes train only a bias and skip the top level.",
        "One arm has all four errors, beside the repaired network: the first test of the idea itself.",
    ),
    Prior(
        "Greedy layer-wise training (Bengio et al., 2006)",
        "https://papers.nips.cc/paper/3048",
        "Levels trained one after the other initialise a deep classifier better than random weights.",
        "No fine-tuning: codes are probed. All levels train at once, with equally many updates.",
    ),
    Prior(
        "Greedy supervised layers (Belilovsky, Eickenberg, Oyallon, 2018)",
        "https://arxiv.org/abs/1812.11446",
        "Layers trained one by one with labels exceed AlexNet on ImageNet; deeper heads match VGG-11.",
        "Layer-wise losses without labels; labels only in the probe.",
    ),
    Prior(
        "Greedy InfoMax (Löwe, O'Connor, Veeling, 2019)",
        "https://arxiv.org/abs/1905.11786",
        "Contrastive modules without gradients between them rival end-to-end speech and image features.",
        "The contrastive learner is one of five in the same place, at equal width and updates.",
    ),
    Prior(
        "Local contrastive hinge loss (Frontiers in Computational Neuroscience, 2022)",
        "https://doi.org/10.3389/fncom.2022.789253",
        "Probes, end-to-end, greedy, random encoder: CIFAR-10 71.4, 72.8, 61.2 %; STL-10 70.1, 68.3, 46.8 %.",
        "Intervals over seeds, reconstruction losses, and probes of 12 components at every depth.",
    ),
)

PROVENANCE = Provenance(
    "2026-11-26",
    True,
    2,
    (
        "Both runs gave identical rows; between them only the lower bound of the training size changed.",
        "Claims, margins and study settings did not change; the settings each claim assumes were written out"
        " afterwards.",
        "Width, learning rate and epochs were chosen for the end-to-end baseline on seeds 100 to 103 with"
        " redrawn splits of the same digits.",
        "A record older than the evidence notes that 200 epochs reverse the sign on those trial seeds; it may"
        " be older than the claims.",
        "Since 2026-11-27 a run on any data set tests them; before, only one on digits did.",
        "On 2026-11-27 the same claims, margins and tests were declared for photographs' features, before any"
        " result on their test part; trials on training photographs, four seeds, had set the learning rate"
        " and shown the layer-wise loss below the end-to-end one.",
        "A variation with 50 labels was taken out of that study after the declaration and before it ran.",
    ),
)
LIMITS = (
    "8×8 digits, which are almost linearly separable, or 64 features of photographs; dense levels of 32"
    " units.",
    "No network that reads the photographs' pixels, and no convolutional levels.",
)
