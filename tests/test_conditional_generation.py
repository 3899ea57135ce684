"""Generators of images: what each loss learns, codes, a first estimate."""

import numpy as np
import pytest
import torch

from mlcv_explore.data.dataset import to_float
from mlcv_explore.data.masked_images import generate
from mlcv_explore.data.scenes import ScenesConfig
from mlcv_explore.metrics.image_quality import psnr
from mlcv_explore.models import conditional_generation as generation
from mlcv_explore.seeds import seeded, stream

SCENES = generate(ScenesConfig(), 3, 0, "of a test")
MASKS = SCENES.objects[:, None].astype(np.float32)


def constant(*values: float) -> np.ndarray:
    return np.stack([np.full((3, 16, 16), value, np.float32) for value in values])


def fitted(given: np.ndarray, expected: np.ndarray, updates: int, width: int = 16) -> np.ndarray:
    """A network's images after memorising these pairs, float32 (n, 3, h, w)."""
    inputs, truths = torch.from_numpy(given), torch.from_numpy(expected)
    network = seeded(0, lambda: generation.Generator(given.shape[1], width))
    optimiser, schedule = generation.one_cycle(list(network.parameters()), 0.004, updates)
    for _ in range(updates):
        optimiser.zero_grad()
        weights = torch.ones(len(given), 1, *given.shape[2:])
        generation.squared_error(network(inputs), truths, weights).mean().backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return network.eval()(inputs).numpy()


def untrained(seed: int, inputs: int, width: int, codes: int) -> generation.Generator:
    """A network that is not constant before training."""
    network = seeded(seed, lambda: generation.Generator(inputs, width, codes)).eval()
    torch.nn.init.normal_(network.drawn.net.decoder.last.weight, generator=stream(0, "test weights"))
    return network


def test_images_of_one_condition_give_their_mean() -> None:
    given = MASKS[:1, :, 8:24, 8:24]
    expected = constant(0.2, 0.8)
    expected[:, :, :, 8:] += np.array([0.1, -0.3])[:, None, None, None]
    assert np.abs(fitted(given.repeat(2, 0), expected, 120) - expected.mean(0)).max() < 0.01


def test_given_the_image_itself_it_reconstructs_it() -> None:
    expected = to_float(SCENES.images[:2, :, 8:24, 8:24])
    assert psnr(np.clip(fitted(expected, expected, 400, width=24), 0, 1), expected) > 30


@pytest.mark.parametrize("codes", [0, 8])
def test_equal_conditions_give_equal_images_and_other_codes_other_ones(codes: int) -> None:
    given, network = torch.from_numpy(MASKS), untrained(1, 1, 8, codes)
    code = torch.randn(2, 3, 8, generator=stream(0, "test codes")) if codes else (None, None)
    with torch.no_grad():
        one, again = network(given.clone(), code[0]), network(given.clone(), code[0])
        assert torch.equal(one, again) and not torch.allclose(one[0], one[1])
        assert not codes or not torch.allclose(one, network(given, code[1]))


def test_an_untrained_network_gives_its_first_estimate() -> None:
    given = torch.rand(2, 5, 8, 8, generator=stream(0, "test estimate"))
    with torch.no_grad():
        assert torch.equal(generation.Generator(5, 4, base=1)(given), given[:, 1:4])
        assert (generation.Generator(5, 4)(given) == 0.5).all()


def test_the_best_code() -> None:
    network, codes = untrained(2, 1, 4, 8), torch.randn(3, 2, 8, generator=stream(0, "test codes"))
    given = weights = torch.ones(2, 1, 8, 8)
    with torch.no_grad():
        expected = torch.stack([network(given, codes[2])[0], network(given, codes[1])[1]])
    best = generation.best_code(network, given, expected, weights, codes)
    assert torch.equal(best, torch.stack([codes[2, 0], codes[1, 1]]))


def test_errors_are_weighted_by_pixel() -> None:
    outputs, truths, weights = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 0.5), torch.zeros(1, 1, 2, 2)
    weights[..., 0, 0] = 8
    truths[..., 1, 1] = 100  # of no weight
    assert generation.squared_error(outputs, truths, weights) == pytest.approx(0.25 * 8 / 4)


def test_every_loss_starts_a_seed_alike_and_falls() -> None:
    given, images = torch.from_numpy(MASKS), SCENES.as_float()
    for loss in generation.LOSSES:
        trainer, other = (generation.GeneratorTrainer(loss, 1, 8, 0.004, 30, 0) for _ in range(2))
        pairs = zip(trainer.network.parameters(), other.network.parameters(), strict=True)
        assert all(torch.equal(one, two) for one, two in pairs)
        losses = [trainer.step(given, images, torch.ones_like(given)) for _ in range(30)]
        assert losses[-1] < losses[0], loss
        codes = torch.zeros(3, generation.CODES) if loss == "sampled" else None
        outputs = generation.predict(trainer.network, MASKS.__getitem__, 3, codes)
        assert outputs.shape == (3, 3, 32, 32) and 0 <= outputs.min() < outputs.max() <= 1


def test_predictions_do_not_depend_on_how_they_are_batched(monkeypatch: pytest.MonkeyPatch) -> None:
    network, codes = untrained(0, 1, 4, 8), torch.randn(3, 8, generator=stream(0, "test codes"))
    whole = generation.predict(network, MASKS.__getitem__, 3, codes)
    monkeypatch.setattr(generation, "BATCH", 2)
    assert generation.predict(network, MASKS.__getitem__, 3, codes) == pytest.approx(whole, abs=1e-5)
