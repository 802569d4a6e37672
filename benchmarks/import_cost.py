"""What it costs to start: `import bss` and `bss --help`, each in a Python of its own, median of several runs.

Beside each stands a Python that imports nothing, because that much nobody can take away.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

# what the console script does, and nothing of what pip's wrapper adds
HELP = "import sys; from bss_cli.main import main; sys.exit(main(['--help']))"
CASES = {
    "python, importing nothing": ["-c", "pass"],
    "import bss": ["-c", "import bss"],
    "import bss; bss.Stft": ["-c", "import bss; bss.Stft"],
    "bss --help": ["-c", HELP],
}


def seconds(arguments: list[str]) -> float:
    """Wall-clock seconds of one whole Python process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="runs of each; one more, not counted, comes first")
    runs = parser.parse_args().runs
    print(f"Python {sys.version.split()[0]}, median and range of {runs} runs\n")
    print("| what | median ms | min ms | max ms |\n|---|---:|---:|---:|")
    for name, arguments in CASES.items():
        seconds(arguments)  # fills the file cache and writes the byte code
        times = [1000 * seconds(arguments) for _ in range(runs)]
        print(f"| {name} | {statistics.median(times):.0f} | {min(times):.0f} | {max(times):.0f} |")


if __name__ == "__main__":
    main()
