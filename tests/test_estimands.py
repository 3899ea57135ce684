"""What a study's differences are taken over is what its seeds draw."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlcv_explore import idea
from mlcv_explore.experiment import runs, studies
from mlcv_explore.statistics import Clusters

DRAWS = {  # idea, changed settings → what its verdicts state
    ("copernican", ()): "over 28 sources of curves, each one of 6 data sets with one of 5 kinds of curve",
    ("copernican", (("tables", "photographs"),)): "over 25 sources of curves, each one of 5 data sets",
    ("copernican", (("part", "all"),)): "over 4 data sets, each with problems drawn anew",
    ("feature_mixing", ()): "labelled images, initial weights, order, noise) on one fixed split",
    ("feature_mixing", (("experiment", "paste"),)): "draw data of their own from one generator",
    ("hierarchical_explanation", ()): "re-drawn splits of one data set (Nadeau–Bengio",
    ("hierarchical_explanation", (("dataset", "glyphs"),)): "draw data of their own from one generator",
    ("hierarchical_explanation", (("dataset", "wine"),)): "re-drawn splits of one data set (Nadeau–Bengio",
    ("hierarchical_representation", ()): "labelled images, initial weights, order, noise) on one fixed split",
    (
        "hierarchical_representation",
        (("split", "redrawn"),),
    ): "re-drawn splits of one data set (Nadeau–Bengio",
    ("freezing", ()): "re-drawn splits of one data set (Nadeau–Bengio",
    ("freezing", (("dataset", "photographs"),)): "over draws of photographs from 60,000",
    ("inverted_unet", ()): "draw data of their own from one generator",
    (
        "inverted_unet",
        (("dataset", "composites"), ("side", 48)),
    ): "re-drawn splits of one data set (Nadeau–Bengio",
    ("label_noise", ()): "over training seeds (initial weights, order, noise) on one fixed split",
    ("label_noise", (("split", "redrawn"),)): "re-drawn splits of one data set (Nadeau–Bengio corrected)",
    ("layer_attacks", ()): "re-drawn splits of one data set (Nadeau–Bengio",
    ("layer_attacks", (("experiment", "training"),)): "re-drawn splits of one data set (Nadeau–Bengio",
    ("layer_attacks", (("dataset", "photographs"),)): "over groups of photographs, of one network",
    ("learned_salience", ()): "draw data of their own from one generator",
    ("learned_salience", (("dataset", "oxford_pets"),)): "re-drawn splits of one data set (Nadeau–Bengio",
    ("learned_salience", (("dataset", "composites"),)): "over objects, each at two places",
    (
        "learned_salience",
        (("dataset", "composites"), ("experiment", "order")),
    ): "re-drawn splits of one data set (Nadeau–Bengio",
    ("saliency", ()): "draw data of their own from one generator",
    ("saliency", (("dataset", "composites"), ("explained_scenes", 1))): "over objects, each at 1 place where",
    (
        "saliency",
        (("dataset", "composites"), ("explained_scenes", 3)),
    ): "over objects, each at 3 places where",
    ("underspecification", ()): "re-drawn splits of one data set (Nadeau–Bengio",
    ("underspecification", (("dataset", "photographs"),)): "re-drawn splits of one data set (Nadeau–Bengio",
    ("virtual_outliers", ()): "re-drawn splits of one data set (Nadeau–Bengio",
    ("virtual_outliers", (("dataset", "photographs"),)): "re-drawn splits of one data set (Nadeau–Bengio",
}


@pytest.mark.parametrize(("slug", "changes"), DRAWS)
def test_a_run_states_what_its_seeds_draw(slug: str, changes: tuple[tuple[str, Any], ...]) -> None:
    subject = idea.load(slug)
    config = subject.config(**dict(changes))
    every = {f"{arm}_{claim.measure}": np.arange(9.0) for claim in subject.claims for arm in claim.arms}
    stated = {verdict.estimand for verdict in runs.decided(subject, config, every)}
    assert all(DRAWS[slug, changes] in text for text in stated)
    split = subject.split_sizes(config)
    clustered = isinstance(split, Clusters)
    assert (split is not None) == ("Nadeau–Bengio" in DRAWS[slug, changes] or clustered)
    if clustered:
        assert f"over {split.count} " in DRAWS[slug, changes]
    elif split:
        assert min(split.train, split.test) > 0


def test_every_idea_states_it() -> None:
    assert {slug for slug, _ in DRAWS} == {card.slug for card in idea.cards()}


def test_generated_data_differ_between_seeds_and_a_fixed_split_does_not() -> None:
    """The data themselves, of one idea of each kind."""
    from mlcv_explore.ideas.hierarchical_explanation import HierarchicalExplanationConfig
    from mlcv_explore.ideas.inverted_unet import InvertedUnetConfig, training
    from mlcv_explore.models import vector_sets

    sizes = HierarchicalExplanationConfig().sizes
    for name in ("glyphs", "digits", "wine"):
        one, other = (vector_sets.load(name, sizes, seed).test.values for seed in (0, 1))
        assert not np.array_equal(one[: len(other)], other[: len(one)]), name
    scenes = InvertedUnetConfig(scenes=20, test_images=10)
    first, second = (training.splits(scenes, seed)[2].images for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_rows_of_re_drawn_splits_are_corrected_beside_generated_ones() -> None:
    """Two parts of the study under one name: digits, re-drawn, and glyphs, generated."""
    subject = idea.load("hierarchical_explanation")
    study = subject.studies[0]
    both = ("levels", "check")
    cells = tuple(replace(cell, claim="both") if cell.claim in both else cell for cell in study.cells)
    rows = studies.read(idea.ASSETS / subject.slug, study)
    rows = [{**row, "claim": "both"} if row["claim"] in both else row for row in rows]
    table = studies.Table(rows, studies.splits_of(subject, replace(study, cells=cells)))
    split = table.split("both", dataset="digits")
    assert table.split("both", dataset="glyphs") is None
    assert (split.train, split.test) == (800, 200) and table.split("grid") == split
    with pytest.raises(ValueError, match="fixed and of re-drawn splits"):
        table.split("both")
    plain, read = studies.Table(table.rows), {"claim": "both", "arm": "levels", "measure": "energy"}
    widths = [[one.interval(**read, dataset=name) for one in (table, plain)] for name in ("glyphs", "digits")]
    (same, alike), (corrected, uncorrected) = [[each.high - each.low for each in pair] for pair in widths]
    assert same == alike
    assert corrected / uncorrected == pytest.approx(np.sqrt((1 / 20 + 200 / 800) * 20))


def test_collapsed_runs_are_found_by_all_rows_of_their_run() -> None:
    """The classifier's accuracy stands in another cell of the same run."""
    subject = idea.load("learned_salience")
    study = subject.studies[0]
    rows = studies.read(idea.ASSETS / subject.slug, study)

    def counts() -> dict[str, int]:
        decided = studies.verdicts(subject, study, rows)
        return {each["claim"]: round(each["collapsed"]["mean"] * each["collapsed"]["n"]) for each in decided}

    before = counts()
    accuracies = [
        row
        for row in rows
        if (row["claim"], row["arm"], row["measure"]) == ("silhouettes", "classifier", "accuracy")
    ]
    assert before["cause"] == sum(row["value"] < 0.4 for row in accuracies)
    worst, *_ = (row for row in accuracies if row["value"] >= 0.4)
    worst["value"] = 0.39
    assert counts() == before | {name: before[name] + 1 for name in ("cause", "beats_image", "faithful")}
    assert {each["interval"] for each in studies.verdicts(subject, study, rows)} == {"median"}
