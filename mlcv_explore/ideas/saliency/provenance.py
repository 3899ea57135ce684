"""How saliency's claims and evidence came about, what they do not cover, and earlier work."""

from mlcv_explore.idea import Provenance
from mlcv_explore.idea_text import works

PROVENANCE = Provenance(
    "2026-11-27",
    False,
    2,
    (
        "On scenes the claims were fixed after a look at five seeds, 0 to 4, which four earlier claims"
        " (2026-11-24, against edges and centre alone) had served; the rows are those of twenty other seeds,"
        " run once, with the same claims.",
        "On photographs they were fixed before any result on the 24 objects. The rule that picks objects"
        " was fixed with them, its code, the places and the networks that must fail five minutes later. On"
        " three other objects sizes and the headline's contrast had been seen (+12, +21, +9 points).",
        "SmoothGrad² became the headline as the best of twelve on 28 other objects, at one place each;"
        " those objects now train the image-only network.",
        "Exploratory: comparisons with the best control, and those with a random last layer.",
    ),
)

LIMITS = (
    "Generated 32×32 scenes, a small convolutional classifier (width 8), twenty seeds, 100 scenes each.",
    "Photographs: one ImageNet network, 24 cut-out objects at three places each, on 12 backgrounds; what the"
    " network calls them may be wrong. In photographs as they are taken the true cause is unknown.",
    "The image-only network learns masks of composites, rims and all; it need not find objects elsewhere.",
    "Squaring concentrates a map: SmoothGrad² leads squared edges by 8 points [1, 15], edges by 21.",
    "The network with random weights throughout was explained at one place an object.",
)

PRIOR_WORK = works("""
Sanity checks for saliency maps (Adebayo et al., 2018) https://arxiv.org/abs/1810.03292
    Gradient and Grad-CAM change when weights are randomised; Guided Backprop and Guided Grad-CAM hardly do.
        An erratum adds that randomising the lower layers does change Guided Backprop.
    The same check beside two others, on classifiers whose true cause is known, with intervals.
Criticism of that check (Yona and Greenfeld, 2021; Binder et al., 2022) https://arxiv.org/abs/2211.12486
    Uninformative maps score well, and randomisation from the top keeps the scale of activations; conclusions
        may be artefacts of the task (2110.14297).
    One of three rankings, never the only one; their agreement is measured too.
RISE (Petsiuk et al., 2018) https://arxiv.org/abs/1806.07421
    Deletion 0.105, insertion 0.772 on 10,000 ImageNet images, ResNet-50, in the authors' notebook.
    Both areas for every method and for the controls, an edge detector among them.
Pointing game (Zhang et al., 2016; numbers of Fong et al., 2019) https://arxiv.org/abs/1608.00507
    On VOC07 with a VGG-16: centre alone 69.6 %, gradient 76.3 %, Grad-CAM 86.6 %, RISE 86.9 %.
    Objects are placed uniformly, so the centre is a poor guess.
""")
