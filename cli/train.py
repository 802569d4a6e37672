"""`bss train`: networks trained on folders of speech, written to a file that bss can use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .support.common import SEED, THREADS, Number, OneOf, Output, command

KINDS = ("linear", "deep", "vae", "denoiser", "source-model")
CODED = ("linear", "deep", "vae")
# options that only some kinds have
KINDS_WITH = {
    "noise": ("denoiser",), "bottleneck": ("denoiser",), "start": ("denoiser",), "waveform": ("denoiser",),
    "licence": ("denoiser",),
    "scenes": ("source-model",), "codes": CODED,
    "sizes": ("deep", "vae"), "beta": ("vae",), "anneal": ("vae",),
}  # fmt: skip
UNITS = {
    "linear": "mean squared error", "deep": "mean squared error", "vae": "negative bound, nats per frame", "denoiser": "loss",
    "source-model": "error of the talker, dB",
}  # fmt: skip


@command("train")
@click.argument("kind", type=OneOf(KINDS))
@click.option("--speech", multiple=True, required=True, help="Folder of clean speech, with one folder per talker.")
@click.option("--noise", multiple=True, help="Folder of noises (denoiser); by default only synthetic ones.")
@click.option("-o", "--output", required=True, help="Name of the model, and of its learning curve (.csv, .png).")
@click.option("--minutes", type=Number(0, 1e6, above=True), default=None, help="End after so many minutes, instead of --steps.")
@click.option("--steps", type=click.IntRange(1, 10**9), default=None, help="End after so many steps [by kind].")
@click.option("--patience", type=click.IntRange(0, 10**6), default=10, show_default=True,
              help="End after so many validations in a row without improvement; 0: never.")  # fmt: skip
@click.option("--hold-out", multiple=True, help="Name of a talker or noise, or part of it, to leave out.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="The same data and seed give the same model.")
@click.option("--resume", is_flag=True, help="Continue an interrupted training.")
@click.option("--learning-rate", type=Number(0, 100, above=True), default=None, help="The highest learning rate [by kind].")
@click.option("--batch", "size", type=click.IntRange(1, 1 << 16), default=None, help="Examples in a step [by kind].")
@click.option("--codes", type=click.IntRange(1, 1 << 14), default=None, help="Size of the code (linear, deep, vae) [32].")
@click.option("--sizes", default=None, help="Sizes of the encoder's layers, such as 512,256 (deep, vae).")
@click.option("--beta", type=Number(0, 1e6), default=None, help="Weight of the KL divergence (vae) [1].")
@click.option("--anneal", type=click.IntRange(0, 10**9), default=None, help="Steps over which that weight rises (vae) [1000].")
@click.option(
    "--bottleneck", type=click.IntRange(0, 1 << 14), default=None, help="Size of a variational code (denoiser) [0: none]."
)
@click.option("--start", default=None, help="Model to start from, to adapt it to your noise (denoiser).")
@click.option("--waveform", type=Number(0, 1e6), default=None,
              help="Weight of the waveform error in dB (denoiser) [0.02].")  # fmt: skip
@click.option(
    "--scenes", type=click.IntRange(10, 10**6), default=None, help="Rooms to simulate for training (source-model) [200]."
)
@click.option("--licence", multiple=True, help="Licence and attribution of the data, for the model card (denoiser).")
@click.option("--device", type=OneOf(("auto", "cpu", "cuda")), default="auto", show_default=True, help="Where to compute.")
@click.option("--threads", type=THREADS, default=None, envvar="BSS_THREADS", help="Number of CPU threads [all].")
@click.option("--overwrite", "-y", is_flag=True, help="Replace an existing model, or an interrupted training.")
def train(out: Output, kind: str, output: str, **options: Any) -> None:
    """Train a network: linear, deep or vae (autoencoders of spectra), denoiser (for bss denoise), source-model (for bss unmix).

    Some of the talkers are used for validation only. --resume continues an interrupted training. Needs torch and matplotlib.

    \b
    Examples:
      bss train denoiser --speech speech/ --noise noises/ --minutes 15 -o my-denoiser
      bss train denoiser --speech speech/ --noise noises/ --minutes 15 -o my-denoiser --resume
      bss train vae --speech speech/ --codes 32 --steps 8000 -o vae32
      bss train source-model --speech speech/ --scenes 400 --minutes 60 -o my-source-model
    """
    from bss.report import curves

    chosen = _chosen(kind, options)
    place = _place(output, resume=options["resume"], overwrite=options["overwrite"])
    device = _check_installed(options["device"], options["threads"])
    with out.progress(f"training the {kind}") as bar:
        report = _training(kind)(
            speech=list(options["speech"]), out=place, device=device, progress=_shown(bar), **chosen, **_scene_progress(out, kind)
        )
    curves.draw(f"{place}.csv", f"{place}.png", title=f"{kind}: {report['steps']} steps", unit=UNITS[kind])
    out.say(f"{_in_words(kind, report)}; the training ended {report['ended']} ({report['seconds']:.0f} s)")
    if report.get("collapsed"):
        out.warn(f"{len(report['collapsed'])} of {report['codes']} dimensions of the code are unused (posterior collapse): "
                 "try a smaller --beta, a longer --anneal, or fewer --codes")  # fmt: skip
    also = {} if kind != "denoiser" else {"card": _write_card(place, report, options["licence"])}
    out.say(f"wrote {place}.safetensors, {place.name}.csv and {place.name}.png" + (f", and {place.name}.md" if also else ""))
    files = {"model": f"{place}.safetensors", "curve": f"{place}.csv", "picture": f"{place}.png", **also}
    out.emit({"kind": kind, **files, **report})


def _chosen(kind: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options for the training of this kind; UsageError for one that it does not have."""
    from bss.errors import UsageError

    for name, kinds in KINDS_WITH.items():
        if options[name] not in (None, ()) and kind not in kinds:
            raise UsageError(f"--{name} is not for {kind}", hint=f"bss train {' or '.join(kinds)}, or leave out --{name}")
    if options["steps"] is not None and options["minutes"] is not None:
        raise UsageError("--steps and --minutes both say when to end", hint="give one of them")
    names = (
        "seed", "minutes", "steps", "patience", "resume", "learning_rate", "size", "codes", "beta", "anneal", "bottleneck",
        "start", "waveform", "scenes",
    )  # fmt: skip
    chosen = {name: options[name] for name in names if options[name] is not None}
    chosen["hold_out"] = list(options["hold_out"])
    if options["sizes"] is not None:
        chosen["sizes"] = _sizes(options["sizes"])
    if kind == "denoiser":
        chosen["noise"] = list(options["noise"])
    return chosen


def _sizes(text: str) -> tuple[int, ...]:
    from bss.errors import UsageError

    parts = text.split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"--sizes {text} is not a list of sizes", hint="numbers separated by commas, such as 512,256")
    return tuple(int(part) for part in parts)


def _place(output: str, *, resume: bool, overwrite: bool) -> Path:
    """Path of the model without its ending; InputError if something would be overwritten."""
    from bss.errors import InputError, UsageError

    name = output.removesuffix(".safetensors")
    if not name or name.endswith(("/", "\\")) or Path(name).is_dir():
        raise UsageError(f"-o {output!r} is not a file name for the model", hint="-o models/mine")
    place = Path(name)
    if resume or overwrite:
        return place
    if Path(f"{name}.training").exists() or Path(f"{name}.scenes").exists():
        raise InputError(f"an earlier training of {name} was interrupted", hint="--resume continues it, --overwrite starts again")
    for ending in ("safetensors", "csv", "png"):
        if Path(f"{name}.{ending}").exists():
            raise InputError(f"{name}.{ending} exists", hint="another name, or --overwrite")
    return place


def _check_installed(device: str, threads: int | None) -> str:
    """The device, once it is known that everything a training needs is installed."""
    from importlib.util import find_spec

    from bss.errors import InputError

    for package in ("torch", "matplotlib"):
        if find_spec(package) is None:
            raise InputError(f"{package} is not installed", "training needs it", "pip install 'bss-toolkit[torch]'")
    from bss.networks.training import device_for

    return device_for(device, threads)


def _training(kind: str) -> Callable[..., dict[str, Any]]:
    if kind == "denoiser":
        from bss.networks.denoiser.training import train_denoiser

        return train_denoiser
    if kind == "source-model":
        from bss.pipeline.training.source_model import train_source_model

        return train_source_model
    from bss.networks.autoencoder import training as autoencoder_training

    training: Callable[..., dict[str, Any]] = getattr(autoencoder_training, f"train_{kind}")
    return training


def _write_card(place: Path, report: dict[str, Any], licences: tuple[str, ...]) -> str:
    """Beside the model, what it was trained on and how well it does."""
    from bss.networks.denoiser.card import card

    path = place.with_name(f"{place.name}.md")
    path.write_text(card(place.name, report, licences), encoding="utf-8")
    return str(path)


def _shown(bar: Callable[[float], None]) -> Callable[[float, dict[str, float]], None]:
    return lambda share, row: bar(share)


def _scene_progress(out: Output, kind: str) -> dict[str, Any]:
    """For the source model: the progress of its scenes in words, as the bar shows that of the training."""
    if kind != "source-model":
        return {}
    tenths = 0

    def simulated(share: float) -> None:
        nonlocal tenths
        if int(10 * share) > tenths:
            tenths = int(10 * share)
            out.say(f"simulating and separating scenes: {10 * tenths} % done")

    return {"simulated": simulated}


def _in_words(kind: str, report: dict[str, Any]) -> str:
    """The result of the best validation."""
    if kind == "source-model":
        return (
            f"error {report['validation_db']:.2f} dB on the validation talkers ({report['before_db']:.2f} dB without the model)"
        )
    if kind == "denoiser":
        return f"loss {report['validation']:.4f} on the validation talkers"
    error = f"RMS error {report['error_db']:.2f} dB on the validation talkers"
    if kind != "vae":
        return error
    return f"{error}, {report['active']} of {report['codes']} dimensions of the code in use, bound {report['elbo']:.1f} nats"
