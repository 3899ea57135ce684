"""Two tasks on one encoder: equal budgets, frozen encoders, what test images and unknown
pixels do not change.
"""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import nn

from mlcv_explore.data import OUTLINE, annotated_images, scenes
from mlcv_explore.data.annotated_images import AnnotatedImages
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.models.multitask import MultitaskSettings, MultitaskTrainer, Phase, schedule
from mlcv_explore.models.updates import in_parts, shuffled_batches
from mlcv_explore.seeds import stream

SETTINGS = MultitaskSettings(width=4, batch_size=8)
CLASSIFY, SEGMENT = Phase(("classify",), 4), Phase(("segment",), 4)


@pytest.mark.parametrize(
    ("mode", "budget", "expected"),
    [
        ("jointly", "encoder", [(("segment", "classify"), 7, False)]),
        ("jointly", "task", [(("segment", "classify"), 7, False)]),
        ("in turn", "encoder", [(("segment",), 3, False), (("classify",), 4, False)]),
        ("frozen", "encoder", [(("segment",), 7, False), (("classify",), 3, True)]),
        ("in turn", "task", [(("segment",), 7, False), (("classify",), 7, False)]),
        ("frozen", "task", [(("segment",), 7, False), (("classify",), 7, True)]),
    ],
)
def test_phases_have_equal_updates_of_the_encoder_or_of_each_task(
    mode: str, budget: str, expected: list[tuple[tuple[str, ...], int, bool]]
) -> None:
    assert schedule(("segment", "classify"), 7, mode, budget) == tuple(Phase(*phase) for phase in expected)
    assert schedule(("segment",), 7, mode, budget) == (Phase(("segment",), 7),)


@cache
def images(seed: int = 0, count: int = 60) -> AnnotatedImages:
    given = scenes.generate(ScenesConfig(smallest=0.35, largest=0.5), count, seed, "taught")
    return annotated_images.with_informative_backgrounds(given, 0.7, seed, "taught")


def finished(
    *phases: Phase, settings: MultitaskSettings = SETTINGS, test: AnnotatedImages | None = None
) -> MultitaskTrainer:
    trainer = MultitaskTrainer(phases, settings, images(), 0)
    list(trainer.train(images() if test is None else test))
    return trainer


def equal_weights(one: nn.Module, other: nn.Module, beside: str = "none") -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items() if beside not in name)


@pytest.mark.parametrize("second", ["segment", "detect"])
def test_a_second_task_of_weight_0_changes_nothing_of_the_classifier(second: str) -> None:
    both, alone = Phase(("classify", second), 4), finished(CLASSIFY)
    assert equal_weights(alone.network, finished(both, settings=replace(SETTINGS, weight=0.0)).network)
    assert not torch.equal(alone.network.stem[0].weight, finished(both).network.stem[0].weight)


def test_a_frozen_encoder_stays_and_loses_nothing_of_the_first_task() -> None:
    alone, frozen = finished(SEGMENT), finished(SEGMENT, replace(CLASSIFY, frozen=True))
    assert equal_weights(alone.network, frozen.network, "linear")
    assert not equal_weights(alone.network.linear, frozen.network.linear)
    assert frozen.first_scores == frozen.evaluate(images(), ("segment",))
    tuned = finished(SEGMENT, CLASSIFY)
    assert not torch.equal(alone.network.stem[0].weight, tuned.network.stem[0].weight)
    assert (tuned.tasks, tuned.updates) == (("segment", "classify"), 8)


def test_test_images_change_no_weight() -> None:
    one, other = (finished(CLASSIFY, SEGMENT, test=test) for test in (images(), images(5, 20)))
    assert equal_weights(one.network, other.network) and one.first_scores != other.first_scores


def test_outline_pixels_do_not_count() -> None:
    truth = images().masks.clone()
    truth[:, :, :16] = OUTLINE
    trainer = MultitaskTrainer((SEGMENT,), SETTINGS, replace(images(), masks=truth), 0)
    logits = trainer.predict(images().images[:8], ("segment",)).masks[:, :, 16:]
    by_hand = nn.functional.binary_cross_entropy_with_logits(logits, images().masks[:8, :, 16:].float())
    torch.testing.assert_close(trainer.loss(torch.arange(8), ("segment",)), by_hand)
    known = trainer.evaluate(replace(images(), masks=truth), ("segment",))
    assert known != trainer.evaluate(images(), ("segment",))


def test_updates_are_parted_as_evenly_as_can_be() -> None:
    done: list[int] = []
    updates = (done.append(step) for step in range(23))
    assert [len(done) for _ in in_parts(updates, 23, 10)] == [2, 4, 6, 9, 11, 13, 16, 18, 20, 23]


def test_batches_hold_every_example_once_before_any_comes_again() -> None:
    endless = shuffled_batches(10, 4, stream(0, "order"))
    for _ in range(3):
        rounds = [next(endless) for _ in range(3)]
        assert [len(phase) for phase in rounds] == [4, 4, 2]
        assert sorted(torch.cat(rounds).tolist()) == [*range(10)]
