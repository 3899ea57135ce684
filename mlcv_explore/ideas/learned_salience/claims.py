"""Arms, measures, claims and what they take for granted, their provenance, prior work."""

from collections.abc import Mapping

import numpy as np

from mlcv_explore.data.scenes import INDEPENDENT
from mlcv_explore.idea import Arm, Measure, Prior, Provenance
from mlcv_explore.statistics import Claim

ARMS = (
    Arm("classifier", "Classifier", "baseline", "The frozen classifier that is explained."),
    Arm("second", "Second classifier", "baseline", "Another classifier, for the transfer test."),
    Arm("none", "No skips", "variant", "Mask decoder without skip connections."),
    Arm("plain", "Plain skips", "variant", "The classifier's features as skip connections."),
    Arm("image", "Skips + image", "variant", "Plain skip connections and the image itself."),
    Arm("gated", "Learned mask", "idea", "Mask decoder with one gate per skip connection."),
    Arm("preserving", "Preservation loss only", "variant", "Gated; the mask only has to keep the class."),
    Arm("destroying", "Deletion loss only", "variant", "Gated; the complement only has to lose the class."),
    Arm("gates", "Skip-connection gates", "idea", "The learned mask's gates, read as a saliency map."),
    Arm("gradcam", "Grad-CAM", "other", "Gradient-weighted activations of the last convolution."),
    Arm("optimised", "Optimised mask", "other", "A mask optimised by gradient descent for each image."),
    Arm("centre", "Centre blob", "control", "A Gaussian blob in the middle of every image."),
    Arm("random", "Random map", "control", "Random numbers."),
    Arm("truth", "True mask", "oracle", "The object's own mask."),
    Arm("classify_only", "Classify only", "baseline", "Encoder trained on classification alone."),
    Arm("segment_only", "Segment only", "baseline", "Encoder trained on segmentation alone."),
    Arm("classify_first", "Classify first", "variant", "Classification, then segmentation."),
    Arm("segment_first", "Segment first", "idea", "Segmentation, then classification."),
    Arm("parallel", "Joint training", "variant", "Both losses at every update."),
    Arm("classify_first_frozen", "Classify first, frozen", "variant", "Segmenter on the frozen encoder."),
    Arm("segment_first_frozen", "Segment first, frozen", "variant", "Classifier on the frozen encoder."),
    Arm("detect_only", "Detect only", "baseline", "Encoder trained on boxes alone."),
    Arm("classify_then_detect", "Classify, then detect", "variant", "Classification, then box head."),
    Arm("detect_then_classify", "Detect, then classify", "idea", "Box head, then classification."),
    Arm("classify_and_detect", "Joint box head", "variant", "Both losses at every update."),
    Arm("classify_then_detect_frozen", "Box head, frozen encoder", "variant"),
    Arm("detect_then_classify_frozen", "Classify, frozen encoder", "variant"),
    Arm("learned_box", "Learned mask's box", "idea", "Bounding box of the largest component."),
    Arm("gradcam_box", "Grad-CAM's box", "other", "Bounding box of the largest component."),
    Arm("centre_box", "Mean box", "control", "Mean box of the training scenes."),
    Arm("truth_box", "True mask's box", "oracle", "Bounding box of the true mask."),
)
MEASURES = (
    Measure("accuracy", "Accuracy", "%"),
    Measure("swapped", "Accuracy, swapped backgrounds", "%"),
    Measure("iou", "Segmentation IoU", "%"),
    Measure("forgotten", "Loss of the first task's score", "points", "lower"),
    Measure("overlap", "Box IoU", "%"),
    Measure("found", "Objects found (box IoU ≥ 0.5)", "%"),
    Measure("insertion", "Insertion area"),
    Measure("deletion", "Deletion area", better="lower"),
    Measure("faithful", "Faithfulness (insertion − deletion), mean-colour fill"),
    Measure("noisy", "Faithfulness, noise fill"),
    Measure("mass", "Share of the map on the object"),
    Measure("tag", "Share of the map on the tag", better=""),
    Measure("pointing", "Maximum on the object", "%"),
    Measure("transfer", "Faithfulness to a second classifier"),
    Measure("area", "Mean of the map", better=""),
    Measure("leak", "Class decoded from the map, above chance", "points", "lower"),
)

MASK = {"label": "silhouette", "rho": INDEPENDENT, "area": 4.0}
OBJECT = {"dataset": "scenes", **MASK}
TAG, TEXTURE = OBJECT | {"rho": 1.0}, OBJECT | {"label": "texture"}
ORDER = {"label": "silhouette", "background": 0.7, "budget": "encoder"}
SWAPPED = {"dataset": "scenes", **ORDER}
JOINT, PER_TASK = SWAPPED | {"weight": 1.0}, SWAPPED | {"budget": "task"}
MASK_BOX = {"label": "silhouette", "background": INDEPENDENT, "area": 4.0}
HEAD_BOX = MASK_BOX | {"budget": "encoder", "weight": 1.0}
# claim → measure, direction, margin, contrast, settings taken for granted
RULES = {
    "faithful": ("faithful", "greater", 0.02, "gated", "gradcam", MASK),
    "faithful_in_noise": ("noisy", "greater", 0.02, "gated", "gradcam", MASK),
    "cause": ("mass", "greater", 0.05, "gated", "gradcam", OBJECT),
    "cause_tag": ("tag", "greater", 0.05, "gated", "gradcam", TAG),
    "skips_help": ("mass", "greater", 0.05, "plain", "none", MASK),
    "gates_help": ("mass", "greater", 0.02, "gated", "plain", MASK),
    "picture_helps_not": ("faithful", "equal", 0.02, "image", "plain", MASK),
    "as_good_as_optimised": ("faithful", "equal", 0.05, "gated", "optimised", MASK),
    "transfers": ("transfer", "greater", 0.02, "gated", "gradcam", MASK),
    "leaks": ("leak", "greater", 0.05, "gated", "truth", TEXTURE),
    "segment_first_helps": ("swapped", "greater", 0.01, "segment_first", "classify_only", SWAPPED),
    "order_matters": ("swapped", "different", 0.01, "segment_first", "parallel", JOINT),
    "classify_first_helps": ("iou", "greater", 0.01, "classify_first", "segment_only", ORDER),
    "segment_first_helps_task": ("swapped", "greater", 0.01, "segment_first", "classify_only", PER_TASK),
    "head_beats_salience": ("found", "greater", 0.05, "classify_and_detect", "learned_box", HEAD_BOX),
    "learned_beats_gradient": ("found", "greater", 0.05, "learned_box", "gradcam_box", MASK_BOX),
}
# of the claims, in their order, a line each
SENTENCES = """
The learned mask is over 0.02 more faithful than Grad-CAM, with mean colour as fill, unseen in training.
The learned mask is over 0.02 more faithful than Grad-CAM, with noise as fill.
The learned mask puts over 0.05 more of its mass on the object than Grad-CAM.
The learned mask puts over 0.05 more of its mass on the tag than Grad-CAM, if the classifier reads it.
Skip connections put over 0.05 more of the mask's mass on the object than no skip connections.
Gated skip connections put over 0.02 more of the mask's mass on the object than plain ones.
Adding the image to the decoder's input changes faithfulness by less than 0.02.
One forward pass is as faithful as a mask optimised for each image, within 0.05.
The learned mask stays over 0.02 more faithful than Grad-CAM to a second classifier.
The learned mask's shape predicts the texture class over 5 points better than the object's silhouette does.
Segmenting first gains over 1 point with swapped backgrounds over classifying alone, at equal encoder updates.
Accuracy with swapped backgrounds differs by over 1 point between segmenting first and joint training.
Classifying first gains over 1 point of IoU over segmenting alone, at equal encoder updates.
Segmenting first gains over 1 point with swapped backgrounds over classifying alone, at equal task updates.
A box head finds over 5 points more objects than the learned mask's bounding box.
The learned mask's bounding box finds over 5 points more objects than Grad-CAM's.
"""
ENCODED = ("swapped", "iou")  # measures of an encoder's two tasks; all others are of maps
POINTS = ("swapped", "iou", "found", "leak")  # measures whose unit is points
CLAIMS = tuple(
    Claim(
        *(name, sentence, measure, "points" if measure in POINTS else "", direction, margin),
        ((one, other),),
        tuple(when.items()),
        # a classifier that its maps explain may collapse
        "t" if measure in ENCODED else "median",
    )
    for (name, (measure, direction, margin, one, other, when)), sentence in zip(
        RULES.items(), SENTENCES.strip().splitlines(), strict=True
    )
)

COLLAPSED = 0.6  # accuracy of a classifier that has not even learned to follow the background


def collapsed(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """(S,) bool: whether the classifier that a run's maps explain has collapsed. Where
    orders of tasks are compared, a low accuracy is a result.
    """
    explained = "classify_only_accuracy" if "gradcam_box_found" in columns else "classifier_accuracy"
    if explained in columns:
        return columns[explained] < COLLAPSED
    return np.zeros(len(next(iter(columns.values()))), dtype=bool)


PROVENANCE = Provenance(
    "2026-11-25",
    False,
    2,
    (
        "Seed 0, a seed of the study, was used for tuning: under the first fill Grad-CAM led by 0.12 on it;"
        " the fill was then changed.",
        "Before the evidence, the study was cut from 8 seeds and 800 updates to 6 and 600, for time.",
        "After the first evidence, the learning rate was halved to 0.015, chosen on validation scenes of"
        " seeds 100 to 103; all cells were run again.",
        "After the first evidence, the two box claims moved to uninformative backgrounds; they are post hoc.",
        "On 2026-11-27 claims on maps changed, post hoc, from means by t to medians by order statistics: one"
        " classifier in six collapsed, where t covers 66 % of the time. The claim on adding the image became"
        " undecided; margins did not change.",
        "Margins did not change. Seven of 16 verdicts changed; segmenting first against classifying alone"
        " went from +20.0 points [2.4, 37.6] to undecided.",
    ),
)
LIMITS = (
    "Generated 32 × 32 scenes and classifiers of width 8; six seeds. One classifier stayed at 53 % accuracy,"
    " one of those for boxes at 38 %; their maps count.",
    "Grad-CAM's maps give the class away as well.",
    "At equal updates per task, segmenting first has twice the encoder updates of classifying alone.",
)
PRIOR_WORK = (
    Prior(
        "Real-time saliency (Dabkowski and Gal, 2017)",
        "https://arxiv.org/abs/1705.07857",
        "A frozen encoder and a U-Net decoder; preserve and destroy losses with weights 0.3 and 1, area to"
        " the power 0.3 with weight 8, random colour with noise or heavy blur as fill.",
        "The same losses where the cause is known, four kinds of skip connections, intervals over seeds.",
    ),
    Prior(
        "Meaningful and extremal perturbations (Fong and Vedaldi, 2017; Fong et al., 2019)",
        "https://arxiv.org/abs/1910.08485",
        "A mask optimised for each image; with fixed area: 800 steps, area weight 300, 8 levels of blur.",
        "The baseline that one forward pass has to match, on the same loss.",
    ),
    Prior(
        "Classifier-agnostic saliency (Zolna et al., 2018)",
        "https://arxiv.org/abs/1805.08249",
        "A mask network bound to a single classifier gives worse maps.",
        "One classifier each, and every map is also evaluated by a second classifier.",
    ),
    Prior(
        "Masked-in and masked-out losses (Phang et al., 2020)",
        "https://arxiv.org/abs/2010.09750",
        "Both losses together are best; ten images a class cost only 0.7 points.",
        "Both together, and either alone, as arms.",
    ),
    Prior(
        "Selectors that encode the label (Jethani et al., 2021)",
        "https://arxiv.org/abs/2103.01890",
        "Selectors trained jointly with their predictor encode the label in the mask's shape.",
        "The leak is measured where the silhouette is independent of the class.",
    ),
    Prior(
        "Attention U-Net (Oktay et al., 2018)",
        "https://arxiv.org/abs/1804.03999",
        "A scalar gate on every skip connection of a U-Net.",
        "The gates are compared with the mask itself as a saliency map.",
    ),
)
