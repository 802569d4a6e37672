"""`bss warmup`: compile what separations need, before there is anything to separate."""

from __future__ import annotations

import time
from typing import Any

import click

from bss.errors import InputError

from .support.common import Output, command
from .support.numbers import THREADS


@command("warmup")
@click.option("--all", "everything", is_flag=True, help="Also what methods need that are not chosen by themselves.")
@click.option("--threads", type=THREADS, default=None, envvar="BSS_THREADS", help="Processes that compile at once [all].")
def warmup(out: Output, everything: bool, **options: Any) -> None:
    """Compile for this machine what bss unmix, check and sync need, so that their first run does not.

    The results are kept where NUMBA_CACHE_DIR says, else beside the package, else in the home folder: in an image for containers,
    run it once with NUMBA_CACHE_DIR set; on a cluster, once for each kind of processor, with a folder that all of them see.

    \b
    Examples:
      bss warmup
      bss warmup --json
      NUMBA_CACHE_DIR=/opt/kernels bss warmup --all
    """
    from bss.backends.cpu import compiling, layout
    from bss.pipeline.resources import warming
    from bss.pipeline.resources.costs import processors

    jobs = [*warming.JOBS, *(warming.METHODS if everything else ())]
    began = time.perf_counter()
    with out.progress("compiling") as progress:
        done = warming.warm(jobs, options["threads"] or processors(), progress)
    seconds = time.perf_counter() - began
    faults = [f"{job.job}: {job.fault}" for job in done if job.fault]
    if faults:
        raise InputError("not everything could be compiled", "; ".join(faults), "bss unmix says more about what is wrong")
    names = sorted({kernel for job in done for kernel in job.kernels})
    if compiling.not_kept():
        out.warn(compiling.not_kept())
    where = layout.fill._cache.cache_path
    out.say(f"compiled {len(names)} kernels in {seconds:.0f} s" if names else "everything is compiled already")
    out.emit({"compiled": names, "seconds": round(seconds, 1), "folder": where, "kept": not compiling.not_kept()})
