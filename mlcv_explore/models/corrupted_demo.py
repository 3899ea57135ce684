"""Groups of trained networks on one image and on test images, at every severity of a
corruption: what a page shows of them.
"""

from dataclasses import dataclass, field

import numpy as np
import torch

from mlcv_explore.data.corruptions import KINDS, corrupted
from mlcv_explore.metrics import between_networks
from mlcv_explore.metrics.between_networks import Spread
from mlcv_explore.models import corrupted_features, test_time_adaptation
from mlcv_explore.models.corrupted_splits import CLEAN, CorruptedSplit
from mlcv_explore.models.normalised_networks import NormalisedNetworks
from mlcv_explore.seeds import numpy_stream

TESTED = 300  # images
SEVERITIES = range(6)
BATCH = 100  # images that are normalised together


@dataclass(frozen=True, eq=False)
class CorruptedDemo:
    """Networks in groups of equal size, on images that none of them was trained on. Of
    photographs the features ship, clean and at one severity, so they are not adapted.
    """

    networks: NormalisedNetworks
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    split: CorruptedSplit
    photographs: bool
    _inputs: dict[tuple[str, int], torch.Tensor] = field(default_factory=dict)
    _spreads: dict[tuple[str, int, bool], tuple[Spread, ...]] = field(default_factory=dict)

    @property
    def truth(self) -> np.ndarray:
        """(n,) classes of the test images."""
        return self.split.truth[:TESTED]

    @property
    def images(self) -> np.ndarray:
        """The test images (n, C, h, w) uint8; not of photographs."""
        return (self.split.tests[CLEAN][:TESTED] * 255).round().byte().numpy()

    def of(self, values: np.ndarray, group: int) -> np.ndarray:
        """One group's part of what leads with the networks."""
        each = self.networks.count // len(self.groups)
        return values[each * group : each * (group + 1)]

    def fan(self, image: np.ndarray, kind: str, adapted: bool = False) -> np.ndarray:
        """Probabilities (networks, 6, K) of an image (C, h, w) uint8 at severities 0 to 5;
        `adapted`: normalised together with test images of that severity.
        """
        images = np.concatenate([corrupted(image[None], kind, severity) for severity in SEVERITIES])
        if self.photographs:
            return self.networks.predict(corrupted_features.projected(images)).softmax(-1).numpy()
        inputs = torch.from_numpy(images).float() / 255
        if not adapted:
            return self.networks.predict(inputs).softmax(-1).numpy()
        found = []
        for own, severity in zip(inputs, SEVERITIES, strict=True):
            batch = torch.cat([own[None], self.inputs(kind, severity)[1:BATCH]])
            batches = [batch.expand(self.networks.count, *batch.shape)]
            found.append(test_time_adaptation.reestimated(self.networks, batches, axis=1)[:, 0])
        return torch.stack(found, 1).softmax(-1).numpy()

    def spreads(self, kind: str, severity: int, adapted: bool = False) -> tuple[Spread, ...]:
        """How differently each group's networks behave on the test images; computed once."""
        if (asked := (kind, severity, adapted)) not in self._spreads:
            self._spreads[asked] = self._spread(*asked)
        return self._spreads[asked]

    def _spread(self, kind: str, severity: int, adapted: bool) -> tuple[Spread, ...]:
        inputs, draws = self.inputs(kind, severity), numpy_stream(0, "demo bootstrap")
        orders = torch.arange(len(inputs)).expand(self.networks.count, -1)
        about = orders, BATCH, None, int(adapted)
        found = test_time_adaptation.predictions("bn", self.networks, inputs, *about).numpy()
        each = (self.of(found, group) for group in range(len(self.groups)))
        return tuple(between_networks.spread(own, self.truth, draws) for own in each)

    def inputs(self, kind: str, severity: int) -> torch.Tensor:
        """The test images as networks read them (n, …). Raises ValueError for another kind."""
        if kind not in KINDS:
            raise ValueError(f"corruption must be one of {', '.join(KINDS)}, got {kind!r}.")
        if self.photographs or not severity:
            return self.split.tests[kind if severity else CLEAN][:TESTED]
        if (kind, severity) not in self._inputs:
            changed = torch.from_numpy(corrupted(self.images, kind, severity)).float() / 255
            self._inputs[kind, severity] = changed
        return self._inputs[kind, severity]
