"""The leak test: can the class be decoded from a mask alone? Masks that encode more
than the object's place give the label away (Jethani et al., 2103.01890).
"""

import torch
from torch import nn
from torch.nn import functional

from mlcv_explore.models.stacked import gradient_step
from mlcv_explore.seeds import seeded, stream

EPOCHS, BATCH, RATE = 12, 32, 0.005
TRAINED = 2 / 3  # share of the masks; the others are the test


def leak(masks: torch.Tensor, labels: torch.Tensor, classes: int, seed: int) -> float:
    """Test accuracy of labels int64 (n,) decoded from masks (n, h, w) by a small
    convolutional network, minus the share of the commonest test label.

    0 where masks hold no information; may be below 0 by chance.
    """
    values = masks.float()
    values = ((values - values.mean()) / values.std().clamp(min=1e-6))[:, None].contiguous(
        memory_format=torch.channels_last
    )
    network = seeded(seed, lambda: _decoder(classes), "decoder of masks")
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    count, order = round(TRAINED * len(values)), stream(seed, "order of the decoder of masks")
    for epoch in range(EPOCHS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - epoch / EPOCHS)
        for chosen in torch.randperm(count, generator=order).split(BATCH):
            gradient_step(optimiser, functional.cross_entropy(network(values[chosen]), labels[chosen]))
    network.eval()
    with torch.no_grad():
        predicted = network(values[count:]).argmax(1)
    accuracy = float((predicted == labels[count:]).float().mean())
    return accuracy - float(labels[count:].bincount(minlength=classes).max()) / len(predicted)


def _decoder(classes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 12), (12, 24), (24, 24)):
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, classes))
