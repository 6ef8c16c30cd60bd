# The commands of this project. `make` alone lists them.
# Needs: python3.11 (with venv), make, bash. Everything else is installed into .venv from the lock.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help env demo dev test lint format types check lock hooks screenshots clean clean-data distclean

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
INSTANCE := data/.dagster
UV_PIN = $$(sed -n 's/^\(uv==[^ ;]*\).*/\1/p' requirements.lock)

# Dagster keeps its runs, schedules and event log here; `make demo` and `make dev` share it.
export DAGSTER_HOME := $(CURDIR)/$(INSTANCE)
# ALS slows down several times when the linear algebra library starts threads of its own.
export OPENBLAS_NUM_THREADS ?= 1
export UV_NO_PROGRESS ?= 1
# Where Python may not write its bytecode, every process would compile Dagster anew: do it once.
export UV_COMPILE_BYTECODE ?= 1

DEMO_ARGS ?=
PYTEST_ARGS ?=
PORT ?= 3000

help: ## List the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(STAMP) ## Create or update the environment in .venv

# A half-made or moved environment, or one of another Python, is made again. uv installs in seconds;
# where it cannot reach the package index the way pip is set up to, pip does the same work slower.
$(STAMP): requirements.lock pyproject.toml
	@if ! $(BIN)/python -c 'import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	  command -v $(PYTHON) >/dev/null || { echo "python3.11 was not found: install Python 3.11, or say where it is with 'make env PYTHON=/path/to/python3.11'." >&2; exit 1; }; \
	  echo "Creating the environment in $(VENV) ..."; \
	  $(PYTHON) -m venv --clear $(VENV) || { echo "$(PYTHON) could not create an environment: install its venv module (Debian: python3.11-venv)." >&2; exit 1; }; \
	fi
	@echo "Installing the locked packages ..."
	@uv=$(UV_PIN); $(BIN)/python -m pip install --quiet --disable-pip-version-check "$${uv:-uv}"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.lock \
	  || { echo "uv could not install the packages; trying pip ..."; \
	       $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock; }
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --build-constraints requirements.lock --no-deps --editable . \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
	@echo "The environment is ready."

$(INSTANCE)/dagster.yaml: dagster.yaml
	@mkdir -p $(@D)
	@cp $< $@

demo: $(STAMP) $(INSTANCE)/dagster.yaml ## Build the sample shop, run everything, write a gallery of e-mails
	@$(BIN)/personalize demo $(DEMO_ARGS)

dev: $(STAMP) $(INSTANCE)/dagster.yaml ## Open the Dagster UI on the same warehouse (PORT=3000)
	@$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p $(PORT)

test: $(STAMP) ## Run all tests (PYTEST_ARGS="-k name" for some)
	@env -u DAGSTER_HOME $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(STAMP) ## Check style and formatting
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

format: $(STAMP) ## Put the code into the project's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(STAMP) ## Check the types
	@$(BIN)/mypy

check: lint types test ## Lint, types and tests

# Keeps the versions that are locked unless pyproject.toml forbids them; UPGRADE=1 takes newer ones.
lock: $(STAMP) ## Write requirements.lock from pyproject.toml (UPGRADE=1 for newer versions)
	@$(BIN)/uv pip compile pyproject.toml --extra dev --extra deploy --universal --python-version 3.11 \
	  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet \
	  $(if $(UPGRADE),--upgrade) --output-file requirements.lock
	@! grep -nE '(https?|file)://|^-' requirements.lock || { echo "requirements.lock must not name an address." >&2; exit 1; }

hooks: $(STAMP) ## Run lint and format before each commit
	@$(BIN)/pre-commit install

screenshots: $(STAMP) ## Take pictures of every scenario of the shipped campaigns (needs Chromium)
	@$(BIN)/python -m personalization_tests.emails.screenshots

clean: ## Remove caches and exports; the warehouse, its customer ids and your files stay
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info data/exports
	@find personalization_assets personalization_tests -name __pycache__ -type d -prune -exec rm -rf {} +

clean-data: clean ## Also remove the warehouse, its mails and Dagster's history (customer ids begin anew); landing/ stays
	@rm -rf data/.dagster data/warehouse.duckdb* data/serving.duckdb* data/mails/2*

distclean: clean ## Also remove the environment
	@rm -rf $(VENV)
