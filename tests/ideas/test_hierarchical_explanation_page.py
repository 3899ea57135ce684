"""The page of hierarchical explanations under Streamlit's own test runner, and what it
asks of what ships.
"""

import dataclasses
import io
from functools import partial

import numpy as np
import pytest
from PIL import Image

from mlcv_explore import idea
from mlcv_explore.experiment import studies
from mlcv_explore.ideas.hierarchical_explanation import (
    HierarchicalExplanationConfig,
    evidence,
    explaining,
    shipping,
    strokes,
)
from mlcv_explore.ideas.hierarchical_explanation.checking import Rules
from mlcv_explore.ideas.hierarchical_explanation.networks import logits_of
from mlcv_explore.ideas.hierarchical_explanation.vocabulary import Vocabulary
from mlcv_explore.models import checkpoints
from tests import opening
from tests.opening import words

SLUG = "hierarchical_explanation"
opened = partial(opening.opened, SLUG)


@pytest.mark.parametrize("source", ["Digit", "Glyph", "Table"])
@pytest.mark.parametrize("g", explaining.EXPLAINERS)
def test_every_g_explains_every_world(source, g):
    app = opened(source=source, g=g)
    assert not app.exception and not app.error
    said = words(app)
    assert "f(X, E) is" in said and "**Energy**" in said and "The judge says" in said and "atoms, " in said


def test_what_nothing_can_meet_is_false_with_its_reason_and_no_error():
    app = opened(source="Digit", energy="1.0", atoms="1")
    assert not app.exception and not app.error
    assert "f(X, E) is False" in words(app) and "τ asks for 100%" in words(app)
    with_rest = opened(
        source="Digit", energy="1.0", atoms="1", residual="true", label_test="false", removal_test="false"
    )
    assert "the rest as one vector included" in words(with_rest) and "Not asked: label, removal" in words(
        with_rest
    )


def test_an_empty_drawing_is_met_with_what_to_do():
    app = opened(source="Draw")
    assert not app.exception
    assert "Draw a digit" in words(app) and "f(X, E)" not in words(app)


def test_a_photograph_goes_through_the_tree_of_classes_and_bad_files_are_refused():
    app = opened(source="Photograph", photograph="cat")
    assert not app.exception
    said = words(app)
    assert (
        "The tree says" in said and "In strokes it is 16 × 16" in said and "Not asked: label, removal" in said
    )
    app.file_uploader[0].upload("<b>x.png", b"no picture at all", "image/png")
    app.run()
    assert not app.exception and len(app.error) == 1 and "<b>" not in app.error[0].value
    file = io.BytesIO()
    # one row, of one colour: nothing is left around its mean
    Image.fromarray(np.full((1, 700, 3), 90, np.uint8)).save(file, "PNG")
    app.file_uploader[0].upload("flat.png", file.getvalue(), "image/png")
    app.run()
    assert not app.exception and not app.error
    assert "nothing explains nothing" in words(app)


def test_bad_values_in_the_link_are_named():
    app = opened(source="Nowhere", g="magic", atoms="99", table="iris")
    assert not app.exception
    said = words(app)
    assert all(
        name in said
        for name in (
            "source must be",
            "g must be",
            "HierarchicalExplanationView.atoms must be",
            "table must be",
        )
    )


@pytest.mark.parametrize("name", shipping.BUNDLED)
def test_what_ships_explains_what_its_card_says(name):
    mind, card = explaining.mind(name), explaining.mind(name).card
    assert {f"{shipping.PREFIX}{each}" for each in shipping.BUNDLED} == set(idea.load(SLUG).checkpoints())
    assert card["recipe"] == shipping.CHECKPOINTS[f"{shipping.PREFIX}{name}"].hyperparameters.model_dump()
    named = (logits_of(mind.judge, mind.items).argmax(1) == mind.labels).mean()
    assert named > card["metrics"]["validation_judge"] - 0.15
    assert len(mind.items) == len(mind.labels) == card["arguments"]["gallery"]
    with pytest.raises(checkpoints.CheckpointError):
        explaining.mind("no such world")


def rules(**changes: object) -> Rules:
    return Rules(**changes)


def test_shares_add_up_to_the_energy_and_trees_to_their_pictures():
    mind = explaining.mind("digits")
    found = explaining.explain(mind, mind.items[0], "pursuit", 6, 2, rules())
    assert sum(piece.share for piece in found.pieces) == pytest.approx(float(found.check.energy[0]), abs=1e-4)
    np.testing.assert_allclose(sum(piece.picture for piece in found.pieces), found.picture, atol=1e-4)
    composed = [piece for piece in found.pieces if piece.pieces]
    assert composed
    for piece in composed:
        np.testing.assert_allclose(sum(inner.picture for inner in piece.pieces), piece.picture, atol=1e-3)
        assert all(inner.level < piece.level for inner in piece.pieces)
    assert found.grown[-1][2] == pytest.approx(float(found.check.energy[0]), abs=1e-4)
    energies = [share for _, _, share in found.grown]
    assert energies[0] < energies[-1]


def test_more_atoms_and_levels_cost_more_and_the_rest_completes():
    mind = explaining.mind("glyphs")
    few, many = (explaining.explain(mind, mind.items[1], "pursuit", most, 2, rules()) for most in (2, 12))
    assert many.bits > few.bits and many.check.energy[0] > few.check.energy[0] and many.atoms == 12
    strokes_alone = explaining.explain(mind, mind.items[1], "pursuit", 4, 0, rules())
    assert strokes_alone.vocabulary == strokes.KINDS * 256 and strokes_alone.dictionary == 0
    assert all(piece.level == 0 for piece in strokes_alone.pieces)
    whole = explaining.explain(mind, mind.items[1], "pursuit", 2, 2, rules(energy=0.99), residual=True)
    assert whole.check.passed[0] and whole.bits == pytest.approx(few.bits + 256 * explaining.BITS)
    assert whole.pieces[-1].name == "the rest, outside S"


def test_an_accepted_explanation_joins_its_level_and_then_explains_by_itself():
    mind = explaining.mind("digits")
    item = mind.items[4]
    found = explaining.explain(mind, item, "pursuit", 6, 2, rules())
    assert explaining.joined(mind, []) is mind
    grown = explaining.joined(mind, [(found.chosen, found.weights)])
    assert len(grown.vocabulary.levels[-1]) == len(mind.vocabulary.levels[-1]) + 1
    atom = grown.vocabulary.atoms[-1]
    np.testing.assert_allclose(atom, found.picture / np.linalg.norm(found.picture), atol=1e-4)
    again = explaining.explain(grown, item, "pursuit", 1, 2, rules())
    assert again.chosen.tolist() == [len(grown.vocabulary.atoms) - 1]
    assert (
        float(again.check.energy[0]) == pytest.approx(float(found.check.energy[0]), abs=0.02)
        and again.bits < found.bits / 3
    )
    assert again.dictionary > found.dictionary
    np.testing.assert_allclose(
        sum(piece.picture for piece in again.pieces[0].pieces), again.pieces[0].picture, atol=1e-3
    )
    # what was carried over is what would be made anew
    fresh = Vocabulary(grown.vocabulary.first, grown.vocabulary.levels, grown.vocabulary.side)
    np.testing.assert_allclose(fresh.atoms, grown.vocabulary.atoms, atol=1e-4)
    app = opened(source="Digit", item="5")
    app.button(key=f"{SLUG}-join").click().run()
    assert not app.exception and "1 of yours joined" in words(app)
    app.button(key=f"{SLUG}-forget").click().run()
    assert "of yours joined" not in words(app)


def test_a_mind_without_levels_explains_with_strokes():
    shipped = explaining.mind("digits")
    mind = dataclasses.replace(shipped, vocabulary=Vocabulary(shipped.vocabulary.first, (), 16))
    found = explaining.explain(mind, mind.items[0], "pursuit", 5, 2, rules())
    assert {piece.level for piece in found.pieces} == {0} and found.dictionary == 0
    assert explaining.joined(mind, [(found.chosen, found.weights)]) is mind


def test_the_paths_strokes_hang_at_its_forks():
    mind = explaining.mind("digits")
    found = explaining.explain(mind, mind.items[2], "path", 8, 2, rules())
    assert [piece.name.split(":")[0] for piece in found.pieces] == [
        f"fork {number}" for number in range(1, 5)
    ]
    assert sum(len(piece.pieces) for piece in found.pieces) == found.atoms
    np.testing.assert_allclose(sum(piece.picture for piece in found.pieces), found.picture, atol=1e-4)


def test_a_foreign_item_is_written_up_to_its_own_length_and_told_without_logits():
    mind = explaining.mind("digits")
    item = 40 * (mind.items[3] - mind.items[3].mean())
    own, foreign = (
        explaining.explain(mind, item, "pursuit", 5, 0, rules(), foreign=each) for each in (False, True)
    )
    assert foreign.check.energy[0] > own.check.energy[0] + 0.2
    assert all(np.isnan(piece.logit) for piece in foreign.pieces) and all(
        np.isfinite(piece.logit) for piece in own.pieces
    )


def test_nothing_is_explained_by_nothing():
    mind = explaining.mind("digits")
    for g in explaining.EXPLAINERS:
        found = explaining.explain(
            mind, np.zeros(256, np.float32), g, 5, 2, rules(tests=(False, False, False)), residual=True
        )
        assert (
            not found.check.passed[0]
            and found.pieces == ()
            and found.reasons == ("E is empty, and nothing explains nothing",)
        )


def test_a_drawn_digit_is_a_vector_like_those_of_the_handwritten_ones():
    digit = np.zeros((8, 8))
    digit[:, 3] = 1
    drawing = explaining.from_digit(digit).reshape(16, 16)
    assert drawing[[0, -1]].max() == pytest.approx(1) and drawing[:, 0].max() == 0
    assert not explaining.from_digit(np.zeros((8, 8))).any()
    assert HierarchicalExplanationConfig().coefficient_bits == explaining.BITS


def test_the_answer_tells_every_part_of_the_question_with_intervals():
    app = opened(act="Answer")
    assert not app.exception
    said = words(app)
    for part in ("More at equal bits?", "Where from?", "Do both directions give the same E?"):
        assert part in said
    assert said.count("[") > 15 and len(app.table) == 4
    rows = studies.read(idea.ASSETS / SLUG, idea.load(SLUG).studies[0])
    by_hand = [
        row["value"]
        for row in rows
        if (row["claim"], row["dataset"], row["arm"], row["measure"]) == ("arms", "glyphs", "three", "passes")
    ]
    assert (
        evidence.arms(rows, "glyphs")["three"]["passes"].mean == pytest.approx(np.mean(by_hand))
        and len(by_hand) == 10
    )
    assert list(evidence.sharing(rows)) == [100, 1000, 10_000, 100_000]
    assert (
        evidence.budget(rows)[100]["three"].mean == pytest.approx(np.mean(by_hand))
        and min(evidence.budget(rows)) == 60
    )
