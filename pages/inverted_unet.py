"""Inverted U-Net: paint a mask and see the image it determines; train it; the answer."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Line, images
from mlcv_explore.config import Config, setting
from mlcv_explore.data.mask_files import read_mask
from mlcv_explore.data.masked_images import SCENE_COLOURS, SCENE_REGIONS
from mlcv_explore.data.scenes import SILHOUETTES
from mlcv_explore.experiment.studies import Table
from mlcv_explore.idea import Film
from mlcv_explore.ideas.inverted_unet import idea as subject
from mlcv_explore.ideas.inverted_unet import inference, learning_curves
from mlcv_explore.ideas.inverted_unet.conditioning import LEVELS, includes
from mlcv_explore.metrics.image_quality import explained_variance
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.models.conditional_generation import best_code
from mlcv_explore.models.mask_baselines import regression
from mlcv_explore.ui import evidence, figures, inputs, page, settings, theme
from mlcv_explore.ui.canvas import draw_on_grid

SLUG = subject.slug
SOURCES = ("Scene", "Empty", "Upload")  # as the link names them
EXAMPLES = tuple(str(number) for number in range(1, inference.EXAMPLES + 1))
CHOICES = {"begin": SOURCES, "level": LEVELS, "shape": SILHOUETTES, "scene": EXAMPLES, "colour": None}
SHAPES = ("square", "circle", "square", "triangle", "cross", "ring", "square")  # stamps of the regions
STAMPS = tuple(zip(SHAPES, (0, 0, 0, 0, 0, 6, 4), strict=True))
PAINT = "Mask to paint. Arrow keys move the stamp, space paints."
# 13: the middle of the sizes in training
CANVAS = SCENE_REGIONS, SCENE_COLOURS, STAMPS, SCENE_REGIONS.index("circle"), 13, PAINT
ARMS_NOTES = {
    "live": "Generated scenes. Gradient energy below 1 is blur; own mean colour is three bytes of the image.",
    "photographs": "Photographs on grey, split by object. They have no known ceiling.",
}
ABOUT = "Objects held out from training; from top to bottom mask, U-Net"
SAMPLES, SCALE, SMALL, TILE = 5, 12, 6, 150  # the last three: screen pixels of an image pixel, of a tile

choose = partial(st.segmented_control, required=True, bind="query-params", wrap=True)


class InvertedUnetView(Config):
    """Settings of the demo; nothing of it is trained."""

    renamed: ClassVar[Mapping[str, str]] = {"rung": "level"}
    draw: int = setting(0, "Sample", low=0, high=99, step=1, help="Other latent codes, the same mask.")


def show(pixels: np.ndarray, alt: str, scale: int = 1, width: str | int = "stretch") -> None:
    """An image, each pixel a square."""
    st.image(images.png(images.enlarged(pixels, scale)), width=width, alt=alt, output_format="PNG")


def show_row(tiles: np.ndarray, text: str, scale: int = SMALL) -> None:
    """Images uint8 (n, h, w, 3) in a row, with their caption."""
    show(images.grid(tiles, len(tiles), scale=scale, gap=4, paper=theme.palette().background), text)
    st.caption(text)


def initial_mask(source: str, example: int) -> tuple[np.ndarray, str]:
    """The mask on which painting starts, uint8 (32, 32), and its token."""
    side, mask = inference.SIDE, None
    if source == "Scene":
        return inference.examples().regions[example], f"scene {example + 1}"
    if source == "Upload":
        shape = st.selectbox("White on black is a", SILHOUETTES, key=f"{SLUG}-shape", bind="query-params")
        about = "Your own mask, in the palette's colours or white on black"
        parse = partial(read_mask, regions=SCENE_REGIONS, palette=SCENE_COLOURS, side=side)
        mask = inputs.upload(f"{SLUG}-upload", about, parse=parse, args=(shape,), rejected="Mask rejected")
    if mask is None:
        return np.zeros((side, side), np.uint8), "empty"
    for note in mask.notes:
        st.info(note, icon=":material/info:")
    return mask.regions, f"upload {inputs.array_digest(mask.regions)}"


@st.fragment
def play() -> None:
    """Paint, and see at once what the mask determines."""
    left, right = st.columns([5, 6], gap="large")
    with left:
        canvas = st.container()
        source = choose("Start from", SOURCES, default=SOURCES[0], key=f"{SLUG}-begin")
        upload = st.container()
    thumbnails = {name: inference.example_image(index) for index, name in enumerate(EXAMPLES)}
    example = EXAMPLES.index(inputs.example_strip(f"{SLUG}-scene", thumbnails, "Scene"))
    with upload:
        start, token = initial_mask(source, example)
    with canvas:
        regions = draw_on_grid(f"{SLUG}-canvas", start, token, *CANVAS)
    with figures.reported(CheckpointError):
        with right:
            hidden = {"default": "class", "label_visibility": "collapsed"}
            level = choose("Conditioning level", LEVELS, key=f"{SLUG}-level", **hidden)
            output = generate(level, regions, example, source)
        tiles = st.container()
        code = settings.control(SLUG, InvertedUnetView.setting("draw"))
        text = (
            "Residual uncertainty: five latent codes, one mask. Differences are not determined by the mask."
        )
        show_row(inference.sample(regions, code, SAMPLES), text)
        with tiles:  # last, since the first search needs all training images
            compare(regions, output, example, source == "Scene" and np.array_equal(regions, start))


def generate(level: str, regions: np.ndarray, example: int, source: str) -> np.ndarray:
    """Show the level's image of a mask, and return it."""
    colour, text = None, f"U-Net. Input: {inference.INPUTS[level]}"
    if includes(level, "colour"):
        own = "#{:02x}{:02x}{:02x}".format(*inference.example_colour(example))
        about = {"key": f"{SLUG}-colour", "bind": "query-params"}
        colour = tuple(bytes.fromhex(st.color_picker("Mean colour of the object", own, **about)[1:]))
    if includes(level, "edges"):
        text += f" Edges: {f'scene {example + 1}' if source == 'Scene' else 'the outline of the mask'}."
    if includes(level, "thumbnail"):
        text += f" Tiles: scene {example + 1}."
    value, best = inference.demo_results(level)
    text += f" It explains {value:.0%} of the object's variance in unseen scenes"
    text += "." if best is None else f"; their ceiling is {best:.0%}."
    output = inference.predicted(level, regions, colour, example, source != "Scene")
    show(output, "Image predicted for this mask", SCALE, inference.SIDE * SCALE)
    pixels = {"mask.png": SCENE_COLOURS[regions], "image.png": output}
    files = {name: (partial(images.png, values), name, "image/png") for name, values in pixels.items()}
    figures.caption(text, f"{SLUG}-output", files)
    return output


def compare(regions: np.ndarray, output: np.ndarray, example: int, unchanged: bool) -> None:
    """Mask, output and truth, region means, and the training image with the nearest mask."""
    truth, filled = inference.example_image(example), inference.region_means(regions)
    near, near_mask, overlap = inference.nearest_training(regions)
    tiles = {"Mask": SCENE_COLOURS[regions], "U-Net": output} | ({"True image": truth} if unchanged else {})
    tiles |= {"Region means": filled, f"Nearest in training, overlap {overlap:.0%}": near}
    photograph = inference.of_photographs(np.isin(regions, inference.SCENES.objects)[None])[0]
    tiles |= {"Its mask": SCENE_COLOURS[near_mask], "U-Net of photographs": photograph}
    with st.container(horizontal=True, gap="small"):
        for caption, pixels in tiles.items():
            with st.container(width=TILE, gap="small"):
                show(pixels, caption, SMALL, TILE)
                st.caption(caption)
    if not unchanged:
        st.caption("A scene's true image is shown while its mask is unchanged.")
        return
    made, simple = (inference.region_errors(image, truth, regions) for image in (output, filled))
    errors = ", ".join(f"{name} {value:.0f} / {simple[name]:.0f}" for name, value in made.items())
    st.caption(f"Root mean squared error in grey levels, U-Net / region means: {errors}. One image.")


def draw(film: Film, config: Config, seeds: Sequence[int]) -> None:
    """Learning curves of a run, and the U-Net's images beside mask and truth."""
    steps, curves = learning_curves(film)
    lines = {subject.label(arm): Line(subject.arm(arm).role, values) for arm, values in curves.items()}
    limits = {"x_domain": (0.0, float(film[0].steps - 1)), "y_domain": (-1.0, 1.0), "y_format": ".0%"}
    title = subject.measure("explained").label.lower()
    chart = charts.curves(steps, lines, "updates", title, palette=theme.palette(), **limits)
    notice, command = "Validation images. Zero: one grey for all.", figures.command(SLUG, config, seeds)
    figures.figure(chart, f"{SLUG}-curves", notice, command=command, config=config, moving=True)
    shown = inference.shown_images(film[-1], config, seeds[0])
    text = "Mask, U-Net, true image" if len(shown) > len(film[-1].shown[0]) else "U-Net's images"
    show_row(shown, f"{text}; seed {seeds[0]}.", max(1, 96 // config.side))


def example() -> None:
    """Masks held out and of a scene, predictions and, where they are here, the truth."""
    with figures.reported(CheckpointError):
        names, masks, outputs, truths = inference.held_out()
        for tiles in (SCENE_COLOURS[masks], outputs, *([] if truths is None else [truths])):
            show(images.grid(tiles, len(tiles), scale=2, gap=4, paper=theme.palette().background), ABOUT)
        st.caption(f"{ABOUT}{'' if truths is None else ', photograph'}: {', '.join(names)}.")
        mask, truth = inference.examples().regions[0], inference.example_image(0)
        row = np.stack([SCENE_COLOURS[mask], inference.predicted("class", mask), truth])
        show_row(row, "A generated scene: mask, U-Net, truth.", 3)


def answer(table: Table) -> None:
    """Every measure of every arm, on scenes and on photographs."""
    tables = (table, evidence.table(SLUG, evidence.PHOTOGRAPHS))
    for rows, (name, note) in zip(tables, ARMS_NOTES.items(), strict=True):
        figures.results(subject, rows.columns("arms"), f"{SLUG}-arms-{name}")
        st.caption(note)


page.run(
    subject,
    play=play,
    draw=draw,
    answer=answer,
    example=example,
    formulas={"R²": explained_variance, "Box regression": regression, "Best of 5": best_code},
    views=(InvertedUnetView,),
    choices=CHOICES,
    seeds=3,
)
