"""What every arm is, that batches are the same, that nothing rests on the test part."""

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.ideas.hierarchical_representation import BASES, idea, metrics, training
from mlcv_explore.ideas.hierarchical_representation import settings as names
from mlcv_explore.ideas.hierarchical_representation.settings import ARMS, LENGTHS
from mlcv_explore.ideas.hierarchical_representation.settings import HierarchicalRepresentationConfig as Config
from mlcv_explore.metrics import linear_probe, ridge_probe
from mlcv_explore.seeds import stream
from tests.calls import recorded

SMALL = Config(epochs=2, train_size=200, labels=2, levels=2, width=8, batch_size=80, dataset="digits")
SEEDS = (0, 1)
PIXELS, VECTORS = {"network": "convolutional"}, {"dataset": "cifar10_features"}
REFUSED = {  # sentence → settings that are refused with it
    "labels must be at most 25 with train_size 500 and dataset digits": {"labels": 50, "train_size": 500},
    "train_size must be at most 1,000 on digits": {"train_size": 1050},
    "levels must halve the 8 pixels of dataset digits": PIXELS | {"levels": 4},
    "network must be dense on cifar10_features, vectors without pixels, got 'convolutional'": PIXELS
    | VECTORS,
    "train_size must be at most 9,900 on cifar10_features": VECTORS | {"train_size": 9950},
}


@pytest.fixture(scope="module")
def film() -> list:
    return list(idea.run(SMALL, SEEDS))


def test_every_arm_is_the_learner_it_is_called_after_from_equal_weights():
    """Class, objective, target, a ReLU on the output, and noise on the input."""
    settings = training.hyperparameters(SMALL)
    every = {arm: training.learner(arm, settings, SEEDS, 10) for arm in ARMS}
    pairs = ((kind, of) for kind in ("greedy", "joint", "both") for of in ("code", "pixels"))
    expected = {f"{kind}_{of}": (kind, of, False, False) for kind, of in pairs}
    expected |= {"global": ("global", "code", False, False), "committed": ("global", "code", True, False)}
    expected["denoising"] = ("greedy", "code", False, True)
    for arm, own in every.items():
        if arm in expected:
            found = own.objective, own.model.target, own.model.clipped, bool(own.streams)
            assert found == expected.pop(arm)
        else:
            classes = {"random": "GradientLearner", "pca": "PCA", "kmeans": "KMeans"}
            assert type(own).__name__ == classes.get(arm, arm.capitalize())
        if arm not in ("pca", "kmeans"):
            for one, other in zip(own.model.up, every["global"].model.up, strict=True):
                assert torch.equal(one, other) and not torch.equal(one[0], one[1])
    assert not expected and settings.weight == 1 and settings.shape.sizes == (64, 8, 8)


def test_all_arms_with_gradients_have_equal_updates_and_all_see_equal_batches(film, monkeypatch):
    """A seed's order comes from its own stream, whatever else an epoch has drawn."""
    for place, arm in enumerate(ARMS):  # 200 images in batches of 80
        assert (film[-1].updates[:, place] == (0 if arm in training.FIXED else SMALL.epochs * 3)).all(), arm
    trainer = training.Trainer(SMALL, (3,))
    batches = [recorded(monkeypatch, own, "step") for own in trainer.learners.values()]
    trainer.train()
    trainer.train()
    (split,), order = trainer.splits, stream(3, "batches")
    expected = torch.cat([torch.randperm(SMALL.train_size, generator=order) for _ in range(2)])
    for seen in batches:
        images, labels = (torch.cat(part, dim=1)[0] for part in zip(*seen, strict=True))
        assert torch.equal(images, split.train[expected])
        assert np.array_equal(labels, split.labels[expected])


def test_losses_stand_at_their_level_and_the_end_to_end_one_or_that_of_labels_last():
    """One batch an epoch, so that its losses are the epoch's."""
    trainer = training.Trainer(SMALL.replace(batch_size=200), (0,))
    trainer.train()
    for own, loss in zip(trainer.learners.values(), trainer.loss[0], strict=True):
        last = "labels" if "labels" in own.losses else "global"
        terms = (own.losses.get(name, torch.zeros(1)).item() for name in ("level1", "level2", last))
        assert loss.tolist() == pytest.approx([*terms])


def test_the_start_is_the_controls_which_never_changes_and_stacked_pca_gains_nothing(film):
    first, last, control = film[0].accuracy, film[-1].accuracy, ARMS.index("random")
    start = [place for place, arm in enumerate(ARMS) if arm not in ("pca", "kmeans")]
    assert (first[:, start] == first[:, [control]]).all() and (last[:, control] == first[:, control]).all()
    pca = last[:, ARMS.index("pca")]
    assert last[:, ARMS.index("supervised")].mean() > 0 and (pca == pca[:, :1]).all()
    assert not np.array_equal(pca[:, 0], film[-1].pixels[:, 0])  # a part of the input, not the input


def test_a_run_of_the_wirings_gives_the_numbers_of_one_with_every_arm(film):
    config = SMALL.replace(compared="wirings")
    columns, every = metrics(config, list(idea.run(config, SEEDS))), metrics(SMALL, film)
    assert names.arms(config) == tuple(arm for arm in ARMS if arm in names.WIRINGS)
    assert "joint_code_accuracy" not in columns
    assert all(np.array_equal(values, every[name]) for name, values in columns.items())


def test_metrics_are_the_last_frames(film):
    columns, last, place = metrics(SMALL, film), film[-1], ARMS.index("both_code")
    first, top = last.accuracy[:, place].T
    both = {"accuracy": top, "level1": first, "first_accuracy": first, "leading": last.leading[:, place, 1]}
    expected = {f"both_code_{name}": values for name, values in both.items()}
    expected |= dict(zip(("pixels_leading", "pixels_coarse"), last.pixels.T[1:], strict=True))
    expected["committed_shifted_accuracy"] = last.accuracy[:, ARMS.index("committed"), 0]
    expected["committed_frozen_accuracy"] = last.frozen[:, 1]
    assert all((columns[name] == values).all() for name, values in expected.items())
    for place, arm in enumerate(ARMS):
        decoded = [names.decodes(arm, level, 2) for level in range(2)]
        assert [f"{arm}_error{level + 1}" in columns for level in range(2)] == decoded
        assert last.error[:, place].all(0).tolist() == decoded


def test_frames_show_the_first_seed_and_probes_stay_until_the_next(film):
    assert [frame.step for frame in film] == [0, *names.frame_epochs(SMALL)]
    assert [frame.probed for frame in film] == names.probe_epochs(SMALL)
    last, long = film[-1], SMALL.replace(epochs=400)
    assert last.places.shape == (2, len(names.MAPPED), 2, names.PLACED, 2)
    assert last.places[0].any() and not last.places[1].any()
    assert not last.shown[0, 0, 0].any() and last.shown[0, 0, 1].any() and last.shown[0, 1].any()
    assert names.probe_epochs(long) == [0, 20, 80, 200, 400]
    assert len(names.frame_epochs(long)) <= 15 and {20, 80, 200, 400} <= {*names.frame_epochs(long)}


def test_accuracy_after_a_part_of_the_training_is_that_of_a_training_as_long():
    """Whatever follows: a twentieth, a fifth and half of 20 epochs."""
    config = SMALL.replace(epochs=20, compared="wirings", levels=1)
    columns = metrics(config, list(idea.run(config, SEEDS)))
    assert [names.length_epoch(config, name) for name in LENGTHS] == [1, 4, 10]
    for name, epochs in zip(LENGTHS, (1, 4, 10), strict=True):
        short = config.replace(epochs=epochs)
        alone = metrics(short, list(idea.run(short, SEEDS)))
        for arm in ("global", "greedy_pixels", "random", "pca"):
            assert (columns[f"{arm}_{name}"] == alone[f"{arm}_accuracy"]).all(), (arm, name)


def test_probes_are_those_of_codes_by_hand(film):
    """Of the last seed: codes, leading components, coarse classes, the top's error."""
    trainer = training.Trainer(SMALL, SEEDS)
    for _ in range(SMALL.epochs):
        trainer.train()
    split, last = trainer.splits[1], film[-1]
    some = training.some_of_each(split.labels, SMALL.labels, training.numpy_stream(1, "labelled"))
    parts = split.train, split.train[some], split.validation, split.test
    labels = split.labels[some], split.validation_labels, split.test_labels
    groups = [np.array([0, 1, 2, 2, 1, 2, 0, 1, 0, 0])[part] for part in labels]
    for arm in ("joint_pixels", "kmeans", "committed"):
        own, place = trainer.learners[arm], ARMS.index(arm)
        train, *codes = (own.encode(torch.stack([part, part]))[1][1].numpy() for part in parts)
        leading = ridge_probe.leading(train, 12)
        for measured, classes, features in (
            (last.accuracy, labels, codes),
            (last.coarse, groups, codes),
            (last.leading, labels, [leading.transform(part) for part in codes]),
        ):
            expected = ridge_probe.probe_accuracy(features, classes)
            assert measured[1, place, 1] == pytest.approx(expected, abs=0.01)
    features = [ridge_probe.span(codes[0]).transform(part) for part in codes]
    frozen = linear_probe.bias_only_accuracy(features, labels, training.numpy_stream(1, "frozen probe 1"))
    assert last.frozen[1, 1] == pytest.approx(frozen, abs=0.03)
    error = (own.decode(1, own.encode(torch.stack([split.test] * 2))[1])[1] - split.test).square().mean()
    assert last.error[1, place, 1] == pytest.approx(float(error), rel=1e-3)
    raw = ridge_probe.probe_accuracy([part.numpy() for part in parts[1:]], labels)
    assert last.pixels[1, 0] == pytest.approx(raw, abs=0.01)


def test_nothing_is_trained_fitted_or_chosen_on_the_test_part(monkeypatch):
    """With another test part only what is measured on it changes."""
    draw = data.split_own

    def other_test(*sizes):
        parts = draw(*sizes)
        flipped = np.ascontiguousarray(parts.test.images[..., ::-1]), np.roll(parts.test.labels, 7)
        return data.Split(parts.train, parts.validation, data.Images(*flipped, parts.test.classes))

    def probed() -> tuple[list, list]:
        """Sums of what a probe is fitted and chosen on, with labels, and the film."""
        with pytest.MonkeyPatch.context() as patch:
            calls = recorded(patch, ridge_probe, "probe_accuracy")
            film = list(idea.run(SMALL.replace(levels=1), (0,)))
        given = [(*(part.sum() for part in own[:2]), *map(list, labels[:2])) for own, labels in calls]
        return given, film

    one = probed()
    monkeypatch.setattr(data, "split_own", other_test)
    other = probed()
    assert one[0] == other[0] and len(one[0]) > 40 and len(one[0][0][3]) == 100
    assert np.array_equal(one[1][-1].loss, other[1][-1].loss)
    assert not np.array_equal(one[1][-1].accuracy, other[1][-1].accuracy)
    assert not np.array_equal(one[1][-1].leading, other[1][-1].leading)


def test_labels_of_probes_are_drawn_for_every_seed_and_splits_are_fixed_or_redrawn():
    fixed, redrawn = (training.Trainer(SMALL.replace(split=kind), SEEDS) for kind in ("fixed", "redrawn"))
    (one, validation, test), (other, *_) = fixed.labels
    assert np.bincount(one).tolist() == [2] * 10 and len(validation) == 100 and len(test) == 697
    assert not torch.equal(fixed.known[0], fixed.known[1]) and len(one) == len(other)
    assert torch.equal(fixed.test[0], fixed.test[1]) and not torch.equal(redrawn.test[0], redrawn.test[1])
    assert torch.equal(fixed.splits[0].test, redrawn.splits[0].test)
    assert not torch.equal(redrawn.splits[0].test, redrawn.splits[1].test)
    for own in redrawn.splits:
        assert float(own.train.mean()) == pytest.approx(0, abs=1e-4)
        assert float(own.train.std()) == pytest.approx(1, abs=1e-3)
    assert idea.split_sizes(SMALL.replace(split="redrawn")).test == 697


def test_photographs_are_vectors_on_one_scale_with_the_classes_of_their_photographs():
    """Tested on the official test part; no output is clipped."""
    config = SMALL.replace(dataset="cifar10_features", epochs=1)
    trainer = training.Trainer(config, (0,))
    (split,), own = trainer.splits, trainer.learners["greedy_code"]
    assert split.train.shape == (200, 64) and split.test.shape == (2000, 64) and len(split.validation) == 100
    spread = split.train.std(0)
    assert float(spread[:8].mean()) > 2 * float(spread[-8:].mean())
    groups = trainer.groups[np.concatenate([split.labels, split.test_labels])]
    vehicles = np.isin(np.concatenate([split.labels, split.test_labels]), (0, 1, 8, 9))
    assert np.array_equal(groups == 0, vehicles) and set(groups) == {0, 1}
    assert np.array_equal(names.coarse_places("cifar10_features_full"), names.coarse_places("cifar10"))
    assert float(own.decode(1, own.encode(split.test[None])[1]).min()) < -0.5


def test_an_arm_that_diverges_is_named():
    trainer = training.Trainer(SMALL, (0,))
    with torch.no_grad():
        trainer.learners["joint_pixels"].model.up[1].fill_(torch.inf)
    with pytest.raises(FloatingPointError, match=r"The arm joint_pixels diverged.*learning_rate \(0.005\)"):
        trainer.train()


def test_convolutional_levels_run_from_start_to_end():
    config = SMALL.replace(**PIXELS, width=2, levels=1, epochs=1, labels=1, batch_size=100)
    columns = metrics(config, list(idea.run(config, (0,))))
    assert all(np.isfinite(values).all() for values in columns.values())
    assert columns["global_updates"].tolist() == [2]


@pytest.mark.parametrize(("sentence", "settings"), REFUSED.items())
def test_settings_that_do_not_fit_are_reported_in_a_sentence(sentence, settings):
    with pytest.raises(SettingError, match=sentence) as error:
        SMALL.replace(**settings)
    assert "\n" not in str(error.value)


def test_the_headline_compares_every_wiring_with_the_cheap_baselines_and_a_control_must_fail():
    first, control = idea.claims[0], idea.claims[-1]
    wirings, baselines = ("greedy_code", "greedy_pixels", "global"), ("pixels", "pca")
    assert first.contrasts == tuple((one, other) for one in wirings for other in baselines)
    assert (first.direction, first.margin, control.contrasts) == ("greater", 0.01, (("random", "pixels"),))
    assert len(idea.claims) <= 8 and all(claim.margin > 0 for claim in idea.claims)
    # studies have seeds that no earlier evidence had, and the photographs their pixels
    assert all(study.seeds == tuple(range(700, 720)) for study in idea.studies)
    base = BASES["photographs"]
    assert (base.dataset, base.network, base.compared) == ("cifar10", "convolutional", "wirings")
    assert all(cell.config == BASES[study.name] for study in idea.studies for cell in study.cells[:9])
