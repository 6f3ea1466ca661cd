# Every target does its own set-up and is quick when there is nothing to do. `make help` lists them.
PYTHON ?= python3
LANDING ?=
# Processes that tests run in side by side, each with a Spark session of its own
WORKERS ?= 2
# Files are dealt out as tests/conftest.py says; a process that dies ends the run, which would else wait for it
SIDE_BY_SIDE = --numprocesses $(WORKERS) --no-loadscope-reorder --max-worker-restart 0
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

ifneq ($(words $(CURDIR)),1)
$(error expected a folder without spaces, found $(CURDIR): the scripts of Spark cannot do with them)
endif

VENV := .venv
STAMPS := $(VENV)/.stamps
BIN := $(VENV)/bin
# Of several commands that could install, uv is the quickest; pip is there in any case.
# Compiled at once, as pip does: half the start of each process where Python writes no bytecode, as under Airflow.
UV_PIP := VIRTUAL_ENV="$(CURDIR)/$(VENV)" UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_COMPILE_BYTECODE=1 $(BIN)/uv pip
PIP := $(BIN)/python -m pip --disable-pip-version-check

# An environment holds absolute paths: one that was moved here, or whose Python is gone, is made anew.
ifneq ($(filter-out help clean,$(MAKECMDGOALS)),)
ifneq ($(wildcard $(STAMPS)/folder),)
ifneq ($(shell cat $(STAMPS)/folder && $(BIN)/python -c '' 2>&1),$(CURDIR))
$(info the environment $(VENV) was made for another folder or Python: making it anew)
$(shell rm -rf $(VENV))
endif
endif
endif

export LAKEHOUSE_REAL_DATA ?= $(wildcard $(CURDIR)/../shared/data)
ifeq ($(LAKEHOUSE_REAL_DATA),)
unexport LAKEHOUSE_REAL_DATA
endif

.PHONY: help setup setup-dev stack compose demo test-quick test test-stack lint lock docs doctor clean

help: ## list the targets
	@echo 'make <target>; each does its own set-up. First use: make demo'
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/' | expand -t 12

setup: $(STAMPS)/archive ## Python environment in .venv (PYTHON=python3.12 picks another), packages, jars
	@:

setup-dev: $(STAMPS)/dev $(STAMPS)/archive

stack: setup ## what profile stack starts natively, into .stack: Trino, the S3 server; PostgreSQL is the system's
	@$(BIN)/lakehouse setup parts

compose: setup ## profile stack in containers: secrets into .compose, then docker compose up
	@$(BIN)/lakehouse setup compose-files
	@docker compose up --build --detach --wait

demo: setup ## ticks from files to audited gold tables and a report; LANDING=<dir> takes your files
	@$(BIN)/lakehouse demo $(if $(LANDING),--landing "$(LANDING)")

test-quick: setup-dev ## what is worth a look before each commit: no Spark, no servers, no training; a minute
	@$(BIN)/python -m pytest -m "not slow" $(SIDE_BY_SIDE) $(ARGS)

test: setup-dev $(STAMPS)/torch ## all tests but those of the stack, two at a time; ARGS="-k name" picks some; real files from LAKEHOUSE_REAL_DATA
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-stack: setup-dev stack ## tests over the real servers, started natively; ARGS="-k name" picks some
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) tests/stack tests/embedded $(ARGS)

lint: setup-dev ## ruff, mypy, import-linter, sqlfluff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/sqlfluff lint --nocolor --disable-progress-bar sql

docs: setup ## docs/data-dictionary.md and docs/settings.md from the declarations
	@$(BIN)/lakehouse setup docs

doctor: setup ## what is missing or wrong here, with the command that fixes it
	@$(BIN)/lakehouse doctor

lock: $(STAMPS)/tools ## requirements*.txt from requirements*.in, the newest versions that fit, with hashes
	@for name in requirements-tools requirements requirements-dev requirements-stack; do \
	    $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	        --upgrade $$(test $$name != requirements-stack || echo --no-deps) --output-file $$name.txt $$name.in; \
	    echo "$$name.txt"; \
	done

clean: ## remove .venv, jars and caches; tables and landing files stay
	@rm -rf $(VENV) .jars .stack .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(STAMPS)/python:
	@command -v $(PYTHON) >/dev/null || { echo 'error: expected Python 3.11 or newer, found no $(PYTHON); name one: make PYTHON=python3.12' >&2; exit 2; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"error: expected Python 3.11 or newer, found {v[0]}.{v[1]} ({sys.executable}); name another: make PYTHON=python3.12")' || exit 2
	@echo 'making the Python environment $(VENV) ...'
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && printf '%s' "$(CURDIR)" > $(STAMPS)/folder && touch $@

$(STAMPS)/tools: requirements-tools.txt | $(STAMPS)/python
	@$(PIP) install --quiet --require-hashes -r $<
	@touch $@

$(STAMPS)/run: requirements.txt pyproject.toml $(STAMPS)/tools
	@echo 'installing Python packages (about a minute) ...'
	@$(UV_PIP) install --quiet --require-hashes -r $< || { echo 'uv could not; once more with pip (some minutes) ...'; \
	    $(PIP) install --quiet --require-hashes -r $<; }
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/dev: requirements-dev.txt $(STAMPS)/run
	@echo 'installing the packages for tests and lint ...'
	@$(UV_PIP) install --quiet --require-hashes -r $< || $(PIP) install --quiet --require-hashes -r $<
	@touch $@

# Who trains no model of torch never gets it: its first training installs it the same way
$(STAMPS)/torch: requirements-torch.txt $(STAMPS)/run
	@$(BIN)/lakehouse setup torch
	@touch $@

.jars/.fetched: jars.txt $(STAMPS)/run
	@echo 'fetching the jars for Spark (about ten seconds) ...'
	@$(BIN)/lakehouse setup jars
	@touch $@

$(STAMPS)/spark: lakehouse/install/spark_home.py .jars/.fetched
	@$(BIN)/lakehouse setup spark-home
	@touch $@

$(STAMPS)/archive: $(STAMPS)/spark spark_jobs/engine/warm_up.py
	@echo 'preparing short starts of Spark (half a minute, once) ...'
	@$(BIN)/lakehouse setup archive
	@touch $@
