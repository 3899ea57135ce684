"""Caches for all visitors of what a model computes from an image: its input,
probabilities, attribution maps, their curves, scores and uncertainty.
"""

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from mlcv_explore.charts import images
from mlcv_explore.data import gallery, uploads
from mlcv_explore.data.model_input import ModelInput, of_card
from mlcv_explore.ui import inputs, server
from mlcv_explore.ui.background import Background

if TYPE_CHECKING:
    from mlcv_explore.models import novelty as novelty_scores
    from mlcv_explore.models.checkpoints import Classifier
    from mlcv_explore.saliency import Map, SaliencySettings, Target
    from mlcv_explore.saliency.captum_calls import Progress
    from mlcv_explore.saliency.faithfulness import Fill
    from mlcv_explore.saliency.pasting import Effect
    from mlcv_explore.saliency.scores import Score, Truth
    from mlcv_explore.saliency.supported import Refused
    from mlcv_explore.saliency.uncertainty import AttributionStats

CACHE_ENTRIES = 64  # results of one kind; the maps of one image at 224 pixels are 1.2 MB
QUICK_METHODS = ("gradcam", "guided_backprop", "edges")  # those that take milliseconds
# the methods a page opens with
DEFAULT_METHODS = ("gradcam", "integrated_gradients", "smoothgrad", "guided_backprop", "occlusion", "edges")


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
def model_input(digest: str, _pixels: np.ndarray, given: ModelInput) -> np.ndarray:
    """The image as the model's input, float32 (3, side, side) in [0, 1]."""
    return given.array(_pixels)


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
def resized(digest: str, _pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image at a map's size (width, height) on the page, uint8 (h, w, 3)."""
    return uploads.resized(_pixels, size)


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
def photograph(digest: str, _pixels: np.ndarray) -> bytes:
    """The image as JPEG, so that a control that does not change it encodes nothing."""
    return images.jpeg(_pixels)


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
@server.computing()
def probabilities(digest: str, model_key: str, _network: Any, _model_input: np.ndarray) -> np.ndarray:
    """(classes,) of the image."""
    from mlcv_explore.models import classifiers

    return classifiers.predict_probabilities(_network, [_model_input])[0]


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
@server.computing()
def novelty(
    digest: str, model_key: str, _model: "Classifier", _model_input: np.ndarray
) -> "novelty_scores.Novelty | None":
    """Novelty percentiles of the image; None where they have not been measured."""
    from mlcv_explore.models import novelty as novelty_scores

    return novelty_scores.of_input(_model, _model_input)


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
def maps(
    digest: str, model_key: str, target: "Target", settings_key: str, layer: str | None, randomised: int
) -> "dict[str, Map | Refused]":
    """The maps computed so far, or why there is none, by method, of a network whose top
    layers may have been randomised; `compute_missing` adds to them.
    """
    return {}


def compute_missing(
    known: "dict[str, Map | Refused]",
    network: Any,
    model_input: np.ndarray,
    target: "Target",
    methods: Sequence[str],
    settings: "SaliencySettings",
    layer: str | None,
    randomised: int,
    progress: "Progress | None" = None,
) -> "Iterator[Map | Refused]":
    """Compute those of the maps that are not known yet, the cheap ones first, add each,
    or why there is none, to `known` and yield it. OutOfMemory is yielded alone: `known` is
    everybody's, and lasts.

    Raises SaliencyError where no method could be computed.
    """
    import torch

    from mlcv_explore import saliency
    from mlcv_explore.saliency import large_images
    from mlcv_explore.saliency.memory import OutOfMemory

    missing = [name for name in methods if name not in known]
    if missing:
        explained = saliency.randomised(network, randomised, 0) if randomised else network
        given = torch.from_numpy(model_input), target, missing, settings, 0, layer, progress
        results = large_images.attribute_each(explained, *given)
        # what reports its progress computes for seconds beside the page, and nobody waits for it
        for result in results if progress else server.computed(results):
            if not isinstance(result, OutOfMemory):
                known[result.method] = result
            yield result


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
def background(
    digest: str,
    model_key: str,
    target: "Target",
    settings_key: str,
    layer: str | None,
    randomised: int,
    kind: str = "maps",
) -> Background:
    """The computation of the slow ones of `maps`, or of their `scores_of_slow`, by `kind`."""
    return Background()


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
def scores_of_slow(
    digest: str, model_key: str, target: "Target", settings_key: str, layer: str | None
) -> "dict[str, Score]":
    """The scores of slow maps computed so far, by method."""
    return {}


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
def uncertainty(
    digest: str,
    model_key: str,
    target: "Target",
    methods: tuple[str, ...],
    settings_key: str,
    layer: str | None,
    kind: str,
    _model: "Classifier",
    _model_input: np.ndarray,
    _settings: Any,
) -> "dict[str, AttributionStats]":
    """Mean and standard deviation of each map over five draws (`kind` "draws"), or over
    the seeds of the model.
    """
    import torch

    from mlcv_explore.models import checkpoints
    from mlcv_explore.saliency import uncertainty

    image = torch.from_numpy(_model_input)
    if kind == "draws":
        return uncertainty.over_draws(_model.network, image, target, methods, _settings, range(5), layer)
    seeds = [member.network for member in checkpoints.members(_model.name.split("/")[0])]
    return uncertainty.over_models(seeds, image, target, methods, _settings, 0, layer)


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
@server.computing()
def deletion_insertion(
    digest: str,
    model_key: str,
    target: int,
    map_digest: str,
    fill: "Fill",
    _network: Any,
    _model_input: np.ndarray,
    _map: np.ndarray,
) -> np.ndarray:
    """(2, T): the target's probability while pixels are deleted, and while they are
    inserted, the most salient first.
    """
    import torch

    from mlcv_explore.saliency import faithfulness
    from mlcv_explore.saliency.large_images import InParts
    from mlcv_explore.saliency.supported import LARGE

    large = _model_input.shape[-1] > LARGE
    network = InParts(_network) if large else _network
    request = network, torch.from_numpy(_model_input)[None], torch.tensor([target]), _map[None, None], fill
    steps = 10 if large else 20  # a step of a large image takes 25 ms
    curves = (measure(*request, steps=steps) for measure in (faithfulness.deletion, faithfulness.insertion))
    return np.stack([curve.probabilities[0, 0] for curve in curves])


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
def scores(
    digest: str,
    model_key: str,
    target: "Target",
    methods: tuple[str, ...],
    settings_key: str,
    layer: str | None,
    _network: Any,
    _model_input: np.ndarray,
    _maps: "Sequence[Map]",
    _settings: "SaliencySettings",
    _truth: "Truth | None",
) -> "list[Score]":
    """The measures of these maps."""
    import torch

    from mlcv_explore.saliency import scores

    return scores.scores(_network, torch.from_numpy(_model_input), _maps, _settings, 0, layer, _truth)


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
@server.computing()
def pasting_effect(
    digests: tuple[str, str],
    model_key: str,
    target: "Target",
    _network: Any,
    _before: np.ndarray,
    _after: np.ndarray,
    _mask: np.ndarray,
) -> "Effect":
    """What was pasted into an input, (3, h, w) `_before` and `_after`, does to the score."""
    from mlcv_explore.saliency import pasting

    return pasting.effect(_network, _before, _after, _mask, target)


@st.cache_resource(max_entries=CACHE_ENTRIES, show_spinner=False)
def without_top(
    digest: str, map_digest: str, share: float, fill: "Fill", _model_input: np.ndarray, _map: np.ndarray
) -> np.ndarray:
    """The input (3, h, w) with this share of its most salient pixels replaced."""
    import torch

    from mlcv_explore.saliency import faithfulness

    return faithfulness.at_share(torch.from_numpy(_model_input), _map, share, fill).numpy()


def npy(values: np.ndarray) -> bytes:
    """An array as an NPY file."""
    file = io.BytesIO()
    np.save(file, values, allow_pickle=False)
    return file.getvalue()


def warm_up() -> None:
    """Load the model a page opens with and compute its quick maps, so that the first
    visitor waits for the slow ones alone.
    """
    from mlcv_explore.models import available_models
    from mlcv_explore.saliency import tokens
    from mlcv_explore.saliency.captum_maps import CaptumSettings
    from mlcv_explore.saliency.supported import LARGE, quick

    present = [offer.name for offer in available_models.listing() if offer.present]
    if not present:
        return
    image = inputs.gallery_image(next(iter(gallery.photographs())))
    model = available_models.load(inputs.default_model(inputs.SOURCES[0], present))
    array = model_input(image.digest, image.pixels, of_card(model.card))
    target = int(probabilities(image.digest, model.key, model.network, array).argmax())
    # as the page's controls make them, to the letter of the cache key
    settings = CaptumSettings()
    settings = quick(settings) if model.side > LARGE else settings
    layer = tokens.default_layer(model.network, (model.side,) * 2)
    known = maps(image.digest, model.key, target, settings.key(), layer, 0)
    for _ in compute_missing(known, model.network, array, target, QUICK_METHODS, settings, layer, 0):
        pass
    first = known[QUICK_METHODS[0]].values
    digest = inputs.array_digest(first)
    deletion_insertion(image.digest, model.key, target, digest, "mean", model.network, array, first)
