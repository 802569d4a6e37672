# The two commands of a newcomer are `make demo` and `make test`: each sets up .venv by itself, with Python 3.10 or newer alone.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# the bytes of these decide what has to be installed, so a second run installs nothing
RECIPE := pyproject.toml constraints.txt

DEMO := demo
VOICES := $(patsubst %,fixtures/voices/%.flac,edward fiona george helena)

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz release faults man lint format bench docs clean

help:
	@echo 'make demo    separate four talkers in a simulated room, and score the result'
	@echo 'make test    lint, types and the whole test suite'
	@echo 'make fuzz    try odd inputs: make fuzz N=100000'
	@echo 'make faults  kill the commands at random moments'
	@echo 'make man     manual pages, in build/man'
	@echo 'make release wheel, sdist and SBOM, checked, in dist'
	@echo 'make lint    lint and types alone'
	@echo 'make format  put the code into the house format'
	@echo 'make bench   what things cost on this machine'
	@echo 'make docs    the documentation as a site, in build/docs'
	@echo 'make clean   remove what these made, .venv included'

setup: $(VENV)/core.stamp

$(VENV)/venv.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "bss needs Python 3.10 or newer, this is " \
	  + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...")'
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/core.stamp: $(RECIPE) $(VENV)/venv.stamp
	$(INSTALL) -e '.[simulate]'
	@touch $@

$(VENV)/dev.stamp: $(RECIPE) $(VENV)/venv.stamp
	$(INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/core.stamp

$(VENV)/docs.stamp: $(RECIPE) $(VENV)/venv.stamp
	$(INSTALL) -e '.[docs]'
	@touch $@ $(VENV)/core.stamp

demo: $(VENV)/core.stamp
	$(BIN)/bss mix $(VOICES) --mics 4 --rt60 0.3 -o $(DEMO)/scene --overwrite
	$(BIN)/bss unmix $(DEMO)/scene/mics -o $(DEMO)/sources --overwrite
	$(BIN)/bss score $(DEMO)/scene/truth $(DEMO)/sources --mixture $(DEMO)/scene/mics
	@echo
	@echo 'The microphones: $(DEMO)/scene/mics   the truth: $(DEMO)/scene/truth   the separated talkers: $(DEMO)/sources'

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then echo $(BIN)/mypy && $(BIN)/mypy; \
	else echo 'mypy is LEFT OUT: it takes the annotations of NumPy 2.3 or newer, which needs Python 3.11 or newer'; fi

# a worker for each processor, up to four; the tests of a file stay together, and tests/conftest.py says which files begin
test: lint
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup --no-loadscope-reorder --durations=20

# make fuzz N=100000 SEED=7: odd inputs, options and files; each failure is printed as the command that repeats it
N := 10000
SEED := 0
fuzz: $(VENV)/dev.stamp
	$(BIN)/python tests/fuzz/cases.py --n $(N) --seed $(SEED)

release: $(VENV)/dev.stamp
	$(INSTALL) -e '.[release]'
	$(BIN)/python tools/check_release.py -o dist
	$(BIN)/cyclonedx-py environment $(VENV) --of JSON -o dist/sbom.json

faults: $(VENV)/dev.stamp
	$(BIN)/python tools/fault_series.py

man: $(VENV)/core.stamp
	$(BIN)/python tools/man.py -o build/man

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/dev.stamp
	$(BIN)/python benchmarks/import_cost.py
	$(BIN)/python benchmarks/run.py -o build/benchmarks.md
	$(BIN)/python benchmarks/cold_start.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/roofline.py

docs: $(VENV)/docs.stamp
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(DEMO) build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
