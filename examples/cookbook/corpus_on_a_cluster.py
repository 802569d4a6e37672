"""A corpus on a Dask cluster: many recordings, a worker for each, and one that is broken does not stop the others.

    python examples/cookbook/corpus_on_a_cluster.py

The cluster is on this machine; `Client("tcp://...")` takes any other. On the command line: `bss batch corpus/* -o out`, with
`--scheduler` for a cluster. Needs the extra `batch`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from distributed import Client, LocalCluster

import bss

VOICES = Path(__file__).resolve().parents[2] / "fixtures/voices"
RATE = 16_000


def corpus(folder: Path, count: int) -> list[bss.Scene]:
    """`count` recordings of two people at a mixing desk, below folder/corpus, and one that cannot be separated."""
    names = sorted(VOICES.glob("*.flac"))
    voices = [bss.read([name])[0][0, : 4 * RATE] for name in names]
    scenes = [bss.mix(voices[k : k + 2], RATE, instantaneous=True, rng=k) for k in range(count)]
    for k, scene in enumerate(scenes):
        scene.save(folder / f"scenes/{k + 1}")
        bss.write(folder / f"corpus/recording{k + 1}/mics.wav", scene.mixture, RATE)
    bss.write(folder / "corpus/broken/mics.wav", scenes[0].mixture[:1], RATE)  # of one microphone
    return scenes


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as place,
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        folder = Path(place)
        scenes = corpus(folder, 4)

        batch = bss.batch.run(
            folder / "corpus", folder / "out", client=client, options={"n_sources": 2},
            on_done=lambda outcome: print(f"{outcome.recording}: {outcome.state}"),
        )  # fmt: skip

        for outcome in batch.of("failed"):
            print(f"{outcome.recording} failed: {outcome.failure and outcome.failure.what}")
        gains = []
        for k, scene in enumerate(scenes):
            y, _ = bss.read([folder / f"out/recording{k + 1}/source{n}.wav" for n in (1, 2)])
            gains.append(bss.score(scene.images[:, 0], y, mixture=scene.mixture).mean["si_sdr_improvement"])
    print(f"done: {len(batch.of('done'))} of {len(batch.outcomes)}, exit code {batch.exit_code}")
    print(f"worst gain: {min(gains):.1f} dB")


if __name__ == "__main__":  # as each worker loads this script
    main()
