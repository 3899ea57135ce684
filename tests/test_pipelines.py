"""Stacks of networks trained in several ways, and splits with corrupted test images."""

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.data import corrupted_photographs
from mlcv_explore.data.corruptions import KINDS, corrupted
from mlcv_explore.metrics import between_networks
from mlcv_explore.models import corrupted_features, corrupted_splits, pipelines
from mlcv_explore.models.corrupted_demo import CorruptedDemo
from mlcv_explore.models.normalised_networks import NormalisedNetworks
from mlcv_explore.models.pipelines import Examples, Randomness, Training

SHORT = Training(3, 16, 30, 0.3)


def examples(count: int = 3) -> Examples:
    """Three clusters in eight dimensions."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(120) % 3
    centres = 2 * torch.randn(3, 8, generator=draws)
    return Examples.shared(centres[labels] + torch.randn(120, 8, generator=draws), labels, count)


@pytest.mark.parametrize("pipeline", ["supervised", "views", "contrastive", "autoencoder"])
def test_a_pipeline_learns_and_comes_out_equal_twice(pipeline: str) -> None:
    given, numbers = examples(), Randomness.of(1, 3, ("weights", "order", "head"))
    networks, again = (pipelines.train(pipeline, SHORT, given, numbers) for _ in range(2))
    logits = networks.predict(given.images)
    assert torch.equal(logits, again.predict(given.images))
    assert pipelines.accuracy(networks, given.images, given.labels) > 0.85
    assert not torch.equal(logits[0], logits[1]) and not networks.training
    mean = torch.stack([weight[0] @ given.images.mean(0) for weight in networks.weights[:1]])[0]
    torch.testing.assert_close(networks.norms[0].running_mean.view(3, -1)[0], mean, atol=1e-4, rtol=1e-3)


def test_only_what_is_varied_differs() -> None:
    numbers = Randomness.of(4, 3, ("order",))
    assert len({*numbers.order}) == 3
    assert all(len({*getattr(numbers, name)}) == 1 for name in ("weights", "head", "split"))
    for varied, shared in (("weights", "head"), ("head", "weights")):
        own = Randomness.of(4, 2, (varied,))
        networks = NormalisedNetworks((8, 4, 3), own.weights, own.head)
        parts = {"weights": networks.weights[0], "head": networks.head}
        assert torch.equal(*parts[shared]) and not torch.equal(*parts[varied])
    networks = pipelines.train("contrastive", SHORT, examples(), Randomness.of(4, 3, ()))
    logits = networks.predict(examples().images)
    assert torch.equal(logits[0], logits[1]) and torch.equal(logits[0], logits[2])


def test_a_networks_own_rows_are_stratified_and_another_networks_are_others() -> None:
    labels = torch.arange(60) % 3
    rows = pipelines.own_rows(labels, 30, [1, 2])
    assert rows.shape == (2, 30) and not torch.equal(*rows.sort(1).values)
    assert all((labels[own].bincount() == 10).all() and len(own.unique()) == 30 for own in rows)
    images, drawn = Examples(labels.float()[:, None], labels, rows).batch([torch.Generator()] * 2)
    assert images.shape == (2, pipelines.BATCH, 1) and torch.equal(images[..., 0], drawn.float())


def test_the_head_alone_is_fitted_on_features_that_stay() -> None:
    given, numbers = examples(1), Randomness.of(1, 1, ())
    longer = Training(3, 16, 90, 0.3)
    short, long = (pipelines.train("autoencoder", each, given, numbers, 30) for each in (SHORT, longer))
    assert torch.equal(short.weights[0], long.weights[0]) and not torch.equal(short.head, long.head)


def test_networks_are_matched_by_their_accuracy_on_validation_images() -> None:
    given, numbers = examples(), Randomness.of(1, 3, ("weights",))
    validation = (given.images, given.labels)
    asked: list[int] = []

    def retrained(steps: int) -> NormalisedNetworks:
        asked.append(steps)
        return pipelines.train("supervised", SHORT, given, numbers, steps)

    full = pipelines.train("supervised", SHORT, given, numbers)
    other = retrained(3)
    target = pipelines.accuracy(other, *validation)
    found = pipelines.matched(full, other, retrained, SHORT.steps, validation)
    gaps = [abs(pipelines.accuracy(each, *validation) - target) for each in (found, full)]
    assert gaps[0] < gaps[1] and gaps[0] < 0.05 and max(asked) < SHORT.steps and asked[1] == 5
    assert pipelines.matched(full, full, retrained, SHORT.steps, validation) is full


def test_a_split_has_the_same_images_under_every_corruption_and_others_to_know() -> None:
    split = corrupted_splits.draw("digits", 200, 50, 60, 3, 5)
    assert tuple(split.tests) == ("clean", *KINDS)
    images = (split.tests["clean"] * 255).round().byte().numpy()
    whole = data.load("digits").train
    own = {image.tobytes() for image in images}
    fog = split.classes(lambda inputs: inputs.flatten(1).mean(1))
    assert all(len(values) == 60 for values in fog.values())
    known, labels = split.known()
    assert len(known) == len(labels) == 7 * 200 and torch.equal(labels[:200], split.train[1])
    train = (split.train[0] * 255).round().byte().numpy()
    assert not own & {image.tobytes() for image in train} and own <= {each.tobytes() for each in whole.images}
    fixed = corrupted(images, "contrast", 3)
    np.testing.assert_allclose(split.tests["contrast"].numpy(), fixed / 255, atol=1e-6)


def test_corrupted_photographs_are_those_of_the_test_row_by_row() -> None:
    split = corrupted_splits.draw("photographs", 400, 50, 300, 5, 2)
    clean, blur = split.tests["clean"], split.tests["blur"]
    own = torch.nn.functional.cosine_similarity(clean, blur).mean()
    others = torch.nn.functional.cosine_similarity(clean, blur.roll(1, 0)).mean()
    assert own > others + 0.3
    known, labels = split.known()
    assert len(known) == len(labels) == 7 * 1700
    tested = {row.numpy().tobytes() for row in blur}
    assert not tested & {row.numpy().tobytes() for row in known}
    shipped = corrupted_features.load(5)
    assert {*shipped} == {*KINDS} and all(each.shape == (2000, 64) for each in shipped.values())


@pytest.mark.parametrize(
    ("about", "sentence"),
    [
        (("photographs", 400, 50, 300, 3), "severity must be 5 on photographs, whose features ship, got 3"),
        (("photographs", 9980, 50, 300, 5), "train_size must be at most 9,950"),
        (("digits", 1700, 50, 300, 3), "train_size must be at most"),
    ],
)
def test_a_split_that_cannot_be_is_refused_in_a_sentence(about: tuple, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        corrupted_photographs.check(*about)


def test_a_demo_shows_one_image_at_every_severity_and_each_groups_spread() -> None:
    split = corrupted_splits.draw("digits", 200, 50, 320, 5, 0)
    networks = pipelines.train("supervised", Training(10, 16, 60, 0.2), Examples.shared(*split.train, 4),
                               Randomness.of(0, 4, ("weights",)))  # fmt: skip
    demo = CorruptedDemo(networks, ("one", "other"), tuple("0123456789"), split, False)
    image = demo.images[0]
    fan = demo.fan(image, "contrast")
    assert fan.shape == (4, 6, 10)
    expected = networks.predict(torch.from_numpy(image / 255).float()[None]).softmax(-1)[:, 0].numpy()
    np.testing.assert_allclose(fan[:, 0], expected, atol=1e-5)
    assert not np.allclose(demo.fan(image, "contrast", adapted=True), fan, atol=0.01)
    clean, changed = demo.spreads("contrast", 0), demo.spreads("contrast", 5)
    truth = torch.from_numpy(demo.truth)
    accuracies = (networks.predict(split.tests["clean"][:300]).argmax(-1) == truth).float().mean(1)
    assert clean[0].accuracy == pytest.approx(float(accuracies[:2].mean()))
    assert changed[0].disagreement > clean[0].disagreement and len(clean) == 2
    assert demo.spreads("contrast", 5, adapted=True)[0].accuracy > changed[0].accuracy
    with pytest.raises(ValueError, match="corruption must be one of noise"):
        demo.inputs("rain", 3)


def test_two_redundant_features_leave_networks_equal_until_one_of_them_is_gone() -> None:
    """The definition of underspecification: the training data do not say which to use."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    one = (2.0 * labels - 1)[:, None] + 0.3 * torch.randn(400, 1, generator=draws)
    images = torch.cat([one, one], 1)
    numbers = Randomness.of(0, 20, ("weights", "head"))
    networks = pipelines.train(
        "supervised", Training(2, 8, 100, 0.0), Examples.shared(images, labels, 20), numbers
    )
    gone = images * torch.tensor([-1.0, 1.0])
    classes = {
        name: networks.predict(each).argmax(-1).numpy()
        for name, each in ((corrupted_splits.CLEAN, images), ("gone", gone))
    }
    found = between_networks.summary(classes, labels.numpy())
    assert found["clean"] > 0.99 and abs(found["iid"]) < 0.01 and found["gone"] > 0.15
