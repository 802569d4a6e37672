"""The model card of a denoiser that was trained: what it learned from, under which licences, and how well it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from bss.networks.denoiser.mixing import Mixing, Sounds, batch

SNRS_DB = (0.0, 5.0, 10.0, 15.0)
SCORED_STEP = (1 << 40) + 1000  # what is scored is drawn as a step is that neither training nor validation reaches
EXAMPLES = 32


def scores(model: nn.Module, speech: Sounds, noise: Sounds | None, *, seed: int, samples: int) -> dict[str, list[float]]:
    """SI-SDR in dB of noisy speech, and of what the model makes of it, at each SNR in dB: means over `EXAMPLES`."""
    found = {}
    for k, snr in enumerate(SNRS_DB):
        options = Mixing(samples=samples, snr_db=(snr, snr), clean=0.0, wordless=0.0)
        noisy, clean = batch(speech, noise, SCORED_STEP + k, seed=seed, size=EXAMPLES, options=options)
        found[f"{snr:g}"] = [round(float(si_sdr(clean, heard).mean()), 2) for heard in (noisy, model(noisy))]
    return found


def si_sdr(clean: Tensor, heard: Tensor) -> Tensor:
    """(B,) dB."""
    part = (heard * clean).sum(1, keepdim=True) / clean.square().sum(1, keepdim=True).clamp_min(1e-12) * clean
    return 10 * ((part.square().sum(1) + 1e-12) / ((heard - part).square().sum(1) + 1e-12)).log10()


def card(name: str, report: Mapping[str, Any], licences: Sequence[str]) -> str:
    """The card, as Markdown; `report` is that of `train_denoiser`."""
    noises = ", ".join(report["noises"]) or "synthetic ones only"
    rows = "\n".join(f"| {snr} dB | {noisy:.1f} | {after:.1f} |" for snr, (noisy, after) in report["scores"].items())
    return f"""# Model card: {name}

`{name}.safetensors` takes noise out of speech: `bss denoise --model {name}.safetensors`.

## Data

- Speech: {report["speech_seconds"] / 3600:.2f} hours of {report["talkers"]} talkers,
  and {report["validation_talkers"]} others for validation.
- Noise: {noises}; coloured noise, hum, clicks and babble are synthetic.
- Left out of training: {", ".join(report["held_out"]) or "nothing"}.
- Licences: {"; ".join(licences) or "not stated (--licence)"}.

## Training

{report["steps"]} steps, {report["mixed_seconds"] / 3600:.1f} hours of mixtures, in {report["seconds"] / 60:.0f} minutes, from
{report["start"] or "random weights"}, seed {report["seed"]}. Loss on the validation talkers: {report["validation"]:.4f}.

## Scores

SI-SDR in dB on the validation talkers, in noise of the kinds it was trained with; the network by itself:

| SNR | noisy | denoised |
|---|---:|---:|
{rows}
"""
