# Everything a newcomer or a continuous integration needs; `make` alone lists it.
# A fresh machine needs Python 3.11 to 3.13, make and a package index that pip can reach.

PYTHON ?= python3
VENV ?= .venv
# Options for every `pip install`. The default build of torch on Linux brings gigabytes of CUDA; to get the small CPU build
# where your index does not offer it: make demo PIP_ARGS="--extra-index-url <address of PyTorch's CPU wheels>"
PIP_ARGS ?=
DEMO_PROMPT ?= examples/nocturne.mid
DEMO_ARGS ?=

BIN := $(VENV)/bin
# The piano's recordings come with the installation, unless the npm registry is out of reach.
SOUND = $(shell test -e partimento/audio/samples/A4v8.ogg && echo --render)
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt $(PIP_ARGS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup demo test lint docs format clean

help:  ## this list
	@echo "partimento continues piano performances. Targets:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'
	@echo "PYTHON=python3.12 picks another interpreter; PIP_ARGS=... is handed to pip (see the Makefile)."

setup: $(VENV)/.runtime  ## install the package and what it needs to run into .venv
	@echo "Ready: $(BIN)/partimento --help"

demo: $(VENV)/.runtime  ## continue a short example, draw the result and write its sound (into demo/)
	@echo "Continuing $(DEMO_PROMPT) on this machine's processor:"
	$(BIN)/partimento continue $(DEMO_PROMPT) --plot $(SOUND) --force -o demo $(DEMO_ARGS)
	@test -n "$(SOUND)" || echo "No sound: the piano was out of reach. Later: $(BIN)/python -m partimento.audio.fetch"
	@echo "Look at the .png, and listen to the .wav or play the .mid in demo/:"
	@ls -1 demo | sed 's|^|  demo/|'
	@echo "Now your own: $(BIN)/partimento continue YOUR-FILE.mid --plot"

test: lint  ## every check: format, lint, types, import order, tests (installs the tools first)
	$(BIN)/python -m pytest -q -rs --numprocesses auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/.dev  ## the checks that run no code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.dev  ## the documentation as a site (into site/); a broken link ends it
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "Open site/index.html"

format: $(VENV)/.dev  ## rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove .venv, demo/, the studio's built page, the site and all caches
	rm -rf $(VENV) partimento/studio/page partimento/studio/web/node_modules demo site build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make a second run start at once; the package is installed in place, so its sources are not prerequisites.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "partimento needs Python 3.11 to 3.13: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.python pyproject.toml constraints.txt
	@echo "Installing partimento and what it needs into $(VENV) (some minutes the first time)"
	$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing the development tools into $(VENV)"
	$(PIP_INSTALL) --editable '.[dev]'
	@touch $@
