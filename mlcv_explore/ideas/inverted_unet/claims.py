"""Arms, measures and claims: names as in runs and rows, labels, rules."""

from mlcv_explore.idea import Arm, Measure
from mlcv_explore.statistics.declared import declared

ARM_TABLE = (
    Arm("mean", "Mean image", "other", "Mean of all training images, whatever the mask."),
    Arm("region", "Region means", "baseline", "Each region filled with its mean training colour."),
    Arm(
        "regression", "Box regression", "baseline", "Linear in the size of the mask's box and the row in it."
    ),
    Arm("nearest", "Nearest mask", "other", "Training image whose mask overlaps most."),
    Arm("neighbours", "Mean of 20 nearest", "baseline", "Mean training image of the 20 nearest masks."),
    Arm(
        "colour", "Own mean colour", "other", "Each object in its own mean colour: three bytes of the image."
    ),
    Arm("shaded", "Own colour, shaded by row", "other", "The same, lighter or darker from top to bottom."),
    Arm("unet", "U-Net", "idea", "U-Net from mask to image, squared error."),
    Arm("shuffled", "Shuffled masks", "control", "The same network, trained with other images' masks."),
    Arm("ceiling", "Ceiling", "oracle", "Variance that the mask determines, from the generator."),
    Arm("longer", "U-Net, twice the updates", "variant", "Trained twice as long."),
    Arm(
        "coloured", "U-Net + own colour", "variant", "Given the object's mean colour too, twice the updates."
    ),
)
MEASURE_TABLE = (
    Measure("explained", "Explained variance of the object", "%"),
    Measure("background", "Explained variance of the background", "%"),
    Measure("psnr", "PSNR", "dB"),
    Measure("ssim", "SSIM"),
    Measure("energy", "Gradient energy, share of the true image's", better=""),
)
CLAIMS = declared(
    """
    gain: unet − regression, neighbours, region > 2 in explained
        The U-Net explains over 2 points more of the object's variance than each cheap baseline of the mask.
    shuffled: unet − shuffled > 2 in explained
        The U-Net explains over 2 points more than the same network trained with other images' masks.
    converged: longer − unet = 2 in explained
        Twice the updates change the U-Net's explained variance by less than 2 points.
    colour: colour − unet > 10 in explained
        The object's mean colour, three bytes of the image, explains over 10 points more than the U-Net.
    adds: coloured − colour, shaded > 2 in explained
        Given that colour too, the U-Net explains over 2 points more than the colour alone or shaded.
    """
)
