"""What is explained of an image, and which maps of it: a prediction, the methods, and
the caches between them.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mlcv_explore.data.model_input import Crop, ModelInput, of_card
from mlcv_explore.ui import attributions, inputs
from mlcv_explore.ui.background import Background, Report

if TYPE_CHECKING:
    from mlcv_explore.models.checkpoints import Classifier
    from mlcv_explore.saliency import Map, SaliencySettings, Target
    from mlcv_explore.saliency.scores import Score, Truth
    from mlcv_explore.saliency.supported import Refused


@dataclass(frozen=True, eq=False)
class Explained:
    """An image, a model's prediction, and the class or difference of two explained."""

    image: inputs.ChosenImage
    model: "Classifier"
    target: "Target"
    whole: bool = False  # whether a model that reads a crop reads the whole image instead

    @property
    def given(self) -> ModelInput:
        """How the image becomes the model's input."""
        return of_card(self.model.card, self.whole)

    @property
    def crop(self) -> Crop:
        """The part of the image that the model reads."""
        height, width = self.image.pixels.shape[:2]
        return self.given.crop((width, height))

    @property
    def digest(self) -> str:
        """What identifies the image and the part of it that is read."""
        return self.image.digest + " whole" * self.whole

    @cached_property
    def array(self) -> np.ndarray:
        """The model's input, float32 (3, side, side) in [0, 1]."""
        return attributions.model_input(self.image.digest, self.image.pixels, self.given)

    @cached_property
    def truth(self) -> "Truth | None":
        """Where the object of a generated scene, or what was pasted, is in the model's
        input; None where it is not known, or the model reads nothing of it.
        """
        truth = self.image.truth
        if truth is None or not (mask := self.given.mask(truth.mask)).any():
            return None
        box = self.given.box(truth.tag_box, truth.mask.shape[::-1])
        return replace(truth, mask=mask.astype(np.uint8), tag_box=box)

    @property
    def probabilities(self) -> np.ndarray:
        """(classes,)."""
        return predict(self.model, self.digest, self.array)

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

    methods: tuple[str, ...]  # those of Captum are computed in the background
    settings: "SaliencySettings"
    layer: str | None = None  # of Grad-CAM; the last convolution by default

    @property
    def slow(self) -> tuple[str, ...]:
        """The methods that are computed in the background, in the order they are computed."""
        from mlcv_explore.saliency.captum_maps import METHODS

        return tuple(name for name in METHODS if name in self.methods)

    @property
    def quick(self) -> tuple[str, ...]:
        """The methods that are computed while the page waits."""
        slow = self.slow
        return tuple(name for name in self.methods if name not in slow)

    def known(self, explained: Explained, randomised: int = 0) -> "dict[str, Map | Refused]":
        """The maps computed so far, or why there is none, by method."""
        return attributions.maps(*self._key(explained), randomised)

    def compute(self, explained: Explained, randomised: int = 0) -> "Iterator[Map | Refused]":
        """Compute those quick maps that are not known, of a network with this many layers
        randomised from the top, the cheap ones first. Raises SaliencyError.
        """
        yield from self._compute(explained, self.quick, randomised)

    def missing(self, explained: Explained, randomised: int = 0) -> list[str]:
        """The slow methods that are neither known nor failed."""
        known, failed = self.known(explained, randomised), self.failed(explained, randomised)
        return [name for name in self.slow if name not in known and name not in failed]

    def failed(self, explained: Explained, randomised: int = 0, kind: str = "maps") -> list[str]:
        """The slow methods whose map, or score, ended in an error and may be tried again."""
        failed = self.background(explained, randomised, kind).failed
        return [name for name in self.slow if name in failed]

    def background(self, explained: Explained, randomised: int = 0, kind: str = "maps") -> Background:
        """The computation of the slow maps, or of their scores."""
        return attributions.background(*self._key(explained), randomised, kind)

    def compute_slow(self, explained: Explained, randomised: int, name: str, report: Report) -> None:
        """Compute a slow map, or the reason why there is none. Raises MemoryError where that
        is a lack of memory, which may be over at the next attempt.
        """
        from mlcv_explore.saliency import SaliencyError
        from mlcv_explore.saliency.memory import OutOfMemory
        from mlcv_explore.saliency.supported import Refused

        try:
            for result in self._compute(explained, (name,), randomised, report):
                if isinstance(result, OutOfMemory):
                    raise MemoryError(result.reason)
        except SaliencyError as error:
            self.known(explained, randomised)[name] = Refused(name, str(error))

    def identity(self, explained: Explained, kind: str) -> str:
        """What identifies results of one kind, with these settings, of one image."""
        return repr((*self._key(explained), kind))

    def maps(self, explained: Explained, randomised: int = 0) -> "dict[str, Map]":
        """All maps, by method, without those that are refused, and of the slow ones those
        that are known. Raises SaliencyError.
        """
        from mlcv_explore.saliency import Map

        for _ in self.compute(explained, randomised):
            pass
        known = self.known(explained, randomised)
        return {name: known[name] for name in self.methods if isinstance(known.get(name), Map)}

    def _key(self, explained: Explained) -> tuple:
        return explained.digest, explained.model.key, explained.target, self.settings.key(), self.layer

    def _compute(
        self, explained: Explained, names: tuple[str, ...], randomised: int, report: Report | None = None
    ) -> "Iterator[Map | Refused]":
        known, network, array = self.known(explained, randomised), explained.model.network, explained.array
        given = explained.target, names, self.settings, self.layer, randomised, report
        yield from attributions.compute_missing(known, network, array, *given)

    def uncertainty(self, explained: Explained, kind: str) -> dict:
        """Mean and stable pixels of each map over draws, or over seeds of the model."""
        model = explained.model
        names = self.quick, self.settings.key(), self.layer, kind, model
        given = explained.array, self.settings
        return attributions.uncertainty(explained.digest, model.key, explained.target, *names, *given)

    def scores(self, explained: Explained) -> "list[Score]":
        """The scores of the quick maps."""
        maps = [one for name, one in self.maps(explained).items() if name in self.quick]
        if not maps:
            return []
        model, names = explained.model, (self.quick, self.settings.key(), self.layer)
        given = model.network, explained.array, maps, self.settings, explained.truth
        return attributions.scores(explained.digest, model.key, explained.target, *names, *given)

    def scores_of_slow(self, explained: Explained) -> "dict[str, Score]":
        """The scores of the slow maps that are known."""
        return attributions.scores_of_slow(*self._key(explained))

    def missing_scores(self, explained: Explained) -> list[str]:
        """The slow maps that are known and whose scores are neither known nor failed."""
        known, failed = self.scores_of_slow(explained), self.failed(explained, kind="scores")
        maps = self.maps(explained)
        return [name for name in self.slow if name in maps and name not in known and name not in failed]

    def compute_score(self, explained: Explained, name: str, report: Report) -> None:
        """Compute the scores of a slow map."""
        import torch

        from mlcv_explore.saliency.scores import scores

        given = explained.model.network, torch.from_numpy(explained.array), [self.known(explained)[name]]
        (score,) = scores(*given, self.settings, 0, self.layer, explained.truth, report)
        self.scores_of_slow(explained)[name] = score

    def command(self, explained: Explained, method: str) -> str:
        """The command that computes a map again, of the network as trained."""
        from mlcv_explore.saliency.captum_maps import AT_A_LAYER

        flags = {"model": explained.model.name, "method": method, "target": explained.target_name(",")}
        flags |= {"layer": self.layer} if method in AT_A_LAYER and self.layer else {}
        words = ["--whole"] if explained.whole else []
        words += [
            f"--{name} {shlex.quote(str(value))}" for name, value in (flags | self.settings.changed()).items()
        ]
        return " ".join(["python -m mlcv_explore explain IMAGE", *words, "--out heat.png --raw map.npy"])


def predict(model: "Classifier", digest: str, array: np.ndarray) -> np.ndarray:
    """(classes,) probabilities of an input (3, side, side) identified by `digest`."""
    return attributions.probabilities(digest, model.key, model.network, array)


def explain_image(
    image: inputs.ChosenImage, model: "Classifier", named: str = "", contrast: str = "", whole: bool = False
) -> Explained:
    """The image with the class `named`, or the predicted one, minus `contrast` if
    given; the `whole` image where the model else reads a crop.
    """
    explained, classes = Explained(image, model, 0, whole), list(model.classes)
    first = classes.index(named) if named in classes else int(explained.probabilities.argmax())
    target = (first, classes.index(contrast)) if contrast in classes else first
    return Explained(image, model, target, whole)
