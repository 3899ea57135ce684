"""Home: three moving tiles, a field for a photograph, the cards, and every idea's
headline effect.
"""

import base64
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from mlcv_explore import idea
from mlcv_explore.idea import Card
from mlcv_explore.ui import evidence, figures, inputs, server, theme

IN_MOTION = {  # what the three tiles at the top show: words, then tiles side by side, one pair after another
    "saliency": ("Attribution maps of a photograph", ((0, 1), (0, 2), (0, 3))),
    "inverted_unet": ("Paint a mask, see the image it determines", ((0, 1), (2, 3))),
    "label_noise": ("Watch a network memorise wrong labels", ()),  # its curves
}
ROW = 66  # pixels of the table of all effects: Streamlit wraps from 65 on
EXAMPLES = ("cat", "coffee", "astronaut", "photographer", "rocket", "retina")  # of the free gallery
PLANNED = (  # of the author's twenty, those without a page
    "active learning against random sampling",
    "label noise in self-supervision",
    "weighted supermasks",
    "graph networks with a varying number of nodes",
    "complicated losses",
    "learned augmentation for domain adaptation",
    "learned augmentation in FixMatch",
    "the Peter principle of features",
)
LEGEND = (  # of the chart of effects
    "What each headline claim compares, first − second; each row has a scale of its own, labelled at its ends"
    " and at zero. Dot: mean difference, or the median where the row says so. Line: 95 % interval. Black"
    " tick: no difference. Grey: the claim's margin. A claim of *more* is supported where the whole line lies"
    " right of the grey; a claim of a *tie*, so marked, where it lies inside. Where lower is better, as a row"
    " then says, right of zero is worse."
)
STYLE = """
.live { position: relative; height: 7.5rem; overflow: hidden; }
.live > div { position: absolute; inset: 0; display: flex; gap: 0.5rem; }
.live img { height: 100%; min-width: 0; object-fit: contain; object-position: left; border-radius: 4px; }
.live > div + div { opacity: 0; }
@media (prefers-reduced-motion: no-preference) {
  .fade > div { opacity: 0; animation: fade calc(var(--count) * 2s) infinite; }
  .wipe > div { animation: wipe 5s ease-in-out infinite; }
}
@keyframes fade { 0% { opacity: 0 } 6%, 33% { opacity: 1 } 45%, 100% { opacity: 0 } }
@keyframes fade-two { 0% { opacity: 0 } 6%, 50% { opacity: 1 } 58%, 100% { opacity: 0 } }
@keyframes wipe { 0% { clip-path: inset(0 45% 0 0) } 60%, 100% { clip-path: inset(0) } }
.fade.two > div { animation-name: fade-two; }
@media (min-width: 640px) { .stMainBlockContainer { padding-left: 3rem; padding-right: 3rem; } }
[class*="st-key-card-"] { padding: 0.7rem 0.75rem; gap: 0.4rem; }
[class*="st-key-card-"] [data-testid="stMarkdownContainer"] { margin-bottom: 0; }
[class*="st-key-card-"] [data-testid="stMarkdownContainer"] p {
  font-size: 0.82rem; line-height: 1.32; margin: 0;
}
[class*="st-key-card-"] p + p { padding-top: 0.2rem; }
[class*="st-key-card-"] [data-testid="stPageLink"] p {
  font-size: 0.95rem; line-height: 1.3; white-space: normal;
}
[class*="st-key-card-"] :is(img, [data-testid="stImage"] svg) { height: 4.7rem; object-fit: contain; }
[class*="st-key-card-"] [data-testid="stPageLink-NavLink"] { padding: 0; min-height: 0; }
[class*="st-key-card-"] .stMarkdownBadge { font-size: 0.78rem !important; }
"""


def live_tiles(cards: Sequence[Card]) -> None:
    """Three ideas in motion, still where the visitor prefers no motion."""
    shown = [card for card in cards if card.slug in IN_MOTION]
    if not shown:
        return
    for column, card in zip(st.columns(len(shown), gap="medium"), shown, strict=True):
        with column:
            words, pairs = IN_MOTION[card.slug]
            frames = [[_tile(card.slug, f"tile{place}", "webp") for place in pair] for pair in pairs]
            if not frames or not all(map(all, frames)):
                frames = [[_tile(card.slug, "picture", "svg")]]
            kind = "wipe" if len(frames) == 1 else "fade two" if len(frames) == 2 else "fade"
            st.html(f'<div class="live {kind}" style="--count:{len(frames)}">{_frames(frames, words)}</div>')
            st.page_link(f"{card.slug}.py", label=words, icon=":material/arrow_forward:")


def _frames(frames: Sequence[Sequence[str]], words: str) -> str:
    """One `div` a frame, shown for two seconds each; the first has the alt text."""
    parts = []
    for place, frame in enumerate(frames):
        alts = [words if not (place or position) else "" for position in range(len(frame))]
        images = "".join(f'<img src="{src}" alt="{alt}">' for src, alt in zip(frame, alts, strict=True))
        parts.append(f'<div style="animation-delay:{2 * place - 0.2:.1f}s">{images}</div>')
    return "".join(parts)


def photograph() -> None:
    """A field for a photograph and some examples; either opens Saliency with it."""
    own, examples = st.columns([2, 3], gap="medium")
    with own:
        inputs.upload_and_open("saliency.py", "saliency", "What does a model look at in your photograph?")
    with examples:
        inputs.open_example("saliency.py", "saliency", _thumbnails())


def cards_and_filters(cards: Sequence[Card]) -> None:
    """Every idea as a card, filtered by topic, verdict and data; then what is planned."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        topic = _choice("Topic", list(dict.fromkeys(card.section for card in cards)))
        words = {card.slug: evidence.chip(card)[1].split(" · ")[0] for card in cards}
        verdict = _choice("Verdict", list(dict.fromkeys(words.values())))
        kinds = {  # without how many labels
            card.slug: {name.split(",")[0] for name in evidence.data(card).values()} for card in cards
        }
        data = _choice(
            "Data", list(dict.fromkeys(name for names in kinds.values() for name in sorted(names)))
        )
    chosen = [
        card
        for card in cards
        if topic in (None, card.section)
        and verdict in (None, words[card.slug])
        and (data is None or data in kinds[card.slug])
    ]
    if not chosen:
        st.info("No idea matches these filters.", icon=":material/filter_alt_off:")
    grid = st.grid(min_column_width=230, gap="small")
    for card in chosen:
        with grid, st.container(border=True, height="stretch", key=f"card-{card.slug}"):
            _card(card)
    st.caption(f"{len(cards)} of 20 available. Planned: {', '.join(PLANNED)}.")


def effects(cards: Sequence[Card]) -> None:
    """The effect of every idea's headline claim on each kind of data, and a table of all."""
    with_evidence = [
        (card, data, evidence.study(card.slug, name))
        for card in cards
        for name, data in evidence.data(card).items()
    ]
    if not with_evidence:
        return
    st.subheader("Headline effects", anchor=False)
    st.caption(LEGEND)

    @st.fragment(run_every=None if server.ready() else 0.5, key="effects")
    def draw() -> None:
        if not server.ready():
            st.skeleton(height=900)
            return
        from mlcv_explore import charts

        rows = [_difference(*each) for each in with_evidence]
        ideas = [card for card in cards if evidence.study(card.slug)]
        notice = _decided(ideas)
        figures.figure(charts.effects(rows, theme.palette()), "effects", notice)
        with st.expander("All effects", key="all-effects", on_change="rerun") as every:
            if every.open:
                _table(with_evidence)

    draw()


def _decided(ideas: Sequence[Card]) -> str:
    """How many headline claims stay decided when all are tested together, and which do
    not.
    """
    open_ = [f"{card.title} ({card.data})" for card in ideas if not evidence.survives(card)]
    text = (
        f"{len(ideas) - len(open_)} of {len(ideas)} ideas keep their verdict, supported or contradicted, when"
        " all main claims are tested together at 5 % (Holm's correction)"
    )
    return f"{text}; these do not: {' and '.join(open_)}." if open_ else f"{text}."


def _card(card: Card) -> None:
    image = _image(card.slug, theme.scheme())
    if image:
        st.image(image, width="stretch", alt=f"{card.title}: the idea at work")
    st.page_link(f"{card.slug}.py", label=f"**{card.question}**", help=card.title)
    but = f" :gray[But: {first_sentence(card.but)}]" if card.but else ""
    st.markdown(f"{card.answer}{but}")
    figures.badge(*evidence.chip(card))


def first_sentence(text: str) -> str:
    """A text up to its first full stop that is followed by a capital letter."""
    return re.split(r"(?<=\.) (?=[A-Z])", text, maxsplit=1)[0]


def _choice(label: str, options: list[str]) -> str | None:
    key = f"home-{label.lower()}"
    return st.selectbox(
        label,
        options,
        index=None,
        placeholder=f"{label}: all",
        key=key,
        bind="query-params",
        width=220,
        label_visibility="collapsed",
    )


def _difference(card: Card, data: str, found: dict[str, Any]) -> Any:
    from mlcv_explore import statistics
    from mlcv_explore.charts import Difference

    verdict = found["verdicts"][0]
    item, unit = verdict["estimates"][0], verdict["unit"]
    interval = evidence.interval_of(item)
    bounds = (statistics.in_unit(value, unit) for value in (interval.mean, interval.low, interval.high))
    marks = ["tie"] * (verdict["direction"] == "equal") + ["median"] * (verdict["interval"] == "median")
    mark = f" ({', '.join(marks)})" if marks else ""
    name = f"{card.effect or card.title}{mark} · {data}"
    margin = statistics.in_unit(verdict["margin"], unit)
    return Difference(name, *bounds, (), "idea", item["status"], margin, verdict["direction"], unit)


def _table(with_evidence: Sequence[tuple[Card, str, dict[str, Any]]]) -> None:
    rows = [
        (card, data, {claim["name"]: claim["sentence"] for claim in found["claims"]}, verdict, item)
        for card, data, found in with_evidence
        for verdict in found["verdicts"]
        for item in verdict["estimates"]
        if item["n"]
    ]
    st.dataframe(
        {
            "Idea": [card.title for card, *_ in rows],
            "Claim": [sentences[verdict["claim"]] for *_, sentences, verdict, _ in rows],
            "Status": [item["status"] for *_, item in rows],
            "Effect": [evidence.effect(verdict, item) for *_, verdict, item in rows],
            "n": [item["n"] for *_, item in rows],
            "Role": [verdict["role"] for *_, verdict, _ in rows],
            "Difference": [" − ".join(item.get("labels", item["contrast"])) for *_, item in rows],
            "Data of the study's headline": [data for _, data, *_ in rows],
        },
        hide_index=True,
        height=420,
        row_height=ROW,
        column_config={
            "Idea": st.column_config.TextColumn(width=110),
            "Claim": st.column_config.TextColumn(width=300),
            "Status": st.column_config.TextColumn(width=100),
            "Effect": st.column_config.TextColumn(width=165),
            "n": st.column_config.NumberColumn(width=45),
            "Role": st.column_config.TextColumn(width=110),
        },
        alt=f"All {len(rows)} effects with their claims and 95 % intervals",
    )
    st.caption(
        "Search, sort and download with the table's own menu. A claim may be about other data than its"
        " study's headline: its sentence says so. Each page has the test of its claims."
    )


def _image(slug: str, scheme: str) -> str | None:
    """The card's picture, else the curves of the recorded run."""
    folder = idea.ASSETS / slug / "default"
    card, curves = folder / f"card.{scheme}.webp", folder / f"picture.{scheme}.svg"
    if card.exists():
        return str(card)
    return curves.read_text(encoding="utf-8") if curves.exists() else None


def _tile(slug: str, name: str, kind: str) -> str:
    """A small image beside the recorded run as a data address; empty where there is
    none.
    """
    file = idea.ASSETS / slug / "default" / f"{name}.{theme.scheme()}.{kind}"
    return _address(file, file.stat().st_mtime) if file.exists() else ""


def _thumbnails() -> dict[str, str]:
    """Photographs of the gallery as data addresses, by name."""
    files = [idea.ASSETS / "gallery" / f"{name}.webp" for name in EXAMPLES]
    return {file.stem: _address(file, file.stat().st_mtime) for file in files if file.exists()}


@cache
def _address(file: Path, _: float) -> str:
    """A small image file as a data address."""
    kind = "svg+xml" if file.suffix == ".svg" else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"


def show() -> None:
    """The whole page."""
    cards = idea.cards()
    st.title("Computer-vision ideas to try, train and check", anchor=False)
    st.markdown(
        f"{len(cards)} research questions, {20 - len(cards)} more planned. Pick a card: *Play* with a demo,"
        " *Train* the experiment where this app runs, or read the *Answer*, with 95 % intervals over n"
        " repeated runs. Or start with a photograph of yours."
    )
    st.html(f"<style>{STYLE}</style>")
    live_tiles(cards)
    if any(card.slug == "saliency" for card in cards):
        photograph()
    cards_and_filters(cards)
    effects(cards)
