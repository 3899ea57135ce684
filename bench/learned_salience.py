"""A learned mask of one image against Grad-CAM and a mask optimised for it, on the same
classifier.

`python -m bench.learned_salience`. The gallery's first photograph, 32 × 32, for
`cifar10/0`, one thread. The mask network predicts the class in the same pass; Grad-CAM is
timed with and without that pass. The optimised mask takes 300 steps, as published (Fong
and Vedaldi, 2017), and 100, as in the runs. All alternate; printed are medians of the
thread's own time.
"""

import statistics
import time
from collections.abc import Callable

import torch

from mlcv_explore.data import uploads
from mlcv_explore.data.gallery import photographs
from mlcv_explore.saliency import SaliencySettings, learned_masks, methods
from mlcv_explore.saliency.mask_network import MaskSettings, optimise_masks

TURNS, CLASSIFIER = 15, "cifar10/0"


def main() -> None:
    """Print every median and the ratios."""
    torch.set_num_threads(1)
    network, model = learned_masks.load(CLASSIFIER)
    given = uploads.resized_to_square(next(iter(photographs().values())).read().pixels, model.side)
    image, settings, masks = torch.from_numpy(given), SaliencySettings(), MaskSettings()

    def predict() -> int:
        with torch.no_grad():
            return int(model.network(image[None]).argmax())

    target = predict()
    timed: dict[str, Callable[[], object]] = {
        "forward pass": predict,
        "learned mask, with the class": lambda: learned_masks.explain(network, model, given, 4.0),
        "Grad-CAM of a known class": lambda: methods.grad_cam(model.network, image, target, settings),
        "Grad-CAM, with the class": lambda: methods.grad_cam(model.network, image, predict(), settings),
        "optimised mask, 100 steps": lambda: optimise_masks(model.network, image[None], masks, 0, 100),
        "optimised mask, 300 steps": lambda: optimise_masks(model.network, image[None], masks, 0, 300),
    }
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for turn in range(TURNS):
        for name, call in timed.items():
            if name.startswith("optimised") and turn % 5:
                continue
            started = time.thread_time()
            call()
            seconds[name].append(time.thread_time() - started)
    medians = {name: 1000 * statistics.median(values) for name, values in seconds.items()}
    for name, milliseconds in medians.items():
        print(f"{name:36}{milliseconds:10.2f} ms")
    learned = medians["learned mask, with the class"]
    for name, target_text in (
        ("Grad-CAM of a known class", "  (target ≤ 3)"),
        ("Grad-CAM, with the class", ""),
    ):
        print(f"learned ÷ {name:26}{learned / medians[name]:10.2f}{target_text}")
    for steps in (100, 300):
        ratio = medians[f"optimised mask, {steps} steps"] / learned
        print(f"{f'optimised, {steps} steps ÷ learned':36}{ratio:10.0f}  (target ≥ 100)")


if __name__ == "__main__":
    main()
