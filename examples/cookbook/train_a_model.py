"""Training a model: what 16 numbers keep of a frame of speech, learned in seconds from seven voices, tested on an eighth.

    python examples/cookbook/train_a_model.py

On the command line: `bss train linear --speech speech --codes 16 -o model`. `bss train denoiser` and `bss train source-model`
make models for `bss denoise --weights` and `bss unmix --weights`; they take hours of speech. Needs the extra `torch`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import torch

import bss
from bss.networks.autoencoder import training

VOICES = Path(__file__).resolve().parents[2] / "fixtures/voices"
OTHER = "helena"  # not trained on


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for voice in VOICES.glob("*.flac"):
            if voice.stem != OTHER:  # a folder for each talker, as trainings want it: some are kept for validation
                (folder / "speech" / voice.stem).mkdir(parents=True)
                shutil.copy(voice, folder / "speech" / voice.stem)

        report = training.train_linear([folder / "speech"], folder / "model", codes=16, steps=600, size=128)

        trained = training.load(folder / "model.safetensors")
    x, _ = bss.read([VOICES / f"{OTHER}.flac"])
    rows = torch.from_numpy(trained.features.rows(x[0]))  # (T, D), levels in dB: a row for each frame
    with torch.inference_mode():
        again = trained.model.reconstruct(rows)
    left = float(((rows - again) ** 2).sum() / ((rows - rows.mean(0)) ** 2).sum())
    print(f"{report['steps']} steps in {report['seconds']:.1f} s, on {report['talkers']} talkers")
    print(f"{rows.shape[1]} levels of a frame became {report['codes']} numbers")
    print(f"explained: {100 * (1 - left):.1f} % of the variance of a voice that was not trained on")


if __name__ == "__main__":
    main()
