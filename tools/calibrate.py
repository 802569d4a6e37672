"""Fit every number of bss/pipeline/calibration.py anew, and print old beside new.

    python tools/calibrate.py --rooms 8      # on the voices of fixtures/: quick to try, too few to trust
    python tools/calibrate.py --voices SPEECH --noise NOISE --rir ROOMS --rooms 128

Rooms are simulated (and, with --rir, made of measured impulse responses), separated by bss as it is now, and compared with the
truth. The numbers as they are and the new ones are judged on the same scenes, the new ones on those left out of their fit.
Nothing is written into the code: a new number is worth taking where its error is smaller by more than the doubt beside it.

Every scene is kept in the folder of --cache, so that a run that was ended goes on; other code, other voices or another seed
begin anew there.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from calibration import cache, scenes
from calibration.fits import Row, Value, evaluated
from calibration.measures import PER_ROOM
from calibration.steps import STEPS, current

ROOT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> None:
    """Measure what is missing, fit, print the table."""
    options = parsed(arguments)
    talkers, noise, places = scenes.named(options.voices), scenes.sounds(options.noise), scenes.measured_rooms(options.rir)
    sources = scenes.Sources(talkers, noise, places, options.seconds, options.seed)
    steps = {name: step for name, step in STEPS.items() if name in (options.only or STEPS) and (noise or name != "speech")}
    if not noise and "speech" in (options.only or STEPS):
        print("without --noise nothing is fitted that tells speech from other sounds", file=sys.stderr)
    counts = {group: round(options.rooms * PER_ROOM[group]) for step in steps.values() for group in step.groups}
    folder = cache.place(options.cache, sources)
    jobs = [(group, k) for k in range(max(counts.values())) for group in counts if k < counts[group]]
    began = time.monotonic()
    cache.measured(folder, jobs, sources, processes=options.processes, done=lambda i, n: say(i, n, began))
    rows = []
    for step in steps.values():
        held = [scene for group in step.groups for scene in cache.held(folder, group, counts[group])]
        rows += evaluated(step, held, current())
    print(table(rows))
    if options.out:
        document: dict[str, Any] = {"date": date.today().isoformat(), "rooms": options.rooms, "seed": options.seed}
        document["numbers"] = list(map(asdict, rows))
        options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folders: dict[str, Any] = {"nargs": "+", "type": Path, "metavar": "DIR", "default": []}
    voices = folders | {"default": [ROOT / "fixtures/voices"]}
    parser.add_argument("--voices", **voices, help="clean speech, a folder or a file for each talker; default fixtures/voices")
    parser.add_argument("--noise", **folders, help="sounds that are no speech")
    parser.add_argument("--rir", **folders, help="measured rooms: files ROOM_PLACE.flac, a channel for each microphone")
    parser.add_argument("--rooms", type=int, default=128, help="scenes of most kinds; default 128")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each; default 10")
    parser.add_argument("--only", nargs="+", choices=list(STEPS), help="fit only these")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=Path, default=ROOT / "build/calibration", metavar="DIR")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the table as JSON")
    options = parser.parse_args(arguments)
    if options.rooms < 2:
        parser.error("--rooms: two at least, as one is left out of a fit")
    if options.only == ["speech"] and not options.noise:
        parser.error("--only speech: --noise is missing, the other sounds")
    return options


def say(count: int, total: int, began: float) -> None:
    """How far it is, on stderr."""
    left = (time.monotonic() - began) / count * (total - count) / 60
    print(
        f"\r{count} of {total} scenes, {left:.0f} minutes to go ", end="\n" if count == total else "", file=sys.stderr, flush=True
    )


def table(rows: list[Row]) -> str:
    """In Markdown; an arrow where the new number is better by more than chance."""
    lines = [
        "| number | old | new | spread | error with old | with new | better by | error in | scenes |",
        "|---|---|---|---|---:|---:|---:|---|---:|",
    ]
    for row in rows:
        clear = " <-" if row.better > row.doubt > 0 else ""
        lines.append(
            f"| {row.name} | {shown(row.old)} | {shown(row.new)} | {shown(row.spread)} | {row.error_old:.3f} "
            f"| {row.error_new:.3f} | {row.better:+.3f} ± {row.doubt:.3f}{clear} | {row.error_unit} | {row.scenes} |"
        )
    return "\n".join(lines)


def shown(value: Value) -> str:
    """Four digits of each."""
    return ", ".join(f"{v:.4g}" for v in value) if isinstance(value, tuple) else f"{value:.4g}"


if __name__ == "__main__":
    main()
