"""Nearest neighbours of features, what they vote, and from which layer on their votes are
the prediction.

Source: R. Baldock et al., 2021, https://arxiv.org/abs/2106.09647.
"""

import torch

CHUNK = 1000  # queries at a time


def nearest(
    references: torch.Tensor, queries: torch.Tensor, count: int, skip_first: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances and places (m, count) of the nearest of some references (n, d) to queries
    (m, d), nearest first; `skip_first` where the queries are the references themselves.

    Raises ValueError where there are fewer references.
    """
    most = len(references) - skip_first
    if not 1 <= count <= most:
        raise ValueError(f"neighbours must be between 1 and {most}, the images to compare with, got {count}.")
    # distances without roots or the queries' own length: the order is the same
    lengths = references.square().sum(1)
    parts = []
    for part in queries.split(CHUNK):
        squared = torch.addmm(lengths, part, references.T, alpha=-2)
        values, places = squared.topk(count + skip_first, dim=1, largest=False)
        distances = (values + part.square().sum(1, keepdim=True)).clamp_min(0).sqrt()
        parts.append((distances[:, int(skip_first) :], places[:, int(skip_first) :]))
    return tuple(torch.cat(values) for values in zip(*parts, strict=True))


def votes(labels: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The class (m,) that most of the neighbours at these places (m, k) have; of several,
    the one of the nearest neighbour among them.
    """
    own = labels[places]
    counts = (own[:, :, None] == own[:, None, :]).sum(2)
    return own.gather(1, counts.argmax(1, keepdim=True))[:, 0]


def prediction_depth(probes: torch.Tensor, predictions: torch.Tensor) -> torch.Tensor:
    """The number (n,) of layers below the first from which all layers' votes (L, n) are the
    final prediction (n,): 0 where all are, L where the last is not.
    """
    wrong = probes != predictions
    numbers = torch.arange(1, len(probes) + 1)[:, None]
    return (wrong * numbers).amax(0)
