"""The networks that there are to choose from: those that ship with bss, and those of others that it can call."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from bss.networks.denoiser import deepfilternet
from bss.networks.files import SHIPPED


@dataclass(frozen=True)
class Entry:
    """A network.

    Attributes
    ----------
    name : str
        What an option is given; of the built-in ones that of their kind.
    purpose : str
        What it is for, with the command.
    rate : int
        Hz that it works at.
    bytes : int or None
        Of its file; None where it is not on this machine.
    origin : str
        Who trained it on what, and its licence.
    installed : bool
        Whether it can be used.
    install : str
        How to get it.
    """

    name: str
    purpose: str
    rate: int
    bytes: int | None
    origin: str
    installed: bool = True
    install: str = ""


BUILT_IN = {
    "denoiser": ("bss denoise, bss unmix --denoise", 16_000, "built in, MIT; LibriSpeech, ESC-10, Moodist"),
    "source-model": ("bss unmix --method neural", 16_000, "built in, MIT; LibriSpeech"),
    "speech-score": ("whether a track is speech, in bss unmix", 16_000, "built in, MIT; LibriSpeech"),
}


def listed() -> list[Entry]:
    """All of them, those that ship first."""
    folder = resources.files("bss.networks") / "weights"
    found = []
    for file in SHIPPED:
        name = file.removesuffix(".safetensors")
        purpose, rate, origin = BUILT_IN[name]
        with resources.as_file(folder / file) as path:
            found.append(Entry(name, purpose, rate, path.stat().st_size, origin))
    return [*found, _deepfilternet()]


def _deepfilternet() -> Entry:
    here = deepfilternet.installed()
    return Entry(
        deepfilternet.NAME, f"bss denoise --model {deepfilternet.NAME}", deepfilternet.RATE,
        deepfilternet.weights_bytes() if here else None, "DeepFilterNet (H. Schröter et al.), MIT or Apache-2.0",
        here, f"pip install 'bss-toolkit[{deepfilternet.EXTRA}]'",
    )  # fmt: skip
