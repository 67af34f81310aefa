# make demo: fuse a synthetic scene; make test: all tests; make test-quick: all but the slow ones; make test-oldest: with the
# oldest releases of dependencies; make lint: format, types, layers; make bench: measurements; make dist: sdist and wheel in
# dist/, checked; make smoke: the wheel in a fresh environment; make docs: the site, in docs/_build/html.
# Everything is installed into .venv, once for each state of pyproject.toml. PYTHON chooses the interpreter.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-quick test-oldest lint format bench docs dist smoke clean

demo: .venv/installed
	$(BIN)/ivfuse demo -o demo

test: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

test-quick: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow"

# PyTorch and Ray have no wheels of CPUs alone or are large: what needs them is tested with the newest releases.
test-oldest:
	uv venv --quiet --clear --python 3.11 build/oldest
	uv pip install --quiet --python build/oldest --resolution lowest-direct --editable ".[test]"
	OMP_NUM_THREADS=1 build/oldest/bin/pytest -n 2 -m "not slow"

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright --project examples/typed --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

format: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed-dev
	$(BIN)/python benchmarks/run_all.py

# Warnings are errors: a link into the project that leads nowhere, a page that no menu has, a docstring that cannot be read.
docs: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build -W --keep-going -q -E -a -b html docs docs/_build/html

dist: .venv/installed-dev
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(BIN)/python .ci/check_dist.py dist

smoke: dist
	$(PYTHON) -m venv --clear build/smoke
	build/smoke/bin/pip install --quiet --disable-pip-version-check dist/*.whl
	build/smoke/bin/python .ci/smoke.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

# Any torch will do for the tests; a fresh environment gets the release that the shipped weights were trained with.
.venv/installed-dev: pyproject.toml | .venv/bin/python
	$(BIN)/python -c "import torch" 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[dev,fast]"
	touch $@ .venv/installed

clean:
	rm -rf .venv build dist demo docs/_build docs/generated .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
