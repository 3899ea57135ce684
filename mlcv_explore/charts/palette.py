"""What each colour, dash and marker means on every page, light and dark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Role = Literal["baseline", "idea", "variant", "other", "control", "oracle"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True)
class Style:
    """How a role is drawn. Dash and marker repeat the colour's meaning, for readers who
    do not see it.
    """

    colour: str  # "#RRGGBB"
    dash: tuple[int, int] | tuple[int, int, int, int]  # pixels on, off; (1, 0) is solid
    marker: str  # a Vega symbol
    width: float  # pixels
    filled: bool


@dataclass(frozen=True, eq=False)  # hashed by identity: what is drawn with it is cached
class Palette:
    """The colours of one theme, all "#RRGGBB"."""

    name: Literal["light", "dark"]
    roles: Mapping[Role, Style]
    signed: tuple[str, ...]  # ten steps from most negative to most positive; zero is in the middle
    amounts: tuple[str, ...]  # ten steps; more is further from the background
    text: str
    muted: str
    border: str
    panel: str
    background: str
    primary: str

    @property
    def signed_stops(self) -> tuple[str, ...]:
        """Eleven stops from −limit to +limit: the signed scale with the background at
        zero.
        """
        return (*self.signed[:5], self.background, *self.signed[5:])


def _roles(
    baseline: str, idea: str, variant: str, other: str, control: str, oracle: str
) -> dict[Role, Style]:
    return {
        "baseline": Style(baseline, (1, 0), "circle", 2, False),
        "idea": Style(idea, (1, 0), "circle", 3, True),
        "variant": Style(variant, (10, 4), "square", 2, True),
        "other": Style(other, (8, 3, 2, 3), "triangle-up", 2, True),
        "control": Style(control, (2, 3), "cross", 2, True),
        "oracle": Style(oracle, (5, 3), "diamond", 2, True),
    }


def _stops(colours: str) -> tuple[str, ...]:
    return tuple(colours.split())


PALETTES: Mapping[Literal["light", "dark"], Palette] = {
    "light": Palette(
        name="light",
        roles=_roles("#8A8F97", "#2E84CC", "#791183", "#D67632", "#413004", "#006F3A"),
        signed=_stops("#004982 #0B67A9 #428CC7 #85B8DC #CCE2EF #EFDAC6 #E7A875 #D5753A #B34917 #8C3016"),
        amounts=_stops("#E4F5FC #C5DFEB #A7C9DA #8AB3CA #6D9DBB #5187AB #36719C #245B87 #124672 #01315D"),
        text="#1E2228",
        muted="#656970",
        border="#DAD7D0",
        panel="#F3F0E9",
        background="#FCFAF6",
        primary="#036E8B",
    ),
    "dark": Palette(
        name="dark",
        roles=_roles("#8C9298", "#5F99DF", "#F6CCFF", "#C36A43", "#B8A452", "#8BDBA9"),
        signed=_stops("#9DDAFE #5CB4EF #3786C3 #2A5B88 #233447 #442D20 #854324 #C16229 #ED914C #FFC581"),
        amounts=_stops("#13242E #1A3744 #214B5B #276073 #2C768A #318EA2 #34A6B9 #37BFCF #53D6E1 #6DEEF4"),
        text="#EAE7E2",
        muted="#9B9FA5",
        border="#32363C",
        panel="#1B1E24",
        background="#111418",
        primary="#027797",
    ),
}


def rgb(colour: str) -> tuple[int, int, int]:
    """ "#RRGGBB" as three numbers of 0–255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def shades(positions: np.ndarray, stops: Sequence[str]) -> np.ndarray:
    """Colours at positions 0–1 along evenly spaced stops, clipped to the ends: (…) →
    uint8 (…, 3). NaN takes the middle stop.
    """
    channels = np.array([rgb(stop) for stop in stops], dtype=float)  # (stops, 3)
    where = np.nan_to_num(np.asarray(positions, dtype=float), nan=0.5)
    at = np.linspace(0.0, 1.0, len(stops))
    return np.stack(
        [np.rint(np.interp(where, at, channels[:, channel])) for channel in range(3)], axis=-1
    ).astype(np.uint8)


def signed_shades(values: np.ndarray, limit: float, palette: Palette) -> np.ndarray:
    """Signed values in −limit…limit as uint8 (…, 3): zero and NaN have the background's
    colour, blue below, orange above. Raises ValueError on a limit ≤ 0.
    """
    if not limit > 0:
        raise ValueError(f"The limit of a signed scale must be above zero, got {limit}.")
    return shades(0.5 + np.asarray(values, dtype=float) / (2 * limit), palette.signed_stops)


def luminance(colour: np.ndarray) -> np.ndarray:
    """Relative luminance 0–1 of sRGB colours, uint8 (…, 3) → (…), defined by WCAG 2."""
    share = np.asarray(colour, dtype=float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def contrast(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Contrast ratio 1–21 of sRGB colours, uint8 (…, 3), as WCAG 2 defines it."""
    one, two = luminance(first), luminance(second)
    return (np.maximum(one, two) + 0.05) / (np.minimum(one, two) + 0.05)
