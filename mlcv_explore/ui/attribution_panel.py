"""Attribution maps of one or several images beside each other: the controls, and the
maps as tiles with downloads.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from mlcv_explore.charts import images
from mlcv_explore.data.model_input import WHOLE, Crop
from mlcv_explore.ui import attributions, figures, inputs, settings, slow_maps, theme
from mlcv_explore.ui.explained import Explained, Request
from mlcv_explore.ui.map_view import MapView

if TYPE_CHECKING:
    from mlcv_explore.models.checkpoints import Classifier
    from mlcv_explore.saliency import Map

TILE = 220  # pixels of the longer side of a tile
WAITING = ":material/hourglass: Computed in the background; see below."
FAILED = ":material/error: Could not be computed; see below."
WIDTH, GAP = 167, 16  # of a tile on the page: two fit a phone, four stand beside the controls
DISPLAY = ("scale", "signs", "overlay", "implementation", "check")
PROVISIONAL = 5.0  # end of the common scale, in multiples of a map's mean, until all maps are computed


def controls(slug: str, model: "Classifier", methods: tuple[str, ...]) -> tuple[MapView, Request]:
    """The controls of maps of this model: two in front, display and methods folded."""
    from mlcv_explore.saliency import layers, tokens
    from mlcv_explore.saliency.captum_maps import CaptumSettings
    from mlcv_explore.saliency.supported import LARGE, quick

    def control(name: str, **changes: Any) -> Any:
        return settings.control(slug, replace(MapView.setting(name), **changes))

    left, right = st.columns(2, gap="medium")
    with left:
        view = {"randomised": control("randomised", high=min(60, len(layers(model.network))))}
    with right:
        view["uncertainty"] = control("uncertainty")
        view["finer"] = model.side > LARGE and control("finer")
    with st.expander("More: display, settings of the methods"):
        columns = st.columns(3, gap="medium")
        with columns[0]:
            view |= {name: control(name) for name in DISPLAY}
            names, default = (
                tokens.cam_layers(model.network),
                tokens.default_layer(model.network, (model.side,) * 2),
            )
            index, key = names.index(default) if default else None, f"{slug}-layer"
            layer = st.selectbox(
                "Layer of Grad-CAM, conductance and influence", names, index, key=key, bind="query-params"
            )
        front = [attribution for attribution in CaptumSettings.settings() if not attribution.more]
        chosen = {}
        for index, attribution in enumerate(front):
            with columns[1 + 2 * index // len(front)]:
                chosen[attribution.name] = settings.control(slug, attribution)
    asked = CaptumSettings(**chosen)
    first_look = model.side > LARGE and not view["finer"]
    shown = MapView(**view)
    return shown, Request(_by(methods, shown), quick(asked) if first_look else asked, layer)


def _by(methods: tuple[str, ...], view: MapView) -> tuple[str, ...]:
    """The methods by the implementation that is chosen, or by both."""
    from mlcv_explore.saliency.captum_maps import counterpart

    names: list[str] = []
    for name in methods:
        other = counterpart(name)
        names += [name] if other is None or view.check or view.implementation != "captum" else []
        names += [other] if other and (view.check or view.implementation == "captum") else []
    return tuple(dict.fromkeys(names))


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
    crop: Crop = WHOLE,
) -> None:
    """One map (h, w) drawn up to `top` (its own 99th percentile) over the image, or
    over the `crop` that it explains, at this opacity, hatched where not `stable`; with
    a caption, and with downloads of `original` (or the map itself) under `key`.
    """
    shape, palette = image.size_within(TILE), theme.palette()
    upsampled = crop.placed(values, shape)  # where the tile has fewer pixels than the map, their means
    top = top or _largest(upsampled)
    drawn = images.attribution(upsampled, signed, palette, top)
    if overlay < 1:
        under = attributions.resized(image.digest, image.pixels, shape)
        drawn = images.overlaid(under, drawn, np.abs(upsampled) / top, overlay)
    if stable is not None:
        drawn = images.hatched(drawn, crop.placed((~stable).astype(np.float32), shape) > 0.5, palette)
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
            lambda: images.png(images.attribution(crop.placed(whole, image.size), signed, palette)),
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
    Slow ones are computed in the background, with their progress below the tiles.

    The tile of a method that does not apply to the model states why. Uncertainty over
    five "draws", or over the "seeds" of the model, is that of the trained network.
    Raises SaliencyError.
    """
    from mlcv_explore.saliency.supported import Refused
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
    refused: dict[tuple[str, int], Refused] = {}
    for index, example in enumerate(explained):
        with slots["", index].container():
            _image_tile(example)
        for attribution in request.compute(example, randomised):
            with slots[attribution.method, index].container():
                if isinstance(attribution, Refused):
                    refused[attribution.method, index] = attribution
                    _refused_tile(labels[attribution.method], attribution.reason)
                    continue
                relative = scale_to_mean(attribution.values)
                tile(
                    example.image,
                    labels[attribution.method],
                    relative,
                    attribution.signed and signed,
                    (),
                    top=PROVISIONAL,
                    crop=example.crop,
                )
    maps = [request.maps(example, randomised) for example in explained]
    known = view.uncertainty != "none" and not randomised
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
    pending = [request.missing(example, randomised) for example in explained]
    arrays = [array for example in shown for array in example.values()] if common else []
    limit = max(map(_largest, arrays), default=1.0)
    for (name, index), slot in slots.items():
        if not name:
            continue
        if name not in maps[index]:
            # OutOfMemory is not among what is known
            without = request.known(explained[index], randomised).get(name) or refused.get((name, index))
            with slot.container():
                if without:
                    _refused_tile(labels[name], without.reason)
                else:
                    failed = name in request.failed(explained[index], randomised)
                    st.caption(f"**{labels[name]}**  \n{FAILED if failed else WAITING}")
            continue
        attribution, example, stat = maps[index][name], explained[index], stats[index].get(name)
        with slot.container():
            tile(
                example.image,
                labels[name],
                shown[index][name],
                attribution.signed and signed,
                [*_facts(attribution, example), *_difference(attribution, maps[index])],
                top=limit if common else None,
                overlay=view.overlay,
                stable=None if stat is None else stat.stable,
                key=f"{key}-{name}{index or ''}",
                original=attribution.values,
                command=request.command(example, name),
                crop=example.crop,
            )
    scale = (
        f"one scale, 0 to ±{limit:.1f} times a map's mean"
        if common
        else "each map up to its own 99th percentile"
    )
    note = "" if any(stats) else "; uncertainty: no other draws or seeds with this prediction to compare"
    note = (
        note if known else "; uncertainty needs all layers as trained" if view.uncertainty != "none" else ""
    )
    weights = f"{randomised} layers randomised" if randomised else "all layers as trained"
    weights += "; by Captum where it has the method" if view.implementation == "captum" else ""
    target = ", ".join(dict.fromkeys(example.target_name() for example in explained))
    st.caption(f"Explained: {target}; {scale}; {weights}{note}.")
    slow_maps.show(
        [_work(request, *pair, randomised) for pair in zip(explained, pending, strict=True)], labels, key, key
    )
    return values


def _work(request: Request, example: Explained, pending: list[str], randomised: int) -> slow_maps.Work:
    return slow_maps.Work(
        request.background(example, randomised),
        request.identity(example, f"maps {randomised}"),
        pending,
        partial(request.missing, example, randomised),
        partial(request.compute_slow, example, randomised),
        request.failed(example, randomised),
    )


def _largest(values: np.ndarray) -> float:
    """The end of a map's colours: the 99th percentile of its absolute values, since a
    few pixels far above the others would leave nothing else to be seen.
    """
    return float(np.quantile(np.abs(values), 0.99)) or float(np.abs(values).max()) or 1.0


def _facts(attribution: "Map", explained: Explained) -> list[str]:
    from mlcv_explore.saliency import measures
    from mlcv_explore.saliency.captum_maps import PREFIX

    low, high = float(attribution.values.min()), float(attribution.values.max())
    places = 1 - int(np.floor(np.log10(max(abs(low), abs(high), 1e-30))))
    ends = (f"{round(value, places) + 0.0:.2g}".replace("-", "−") for value in (low, high))
    facts = [" to ".join(ends), f"{attribution.forwards + attribution.backwards} passes"]
    if attribution.method.startswith(PREFIX):
        facts.append(f"{attribution.milliseconds / 1000:.1f} s")
    if attribution.method == "attention_rollout":
        facts.append("the same for every class")
    if "completeness_gap" in attribution.checks:
        facts.append(f"completeness error {attribution.checks['completeness_gap']:.1%}")
    if "share_of_logit" in attribution.checks:
        share = f"{attribution.checks['share_of_logit']:.0%}".replace("-", "−")
        facts.append(f"{share} of the logit, biases have the rest")
    if "share_through_layer" in attribution.checks:
        facts.append(f"{attribution.checks['share_through_layer']:.0%} of the change through the layer")
    if explained.image.truth is not None:
        mask = explained.image.truth.mask
        placed = explained.crop.placed(attribution.values, mask.shape[::-1])
        facts.append(f"{measures.mass_in_mask(placed, mask):.0%} on the object")
    return facts


def _difference(attribution: "Map", others: "Mapping[str, Map]") -> list[str]:
    """How far a map by Captum is from this package's own beside it."""
    from mlcv_explore.saliency.captum_maps import PREFIX, largest_difference

    own = others.get(attribution.method.removeprefix(PREFIX))
    if own is None or own is attribution:
        return []
    share = largest_difference(attribution.values, own.values)
    return [f"largest difference {share:.2g} of the other's largest value"]


def _refused_tile(name: str, reason: str) -> None:
    """In the place of a map that does not exist: why."""
    st.caption(f"**{name}**  \n:material/block: {reason}")


def _image_tile(explained: Explained) -> None:
    """The image, the crop that the model reads drawn on it, and the prediction."""
    image, side = explained.image, explained.model.side
    drawn, crop, key = image.enlarged, explained.crop, image.digest
    if not crop.whole:
        left, top, right, bottom = crop.pixels((drawn.shape[1], drawn.shape[0]))
        width = max(2, max(drawn.shape[:2]) // 80)
        drawn = images.boxed(drawn, {"idea": (top, left, bottom, right)}, theme.palette(), width=width)
        key = f"{key} {theme.scheme()} {(left, top, right, bottom)}"
    shown = attributions.photograph(key, drawn)
    st.image(shown, width="stretch", alt=image.description, output_format="JPEG")
    part = "" if crop.whole else " of the framed crop"
    same = image.pixels.shape[:2] == (side, side)
    resized = "" if same and crop.whole else f" Model input: {side} × {side} pixels{part}."
    model = explained.model
    novelty = attributions.novelty(explained.digest, model.key, model, explained.array)
    unusual = f"  \n:material/help: {novelty.text()}" if novelty and novelty.unusual else ""
    st.caption(f"{explained.prediction()}{unusual}  \n{image.description}.{resized}")
