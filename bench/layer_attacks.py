"""Attacks from every site against Captum's, with equal steps and restarts.

    python -m bench.layer_attacks

One process, one thread, processor time. Both search the same tails for the same images at
the same radius: `attacks.search` all restarts and examples in one batch; Captum's PGD one
restart after another, its loss the same margin, each from the image itself, since its random
starts fail for batches of maps. Printed are seconds, their
ratio, and the mean lowest margin that either found.
"""

import json
import sys
import time
from collections.abc import Callable

import torch
from captum.robust import PGD

from mlcv_explore.data import gallery, uploads
from mlcv_explore.ideas.layer_attacks import LayerAttacksConfig, training
from mlcv_explore.models import attacks, available_models, layers
from mlcv_explore.models.attacks import Attack, margins
from mlcv_explore.seeds import stream

STEPS, RESTARTS = 20, 3
SIZE = 0.5  # radius, share of the norm of the activations' deviation
NETWORKS = ("digits", "cifar10/0", "imagenet")


def subjects(name: str) -> tuple[layers.Chain, list[torch.Tensor]]:
    """A chain and activations of some images at its sites."""
    if name == "digits":
        one = training.prepare(LayerAttacksConfig(), 0)
        return one.chain, [site.attacked for site in one.sites]
    model = available_models.load(name)
    arrays = [
        uploads.resized_to_square(each.read().pixels, model.side) for each in gallery.photographs().values()
    ]
    chain = layers.chain(model.network, name)
    with torch.no_grad():
        return chain, chain.activations(torch.stack(list(map(torch.from_numpy, arrays[:4]))))


def timed(search: Callable[[], torch.Tensor]) -> tuple[float, float]:
    """Processor seconds, and the mean margin."""
    started = time.process_time()
    found = search()
    return time.process_time() - started, float(found.mean())


def captum(tail: attacks.Tail, start: torch.Tensor, labels: torch.Tensor, radius: float) -> torch.Tensor:
    """The lowest margins of RESTARTS searches in turn (B,)."""
    search = PGD(tail, loss_func=lambda logits, target: -margins(logits, target))
    length = radius * attacks.STEP / STEPS
    moved = [search.perturb(start, radius, length, STEPS, labels, norm="L2") for _ in range(RESTARTS)]
    return torch.stack([margins(tail(values), labels).detach() for values in moved]).amin(0)


def compare(chain: layers.Chain, site: int, start: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Seconds and margins of both at one site."""
    tail, attack = chain.tail(site), Attack(steps=STEPS, restarts=RESTARTS)
    radius = SIZE * float((start - start.mean(0)).flatten(1).norm(dim=1).median())
    bound, draws = torch.full((len(start),), radius), stream(0, "bench")
    ours, margin = timed(lambda: attacks.search(tail, start, labels, bound, attack, draws)[0])
    theirs, other = timed(lambda: captum(tail, start, labels, radius))
    times = {"seconds": ours, "captum": theirs, "captum / ours": theirs / ours}
    return times | {"margin": margin, "captum's margin": other}


def main() -> None:
    """Print one JSON object a network and site."""
    torch.set_num_threads(1)
    for name in NETWORKS:
        chain, values = subjects(name)
        labels = values[-1].argmax(1)
        for site, start in list(enumerate(values))[:: 1 if name == "digits" else 3]:
            report = {"network": name, "site": chain.names[site], "images": len(start)}
            json.dump(report | compare(chain, site, start.contiguous(), labels), sys.stdout)
            print(flush=True)


if __name__ == "__main__":
    main()
