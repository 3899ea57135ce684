"""Freezing: blocks to click, and every pattern of them at a target; runs; what to freeze when."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import streamlit as st

from mlcv_explore import charts
from mlcv_explore.charts import Bar
from mlcv_explore.config import Config, choice_label, setting
from mlcv_explore.data.target_shifts import SHIFTS
from mlcv_explore.experiment.studies import Table
from mlcv_explore.ideas.freezing import HALVES, inference
from mlcv_explore.ideas.freezing import idea as subject
from mlcv_explore.ideas.freezing.claims import PATTERNS
from mlcv_explore.models import fine_tuning, tuning_search
from mlcv_explore.models.checkpoints import CheckpointError
from mlcv_explore.models.tuned_networks import ALL
from mlcv_explore.ui import evidence, figures, image_row, inputs, page, settings, theme
from mlcv_explore.ui import overview as overviews
from mlcv_explore.ui.small_image_input import buttons, choose_digit, digit_links

SLUG = subject.slug
NAMES = ("shift", "corruption", "target_size")  # settings that make a target
STUDIES = {"live": "Digits", "photographs": "Photographs"}
NAMED = ("nothing", "first half", "first three", "all four", "second half", "all (head reordered)")
FROZEN = dict(zip((*HALVES, "reordered"), NAMED, strict=True))
draw = partial(figures.run_bars, subject)  # every pattern so far
TARGETS = tuple(choice_label(shift).capitalize() for shift in SHIFTS)


class FreezingView(Config):
    """Settings of the demo; nothing of it is trained."""

    frozen1: bool = setting(False, "Freeze block 1")
    frozen2: bool = setting(False, "Freeze block 2")
    frozen3: bool = setting(True, "Freeze block 3")
    frozen4: bool = setting(True, "Freeze block 4")


def play() -> None:
    """A network, a target, an image, and the blocks to freeze."""
    results, controls = st.columns([3, 1], gap="medium")
    with figures.reported(CheckpointError):
        with controls:
            name = buttons(f"{SLUG}-network", "Network", tuple(inference.CONFIGS))
            shift = SHIFTS[TARGETS.index(buttons(f"{SLUG}-target", "Target", TARGETS))]
            sizes = tuple(map(str, inference.SIZES[name]))
            row = sizes.index(buttons(f"{SLUG}-{name.lower()}-size", "Target images", sizes, 1))
            image, right = chosen(name, shift)
        with results:
            blocks(name, shift, row, image, right)


def chosen(name: str, shift: str) -> tuple[np.ndarray | None, str]:
    """An image as the target has it, None while there is none; its class where it is known."""
    if name == "Photographs":
        photograph = inputs.choose_image(SLUG, (inputs.IMAGENET,))
        return None if photograph is None else inference.at_target(name, shift, photograph.pixels), ""
    known = {str(place): each for place, each in enumerate(inference.examples(shift), start=1)}
    example, values = choose_digit(SLUG, 8, {place: image[0] for place, (image, _) in known.items()})
    if example is not None:
        return known[example]
    return None if values is None else inference.at_target(name, shift, values), ""


@st.fragment
def blocks(name: str, shift: str, row: int, image: np.ndarray | None, right: str) -> None:
    """The network as a row of blocks, the image before and after, and all patterns."""
    with figures.reported(CheckpointError):
        networks, about = inference.load(name)
        place, spots, frozen = SHIFTS.index(shift), [], []
        for column, option in zip(st.columns(4, gap="small"), FreezingView.settings(), strict=True):
            with column, st.container(border=True):
                frozen.append(settings.control(SLUG, option))
                spots.append(st.empty())
        pattern = tuple(not each for each in frozen)
        number, accuracy = ALL.index(pattern), networks.accuracy[place, row].numpy()
        moves = networks.moved[place, row, number].tolist()
        for spot, share, change in zip(spots, networks.shares(shift), moves, strict=True):
            spot.caption(f"{share:.0%} of parameters; weights changed by {change:.0%}")
        best = int(accuracy.argmax())
        with st.container(horizontal=True, gap="large"):
            st.metric("Accuracy", f"{accuracy[number]:.1%}")
            st.metric(f"Best: {called(ALL[best])}", f"{accuracy[best]:.1%}")
            st.metric("Parameters tuned", f"{fine_tuning.count(networks.before[shift], pattern):,}")
            st.metric("Time to tune", f"{1000 * float(networks.seconds[place, number]):.0f} ms")
        left, others = st.columns([2, 3], gap="medium")
        with left:
            if image is not None:
                before_and_after(name, shift, pattern, image, right, about[shift])
        with others:
            patterns(accuracy, pattern)


def called(pattern: Sequence[bool]) -> str:
    """A pattern by the blocks that are frozen."""
    frozen = [str(place) for place, trained in enumerate(pattern, start=1) if not trained]
    if not frozen:
        return "nothing frozen"
    if len(frozen) == len(pattern):
        return "all frozen, head tuned"
    return f"block{'s' * (len(frozen) > 1)} {', '.join(frozen)} frozen"


def patterns(accuracy: np.ndarray, pattern: tuple[bool, ...]) -> None:
    """All sixteen patterns, the best first; the chosen one marked."""
    nan, bars = float("nan"), []
    for place in np.argsort(-accuracy, kind="stable"):
        role = "idea" if ALL[place] == pattern else "baseline"
        bars.append(Bar(called(ALL[place]), round(float(accuracy[place]), 4), nan, nan, role))
    about = {"x_format": ".0%", "x_domain": (0.0, 1.0)}
    chart = charts.bars_with_intervals(bars, "Test accuracy", theme.palette(), **about)
    notice = "Mean of three small networks, on test images. Blue: frozen as above."
    figures.figure(chart, f"{SLUG}-patterns", notice, moving=True)


def before_and_after(
    name: str, shift: str, pattern: tuple[bool, ...], image: np.ndarray, right: str, about: dict
) -> None:
    """The three most probable classes of an image, before tuning and after."""
    config = inference.CONFIGS[name]
    corrupted = f", {config.corruption} of severity {config.severity}" * (shift == "corruption")
    image_row.show([image / 255], f"Target image{corrupted}." + f" Label: {right}." * bool(right), size=128)
    pair = inference.load(name)[0].before_and_after(shift, pattern, image)
    for head, values in zip(("Before tuning", "After, with 200 target images"), pair, strict=True):
        top = np.argsort(-values)[:3]
        st.markdown(f"{head}: " + ", ".join(f"**{about['classes'][k]}** {values[k]:.0%}" for k in top))
    if shift == "permuted_labels":
        names, moves = about["classes"], about["permutation"]
        st.caption("Permuted: " + ", ".join(f"{names[k]} is “{names[to]}”" for k, to in enumerate(moves)))
    elif shift == "new_classes":
        st.caption(f"Of the new classes {', '.join(about['classes'])}; before tuning the head is random.")


def example() -> None:
    """A digit of the target, before tuning and after with either half frozen."""
    with figures.reported(CheckpointError):
        image, right = inference.examples("corruption")[0]
        (networks, about), texts = inference.load("Digits"), []
        for arm in ("first_half", "second_half"):
            pair = networks.before_and_after("corruption", PATTERNS[arm], image)
            classes = about["corruption"]["classes"]
            before, after = (f"{classes[values.argmax()]} {values.max():.0%}" for values in pair)
            texts.append(f"{subject.label(arm).lower()}: {after}")
        image_row.show([image / 255], f"A {right}. Before tuning: {before}; {'; '.join(texts)}.", size=96)


def overview() -> None:
    """What to freeze, for every target and number of images."""
    options = {"called": kind, "head": lambda size: f"{int(size):,} target images"}
    about = "table", FROZEN, "accuracy", NAMES[:2], NAMES[2]
    overviews.leaders(subject, "What to freeze", STUDIES, *about, **options)


def answer(table: Table) -> None:
    """Accuracy of five patterns at every target, and the halves compared."""
    for study, title in (each for each in STUDIES.items() if evidence.study(SLUG, each[0])):
        own = evidence.table(SLUG, study)
        rows = own.cases("table", NAMES)
        heads = {f"{subject.label(arm)} (%)": {"arm": arm} for arm in ("source", *HALVES)}
        cells = own.cross([{"claim": "table", "measure": "accuracy", **row} for row in rows], heads)
        cells = {title: [target(*row.values()) for row in rows], **cells}
        figures.intervals(cells, f"{SLUG}-{study}", "Accuracy on test images; 95 % intervals.")
        pair, head = ("second_half", "first_half"), f"{title}: which half to freeze"
        figures.comparison(subject, own, "table", NAMES, pair, "accuracy", head, called=target)


def kind(shift: str, corruption: str) -> str:
    """What the target differs in."""
    return corruption if shift == "corruption" else choice_label(shift)


def target(shift: str, corruption: str, size: str) -> str:
    """What a row of a table is about."""
    return f"{kind(shift, corruption)}, {int(size):,} images"


page.run(
    subject,
    play=play,
    draw=draw,
    answer=answer,
    example=example,
    overview=overview,
    formulas={
        "Frozen blocks are computed once": fine_tuning.examples,
        "Blocks chosen greedily": tuning_search.TuningSearch.greedy,
    },
    views=(FreezingView,),
    choices={
        "network": tuple(inference.CONFIGS),
        "target": TARGETS,
        **{f"{name.lower()}-size": tuple(map(str, inference.SIZES[name])) for name in inference.CONFIGS},
        **inputs.image_links(),
        **digit_links(str(place) for place in range(1, len(inference.EXAMPLES) + 1)),
    },
    seeds=5,
)
