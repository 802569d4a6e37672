"""`bss mix`: simulated recordings with known sources."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .common import Output, command

if TYPE_CHECKING:
    from bss.scenes.recipe import Recipe

# options that --scene takes from its file
FROM_SCENE = {
    "n_mics": "--mics", "talkers": "--talkers", "rt60": "--rt60", "room": "--room", "snr_db": "--snr", "spacing": "--spacing",
    "levels_db": "--levels", "seconds": "--seconds", "rate": "--rate", "instantaneous": "--instantaneous", "seed": "--seed",
}  # fmt: skip


@command("mix")
@click.argument("voices", nargs=-1)
@click.option("-o", "--output", default="mixed", show_default=True, help="Folder for the scene.")
@click.option("--mics", "n_mics", type=click.IntRange(1, 256), default=2, show_default=True, help="Number of microphones.")
@click.option("--talkers", "--sources", type=click.IntRange(1), default=None,
              help="Number of talkers, drawn at random [all named files; from a folder one per microphone].")  # fmt: skip
@click.option("--rt60", type=float, default=0.3, show_default=True, help="Reverberation time RT60 in seconds; 0: no echo.")
@click.option("--room", default="6x5x3", show_default=True, help="Length x width x height in metres.")
@click.option("--snr", "snr_db", type=float, default=30.0, show_default=True, help="Signal-to-noise ratio in dB; inf: no noise.")
@click.option(
    "--spacing", type=float, default=0.05, show_default=True, help="Distance between neighbouring microphones in metres."
)
@click.option("--levels", "levels_db", default=None, help="Level of each talker at microphone 1 in dB, such as 0,-3 [all equal].")
@click.option("--seconds", type=float, default=None, help="Length; shorter voices are repeated [that of the longest voice].")
@click.option("--rate", type=click.IntRange(1000, 768_000), default=None, help="Sample rate in Hz [that of the first voice].")
@click.option("--instantaneous", is_flag=True, help="Simulate a mixing desk instead of a room: no delays, no echo.")
@click.option(
    "--seed",
    type=click.IntRange(0),
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
    truth/NAME.wav (the image of that talker at every microphone), and scene.json, which reproduces the scene byte for byte.

    \b
    Examples:
      bss mix anna.wav ben.wav -o scene/
      bss mix voices/ --mics 4 --rt60 0.5 --room 8x6x3 --snr 20 -o hall/
      bss mix --scene scene/scene.json -o again/
    """
    from bss.errors import UsageError
    from bss.scenes import recipe as recipes
    from bss.scenes.scene import scene_folder
    from bss.signals.paths import expand

    if output == "-":
        raise UsageError("-o - means stdout, but there are several files to write", hint="a folder")
    if scene is not None:
        _refuse_options_of_scene()
        recipe = recipes.load(scene, expand(voices) if voices else ())
    elif voices:
        recipe = _new_recipe(out, voices, options)
    else:
        raise UsageError("there are no voices", hint="bss mix anna.wav ben.wav -o scene/, or --scene scene.json")
    names, inputs = [voice.name for voice in recipe.voices], [voice.file for voice in recipe.voices]
    n_mics = recipe.options["n_mics"]
    with scene_folder(Path(output), names, n_mics, inputs=inputs, overwrite=overwrite) as write:
        made, notes = recipe.make()
        files = write(made)
    for note in notes:
        out.warn(note)
    _report(out, made.info, made.rate, Path(output), notes, files)


def _refuse_options_of_scene() -> None:
    from bss.errors import UsageError

    context = click.get_current_context()
    used = [
        option for name, option in FROM_SCENE.items()
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    ]  # fmt: skip
    if used:
        why = "the scene.json determines it" if len(used) == 1 else "the scene.json determines them"
        raise UsageError(
            f"{', '.join(used)} cannot be combined with --scene", why, "--scene alone, or the voices without --scene"
        )


def _new_recipe(out: Output, voices: tuple[str, ...], options: dict[str, Any]) -> Recipe:
    from bss.scenes import recipe as recipes
    from bss.signals.paths import expand

    files = expand(voices)
    talkers, n_mics, seed = options.pop("talkers"), options["n_mics"], options.pop("seed")
    if talkers is None and not all(os.path.isfile(voice) for voice in voices):
        talkers = min(len(files), n_mics)
        if talkers < len(files):
            out.say(f"using {talkers} of {len(files)} voices, one per microphone (--talkers {len(files)} uses all)")
    chosen = files if talkers is None else recipes.draw(files, talkers, seed)
    if len(chosen) > n_mics:
        out.warn(f"with more talkers ({len(chosen)}) than microphones ({n_mics}), separation is much harder")
    options["room"] = _numbers("--room", options["room"], "x", "6x5x3")
    if options["levels_db"] is not None:
        options["levels_db"] = _numbers("--levels", options["levels_db"], ",", "0,-3")
    return recipes.from_voices(chosen, options.pop("rate"), rng=seed, **options)


def _numbers(option: str, text: str, separator: str, example: str) -> list[float]:
    from bss.errors import UsageError

    try:
        return [float(word) for word in text.lower().split(separator)]
    except ValueError:
        raise UsageError(f"{option} {text} is invalid", f"expected numbers separated by {separator!r}", example) from None


def _report(out: Output, info: dict[str, Any], rate: int, folder: Path, notes: list[str], files: list[Path]) -> None:
    import shlex

    options = info["options"]
    names = [voice["name"] for voice in info["voices"]]
    n_mics = options["n_mics"]
    counts = f"{_count(len(names), 'talker')} ({', '.join(names)}), {_count(n_mics, 'microphone')}"
    out.say(f"{counts}, {info['samples'] / rate:.2f} s at {rate} Hz")
    if options["instantaneous"]:
        out.say(f"mixing desk, condition number {info['condition']:.2g}")
    else:
        measured = info["rt60_measured"]
        size = "x".join(f"{side:g}" for side in options["room"])
        out.say(f"room of {size} m, reverberation time {sum(measured) / len(measured):.2f} s ({options['rt60']:g} s requested)")
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


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}" if n == 1 else f"{n} {thing}s"
