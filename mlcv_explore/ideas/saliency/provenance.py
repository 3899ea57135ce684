"""How saliency's claims and evidence came about, what they do not cover, and earlier work."""

from mlcv_explore.idea import Prior, Provenance

PROVENANCE = Provenance(
    "2026-11-24",
    False,
    1,
    (
        "Claims and evidence are first seen in one commit; the record cannot show which came first. Claims,"
        " margins and settings did not change afterwards.",
        "Exploratory: comparisons with the best control, added after the evidence, and SmoothGrad² on"
        " photographs, picked among twelve.",
        "On 2026-11-27 the same claims and margins were declared for photographs, before any of the"
        " 28 objects was explained; three others served to choose sizes and to measure time. One place an"
        " object instead of two was decided before that study had a result; it was computed once.",
    ),
)

LIMITS = (
    "Generated 32×32 scenes, a small convolutional classifier (width 8), five seeds, 100 scenes each.",
    "Photographs: one ImageNet network, 28 cut-out objects, each at one place on one of 12 backgrounds. In"
    " photographs as they are taken the true cause is unknown.",
    "Squaring moves a map's share and not its maximum: SmoothGrad² and VarGrad are squares, edges are not.",
    "No image-only network was compared on photographs; on scenes no method with a claim is shown to exceed"
    " it.",
)

PRIOR_WORK = (
    Prior(
        "Sanity checks for saliency maps (Adebayo et al., 2018)",
        "https://arxiv.org/abs/1810.03292",
        "Gradient and Grad-CAM change when weights are randomised; Guided Backprop and Guided Grad-CAM hardly"
        " do. An erratum adds that randomising the lower layers does change Guided Backprop.",
        "The same check beside two others, on classifiers whose true cause is known, with intervals.",
    ),
    Prior(
        "Criticism of that check (Yona and Greenfeld, 2021; Binder et al., 2022)",
        "https://arxiv.org/abs/2211.12486",
        "Uninformative maps score well, and randomisation from the top keeps the scale of activations;"
        " conclusions may be artefacts of the task (2110.14297).",
        "One of three rankings, never the only one; their agreement is measured too.",
    ),
    Prior(
        "RISE (Petsiuk et al., 2018)",
        "https://arxiv.org/abs/1806.07421",
        "Deletion 0.105, insertion 0.772 on 10,000 ImageNet images, ResNet-50, in the authors' notebook.",
        "Both areas for every method and for the controls, an edge detector among them.",
    ),
    Prior(
        "Pointing game (Zhang et al., 2016; numbers of Fong et al., 2019)",
        "https://arxiv.org/abs/1608.00507",
        "On VOC07 with a VGG-16: centre alone 69.6 %, gradient 76.3 %, Grad-CAM 86.6 %, RISE 86.9 %.",
        "Objects are placed uniformly, so the centre is a poor guess.",
    ),
)
