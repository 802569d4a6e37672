"""Build what is released, twice, look into it, and use it as somebody would who has just installed it.

python tools/check_release.py -o dist [--full]

Wheel and sdist come from the files that git knows. Both builds must have the same bytes. The wheel goes into an empty
environment, in a folder with a space and an umlaut, and is run from there with LANG=C and a home that cannot be written to, by
somebody who is not root where this is root. It takes its dependencies from the Python that runs this, or with --full from the
package index, as users do. Needs the extra `release`.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEEDED = (
    "bss/py.typed", "bss/__init__.pyi", "bss/networks/weights/", "bss/report/assets/", "bss/backends/cpu/demixing/iva.py",
)  # fmt: skip
IN_WHEEL = ("bss_cli/main.py", "dist-info/licenses/LICENSE")
IN_SDIST = ("cli/main.py", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE")
UNWANTED = ("tests/", "/fixtures/", "__pycache__", ".nbi", ".nbc", ".venv", "benchmarks/", ".git/")
# a licence stands beside what it is of, and with the licences; the library and its commands are two packages
IGNORED = ("W002", "W009")
NOBODY = 65534


def say(what: str) -> None:
    print(what, flush=True)


def run(*words: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """What a program prints; SystemExit with all of it where it fails."""
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True, timeout=1800, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\nexit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout + done.stderr


def date_of_source() -> str:
    """Seconds since 1970 of the last commit: all that is in the packages is as old."""
    return os.environ.get("SOURCE_DATE_EPOCH") or run("git", "log", "-1", "--format=%ct", cwd=ROOT).strip()


def copied(folder: Path) -> Path:
    """The files that git knows, as they are here."""
    for name in run("git", "ls-files", "-z", cwd=ROOT).rstrip("\0").split("\0"):
        target = folder / name
        if (ROOT / name).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            target.chmod(0o755 if os.access(ROOT / name, os.X_OK) else 0o644)
    return folder


def build(source: Path, out: Path, date: str) -> tuple[Path, Path]:
    """Wheel and sdist of a source tree."""
    run(sys.executable, "-m", "build", "--outdir", out, source, env={**os.environ, "SOURCE_DATE_EPOCH": date})
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    normalise(sdist, int(date))
    return wheel, sdist


def normalise(sdist: Path, date: int) -> None:
    """Rewrite an sdist without what differs between builds: times, owners, and the order of its files."""
    packed = io.BytesIO()
    with tarfile.open(sdist) as old, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for entry in sorted(old.getmembers(), key=lambda entry: entry.name):
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname, entry.pax_headers = date, 0, 0, "", "", {}
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            new.addfile(entry, old.extractfile(entry) if entry.isfile() else None)
    with sdist.open("wb") as file, gzip.GzipFile("", "wb", mtime=date, fileobj=file) as zipped:
        zipped.write(packed.getvalue())


def look_into(wheel: Path, sdist: Path) -> None:
    """SystemExit where something is missing, or is there that should not be."""
    with zipfile.ZipFile(wheel) as opened:
        in_wheel = opened.namelist()
    with tarfile.open(sdist) as opened:
        in_sdist = [name.partition("/")[2] for name in opened.getnames()]
    for kind, names, needed in (("wheel", in_wheel, NEEDED + IN_WHEEL), ("sdist", in_sdist, NEEDED + IN_SDIST)):
        missing = [part for part in needed if not any(part in name for name in names)]
        strange = [name for name in names if any(part in f"/{name}" for part in UNWANTED)]
        if missing or strange:
            sys.exit(f"the {kind} lacks {missing} and should not have {strange}")
    for weights in (ROOT / "bss/networks/weights").iterdir():
        if not any(name.endswith(f"/{weights.name}") for name in in_wheel):
            sys.exit(f"the wheel lacks {weights.name}")


def environment(folder: Path, wheel: Path, *, full: bool) -> Path:
    """The Python of a new environment that has the wheel."""
    place = folder / "new environment ü"
    run(sys.executable, "-m", "venv", place)
    python = place / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", *([] if full else ["--no-deps"]), wheel)
    if not full:  # what .pth files in these folders name is not followed, so the checkout is out of reach
        (packages,) = (place / "lib").glob("python*/site-packages")
        others = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        (packages / "others.pth").write_text("\n".join(others) + "\n", encoding="utf-8")
    return python


def used(folder: Path, python: Path) -> None:
    """Run the program as a stranger would: help, a scene without an echo, a separation, and the scores."""
    home, work = folder / "home", folder / "work ä"
    home.mkdir()
    work.mkdir()
    for voice in ("edward", "fiona"):
        shutil.copy(ROOT / f"fixtures/voices/{voice}.flac", work / f"{voice} ö.flac")
    user: list[str] = []
    if os.getuid() == 0:
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
        os.chown(work, NOBODY, NOBODY)
        if subprocess.run([*user, "sh", "-c", 'exec "$0" -V', python], capture_output=True, check=False).returncode:
            sys.exit(f"{python.resolve()} can be run by root alone: use a Python that others can run, too")
    home.chmod(0o555)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "LANG": "C", "OMP_NUM_THREADS": "1", "TMPDIR": str(work)}
    bss = python.parent / "bss"
    where = run(*user, python, "-c", "import bss; print(bss.__file__)", cwd=work, env=env).strip()
    if not where.startswith(str(python.parent.parent)):
        sys.exit(f"what was installed is not what is used: {where}")
    for words in (
        ["--help"],
        ["mix", "edward ö.flac", "fiona ö.flac", "--instantaneous", "--seconds", "3", "-o", "scene ß"],
        ["unmix", "scene ß/mics", "--method", "fastica", "-o", "tracks ß"],
        ["score", "scene ß/truth", "tracks ß", "--mixture", "scene ß/mics"],
    ):
        said = run(*user, bss, *words, cwd=work, env=env)
        say(f"  bss {' '.join(words)}: {len(said.splitlines())} lines")
    made = sorted(path.name for path in (work / "tracks ß").iterdir())
    if not {"source1.wav", "source2.wav", "result.json"} <= set(made):
        sys.exit(f"bss unmix wrote {made}")
    if list(home.iterdir()):
        sys.exit("something was written to a home that is read-only")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist", help="where wheel and sdist go")
    parser.add_argument("--full", action="store_true", help="install all dependencies from the package index")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bss release ") as place:
        folder = Path(place)
        folder.chmod(0o755)
        date, sources = date_of_source(), [copied(folder / f"source {k}") for k in (1, 2)]
        builds = [build(source, folder / f"out {k}", date) for k, source in enumerate(sources, 1)]
        for first, second in zip(*builds, strict=True):
            if first.read_bytes() != second.read_bytes():
                sys.exit(f"two builds of {first.name} differ")
            say(f"{first.name}: {first.stat().st_size / 1e6:.1f} MB, the same bytes twice")
        look_into(*builds[0])
        say(run(sys.executable, "-m", "twine", "check", "--strict", *builds[0]).strip())
        say(run(sys.executable, "-m", "check_wheel_contents", "--ignore", ",".join(IGNORED), builds[0][0]).strip())
        used(folder, environment(folder, builds[0][0], full=a.full))
        a.output.mkdir(parents=True, exist_ok=True)
        for file in builds[0]:
            shutil.copy(file, a.output)
    say(f"{a.output} holds what can be released")


if __name__ == "__main__":
    main()
