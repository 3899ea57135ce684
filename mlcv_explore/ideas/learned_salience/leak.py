"""The leak test: can the class be told from a mask alone? A mask that knows more than
where the object is gives its label away (2103.01890).
"""

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import seeded, stream

EPOCHS, BATCH, RATE = 12, 32, 0.005
TAUGHT = 2 / 3  # of the masks; the others are decoded


def leak(masks: torch.Tensor, labels: torch.Tensor, classes: int, seed: int) -> float:
    """Accuracy of labels (n,) decoded from masks (n, h, w) that were not learned from,
    minus the share of the commonest label among them.

    A small convolutional network learns from the first two thirds. 0 where the masks
    say nothing, up to 1 minus that share; may be below 0 by chance.
    """
    values = masks.float()
    values = ((values - values.mean()) / values.std().clamp(min=1e-6))[:, None].contiguous(
        memory_format=torch.channels_last
    )
    network = seeded(seed, lambda: _decoder(classes), "decoder of masks")
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    count, chance = round(TAUGHT * len(values)), stream(seed, "order of the decoder of masks")
    for epoch in range(EPOCHS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - epoch / EPOCHS)
        for chosen in torch.randperm(count, generator=chance).split(BATCH):
            gradient_step(optimiser, functional.cross_entropy(network(values[chosen]), labels[chosen]))
    network.eval()
    with torch.no_grad():
        told = network(values[count:]).argmax(1)
    right = float((told == labels[count:]).float().mean())
    return right - float(labels[count:].bincount(minlength=classes).max()) / len(told)


def _decoder(classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 12), (12, 24), (24, 24)):
        layers += [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.MaxPool2d(2),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, classes))
