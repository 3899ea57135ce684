"""Inverted U-Net: paint a mask and see the picture it determines; train it; how much of
the variance it explains at each rung.
"""

import time
from dataclasses import dataclass

import numpy as np
import streamlit as st

from mlcv_explore import charts, idea
from mlcv_explore.charts import Bar, Line, images, percent
from mlcv_explore.config import Config, setting
from mlcv_explore.experiment.film import series
from mlcv_explore.idea import Film
from mlcv_explore.ideas.inverted_unet import (
    ARMS,
    MEASURES,
    ROLES,
    InvertedUnetConfig,
    brought,
    measures,
    networks,
    painting,
)
from mlcv_explore.ideas.inverted_unet import evidence as tables
from mlcv_explore.ideas.inverted_unet import idea as subject
from mlcv_explore.ideas.inverted_unet.ladder import RUNGS, has, sides_of_edges
from mlcv_explore.ideas.inverted_unet.worlds import REGIONS, SCENES
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.statistics import t_interval
from mlcv_explore.ui import evidence, inputs, page, settings, training
from mlcv_explore.ui.canvas import draw_on_grid

BEGINS = ("Scene", "Empty", "Upload")  # as the link names them
TEXTURES = SCENES.labels
UPLOADS = ["png", "webp", "gif", "jpg", "jpeg"]
# of each region
STAMPS = (
    ("square", 0),
    ("circle", 0),
    ("square", 0),
    ("triangle", 0),
    ("cross", 0),
    ("ring", 6),
    ("square", 4),
)
FIRST_SIZE = 13  # pixels of the stamp, about the middle of the sizes trained on
DRAWN = 5  # pictures sampled at once
SCALE = 12  # a pixel of a network's picture on the page
SMALL = 6
TILE = 150  # pixels of a picture beside others
NAMES = {
    "mean": "mean picture", "region": "region means", "nearest": "nearest mask", "nearest5": "best of 5 nearest", "l2": "U-Net, squared error",
    "l1": "U-Net, absolute error", "sampled": "sampled, best of 5", "cvae": "CVAE, best of 5", "shuffled": "told of other masks",
    "adversarial": "with a critic", "webp": "WebP of as many bytes", "ceiling": "ceiling", "truth": "the true picture",
}  # fmt: skip
TELLS = {
    "binary": "where the object is",
    "class": "what each pixel is",
    "label": "and the texture's name",
    "edges": "and which pixels are brighter and darker than those around them",
    "thumbnail": "and sixteen mean colours",
}
HEADS = {
    "explained": "object explained", "background": "rest explained", "psnr": "PSNR, dB", "ssim": "SSIM", "energy": "edge energy",
    "iou": "object found, IoU", "accuracy": "texture named", "diversity": "diversity", "bytes": "bytes",
}  # fmt: skip


class InvertedUnetView(Config):
    """What the Play act shows; nothing of it is trained."""

    scene: int = setting(
        1, "Scene", low=1, high=painting.PRESETS, step=1, help="Fresh scenes that no network was trained on."
    )
    draw: int = setting(0, "Draw", low=0, high=99, step=1, help="Other codes for the same mask.")


card = idea.card("inverted_unet")


@dataclass(frozen=True, eq=False)
class Start:
    """What the canvas begins with."""

    regions: np.ndarray  # (32, 32) uint8
    token: str


def begin() -> tuple[int, Start]:
    """The controls that choose a mask to begin with: a scene, which also lends its
    edges and colours, and the mask.
    """
    pick, slide = st.columns([5, 3], gap="small")
    source = pick.segmented_control(
        "Begin with",
        BEGINS,
        default=BEGINS[0],
        required=True,
        key=f"{card.slug}-begin",
        bind="query-params",
        wrap=True,
    )
    with slide:
        scene = settings.control(card.slug, InvertedUnetView.setting("scene"))
    return scene, mask(source, scene)


def mask(source: str, scene: int) -> Start:
    """The mask of a scene, an empty one, or the reader's own."""
    if source == "Scene":
        return Start(painting.presets().regions[scene - 1], f"scene {scene}")
    empty = Start(np.zeros((painting.SIDE, painting.SIDE), np.uint8), "empty")
    if source == "Empty":
        return empty
    slot = st.container()
    shape = st.selectbox(
        "White on black is a",
        brought.OBJECTS,
        key=f"{card.slug}-shape",
        bind="query-params",
        filter_mode=None,
    )
    with slot:
        taken = inputs.upload(
            f"{card.slug}-upload",
            "Your own mask, in the palette's colours or white on black",
            parse=brought.from_picture,
            args=(painting.SIDE, shape),
            rejected="Mask rejected",
        )
    if taken is None:
        return empty
    for note in taken.notes:
        st.info(note, icon=":material/info:")
    return Start(taken.regions, f"upload {inputs.array_digest(taken.regions)}")


@st.fragment
def play() -> None:
    """Paint, and see at once what the mask determines."""
    left, right = st.columns([5, 6], gap="large")
    with left:
        easel, origin = st.container(), st.container()
    with origin:
        scene, start = begin()
    with easel:
        regions = draw_on_grid(
            f"{card.slug}-canvas",
            start.regions,
            start.token,
            REGIONS,
            brought.COLOURS,
            STAMPS,
            brush=REGIONS.index("circle"),
            size=FIRST_SIZE,
            label="Mask to paint. Arrow keys move the stamp, space paints.",
        )
    own = start.token.startswith("scene") and np.array_equal(regions, start.regions)
    with right:
        rung = st.segmented_control(
            "Detail of the mask",
            RUNGS,
            default="class",
            required=True,
            key=f"{card.slug}-rung",
            bind="query-params",
            wrap=True,
        )
        texture = choose_texture(rung, scene)
        started = time.perf_counter()
        try:
            output = paint(rung, regions, texture, scene, start)
        except CheckpointError as error:
            st.error(str(error), icon=":material/error:")
            return
        png = images.png(images.enlarged(output, SCALE))
        st.image(
            png, width=painting.SIDE * SCALE, alt="What the network paints of this mask", output_format="PNG"
        )
        told = ", ".join(TELLS[each] for each in RUNGS[(rung != "binary") : RUNGS.index(rung) + 1])
        with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
            took = 1000 * (time.perf_counter() - started)
            st.caption(f"The U-Net, told {told}. :gray[Painted in {took:.0f} ms.]", width="stretch")
            downloads(regions, output)
    beside(regions, output, scene, own)
    below, chart = st.columns([5, 6], gap="large")
    with below:
        sample(regions)
    with chart:
        explained(rung)


def downloads(regions: np.ndarray, output: np.ndarray) -> None:
    """The mask, to be painted on elsewhere and brought back, and the picture."""
    shelf = st.popover(
        "",
        icon=":material/download:",
        type="tertiary",
        key=f"{card.slug}-downloads",
        on_change="rerun",
        help="Download mask, picture",
    )
    if not shelf.open:
        return
    files = {"Mask (PNG)": (brought.coloured(regions), "mask.png"), "Picture (PNG)": (output, "picture.png")}
    with shelf:
        for label, (pixels, name) in files.items():
            content = images.png(pixels)
            st.download_button(
                label,
                content,
                name,
                "image/png",
                key=f"{card.slug}-{name}",
                on_click="ignore",
                width="stretch",
            )
        st.caption(
            "Pixel by pixel; the mask can be changed elsewhere and uploaded. What is painted is not in the"
            " link."
        )


def choose_texture(rung: str, scene: int) -> int:
    """The name of the texture that a network is told, from its rung on; the scene's own
    at first.
    """
    if not has(rung, "label"):
        return 0
    own = TEXTURES[painting.presets().labels[scene - 1]]
    name = st.selectbox(
        "The object's texture",
        ("", *TEXTURES),
        key=f"{card.slug}-texture",
        bind="query-params",
        format_func=lambda each: each or own,
    )
    return TEXTURES.index(name or own)


def paint(rung: str, regions: np.ndarray, texture: int, scene: int, start: Start) -> np.ndarray:
    """The picture of the rung's network; edges and colours are the scene's, or the
    mask's own outline.
    """
    from_scene = start.token.startswith("scene")
    edges = thumbnail = None
    if has(rung, "edges"):
        edges = painting.scene_edges(scene - 1) if from_scene else painting.drawing(regions)
        origin = (
            f"Edges are those of scene {scene}'s picture"
            if from_scene
            else "Edges are the mask's own outline, its object bright"
        )
        if has(rung, "thumbnail"):
            thumbnail = painting.scene_thumbnail(scene - 1)
            origin += f"; the sixteen colours are scene {scene}'s"
        st.caption(f"{origin}. They do not change while you paint." if from_scene else f"{origin}.")
    return painting.painted(rung, regions, texture, edges, thumbnail)


def beside(regions: np.ndarray, output: np.ndarray, scene: int, own: bool) -> None:
    """Mask, output and truth, the simplest fill, and the nearest picture the network
    was trained on.
    """
    near = painting.neighbour(regions)
    filled = painting.region_filled(regions)
    tiles = [(brought.coloured(regions), "**Mask**", "The mask")]
    tiles.append((output, "**U-Net**", "What the U-Net paints"))
    if own:
        tiles.append((painting.scene_picture(scene - 1), "**Truth**", "The true picture"))
    tiles.append((filled, "**Region means**", "Every region in its mean colour"))
    tiles.append(
        (
            near.picture,
            f"**Nearest in training**, objects overlap {near.overlap:.0%}",
            "The training picture of the nearest mask",
        )
    )
    tiles.append((brought.coloured(near.regions), "its mask", "The mask of that training picture"))
    with st.container(horizontal=True, gap="small"):
        for picture, words, alt in tiles:
            with st.container(width=TILE, gap="small"):
                st.image(
                    images.png(images.enlarged(picture, SMALL)), width=TILE, alt=alt, output_format="PNG"
                )
                st.caption(words)
    if not own:
        st.caption("The truth of a scene is shown while its mask is as it was.")
        return
    truth = painting.scene_picture(scene - 1)
    made, simple = (painting.errors(each, truth, regions) for each in (output, filled))
    with st.expander("Error of each region, grey levels"):
        table = {
            "region": list(made),
            "U-Net": [f"{value:.0f}" for value in made.values()],
            "region means": [f"{value:.0f}" for value in simple.values()],
        }
        st.table(table, hide_index=True)
        st.caption(
            "Root mean squared error of this one picture, 0 to 255: no interval, so no ranking; the Answer"
            " act has one."
        )


def sample(regions: np.ndarray) -> None:
    """Several pictures of one mask."""
    st.markdown("##### What the mask leaves open")
    draw = settings.control(card.slug, InvertedUnetView.setting("draw"))
    try:
        samples = painting.sampled(regions, draw, DRAWN)
    except CheckpointError as error:
        st.error(str(error), icon=":material/error:")
        return
    paper = page.palette().background
    png = images.png(images.grid(samples, DRAWN, scale=SMALL, gap=SMALL, paper=paper))
    st.image(png, width="stretch", alt=f"{DRAWN} pictures sampled for this mask", output_format="PNG")
    st.caption(
        "Five codes, one mask: a network taught by the best of five. What differs is open, what stays is"
        " determined; each is still a mean of many, so it is flat."
    )


def explained(rung: str) -> None:
    """How much the rung explains, against its ceiling."""
    found = evidence.study(card.slug)
    if found is None:
        st.info(
            "How much a mask explains is shown here once the evidence is made.", icon=":material/science:"
        )
        return
    st.markdown("##### How much of the object it explains")
    chart, notice, cost = explained_bars(rung, page.scheme(), found["fingerprint"])
    page.figure(chart, f"{card.slug}-explained", notice, cost, moving=True)


@st.cache_resource(max_entries=4 * len(RUNGS), show_spinner=False)
def explained_bars(rung: str, scheme: str, fingerprint: str) -> tuple[charts.Chart, str, str]:
    """The bars with their words, kept: reading them out of the evidence would take half
    of a stroke's time.
    """
    lines = tables.ladder(evidence.rows(card.slug))[rung]
    n = lines["l2"].measures["explained"].n
    bars = [bar(arm, lines[arm].measures["explained"]) for arm in ("ceiling", "l2", "region") if arm in lines]
    chart = charts.bars_with_intervals(
        bars,
        "variance of the object explained",
        charts.PALETTES[scheme],
        x_format=".1%",
        x_domain=(-0.05, 1.0),
    )
    notice = "Scenes that no network has seen. " + (
        "" if "ceiling" in lines else "Its ceiling is not known: the picture itself is told."
    )
    return chart, notice, f"n = {n} seeds, made beforehand"


def bar(arm: str, interval: object) -> Bar:
    """One arm's mean over seeds with its interval."""
    return Bar(NAMES[arm], interval.mean, interval.low, interval.high, ROLES[arm])


def draw(film: Film, cost: str) -> None:
    """A run under way: what the network explains of pictures it is not taught, and what
    it paints.
    """
    learning = [frame for frame in film if not frame.measured.any()]
    curves = series(learning, "curve")
    trained = [arm for arm in ARMS if curves[:, :, ARMS.index(arm)].any()]
    drawn = {NAMES[arm]: Line(ROLES[arm], curves[:, :, ARMS.index(arm)]) for arm in trained}
    limits = {"y_domain": (-1.0, 1.0), "y_format": ".0%", "x_domain": (0.0, float(film[0].steps - 1))}
    chart = charts.curves(
        series(learning, "step").astype(float),
        drawn,
        "updates",
        "variance of the object explained",
        palette=page.palette(),
        **limits,
    )
    page.figure(
        chart,
        f"{card.slug}-live-curves",
        "On validation pictures. Zero is one grey for all objects.",
        cost,
        moving=True,
    )
    last = film[-1]
    truths = painting.truths(config, seeds[0], bool(last.measured.any()))
    shown = last.shown[0].transpose(0, 2, 3, 1)
    if truths is not None:
        shown = np.stack(
            [brought.coloured(truths.regions), shown, truths.images.transpose(0, 2, 3, 1)], axis=1
        ).reshape(-1, *shown.shape[1:])
    st.image(
        images.png(
            images.grid(shown, 9, scale=max(1, 96 // shown.shape[1]), gap=4, paper=page.palette().background)
        ),
        width="stretch",
        alt="Masks, what the U-Net paints of them, and the true pictures",
        output_format="PNG",
    )
    st.caption(
        "Three times mask, U-Net, truth; of the first seed."
        if truths is not None
        else "What the U-Net of the first seed paints."
    )
    if last.measured.any():
        bars = [
            bar(arm, t_interval(last.measured[:, ARMS.index(arm), 0]))
            for arm in ARMS
            if is_measured(last, arm)
        ]
        chart = charts.bars_with_intervals(
            bars, "variance of the object explained", page.palette(), x_format=".0%", x_domain=(-1.0, 1.0)
        )
        page.figure(
            chart,
            f"{card.slug}-live-bars",
            "On test pictures, looked at once. Means and 95 % intervals.",
            cost,
        )


def is_measured(frame: object, arm: str) -> bool:
    """Whether an arm of a run has a share of variance explained; the truth's is one by
    definition.
    """
    return arm != "truth" and bool(frame.measured[:, ARMS.index(arm), MEASURES.index("explained")].any())


def answer(command: str) -> None:
    """Beyond the claims: the ladder against its ceiling, and every measure of every
    arm.
    """
    rows = evidence.rows(card.slug)
    lines = tables.ladder(rows)
    n = lines["class"]["l2"].measures["explained"].n
    st.markdown("##### How much does each rung explain?")
    places = {rung: place for place, rung in enumerate(lines)}
    table = {
        "the network is told": [TELLS.get(rung, "the same edges as one line drawing") for rung in places]
    }
    table["rung"] = list(places)
    table["bytes"] = [f"{found['l2'].measures['bytes'].mean:.0f}" for found in lines.values()]
    for arm in ("l2", "ceiling", "region", "webp"):
        table[f"{NAMES[arm]}, %"] = [
            percent(found[arm].measures["explained"]) if arm in found else "not known"
            for found in lines.values()
        ]
    table["taught longer, %"] = [shipped(rung) for rung in places]
    table["rest of the picture, U-Net, %"] = [
        percent(found["l2"].measures["background"]) for found in lines.values()
    ]
    st.table(table, hide_index=True)
    st.caption(
        f"Share of the variance of the object's pixels, 95 % intervals over n = {n} seeds, not corrected for"
        " their number; 800 updates a network. Bytes: what zlib needs for what the network is told. Zero is"
        " one grey for all objects; below it is further off than that. Taught longer: the networks under"
        " Play, one seed, 2,000 updates on half as many pictures again. Edges tell much of the background"
        " and little of the object, whose contrast is faint; what they do tell takes longer to learn."
    )
    st.markdown("##### Every way to fill a mask, told what each pixel is")
    found = tables.arms(rows)
    measured = [measure for measure in MEASURES if measure != "bytes"]
    table = {"arm": [NAMES[line.arm] for line in found]}
    table |= {HEADS[measure]: [digits(line.measures.get(measure)) for line in found] for measure in measured}
    st.table(table, hide_index=True)
    st.caption(
        "Edge energy: that of the gradients, as a share of the truth's; below one is blur. Object found and"
        " texture named: by two small networks trained on true pictures; what they say of the true picture is"
        " their own bound, a quarter is chance for the texture. Diversity: standard deviation over five"
        " codes, of the full range. The arms that sample, and the best of five nearest, may choose by looking"
        " at the truth."
    )
    st.code(command, language="bash", wrap_lines=True)


def shipped(rung: str) -> str:
    """What the network that ships explains, in per cent; a dash where there is none."""
    try:
        return f"{100 * painting.network(rung)[1]['metrics']['test_explained']:.1f}"
    except CheckpointError:
        return "–"


def digits(interval: object) -> str:
    """A measure with its interval; a dash where an arm has none."""
    return "–" if interval is None else charts.with_interval(interval.mean, interval.low, interval.high)


what_to_do = (
    "Paint on the left: stamp an object, drag it, make it larger. On the right a network paints the mean of"
    " all pictures with that mask."
)
choices = {"begin": BEGINS, "rung": RUNGS, "shape": brought.OBJECTS, "texture": ("", *TEXTURES)}
act = page.intro(card, what_to_do, InvertedUnetConfig, InvertedUnetView, choices=choices)
if act == "Play":
    play()
elif act == "Train":
    picture, controls = st.columns([3, 1], gap="medium")
    with controls:
        config, seeds = settings.ask(card.slug, InvertedUnetConfig, seeds=3)
    with picture:
        st.caption("About 20 seconds a seed with two networks, a minute with all of them, on one core.")
        training.live(card, subject, config, seeds, draw)
elif act == "Answer":
    if found := evidence.answer(card, subject):
        answer(found["command"])
else:
    formulas = {
        "The sides of edges": sides_of_edges,
        "Variance explained": measures.explained,
        "The best of several codes": networks.best_code,
    }
    page.read(card, subject.prior_work, formulas)
