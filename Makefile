# nova-graph: `make run` draws a picture, `make test` runs everything that CI runs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NANO_READY := $(VENV)/.nano-ready

.DEFAULT_GOAL := help
.PHONY: help run test check format bench docs nano nano-eval clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(READY)  ## Draw graphs/default.yaml; ARGS="--seed 7" adds inputs
	@$(BIN)/nova-graph run graphs/default.yaml $(ARGS)

test: check  ## Run the checks and all tests
	@OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/pytest --numprocesses 2 --dist loadfile

check: $(READY)  ## Run the linters and the type checker
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

format: $(READY)  ## Format the source
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

bench: $(READY)  ## Measure the engine and a whole run against hand-written code
	@$(BIN)/python -m benchmarks

bench-http: $(READY)  ## Measure the service over real sockets
	@$(BIN)/python -m benchmarks.http_cost

docs: $(READY)  ## Write what is generated: docs/nodes.md, the schema, and the defaults of new nodes and versions
	@$(BIN)/python -m tools.node_defaults
	@$(BIN)/nova-graph schema > schemas/graph.schema.json
	@$(BIN)/nova-graph nodes --markdown > docs/nodes.md

nano: $(NANO_READY)  ## Train nova-nano into build/nano, or go on; ARGS="--preset gpu"
	@$(BIN)/python -m tools.train_nano --out build/nano $(ARGS)

nano-eval: $(NANO_READY)  ## Measure nova-nano into build/nano-eval; ARGS="--prompts 96 --effects 12"
	@$(BIN)/python -m tools.train_nano.evaluate $(ARGS)

clean:  ## Remove the environment and what tools left behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nova-graph needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@echo 'Setting up $(VENV): downloads packages, which takes a few minutes the first time.'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@echo 'Set up. The command is $(BIN)/nova-graph; after ". $(BIN)/activate" it is nova-graph.'
	@touch $@

$(NANO_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,nano]'
	@touch $@
