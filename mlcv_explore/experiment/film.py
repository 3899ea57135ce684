"""Frames as bytes and back: what travels from worker to page and lies on disk. npz,
never pickle.
"""

import io
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np


def pack(frames: Sequence[Any]) -> bytes:
    """Frames of one class as compressed npz: every field stacked along a new first
    axis, (T, …).
    """
    columns = {
        entry.name: np.stack([np.asarray(getattr(frame, entry.name)) for frame in frames])
        for entry in fields(frames[0])
    }
    file = io.BytesIO()
    np.savez_compressed(file, **columns)
    return file.getvalue()


def unpack(data: bytes, frame: type) -> list[Any]:
    """The frames again; a field may have the earlier name that `frame.renamed` maps to
    it. Raises ValueError when a field is missing or the data is not a film.
    """
    earlier = {today: old for old, today in getattr(frame, "renamed", {}).items()}
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            names = [field.name for field in fields(frame)]
            columns = {name: archive[name if name in archive else earlier.get(name, name)] for name in names}
    except Exception as error:  # a damaged archive fails in a dozen ways: zip, zlib, header, shape
        raise ValueError(f"Not a film of {frame.__name__}: {error}") from error
    numbers = [entry.name for entry in fields(frame) if columns[entry.name].ndim == 1]
    length = len(columns[fields(frame)[0].name])
    rows = ({name: column[t] for name, column in columns.items()} for t in range(length))
    return [
        frame(**{name: value.item() if name in numbers else value for name, value in row.items()})
        for row in rows
    ]


def join(films: Sequence[Sequence[Any]]) -> list[Any]:
    """Films of equal settings and other seeds as one: arrays are put behind one another
    on the seed axis.

    Only the frames that all films have, so that a film still running can be joined.
    Raises ValueError on films of different steps.
    """
    if len(films) == 1:
        return list(films[0])
    joined = []
    for frames in zip(*films, strict=False):
        if len({(frame.step, frame.steps) for frame in frames}) > 1:
            raise ValueError("Films can be joined only when their frames are at the same steps.")
        names = [
            entry.name
            for entry in fields(frames[0])
            if isinstance(getattr(frames[0], entry.name), np.ndarray)
        ]
        joined.append(
            replace(
                frames[0],
                **{name: np.concatenate([getattr(frame, name) for frame in frames]) for name in names},
            )
        )
    return joined


def series(frames: Sequence[Any], name: str) -> np.ndarray:
    """One field over the film with the seed axis first: (S, T, …) for arrays, (T,) for
    numbers.
    """
    values = np.stack([np.asarray(getattr(frame, name)) for frame in frames])
    return values if values.ndim == 1 else np.moveaxis(values, 0, 1)


def as_int8(values: np.ndarray) -> np.ndarray:
    """A map (h, w) as int8, small enough for a frame, its largest absolute value at 127."""
    largest = np.abs(values).max()
    return np.rint(values / largest * 127).astype(np.int8) if largest else np.zeros(values.shape, np.int8)
