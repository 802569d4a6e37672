"""`bss mix`: simulated recordings with known sources."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import click

from bss.errors import UsageError

from .support import mix_options
from .support.common import SEED, Number, Output, command

# options that --scene takes from its file
FROM_SCENE = {
    "n_mics": "--mics", "talkers": "--talkers", "rt60": "--rt60", "room": "--room", "snr_db": "--snr", "spacing": "--spacing",
    "levels_db": "--levels", "seconds": "--seconds", "rate": "--rate", "instantaneous": "--instantaneous", "seed": "--seed",
    "rir": "--rir", "noise": "--noise", "noise_snr_db": "--noise-snr", "babble": "--babble", "move": "--move", "join": "--join",
    "conversation": "--conversation",
    **{name: f"--{name}" for name in ("offset", "drift", "gap", "dropout", "hum", "agc")},
}  # fmt: skip


@command("mix")
@click.argument("voices", nargs=-1)
@click.option("-o", "--output", default="mixed", show_default=True, help="Folder for the scene.")
@click.option("--mics", "n_mics", type=click.IntRange(1, 256), default=2, show_default=True, help="Number of microphones.")
@click.option("--talkers", "--sources", type=click.IntRange(1, 256), default=None,
              help="Number of talkers, drawn at random [all named files; from a folder one per microphone].")  # fmt: skip
@click.option(
    "--rt60", type=Number(0, 1000), default=0.3, show_default=True, help="Reverberation time RT60 in seconds; 0: no echo."
)
@click.option("--room", default="6x5x3", show_default=True, help="Length x width x height in metres.")
@click.option(
    "--snr",
    "snr_db",
    type=Number(-100, 300, infinite=True),
    default=30.0,
    show_default=True,
    help="Signal-to-noise ratio in dB; inf: no noise.",
)
@click.option(
    "--spacing",
    type=Number(0.001, 100),
    default=0.05,
    show_default=True,
    help="Distance between neighbouring microphones in metres.",
)
@click.option("--levels", "levels_db", default=None, help="Level of each talker at microphone 1 in dB, such as 0,-3 [all equal].")
@click.option(
    "--seconds", type=Number(0.01, 86_400), default=None, help="Length; shorter voices are repeated [that of the longest voice]."
)
@click.option("--rate", type=click.IntRange(1000, 768_000), default=None, help="Sample rate in Hz [that of the first voice].")
@click.option("--instantaneous", is_flag=True, help="Simulate a mixing desk instead of a room: no delays, no echo.")
@click.option("--rir", multiple=True, metavar="FILES",
              help="Measured impulse responses instead of a room: a file per place, a channel per microphone.")  # fmt: skip
@click.option("--noise", multiple=True, metavar="FILES", help="Sounds that are no talkers, each from a place of its own.")
@click.option("--babble", type=click.IntRange(1, 256), default=None, metavar="N",
              help="As noise, N more voices all around, drawn from those of VOICES that are no talkers.")  # fmt: skip
@click.option("--noise-snr", "noise_snr_db", type=Number(-100, 100), default=5.0, show_default=True, metavar="DB",
              help="Level of all talkers relative to --noise and --babble.")  # fmt: skip
@click.option(
    "--conversation", type=Number(0.1, 3600), default=None, metavar="SECONDS", help="Talkers take turns of about this length."
)
@click.option("--join", multiple=True, metavar="TALKER@TIME[-TIME]",
              help="The talker is there from TIME on, or for this span.")  # fmt: skip
@click.option("--move", multiple=True, metavar="TALKER:DEGREES[@TIME[-TIME]]",
              help="The talker walks so far around the microphones [over the whole recording].")  # fmt: skip
@click.option("--offset", multiple=True, metavar="[MIC:]SECONDS",
              help="Microphone MIC starts later (-: earlier) than the first; without MIC all do, by up to so much.")  # fmt: skip
@click.option("--drift", multiple=True, metavar="[MIC:]PPM[@TIME]",
              help="Its clock is so many parts per million fast (-: slow), from TIME on; without MIC all are off by up to so"
                   " many.")  # fmt: skip
@click.option("--gap", multiple=True, metavar="MIC:SECONDS[@TIME]",
              help="Its file lacks so much, or repeats it (-) [in the middle].")  # fmt: skip
@click.option("--dropout", multiple=True, metavar="MIC[@TIME[-TIME]]",
              help="It is silent from TIME [the middle] on, or for this span.")  # fmt: skip
@click.option("--hum", multiple=True, metavar="MIC[:HERTZ]", help="It hears no talker, only mains hum [50 Hz] and noise.")
@click.option("--agc", multiple=True, metavar="MIC", help="It is no microphone, but a mix of the others with automatic gain.")
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="Random seed; the same voices and seed give the same bytes.",
)
@click.option("--scene", type=click.Path(path_type=Path), default=None,
              help="Reproduce the scene of this scene.json; VOICES: where to look for voices that were moved.")  # fmt: skip
@click.option("--overwrite", "-y", is_flag=True, help="Replace an existing scene.")
def mix(out: Output, voices: tuple[str, ...], output: str, scene: Path | None, overwrite: bool, **options: Any) -> None:
    """Simulate a recording of several talkers with several microphones in a room, with ground truth.

    VOICES are clean recordings of one talker each: files, or folders of them. Writes mics/mic1.wav ... (the recording),
    truth/NAME.wav (the image of that talker at every microphone, free of faults and in the time of the first), and scene.json,
    which reproduces the scene byte for byte. Times are in seconds, microphones and talkers count from 1, and options that name
    one may be given several times. What is added leaves the rest of the scene as it is with the same seed.

    \b
    Examples:
      bss mix anna.wav ben.wav -o scene/
      bss mix voices/ --mics 4 --rt60 0.5 --room 8x6x3 --snr 20 -o hall/
      bss mix voices/ --noise fan.wav --babble 4 --noise-snr 10 --conversation 4 --seconds 60 -o cafe/
      bss mix anna.wav ben.wav --move 1:70@5-15 --join 2@8 -o walking/
      bss mix anna.wav ben.wav --mics 4 --offset 2 --drift 80 --gap 3:0.01@10 --dropout 4@12 -o phones/
      bss mix anna.wav ben.wav --rir responses/ --mics 4 -o measured/
      bss mix --scene scene/scene.json -o again/
    """
    from bss.scenes import recipe as recipes
    from bss.signals.files.paths import expand

    if output == "-":
        raise UsageError("-o - means stdout, but there are several files to write", hint="a folder")
    if scene is not None:
        _refuse_options_of_scene()
        recipe = recipes.load(scene, expand(voices) if voices else ())
    elif voices:
        recipe = recipes.from_voices(**ingredients(out, voices, options))
    else:
        raise UsageError("there are no voices", hint="bss mix anna.wav ben.wav -o scene/, or --scene scene.json")
    made, notes, files = recipe.write(Path(output), overwrite=overwrite)
    for note in notes:
        out.warn(note)
    _report(out, made.info, made.rate, Path(output), notes, files)


def _refuse_options_of_scene() -> None:
    used = [option for name, option in FROM_SCENE.items() if _given(name)]
    if used:
        why = "the scene.json determines it" if len(used) == 1 else "the scene.json determines them"
        raise UsageError(
            f"{', '.join(used)} cannot be combined with --scene", why, "--scene alone, or the voices without --scene"
        )


def ingredients(out: Output, voices: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `recipes.from_voices` for voices and the options of the command, which are used up."""
    from bss.scenes import recipe as recipes
    from bss.signals.files.paths import expand

    files = expand(voices)
    options["faults"], options["behaviour"] = mix_options.faults(options), mix_options.behaviour(options)
    responses = expand(options.pop("rir")) if options["rir"] else options.pop("rir")
    if responses and not _given("n_mics"):
        options["n_mics"] = recipes.channels_of(responses[0])
    talkers, n_mics, seed = options.pop("talkers"), options["n_mics"], options.pop("seed")
    if talkers is None and not all(os.path.isfile(voice) for voice in voices):
        talkers = min(len(files), n_mics)
        if talkers < len(files):
            out.say(f"using {talkers} of {len(files)} voices, one per microphone (--talkers {len(files)} uses all)")
    chosen = files if talkers is None else recipes.draw(files, talkers, seed)
    if len(chosen) > n_mics:
        out.warn(f"with more talkers ({len(chosen)}) than microphones ({n_mics}), separation is much harder")
    noises = [*(expand(options["noise"]) if options["noise"] else ()), *_babble(files, chosen, options.pop("babble"), seed)]
    del options["noise"]
    if _given("noise_snr_db") and not noises:
        raise UsageError("--noise-snr is of no use without noise", hint="--noise FILES, --babble N, or --snr for the microphones")
    if responses:
        responses = recipes.draw_places(responses, len(chosen) + len(noises), seed)
    options["room"] = _numbers("--room", options["room"], "x", "6x5x3")
    if options["levels_db"] is not None:
        options["levels_db"] = _numbers("--levels", options["levels_db"], ",", "0,-3")
    return {"files": chosen, "noises": noises, "responses": responses, "rng": seed, **options}


def _babble(files: list[Path], talkers: list[Path], count: int | None, seed: int) -> list[Path]:
    """Voices that are no talkers, at random; some several times, from different moments on, if there are not enough."""
    from bss.scenes.recipe import draw

    others = [file for file in files if file not in talkers]
    if count is None:
        return []
    if not others:
        raise UsageError(
            "there are no voices for --babble", "all of them are talkers", f"more voices, or --talkers {max(1, len(files) - 1)}"
        )
    return [
        file for first in range(0, count, len(others)) for file in draw(others, min(len(others), count - first), seed + first)
    ]


def _given(name: str) -> bool:
    return click.get_current_context().get_parameter_source(name) is not click.core.ParameterSource.DEFAULT


def _numbers(option: str, text: str, separator: str, example: str) -> list[float]:
    try:
        numbers = [float(word) for word in text.lower().split(separator)]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise UsageError(f"{option} {text} is invalid", f"expected numbers separated by {separator!r}", example)
    return numbers


def _report(out: Output, info: dict[str, Any], rate: int, folder: Path, notes: list[str], files: list[Path]) -> None:
    import shlex

    from bss.scenes.description import description

    for line in description(info, rate):
        out.say(line)
    names, n_mics = [voice["name"] for voice in info["voices"]], info["options"]["n_mics"]
    for k, place in enumerate(info.get("talkers", ())):
        out.detail(f"{names[k]} at {place} m")
    for k, place in enumerate(info.get("mics", ())):
        out.detail(f"mic{k + 1} at {place} m")
    out.say(f"wrote {folder / 'mics'}, {folder / 'truth'} and {folder / 'scene.json'}")
    if 1 < n_mics >= len(names):  # with more talkers than microphones, linear methods cannot separate them
        mics, truth = shlex.quote(str(folder / "mics")), shlex.quote(str(folder / "truth"))
        fewer = f" --sources {len(names)}" if len(names) < n_mics else ""
        out.say(f"next: bss unmix {mics} -o sources{fewer}")
        out.say(f"then: bss score {truth} sources --mixture {mics}")
    out.emit({"folder": folder, "files": files, "rate": rate, **info, "warnings": notes})
