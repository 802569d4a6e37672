"""The notebooks are true: each runs from its first cell to its last, and the claims it makes are asserts in its cells."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs/notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
WHY = "the NOTEBOOKS are NOT TESTED: pip install -e '.[dev]' brings nbclient, nbformat and ipykernel"
nbformat = pytest.importorskip("nbformat", reason=WHY)
nbclient = pytest.importorskip("nbclient", reason=WHY)
pytest.importorskip("ipykernel", reason=WHY)


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with nothing but notebooks and voices, and a kernel python3 that is this interpreter."""
    shutil.copytree(FOLDER, tmp_path / "docs/notebooks")
    shutil.copytree(ROOT / "fixtures/voices", tmp_path / "fixtures/voices")
    kernel = tmp_path / "jupyter/kernels/python3"
    kernel.mkdir(parents=True)
    launch = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": launch, "display_name": "Python 3", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    for variable in ("JUPYTER_CONFIG_DIR", "IPYTHONDIR"):  # no settings of whoever runs the tests
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    return tmp_path / "docs/notebooks"


def run(notebook: Any, folder: Path) -> Any:
    """The notebook with its outputs; raises where a cell does."""
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    return client.execute()


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def words(notebook: Any) -> str:
    """All that the cells said as Markdown."""
    return "\n".join(output.data["text/markdown"] for output in outputs(notebook) if "text/markdown" in output.get("data", {}))


def row(text: str, name: str) -> list[float]:
    """The numbers of a row in the last table that has it."""
    (*_, line) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", text, re.M)
    return [float(cell) for cell in line.split("|")]


def says_nothing_wrong(notebook: Any) -> None:
    assert [output.text for output in outputs(notebook) if output.output_type == "stream" and output.name == "stderr"] == []


@pytest.mark.slow
@pytest.mark.parametrize("spoken", [pytest.param(True, marks=pytest.mark.needs("espeak-ng")), False])
def test_the_cocktail_party(here: Path, monkeypatch: pytest.MonkeyPatch, spoken: bool) -> None:
    if not spoken:
        monkeypatch.setenv("PATH", str(here))  # where no program is
    done = run(read("cocktail-party"), here)
    says_nothing_wrong(done)
    text = words(done)
    said = "Spoken by espeak-ng." if spoken else "espeak-ng is not installed, so the voices of `fixtures/voices` speak."
    assert said in text
    desk, room = row(text, "`bss.fastica(x)`"), row(text, "`bss.unmix`")
    assert min(desk) > 20
    assert min(row(text, "`bss.infomax(x)`")) > 20
    assert min(room) > 10 > 5 > max(row(text, "FastICA, as on the desk"))
    assert sum("text/html" in output.get("data", {}) for output in outputs(done)) >= 9  # players


@pytest.mark.slow
def test_the_undercomplete_autoencoder(here: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: the notebooks that train are NOT TESTED")
    done = run(read("undercomplete-autoencoder"), here)
    says_nothing_wrong(done)
    for ours, best in re.findall(r"^\| \d+ \| ([\d.]+) % \| ([\d.]+) % \|$", words(done), re.M):
        assert float(ours) < 1.01 * float(best) + 0.01
    assert sum("text/html" in output.get("data", {}) for output in outputs(done)) == 4  # players


@pytest.mark.slow
def test_the_variational_autoencoder(here: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: the notebooks that train are NOT TESTED")
    done = run(read("variational-autoencoder"), here)
    says_nothing_wrong(done)
    bound, exact = row(words(done), "the seven voices")
    assert bound > exact
    assert sum("text/html" in output.get("data", {}) for output in outputs(done)) == 4  # players


@pytest.mark.parametrize("name", NAMES)
def test_stored_clean(name: str) -> None:
    """No outputs, no counters, no names of machines: a change of the notebook is all that a diff shows."""
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    for cell in notebook.cells:
        assert cell.metadata == {}, cell.id
        assert cell.cell_type == "markdown" or (cell.outputs == [] and cell.execution_count is None), cell.id


@pytest.mark.parametrize("name", NAMES)
def test_claims_are_asserted(name: str) -> None:
    code = [cell.source for cell in read(name).cells if cell.cell_type == "code"]
    assert sum(len(re.findall(r"^ *assert ", source, re.M)) for source in code) >= 5


def test_the_page_lists_every_notebook() -> None:
    page = (ROOT / "docs/notebooks.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\(notebooks/(\S+)\.ipynb\)", page)) == set(NAMES)


def test_a_cell_that_raises_fails(here: Path) -> None:
    cells = [nbformat.v4.new_code_cell("assert 1 + 1 == 3, 'a false claim'")]
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="a false claim"):
        run(nbformat.v4.new_notebook(cells=cells), here)
