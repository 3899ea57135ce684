"""Reconstructions as trees of contributions: shares, images and logits add up."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from mlcv_explore.data import glyphs, strokes
from mlcv_explore.models.decision_trees import SoftTree
from mlcv_explore.models.hierarchical_dictionary import Dictionary, learn
from mlcv_explore.models.sparse_coding import coefficients, explained_energy, matching_pursuit, reconstruct
from mlcv_explore.saliency.contribution_trees import (
    REMAINDER,
    Composer,
    Piece,
    add_logits,
    describe,
    growth,
    ordered,
)
from mlcv_explore.saliency.tree_paths import sparse_filters
from mlcv_explore.seeds import seeded

ITEMS = glyphs.generate(glyphs.grammar(0), 80, 0, "taught").values
ITEM = ITEMS[7:8]


@cache
def dictionary() -> Dictionary:
    return learn(Dictionary(strokes.placed(16), side=16), ITEMS, ((12, 16),), 5, 0)[0]


def coded(atoms: np.ndarray, chosen: np.ndarray) -> tuple[dict[int, float], np.ndarray, Composer]:
    weights = coefficients(ITEM, atoms, chosen)
    image = reconstruct(atoms, chosen, weights)
    towards = (2 * ITEM - image)[0] / float((ITEM**2).sum())
    known = dict(zip(chosen[0].tolist(), weights[0].tolist(), strict=True))
    return known, image, Composer(dictionary(), towards)


def summed(pieces) -> np.ndarray:
    return sum(piece.image for piece in pieces)


def test_shares_add_up_to_the_energy_and_pieces_to_their_images() -> None:
    known, image, compose = coded(dictionary().atoms, matching_pursuit(ITEM, dictionary().atoms, 6))
    pieces = ordered(compose.atom(*pair) for pair in known.items())
    energy = float(explained_energy(ITEM, image)[0])
    assert sum(piece.share for piece in pieces) == pytest.approx(energy, abs=1e-4)
    assert abs(pieces[0].share) == max(abs(piece.share) for piece in pieces)
    np.testing.assert_allclose(summed(pieces), image[0], atol=1e-4)
    composed = [inner for piece in pieces for inner in piece.walk() if inner.pieces]
    assert {piece.level for piece in composed} == {1, 2} or len(composed) > 3
    for piece in composed:
        np.testing.assert_allclose(summed(piece.pieces), piece.image, atol=1e-3)
        assert all(inner.level < piece.level for inner in piece.pieces)


def test_what_grows_level_by_level_ends_as_the_whole_and_the_remainder_comes_last() -> None:
    known, image, compose = coded(dictionary().atoms, matching_pursuit(ITEM, dictionary().atoms, 6))
    rest = compose.piece(-1, REMAINDER, 1.0, (ITEM - image)[0])
    steps = growth([rest, *(compose.atom(*pair) for pair in known.items())], ITEM[0])
    names = [name for name, _, _ in steps]
    assert names[-1] == REMAINDER and names[:-1] == sorted(names[:-1], reverse=True)
    np.testing.assert_allclose(steps[-2][1], image[0], atol=1e-4)
    energies = [energy for _, _, energy in steps]
    assert energies == sorted(energies) and energies[-1] == pytest.approx(1, abs=1e-5)
    assert energies[0] < energies[-2]
    np.testing.assert_allclose(steps[-1][1], ITEM[0], atol=1e-5)


def test_a_prototype_is_made_of_atoms_and_columns_are_named() -> None:
    piece = Composer(dictionary(), ITEM[0]).prototype(4, 2.0, ITEMS[3])
    assert piece.name == "prototype 5" and piece.level == -1 and 0 < len(piece.pieces) <= 6
    np.testing.assert_allclose(piece.image, 2 * ITEMS[3])
    assert float(explained_energy(piece.image[None], summed(piece.pieces)[None])[0]) > 0.5
    table = Composer(Dictionary(np.eye(2, dtype=np.float32)), np.array([1.0, 0]), ("height", "weight"))
    column = table.atom(1, -3.0)
    assert column.name == "weight" and column.share == 0 and column.image.tolist() == [0, -3]


def test_the_atoms_of_a_path_hang_at_its_forks() -> None:
    tree = seeded(1, lambda: SoftTree(256, 10))
    filters = sparse_filters(tree, dictionary().first, 3)
    nodes = [node for node, _ in tree.path(int(tree.leaf_probabilities(ITEM)[0].argmax()))]
    chosen = np.unique(filters.atoms[nodes])[None]
    known, image, compose = coded(dictionary().first, chosen)
    forks = compose.path(tree, filters, ITEM, known)
    assert [fork.name.split(":")[0] for fork in forks] == [f"fork {number}" for number in range(1, 5)]
    assert sum(len(fork.pieces) for fork in forks) == len(known)  # each atom once
    np.testing.assert_allclose(summed(forks), image[0], atol=1e-4)
    reached = math.prod(float(fork.name.rpartition(" ")[2]) for fork in forks)
    assert reached == pytest.approx(tree.leaf_probabilities(ITEM).max(), abs=0.02)


def test_logits_of_all_pieces_are_those_of_their_images() -> None:
    network = nn.Sequential(nn.Linear(256, 3, bias=False)).eval()
    inner = Piece(0, "inner", 1.0, 0.25 * ITEM[0], 0.0)
    whole = Piece(1, "whole", 1.0, ITEM[0], 1.0, (inner,))
    assert math.isnan(whole.logit)
    add_logits(network, ITEM, [whole], 2)
    with torch.inference_mode():
        expected = float(network(torch.from_numpy(ITEM))[0, 2])
    assert whole.logit == pytest.approx(expected, abs=1e-5)
    assert inner.logit == pytest.approx(0.25 * expected, abs=1e-5)
    add_logits(network, ITEM, [], 2)


def test_a_piece_is_described_by_its_level_coefficient_logit_and_share() -> None:
    inner = Piece(0, "stroke 3", -1.5, ITEM[0], -0.2)
    assert describe(inner) == (
        "level 0: stroke 3",
        "× −1.50",
        "level 0: stroke 3, -20% of the energy, made of 0 pieces",
        0.0,
    )
    whole = Piece(-1, "prototype 5", 2.0, ITEM[0], 1.2, (inner,), -0.31)
    title, text, alt, share = describe(whole)
    assert (title, text, share) == ("prototype 5", "× 2.00, logit −0.3", 1.0)
    assert alt.endswith("120% of the energy, made of 1 pieces")
