"""Arms, measures and claims: names as in runs and rows, labels, rules."""

from mlcv_explore.idea import Arm, Measure
from mlcv_explore.statistics import Claim

RUN_ARMS = (
    Arm("mean", "Mean image", "baseline", "Mean of all training images, whatever the mask."),
    Arm("region", "Region means", "baseline", "Each region filled with its mean training colour."),
    Arm("nearest", "Nearest mask", "baseline", "Training image whose mask overlaps most."),
    Arm("nearest5", "Best of 5 nearest", "baseline", "Of the five nearest, chosen by the true image."),
    Arm("l2", "U-Net", "idea", "U-Net from mask to image, squared error."),
    Arm("l1", "U-Net, absolute error", "variant", "The same network trained on absolute error."),
    Arm("sampled", "Best of 5 samples", "variant", "U-Net with a random code, best-of-5 loss."),
    Arm("cvae", "CVAE, best of 5", "variant", "Conditional variational autoencoder, best of 5 samples."),
    Arm("shuffled", "Shuffled masks", "control", "U-Net trained with other images' masks."),
    Arm("adversarial", "With discriminator", "variant", "U-Net trained with an adversarial loss."),
    Arm("webp", "WebP, equal bytes", "other", "WebP image of at most the mask's bytes."),
    Arm("ceiling", "Ceiling", "oracle", "Variance that the mask determines, from the generator."),
    Arm("truth", "True image", "oracle", "Bound of the image measures."),
)
INDEPENDENT = ("l2", "region")  # arms on scenes whose appearance is independent of the mask
COMPARED = ("l2", "region", "webp", "ceiling")  # arms at every conditioning level
_LEVEL_TABLE = (  # the U-Net at each conditioning level
    Arm("binary", "Object mask", "variant", "Object or background."),
    Arm("class", "Class mask", "idea", "The class of each pixel."),
    Arm("label", "Mask + texture name", "variant", "The texture's name as well."),
    Arm("edges", "+ Edges", "variant", "Bright and dark edge sides as well."),
    Arm("lines", "+ Line drawing", "variant", "Edges without their sign."),
    Arm("thumbnail", "+ Thumbnail", "variant", "Edges and 4 × 4 mean colours as well."),
)
LEVEL_ARMS = {arm.name: "edges" if arm.name == "lines" else arm.name for arm in _LEVEL_TABLE}  # arm → level
ARM_TABLE = (
    *RUN_ARMS,
    *(
        Arm(f"independent_{arm.name}", f"{arm.label}, independent appearance", arm.role)
        for arm in RUN_ARMS
        if arm.name in INDEPENDENT
    ),
    *_LEVEL_TABLE,
    *(
        Arm(f"{level.name}_{arm.name}", f"{level.label}: {arm.label}", arm.role)
        for level in _LEVEL_TABLE
        for arm in RUN_ARMS
        if arm.name in COMPARED
    ),
)
MEASURE_TABLE = (
    Measure("explained", "Explained variance of the object", "%"),
    Measure("background", "Explained variance of the background", "%"),
    Measure("psnr", "PSNR", "dB"),
    Measure("ssim", "SSIM"),
    Measure("energy", "Gradient energy, share of the true image's", better=""),
    Measure("iou", "Object found by a segmenter, IoU"),
    Measure("accuracy", "Texture recognised by a classifier", "%"),
    Measure("diversity", "Standard deviation over five samples", better=""),
    Measure("bytes", "Size", "bytes", "lower"),
)
CLASS = {"detail": "class"}
# name → direction, margin, arms (first − second), settings beside dependence 1
RULES = {
    "gain": ("greater", 0.10, ("l2", "region"), CLASS),
    "vanishes": ("equal", 0.02, ("independent_l2", "independent_region"), CLASS | {"dependence": 0}),
    "reaches": ("equal", 0.05, ("l2", "ceiling"), CLASS),
    "label_adds_nothing": ("equal", 0.02, ("label", "class"), {}),
    "edges_add": ("greater", 0.05, ("edges", "label"), {}),
    "lines_add_nothing": ("equal", 0.02, ("lines", "label"), {}),
    "thumbnail_adds": ("greater", 0.05, ("thumbnail", "edges"), {}),
    "beats_webp": ("greater", 0.0, ("l2", "webp"), CLASS),
    "sampling_beats_nearest": ("greater", 0.0, ("sampled", "nearest5"), CLASS),
}
SENTENCES = {
    "gain": "The U-Net, given class masks, explains over 10 points more of the object's variance than region"
    " mean colours.",
    "vanishes": "Where appearance is independent of the mask, the U-Net ties with region mean colours within"
    " 2 points.",
    "reaches": "The U-Net ties with the ceiling, what the mask determines, within 5 points.",
    "label_adds_nothing": "Adding the texture's name to the mask changes the explained variance by less than"
    " 2 points.",
    "edges_add": "Edges with bright and dark sides add over 5 points to mask and texture name.",
    "lines_add_nothing": "The same edges as a line drawing tie with mask and texture name within 2 points.",
    "thumbnail_adds": "A thumbnail of sixteen mean colours adds over 5 points to the edges.",
    "beats_webp": "The U-Net explains more of the object than a WebP image of equal bytes, which can fall"
    " below 0 %.",
    "sampling_beats_nearest": "The best of five samples explains more than the best of five training images"
    " with the nearest masks.",
}
CLAIMS = tuple(
    Claim(name, SENTENCES[name], "explained", "points", direction, margin, (pair,), tuple(when.items()))
    for name, (direction, margin, pair, settings) in RULES.items()
    for when in [{"dependence": 1} | settings]
)
