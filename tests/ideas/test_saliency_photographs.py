"""Saliency on composites: which places are explained, what is measured there, the networks
that must fail, and the table of methods.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore.config import SettingError
from mlcv_explore.data import composites
from mlcv_explore.data.dataset import DataError
from mlcv_explore.experiment import film, studies
from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.saliency import (
    ARMS,
    ATTRIBUTIONS,
    CONTROLS,
    MEASURES,
    NETWORKS,
    Frame,
    SaliencyConfig,
    arms,
    idea,
    measures_of,
    metrics,
    photographs,
    picture,
    run,
    tables,
)
from mlcv_explore.models import classifiers, imagenet
from mlcv_explore.models.checkpoints import Classifier
from mlcv_explore.saliency import METHODS, attribute_all, cause
from mlcv_explore.seeds import seeded
from tests import composite_files
from tests.test_saliency_cause import SeesRed

PLACES = SaliencyConfig(dataset="composites", explained_scenes=2)


def network(seed: int) -> nn.Module:
    return seeded(seed, lambda: classifiers.residual_classifier(4, 3, [0.5] * 3, [0.25] * 3)).eval()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three objects, one of them without a class, two backgrounds, and in place of the
    ImageNet networks small ones.
    """
    objects = {"moss": ((40, 160, 30), ""), "red": ((220, 0, 0), "red"), "sky": ((90, 160, 250), "cat")}
    composite_files.write(tmp_path, objects)
    monkeypatch.setenv("MLCV_DATA", str(tmp_path))
    monkeypatch.setattr(
        imagenet, "load", lambda: Classifier("small", network(0), ("cat", "red", "dog"), 32, {"input": {}})
    )
    monkeypatch.setattr(imagenet, "untrained", network)


def test_the_first_places_that_count_are_explained(small: None) -> None:
    model, cutout = Classifier("sees red", SeesRed(), ("cat", "red"), 32, {}), composites.recognised()[0]
    experiment = photographs.Experiment(PLACES, 0, cutout, model, model.network)
    drawn = composites.generate(cutout, 20, 0, side=32)
    counted = np.flatnonzero(cause.decided_by_object(model.network, drawn, 1))
    assert 2 <= len(counted) < 20 and np.array_equal(experiment.order, counted[:2])
    assert experiment.accuracy == pytest.approx(len(counted) / 20) and experiment.target == 1
    untrained = photographs.Experiment(PLACES.replace(network="untrained"), 0, cutout, model, network(1))
    assert np.array_equal(untrained.order, counted[:2])  # the same places, whatever it predicts
    other = Classifier("other", network(0), ("cat", "dog"), 32, {})
    with pytest.raises(DataError, match=r"red.png must have a class of other, got 'red'"):
        photographs.Experiment(PLACES, 0, cutout, other, network(1))
    assert [cause.object_of(seed).name for seed in range(3)] == ["red", "sky", "moss"]


def test_every_place_has_draws_of_its_own_which_both_networks_share(small: None) -> None:
    model, cutout = imagenet.load(), composites.recognised()[0]
    one, other = (photographs.Experiment(PLACES, seed, cutout, model, model.network) for seed in (0, 1))
    image = photographs.as_float(one.composites.images[0])
    maps = {
        (experiment.seed, place): experiment._maps(model.network, image, place)
        for experiment in (one, other)
        for place in (0, 1)
    }
    for name in ("random", "smoothgrad", "rise"):
        drawn = [values[name] for values in maps.values()]
        assert not any(np.array_equal(a, b) for a, b in itertools.combinations(drawn, 2)), name
    assert np.array_equal(one._maps(network(1), image, 0)["random"], maps[0, 0]["random"])


def test_a_run_measures_every_map_of_one_object_and_the_networks_that_must_fail_where_they_lie(
    small: None,
) -> None:
    frames = list(run(PLACES, (0,)))
    assert [(frame.step, frame.steps) for frame in frames] == [(1, 2), (2, 2)]
    columns = metrics(PLACES, frames)
    assert {name.rpartition("_")[2] for name in columns} == {*MEASURES, "accuracy"} - {"tag", "moved"}
    assert columns["truth_mass"] == columns["truth_pointing"] == 1
    assert all(columns[f"{arm}_dilated"] > columns[f"{arm}_mass"] for arm in CONTROLS)
    masks = photographs.Experiment(PLACES, 0, cause.object_of(0), imagenet.load(), network(1))
    areas = masks.composites.masks[masks.order].mean((1, 2))
    assert columns["random_mass"][0] == pytest.approx(areas.mean(), abs=0.03)
    assert np.isnan(frames[-1].swapped).all() and frames[0].shown.any() and not frames[1].shown.any()
    again = film.unpack(film.pack(frames), Frame)
    assert set(picture(again).labels.values()) == {"Integrated gradients", "Centre blob", "Sobel edges"}
    # faithfulness is the first place's, mass the mean of both
    first = metrics(PLACES, frames[:1])
    assert first["gradient_deletion"] == columns["gradient_deletion"]
    assert first["gradient_mass"] != columns["gradient_mass"]
    ignorant = (*tables.IGNORANT, "edges_squared")
    for name in ("randomised", "untrained"):
        config = PLACES.replace(network=name, explained_scenes=1)
        failing = metrics(config, list(run(config, (0,))))
        # the same place: maps of the image alone are equal, the others are another network's
        assert all(failing[f"{arm}_mass"] == first[f"{arm}_mass"] for arm in ignorant)
        assert failing["gradient_mass"] != first["gradient_mass"] and "rise_mass" not in failing
    assert all(failing[f"{arm}_moved"] == pytest.approx(0, abs=1e-6) for arm in ignorant)
    assert min(failing[f"{arm}_moved"] for arm in ATTRIBUTIONS if arm != "rise") > 0.02
    with pytest.raises(SettingError, match="between 0 and 2 on composites, where each is an object, got 3"):
        list(run(PLACES, (3,)))


def test_only_the_last_layer_of_the_randomised_network_is_random_and_each_object_has_its_own(
    small: None,
) -> None:
    trained = imagenet.load()
    known = trained.network.state_dict()
    kinds = PLACES.replace(network="randomised"), PLACES
    one, other = (photographs.explained_network(kinds[0], trained, seed).state_dict() for seed in (0, 1))
    last = list(known)[-2:]  # weight and bias
    assert all(torch.equal(one[name], known[name]) == (name not in last) for name in known)
    assert not torch.equal(one[last[0]], other[last[0]])
    assert photographs.explained_network(kinds[1], trained, 0) is trained.network


def test_settings_that_composites_do_not_have_are_set_or_refused() -> None:
    assert PLACES.rho == 0.25 and SaliencyConfig(dataset="composites", rho=1.0) == SaliencyConfig(
        dataset="composites"
    )
    with pytest.raises(SettingError, match="generation must be false on composites"):
        PLACES.replace(generation=True)
    with pytest.raises(SettingError, match=r"network must be trained on scenes.*'untrained'"):
        SaliencyConfig(network="untrained")
    earlier = {name: value for name, value in SaliencyConfig().model_dump().items()}
    del earlier["dataset"], earlier["network"]
    assert SaliencyConfig(**earlier) == SaliencyConfig()


def test_the_stated_evaluations_are_those_that_the_methods_make() -> None:
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    maps = attribute_all(network(0), image, 1, tuple(METHODS), photographs.SETTINGS, 0)
    made = {attribution.method: attribution.forwards + attribution.backwards for attribution in maps}
    assert {name: count for name, count in made.items() if count} == tables.EVALUATIONS


def test_the_study_on_photographs_states_objects_and_has_the_claims_of_scenes() -> None:
    live, on_photographs = idea.studies
    assert [cell.arms for cell in on_photographs.cells[:7]] == [cell.arms for cell in live.cells[:7]]
    rows = [
        {"claim": claim.name, "arm": arm, "seed": seed, "measure": "mass", "value": value + seed / 100}
        for claim in idea.claims
        for arm, value in zip(claim.arms, (0.5, 0.2, 0.1), strict=True)
        for seed in range(3)
    ]
    decided = studies.verdicts(idea, on_photographs, rows)
    assert {verdict["status"] for verdict in decided} == {"supported"}
    assert all("over objects" in verdict["estimand"] for verdict in decided)


def test_methods_on_photographs_stand_beside_the_best_control_and_their_random_last_layer() -> None:
    masses = {
        "photographs": {"blind": 0.3, "gradient": 0.5},
        "randomised": {"gradient": 0.45},
        "untrained": {"edges": 0.3},
    }
    rows = [
        {
            "claim": claim,
            "arm": arm,
            "seed": seed,
            "measure": measure,
            "value": (own.get(arm, 0.1) if measure == "mass" else 0.5) + 0.01 * seed,
        }
        for claim, own in masses.items()
        for arm in arms(NETWORKS[claim])
        for measure in measures_of(NETWORKS[claim])
        for seed in range(3)
    ]
    table = tables.on_photographs(Table(rows), idea.labels())
    assert table["Map"][-1] == "True mask" and len({len(column) for column in table.values()}) == 1
    gradient, rise = (ATTRIBUTIONS.index(name) for name in ("gradient", "rise"))
    means = {
        "On the object": 0.51,
        "On the object − Image-only network": 0.2,
        "Last layer random − Image-only network": 0.35,
        "Untrained − Image-only network": 0.0,
        "On the object − itself, last layer random": 0.05,
    }
    assert all(table[head][gradient].mean == pytest.approx(mean) for head, mean in means.items())
    assert table["Untrained − Image-only network"][rise] == "–" and table["Evaluations"][rise] == "100"
    assert table["On the object − itself, last layer random"][-1] == "–" and table["Evaluations"][-1] == "0"
    assert set(tables.MAPS) <= set(ARMS)
