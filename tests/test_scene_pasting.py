"""Scenes pasted and mixed: every arm's own mask, its no-op, targets, scenes, measures."""

import copy
import itertools
from types import SimpleNamespace

import pytest
import torch

from mlcv_explore.models import detection, scene_pasting

KINDS = ("none", "object", "image", "mixed", "blended")


def trainer(kind: str, seed: int = 0, share: float = 0.5) -> scene_pasting.SceneTrainer:
    settings = SimpleNamespace(scenes=40, paste_share=share, paste_depth=1, weight=0.5)
    return scene_pasting.SceneTrainer(f"paste_{kind}", settings, seed)


def test_without_pasting_every_arm_is_the_plain_one_bit_for_bit() -> None:
    states = {}
    for share, kind in itertools.product((0.0, 1.0), KINDS):
        trained = trainer(kind, share=share)
        trained.train_to(2)
        states[share, kind] = torch.cat([each.detach().flatten() for each in trained.network.parameters()])
    equal = [kind for (_, kind), state in states.items() if torch.equal(state, states[0.0, "none"])]
    assert equal == [*KINDS, "none"]


def test_cells_learn_the_objects_that_are_visible_after_pasting(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, seen = trainer("object", share=1.0), []
    real = detection.detection_targets
    monkeypatch.setattr(detection, "detection_targets", lambda *given: seen.append(given) or real(*given))
    own, partner = copy.deepcopy(trained).next_batch()
    trained.train_to(1)
    (labels, (left, pasted), boxes, _), masks = seen[0], trained.scenes.masks
    assert torch.equal(pasted, masks[partner]) and torch.equal(left, masks[own] * (1 - masks[partner]))
    for values, given in ((trained.scenes.labels, labels), (trained.scenes.boxes, boxes)):
        assert torch.equal(given[0], values[own]) and torch.equal(given[1], values[partner])


def test_a_mixture_is_trained_on_the_classes_and_boxes_of_both_scenes_by_their_shares() -> None:
    """Scene by scene, by the formula written out: (L(own) + λ·L(partner))/(1 + λ)."""
    trained = trainer("blended")
    own, partner = trained.next_batch()
    scenes, changed = trained.scenes, torch.arange(32) % 2 == 0
    loss = trained._mixed_loss(own, partner, changed)
    parts = [(1 - changed / 3, own), (changed / 3, partner)]
    logits, cells = trained.network(sum(share.view(-1, 1, 1, 1) * scenes.images[at] for share, at in parts))
    by_hand = torch.zeros(())
    for share, places in parts:
        kinds, distances = detection.detection_targets(
            [scenes.labels[places]], [scenes.masks[places]], [scenes.boxes[places]], 4
        )
        by_hand += detection.detection_loss(cells, kinds, distances, share)
        crossed = torch.nn.functional.cross_entropy(logits, scenes.labels[places], reduction="none")
        by_hand += (share * crossed).mean()
    torch.testing.assert_close(loss, by_hand, rtol=1e-4, atol=1e-5)


def test_arms_of_a_seed_see_the_same_scenes_and_never_a_scene_with_itself() -> None:
    trainers = [trainer(kind, 3) for kind in ("none", "object", "mixed")]
    batches = [torch.stack(each.next_batch()) for each in trainers]
    assert torch.equal(batches[0], batches[1]) and torch.equal(batches[0], batches[2])
    assert len(set(batches[0][0].tolist())) == 32
    for _ in range(100):  # in any epoch
        own, partner = trainers[0].next_batch()
        assert (own != partner).all()


def test_a_box_is_correct_only_with_its_class_and_half_an_overlap() -> None:
    test, trained = scene_pasting.generate(4, 0, "tested"), trainer("none")
    cells = torch.zeros(4, 9, 8, 8)
    cells[:, 5:] = detection.encode_boxes(test.boxes, 8)
    for row, label in enumerate(test.labels):
        cells[row, (label + (row == 1)) % 4, 4, 4] = 9.0  # the second has another class
    cells[2, 5:] += 2.0  # the third a box far too large
    logits = torch.nn.functional.one_hot((test.labels + 1) % 4, 4).float()
    trained.network = lambda _: (logits, cells)
    assert trained.evaluate(test) == [0.0, 0.5]
