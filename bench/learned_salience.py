"""Learned salience of one picture against Grad-CAM and against a mask optimised for it,
on the same classifier.

`python -m bench.learned_salience`. The gallery's first photograph as `cifar10/0` sees
it, 32×32, one thread. Learned salience gives the answer too, in one pass; Grad-CAM of
the answer needs a pass to know it, so it is timed with and without that. The optimised
mask takes 300 steps, as published (Fong and Vedaldi, 2017), and 100, as in the runs of
idea 16. All take turns; printed are medians of the thread's own time.
"""

import statistics
import time
from collections.abc import Callable

import torch

from mlcv_explore.data import uploads
from mlcv_explore.data.gallery import photographs
from mlcv_explore.ideas.learned_salience import shipped
from mlcv_explore.ideas.learned_salience.masker import MaskerSettings, optimised
from mlcv_explore.saliency import SaliencySettings, methods

TURNS, CLASSIFIER = 15, "cifar10/0"


def main() -> None:
    """Print every median and the ratios."""
    torch.set_num_threads(1)
    network, model = shipped.load(CLASSIFIER)
    seen = uploads.resized_to_square(next(iter(photographs().values())).read().pixels, model.side)
    picture, how = torch.from_numpy(seen), SaliencySettings()
    settings = MaskerSettings()

    def answer() -> int:
        with torch.no_grad():
            return int(model.network(picture[None]).argmax())

    target = answer()
    measured: dict[str, Callable[[], object]] = {
        "forward pass": answer,
        "learned salience, with the answer": lambda: shipped.look(network, model, seen, 4.0),
        "Grad-CAM of a known class": lambda: methods.grad_cam(model.network, picture, target, how),
        "Grad-CAM, with the answer": lambda: methods.grad_cam(model.network, picture, answer(), how),
        "optimised mask, 100 steps": lambda: optimised(model.network, picture[None], settings, 0, 100),
        "optimised mask, 300 steps": lambda: optimised(model.network, picture[None], settings, 0, 300),
    }
    found: dict[str, list[float]] = {name: [] for name in measured}
    for turn in range(TURNS):
        for name, make in measured.items():
            if name.startswith("optimised") and turn % 5:
                continue
            started = time.thread_time()
            make()
            found[name].append(time.thread_time() - started)
    medians = {name: 1000 * statistics.median(values) for name, values in found.items()}
    for name, milliseconds in medians.items():
        print(f"{name:36}{milliseconds:10.2f} ms")
    learned = medians["learned salience, with the answer"]
    print(
        f"learned ÷ Grad-CAM of a known class  {learned / medians['Grad-CAM of a known class']:10.2f}  "
        " (target ≤ 3)"
    )
    print(f"learned ÷ Grad-CAM, with the answer  {learned / medians['Grad-CAM, with the answer']:10.2f}")
    for steps in (100, 300):
        print(
            f"optimised, {steps} steps ÷ learned     "
            f" {medians[f'optimised mask, {steps} steps'] / learned:10.0f}   (target ≥ 100)"
        )


if __name__ == "__main__":
    main()
