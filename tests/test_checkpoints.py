"""Classifiers and their checkpoints: the hyperparameters by hand, training taken up
again, cards that fit and cards that do not, weights from elsewhere.
"""

import hashlib
import http.server
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load as tensors_of
from safetensors.torch import load_file, save_file

from mlcv_explore import data, saliency
from mlcv_explore.command import main
from mlcv_explore.config import SettingError
from mlcv_explore.models import (
    available_models,
    checkpoint_training,
    checkpoints,
    classifier_training,
    classifiers,
)
from mlcv_explore.models.checkpoint_training import ClassifierSpec
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.models.classifier_training import Hyperparameters
from mlcv_explore.saliency import methods
from mlcv_explore.seeds import seeded, stream
from mlcv_explore.torchvision_compat import models

TINY = Hyperparameters(width=4, epochs=3, small_epochs=1, batch_size=16)
MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.1)
SHIPPED = checkpoints.names()


def one_sentence(error: Exception) -> bool:
    text = str(error)
    return text.endswith(".") and "\n" not in text


# --- the hyperparameters


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    hyperparameters = Hyperparameters(peak_rate=0.4, warm_share=0.25)
    rates = [classifier_training.rate(hyperparameters, step, 100) for step in range(100)]
    assert (
        rates[:2] == pytest.approx([0.4 / 25, 0.8 / 25])
        and max(rates) == pytest.approx(0.4)
        and rates.index(max(rates)) == 24
    )
    assert rates[-1] == pytest.approx(0.4 / 76) and np.diff(rates[24:]) == pytest.approx(-0.4 / 76)


def test_a_image_is_moved_whole_and_mirrored_or_not() -> None:
    padded = torch.arange(6.0).expand(64, 3, 6, 6)  # columns 0 … 5
    moved = classifier_training.augmented(
        padded, Hyperparameters(shift=1), 4, torch.Generator().manual_seed(0)
    )
    rows = {tuple(image[0, 0].tolist()) for image in moved}
    upright = {(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)}
    assert rows == upright | {row[::-1] for row in upright}
    assert (
        torch.equal(
            classifier_training.augmented(padded, Hyperparameters(shift=1, flip=False), 4, torch.Generator())[
                :, :, 0
            ],
            moved[:, :, 0],
        )
        is False
    )
    still = classifier_training.augmented(
        padded[:, :, :4, :4], Hyperparameters(shift=0, flip=False), 4, torch.Generator()
    )
    assert torch.equal(still, padded[:, :, :4, :4])


def test_the_network_sees_normalised_images() -> None:
    layer = classifiers.Normalise(MEAN, STD)
    seen = layer(torch.tensor(MEAN).view(1, 3, 1, 1) + 2 * torch.tensor(STD).view(1, 3, 1, 1))
    assert seen.flatten().tolist() == pytest.approx([2, 2, 2], abs=1e-5)


@pytest.mark.parametrize("architecture", classifiers.ARCHITECTURES)
def test_every_relu_is_a_module_used_once_and_not_in_place(architecture: str) -> None:
    network = classifiers.ARCHITECTURES[architecture](4, 10, MEAN, STD).eval()
    uses: list[torch.nn.Module] = []
    modules = [module for module in network.modules() if isinstance(module, torch.nn.ReLU)]
    for module in modules:
        module.register_forward_hook(lambda module, *_: uses.append(module))
    network(torch.rand(2, 3, 32, 32))
    count = {"residual_classifier": 8, "whitened_classifier": 7}[architecture]
    assert (
        len(modules) == count
        and {id(module) for module in uses} == {id(module) for module in modules}
        and len(uses) == count
    )
    assert not any(module.inplace for module in modules)


def test_whitening_filters_make_patches_uncorrelated_and_of_one_variance() -> None:
    chance = np.random.default_rng(2)
    smooth = np.kron(chance.integers(0, 200, (300, 1, 8, 8)), np.ones((1, 3, 2, 2))) + chance.integers(
        0, 56, (300, 3, 16, 16)
    )
    network = classifiers.whitened_classifier(4, 2, MEAN, STD)
    classifiers.whiten(network, smooth.astype(np.uint8))
    seen = network.whiten[0](network.normalise(torch.from_numpy(smooth).float() / 255))
    values = seen.transpose(0, 1).flatten(1)
    half = len(values) // 2
    moments = (values[:half] @ values[:half].T / values.shape[1]).detach().numpy()
    assert np.abs(moments - np.eye(half)).max() < 0.05 and torch.equal(values[half:], -values[:half])


def test_the_first_epochs_see_small_images() -> None:
    sides: list[int] = []
    hyperparameters = TINY.replace(epochs=4, small_epochs=2, batch_size=40)
    state = classifier_training.trainer(hyperparameters, 2, MEAN, STD, 0)
    state.network.register_forward_pre_hook(lambda _, given: sides.append(given[0].shape[-1]))
    for _ in classifier_training.epochs(
        hyperparameters, state, np.zeros((40, 3, 32, 32), np.uint8), np.zeros(40, np.int64), 0
    ):
        pass
    assert sides == [24, 24, 32, 32]


@pytest.mark.parametrize("architecture", classifiers.ARCHITECTURES)
def test_a_resumed_training_ends_as_one_that_never_stopped(architecture: str) -> None:
    hyperparameters = TINY.replace(architecture=architecture, bias_rate=4)
    chance = np.random.default_rng(0)
    images, labels = chance.integers(0, 256, (40, 3, 16, 16), np.uint8), chance.integers(0, 2, 40)

    def after(*stops: int) -> dict[str, torch.Tensor]:
        state = classifier_training.trainer(hyperparameters, 2, MEAN, STD, 5, images)
        for done, _, _ in classifier_training.epochs(hyperparameters, state, images, labels, 5):
            if done in stops:
                return after_again(state.tensors())
        return state.tensors()

    def after_again(saved: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        state = classifier_training.trainer(hyperparameters, 2, MEAN, STD, 5, images)
        state.restore(saved)
        seen = [done for done, _, _ in classifier_training.epochs(hyperparameters, state, images, labels, 5)]
        assert seen == list(range(int(saved["epoch"]) + 1, hyperparameters.epochs + 1))
        return state.tensors()

    through = after()
    for stop in (1, 2):
        again = after(stop)
        assert again.keys() == through.keys() and all(
            torch.equal(again[name], through[name]) for name in through
        )


# --- training a checkpoint


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Reddish and bluish images as an own folder, and a plan to train on them; returns
    where checkpoints may go.
    """
    chance = np.random.default_rng(1)
    for part, count in (("train", 40), ("test", 10)):
        for label, name in enumerate(("blue", "red")):
            folder = tmp_path / "data" / "colours" / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = chance.integers(0, 120, (16, 16, 3), np.uint8)
                pixels[:, :, 0 if label else 2] += 130
                Image.fromarray(pixels).save(folder / f"{index}.png")
    monkeypatch.setenv("MLCV_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("MLCV_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(
        checkpoint_training.CLASSIFIER_SPECS,
        "colours",
        ClassifierSpec(lambda _: data.load("colours"), TINY, MEAN, STD),
    )
    return tmp_path / "out"


def test_what_was_trained_is_stored_small_and_is_as_good_as_its_card_states(colours: Path) -> None:
    card = checkpoint_training.train("colours", 3, TINY.replace(epochs=10), colours)
    model = checkpoints.read(colours / "colours" / "3", "colours/3")
    assert {
        value.dtype for value in load_file(colours / "colours" / "3" / "weights.safetensors").values()
    } == {torch.float16, torch.int64}
    assert model.classes == ("blue", "red") and model.side == 16 and not model.network.training
    assert (
        checkpoint_training.accuracy_of(model.network, data.load("colours").test)
        == card["metrics"]["test_accuracy"]
        > 0.9
    )
    assert (
        card["steps"] == 10 * 5
        and card["seed"] == 3
        and card["data"]["fingerprint"] == data.load("colours").fingerprint
    )


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(colours: Path) -> None:
    def stop(done: int, *_: object) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checkpoint_training.train("colours", 0, out=colours / "one", report=stop)
    seen: list[int] = []
    resumed = checkpoint_training.train(
        "colours", 0, out=colours / "one", report=lambda done, *_: seen.append(done)
    )
    whole = checkpoint_training.train("colours", 0, out=colours / "two")
    assert seen == [3] and resumed["sha256"] == whole["sha256"] and resumed["metrics"] == whole["metrics"]


def test_weights_know_nothing_of_the_test_part(colours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, hyperparameters = data.load("colours"), TINY.replace(architecture="whitened_classifier")
    other = replace(
        whole, test=replace(whole.test, images=255 - whole.test.images, labels=1 - whole.test.labels)
    )
    digests = set()
    for number, dataset in enumerate((whole, other)):
        monkeypatch.setitem(
            checkpoint_training.CLASSIFIER_SPECS,
            "colours",
            ClassifierSpec(lambda _, given=dataset: given, TINY, MEAN, STD),
        )
        digests.add(checkpoint_training.train("colours", 0, hyperparameters, colours / str(number))["sha256"])
    assert len(digests) == 1


def test_bad_names_and_settings_are_reported_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SettingError, match="no checkpoint 'nothing' to train"):
        checkpoint_training.train("nothing", 0)
    for words, expected in (
        (["--epochs", "0"], "train.epochs must be a whole number between 1 and 200, got 0"),
        (["--epoch", "3"], "did you mean 'epochs'"),
    ):
        assert main(["train", "cifar10", *words]) == 2
        output = capsys.readouterr()
        assert expected in output.err and output.out == ""


# --- cards and weights that do not fit


def spoilt(folder: Path, **changes: object) -> CheckpointError:
    """The error of reading once the card is changed."""
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(
        json.dumps({key: value for key, value in {**card, **changes}.items() if value is not None})
    )
    with pytest.raises(CheckpointError) as error:
        checkpoints.read(folder, "a model")
    assert one_sentence(error.value)
    return error.value


def test_a_card_that_does_not_fit_its_weights_names_the_first_tensor(colours: Path) -> None:
    checkpoint_training.train("colours", 0, out=colours)
    folder = colours / "colours" / "0"
    assert "tensor 'linear.weight' is [2, 32], the architecture has [3, 32]" in str(
        spoilt(folder, classes=["a", "b", "c"])
    )
    assert "tensor 'stem.0.weight' is [4, 3, 3, 3], the architecture has [5, 3, 3, 3]" in str(
        spoilt(folder, arguments={"width": 5})
    )
    assert "architecture 'a_dream'" in str(spoilt(folder, architecture="a_dream"))
    assert "lacks input.std" in str(spoilt(folder, input={"size": 16, "mean": MEAN}))
    assert "lacks classes" in str(spoilt(folder, classes=None))


def test_weights_that_are_others_or_none_are_refused(colours: Path) -> None:
    checkpoint_training.train("colours", 0, out=colours)
    folder = colours / "colours" / "0"
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(content)
    assert "another SHA-256" in str(spoilt(folder))
    (folder / "weights.safetensors").write_bytes(b"nothing like it")
    assert "no safetensors file" in str(spoilt(folder, sha256=None))
    (folder / "weights.safetensors").unlink()
    assert "cannot be read" in str(spoilt(folder))
    (folder / "card.json").write_text("[")
    with pytest.raises(CheckpointError, match="card of a model cannot be read"):
        checkpoints.read(folder, "a model")


def test_training_and_test_scenes_differ_and_their_tags_are_as_informative_as_the_name_states() -> None:
    plain, tagged = (checkpoint_training.spec(name).dataset(3) for name in ("scenes", "scenes-tagged"))
    assert (
        plain.train.classes == tagged.train.classes and len(plain.train) == 6000 and len(plain.test) == 2000
    )
    # scenes of one seed differ in the tag alone
    assert np.array_equal(plain.train.labels, tagged.train.labels)
    changed = (plain.train.images != tagged.train.images).any(axis=(1, 2, 3)).mean()
    assert 0.72 < changed < 0.78
    assert not np.array_equal(plain.train.images[:2000], plain.test.images)


# --- what ships


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_checkpoint_is_whole_and_small(name: str) -> None:
    model = checkpoints.load(name)
    assert model.card["name"] == name and model.card["command"].startswith(
        f"python -m mlcv_explore train {name.split('/')[0]} --seed"
    )
    assert (checkpoints.FOLDER / name / "weights.safetensors").stat().st_size <= 4e6
    logits = model.network(torch.rand(2, 3, model.side, model.side))
    assert logits.shape == (2, len(model.classes)) and logits.isfinite().all()


def test_an_average_is_the_mean_of_its_seeds_logits() -> None:
    members = checkpoints.members("cifar10")
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    mean = sum(member.network(images) for member in members) / len(members)
    assert len(members) == 5 and torch.allclose(checkpoints.load("cifar10").network(images), mean, atol=1e-5)
    assert all(member.card["metrics"]["test_accuracy"] >= 0.88 for member in members)
    assert checkpoints.load("cifar10/0") is checkpoints.load("cifar10/0")


@pytest.mark.parametrize("architecture", classifiers.ARCHITECTURES)
def test_networks_side_by_side_are_the_mean_of_them_layer_by_layer(architecture: str) -> None:
    chance = stream(0, "a test")
    networks = [
        seeded(seed, lambda: classifiers.ARCHITECTURES[architecture](4, 3, MEAN, STD)) for seed in range(3)
    ]
    for network in networks:
        if architecture == "whitened_classifier":
            classifiers.whiten(network, np.random.default_rng(0).integers(0, 256, (20, 3, 16, 16), np.uint8))
        network(torch.rand(32, 3, 16, 16, generator=chance))  # running statistics of its own
        network.eval().requires_grad_(False)
    whole, image = checkpoints.average(networks), torch.rand(3, 16, 16, generator=chance)
    assert torch.allclose(
        whole(image[None]), sum(network(image[None]) for network in networks) / 3, atol=1e-5
    )
    assert list(saliency.layers(whole)) == list(saliency.layers(networks[0]))
    both_signs = saliency.SaliencySettings(cam_positive=False)
    cams = [methods.grad_cam(network, image, 1, both_signs).values for network in networks]
    assert torch.allclose(methods.grad_cam(whole, image, 1, both_signs).values, sum(cams) / 3, atol=1e-6)
    anew = saliency.randomised(whole, 2, 0)
    saved, last = dict(whole.named_parameters()), list(saliency.layers(whole))[-2]
    lost = anew.get_submodule(last).weight != saved[f"{last}.weight"]
    # in every member, and there alone
    assert lost.flatten(1).any(1).all() and torch.equal(anew.halve1[0].weight, whole.halve1[0].weight)


# --- weights from elsewhere


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader's own model: a torchvision architecture with weights that were never
    trained.
    """
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    save_file(
        models.get_model("resnet18", weights=None, num_classes=3).state_dict(), folder / "weights.safetensors"
    )
    card = {
        "architecture": "resnet18",
        "classes": ["a", "b", "c"],
        "input": {"size": 64, "mean": MEAN, "std": STD},
    }
    (folder / "card.json").write_text(json.dumps(card))
    monkeypatch.setenv("MLCV_MODELS", str(tmp_path / "models"))
    return folder


def test_an_own_model_is_offered_and_normalises_as_its_card_states(own: Path) -> None:
    assert "mine" in [offer.name for offer in available_models.listing() if offer.origin == "own"]
    model = available_models.load("mine")
    alone = models.get_model("resnet18", weights=None, num_classes=3).eval()
    alone.load_state_dict(load_file(own / "weights.safetensors"))
    images = torch.rand(2, 3, 64, 64)
    expected = alone((images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1))
    assert model.side == 64 and torch.allclose(model.network(images), expected, atol=1e-5)


def test_own_weights_replaced_under_the_same_name_are_another_model(own: Path) -> None:
    before = available_models.load("mine")
    tensors = load_file(own / "weights.safetensors")
    save_file({**tensors, "fc.bias": tensors["fc.bias"] + 1}, own / "weights.safetensors")
    os.utime(own / "weights.safetensors", (0, 0))  # whatever the clock of the disk
    after = available_models.load("mine")
    assert before.key != after.key and before.name == after.name
    assert torch.equal(after.network[1].fc.bias, before.network[1].fc.bias + 1)


def test_an_own_card_that_does_not_fit_names_torchvisions_own_tensor(own: Path) -> None:
    card = json.loads((own / "card.json").read_text())
    (own / "card.json").write_text(json.dumps({**card, "classes": ["a", "b"]}))
    with pytest.raises(
        CheckpointError, match=r"tensor 'fc.weight' is \[3, 512\], the architecture has \[2, 512\]"
    ):
        available_models.load("mine")


def test_an_unknown_model_is_reported_with_the_available_ones() -> None:
    with pytest.raises(CheckpointError, match=r"no model 'resnet19'; there are .*resnet18"):
        available_models.load("resnet19")


def test_torchvisions_weights_are_read_with_its_own_normalisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLCV_HOME", str(tmp_path))
    alone = models.get_model("mobilenet_v3_large", weights=None).eval()
    available_models.weights_file("mobilenet_v3_large").parent.mkdir()
    torch.save(alone.state_dict(), available_models.weights_file("mobilenet_v3_large"))
    model = available_models.load("mobilenet_v3_large")
    images = torch.rand(1, 3, 224, 224)
    seen = (images - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    assert (
        model.side == 224
        and len(model.classes) == 1000
        and torch.allclose(model.network(images), alone(seen), atol=1e-5)
    )
    available_models.weights_file("mobilenet_v3_large").write_bytes(b"damaged, and of another length")
    with pytest.raises(CheckpointError, match="are damaged") as error:
        available_models.load("mobilenet_v3_large")
    assert one_sentence(error.value)


@pytest.fixture
def file_server(tmp_path: Path) -> Iterator[tuple[str, bytes]]:
    """A server on loopback with one file: (its address, its content)."""
    content = bytes(range(256)) * 5000

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content) + (100 if self.path == "/short" else 0)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", content
    server.shutdown()
    thread.join()


def test_weights_are_fetched_once_whole_or_not_at_all(
    file_server: tuple[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLCV_HOME", str(tmp_path))
    address, content = file_server
    right = hashlib.sha256(content).hexdigest()[:8]
    path = available_models.weights_file("resnet18")

    def fetched(where: str, beginning: str) -> str:
        monkeypatch.setattr(available_models, "remote_file", lambda _: (where, beginning))
        with pytest.raises(CheckpointError) as error:
            available_models.fetch("resnet18")
        assert one_sentence(error.value) and not path.exists() and not list(path.parent.glob(".*"))
        return str(error.value)

    assert "damaged" in fetched(f"{address}/file", "0" * 8)
    assert "broken off" in fetched(f"{address}/short", right)
    assert "refused" in fetched("http://127.0.0.1:1/file", right)
    monkeypatch.setenv("MLCV_PUBLIC", "1")
    assert "public server" in fetched(f"{address}/file", right)
    monkeypatch.delenv("MLCV_PUBLIC")
    monkeypatch.setattr(available_models, "remote_file", lambda _: (f"{address}/file", right))
    progress: list[tuple[int, int]] = []
    available_models.fetch("resnet18", lambda had, total: progress.append((had, total)))
    assert path.read_bytes() == content and progress[-1] == (len(content), len(content)) and len(progress) > 2


def test_a_checkpoint_is_no_pickle() -> None:
    for name in SHIPPED:
        assert tensors_of((checkpoints.FOLDER / name / "weights.safetensors").read_bytes())
