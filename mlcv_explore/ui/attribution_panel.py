"""Attribution maps of one or several images beside each other: what is explained, the
controls, and the maps as tiles with downloads.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from mlcv_explore.charts import images
from mlcv_explore.data import uploads
from mlcv_explore.ui import attributions, figures, inputs, settings, theme
from mlcv_explore.ui.map_view import MapView

if TYPE_CHECKING:
    from mlcv_explore.models.checkpoints import Classifier
    from mlcv_explore.saliency import Map, SaliencySettings, Target

TILE = 220  # pixels of the longer side of a tile
WIDTH, GAP = 167, 16  # of a tile on the page: two fit a phone, four stand beside the controls
PROVISIONAL = 5.0  # end of the common scale, in multiples of a map's mean, until all maps are computed


@dataclass(frozen=True, eq=False)
class Explained:
    """An image, a model's prediction, and the class or difference of two explained."""

    image: inputs.ChosenImage
    model: "Classifier"
    target: "Target"

    @cached_property
    def array(self) -> np.ndarray:
        """The model's input, float32 (3, side, side) in [0, 1]."""
        return attributions.model_input(self.image.digest, self.image.pixels, self.model.side)

    @property
    def probabilities(self) -> np.ndarray:
        """(classes,)."""
        return predict(self.model, self.image.digest, self.array)

    @property
    def first_class(self) -> int:
        """The class whose probability is followed."""
        return self.target[0] if isinstance(self.target, tuple) else self.target

    def prediction(self, count: int = 3) -> str:
        """The most probable classes, as Markdown."""
        order = np.argsort(self.probabilities)[::-1][:count]
        named = (f"**{self.model.classes[index]}** {self.probabilities[index]:.1%}" for index in order)
        return f"Prediction: {', '.join(named)}"

    def target_name(self, joint: str = " − ") -> str:
        """The class that is explained, or the two whose difference is."""
        indices = self.target if isinstance(self.target, tuple) else (self.target,)
        return joint.join(self.model.classes[index] for index in indices)


@dataclass(frozen=True, eq=False)
class Request:
    """Methods and settings of the maps beside each other."""

    methods: tuple[str, ...]
    settings: "SaliencySettings"
    layer: str | None = None  # of Grad-CAM; the last convolution by default
    captum: bool = False  # whether Captum computes the methods it has

    def known(self, explained: Explained, randomised: int = 0) -> "dict[str, Map]":
        """The maps computed so far, by method."""
        image, model = explained.image, explained.model
        key = self.settings.key() + " captum" * self.captum
        return attributions.maps(image.digest, model.key, explained.target, key, self.layer, randomised)

    def compute(self, explained: Explained, randomised: int = 0) -> "Iterator[Map]":
        """Compute those maps that are not known, of a network with this many layers
        randomised from the top, the cheap ones first. Raises SaliencyError.
        """
        known, network, array = self.known(explained, randomised), explained.model.network, explained.array
        request = self.methods, self.settings, self.layer
        if not self.captum:
            yield from attributions.compute_missing(
                known, network, array, explained.target, *request, randomised
            )
            return
        import torch

        from mlcv_explore.saliency import captum_maps
        from mlcv_explore.saliency import randomised as with_random_layers

        missing = [name for name in self.methods if name not in known]
        if missing:
            network = with_random_layers(network, randomised, 0) if randomised else network
            given = torch.from_numpy(array), explained.target, missing, self.settings, 0, self.layer
            for attribution in captum_maps.attribute_all(network, *given):
                known[attribution.method] = attribution
                yield attribution

    def maps(self, explained: Explained, randomised: int = 0) -> "dict[str, Map]":
        """All maps, by method. Raises SaliencyError."""
        for _ in self.compute(explained, randomised):
            pass
        known = self.known(explained, randomised)
        return {name: known[name] for name in self.methods}

    def uncertainty(self, explained: Explained, kind: str) -> dict:
        """Mean and stable pixels of each map over draws, or over seeds of the model."""
        image, model = explained.image, explained.model
        names = self.methods, self.settings.key(), self.layer, kind, model
        given = explained.array, self.settings
        return attributions.uncertainty(image.digest, model.key, explained.target, *names, *given)

    def command(self, explained: Explained, method: str) -> str:
        """The command that computes a map again, of the network as trained."""
        flags = {"model": explained.model.name, "method": method, "target": explained.target_name(",")}
        flags |= {"layer": self.layer} if method == "gradcam" and self.layer else {}
        words = [
            f"--{name} {shlex.quote(str(value))}" for name, value in (flags | self.settings.changed()).items()
        ]
        return " ".join(["python -m mlcv_explore explain IMAGE", *words, "--out heat.png --raw map.npy"])


def predict(model: "Classifier", digest: str, array: np.ndarray) -> np.ndarray:
    """(classes,) probabilities of an input (3, side, side) identified by `digest`."""
    return attributions.probabilities(digest, model.key, model.network, array)


def explain(image: inputs.ChosenImage, model: "Classifier", named: str = "", contrast: str = "") -> Explained:
    """The image with the class `named`, or the predicted one, minus `contrast` if
    given.
    """
    explained, classes = Explained(image, model, 0), list(model.classes)
    first = classes.index(named) if named in classes else int(explained.probabilities.argmax())
    return Explained(image, model, (first, classes.index(contrast)) if contrast in classes else first)


def controls(slug: str, model: "Classifier", methods: tuple[str, ...]) -> tuple[MapView, Request]:
    """The controls of maps of this model: two in front, display and methods folded."""
    from mlcv_explore.saliency import SaliencySettings, convolutions, layers

    def control(name: str, **changes: Any) -> Any:
        return settings.control(slug, replace(MapView.setting(name), **changes))

    left, right = st.columns(2, gap="medium")
    with left:
        view = {"randomised": control("randomised", high=min(60, len(layers(model.network))))}
    with right:
        view["uncertainty"] = control("uncertainty")
    with st.expander("More: display, settings of the methods"):
        columns = st.columns(3, gap="medium")
        with columns[0]:
            view |= {name: control(name) for name in ("scale", "signs", "overlay", "implementation")}
            names = list(convolutions(model.network))
            last, key = max(0, len(names) - 1), f"{slug}-layer"
            layer = st.selectbox("Layer of Grad-CAM", names, last, key=key, bind="query-params")
        front = [attribution for attribution in SaliencySettings.settings() if not attribution.more]
        chosen = {}
        for index, attribution in enumerate(front):
            with columns[1 + 2 * index // len(front)]:
                chosen[attribution.name] = settings.control(slug, attribution)
    captum = view["implementation"] == "captum"
    return MapView(**view), Request(methods, SaliencySettings(**chosen), layer, captum)


def tile(
    image: inputs.ChosenImage,
    name: str,
    values: np.ndarray,
    signed: bool,
    facts: Iterable[str],
    *,
    top: float | None = None,
    overlay: float = 1.0,
    stable: np.ndarray | None = None,
    key: str = "",
    original: np.ndarray | None = None,
    command: str = "",
) -> None:
    """One map (h, w) drawn up to `top` (its largest absolute value) over the image at
    this opacity, hatched where not `stable`; with a caption, and with downloads of
    `original` (or the map itself) under `key`.
    """
    shape, top = image.size_within(TILE), top or float(np.abs(values).max()) or 1.0
    upsampled, palette = uploads.upsampled(values, shape), theme.palette()
    drawn = images.attribution(upsampled, signed, palette, top)
    if overlay < 1:
        under = attributions.resized(image.digest, image.pixels, shape)
        drawn = images.overlaid(under, drawn, np.abs(upsampled) / top, overlay)
    if stable is not None:
        drawn = images.hatched(drawn, uploads.upsampled((~stable).astype(np.float32), shape) > 0.5, palette)
    st.image(
        images.png(drawn), width="stretch", alt=f"{name}: evidence for the prediction", output_format="PNG"
    )
    # no line begins with a dot
    text = f"**{name}**  \n" + "\u00a0· ".join(fact.replace(" ", "\u00a0", 1) for fact in facts)
    if not key:
        st.caption(text)
        return
    whole, stem = values if original is None else original, f"{image.name}-{key}"
    files = {
        "Heat map (PNG, size of the image)": (
            lambda: images.png(images.attribution(uploads.upsampled(whole, image.size), signed, palette)),
            f"{stem}.png",
            "image/png",
        ),
        "Map (NPY)": (lambda: attributions.npy(whole), f"{stem}.npy", "application/octet-stream"),
    }
    figures.caption(text, key, files, command)


def show_maps(
    explained: Sequence[Explained], request: Request, labels: Mapping[str, str], key: str, view: MapView
) -> list[dict[str, np.ndarray]]:
    """Every image and its maps as tiles, each as soon as it is computed, maps of one
    method beside each other; returns the maps shown, {method: (h, w)}, for each image.

    Uncertainty over five "draws", or over the "seeds" of the model, is that of the
    trained network. Raises SaliencyError.
    """
    from mlcv_explore.saliency.uncertainty import scale_to_mean

    randomised, common, signed = view.randomised, view.scale == "common", view.signs == "signed"
    names = ("", *request.methods)
    count = len(explained)
    area = st.container(horizontal=True, gap="small")
    groups = {
        name: area.container(horizontal=True, gap="small", width=count * (WIDTH + GAP) - GAP)
        for name in names
    }
    slots = {
        (name, index): group.container(width=WIDTH).empty()
        for name, group in groups.items()
        for index in range(count)
    }
    for index, example in enumerate(explained):
        with slots["", index].container():
            _image_tile(example)
        for attribution in request.compute(example, randomised):
            with slots[attribution.method, index].container():
                relative = scale_to_mean(attribution.values)
                tile(
                    example.image,
                    labels[attribution.method],
                    relative,
                    attribution.signed and signed,
                    (),
                    top=PROVISIONAL,
                )
    maps = [request.maps(example, randomised) for example in explained]
    known = view.uncertainty != "none" and not randomised and not request.captum
    stats = [request.uncertainty(example, view.uncertainty) if known else {} for example in explained]
    values = [
        {
            name: stat[name].mean if name in stat else attribution.values
            for name, attribution in example.items()
        }
        for example, stat in zip(maps, stats, strict=True)
    ]
    shown = [
        {name: scale_to_mean(array) if common else array for name, array in example.items()}
        for example in values
    ]
    limit = (
        max(float(np.quantile(np.abs(array), 0.99)) for example in shown for array in example.values()) or 1.0
    )
    for (name, index), slot in slots.items():
        if not name:
            continue
        attribution, example, stat = maps[index][name], explained[index], stats[index].get(name)
        with slot.container():
            tile(
                example.image,
                labels[name],
                shown[index][name],
                attribution.signed and signed,
                _facts(attribution, example),
                top=limit if common else None,
                overlay=view.overlay,
                stable=None if stat is None else stat.stable,
                key=f"{key}-{name}{index or ''}",
                original=attribution.values,
                command="" if request.captum else request.command(example, name),
            )
    scale = f"one scale, 0 to ±{limit:.1f} times a map's mean" if common else "each map on its own scale"
    note = "" if any(stats) else "; uncertainty: no other draws or seeds with this prediction to compare"
    note = (
        note
        if known
        else "; uncertainty needs all layers as trained, and not Captum"
        if view.uncertainty != "none"
        else ""
    )
    weights = f"{randomised} layers randomised" if randomised else "all layers as trained"
    weights += "; by Captum where it has the method" if request.captum else ""
    target = ", ".join(dict.fromkeys(example.target_name() for example in explained))
    st.caption(f"Explained: {target}; {scale}; {weights}{note}.")
    return values


def _facts(attribution: "Map", explained: Explained) -> list[str]:
    from mlcv_explore.saliency import measures

    low, high = float(attribution.values.min()), float(attribution.values.max())
    places = 1 - int(np.floor(np.log10(max(abs(low), abs(high), 1e-30))))
    ends = (f"{round(value, places) + 0.0:.2g}".replace("-", "−") for value in (low, high))
    facts = [" to ".join(ends), f"{attribution.forwards + attribution.backwards} passes"]
    if "completeness_gap" in attribution.checks:
        facts.append(f"completeness error {attribution.checks['completeness_gap']:.1%}")
    if explained.image.truth is not None:
        facts.append(
            f"{measures.mass_in_mask(attribution.values, explained.image.truth.mask):.0%} on the object"
        )
    return facts


def _image_tile(explained: Explained) -> None:
    image, side = explained.image, explained.model.side
    st.image(images.png(image.enlarged), width="stretch", alt=image.description)
    same = image.pixels.shape[:2] == (side, side)
    resized = "" if same else f" Model input: {side} × {side} pixels."
    st.caption(f"{explained.prediction()}  \n{image.description}.{resized}")
