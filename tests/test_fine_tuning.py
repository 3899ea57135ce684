"""Fine-tuning chosen blocks: what is frozen stays, stored features change nothing, and a
search counts all that it tries.
"""

import copy
import itertools

import pytest
import torch
from torch.nn import functional

from mlcv_explore.models import block_network, fine_tuning
from mlcv_explore.models.block_network import BLOCKS, BlockNetwork
from mlcv_explore.models.fine_tuning import Examples
from mlcv_explore.models.tuned_networks import ALL, TunedNetworks
from mlcv_explore.models.tuning_search import EVERYTHING, HEAD_ONLY, TuningSearch
from mlcv_explore.seeds import stream
from tests.calls import recorded

UPDATES, RATE = 6, 0.01


@pytest.fixture(scope="module")
def network() -> BlockNetwork:
    images, labels = drawn(60, 0)
    start = block_network.small(1, 8, 4, 3, 0)
    return fine_tuning.pretrained(start, images, labels, 2, 0)


def drawn(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images of three classes that differ in brightness."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randint(3, (count,), generator=draws)
    return torch.rand(count, 1, 8, 8, generator=draws) * (labels[:, None, None, None] + 1) / 3, labels


def given(network: BlockNetwork, seed: int = 1) -> Examples:
    return fine_tuning.examples(network, *drawn(40, seed))


def tuned(network: BlockNetwork, pattern: tuple[bool, ...], updates: int = UPDATES) -> BlockNetwork:
    return fine_tuning.tuned(network, pattern, given(network), updates, RATE, RATE, stream(0, "tuning"))


@pytest.mark.parametrize("pattern", ALL)
def test_frozen_parameters_and_statistics_stay_bit_for_bit(
    network: BlockNetwork, pattern: tuple[bool, ...]
) -> None:
    before = copy.deepcopy(network.state_dict())
    after = tuned(network, pattern)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    for place, trained in enumerate(pattern):
        own = after.blocks[place].state_dict()
        same = {name: torch.equal(value, before[f"blocks.{place}.{name}"]) for name, value in own.items()}
        assert all(same.values()) if not trained else not same["0.weight"]
        assert same["1.running_mean"] and same["1.running_var"]
    assert not torch.equal(after.head.weight, before["head.weight"])
    moved = fine_tuning.moved(network, after)
    assert [change > 0 for change in moved] == list(pattern)


def test_stored_features_change_nothing_but_time(network: BlockNetwork) -> None:
    """A slow reference: the whole network in every update, the frozen part without gradients."""
    images, labels = drawn(40, 1)
    for pattern in ((False, False, True, True), HEAD_ONLY, (False, True, False, False)):
        slow, draws = copy.deepcopy(network), stream(0, "tuning")
        weights = [slow.head, *(block for block, on in zip(slow.blocks, pattern, strict=True) if on)]
        slow.requires_grad_(False)
        for part in weights:
            part.requires_grad_(True)
        optimiser = torch.optim.Adam([value for part in weights for value in part.parameters()], RATE)
        for _ in range(UPDATES):
            batch = torch.randint(40, (fine_tuning.BATCH,), generator=draws)
            optimiser.zero_grad()
            functional.cross_entropy(slow(images[batch]), labels[batch]).backward()
            optimiser.step()
        fast = tuned(network, pattern)
        for name, value in fast.state_dict().items():
            assert torch.allclose(value, slow.state_dict()[name], atol=1e-5), (pattern, name)


def test_the_head_alone_is_logistic_regression_on_stored_features(network: BlockNetwork) -> None:
    examples = given(network)
    features = examples.inputs[BLOCKS].mean((2, 3))
    weight, bias = (value.detach().clone().requires_grad_(True) for value in network.head.parameters())
    optimiser, draws = torch.optim.Adam([weight, bias], RATE), stream(0, "tuning")
    for _ in range(UPDATES):
        batch = torch.randint(40, (fine_tuning.BATCH,), generator=draws)
        optimiser.zero_grad()
        functional.cross_entropy(features[batch] @ weight.T + bias, examples.labels[batch]).backward()
        optimiser.step()
    own = tuned(network, HEAD_ONLY).head
    assert torch.allclose(own.weight, weight, atol=1e-6) and torch.allclose(own.bias, bias, atol=1e-6)


def test_no_updates_leave_the_source_and_its_accuracy(network: BlockNetwork) -> None:
    for pattern in (HEAD_ONLY, EVERYTHING):
        after = tuned(network, pattern, updates=0)
        for name, value in after.state_dict().items():
            assert torch.equal(value, network.state_dict()[name])
    tested = given(network, 2)
    expected = (network(tested.inputs[0]).argmax(1) == tested.labels).float().mean()
    for place in range(BLOCKS + 1):
        assert fine_tuning.accuracy(network, tested, place) == pytest.approx(float(expected))


def test_permuted_labels_are_restored_by_permuting_the_heads_rows(network: BlockNetwork) -> None:
    tested, order = given(network, 2), torch.tensor([2, 0, 1])
    permuted = Examples(tested.inputs, order[tested.labels])
    restored = copy.deepcopy(network)
    with torch.no_grad():
        restored.head.weight[order], restored.head.bias[order] = network.head.weight, network.head.bias
    assert fine_tuning.accuracy(restored, permuted) == fine_tuning.accuracy(network, tested)


def test_reordered_rows_restore_permuted_labels_and_leave_labels_as_they_are(network: BlockNetwork) -> None:
    tested, order = given(network, 2), torch.tensor([2, 0, 1])
    known = Examples(tested.inputs, network(tested.inputs[0]).argmax(1))
    assert fine_tuning.accuracy(fine_tuning.reordered(network, known), known) == 1
    permuted = Examples(tested.inputs, order[known.labels])
    restored = fine_tuning.reordered(network, permuted)
    assert fine_tuning.accuracy(restored, permuted) == 1 and fine_tuning.accuracy(network, permuted) == 0
    assert torch.equal(restored.head.bias.sort().values, network.head.bias.sort().values)
    assert torch.equal(restored.blocks[0][0].weight, network.blocks[0][0].weight)


def test_trained_and_frozen_parameters_are_all(network: BlockNetwork) -> None:
    for pattern in ALL:
        rest = tuple(not trained for trained in pattern)
        head = fine_tuning.count(network, HEAD_ONLY)
        assert fine_tuning.count(network, pattern) + fine_tuning.count(network, rest) - head == sum(
            value.numel() for value in network.parameters()
        )


def test_scales_alone_are_trained_and_no_convolution(network: BlockNetwork) -> None:
    merged = block_network.merged(network)
    about = UPDATES, RATE, RATE, stream(0, "tuning")
    after = fine_tuning.with_tuned_scales(merged, fine_tuning.examples(merged, *drawn(40, 1)), *about)
    for block, own in zip(merged.blocks, after.blocks, strict=True):
        assert torch.equal(own[0].convolution.weight, block[0].weight)
        assert not torch.equal(own[0].scale, torch.ones_like(own[0].scale))
    assert all(change > 0 for change in fine_tuning.moved(merged, after))


@pytest.fixture
def search(network: BlockNetwork) -> TuningSearch:
    merged = block_network.merged(network)
    parts = [fine_tuning.examples(merged, *drawn(count, seed)) for count, seed in ((40, 1), (30, 2), (50, 3))]
    return TuningSearch(merged, parts, UPDATES, (0.001, 0.01, 0.1), 1, 0)


def test_the_learning_rate_is_chosen_on_validation_and_the_test_part_is_used_once(
    search: TuningSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = recorded(monkeypatch, fine_tuning, "accuracy")
    outcome = search.pattern(EVERYTHING)
    sizes = [len(tested.labels) for _, tested, *_ in calls]
    assert sizes == [30, 30, 30, 50] and outcome.updates == 3 * UPDATES
    networks = [
        fine_tuning.tuned(search.network, EVERYTHING, search.train, UPDATES, rate, rate, stream(0, "tuning"))
        for rate in search.rates
    ]
    scores = [fine_tuning.accuracy(network, search.validation) for network in networks]
    best = scores.index(max(scores))
    assert (outcome.rate, outcome.validation) == (search.rates[best], max(scores))
    assert outcome.test == fine_tuning.accuracy(networks[best], search.test)
    assert outcome.moved == fine_tuning.moved(search.network, networks[best])
    assert search.pattern(EVERYTHING) is outcome and len(calls) == 4 + len(networks) + 1
    again = search.at(EVERYTHING)
    assert all(
        torch.equal(one, two)
        for one, two in zip(again.parameters(), networks[best].parameters(), strict=True)
    )


def test_every_pattern_sees_the_same_batches(search: TuningSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch, fine_tuning, "tuned")
    search.pattern(HEAD_ONLY)
    search.pattern(EVERYTHING)
    search.head_then_all()
    updates = [call[3] for call in calls]
    assert updates == [UPDATES] * 6 + [UPDATES // 2] * 6
    assert all(call[4] == call[5] for call in calls)  # the head's rate is that of the blocks


def test_greedy_adds_blocks_while_validation_rises_and_counts_all_it_tries(search: TuningSearch) -> None:
    def value(pattern: tuple[bool, ...]) -> float:
        return {0: 0.5, 1: 0.6, 2: 0.7, 3: 0.7, 4: 0.9}[sum(pattern)] - 0.01 * pattern[0] + 0.02 * pattern[2]

    one = search.pattern(HEAD_ONLY)
    search.known = {
        pattern: type(one)(0.01, value(pattern), float(place), 10, [])
        for place, pattern in enumerate(itertools.product((False, True), repeat=BLOCKS))
    }
    best = search.greedy()
    assert best.test == ALL.index((False, True, True, False))  # block 3, then 2; a third does not help
    assert best.updates == 10 * (1 + 4 + 3 + 2)


def test_what_ships_are_the_networks_as_they_were_tuned(search: TuningSearch) -> None:
    store = TunedNetworks(1, 8, 4, {"corruption": 3}, 1)
    store.before["corruption"], images = search.network, search.test.inputs[0]
    for pattern in ((True, False, False, True), HEAD_ONLY):
        network = search.at(pattern)
        store.keep("corruption", pattern, network)
        assert torch.equal(
            store.tuned("corruption", pattern)(search.test.inputs[0]), network(search.test.inputs[0])
        )
    again = TunedNetworks(**store.arguments)
    again.load_state_dict(store.state_dict())
    for pattern in ALL:
        values = [each.tuned("corruption", pattern)(images) for each in (store, again)]
        assert torch.equal(*values)
    assert sum(store.shares("corruption")) == pytest.approx(
        1 - fine_tuning.count(search.network, HEAD_ONLY) / fine_tuning.count(search.network, EVERYTHING)
    )
