"""Hierarchical representation: what the objectives are, where gradients flow, what linear
levels can do, and that nothing rests on the test part.
"""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as Reference
from sklearn.linear_model import LogisticRegression
from torch.nn import functional

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.ideas.hierarchical_representation import (
    ARMS,
    CLAIM_ARMS,
    MAPPED,
    OBJECTIVES,
    PLACED,
    HierarchicalRepresentationConfig,
    decodes,
    frame_epochs,
    idea,
    learners,
    metrics,
    probe_epochs,
    training,
)
from mlcv_explore.ideas.hierarchical_representation.learners import Hyperparameters, Learner
from mlcv_explore.ideas.hierarchical_representation.networks import (
    Shape,
    StackedAutoencoders,
    gradient_flow,
    losses,
    reconstruction_loss,
    total,
)
from mlcv_explore.ideas.hierarchical_representation.probes import datasets, fitted_bias
from mlcv_explore.metrics import linear_probe
from mlcv_explore.seeds import stream

SMALL = HierarchicalRepresentationConfig(epochs=2, train_size=200, labels=2, levels=2, width=8, batch_size=80)
CONVOLUTIONAL = SMALL.replace(network="convolutional", width=2, levels=1, epochs=1, labels=1, batch_size=100)
DIGITS, COLOUR = Shape((1, 8, 8), 8, 3), Shape((3, 32, 32), 4, 3, True)
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def batch() -> torch.Tensor:
    """Two seeds' standardised digits, (2, 60, 64)."""
    return datasets(SMALL, (0,))[0].train[:120].view(2, 60, 64)


@pytest.fixture(scope="module")
def film() -> list:
    return list(idea.run(SMALL, SEEDS))


def settings(shape: Shape = DIGITS, **changes: object) -> Hyperparameters:
    return Hyperparameters(**{"shape": shape, "rate": 0.005, "noise": 0.5, "weight": 1.0} | changes)


def trained(arm: str, batch: torch.Tensor, steps: int = 5, seeds=SEEDS, **changes: object) -> Learner:
    own = training.learner(arm, settings(**changes), seeds, 10)
    for _ in range(steps):
        own.step(batch, torch.zeros(batch.shape[:2], dtype=torch.int64))
    return own


def equal(one: Learner, other: Learner) -> bool:
    return all(torch.equal(*pair) for pair in zip(one.model.up, other.model.up, strict=True))


def noise(*size: int) -> torch.Tensor:
    return torch.randn(*size, generator=stream(0, "a test"))


# Objectives


@pytest.mark.parametrize("arm", [arm for arm in OBJECTIVES[1:] if not arm.startswith("both")])
def test_with_one_level_every_objective_is_the_end_to_end_loss_bit_for_bit(arm, batch):
    one = Shape((1, 8, 8), 8, 1)
    whole, own = trained("global", batch, shape=one), trained(arm, batch, shape=one)
    assert equal(whole, own) and torch.equal(whole.model.way[0], own.model.own[0])
    assert torch.equal(whole.losses["global"], own.losses["level1"])


def test_at_weight_or_noise_zero_an_arm_is_its_baseline_bit_for_bit(batch):
    for arm, change, baseline in (
        ("both_code", "weight", "global"),
        ("both_pixels", "weight", "global"),
        ("denoising", "noise", "greedy_code"),
    ):
        plain = trained(baseline, batch)
        assert equal(plain, trained(arm, batch, **{change: 0.0})) and not equal(plain, trained(arm, batch))


def test_every_objective_and_target_is_another_arm(batch):
    arms = {arm: trained(arm, batch) for arm in OBJECTIVES}
    for one in OBJECTIVES:
        assert [other for other in OBJECTIVES if equal(arms[one], arms[other])] == [one]


def test_all_arms_of_a_seed_start_from_equal_weights_and_seeds_differ():
    every = [training.learner(arm, settings(), SEEDS, 10) for arm in ARMS if arm not in ("pca", "kmeans")]
    first = every[0].model
    for own in every:
        assert equal(own, every[0]) and torch.equal(own.model.own[0], own.model.way[0])
    assert not torch.equal(first.up[0][0], first.up[0][1])
    assert torch.equal(training.learner("global", settings(), (1,), 10).model.up[1][0], first.up[1][1])


def test_a_seed_does_not_depend_on_another(batch):
    together, alone = trained("both_code", batch), trained("both_code", batch[1:], seeds=(1,))
    torch.testing.assert_close(alone.model.up[2][0], together.model.up[2][1], rtol=1e-4, atol=1e-6)


# Gradients


def reached(arm: str, batch: torch.Tensor) -> dict[str, set[str]]:
    own = training.learner(arm, settings(), SEEDS, 10)
    terms, blocks, norms = gradient_flow(own.model, batch, own.objective)
    return {
        term: {block for block, norm in zip(blocks, row, strict=True) if norm}
        for term, row in zip(terms, norms, strict=True)
    }


@pytest.mark.parametrize("target", ["code", "pixels"])
def test_a_detached_loss_reaches_its_level_alone_and_a_joint_one_the_encoders_below(target, batch):
    detached, joint = (reached(f"{kind}_{target}", batch) for kind in ("greedy", "joint"))
    for level in (1, 2, 3):
        assert detached[f"level{level}"] == {f"encoder {level}", f"own decoder {level}"}
        encoders = {f"encoder {below}" for below in range(1, level + 1)}
        assert joint[f"level{level}"] == {f"own decoder {level}", *encoders}


@pytest.mark.parametrize("arm", ["global", "committed"])
def test_the_end_to_end_loss_reaches_no_own_decoder(arm, batch):
    model = trained(arm, batch, steps=1).model
    assert all(weight.grad is None for weight in [*model.own, *model.own_bias])
    assert all(weight.grad is not None for weight in [*model.up, *model.way])
    assert reached(arm, batch)["global"] == {name for name in model.blocks() if "own" not in name}


def test_a_target_is_detached(batch):
    """The loss of level 2 reaches encoder 1 only through the code passed up: where
    encoder 2 has zero weights nothing arrives.
    """
    model = StackedAutoencoders(DIGITS, SEEDS)
    with torch.no_grad():
        model.up[1].zero_()
    losses(model, batch, "joint")["level2"].sum().backward()
    assert model.up[0].grad is None or not model.up[0].grad.any()


def test_a_third_of_the_authors_parameters_gets_no_gradient():
    """3 → 32 → 64 → 128 channels: 93,123 of 279,494."""
    model = StackedAutoencoders(Shape((3, 32, 32), 32, 3, True), (0,), sizes=(3, 32, 64, 128))
    losses(model, noise(1, 2, 3, 32, 32), "global")["global"].sum().backward()
    sizes = [(weight.numel(), weight.grad is None) for weight in model.parameters()]
    assert sum(size for size, unreached in sizes if unreached) == 93_123
    assert sum(size for size, _ in sizes) == 279_494


# Errors and their bounds


def test_reconstruction_loss_by_hand():
    output, target = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[0.0, 2.0], [2.0, 2.0]]])
    assert reconstruction_loss(output, target).tolist() == pytest.approx([(1 + 0 + 1 + 4) / 4])
    assert reconstruction_loss(output, target, relative=True).tolist() == pytest.approx([1.5 / 0.5])
    assert reconstruction_loss(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2), relative=True).tolist() == [0.0]


def test_an_output_relu_cannot_go_below_its_floor(batch):
    """The best it can reconstruct is max(x, 0): the floor is E[min(x, 0)²]. A linear
    output goes below it.
    """
    floor = float(batch.clamp(max=0).square().mean())
    assert reconstruction_loss(batch.relu(), batch).mean().item() == pytest.approx(floor, rel=1e-5)
    clipped, linear = (trained(arm, batch, steps=300, rate=0.01) for arm in ("committed", "global"))
    assert float(clipped.decode(2, clipped.encode(batch)[-1]).min()) == 0.0
    assert float(linear.losses["global"].mean()) < floor < float(clipped.losses["global"].mean())


@pytest.mark.parametrize("sizes", [(64, 8), (64, 16, 8), (64, 8, 8)])
def test_tied_linear_levels_reach_the_error_of_pca(sizes, batch):
    """Trained greedily. Untied levels need not: a level may scale its code down, and
    the next loses that part.
    """
    pixels = batch[:1] - batch[:1].mean(1, keepdim=True)
    shape = Shape((1, 8, 8), 8, len(sizes) - 1)
    model = StackedAutoencoders(shape, (0,), tied=True, linear=True, sizes=sizes)
    adam = torch.optim.Adam(model.parameters())
    for step in range(300):
        adam.param_groups[0]["lr"] = 0.02 if step < 200 else 0.002
        adam.zero_grad()
        total(losses(model, pixels, "greedy"), 1.0).backward()
        adam.step()
    error = reconstruction_loss(model.reconstruction(len(sizes) - 2, model.codes(pixels)[-1]), pixels).item()
    pca = Reference(8).fit(pixels[0].numpy())
    best = np.square(pixels[0].numpy() - pca.inverse_transform(pca.transform(pixels[0].numpy()))).mean()
    assert best <= error + 1e-6 and error == pytest.approx(best, rel=0.02)


def test_convolutional_levels_hold_equally_many_values_and_a_seed_is_torchs_own_layer():
    assert COLOUR.sizes == (3, 4, 16, 64) and [COLOUR.values(level) for level in range(3)] == [1024] * 3
    pixels = noise(2, 3, 3, 32, 32)
    for target in ("code", "pixels"):
        model = StackedAutoencoders(COLOUR, SEEDS, target)
        codes = model.codes(pixels)
        shapes = [(2, 3, 4, 16, 16), (2, 3, 16, 8, 8), (2, 3, 64, 4, 4)]
        assert [tuple(code.shape) for code in codes] == shapes
        assert model.decode_end_to_end(codes[-1]).shape == pixels.shape
        assert all(
            model.reconstruction(level, code).shape == pixels.shape for level, code in enumerate(codes)
        )
    alone = StackedAutoencoders(COLOUR, (1,)).codes(pixels[1:])
    torch.testing.assert_close(alone[-1][0], codes[-1][1], rtol=1e-4, atol=1e-5)
    model, pixels = StackedAutoencoders(Shape((3, 8, 8), 4, 1, True), (5,)), noise(1, 2, 3, 8, 8)
    conv, back = torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.ConvTranspose2d(4, 3, 3, 2, 1, 1)
    conv.load_state_dict({"weight": model.up[0][0], "bias": model.up_bias[0][0]})
    back.load_state_dict({"weight": model.way[0][0], "bias": model.way_bias[0][0]})
    (code,) = model.codes(pixels)
    torch.testing.assert_close(code[0], conv(pixels[0]).relu())
    torch.testing.assert_close(model.decode_end_to_end(code)[0], back(conv(pixels[0]).relu()))


# Learners


def test_stacked_pca_gains_nothing_and_decodes_to_pcas_error(batch):
    own = learners.PCA(settings(), SEEDS)
    own.fit(batch)
    pca = Reference(8).fit(batch[0].numpy())
    expected, codes = pca.inverse_transform(pca.transform(batch[0].numpy())), own.encode(batch)
    for level, code in enumerate(codes):
        np.testing.assert_allclose(np.abs(code.numpy()), np.abs(codes[0].numpy()), atol=1e-5)
        np.testing.assert_allclose(own.decode(level, code)[0], expected, atol=1e-4)


def test_kmeans_features_by_hand_and_their_decoding_to_cluster_means():
    centres = np.array([[0.0, 0.0], [4.0, 0.0]])
    assert learners.kmeans_features(np.array([[1.0, 0.0]]), centres).tolist() == [[1.0, 0.0]]
    own = learners.KMeans(settings(Shape((1, 1, 2), 2, 1)), (0,))
    points = torch.tensor([[[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0]]])
    own.fit(points)
    assert own.decode(0, own.encode(points)[0]).tolist() == [[[0, 1], [0, 1], [9, 1], [9, 1]]]


def test_info_nce_by_hand_and_its_limits():
    pairs = torch.eye(3).repeat(2, 1)[None]
    expected = np.log(1 + 2 * np.exp(-1 / learners.TEMPERATURE))
    assert learners.info_nce(pairs).item() == pytest.approx(expected, rel=1e-4)
    assert learners.info_nce(5 * pairs).item() == pytest.approx(expected, rel=1e-4)
    assert learners.info_nce(torch.ones(1, 6, 3)).item() == pytest.approx(np.log(3), rel=1e-5)


def test_a_contrastive_view_shifts_by_at_most_an_eighth_and_levels_are_detached(batch):
    own = learners.Contrastive(settings(noise=0.0), SEEDS)
    view, pixels = own.view(batch).view(2, 60, 8, 8), batch.view(2, 60, 8, 8)
    padded = functional.pad(pixels, (1, 1, 1, 1), mode="replicate")
    shifts = [padded[..., row : row + 8, column : column + 8] for row in range(3) for column in range(3)]
    assert (torch.stack(shifts) == view).flatten(3).all(3).any(0).all() and not torch.equal(view, pixels)
    terms = {}
    own.minimise = terms.update
    own.step(batch, None)
    terms["level2"].sum().backward()
    assert own.model.up[0].grad is None and own.model.up[1].grad is not None


def test_only_the_supervised_bound_uses_labels(batch):
    labels = torch.arange(60).expand(2, 60) % 10
    for arm in ("greedy_code", "contrastive", "supervised"):
        one, other = (training.learner(arm, settings(), SEEDS, 10) for _ in range(2))
        one.step(batch, labels)
        other.step(batch, labels.flip(1))
        assert equal(one, other) == (arm != "supervised")
    bound = learners.Supervised(settings(), SEEDS, 10)
    logits = bound.model.codes(batch)[-1] @ bound.head + bound.head_bias
    bound.step(batch, labels)
    expected = functional.cross_entropy(logits.flatten(0, 1), labels.flatten()).item()
    assert bound.losses["labels"].mean().item() == pytest.approx(expected, rel=1e-5)


# The run


def test_all_arms_with_gradients_have_equal_updates_and_all_see_equal_batches(film, monkeypatch):
    for place, arm in enumerate(ARMS):  # 200 images in batches of 80
        assert (film[-1].updates[:, place] == (0 if arm in training.FIXED else SMALL.epochs * 3)).all(), arm
    batches: dict[str, list[torch.Tensor]] = {arm: [] for arm in ARMS}
    trainer = training.Trainer(SMALL, SEEDS)
    for arm, own in trainer.learners.items():
        monkeypatch.setattr(own, "step", lambda batch, labels, arm=arm: batches[arm].append(batch))
    trainer.train()
    for own in batches.values():
        assert all(torch.equal(*pair) for pair in zip(own, batches["global"], strict=True))
    whole = torch.cat(batches["global"], dim=1)[0]
    assert torch.equal(whole.sort(0).values, trainer.datasets[0].train.sort(0).values)


def test_no_learners_draws_change_the_batches(monkeypatch):
    """The order of a seed's images comes from its own stream, whatever noise and views
    were drawn in the epoch before.
    """
    trainer, batches = training.Trainer(SMALL, (3,)), []
    own = trainer.learners["global"]
    step = own.step
    monkeypatch.setattr(own, "step", lambda batch, labels: (batches.append(batch[0]), step(batch, labels)))
    trainer.train()
    trainer.train()
    order = stream(3, "batches")
    expected = torch.cat([torch.randperm(SMALL.train_size, generator=order) for _ in range(2)])
    assert torch.equal(torch.cat(batches), trainer.datasets[0].train[expected])


def test_the_start_is_the_controls_which_never_changes_and_stacked_pca_gains_nothing(film):
    first, last, control = film[0].accuracy, film[-1].accuracy, ARMS.index("random")
    start = [place for place, arm in enumerate(ARMS) if arm not in ("pca", "kmeans")]
    assert (first[:, start] == first[:, [control]]).all() and (last[:, control] == first[:, control]).all()
    pca = last[:, ARMS.index("pca")]
    assert last[:, ARMS.index("supervised")].mean() > 0 and (pca == pca[:, :1]).all()


def test_metrics_are_the_last_frames(film):
    columns, last, place = metrics(SMALL, film), film[-1], ARMS.index("both_code")
    assert (columns["both_code_accuracy"] == last.accuracy[:, place, 1]).all()
    assert (columns["both_code_level1"] == last.accuracy[:, place, 0]).all()
    rise = last.accuracy[:, place, 1] - last.accuracy[:, place, 0]
    assert columns["both_code_rise"] == pytest.approx(rise)
    assert (columns["committed_shifted_accuracy"] == last.accuracy[:, ARMS.index("committed"), 0]).all()
    assert (columns["committed_frozen_accuracy"] == last.frozen[:, 1]).all()
    for arm in ARMS:
        expected = [decodes(arm, level, 2) for level in range(2)]
        assert [f"{arm}_error{level + 1}" in columns for level in range(2)] == expected
        assert [bool(last.error[:, ARMS.index(arm), level].all()) for level in range(2)] == expected


def test_frames_show_the_first_seed_and_probes_stay_until_the_next(film):
    assert [frame.step for frame in film] == [0, *frame_epochs(SMALL)]
    assert [frame.probed for frame in film] == probe_epochs(SMALL)
    last, long = film[-1], SMALL.replace(epochs=400)
    assert last.places.shape == (2, len(MAPPED), 2, PLACED, 2)
    assert last.places[0].any() and not last.places[1].any()
    assert not last.shown[0, 0, 0].any() and last.shown[0, 0, 1].any() and last.shown[0, 1].any()
    assert len(frame_epochs(long)) == 12 and set(probe_epochs(long)) <= {0, *frame_epochs(long)}
    assert probe_epochs(long)[-1] == 400


def test_nothing_is_trained_fitted_or_chosen_on_the_test_part(monkeypatch):
    """With another test part weights, components, and the probes that are fitted and
    chosen stay; only what is measured on it changes.
    """
    draw, score, fit = data.split, LogisticRegression.decision_function, linear_probe.principal_components

    def other_test(*sizes):
        parts = draw(*sizes)
        flipped = np.ascontiguousarray(parts.test.images[..., ::-1]), np.roll(parts.test.labels, 7)
        return data.Split(parts.train, parts.validation, data.Images(*flipped, parts.test.classes))

    def recorded() -> tuple[list, list, list]:
        """Scores of validation codes with every penalty, then of test codes with its own."""
        scores, bases = [], []
        with pytest.MonkeyPatch.context() as patch:
            record = lambda self, x: (scores.append((len(x), self.C, self.coef_.sum())), score(self, x))[1]  # noqa: E731
            patch.setattr(LogisticRegression, "decision_function", record)
            keep = lambda *codes: (bases.append(fit(*codes)), bases[-1])[1]  # noqa: E731
            patch.setattr(linear_probe, "principal_components", keep)
            return scores, bases, list(idea.run(SMALL.replace(epochs=1, levels=1), (0,)))

    one = recorded()
    monkeypatch.setattr(data, "split", other_test)
    other = recorded()
    assert one[0] == other[0] and [count for count, _, _ in one[0]].count(697) > 30
    assert len(one[1]) > 20
    assert all(
        np.array_equal(*pair)
        for pair in zip(*([own.basis for own in run[1]] for run in (one, other)), strict=True)
    )
    assert np.array_equal(one[2][-1].loss, other[2][-1].loss)
    assert not np.array_equal(one[2][-1].accuracy, other[2][-1].accuracy)


def test_probes_have_few_labels_of_every_class_and_splits_are_fixed_or_redrawn():
    fixed, redrawn = (datasets(SMALL.replace(split=kind), SEEDS) for kind in ("fixed", "redrawn"))
    one, other = fixed
    assert np.bincount(one.labels.numpy()[one.labelled]).tolist() == [2] * 10 and len(set(one.labelled)) == 20
    assert not np.array_equal(one.labelled, other.labelled)
    assert len(one.validation_labels) == 100 and len(one.test_labels) == 697
    assert torch.equal(one.test, other.test) and torch.equal(one.test, redrawn[0].test)
    assert not torch.equal(redrawn[0].test, redrawn[1].test)
    for own in redrawn:
        assert float(own.train.mean()) == pytest.approx(0, abs=1e-4)
        assert float(own.train.std()) == pytest.approx(1, abs=1e-3)
    assert idea.split_sizes(SMALL) is None and idea.split_sizes(SMALL.replace(split="redrawn")).test == 697


def test_a_bias_alone_is_fitted_until_predicted_classes_are_as_frequent_as_true_ones():
    logits = np.random.default_rng(0).normal(size=(50, 3))
    shares = np.exp(logits + fitted_bias(logits, np.repeat([0, 1, 2], [30, 15, 5])))
    assert (shares / shares.sum(1, keepdims=True)).mean(0) == pytest.approx([0.6, 0.3, 0.1], abs=1e-6)


def test_an_arm_that_diverges_is_named():
    trainer = training.Trainer(SMALL, (0,))
    with torch.no_grad():
        trainer.learners["joint_pixels"].model.up[1].fill_(torch.inf)
    with pytest.raises(FloatingPointError, match=r"The arm joint_pixels diverged.*learning_rate \(0.005\)"):
        trainer.train()


def test_convolutional_levels_run_from_start_to_end():
    columns = metrics(CONVOLUTIONAL, list(idea.run(CONVOLUTIONAL, (0,))))
    assert all(np.isfinite(values).all() for values in columns.values())
    assert columns["global_updates"].tolist() == [2]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"labels": 50, "train_size": 500},
            "labels must be at most 25 with train_size 500 and dataset digits",
        ),
        ({"train_size": 1050}, "train_size must be at most 1,000 on digits"),
        ({"network": "convolutional", "levels": 4}, "levels must halve the 8 pixels of dataset digits"),
        ({"dataset": "pictures"}, "dataset must be one of digits"),
        ({"local_weight": -0.1}, "local_weight must be between 0 and 10"),
    ],
)
def test_settings_that_do_not_fit_are_reported_in_a_sentence(changes, sentence):
    with pytest.raises(SettingError, match=sentence) as error:
        HierarchicalRepresentationConfig(**changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("classes", "count"), [(1, 3), (2, 1)])
def test_a_folder_with_one_class_or_one_image_is_reported_in_a_sentence(
    classes, count, tmp_path, monkeypatch
):
    from PIL import Image

    for name in ("airplane", "automobile")[:classes]:
        (folder := tmp_path / "cifar10" / "train" / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (32, 32)).save(folder / f"{number}.png")
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    monkeypatch.setenv("MLCV_HOME", str(tmp_path / "home"))
    with pytest.raises(data.DataError, match="cifar10") as error:
        list(idea.run(HierarchicalRepresentationConfig(dataset="cifar10"), (0,)))
    assert "\n" not in str(error.value)


def test_the_headline_is_the_question_and_every_claim_has_a_margin():
    first = idea.claims[0]
    assert (first.contrasts, first.direction, first.margin) == ((("greedy_code", "global"),), "greater", 0.01)
    assert all(claim.margin > 0 and set(claim.arms) == set(CLAIM_ARMS[claim.name]) for claim in idea.claims)
