"""`run` and `record`: one run in this process, from settings to verdict."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlcv_explore import idea
from mlcv_explore.command.progress import bar, reading
from mlcv_explore.command.tables import estimate, number, table
from mlcv_explore.config import Config, SettingError
from mlcv_explore.experiment import film, runs, verification, worker
from mlcv_explore.experiment.runs import NotSaved, Run

SEEDS = 10
TILE, CARD = 160, (640, 170)  # pixels: a side of a tile; width and height of a card's image
SHOWN_APART = 5  # more seeds than that make a line too long to read; --json has them all


def run(options: argparse.Namespace) -> None:
    """Run one idea, keep the run on disk, print what it measured and what that decides."""
    slug = options.slugs[0]
    first = options.first_seed or 0
    config = idea.load(slug).config(**options.changes)
    with reading(options):
        note = runs.data_note(idea.load(slug), config)
    frames, done = perform(slug, config, range(first, first + (options.seeds or SEEDS)), options)
    try:
        runs.write(done, film.pack(frames), root=options.out)
    except NotSaved as error:  # the result is here all the same
        print(error, file=sys.stderr)
    print_run(done, options.json, note)


def record(options: argparse.Namespace) -> None:
    """Make the default run of an idea again, with the pictures that home shows, into
    `assets/<slug>/default`.
    """
    slug = options.slugs[0]
    if options.verify:
        _verify(slug, options)
        return
    if options.decide:
        _recorded(slug)
        changed = verification.redecide_run(slug)
        print(json.dumps({"slug": slug, "changed": changed}) if options.json else f"{slug}: {changed}")
        return
    if options.images:
        _redraw(slug, options)
        return
    if options.timing:
        _time(slug, options)
        return
    frames, done = perform(slug, idea.load(slug).config(), range(options.seeds or SEEDS), options)
    assets = idea.ASSETS / slug
    assets.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=assets, prefix=".recording-") as place:
        folder = runs.write(done, film.pack(frames), root=Path(place)).folder
        _draw(idea.load(slug), frames, folder)
        shutil.rmtree(assets / "default", ignore_errors=True)
        folder.rename(assets / "default")
    print_run(done, options.json)


def _recorded(slug: str) -> Run:
    recorded = runs.recorded(slug)
    if recorded is None:
        raise SettingError(f"{slug} has no recorded run: make one with `record {slug}`.")
    return recorded


def _redraw(slug: str, options: argparse.Namespace) -> None:
    """Home's images of the recorded run again, and its photographs; nothing is run."""
    from mlcv_explore.data import gallery

    recorded, subject = _recorded(slug), idea.load(slug)
    _draw(subject, film.unpack(runs.film_bytes(recorded), subject.frame), recorded.folder)
    gallery.write_thumbnails(idea.ASSETS / "gallery")
    sizes = {file.name: file.stat().st_size for file in sorted(recorded.folder.glob("*.webp"))}
    message = f"{slug}: {len(sizes)} images drawn, {sum(sizes.values()) / 1000:.0f} kB"
    print(json.dumps({"slug": slug, "bytes": sizes}) if options.json else message)


def _time(slug: str, options: argparse.Namespace) -> None:
    """The recorded run again, for the time that each of its parts takes; nothing else of
    it changes.
    """
    recorded = _recorded(slug)
    _, again = perform(slug, idea.load(slug).config(**recorded.config), recorded.seeds, options)
    runs.rewrite(replace(recorded, timing=again.timing))
    result = {"slug": slug, "seconds": round(again.seconds, 1), "timing": again.timing}
    message = f"{slug}: {again.seconds:.0f} s, timing kept in {len(again.timing)} corners"
    print(json.dumps(result) if options.json else message)


def _verify(slug: str, options: argparse.Namespace) -> None:
    """The recorded run's first seed again; today's fingerprint on it if all numbers are
    equal. Raises verification.Unequal.
    """
    recorded = _recorded(slug)
    config = idea.load(slug).config(**recorded.config)
    _, again = perform(slug, config, recorded.seeds[:1], options)
    computed = {name: value["per_seed"][0] for name, value in again.metrics.items()}
    equal = verification.check(slug, "default", recorded.seeds[0], [computed], recorded.fingerprint)
    stamped = verification.restamp_run(slug)
    frames = film.unpack(runs.film_bytes(stamped), idea.load(slug).frame)
    _draw(idea.load(slug), frames, stamped.folder)
    result = {"slug": slug, "equal": equal, "fingerprint": stamped.fingerprint, "id": stamped.id}
    message = f"{slug}, recorded run: {equal} numbers equal, stamped {stamped.fingerprint}"
    print(json.dumps(result) if options.json else message)


def perform(
    slug: str, config: Config, seeds: Sequence[int], options: argparse.Namespace
) -> tuple[list[Any], Run]:
    """The finished film of a run and its record."""
    # read by torch when it is first imported: the next line
    os.environ["OMP_NUM_THREADS"] = str(options.threads or 1)
    import torch

    torch.set_num_threads(options.threads or 1)
    started, frames, times = time.perf_counter(), [], []
    # what an idea prints is no result
    with bar(options, slug, "step") as progress, redirect_stdout(sys.stderr):
        for frame in idea.load(slug).run(config, tuple(seeds)):
            frames.append(frame)
            times.append(time.perf_counter() - started)
            progress.total = frame.steps
            progress.update(frame.step - progress.n)
    timing = worker.timing([frame.step for frame in frames], times)
    return frames, runs.of(slug, config, tuple(seeds), frames, time.perf_counter() - started, timing=timing)


def print_run(done: Run, as_json: bool, data: str = "") -> None:
    """The record of a run on stdout; `data` is what there is to know of an own folder."""
    headline = idea.load(done.slug).claims[0].name
    verdict = next((verdict for verdict in done.verdicts if verdict["claim"] == headline), None)
    if as_json:
        about = {
            "slug": done.slug,
            "key": done.key,
            "config": done.config,
            "seeds": list(done.seeds),
            "seconds": round(done.seconds, 3),
            **({"data": data} if data else {}),
        }
        print(
            json.dumps(
                {**about, "metrics": done.metrics, "verdict": verdict, "verdicts": done.verdicts},
                allow_nan=False,
            )
        )
        return
    print(
        f"{done.slug}, {len(done.seeds)} seeds from {done.seeds[0]} on, {done.seconds:.1f} s, run {done.id}\n"
    )
    if data:
        print(f"{data}\n")
    apart = done.seeds if len(done.seeds) <= SHOWN_APART else ()
    rows = [
        (name, *estimate(value), *(number(decided) for decided in value["per_seed"][: len(apart)]))
        for name, value in done.metrics.items()
    ]
    print(table(("measure", "mean", "95 % interval", *(f"seed {seed}" for seed in apart)), rows))
    for decided in done.verdicts:
        print(f"\n{decided['claim']} ({decided['role']}): {decided['sentence']}")


def _draw(subject: idea.Idea, frames: Sequence[Any], folder: Path) -> None:
    """Home's pictures of an idea, light and dark, beside its recorded run: the curves
    as SVG, each tile and the card of them all as WebP.
    """
    from mlcv_explore import charts
    from mlcv_explore.charts import images

    picture, tiles = subject.picture(frames), subject.tiles()
    for old in folder.glob("*.webp"):
        old.unlink()
    for scheme, palette in charts.PALETTES.items():
        curves = charts.thumbnail(picture.x, picture.lines, palette)
        (folder / f"picture.{scheme}.svg").write_text(curves.svg(), encoding="utf-8")
        drawn = [images.tile(tile.values, tile.kind, palette, TILE) for tile in tiles]
        for place, image in enumerate(drawn):
            (folder / f"tile{place}.{scheme}.webp").write_bytes(images.webp(image))
        if drawn:
            (folder / f"card.{scheme}.webp").write_bytes(images.webp(images.card(drawn, palette, *CARD)))
