"""The autoencoders beside what linear algebra can do: python benchmarks/autoencoders.py --speech DIR

The linear one against PCA with as many components, on frames of speech and on scikit-learn's digits: error (per cent above
that of PCA, on the rows that both learned from and on others; the digits are all learned from) and the largest principal angle
between the two planes. The variational one against probabilistic PCA (Tipping and Bishop 1999), whose log-likelihood is exact
while a VAE has a bound from below: nats per row of talkers that nothing was learned from, and how many codes say something.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from bss.networks.autoencoder import training
from bss.networks.autoencoder.features import FeatureConfig, Features
from bss.networks.autoencoder.model import Autoencoder, LinearConfig, VAEConfig
from bss.networks.autoencoder.training import Data, Training


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speech", nargs="+", required=True, help="folders with one folder per talker")
    parser.add_argument("--codes", nargs="+", type=int, default=[8, 16, 32, 64], help="of the variational ones")
    parser.add_argument("--steps", type=int, default=8000, help="of the variational ones")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    speech = training.read(options.speech, seed=options.seed)
    print(f"speech: {speech.report}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model"
        print(
            "| 32 codes | error above PCA's, learned rows | other rows | largest angle | SGD steps |\n|---|---:|---:|---:|---:|"
        )
        for name, data in (("frames of speech", speech), ("digits", digits(options.seed))):
            linear(name, data, out, options.seed)
        print("\n| codes | VAE, bound | PPCA | active codes | RMS error | of PCA |\n|---:|---:|---:|---:|---:|---:|")
        for codes in options.codes:
            variational(codes, speech, out, options)


def digits(seed: int) -> Data:
    """The 1797 digits of 8 x 8 pixels. All tell when the training was best: a few would choose weights that fit just those."""
    from sklearn.datasets import load_digits

    rows = load_digits().data.astype(np.float32)
    rows = rows[np.random.default_rng(seed).permutation(len(rows))]
    config = FeatureConfig(n_fft=2 * rows.shape[1] - 2, hop=rows.shape[1] - 1)
    features = Features(config, rows.mean(0), float(rows.std()))
    table = features.normalised(rows)
    return Data(table, table, features, {"rows": len(rows)})


def linear(name: str, data: Data, out: Path, seed: int) -> None:
    """A row of the first table."""
    plane = principal(data.learned)[1][:, :32]
    report = training.fit(
        LinearConfig(data.learned.shape[1], 32),
        data,
        out,
        Training(seed=seed, learning_rate=0.8, size=4096, steps=6000, patience=0),
    )
    model = training.load(f"{out}.safetensors").model
    found, _ = np.linalg.qr(model.decode(torch.eye(32)).detach().numpy().T.astype(np.float64))
    angle = np.degrees(np.arccos(np.clip(np.linalg.svd(plane.T @ found)[1], -1, 1))).max()
    above = [100 * (error(model, rows) / flat_error(plane, rows) - 1) for rows in (data.learned, data.kept)]
    print(f"| {name} | {above[0]:.3f} % | {above[1]:.3f} % | {angle:.2f} degrees | {report['steps']} |", flush=True)


def variational(codes: int, data: Data, out: Path, options: argparse.Namespace) -> None:
    """A row of the second table."""
    training_options = Training(seed=options.seed, steps=options.steps, patience=0)
    report = training.fit(VAEConfig(data.learned.shape[1], codes), data, out, training_options)
    model = training.load(f"{out}.safetensors").model
    scale, plane = data.features.scale, principal(data.learned)[1][:, :codes]
    print(
        f"| {codes} | {report['elbo']:.1f} | {ppca(data, codes):.1f} | {report['active']} of {codes} | "
        f"{scale * error(model, data.kept) ** 0.5:.2f} dB | {scale * flat_error(plane, data.kept) ** 0.5:.2f} dB |", flush=True
    )  # fmt: skip


def principal(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances and directions (D, D) of rows (R, D), the largest first."""
    C = np.zeros((rows.shape[1],) * 2)
    for part in np.array_split(rows, 1 + len(rows) // 10_000):
        C += part.T.astype(np.float64) @ part
    variances, directions = np.linalg.eigh(C / len(rows))
    return variances[::-1], directions[:, ::-1]


def ppca(data: Data, codes: int) -> float:
    """Log-likelihood of the kept rows, nats per row: a Gaussian with `codes` directions, and one variance for the rest."""
    variances, directions = principal(data.learned)
    rest = variances[codes:].mean()
    spread = np.concatenate((variances[:codes], np.full(len(variances) - codes, rest)))
    z = data.kept.astype(np.float64) @ directions
    return float(-0.5 * (np.log(2 * np.pi * spread).sum() + (z**2 / spread).sum(1).mean()))


def error(model: Autoencoder, rows: np.ndarray) -> float:
    """Mean squared error of rows through the model and back."""
    total = 0.0
    with torch.inference_mode():
        for part in np.array_split(rows, 1 + len(rows) // 10_000):
            x = torch.from_numpy(part)
            total += float((model.reconstruct(x) - x).double().square().sum())
    return total / rows.size


def flat_error(plane: np.ndarray, rows: np.ndarray) -> float:
    """The same of rows projected onto a plane (D, K)."""
    total = 0.0
    for part in np.array_split(rows, 1 + len(rows) // 10_000):
        x = part.astype(np.float64)
        total += float(np.square(x - x @ plane @ plane.T).sum())
    return total / rows.size


if __name__ == "__main__":
    main()
