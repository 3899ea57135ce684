"""Idea 13: explanations by pretrained weights, and the page that shows them."""

import dataclasses
import re
from functools import partial

import numpy as np
import pytest

from mlcv_explore.charts import images
from mlcv_explore.ideas.hierarchical_explanation import idea as subject
from mlcv_explore.ideas.hierarchical_explanation import inference, pretrain, tables
from mlcv_explore.models import checkpoints
from mlcv_explore.models.hierarchical_dictionary import Dictionary
from mlcv_explore.models.vector_classifiers import predict_logits
from mlcv_explore.saliency.acceptance import Rules
from mlcv_explore.saliency.contribution_trees import REMAINDER, Piece, growth
from mlcv_explore.ui import evidence
from tests import opening
from tests.opening import words

SLUG = subject.slug
opened = partial(opening.opened, SLUG)


def explain(name: str, item: int, method: str = "pursuit", most: int = 6, depth: int = 2, **options: object):
    base, rules = inference.explainer(name), Rules(**options.pop("rules", {}))
    return inference.explain(base, base.items[item], method, most, depth, rules, **options)


def added(parts: tuple[Piece, ...]) -> np.ndarray:
    return sum(piece.image for piece in parts)


@pytest.mark.parametrize("name", pretrain.BUNDLED)
def test_pretrained_weights_are_those_of_their_card(name: str) -> None:
    base = inference.explainer(name)
    assert {f"{pretrain.PREFIX}{name}" for name in pretrain.BUNDLED} == set(subject.checkpoints())
    made = pretrain.CHECKPOINTS[f"{pretrain.PREFIX}{name}"].hyperparameters
    assert base.card["recipe"] == made.model_dump()
    accuracy = (predict_logits(base.classifier, base.items).argmax(1) == base.labels).mean()
    assert accuracy > base.card["metrics"]["validation_accuracy"] - 0.15
    shown = min(pretrain.GALLERY, base.card["metrics"]["test_size"])
    assert len(base.items) == len(base.labels) == shown
    with pytest.raises(checkpoints.CheckpointError):
        inference.explainer("no such data")


@pytest.mark.parametrize("method", inference.METHODS)
def test_the_pieces_of_an_explanation_add_up(method: str) -> None:
    result = explain("digits", 2, method, 8)
    energy = float(result.check.energy[0])
    assert sum(piece.share for piece in result.pieces) == pytest.approx(energy, abs=1e-4)
    np.testing.assert_allclose(added(result.pieces), result.image, atol=1e-4)
    assert growth(result.pieces, result.item)[-1][2] == pytest.approx(energy, abs=1e-4)
    np.testing.assert_array_equal(result.stages()[0][1], result.item)
    inside = sum(len(piece.pieces) for piece in result.pieces)
    assert inside == len(result.chosen) if method == "path" else inside > 0


def test_more_atoms_and_levels_cost_more_and_the_remainder_completes() -> None:
    few, many, low = (explain("glyphs", 1, "pursuit", *given) for given in ((2, 2), (12, 2), (4, 0)))
    assert many.bits > few.bits and many.check.energy[0] > few.check.energy[0]
    assert len(many.chosen) == 12 and low.size == 4096 and low.dictionary == 0
    assert all(piece.level == 0 for piece in low.pieces)
    whole = explain("glyphs", 1, most=2, rules={"energy": 0.99}, residual=True)
    assert whole.passed and whole.bits == pytest.approx(few.bits + 256 * inference.BITS)
    assert whole.pieces[-1].name == REMAINDER


def test_an_added_explanation_is_an_atom_of_its_level_and_explains_by_itself() -> None:
    base, result = inference.explainer("digits"), explain("digits", 4)
    assert inference.extended(base, []) is base
    grown = inference.extended(base, [(result.chosen, result.weights)])
    assert len(grown.dictionary.levels[-1]) == len(base.dictionary.levels[-1]) + 1
    new = result.image / np.linalg.norm(result.image)
    np.testing.assert_allclose(grown.dictionary.atoms[-1], new, atol=1e-4)
    again = inference.explain(grown, base.items[4], "pursuit", 1, 2, Rules())
    assert again.chosen.tolist() == [len(grown.dictionary.atoms) - 1]
    assert float(again.check.energy[0]) == pytest.approx(float(result.check.energy[0]), abs=0.02)
    assert again.bits < result.bits / 3 and again.dictionary > result.dictionary
    np.testing.assert_allclose(added(again.pieces[0].pieces), again.pieces[0].image, atol=1e-3)
    flat = dataclasses.replace(base, dictionary=Dictionary(base.dictionary.first, (), 16))
    low = inference.explain(flat, base.items[0], "pursuit", 5, 2, Rules())
    assert {piece.level for piece in low.pieces} == {0} and low.dictionary == 0
    assert inference.extended(flat, [(low.chosen, low.weights)]) is flat


def test_a_foreign_item_is_stored_up_to_its_own_length_without_logits() -> None:
    base = inference.explainer("digits")
    given = base, 40 * (base.items[3] - base.items[3].mean()), "pursuit", 5, 0, Rules()
    own, foreign = (inference.explain(*given, foreign=foreign) for foreign in (False, True))
    assert foreign.check.energy[0] > own.check.energy[0] + 0.2
    assert all(np.isnan(piece.logit) for piece in foreign.pieces)
    assert all(np.isfinite(piece.logit) for piece in own.pieces)


@pytest.mark.parametrize("method", inference.METHODS)
def test_an_item_of_zeros_has_no_explanation(method: str) -> None:
    base, rules = inference.explainer("digits"), Rules(tests=(False, False, False))
    result = inference.explain(base, np.zeros(256, np.float32), method, 5, 2, rules, residual=True)
    assert not result.passed and result.pieces == () and not result.remainder


def test_the_tables_hold_the_means_of_the_rows() -> None:
    table = evidence.table(SLUG)
    details, values = tables.details(table), table.values("grid", "levels", "energy", items=1000, bits=100)
    energy = details["energy"][0]
    shown = energy["100 bits (%)"][energy["Arm"].index("Levels")]
    assert shown.mean == pytest.approx(np.mean(values)) and shown.n == len(values) == 20
    mean, sharing, bits, beyond = tables.grid(table)
    assert (sharing, bits) == (["100", "1,000", "10,000", "100,000"], ["60", "100", "180"])
    minus = details["minus"][0]
    assert "Best without levels" not in minus["Arm"]
    difference = minus["100 bits (points)"][minus["Arm"].index("Levels")]
    assert difference.mean == pytest.approx(mean[1, 1] / 100) and beyond.shape == mean.shape == (4, 3)
    assert details["costs"][0]["Bits spent per item"][-3:] == ["–", "–", "–"]
    sweep = tables.sweep(table)
    assert all(values.shape == (20, 10) and (np.diff(values) <= 0).all() for values in sweep.values())


def test_the_study_on_photographs_has_energy_alone() -> None:
    details = tables.details(evidence.table(SLUG, "photographs"))
    assert list(details) == ["energy", "minus"]
    assert all(cell.n == 20 for cell in details["minus"][0]["60 bits (points)"])


@pytest.mark.parametrize("source", ["Glyph", "Digit", "Table"])
@pytest.mark.parametrize("method", inference.METHODS)
def test_every_method_explains_every_data_set(source: str, method: str) -> None:
    app = opened(source=source, g=method)
    assert not app.exception and not app.error
    assert "**Energy**" in words(app) and "Classifier: " in words(app) and "atoms, " in words(app)


def test_the_default_glyph_needs_all_three_levels() -> None:
    assert "✗" not in words(opened()) and "✓ **Energy**" in words(opened())
    for depth in ("0", "1"):
        assert "✗ **Energy**" in words(opened(depth=depth))


def test_tests_can_be_switched_off_and_the_remainder_be_held() -> None:
    link = {"source": "Digit", "energy": "1.0", "atoms": "1"}
    assert "✗ **Energy**" in words(opened(**link)) and "τ = 100%" in words(opened(**link))
    text = words(opened(**link, residual="true", label_test="false", removal_test="false"))
    assert "and the remainder" in text and "**Label**" not in text and "**Removal**" not in text


def test_an_explanation_is_added_and_removed() -> None:
    app = opened(source="Glyph")
    size = int(re.search(r"of ([\d,]+) atoms", words(app))[1].replace(",", ""))
    app.button(key=f"{SLUG}-join").click().run()
    assert not app.exception and f"of {size + 1:,} atoms" in words(app)
    assert app.button(key=f"{SLUG}-forget").label == "Remove 1 added"
    app.button(key=f"{SLUG}-forget").click().run()
    assert not app.exception and f"of {size:,} atoms" in words(app)


def test_an_empty_drawing_and_bad_links_are_reported_in_a_sentence() -> None:
    app = opened(source="Draw")
    assert not app.exception and "Draw a digit" in words(app) and "**Energy**" not in words(app)
    text = words(opened(source="Nowhere", g="magic", atoms="99", table="iris", glyph="Z"))
    names = ("source", "g", "HierarchicalExplanationView.atoms", "table", "glyph")
    assert all(f"{name} must be" in text for name in names)


def test_a_photograph_goes_through_the_tree_and_bad_files_are_rejected() -> None:
    app = opened(source="Photograph", photograph="cat")
    assert not app.exception and "Tree: " in words(app) and "**Label**" not in words(app)
    app.file_uploader[0].upload("<b>x.png", b"no image at all", "image/png").run()
    assert not app.exception and len(app.error) == 1 and "<b>" not in app.error[0].value
    # one row, of one colour: nothing is left around its mean
    flat = images.png(np.full((1, 700, 3), 90, np.uint8))
    app.file_uploader[0].upload("flat.png", flat, "image/png").run()
    assert not app.exception and not app.error and "E is empty" in words(app)
