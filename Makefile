# `make demo` and `make test` set everything up by themselves and are safe to repeat.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
DEMO := runs/aml-hw1-quick

.PHONY: demo test lint types docs clean

demo: $(READY)
	$(BIN)/chainrule replicate aml-hw1 --quick --workers 2 --output $(DEMO)

test: $(READY) lint types
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python docs/building/build.py docs/_build/html

# PyTorch is asked for by its exact version first, so that no other requirement brings a larger build.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "chainrule needs Python 3.11 or later, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf $(VENV) docs/_build docs/api .mypy_cache .pytest_cache .ruff_cache .hypothesis
