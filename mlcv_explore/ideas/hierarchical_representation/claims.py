"""Arms, measures, claims, related work and limits of the experiment."""

from mlcv_explore.idea import Arm, Measure, Provenance
from mlcv_explore.idea_text import works
from mlcv_explore.ideas.hierarchical_representation.settings import LENGTHS, MOST_LEVELS
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
    Arm("pca", "PCA", "other", "Principal components of the input; at higher levels a rotation of these."),
    Arm("kmeans", "k-means", "other", "k-means features at each level."),
    Arm("random", "Untrained levels", "control", "The initial weights that all arms share."),
    Arm("supervised", "Supervised, all labels", "oracle", "The same levels trained with all labels."),
)
ARM_TABLE = (
    *_TRAINED,
    Arm("pixels", "Raw input", "control", "Probe on pixels or features; a cheap baseline."),
    Arm("committed_frozen", "Original code, frozen probe", "other", "Only the probe's bias is trained."),
    Arm("committed_shifted", "Original code, level below", "other", "Probe one level too low."),
    *(Arm(f"{arm.name}_first", f"{arm.label}, first level", arm.role) for arm in _TRAINED),
)

_LEVELS = range(1, MOST_LEVELS + 1)
MEASURES = (
    Measure("accuracy", "Probe accuracy, top level", "%"),
    Measure("leading", "Accuracy of a probe of 12 components, top level", "%"),
    Measure("coarse", "Probe accuracy on coarse classes, top level", "%"),
    *(Measure(name, f"Top level after {name[5:]} % of the epochs", "%") for name in LENGTHS),
    *(Measure(f"level{level}", f"Probe accuracy, level {level}", "%") for level in _LEVELS),
    *(Measure(f"coarse{level}", f"Coarse classes, level {level}", "%") for level in _LEVELS),
    *(Measure(f"error{level}", f"Reconstruction error, level {level}", "", "lower") for level in _LEVELS),
    Measure("updates", "Updates per encoder", "", ""),
)

# written down before any evidence of theirs was made; each can fail
DECLARED = """
beats_input: greedy_code, greedy_pixels, global − pixels, pca > 1
At the top level every wiring is over 1 point more accurate than the raw input and than its components.
own_targets: greedy_code − global > 1
After all epochs the layer-wise loss is over 1 point above the end-to-end loss at the top level.
own_targets_early: greedy_code − global > 1 in after5
At the top, after 5 % of the epochs, the layer-wise loss is over 1 point above the end-to-end one.
input_target: greedy_pixels − global > 1
After all epochs layer-wise losses on the input are over 1 point above the end-to-end loss at the top.
rises: greedy_code − greedy_code_first > 1
With the layer-wise loss the top level is over 1 point more accurate than the first.
leading: greedy_code, greedy_pixels, global − pixels > 1 in leading
With a probe of 12 components every wiring's top level is over 1 point above the raw input.
learns: greedy_code − random > 1
The layer-wise loss ends over 1 point above untrained levels.
untrained: random − pixels > 1
A control that must fail: untrained levels end over 1 point above the raw input.
"""
CLAIMS = declared(DECLARED, {"levels": 3})

PRIOR_WORK = works("""
The author's own code 
    3 → 32 → 64 → 128 channels, CIFAR-100 at 224 pixels, 100 epochs: logged probes 10.2, 11.2, 9.2 %. Own
        decoders are discarded (93,123 of 279,494 parameters get no gradient). The ReLU keeps the error above
        about 0.52 (logged losses average 0.49). Probes train only a bias and skip the top level.
    One arm has all four errors, beside the repaired network: the first test of the idea itself.
Greedy layer-wise training (Bengio et al., 2006) https://papers.nips.cc/paper/3048
    Levels trained one after the other initialise a deep classifier better than random weights.
    No fine-tuning: codes are probed. All levels train at once, with equally many updates.
Greedy supervised layers (Belilovsky, Eickenberg, Oyallon, 2018) https://arxiv.org/abs/1812.11446
    Layers trained one by one with labels exceed AlexNet on ImageNet; deeper heads match VGG-11.
    Layer-wise losses without labels; labels only in the probe.
Greedy InfoMax (Löwe, O'Connor, Veeling, 2019) https://arxiv.org/abs/1905.11786
    Contrastive modules without gradients between them rival end-to-end speech and image features.
    The contrastive learner is one of five in the same place, at equal width and updates.
Local contrastive hinge loss (Frontiers in Computational Neuroscience, 2022) https://doi.org/10.3389/fncom.2022.789253
    Probes, end-to-end, greedy, random encoder: CIFAR-10 71.4, 72.8, 61.2 %; STL-10 70.1, 68.3, 46.8 %.
    Intervals over seeds, reconstruction losses, probes at every depth, after four training lengths.
""")

PROVENANCE = Provenance(
    "2026-11-27",
    False,
    1,
    (
        "The claims replace 15 of 2026-11-26. Those were decided on the same test digits (seeds 0 to 19), so"
        " on digits these are not blind: that raw pixels end above the layer-wise loss was known, as was the"
        " sign after 10, 40 and 200 epochs. Seeds 700 to 719 are new.",
        "No result of the convolutional levels on the study's test photographs came before the claims; one"
        " epoch ran on them to measure memory, and no accuracy was read."
        " Their learning rate has the smallest end-to-end error of 0.003 and 0.01 on other photographs of"
        " the training part (seeds 1000 and 1001); this trial showed wirings 0 to 3 points above pixels."
        " Training images, labels and epochs were then cut for cost, before any evidence.",
        "The probe was a logistic regression on 12 components; it is now a ridge regression on the whole"
        " code, and the same on 12 components is a claim of its own. A trial run of the new probe on digits"
        " and on photographs' features (20 and 40 epochs, seeds 1000 to 1004, the study's test images) came"
        " minutes before the claims; claims and settings had been designed by then.",
        "Width, learning rate and epochs of the dense levels were chosen for the end-to-end loss on seeds"
        " 100 to 103 with redrawn splits of the same digits, and on other photographs' features.",
    ),
)
LIMITS = (
    "8×8 digits with dense levels of 32 units, and 600 photographs of 32×32 pixels with three small"
    " convolutional levels; no larger network, no more data.",
    "On photographs the wirings had not converged: in the second half of the training their accuracy still"
    " rose by 1.0 to 2.1 points.",
    "One split of each data set; seeds differ in weights, order and labelled images.",
    "Levels are probed, not fine-tuned.",
)
