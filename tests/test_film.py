"""A film survives the way to disk and back; what is no film is reported as none."""

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlcv_explore.experiment import film


@dataclass(frozen=True)
class Frame:
    step: int
    steps: int
    rate: float
    accuracy: np.ndarray  # (S,) float32
    image: np.ndarray  # (S, 2, 3) uint8


@dataclass(frozen=True)
class OtherFrame:
    step: int
    steps: int
    loss: np.ndarray  # (S,) float32


def frames(seeds: tuple[int, ...], steps: int = 4) -> list[Frame]:
    draws = [np.random.default_rng(seed) for seed in seeds]
    return [
        Frame(
            step,
            steps,
            0.1 * step,
            np.array([draw.random() for draw in draws], dtype=np.float32),
            np.stack([draw.integers(0, 256, (2, 3)) for draw in draws]).astype(np.uint8),
        )
        for step in range(1, steps + 1)
    ]


def equal(first: list[Frame], second: list[Frame]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(
        (a.step, a.steps, a.rate) == (b.step, b.steps, b.rate)
        and np.array_equal(a.accuracy, b.accuracy, equal_nan=True)
        and a.accuracy.dtype == b.accuracy.dtype
        and np.array_equal(a.image, b.image)
        and a.image.dtype == b.image.dtype
        for a, b in pairs
    )


@pytest.mark.parametrize(("seeds", "steps"), [((0,), 1), ((0,), 5), ((0, 1, 2), 1), ((3, 4), 7)])
def test_a_film_comes_back_as_it_was(seeds: tuple[int, ...], steps: int) -> None:
    original = frames(seeds, steps)
    again = film.unpack(film.pack(original), Frame)
    assert equal(original, again)
    assert (type(again[0].step), type(again[0].rate)) == (int, float)
    assert again[0].accuracy.shape == (len(seeds),)


def test_a_field_renamed_since_is_read_by_its_earlier_name() -> None:
    @dataclass(frozen=True)
    class Later:
        renamed: ClassVar[dict[str, str]] = {"loss": "error", "rate": "steps"}
        step: int
        steps: int  # an earlier `rate` never takes the place of what is there
        error: np.ndarray

    earlier = [OtherFrame(1, 7, np.float32([0.5, np.nan]))]
    (frame,) = film.unpack(film.pack(earlier), Later)
    assert (frame.step, frame.steps) == (1, 7) and np.array_equal(
        frame.error, earlier[0].loss, equal_nan=True
    )
    with pytest.raises(ValueError, match="Not a film of Later"):
        film.unpack(film.pack(frames((0,), 1)), Later)


def test_undefined_numbers_survive() -> None:
    frame = Frame(1, 1, float("nan"), np.array([np.nan, 1], dtype=np.float32), np.zeros((2, 2, 3), np.uint8))
    (again,) = film.unpack(film.pack([frame]), Frame)
    assert np.isnan(again.rate)
    assert np.isnan(again.accuracy[0])


def test_what_is_no_film_is_refused_with_a_value_error() -> None:
    whole = film.pack(frames((0, 1)))
    single = io.BytesIO()
    np.save(single, np.zeros(3))
    pickled = io.BytesIO()
    np.savez(pickled, step=np.array([{}], dtype=object), steps=np.zeros(1), loss=np.zeros((1, 1)))
    for data in (b"", b"no film", whole[: len(whole) // 2], whole[:-30], single.getvalue()):
        with pytest.raises(ValueError, match="Not a film of Frame"):
            film.unpack(data, Frame)
    for data in (whole, pickled.getvalue()):
        with pytest.raises(ValueError, match="Not a film of OtherFrame"):
            film.unpack(data, OtherFrame)


@given(st.integers(0, 400))
def test_a_damaged_byte_never_gets_past_as_another_error(position: int) -> None:
    whole = bytearray(film.pack(frames((0,), 2)))
    whole[position % len(whole)] ^= 0xFF
    try:
        film.unpack(bytes(whole), Frame)
    except ValueError as refusal:
        assert "Not a film of Frame" in str(refusal)


def test_films_of_other_seeds_are_joined_on_the_seed_axis() -> None:
    together = film.join([frames((0, 1)), frames((2,))])
    assert equal(together, frames((0, 1, 2)))
    assert equal(film.join([frames((0, 1))]), frames((0, 1)))
    assert equal(film.join([frames((0,)), frames((1,))[:2]]), frames((0, 1))[:2])  # the second still runs
    with pytest.raises(ValueError, match="same steps"):
        film.join([frames((0,)), frames((1,), steps=3)])


def test_a_series_leads_with_the_seed_axis() -> None:
    original = frames((0, 1, 2))
    assert film.series(original, "accuracy").shape == (3, 4)
    assert film.series(original, "image").shape == (3, 4, 2, 3)
    assert film.series(original, "step").tolist() == [1, 2, 3, 4]
    assert film.series(original, "accuracy")[2, 1] == original[1].accuracy[2]


def test_a_map_as_int8_keeps_signs_and_zeros_and_ends_at_127():
    assert film.as_int8(np.array([[-2.0, 0.0], [1.0, 0.5]])).tolist() == [[-127, 0], [64, 32]]
    assert film.as_int8(np.zeros((2, 2))).dtype == np.int8 and not film.as_int8(np.zeros((2, 2))).any()
