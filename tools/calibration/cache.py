"""Scenes are measured once: by all processors, each into a file of its own, so that a run that was ended goes on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np

import bss
from calibration.measures import Arrays, measure
from calibration.scenes import Sources

Job = tuple[str, int]  # a group and the number of a scene


def place(cache: Path, sources: Sources) -> Path:
    """The folder of scenes of these sources, separated by the code as it is now: another code, another folder."""
    code = hashlib.sha256()
    here = [Path(__file__).with_name(name) for name in ("inside.py", "measures.py", "scenes.py")]
    for file in [*sorted(Path(bss.__file__).parent.rglob("*.py")), *here]:
        code.update(file.read_bytes())
    code.update(json.dumps(dataclasses.asdict(sources)).encode())
    return cache / code.hexdigest()[:12]


def measured(folder: Path, jobs: Iterable[Job], sources: Sources, *, processes: int, done: Callable[[int, int], None]) -> None:
    """Measure all scenes that the folder does not hold yet."""
    missing = [job for job in jobs if not file_of(folder, job).is_file()]
    folder.mkdir(parents=True, exist_ok=True)
    if processes == 1:
        for count, job in enumerate(missing, 1):
            _keep(folder, job, sources)
            done(count, len(missing))
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(_keep, folder, job, sources) for job in missing]
        try:
            for count, future in enumerate(as_completed(running), 1):
                future.result()
                done(count, len(missing))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def held(folder: Path, group: str, count: int) -> list[Arrays]:
    """What was measured of the first `count` scenes of a group."""
    scenes = []
    for k in range(count):
        with np.load(file_of(folder, (group, k))) as arrays:
            scenes.append(dict(arrays))
    return scenes


def file_of(folder: Path, job: Job) -> Path:
    """Where scene k of a group is kept."""
    return folder / f"{job[0]}-{job[1]}.npz"


def _keep(folder: Path, job: Job, sources: Sources) -> None:
    arrays = measure(*job, sources)
    unfinished = folder / f".{job[0]}-{job[1]}.part"
    with open(unfinished, "wb") as file:
        np.savez(file, **arrays)
    unfinished.replace(file_of(folder, job))
