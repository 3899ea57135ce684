"""Arms, measures, claims and what they take for granted, their provenance, prior work."""

from collections.abc import Mapping

import numpy as np

from mlcv_explore.data.scenes import INDEPENDENT
from mlcv_explore.idea import Arm, Measure, Provenance
from mlcv_explore.idea_text import works
from mlcv_explore.statistics import Claim

ARMS = (
    Arm("classifier", "Classifier", "baseline", "The frozen classifier that is explained."),
    Arm("learned", "Learned mask", "idea", "A mask network's output, one gate per skip connection."),
    Arm("gates", "Skip-connection gates", "variant", "The learned mask's gates, read as a saliency map."),
    Arm("gradient", "Gradient", "other", "Gradient of the class logit with respect to the pixels."),
    Arm("input_x_gradient", "Input × gradient", "other", "Gradient multiplied by the pixel values."),
    Arm("gradcam", "Grad-CAM", "other", "Gradient-weighted activations of the last convolution."),
    Arm("guided_backprop", "Guided Backprop", "other", "Gradient without negative signals at every ReLU."),
    Arm("deeplift", "DeepLift", "other", "Differences from a baseline image, propagated back."),
    Arm("smoothgrad", "SmoothGrad", "other", "Mean gradient over noisy copies of the image."),
    Arm("smoothgrad_squared", "SmoothGrad²", "other", "Mean squared gradient over noisy copies."),
    Arm("vargrad", "VarGrad", "other", "Variance of the gradient over noisy copies of the image."),
    Arm("gradient_shap", "GradientShap", "other", "Mean gradient between random baselines and the image."),
    Arm("integrated_gradients", "Integrated gradients", "other", "Gradients summed from baseline to image."),
    Arm("rise", "RISE", "other", "Mean of random masks weighted by the class score."),
    Arm("occlusion", "Occlusion", "other", "Drop of the class score when a square is covered."),
    Arm("blind", "Image-only network", "control", "Trained on true masks, never sees the classifier."),
    Arm("edges", "Sobel edges", "control", "Edge strength of the image; ignores the classifier."),
    Arm("edges_squared", "Squared edges", "control", "Sobel edges, squared."),
    Arm("centre", "Centre blob", "control", "A Gaussian blob in the middle of every image."),
    Arm("random", "Random map", "control", "Random numbers."),
    Arm("truth", "True mask", "oracle", "The object's own mask."),
    Arm("classify_half", "Classify only, half the updates", "baseline", "As many as after segmenting."),
    Arm("classify_only", "Classify only", "baseline", "Encoder trained on classification alone."),
    Arm(
        "segment_first", "Segment first", "idea", "Segmentation, then classification, half the updates each."
    ),
    Arm("parallel", "Joint training", "variant", "Both losses at every update."),
)
MEASURES = (
    Measure("accuracy", "Accuracy", "%"),
    Measure("swapped", "Accuracy, swapped backgrounds", "%"),
    Measure("iou", "Segmentation IoU", "%"),
    Measure("insertion", "Insertion area"),
    Measure("deletion", "Deletion area", better="lower"),
    Measure("faithful", "Faithfulness (insertion − deletion), mean-colour fill"),
    Measure("noisy", "Faithfulness, noise fill"),
    Measure("mass", "Share of the map on the object", "%"),
    Measure("tag", "Share of the map on the tag", "%", better=""),
    Measure("pointing", "Maximum on the object", "%"),
    Measure("area", "Mean of the map", better=""),
    Measure("leak", "Class decoded from the map, above chance", "points", "lower"),
)

SILHOUETTE = {"label": "silhouette", "rho": INDEPENDENT, "area": 4.0}
TAG, TEXTURE = SILHOUETTE | {"rho": 1.0}, SILHOUETTE | {"label": "texture"}
ORDER = {"background": 0.5, "updates": 1200}
# of twelve methods those with most on the cause in another idea's evidence and in pilots
STRONGEST = ("occlusion", "deeplift", "integrated_gradients", "smoothgrad_squared")
IGNORANT = ("blind", "edges", "edges_squared")  # know nothing of the classifier
# claim → measure, direction, margin, first arm, arms it is compared with, settings taken for granted
RULES = {
    "cause": ("mass", "greater", 0.05, "learned", STRONGEST, SILHOUETTE),
    "beats_image": ("mass", "greater", 0.05, "learned", IGNORANT, SILHOUETTE),
    "faithful": ("faithful", "greater", 0.02, "learned", STRONGEST, SILHOUETTE),
    "cause_tag": ("tag", "greater", 0.05, "learned", STRONGEST, TAG),
    "leaks": ("leak", "greater", 0.05, "learned", IGNORANT[:2], TEXTURE),
    "segment_first": ("swapped", "greater", 0.01, "segment_first", ("classify_only",), ORDER),
    "segment_first_task": ("swapped", "greater", 0.01, "segment_first", ("classify_half",), ORDER),
    "joint": ("swapped", "greater", 0.01, "parallel", ("classify_only",), ORDER),
}
# of the claims, in their order, a line each
SENTENCES = """
Learned masks lead occlusion, DeepLift, integrated gradients and SmoothGrad² by over 5 points on the object.
Learned masks lead Sobel edges, squared or not, and an image-only network by over 5 points on the object.
The learned mask is over 0.02 more faithful than occlusion, DeepLift, integrated gradients, SmoothGrad².
If the classifier reads the tag, the learned mask puts over 5 points more on it than those four.
The learned mask reveals the texture class over 5 points better than Sobel edges and an image-only network.
Segmenting first gains over 1 point on swapped backgrounds over classifying alone for the same 1,200 updates.
Segmenting first, 600 updates a task, gains over 1 point on swapped backgrounds over classifying for 600.
Joint training gains over 1 point on swapped backgrounds over classifying alone for the same 1,200 updates.
"""
CLAIMS = tuple(
    Claim(
        *(name, sentence, measure, "" if measure == "faithful" else "points", direction, margin),
        tuple((first, other) for other in others),
        tuple(when.items()),
        "median",  # single classifiers may collapse
    )
    for (name, (measure, direction, margin, first, others, when)), sentence in zip(
        RULES.items(), SENTENCES.strip().splitlines(), strict=True
    )
)

COLLAPSED = 0.4  # accuracy of a classifier that does not even follow the tag, or half of the backgrounds


def collapsed(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """(S,) bool: whether the classifier of a run has collapsed, or one of those that
    share an encoder with a segmenter.
    """
    accuracies = [values for name, values in columns.items() if name.endswith("_accuracy")]
    count = len(next(iter(columns.values())))
    return (np.array(accuracies) < COLLAPSED).any(0) if accuracies else np.zeros(count, dtype=bool)


PROVENANCE = Provenance(
    "2026-11-27",
    False,
    1,
    (
        "Sixteen claims of 2026-11-25 came before; their rows (seeds 0 to 5) and a reviewer's runs were"
        " known, and what they left open led to these claims.",
        "Four more, on the order of two tasks and on the leak, were withdrawn for cost before their runs had"
        " ended, then declared again, with 1,200 updates for 600, before any of them; one pilot seed, 1000,"
        " had been seen: a tie of orders, and a leak as large as that of edges.",
        "Baselines and margins were chosen on one pilot seed, 1000. The mask network of photographs was"
        " trained twice, chosen on six objects outside the study.",
        "Order and leak ran after the verdicts on maps; the code was tidied in between, and one"
        " seed of every cell was computed again and is equal.",
        "The learning rates are those of the earlier study: the classifier's was chosen on validation scenes"
        " of seeds 100 to 103.",
    ),
)
LIMITS = (
    "Generated 32 × 32 scenes and classifiers of width 8; one mask network each, with gates, at one area"
    " weight and 300 updates; 150 where classifiers read the tag, and there a longer training may help.",
    "On photographs one mask network at 112 pixels, trained on composites of other objects: it may know the"
    " rim of pasted objects. At 224 pixels its lead over SmoothGrad² is half of that (docs/ideas).",
    "What that mask keeps seldom carries the class alone: of 200 test photographs 3.5 % keep theirs.",
    "Masks optimised image by image and other kinds of skip connections were left out.",
    "Box heads were left out: one trained on boxes against a mask trained without any is no fair comparison.",
)
PRIOR_WORK = works("""
Real-time saliency (Dabkowski and Gal, 2017) https://arxiv.org/abs/1705.07857
    A frozen encoder and a U-Net decoder; preserve and destroy losses with weights 0.3 and 1, area to the
        power 0.3 with weight 8, random colour with noise or heavy blur as fill.
    The same losses where the cause is known, against maps that know nothing of the classifier.
Masked-in and masked-out losses (Phang et al., 2020) https://arxiv.org/abs/2010.09750
    Both losses together are best; ten images a class cost only 0.7 points.
    Both together; either alone is not tried.
Selectors that encode the label (Jethani et al., 2021) https://arxiv.org/abs/2103.01890
    Selectors trained jointly with their predictor encode the label in the mask's shape.
    The leak is measured where the silhouette is independent of the class.
Attention U-Net (Oktay et al., 2018) https://arxiv.org/abs/1804.03999
    A scalar gate on every skip connection of a U-Net.
    The gates are compared with the mask itself as a saliency map.
""")
