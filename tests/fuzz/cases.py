"""A case is a kind and a seed. As a script: many of them, or one again.

python tests/fuzz/cases.py --n 10000 [--seed 0] [--only arrays]     many; failures are printed as what repeats them
python tests/fuzz/cases.py arrays 4711                              one
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np  # noqa: E402
from contract import working_in  # noqa: E402

KINDS = ("arrays", "commands", "audio", "scene", "tensors")
SHARES = {"arrays": 0.5, "commands": 0.2, "audio": 0.15, "scene": 0.08, "tensors": 0.07}


def runner(kind: str) -> Callable[[np.random.Generator, Path], str]:
    """The function that makes and runs a case of this kind."""
    import arrays
    import commands
    import files

    return {"arrays": arrays.run, "commands": commands.run, "audio": files.audio, "scene": files.scene, "tensors": files.tensors}[
        kind
    ]


def run(kind: str, seed: int) -> str:
    """One case in a folder of its own; `contract.Broken`, or whatever came through, if it fails."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        with working_in(folder):  # a case may name files without saying where
            return runner(kind)(np.random.default_rng((KINDS.index(kind), seed)), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def again(kind: str, seed: int) -> str:
    """The command that repeats a case."""
    return f".venv/bin/python tests/fuzz/cases.py {kind} {seed}"


def failures(kind: str, seeds: Iterable[int]) -> list[str]:
    """What failed, each with the command that repeats it."""
    found = []
    for seed in seeds:
        try:
            run(kind, seed)
        except Exception as error:  # noqa: BLE001 - anything that comes through is what is looked for
            found.append(f"{again(kind, seed)}   # {type(error).__name__}: {str(error)[:300]}")
            print(found[-1], flush=True)
    return found


def many(n: int, seed: int, kinds: Iterable[str]) -> int:
    """Run about n cases and print what failed; how many failed."""
    shares = {kind: SHARES[kind] for kind in kinds}
    total, failed = Counter[str](), 0
    for kind, share in shares.items():
        count = max(1, round(n * share / sum(shares.values())))
        began = time.monotonic()
        found = failures(kind, range(seed, seed + count))
        total[kind] += count
        failed += len(found)
        print(f"{kind}: {count} cases, {len(found)} failed, {time.monotonic() - began:.0f} s", flush=True)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", choices=KINDS)
    parser.add_argument("which", nargs="?", type=int, default=0, help="the seed of the one case")
    parser.add_argument("--n", type=int, default=2000, help="cases")
    parser.add_argument("--seed", type=int, default=0, help="of the first case of each kind")
    parser.add_argument("--only", choices=KINDS, help="one kind")
    parser.add_argument(
        "--double", action="store_true", help="solvers in double precision, too, which takes minutes of compiling"
    )
    a = parser.parse_args()
    if a.double:
        import arrays

        arrays.DOUBLE = True
    if a.kind is None:
        return 1 if many(a.n, a.seed, [a.only] if a.only else KINDS) else 0
    try:
        print(run(a.kind, a.which))
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
