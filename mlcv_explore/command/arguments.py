"""The arguments of `python -m mlcv_explore`; an idea's flags are the settings of its
config.
"""

import argparse
import difflib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from mlcv_explore import idea
from mlcv_explore.command import evidence, explain, features, models, progress, report, run
from mlcv_explore.config import Config, SettingError, setting

SETTING = "setting of the idea: "  # prefix that separates settings from the command's own options
VERIFY = "run one seed again; stamp today's fingerprint on what ships if all numbers are equal"


class UsageError(ValueError):
    """Invalid arguments. The text is one sentence."""


class Counts(Config):
    """Integer options of commands."""

    seeds: int = setting(10, "how many seeds", low=1, high=10_000)
    first_seed: int = setting(0, "the first of them", low=0, high=1_000_000_000)
    seed: int = setting(0, "which seed", low=0, high=1_000_000_000)
    threads: int = setting(1, "threads of one run; more pay for convolutions only", low=1, high=1024)
    first_cells: int = setting(1, "only the first cells of the study", low=1, high=1_000_000)


class Parser(argparse.ArgumentParser):
    """argparse with errors as one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}.")


def read(words: Sequence[str]) -> argparse.Namespace:
    """The options of one command, checked; `options.run(options)` runs it.

    `options.slugs` are its ideas and `options.changes` the settings given for them.
    Raises UsageError.
    """
    words = list(words)
    parser, commands = _parser()
    takes_settings, idea_first = words[:1] in (["run"], ["evidence"]), not "".join(words[1:2]).startswith("-")
    if takes_settings and idea_first and len(words) > 1:
        _add_settings(commands[words[0]], _config_class(words[1]), "settings of the idea")
    if words[:1] == ["train"] or words[:1] == ["explain"]:
        _add_settings(commands[words[0]], _command_settings(words), f"settings of {words[0]}")
    if words[:1] == ["explain"]:
        commands["explain"].epilog = explain.methods_text()
    options, rest = parser.parse_known_args(_join_negative_values(words))
    if rest and takes_settings and not idea_first:
        raise UsageError(f"{words[0]} has the idea before its settings: {words[0]} SLUG --setting VALUE.")
    if rest:
        raise UsageError(_unknown_argument(rest, options))
    _check(options, words)
    return options


def _parser() -> tuple[Parser, dict[str, Parser]]:
    parser = Parser(
        prog="python -m mlcv_explore",
        allow_abbrev=False,
        description="Computer-vision ideas: play, train, answer.",
    )
    group = parser.add_subparsers(metavar="COMMAND", required=True)
    commands: dict[str, Parser] = {}

    def add(
        name: str, function: Callable[[argparse.Namespace], None], purpose: str, slugs: int | str, *flags: str
    ) -> Parser:
        commands[name] = group.add_parser(
            name, help=purpose, description=f"{purpose.capitalize()}.", allow_abbrev=False
        )
        commands[name].set_defaults(run=function, name=name, slugs=[])
        if slugs:
            commands[name].add_argument(
                "slugs", metavar="SLUG", nargs=slugs, help="an idea; `ideas` lists them"
            )
        for flag in flags:
            _add_flag(commands[name], flag)
        return commands[name]

    add("ideas", report.ideas, "list the ideas", 0, "json")
    add(
        "run",
        run.run,
        "run one idea and decide its claims",
        1,
        "seeds",
        "first_seed",
        "threads",
        "out",
        "progress",
        "json",
    )
    recording = add(
        "record",
        run.record,
        "record the default run that ships with an idea",
        1,
        "seeds",
        "threads",
        "progress",
        "json",
    )
    recording.add_argument("--images", action="store_true", help="draw home's images again; run nothing")
    recording.add_argument("--timing", action="store_true", help="run it again; keep only how time passes")
    study = add(
        "evidence",
        evidence.evidence,
        "run studies on all cores, write their rows and verdicts",
        "+",
        "seeds",
        "first_cells",
        "out",
        "progress",
        "json",
    )
    for command in (recording, study):
        command.add_argument("--verify", action="store_true", help=VERIFY)
        command.add_argument("--decide", action="store_true", help="verdicts by today's rules; run nothing")
    study.add_argument(
        "--study",
        default="live",
        metavar="NAME",
        help="a study of the idea (default live: bundled data, minutes)",
    )
    study.add_argument(
        "--scheduler",
        default=os.environ.get("MLCV_SCHEDULER"),
        metavar="ADDRESS",
        help="a dask cluster, tcp://host:8786",
    )
    train = add(
        "train",
        models.train,
        "train one seed of a checkpoint that ships",
        0,
        "seed",
        "threads",
        "out",
        "progress",
        "json",
    )
    train.add_argument("checkpoint", metavar="CHECKPOINT", help="such as cifar10")
    add("checkpoints", models.checkpoints, "list the trained networks and their metrics", 0, "json")
    add(
        "novelty", models.novelty, "measure a classifier's scores on its test images", 0, "json"
    ).add_argument("checkpoint", metavar="NAME", help="such as cifar10")
    predict = add("predict", models.predict, "classify images", 0, "threads", "progress", "json")
    predict.add_argument("images", metavar="IMAGE", nargs="+", help="JPEG, PNG, WebP or GIF")
    models.add_model(predict)
    explained = add(
        "explain",
        explain.explain,
        "explain a prediction with an attribution map",
        0,
        "seed",
        "threads",
        "progress",
        "json",
    )
    explained.add_argument("image", metavar="IMAGE", help="JPEG, PNG, WebP or GIF")
    models.add_model(explained)
    explained.add_argument(
        "--method",
        required=True,
        metavar="NAME",
        help="integrated_gradients, gradcam, captum:kernel_shap, …; all are listed at the end",
    )
    explained.add_argument(
        "--target",
        metavar="LABEL",
        help="the class to explain, or two with a comma for their difference; default: the predicted class",
    )
    explained.add_argument(
        "--layer",
        metavar="NAME",
        help="the convolution, or block of tokens, that Grad-CAM reads (default: the last)",
    )
    explained.add_argument(
        "--out", dest="heat", type=Path, metavar="FILE.png", help="a heat map of the image's size"
    )
    explained.add_argument(
        "--raw", type=Path, metavar="FILE.npy", help="the map itself, float32, of the size of the model input"
    )
    flags = ("seed", "threads", "out", "progress", "json")
    features.add_arguments(add("features", features.features, features.PURPOSE, 0, *flags))
    add("doctor", report.doctor, "report versions, device, data, disk and workers", 0, "json")
    add("download", report.download, "fetch a data set", 0, "progress").add_argument(
        "dataset", metavar="NAME", help="`doctor` lists them"
    )
    return parser, commands


def _add_flag(parser: Parser, name: str) -> None:
    if name == "json":
        parser.add_argument("--json", action="store_true", help="print exactly one JSON object")
    elif name == "progress":
        parser.add_argument(
            "--progress", action="store_true", help="draw the bar even when there is no terminal"
        )
    elif name == "out":
        parser.add_argument("--out", type=Path, metavar="DIR", help="write here, not in the usual place")
    else:
        declared = Counts.setting(name)
        parser.add_argument(
            *_spellings(name), dest=name, metavar="N", help=f"{declared.label}, {declared.rule}"
        )


def _add_settings(parser: Parser, config: type[Config], title: str) -> None:
    group = parser.add_argument_group(title)
    for declared in config.settings():
        unit = f" ({declared.unit})" if declared.unit else ""
        text = (
            f"{declared.label}{unit}: {declared.rule}; default {declared.default}. {declared.help}".replace(
                "%", "%%"
            )
        )
        alone = {"nargs": "?", "const": "true"} if declared.kind == "bool" else {}
        old = [f"--{name}" for name, today in config.renamed.items() if today == declared.name]
        group.add_argument(
            *_spellings(declared.name),
            *old,
            dest=SETTING + declared.name,
            metavar="VALUE",
            help=text,
            **alone,
        )


def _spellings(name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}")))


def _join_negative_values(words: Sequence[str]) -> list[str]:
    """`--sigma -inf` as `--sigma=-inf`: argparse would take such a value for a flag."""
    joined: list[str] = []
    for word in words:
        if (
            word.startswith("-")
            and not word.startswith("--")
            and word != "-h"
            and joined
            and joined[-1].startswith("--")
            and "=" not in joined[-1]
        ):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _check(options: argparse.Namespace, words: Sequence[str]) -> None:
    """Convert text to values, in place."""
    configs = [_config_class(slug) for slug in options.slugs]
    with _errors_name(Counts, options.name):
        for name in Counts.model_fields:
            if getattr(options, name, None) is not None:
                setattr(options, name, Counts.checked(name, getattr(options, name)))
    given = {
        key.removeprefix(SETTING): value
        for key, value in vars(options).items()
        if key.startswith(SETTING) and value is not None
    }
    options.changes = {}
    if given:
        config, name = (configs[0], options.slugs[0]) if configs else (_command_settings(words), options.name)
        with _errors_name(config, name), progress.reading(options):
            built = config(**given)
        options.changes = {name: getattr(built, name) for name in given}
    if getattr(options, "out", None) is not None:
        _check_writable(options.out)


@contextmanager
def _errors_name(config: type[Config], name: str) -> Iterator[None]:
    """Errors name the idea or the command instead of the config class."""
    try:
        yield
    except SettingError as error:
        raise UsageError(str(error).replace(config.__name__, name)) from None


def _command_settings(words: Sequence[str]) -> type[Config]:
    """The settings of `train` (those of its checkpoint) or `explain`; imports torch."""
    if words[0] == "train":
        from mlcv_explore.models import checkpoint_training, classifier_training

        with suppress(SettingError):  # an unknown one is reported later
            return type(
                checkpoint_training.spec(
                    next((word for word in words[1:] if not word.startswith("-")), "")
                ).hyperparameters
            )
        return classifier_training.Hyperparameters
    from mlcv_explore.saliency.captum_maps import CaptumSettings

    return CaptumSettings


def _config_class(slug: str) -> type[Config]:
    known = [card.slug for card in idea.cards()]
    if slug not in known:
        raise UsageError(f"There is no idea {slug!r}{_nearest(slug, known, 'the ideas', known)}")
    return idea.load(slug).config


def _nearest(name: str, known: Sequence[str], plural: str, shown: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; {plural} are {', '.join(shown)}."


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(
            f"--out must be a folder that can be written, got {str(folder)!r}: {error.strerror}."
        ) from None


def _unknown_argument(rest: Sequence[str], options: argparse.Namespace) -> str:
    flag = next((word for word in rest if word.startswith("-")), None)
    if flag is None:
        return f"{options.name} takes no argument {rest[0]!r}."
    name = flag.lstrip("-").partition("=")[0].replace("-", "_")
    settings = [key.removeprefix(SETTING) for key in vars(options) if key.startswith(SETTING)]
    # not flags
    words = ("run", "name", "slugs", "dataset", "checkpoint", "images", "image")
    own = [key for key in vars(options) if not key.startswith(SETTING) and key not in words]
    if settings:
        return (
            f"{options.slugs[0] if options.slugs else options.name} has no setting"
            f" {name!r}{_nearest(name, settings + own, 'the settings', settings)}"
        )
    return f"{options.name} has no option {name!r}{_nearest(name, own, 'the options', own)}"
