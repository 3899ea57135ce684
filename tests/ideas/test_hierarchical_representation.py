"""Hierarchical representation: what the wirings are, where gradients reach, what linear
levels can do, and that nothing hangs on the test part.
"""

import numpy as np
import pytest
import torch

from mlcv_explore import data
from mlcv_explore.config import SettingError
from mlcv_explore.ideas.hierarchical_representation import (
    ARMS,
    CLAIMS,
    LEARNERS,
    MAPPED,
    PLACED,
    WIRINGS,
    HierarchicalRepresentationConfig,
    decodes,
    frame_epochs,
    idea,
    metrics,
    probe_epochs,
    training,
)
from mlcv_explore.ideas.hierarchical_representation import learners as learning
from mlcv_explore.ideas.hierarchical_representation.learners import (
    Autoencoder,
    Centroids,
    Contrastive,
    Principal,
    Recipe,
    Supervised,
)
from mlcv_explore.ideas.hierarchical_representation.levels import (
    Shape,
    StackedLevels,
    losses,
    misfit,
    reach,
    total,
)
from mlcv_explore.metrics import linear_probe
from mlcv_explore.seeds import stream

SMALL = HierarchicalRepresentationConfig(epochs=2, train_size=200, labels=2, levels=2, width=8, batch_size=80)
DIGITS = Shape((1, 8, 8), 8, 3)
SEEDS = (0, 1)


def recipe(shape: Shape = DIGITS, **changes: object) -> Recipe:
    return Recipe(**{"shape": shape, "rate": 0.005, "noise": 0.5, "weight": 1.0} | changes)


@pytest.fixture(scope="module")
def batch() -> torch.Tensor:
    """Two seeds' standardised digits, (2, 60, 64)."""
    own = training.tasks(SMALL, (0,))[0].train[:120]
    return torch.stack([own[:60], own[60:]])


def taught(arm: str, batch: torch.Tensor, steps: int = 5, **changes: object) -> Autoencoder:
    each = training.learner(arm, recipe(**changes), SEEDS, 10)
    for _ in range(steps):
        each.step(batch, torch.zeros(batch.shape[:2], dtype=torch.int64))
    return each


def equal_encoders(one: object, other: object) -> bool:
    return all(
        torch.equal(first, second) for first, second in zip(one.levels.up, other.levels.up, strict=True)
    )


# Wirings


@pytest.mark.parametrize("arm", [arm for arm in WIRINGS if not arm.startswith("both")][1:])
def test_with_one_level_every_wiring_is_the_global_loss_bit_for_bit(arm, batch):
    """Both decoders start alike; the global way down is the own decoder of the only
    level.
    """
    one = Shape((1, 8, 8), 8, 1)
    whole, own = taught("global", batch, shape=one), taught(arm, batch, shape=one)
    assert equal_encoders(whole, own) and torch.equal(whole.levels.way[0], own.levels.own[0])
    assert torch.equal(whole.told["global"], own.told["level1"])


def test_own_losses_of_weight_zero_are_the_global_loss_bit_for_bit(batch):
    whole = taught("global", batch)
    assert equal_encoders(whole, taught("both_code", batch, weight=0.0)) and equal_encoders(
        whole, taught("both_pixels", batch, weight=0.0)
    )
    assert not equal_encoders(whole, taught("both_code", batch))


def test_noise_of_zero_is_the_plain_autoencoder_bit_for_bit(batch):
    plain = taught("greedy_code", batch)
    assert equal_encoders(plain, taught("denoising", batch, noise=0.0)) and not equal_encoders(
        plain, taught("denoising", batch)
    )


def test_every_wiring_and_target_is_another_arm(batch):
    taught_by = {arm: taught(arm, batch) for arm in WIRINGS}
    for one in WIRINGS:
        assert [other for other in WIRINGS if equal_encoders(taught_by[one], taught_by[other])] == [one]


def test_all_arms_of_a_seed_start_alike_and_seeds_differ():
    every = [training.learner(arm, recipe(), SEEDS, 10) for arm in ARMS if arm not in ("pca", "kmeans")]
    for each in every:
        assert equal_encoders(each, every[0])
        assert torch.equal(each.levels.own[0], each.levels.way[0])
    assert not torch.equal(every[0].levels.up[0][0], every[0].levels.up[0][1])
    alone = training.learner("global", recipe(), (1,), 10)
    assert torch.equal(alone.levels.up[1][0], every[0].levels.up[1][1])


def test_no_seed_feels_another(batch):
    together = taught("both_code", batch)
    alone = Autoencoder(recipe(), (1,), "both")
    for _ in range(5):
        alone.step(batch[1:], torch.zeros(1, 60, dtype=torch.int64))
    torch.testing.assert_close(alone.levels.up[2][0], together.levels.up[2][1], rtol=1e-4, atol=1e-6)


# Where gradients reach


def gradients(arm: str, batch: torch.Tensor) -> dict[str, dict[str, float | None]]:
    each = training.learner(arm, recipe(), SEEDS, 10)
    terms, blocks, table = reach(each.levels, batch, each.wiring)
    return {term: dict(zip(blocks, row, strict=True)) for term, row in zip(terms, table, strict=True)}


@pytest.mark.parametrize("arm", ["greedy_code", "greedy_pixels"])
def test_a_detached_level_sends_no_gradient_below(arm, batch):
    found = gradients(arm, batch)
    for level in (1, 2, 3):
        reached = {block for block, size in found[f"level{level}"].items() if size}
        assert reached == {f"encoder {level}", f"own decoder {level}"}


@pytest.mark.parametrize("arm", ["joint_code", "joint_pixels"])
def test_a_joint_level_reaches_all_encoders_below_and_no_decoder_but_its_own(arm, batch):
    found = gradients(arm, batch)
    for level in (1, 2, 3):
        reached = {block for block, size in found[f"level{level}"].items() if size}
        assert reached == {f"own decoder {level}", *(f"encoder {below}" for below in range(1, level + 1))}


def test_under_one_global_loss_the_levels_own_decoders_get_none(batch):
    for arm in ("global", "committed"):
        each = taught(arm, batch, steps=1)
        assert all(weight.grad is None for weight in [*each.levels.own, *each.levels.own_bias])
        assert all(weight.grad is not None for weight in [*each.levels.up, *each.levels.way])
        assert {block for block, size in gradients(arm, batch)["global"].items() if size is None} == {
            f"own decoder {level}" for level in (1, 2, 3)
        }


def test_a_target_is_never_moved_towards_the_answer(batch):
    """Own losses of level 2 reach encoder 1 through what goes up alone: with an encoder
    above that is blind, nothing arrives.
    """
    levels = StackedLevels(DIGITS, SEEDS)
    with torch.no_grad():
        levels.up[1].zero_()
    losses(levels, batch, "joint")["level2"].sum().backward()
    assert levels.up[0].grad is None or not levels.up[0].grad.any()


def test_a_third_of_the_authors_parameters_gets_no_gradient():
    """3 → 32 → 64 → 128 channels: 93,123 of 279,494."""
    levels = StackedLevels(Shape((3, 32, 32), 32, 3, True), (0,), sizes=(3, 32, 64, 128))
    losses(levels, torch.randn(1, 2, 3, 32, 32, generator=stream(0, "a test")), "global")[
        "global"
    ].sum().backward()
    counts = {
        block: sum(each.numel() for each in own if each.grad is None)
        for block, own in levels.blocks().items()
    }
    assert (sum(counts.values()), sum(each.numel() for each in levels.parameters())) == (93_123, 279_494)


# Errors and floors


def test_misfit_by_hand():
    output, aim = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]), torch.tensor([[[0.0, 2.0], [2.0, 2.0]]])
    assert misfit(output, aim).tolist() == pytest.approx([(1 + 0 + 1 + 4) / 4])
    assert misfit(output, aim, relative=True).tolist() == pytest.approx([1.5 / 0.5])
    dead = torch.zeros(1, 2, 2)
    assert misfit(dead, dead, relative=True).tolist() == [0.0]


def test_an_output_relu_cannot_go_below_its_floor(batch):
    """The best it can give is max(x, 0): the floor is E[min(x, 0)²]. A linear output
    goes below it.
    """
    floor = float(batch.clamp(max=0).square().mean())
    assert misfit(batch.relu(), batch).mean().item() == pytest.approx(floor, rel=1e-5)
    clipped = taught("committed", batch, steps=300, rate=0.01)
    assert float(clipped.decode(2, clipped.encode(batch)[-1]).min()) == 0.0
    assert float(clipped.told["global"].mean()) > floor
    assert float(taught("global", batch, steps=300, rate=0.01).told["global"].mean()) < floor


@pytest.mark.parametrize("sizes", [(64, 8), (64, 16, 8), (64, 8, 8)])
def test_tied_linear_levels_reach_the_error_of_pca(sizes, batch):
    """Trained greedily, nested; untied levels need not: a level below is free to scale
    its code, and the next loses what is scaled down.
    """
    pixels = batch[:1] - batch[:1].mean(1, keepdim=True)
    levels = StackedLevels(Shape((1, 8, 8), 8, len(sizes) - 1), (0,), tied=True, linear=True, sizes=sizes)
    adam = torch.optim.Adam(levels.parameters(), lr=0.01)
    for step in range(700):
        if step == 500:
            adam.param_groups[0]["lr"] = 0.001
        adam.zero_grad()
        total(losses(levels, pixels, "greedy"), 1.0).backward()
        adam.step()
    top = levels.codes(pixels)[-1]
    reached = misfit(levels.reconstruction(len(sizes) - 2, top), pixels).item()
    components = linear_probe.principal_components(pixels[0].numpy(), 8)
    best = (
        (
            pixels[0].numpy()
            - components.transform(pixels[0].numpy())
            @ components.basis.T
            / np.square(components.basis[:, 0]).sum()
        )
        ** 2
    ).mean()
    assert best <= reached + 1e-6 and reached == pytest.approx(best, rel=0.02)


def test_convolutional_levels_hold_equally_many_values_and_halve_their_sides():
    shape = Shape((3, 32, 32), 4, 3, True)
    assert shape.sizes == (3, 4, 16, 64) and [shape.values(level) for level in range(3)] == [1024] * 3
    pixels = torch.randn(2, 3, 3, 32, 32, generator=stream(0, "a test"))
    for target in ("code", "pixels"):
        levels = StackedLevels(shape, SEEDS, target)
        codes = levels.codes(pixels)
        assert [tuple(code.shape) for code in codes] == [
            (2, 3, 4, 16, 16),
            (2, 3, 16, 8, 8),
            (2, 3, 64, 4, 4),
        ]
        assert levels.down(codes[-1]).shape == pixels.shape
        for level, code in enumerate(codes):
            assert levels.reconstruction(level, code).shape == pixels.shape
    alone = StackedLevels(shape, (1,)).codes(pixels[1:])
    torch.testing.assert_close(alone[-1][0], codes[-1][1], rtol=1e-4, atol=1e-5)


def test_a_convolutional_level_is_torchs_own():
    shape = Shape((3, 8, 8), 4, 1, True)
    levels, pixels = StackedLevels(shape, (5,)), torch.randn(1, 2, 3, 8, 8, generator=stream(0, "a test"))
    conv, back = torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.ConvTranspose2d(4, 3, 3, 2, 1, 1)
    conv.load_state_dict({"weight": levels.up[0][0], "bias": levels.up_bias[0][0]})
    back.load_state_dict({"weight": levels.way[0][0], "bias": levels.way_bias[0][0]})
    torch.testing.assert_close(levels.codes(pixels)[0][0], conv(pixels[0]).relu())
    torch.testing.assert_close(levels.down(levels.codes(pixels)[0])[0], back(conv(pixels[0]).relu()))


# Learners


def test_stacked_pca_gains_nothing_and_decodes_to_pcas_error(batch):
    each = Principal(recipe())
    each.begin(batch)
    codes = each.encode(batch)
    for code in codes[1:]:
        np.testing.assert_allclose(np.abs(code.numpy()), np.abs(codes[0].numpy()), atol=1e-5)
    from sklearn.decomposition import PCA

    pca = PCA(8).fit(batch[0].numpy())
    expected = pca.inverse_transform(pca.transform(batch[0].numpy()))
    for level, code in enumerate(codes):
        np.testing.assert_allclose(each.decode(level, code)[0], expected, atol=1e-4)


def test_centroids_say_how_much_nearer_than_usual_each_is_and_decode_to_their_clusters_mean():
    centres = np.array([[0.0, 0.0], [4.0, 0.0]])
    assert learning.nearness(np.array([[1.0, 0.0]]), centres).tolist() == [[1.0, 0.0]]
    points = torch.tensor([[[0.0, 0.0], [0.0, 2.0], [9.0, 0.0], [9.0, 2.0]]])
    each = Centroids(Recipe(Shape((1, 1, 2), 2, 1), 0.1, 0.0, 1.0), (0,))
    each.begin(points)
    assert each.decode(0, each.encode(points)[0]).tolist() == [[[0, 1], [0, 1], [9, 1], [9, 1]]]


def test_contrast_by_hand_and_its_limits():
    axes = torch.eye(3)[None]
    pairs = torch.cat([axes, axes], dim=1)
    expected = np.log(1 + 2 * np.exp(-1 / learning.TEMPERATURE))
    assert learning.contrast(pairs).item() == pytest.approx(expected, rel=1e-4)
    assert learning.contrast(5 * pairs).item() == pytest.approx(expected, rel=1e-4)
    assert learning.contrast(torch.ones(1, 6, 3)).item() == pytest.approx(np.log(3), rel=1e-5)


def test_a_contrastive_view_moves_at_most_an_eighth_and_levels_stay_apart(batch):
    each = Contrastive(recipe(noise=0.0), SEEDS)
    view, pixels = each._view(batch).view(2, 60, 8, 8), batch.view(2, 60, 8, 8)
    padded = torch.nn.functional.pad(pixels, (1, 1, 1, 1), mode="replicate")
    moved = torch.stack(
        [padded[..., row : row + 8, column : column + 8] for row in range(3) for column in range(3)]
    )
    assert (moved == view).flatten(3).all(3).any(0).all() and not torch.equal(view, pixels)
    below = each.levels.encode(0, batch)
    terms = learning.contrast(each.levels.encode(1, below.detach()) @ each.heads[1])
    terms.sum().backward()
    assert each.levels.up[0].grad is None and each.levels.up[1].grad is not None


def test_the_supervised_bound_alone_reads_labels(batch):
    labels = torch.arange(60).expand(2, 60) % 10
    for arm in ("greedy_code", "contrastive", "supervised"):
        one, other = (training.learner(arm, recipe(), SEEDS, 10) for _ in range(2))
        one.step(batch, labels)
        other.step(batch, labels.flip(1))
        assert equal_encoders(one, other) == (arm != "supervised")
    bound = Supervised(recipe(), SEEDS, 10)
    logits = bound.levels.codes(batch)[-1] @ bound.head + bound.head_bias
    bound.step(batch, labels)
    assert bound.told["labels"].mean().item() == pytest.approx(
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()).item(), rel=1e-5
    )


def test_every_other_learner_names_what_it_breaks():
    assert set(learning.BREAKS) == {"autoencoder", *LEARNERS}


# The run


@pytest.fixture(scope="module")
def film() -> list:
    return list(idea.run(SMALL, SEEDS))


def test_every_arm_that_descends_has_equal_updates_of_every_encoder_and_sees_equal_pictures(
    film, monkeypatch
):
    expected = SMALL.epochs * 3  # 200 pictures in batches of 80
    for place, arm in enumerate(ARMS):
        assert (
            film[-1].updates[:, place] == (0 if arm in ("pca", "kmeans", "random") else expected)
        ).all(), arm
    seen: dict[str, list[torch.Tensor]] = {}
    course = training.Course(SMALL, SEEDS)
    for arm, each in course.learners.items():
        monkeypatch.setattr(
            each, "step", lambda batch, labels, arm=arm: seen.setdefault(arm, []).append(batch)
        )
    course.train()
    assert set(seen) == set(ARMS)
    for batches in seen.values():
        assert all(torch.equal(one, other) for one, other in zip(batches, seen["global"], strict=True))
    whole = torch.cat(seen["global"], dim=1)[0]
    assert torch.equal(whole.sort(0).values, course.every[0].train.sort(0).values)


def test_no_learners_draws_move_the_batches(monkeypatch):
    """The order of a seed's pictures is its own stream's, whatever noise and views were
    drawn in the epoch before.
    """
    course, batches = training.Course(SMALL, (3,)), []
    whole, own = course.learners["global"], course.learners["global"].step
    monkeypatch.setattr(whole, "step", lambda batch, labels: (batches.append(batch[0]), own(batch, labels)))
    for _ in range(2):
        course.train()
    orders = stream(3, "batches")
    expected = torch.cat([torch.randperm(SMALL.train_size, generator=orders) for _ in range(2)])
    assert torch.equal(torch.cat(batches), course.every[0].train[expected])


def test_the_start_is_the_controls_and_the_control_never_learns(film):
    first, last, control = film[0], film[-1], ARMS.index("random")
    descending = [place for place, arm in enumerate(ARMS) if arm not in ("pca", "kmeans")]
    assert (first.accuracy[:, descending] == first.accuracy[:, [control]]).all()
    assert (last.accuracy[:, control] == first.accuracy[:, control]).all() and last.accuracy[
        :, ARMS.index("supervised")
    ].mean() > 0


def test_pca_reads_what_the_pixels_tell(film):
    """With eight components of a level of width eight, twelve of the pixels may tell
    more; no second level tells more than the first.
    """
    fine = film[-1].accuracy[:, ARMS.index("pca")]
    assert (fine == fine[:, :1]).all()


def test_metrics_are_the_last_frames(film):
    found, last = metrics(SMALL, film), film[-1]
    place = ARMS.index("both_code")
    assert (found["both_code_accuracy"] == last.accuracy[:, place, 1]).all() and (
        found["both_code_level1"] == last.accuracy[:, place, 0]
    ).all()
    assert found["both_code_rise"] == pytest.approx(last.accuracy[:, place, 1] - last.accuracy[:, place, 0])
    assert (found["committed_shifted_accuracy"] == last.accuracy[:, ARMS.index("committed"), 0]).all()
    assert (found["committed_frozen_accuracy"] == last.frozen[:, 1]).all()
    for arm in ARMS:
        named = [f"{arm}_error{level + 1}" in found for level in range(2)]
        assert (
            named
            == [decodes(arm, level, 2) for level in range(2)]
            == [bool(last.error[:, ARMS.index(arm), level].all()) for level in range(2)]
        )


def test_frames_show_the_first_seed_and_probes_stand_until_the_next(film):
    assert [frame.step for frame in film] == [0, *frame_epochs(SMALL)] and [
        frame.probed for frame in film
    ] == probe_epochs(SMALL)
    last = film[-1]
    assert (
        last.places.shape == (2, len(MAPPED), 2, PLACED, 2)
        and last.places[0].any()
        and not last.places[1].any()
    )
    assert not last.shown[0, 0, 0].any() and last.shown[0, 0, 1].any() and last.shown[0, 1].any()
    long = HierarchicalRepresentationConfig(epochs=400)
    assert (
        len(frame_epochs(long)) == 12
        and set(probe_epochs(long)) <= {0, *frame_epochs(long)}
        and probe_epochs(long)[-1] == 400
    )


def exchanged_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test part mirrored, and its labels dealt anew."""
    drawn = data.split

    def split(*asked):
        found = drawn(*asked)
        test = data.Images(
            np.ascontiguousarray(found.test.images[:, :, :, ::-1]),
            np.roll(found.test.labels, 7),
            found.test.classes,
        )
        return data.Split(found.train, found.validation, test)

    monkeypatch.setattr(data, "split", split)


def test_nothing_is_learned_fitted_or_chosen_on_the_test_part(monkeypatch):
    """With another test part weights, components, and the probes that are fitted and
    chosen stay; only what is measured on it moves.
    """
    from sklearn.linear_model import LogisticRegression

    def asked_again() -> tuple[list, list, list]:
        asked, components, scores, leading = (
            [],
            [],
            LogisticRegression.decision_function,
            linear_probe.principal_components,
        )
        # each probe scores the validation codes with every strength, then the test codes with its
        # own
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                LogisticRegression,
                "decision_function",
                lambda self, x: (asked.append((len(x), self.C, self.coef_.sum())), scores(self, x))[1],
            )
            patch.setattr(
                linear_probe, "principal_components", lambda *codes: _kept(components, leading(*codes))
            )
            frames = list(idea.run(SMALL.replace(epochs=1, levels=1), (0,)))
        return asked, components, frames

    one = asked_again()
    exchanged_tests(monkeypatch)
    other = asked_again()
    assert one[0] == other[0] and [count for count, _, _ in one[0]].count(697) > 30
    assert len(one[1]) == len(other[1]) > 20 and all(
        np.array_equal(first, second) for first, second in zip(one[1], other[1], strict=True)
    )
    assert np.array_equal(one[2][-1].loss, other[2][-1].loss) and not np.array_equal(
        one[2][-1].accuracy, other[2][-1].accuracy
    )


def _kept(components: list, found: linear_probe.PrincipalComponents) -> linear_probe.PrincipalComponents:
    components.append(found.basis)
    return found


def test_a_probe_is_given_so_many_labels_of_every_class_and_no_more():
    task = training.tasks(SMALL, (0,))[0]
    assert (
        np.bincount(task.labels.numpy()[task.labelled]).tolist() == [2] * 10 and len(set(task.labelled)) == 20
    )
    assert not np.array_equal(task.labelled, training.tasks(SMALL, (1,))[0].labelled)
    assert np.bincount(task.validation_labels).sum() == 100 and len(task.test_labels) == 697


def test_a_fixed_split_is_one_for_all_seeds_and_redrawn_ones_differ():
    fixed, redrawn = (training.tasks(SMALL.replace(split=kind), SEEDS) for kind in ("fixed", "redrawn"))
    assert torch.equal(fixed[0].tested, fixed[1].tested) and not torch.equal(
        redrawn[0].tested, redrawn[1].tested
    )
    assert torch.equal(fixed[0].tested, redrawn[0].tested)
    for task in redrawn:
        assert float(task.train.mean()) == pytest.approx(0, abs=1e-4) and float(
            task.train.std()
        ) == pytest.approx(1, abs=1e-3)
    assert idea.resampled(SMALL) is None and idea.resampled(SMALL.replace(split="redrawn")).test == 697


def test_a_bias_alone_is_fitted_until_classes_are_as_frequent_as_they_are():
    logits = np.random.default_rng(0).normal(size=(50, 3))
    labels = np.repeat([0, 1, 2], [30, 15, 5])
    bias = training.fitted_bias(logits, labels)
    shares = np.exp(logits + bias)
    assert (shares / shares.sum(1, keepdims=True)).mean(0) == pytest.approx([0.6, 0.3, 0.1], abs=1e-6)


def test_an_arm_that_diverges_is_named():
    course = training.Course(SMALL, (0,))
    with torch.no_grad():
        course.learners["joint_pixels"].levels.up[1].fill_(torch.inf)
    with pytest.raises(
        FloatingPointError, match=r"The arm joint_pixels diverged.*lower learning_rate \(0.005\)"
    ):
        course.train()


# Settings


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"labels": 50, "train_size": 500},
            r"labels must be at most 25 with train_size 500 and dataset digits",
        ),
        ({"train_size": 1050}, "train_size must be at most 1,000 on digits"),
        (
            {"network": "convolutional", "levels": 4},
            "levels must halve the 8 pixels of dataset digits without a rest",
        ),
        ({"dataset": "pictures"}, "dataset must be one of digits"),
        ({"local_weight": -0.1}, "local_weight must be between 0 and 10"),
    ],
)
def test_settings_that_do_not_fit_are_told_in_a_sentence(changes, sentence):
    with pytest.raises(SettingError, match=sentence) as refusal:
        HierarchicalRepresentationConfig(**changes)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("classes", "pictures"), [(1, 3), (2, 1)])
def test_a_folder_with_one_class_or_one_picture_is_told_in_a_sentence(
    classes, pictures, tmp_path, monkeypatch
):
    from PIL import Image

    for each in ("airplane", "automobile")[:classes]:
        folder = tmp_path / "cifar10" / "train" / each
        folder.mkdir(parents=True)
        for number in range(pictures):
            Image.new("RGB", (32, 32)).save(folder / f"{number}.png")
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    monkeypatch.setenv("MLCV_HOME", str(tmp_path / "home"))
    with pytest.raises(data.DataError) as refusal:
        list(idea.run(HierarchicalRepresentationConfig(dataset="cifar10"), (0,)))
    assert "cifar10" in str(refusal.value) and "\n" not in str(refusal.value)


def test_claims_can_fail_and_the_first_is_the_question():
    assert (CLAIMS[0].contrasts, CLAIMS[0].direction, CLAIMS[0].margin) == (
        (("greedy_code", "global"),),
        "greater",
        0.01,
    )
    assert {claim.direction for claim in CLAIMS} == {"greater", "equal", "different"} and all(
        claim.margin > 0 for claim in CLAIMS
    )


def test_convolutional_levels_run_from_start_to_end():
    """The full study's network on small pictures."""
    config = HierarchicalRepresentationConfig(
        network="convolutional", width=2, levels=1, epochs=1, train_size=200, labels=1, batch_size=100
    )
    found = metrics(config, list(idea.run(config, (0,))))
    assert all(np.isfinite(values).all() for values in found.values()) and found[
        "global_updates"
    ].tolist() == [2]
