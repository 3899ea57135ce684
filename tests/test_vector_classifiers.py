"""Small classifiers of vectors."""

from functools import partial

import numpy as np
import pytest
import torch

from mlcv_explore.data import glyphs, strokes
from mlcv_explore.data.vectors import table_parts
from mlcv_explore.models.vector_classifiers import build, predict_logits, random_sums, train, with_removals
from mlcv_explore.seeds import stream


@pytest.mark.parametrize(("size", "side"), [(256, 16), (64, 8), (13, 0)])
def test_vectors_become_logits(size: int, side: int) -> None:
    assert build(size, 3, side)(torch.zeros(2, size)).shape == (2, 3)


def test_training_learns_images_and_tables_and_comes_out_equal_twice() -> None:
    rules = glyphs.grammar(0)
    items, test = (glyphs.generate(rules, 300, 0, purpose) for purpose in ("train", "test"))
    network = train(items, 10, 16, 5, 0, "a test")
    assert (predict_logits(network, test.values).argmax(1) == test.labels).mean() > 0.8
    again, other = (train(items, 10, 16, 1, 0, purpose) for purpose in ("a test", "another"))
    assert not torch.equal(again[-1].weight, other[-1].weight)
    (rows, _, _, held_out), classes, _ = table_parts("wine", (3, 1, 1, 1), 0)
    network = train(rows, len(classes), 0, 30, 0, "a test")
    assert (predict_logits(network, held_out.values).argmax(1) == held_out.labels).mean() > 0.9
    assert not network.training and not network[0].weight.requires_grad


def test_batches_are_trained_on_as_augmented() -> None:
    items, seen = glyphs.generate(glyphs.grammar(0), 70, 0, "train"), []

    def flipped(batch: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(len(batch))
        return batch, torch.roll(target, 1, 1)

    network = train(items, 10, 16, 20, 0, "a test", flipped)
    assert seen == [50, 20] * 20
    wrong = (items.labels + 1) % 10
    assert (predict_logits(network, items.values).argmax(1) == wrong).mean() > 0.5


def test_after_training_with_removals_a_blank_has_no_class() -> None:
    items, atoms = (
        glyphs.generate(glyphs.grammar(0), 60, 0, "train"),
        torch.from_numpy(np.array(strokes.placed(16))),
    )
    augment = partial(with_removals, atoms=atoms, generator=stream(0, "disturbed"))
    batch, target = torch.from_numpy(items.values), torch.eye(10)[items.labels]
    inputs, targets = augment(batch, target)
    changed = (inputs[:60] - batch).norm(dim=1) / batch.norm(dim=1)
    assert 10 < (changed == 0).sum() < 50 and changed.max() <= 1 + 1e-5  # half of them, up to their energy
    torch.testing.assert_close(targets, torch.cat([target, torch.full((60, 10), 0.1)]))
    assert (inputs[60:].norm(dim=1) > 0).all()
    network = train(items, 10, 16, 4, 0, "judge", augment)
    shares = torch.softmax(torch.from_numpy(predict_logits(network, np.zeros((1, 256)))), 1)
    assert (shares - 0.1).abs().max() < 0.05


def test_random_sums_are_unit_vectors_of_a_few_atoms() -> None:
    sums = random_sums(torch.eye(50), 7, stream(0, "sums"))
    torch.testing.assert_close(sums.norm(dim=1), torch.ones(7))
    assert (sums >= 0).all() and set((sums > 0).sum(1).tolist()) <= {4, 5, 6}
    assert random_sums(torch.eye(3), 2, stream(0, "sums")).shape == (2, 3)
