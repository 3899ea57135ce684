"""The two experiments on composites. Order of two tasks: a small encoder learns to classify
and to segment objects pasted on photographs. Maps: the mask network of the ImageNet network
against every method of idea 15 on objects that it was not trained on.
"""

from collections.abc import Iterator

import numpy as np
import torch

from mlcv_explore.data import composites, grouped_composites
from mlcv_explore.data.composites import Cutout
from mlcv_explore.ideas.learned_salience import OBJECTS, ORDER
from mlcv_explore.models import imagenet
from mlcv_explore.models.multitask import MultitaskSettings, MultitaskTrainer, Phase, schedule
from mlcv_explore.models.updates import in_parts
from mlcv_explore.saliency import cause, faithfulness, image_only, measures, photograph_masker
from mlcv_explore.saliency.attribution import METHODS
from mlcv_explore.saliency.methods import SaliencySettings
from mlcv_explore.saliency.supported import attribute, quick
from mlcv_explore.seeds import stream_seed

# Places in `cause.objects()` beside the study's: of the check on fresh objects, and those that settings
# were tried on; no network was trained on any of them
FRESH = (42, 86, 122, 140, 146, 172, 176, 177, 216, 231)
PILOTS = (36, 38, 159, 160, 167, 215)

MAP_PARTS, ORDER_PARTS = 2, 10  # how often `maps` and `orders` yield
SIDE = photograph_masker.SIDE  # of composites that are explained
CANDIDATES = 10  # composites drawn for each place that is explained
STEPS = 5  # of insertion and deletion
MAPS = ("learned", *METHODS, "edges_squared", "blind", "truth")
SETTINGS = quick(SaliencySettings()).replace(masks=100)  # idea 15's on photographs
ORDER_SIDE, WIDTH, BATCH, RATE = 32, 8, 16, 0.03
AGREEMENT = 0.5  # of the background's brightness with the class, of three
TAUGHT, SEEN, TESTED = 1500, 150, 600  # composites of a seed: training, their objects again, held out

Measured = dict[str, dict[str, float]]  # arm → measure → value


def training_objects() -> tuple[Cutout, ...]:
    """The objects that the mask network and the image-only network are trained on. Raises
    DataError without cut-outs.
    """
    held = {*OBJECTS, *FRESH, *PILOTS}
    return tuple(cutout for index, cutout in enumerate(cause.objects()) if index not in held)


def maps(seed: int) -> Iterator[Measured]:
    """Every map of one object at `MAP_PARTS` places: means so far of its "mass" and
    "pointing"; "insertion", "deletion" and "faithful", their difference, at the first.

    Raises SettingError for a seed without an object, DataError without cut-outs.
    """
    places, sums = Places(seed), dict[tuple[str, str], float]()
    measured: Measured = {}
    for index in range(MAP_PARTS):
        for name, values in places.measure(index).items():
            for arm, value in zip(MAPS, values.tolist(), strict=True):
                sums[arm, name] = sums.get((arm, name), 0.0) + value
                if index == 0 or name in ("mass", "pointing"):
                    measured.setdefault(arm, {})[name] = sums[arm, name] / (index + 1)
        measured["classifier"] = {"accuracy": places.decided}
        yield measured


class Places:
    """One object's composites in the order in which they are explained, and the class
    predicted for each, which is the one explained.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.network = imagenet.load().network
        self.drawn = composites.generate(
            cause.object_of(seed), CANDIDATES * MAP_PARTS, seed, "maps learned", SIDE
        )
        self.targets = cause.predicted(self.network, self.drawn.images)
        # with the object another class is predicted than for the background alone
        chosen = self.targets != cause.predicted(self.network, self.drawn.backgrounds)
        self.decided = float(chosen.mean())
        # the first, in the order drawn, that the object decides; where they are too few, others
        self.order = np.argsort(~chosen, kind="stable")[:MAP_PARTS]

    def measure(self, index: int) -> dict[str, np.ndarray]:
        """Measure → (arms,) in the order of MAPS, of the maps at one place."""
        place = self.order[index]
        image, truth = cause.as_float(self.drawn.images[place]), self.drawn.masks[place]
        values = self.maps(place)
        values = np.stack([values[arm] for arm in MAPS]).astype(np.float64)
        columns = {"mass": measures.mass_in_mask(values, truth), "pointing": measures.pointing(values, truth)}
        if index == 0:
            target = torch.tensor([self.targets[place]])
            request = (self.network, image[None], target, values[None], "mean", STEPS)
            deletion, insertion = (
                curve(*request, seed=self.seed).area[0]
                for curve in (faithfulness.deletion, faithfulness.insertion)
            )
            columns |= {"deletion": deletion, "insertion": insertion, "faithful": insertion - deletion}
        return columns

    def maps(self, place: int) -> dict[str, np.ndarray]:
        """Arm → its map (h, w) of one composite; the mask network and the controls do not
        read the class.
        """
        image, target = cause.as_float(self.drawn.images[place]), int(self.targets[place])
        draws = stream_seed(self.seed, f"learned maps of composite {place}")
        attributions = attribute(self.network, image, target, tuple(METHODS), SETTINGS, draws)
        values = {attribution.method: attribution.values for attribution in attributions}
        blind = image_only.network(tuple(one for one in training_objects() if one.imagenet_class), SIDE // 2)
        return values | {
            "learned": photograph_masker.predict(photograph_masker.load(), self.network, image),
            "edges_squared": values["edges"] ** 2,
            "blind": image_only.generate(blind, image),
            "truth": self.drawn.masks[place].astype(np.float32),
        }


def phases(arm: str, updates: int) -> tuple[Phase, ...]:
    """How an arm on the order of two tasks trains. All have equal updates of the encoder,
    half of them for each task where one follows the other, but "classify_half", which
    has half.
    """
    tasks = {"segment_first": ("segment", "classify"), "parallel": ("classify", "segment")}
    mode = "jointly" if arm == "parallel" else "in turn"
    count = updates - updates // 2 if arm == "classify_half" else updates
    return schedule(tasks.get(arm, ("classify",)), count, mode)


def orders(updates: int, seed: int) -> Iterator[Measured]:
    """Train an encoder to classify and to segment objects of composites, in three orders of
    so many updates of it, in `ORDER_PARTS` parts; at the end the test scores of objects held
    out: "accuracy", "swapped" on other backgrounds, and of a segmenter "iou".

    The parts before yield scores on the objects of training. Raises DataError.
    """
    training, held = grouped_composites.split(grouped_composites.groups(), seed)
    taught, seen, test = (
        grouped_composites.generate(objects, count, seed, purpose, AGREEMENT, ORDER_SIDE)
        for objects, count, purpose in (
            (training, TAUGHT, "order taught"),
            (training, SEEN, "order seen"),
            (held, TESTED, "order tested"),
        )
    )
    settings = MultitaskSettings(WIDTH, BATCH, rate=RATE)
    trainers = {arm: MultitaskTrainer(phases(arm, updates), settings, taught, seed) for arm in ORDER}
    steps = [in_parts(one.train(seen), one.updates, ORDER_PARTS) for one in trainers.values()]
    for part, _ in enumerate(zip(*steps, strict=True), 1):
        last = part == ORDER_PARTS
        yield {arm: one.evaluate(test if last else seen, one.tasks) for arm, one in trainers.items()}
