"""Networks put together from the weights of two others: what one gives stays frozen."""

import copy
from collections.abc import Collection

from torch import nn


def transplanted(
    receiver: nn.Module, donor: nn.Module, parts: Collection[str]
) -> tuple[nn.Module, list[nn.Parameter]]:
    """A copy of `receiver` in which all weights whose names begin with one of `parts` are
    those of `donor`, a network of the same architecture; and its other parameters, which
    are left to train.
    """
    network, given, prefixes = copy.deepcopy(receiver), donor.state_dict(), tuple(parts)
    network.load_state_dict({name: given[name] for name in given if name.startswith(prefixes)}, strict=False)
    for name, value in network.named_parameters():
        value.requires_grad_(not name.startswith(prefixes))
    return network, [value for value in network.parameters() if value.requires_grad]
