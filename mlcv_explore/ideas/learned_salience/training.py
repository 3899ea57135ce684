"""The run of idea 16: each experiment as a course of one seed, all seeds side by side,
a frame a stage of all of them.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from mlcv_explore.data.scenes import Scenes
from mlcv_explore.ideas.learned_salience import (
    ARMS,
    CURVES,
    INDEPENDENT,
    MAPS,
    MASKERS,
    MEASURES,
    STAGES,
    TICKS,
    Frame,
    LearnedSalienceConfig,
    arms,
    experiments,
)
from mlcv_explore.ideas.learned_salience import material as materials
from mlcv_explore.ideas.learned_salience.leak import leak
from mlcv_explore.ideas.learned_salience.masker import (
    Masker,
    MaskerSettings,
    blended,
    masked,
    masker,
    optimised,
    random_fill,
)
from mlcv_explore.ideas.learned_salience.masker import training as masker_training
from mlcv_explore.ideas.learned_salience.sharing import Learner, Material, ticks
from mlcv_explore.metrics.overlap import DETECTION_IOU, box_overlap, largest_box
from mlcv_explore.saliency import controls, faithfulness, measures, methods
from mlcv_explore.seeds import stream, stream_seed

VALIDATED = 150  # pictures at most that curves are measured on
BOXED = 200  # test pictures at most whose maps are turned into boxes
CURVE_STEPS = 10
OPTIMISED = 100  # steps of the optimised mask
JUDGING_FILL = "mean"  # none of those the maskers learned with
OTHER_FILL = "noise"  # nor is this one, but it is nearer to them
EIGHTH_BIT = 127


@dataclass
class State:
    """What one seed has come to; arrays are overwritten."""

    side: int
    curves: np.ndarray = field(init=False)  # (A, C)
    measured: np.ndarray = field(init=False)  # (A, K)
    shown: np.ndarray = field(init=False)  # (A, h, w) int8
    scene: np.ndarray = field(init=False)  # (3, h, w) uint8

    def __post_init__(self) -> None:
        self.curves = np.zeros((len(ARMS), len(CURVES)), np.float32)
        self.measured = np.zeros((len(ARMS), len(MEASURES)), np.float32)
        self.shown = np.zeros((len(ARMS), self.side, self.side), np.int8)
        self.scene = np.zeros((3, self.side, self.side), np.uint8)

    def curve(self, arm: str, **values: float) -> None:
        """Enter values by the names of CURVES."""
        for name, value in values.items():
            self.curves[ARMS.index(arm), CURVES.index(name)] = value

    def measure(self, arm: str, **values: float) -> None:
        """Enter values by the names of MEASURES."""
        for name, value in values.items():
            self.measured[ARMS.index(arm), MEASURES.index(name)] = value

    def show(self, arm: str, values: np.ndarray) -> None:
        """Enter a map (h, w), its largest absolute value at 127."""
        most = np.abs(values).max()
        self.shown[ARMS.index(arm)] = np.rint(values / most * EIGHTH_BIT) if most else 0


def run(config: LearnedSalienceConfig, seeds: Sequence[int]) -> Iterator[Frame]:
    """A frame for every tick of every stage of the experiments asked."""
    courses = [course(config, seed) for seed in seeds]
    steps = TICKS * sum(STAGES[experiment] for experiment in experiments(config))
    for step, states in enumerate(zip(*courses, strict=True), 1):
        curves, measured, shown, scene = (
            np.stack([getattr(state, name) for state in states])
            for name in ("curves", "measured", "shown", "scene")
        )
        if step < steps:
            shown, scene = np.zeros_like(shown), np.zeros_like(scene)
        shown[1:], scene[1:] = 0, 0  # a picture of one seed is enough, and a tenth of the bytes
        yield Frame(step, steps, curves, measured, shown, scene)


def course(config: LearnedSalienceConfig, seed: int) -> Iterator[State]:
    """All experiments asked of one seed, a state a tick."""
    state = State(32 if config.dataset == "scenes" else 64)
    kinds: dict[str, Callable[[LearnedSalienceConfig, int, State], Iterator[None]]] = {
        "salience": salience,
        "order": order,
        "boxes": boxes,
    }
    for experiment in experiments(config):
        for _ in kinds[experiment](config, seed, state):
            yield state


def salience(config: LearnedSalienceConfig, seed: int, state: State) -> Iterator[None]:
    """Two classifiers, then maskers of the first, then what every map of it is worth."""
    taught, _ = materials.tagged(config, config.rho, config.scenes, seed, "taught")
    validated, _ = materials.tagged(config, config.rho, min(VALIDATED, config.tested), seed, "validation")
    tested, _ = materials.tagged(config, config.rho, config.tested, seed, "tested")
    explained, known = materials.tagged(config, INDEPENDENT, config.pictures, seed, "explained")
    alone = config.replace(experiment="order")
    classes = _classes(config)
    learners = {
        arm: Learner(alone, "classify_only", taught, classes, seed, "second " * (arm == "second"))
        for arm in ("classifier", "second")
    }
    lessons = [ticks(learner.lessons(tested), config.updates, TICKS) for learner in learners.values()]
    for tick, _ in enumerate(zip(*lessons, strict=True), 1):
        for arm, learner in learners.items():
            found = learner.measured(validated, ("classify",))
            state.curve(arm, accuracy=found["accuracy"], swapped=found["swapped"])
            if tick == TICKS:
                found = learner.measured(tested, ("classify",))
                state.measure(arm, accuracy=found["accuracy"], swapped=found["swapped"])
        yield
    classifier, second = (learner.network.eval().requires_grad_(False) for learner in learners.values())
    maskers = yield from _maskers(config, classifier, taught, validated, seed, state)
    yield from _judged(config, classifier, second, maskers, explained, known, seed, state)


def _maskers(
    config: LearnedSalienceConfig,
    classifier: nn.Sequential,
    taught: Material,
    validated: Material,
    seed: int,
    state: State,
) -> Generator[None, None, dict[str, Masker]]:
    """Train the maskers that are asked for; the curves say how often the answer stays
    with what they keep, and with what they leave.
    """
    made, lessons = {}, []
    for arm in (arm for arm in MASKERS if arm in arms(config)):
        settings = settings_of(config, arm)
        made[arm] = masker(classifier, state.side, settings, seed)
        lessons.append(
            ticks(
                masker_training(made[arm], classifier, taught.pictures, settings, seed),
                settings.updates,
                TICKS,
            )
        )
    fill = random_fill(validated.pictures, stream(seed, "fills of the validation pictures"))
    for _ in zip(*lessons, strict=True):
        for arm, network in made.items():
            network.eval()
            found = masked(network, classifier, validated.pictures, config.area)
            answers = found.logits.argmax(1)
            kept, left = (
                _agreeing(classifier, blended(validated.pictures, each, fill), answers)
                for each in (found.masks, 1 - found.masks)
            )
            state.curve(arm, accuracy=kept, swapped=left, extent=float(found.masks.mean()))
            network.train()
        yield
    for network in made.values():
        network.eval()
    return made


def _judged(
    config: LearnedSalienceConfig,
    classifier: nn.Sequential,
    second: nn.Sequential,
    maskers: dict[str, Masker],
    explained: Material,
    known: Scenes | None,
    seed: int,
    state: State,
) -> Iterator[None]:
    """Every map of every picture that is explained; a tick judges a tenth of them, and
    what stands there are means so far.
    """
    asked = [arm for arm in arms(config) if arm in MAPS]
    maps = maps_of(config, classifier, maskers, explained, asked, seed)
    for arm in asked:
        state.show(arm, maps[arm][0])
    state.scene = (explained.pictures[0] * 255).round().to(torch.uint8).numpy()
    stacked = np.stack([maps[arm] for arm in asked], axis=1)  # (n, M, h, w)
    with torch.no_grad():
        targets = classifier(explained.pictures).argmax(1)
    found: dict[str, np.ndarray] = {}
    for part in np.array_split(np.arange(len(targets)), TICKS):
        given = (explained.pictures[part], targets[part], stacked[part])
        luck = stream_seed(seed, f"ties from picture {part[0]} on")
        kept, removed = _areas(classifier, *given, JUDGING_FILL, luck)
        new = {"insertion": kept, "deletion": removed, "faithful": kept - removed}
        for name, network, fill in (("noisy", classifier, OTHER_FILL), ("transfer", second, JUDGING_FILL)):
            kept, removed = _areas(network, *given, fill, luck)
            new[name] = kept - removed
        truth = (explained.masks[part].numpy() == 1)[:, None]
        new["mass"], new["pointing"] = (
            measures.mass_in_mask(stacked[part], truth),
            measures.pointing(stacked[part], truth),
        )
        new["tag"] = (
            measures.mass_on_tag(stacked[part], known.tag_boxes[part][:, None])
            if known is not None
            else np.zeros_like(new["mass"])
        )
        new["area"] = stacked[part].mean((2, 3))
        found = {
            name: np.concatenate([found[name], values]) if name in found else values
            for name, values in new.items()
        }
        means = {name: values.mean(0) for name, values in found.items()}
        for place, arm in enumerate(asked):
            state.measure(arm, **{name: float(values[place]) for name, values in means.items()})
        if part[-1] == len(targets) - 1 and config.label == "texture" and known is not None:
            leaks(config, classifier, maskers, asked, seed, state)
        yield


def _areas(
    network: nn.Module,
    pictures: torch.Tensor,
    targets: torch.Tensor,
    maps: np.ndarray,
    fill: faithfulness.Fill,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Areas (n, M) under the probability of the target while the most salient pixels
    are shown first, and while they are removed first.
    """
    given = (network, pictures, targets, maps, fill, CURVE_STEPS)
    return faithfulness.insertion(*given, seed=seed).area, faithfulness.deletion(*given, seed=seed).area


def leaks(
    config: LearnedSalienceConfig,
    classifier: nn.Sequential,
    maskers: dict[str, Masker],
    asked: Sequence[str],
    seed: int,
    state: State,
) -> None:
    """How much better than by chance the class can be told from maps alone, of fresh
    scenes whose tags tell nothing.
    """
    seen, _ = materials.tagged(config, INDEPENDENT, config.tested, seed, "masks to decode")
    maps = maps_of(config, classifier, maskers, seen, [arm for arm in asked if arm != "optimised"], seed)
    for arm, values in maps.items():
        state.measure(arm, leak=leak(torch.from_numpy(values), seen.labels, _classes(config), seed))


def maps_of(
    config: LearnedSalienceConfig,
    classifier: nn.Sequential,
    maskers: dict[str, Masker],
    given: Material,
    asked: Sequence[str],
    seed: int,
) -> dict[str, np.ndarray]:
    """Maps (n, h, w) float64, nowhere negative, of the classifier's answer to every
    picture, by arm.
    """
    found: dict[str, np.ndarray] = {}
    for arm, network in maskers.items():
        made = masked(network, classifier, given.pictures, config.area)
        found[arm] = made.masks.numpy()
        if arm == "gated":
            found["gates"] = made.gates.numpy()
    if "optimised" in asked:
        parts = given.pictures.split(50)
        settings = settings_of(config, "gated")
        found["optimised"] = torch.cat(
            [optimised(classifier, part, settings, seed, min(OPTIMISED, config.updates)) for part in parts]
        ).numpy()
    if "gradcam" in asked:
        found["gradcam"] = gradcam_maps(classifier, given.pictures)
    for name, control in (("centre", controls.centre), ("random", None)):
        if name in asked:
            chance = stream(seed, "random maps")
            found[name] = np.stack(
                [
                    (control(one) if control else torch.rand(one.shape[1:], generator=chance)).numpy()
                    for one in given.pictures
                ]
            )
    found["truth"] = (given.masks.numpy() == 1).astype(float)
    return {arm: found[arm].astype(np.float64) for arm in asked}


def gradcam_maps(classifier: nn.Sequential, pictures: torch.Tensor) -> np.ndarray:
    """Grad-CAM of the last convolution for the classifier's own answer, (n, h, w)."""
    with torch.no_grad():
        targets = torch.cat([classifier(part).argmax(1) for part in pictures.split(250)]).tolist()
    how = methods.SaliencySettings()
    return np.stack(
        [
            methods.grad_cam(classifier, one, target, how).values.numpy()
            for one, target in zip(pictures, targets, strict=True)
        ]
    )


def masker_updates(config: LearnedSalienceConfig) -> int:
    """Half of the classifier's: each of them takes three passes through it."""
    return max(TICKS, config.updates // 2)


def settings_of(config: LearnedSalienceConfig, arm: str) -> MaskerSettings:
    """What the masker of that arm is asked for in a run."""
    return MaskerSettings(
        *MASKERS[arm], config.area, config.area, config.smoothness, masker_updates(config), config.batch_size
    )


def order(config: LearnedSalienceConfig, seed: int, state: State) -> Iterator[None]:
    """Classify and segment in every order that is asked for."""
    yield from _sharing(config.replace(experiment="order"), seed, state)


def boxes(config: LearnedSalienceConfig, seed: int, state: State) -> Iterator[None]:
    """Classify and find boxes in every order, then a masker of the plain classifier,
    whose masks give boxes too, as Grad-CAM's do.
    """
    alone = config.replace(experiment="boxes")
    learners = yield from _sharing(alone, seed, state)
    taught, _, tested = (materials.shared(config, count, seed, part) for part, count in _parts(config))
    classifier = learners["classify_only"].network.eval().requires_grad_(False)
    only_gated = alone.replace(experiment="salience", arms="two")
    settings = settings_of(only_gated, "gated")
    network = masker(classifier, state.side, settings, seed)
    lessons = ticks(
        masker_training(network, classifier, taught.pictures, settings, seed), settings.updates, TICKS
    )
    for tick, _ in enumerate(lessons, 1):
        if tick == TICKS:
            network.eval()
            _boxes_of_maps(only_gated, classifier, network, taught, tested, seed, state)
        yield


def _boxes_of_maps(
    config: LearnedSalienceConfig,
    classifier: nn.Sequential,
    network: Masker,
    taught: Material,
    tested: Material,
    seed: int,
    state: State,
) -> None:
    """Boxes round the largest piece of maps, of the first of the pictures that are
    tested.
    """
    few = Material(
        *(getattr(tested, name)[:BOXED] for name in ("pictures", "swapped", "labels", "masks", "boxes"))
    )
    maps = maps_of(config, classifier, {"gated": network}, few, ("gated", "gradcam", "truth"), seed)
    side = state.side
    mean_box = np.broadcast_to(taught.boxes.mean(0).numpy(), (len(few.labels), 4))
    drawn = {
        f"{name}_box": np.stack([largest_box(one) for one in maps[arm]]) / side
        for name, arm in (("learned", "gated"), ("gradcam", "gradcam"))
    }
    drawn |= {
        "truth_box": np.stack([largest_box(one) for one in maps["truth"]]) / side,
        "centre_box": mean_box,
    }
    for arm, found in drawn.items():
        overlap = box_overlap(found, few.boxes.numpy())
        state.measure(arm, overlap=float(overlap.mean()), found=float((overlap >= DETECTION_IOU).mean()))
        _show_box(state, arm, found[0])
    state.scene = (few.pictures[0] * 255).round().to(torch.uint8).numpy()


def _sharing(
    config: LearnedSalienceConfig, seed: int, state: State
) -> Generator[None, None, dict[str, Learner]]:
    """Train every arm of shared encoders, tick by tick, and measure them on test
    pictures at the end. Returns them by name.
    """
    taught, validated, tested = (
        materials.shared(config, count, seed, part) for part, count in _parts(config)
    )
    trained = [arm for arm in arms(config) if not arm.endswith("_box")]
    learners = {arm: Learner(config, arm, taught, _classes(config), seed) for arm in trained}
    lessons = [
        ticks(one.lessons(tested), sum(phase.updates for phase in one.phases), TICKS)
        for one in learners.values()
    ]
    for tick, _ in enumerate(zip(*lessons, strict=True), 1):
        for arm, learner in learners.items():
            found = learner.measured(validated, learner.tasks)
            extent = found.get("iou", found.get("overlap", 0.0))
            state.curve(
                arm, accuracy=found.get("accuracy", 0.0), swapped=found.get("swapped", 0.0), extent=extent
            )
            if tick == TICKS:
                _measure(learner, tested, state)
        yield
    return learners


def _measure(learner: Learner, tested: Material, state: State) -> None:
    found = learner.measured(tested, learner.tasks)
    if learner.first is not None:
        first = learner.phases[0].tasks[0]
        name = {"classify": "accuracy", "segment": "iou", "detect": "overlap"}[first]
        found["forgotten"] = learner.first[name] - found[name]
    state.measure(learner.arm, **found)
    if "segment" in learner.tasks:
        state.show(learner.arm, learner.predicted(tested.pictures[:1])[0].clip(0))
    if "detect" in learner.tasks:
        _show_box(state, learner.arm, learner.boxes(tested.pictures[:1])[0])
    state.scene = (tested.pictures[0] * 255).round().to(torch.uint8).numpy()


def _show_box(state: State, arm: str, box: np.ndarray) -> None:
    values = np.zeros((state.side, state.side))
    top, left, bottom, right = np.rint(box * state.side).astype(int).clip(0, state.side)
    values[top:bottom, left:right] = 1
    state.show(arm, values)


def _parts(config: LearnedSalienceConfig) -> tuple[tuple[str, int], ...]:
    return ("taught", config.scenes), ("validation", min(VALIDATED, config.tested)), ("tested", config.tested)


def _classes(config: LearnedSalienceConfig) -> int:
    return 4 if config.dataset == "scenes" else 37


@torch.no_grad()
def _agreeing(classifier: nn.Module, pictures: torch.Tensor, answers: torch.Tensor) -> float:
    """Share of the pictures that are given these answers."""
    return float((classifier(pictures).argmax(1) == answers).float().mean())
