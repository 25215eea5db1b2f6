# make demo   a real agent run through a real Collector into the local Langfuse backend and Prometheus
# make test   everything; ARGS="tests/config -k dotenv" for some of it
# make chaos  random faults over apps, Collector and backend; SEEDS=50 runs each scenario 50 times
# make secrets   passwords and keys for collector/docker-compose.yaml, once, in collector/.env
# The first two set up what they need on first use: .venv from requirements.lock, by hash.

VENV ?= .venv
ARGS ?=
JOBS ?= 2
BIN := $(VENV)/bin
# PYTHON=/path/to/python chooses the interpreter; else the first of these that is 3.11 or newer.
PYTHON ?=
CANDIDATES := $(PYTHON) $(if $(PYTHON),,python3 python3.13 python3.12 python3.11)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format lock collector docs secrets test-full chaos clean

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@.ci/setup "$(VENV)" $(CANDIDATES)
	@touch $@

demo: setup
	@$(BIN)/otel-agents demo $(ARGS)

# The Collector that the tests run: found or, with Go at hand, built once and cached. Without it those
# tests are skipped with the reason.
test: setup
	@if ! $(BIN)/otel-agents collector path >/dev/null 2>&1 && command -v go >/dev/null 2>&1; then \
		$(BIN)/otel-agents collector build; fi
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Needs uv; the file it writes is read by pip too.
lock:
	uv pip compile --universal --python-version 3.11 --all-extras --group dev --generate-hashes --upgrade \
		--no-header --quiet -o requirements.lock pyproject.toml

collector: setup
	@$(BIN)/otel-agents collector build

# What the overlays for many machines need of a Collector is not in the small one: about ten minutes.
test-full: setup
	@$(BIN)/otel-agents collector build --full
	@$(BIN)/python -m pytest -n $(JOBS) tests/deploy $(ARGS)

# Random faults with many seeds, from SEED on; ONLY=<scenario> for one of those in docs/reliability.md.
SEEDS ?= 20
SEED ?= 1
ONLY ?=
chaos: setup
	@CHAOS_SEED=$(SEED) CHAOS_SEEDS=$(SEEDS) $(BIN)/python -m pytest -n $(JOBS) tests/chaos \
		-k "test_chaos and $(if $(ONLY),$(ONLY),test_chaos)" $(ARGS)

secrets:
	@set -- $(CANDIDATES); for python do command -v $$python >/dev/null && exec $$python collector/make_secrets.py; done

docs: setup
	@$(BIN)/otel-agents config --example > .env.example
	@$(BIN)/otel-agents config --docs > docs/configuration.md

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
