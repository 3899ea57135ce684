"""Partners have the requested class, are never the example itself and uniformly drawn."""

import itertools

import numpy as np
import pytest
import torch

from mlcv_explore.data.partners import partner_batches, sample_partners
from mlcv_explore.seeds import numpy_stream

KINDS = ("any", "same", "other")


@pytest.mark.parametrize("kind", KINDS)
def test_partners_have_the_requested_class_differ_and_are_never_the_example_itself(kind: str):
    labels = np.repeat(np.arange(4), 5)
    for draw in range(20):
        partners = sample_partners(kind, labels, 3, numpy_stream(draw, "partners"))
        assert partners.shape == (20, 3)
        assert all(len({own, *row}) == 4 for own, row in enumerate(partners))
        classes = labels[partners]
        if kind == "same":
            assert (classes == labels[:, None]).all()
        if kind == "other":
            assert all(len({labels[own], *row}) == 4 for own, row in enumerate(classes))


def test_partners_are_uniform():
    labels, draws = np.repeat(np.arange(3), [2, 4, 6]), 3000
    counts = {kind: np.zeros((12, 12)) for kind in KINDS}
    for draw in range(draws):
        for kind, table in counts.items():
            partners = sample_partners(kind, labels, 1, numpy_stream(draw, "even"))[:, 0]
            table[np.arange(12), partners] += 1 / draws
    assert np.abs(counts["any"][~np.eye(12, dtype=bool)] - 1 / 11).max() < 0.03
    np.testing.assert_allclose(counts["same"][:2, :2], np.eye(2)[::-1])
    assert np.abs(counts["other"][0, 2:6] - 1 / 8).max() < 0.03
    assert np.abs(counts["other"][0, 6:] - 1 / 12).max() < 0.03


def test_an_epoch_has_every_example_once_with_the_labels_of_its_partners():
    inputs, places = torch.arange(100.0)[:, None], np.stack([np.arange(0, 24, 2), np.arange(1, 25, 2)])
    classes = places % 3
    labels = torch.nn.functional.one_hot(torch.from_numpy(classes), 3).float()
    batches = partner_batches(inputs, places, classes, labels, (0, 1), 4, 2)
    for _ in range(2):
        epoch = list(itertools.islice(batches, 3))
        seen = torch.cat([batch.inputs for batch in epoch], dim=1)[..., 0]
        assert torch.equal(seen.sort().values, torch.from_numpy(places).float())
        for batch in epoch:
            partners = batch.partners.unflatten(1, (2, 4))[..., 0].long()
            assert torch.equal(batch.partner_labels.argmax(-1), partners % 3)
            assert (partners != batch.inputs[:, None, :, 0]).all() and (
                partners[:, 0] != partners[:, 1]
            ).all()
            assert torch.equal(batch.labels.argmax(-1), batch.inputs[..., 0].long() % 3)
            torch.testing.assert_close(batch.unrelated_labels.sum(-1), torch.ones(2, 4))
    alone = next(partner_batches(inputs, places, classes, labels, (0, 1), 4, 0))
    assert alone.partners.shape[1] == 0 and alone.inputs.shape == (2, 4, 1)
