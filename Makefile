# Everything a contributor runs. Each target sets up what it needs; caches and results live in .venv/ and out/.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PROTO_VENV := out/proto-venv
PROTOS := $(wildcard proto/defuse/v1/*.proto)

.PHONY: help setup demo test soak lint format proto lock bench docs screenshots clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## Create the virtual environment with everything pinned

# The lock comes first and alone: pip then takes exactly those builds, torch's among them.
$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: setup ## Run the whole loop on handwritten digits; writes out/demo/report.html
	$(BIN)/python -m examples.digits.demo

# Most tests wait for processes of the service: more run at a time than there are cores.
WORKERS ?= 4
TESTS ?= tests

# Hundreds of processes import the same files: each would compile them anew where this is set.
test: export PYTHONDONTWRITEBYTECODE =
# Each process has its share of the cores: together they would wait for each other at every operation.
test: export OMP_NUM_THREADS = 1
test: setup ## Run all tests, or those in TESTS
	$(BIN)/python -m pytest --numprocesses=$(WORKERS) --no-loadscope-reorder $(TESTS)

soak: setup ## Run the tests that repeat at length what make test shows once, and those with a real Label Studio
	$(BIN)/python -m pytest -m soak

lint: setup $(PROTO_VENV)/.ready ## Check style, types, imports, the contract, and that generated code is current
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	cd proto && ../$(BIN)/buf lint && ../$(BIN)/buf format --diff --exit-code
	scripts/generate-proto $(PROTO_VENV) out/proto-check out/proto-check/defuse_engine
	PYTHONPATH=client $(PROTO_VENV)/bin/python scripts/api_docs.py out/proto-check/api.md
	diff --recursive --exclude=__pycache__ client/defuse/v1 out/proto-check/defuse/v1 \
	  && diff defuse_engine/setting_table.py out/proto-check/defuse_engine/setting_table.py \
	  && diff docs/api.md out/proto-check/api.md \
	  || (echo "what proto/ generates is not up to date: run make proto docs" >&2; exit 1)

format: setup ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	cd proto && ../$(BIN)/buf format --write

proto: $(PROTO_VENV)/.ready ## Generate client/defuse/v1 and defuse_engine/setting_table.py from proto/
	scripts/generate-proto $(PROTO_VENV) client defuse_engine

# The generator has its own environment: it pins another protobuf version than the runtime.
$(PROTO_VENV)/.ready: proto/requirements.lock
	$(PYTHON) -m venv $(PROTO_VENV)
	$(PROTO_VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

lock: ## Pin the newest versions that pyproject.toml allows in requirements.lock
	scripts/lock $(PYTHON)

bench: setup ## Run the benchmark NAME, or all of them
	$(BIN)/python -m bench $(NAME) $(ARGS)

docs: $(PROTO_VENV)/.ready ## Write docs/api.md from the comments and settings in proto/
	PYTHONPATH=client $(PROTO_VENV)/bin/python scripts/api_docs.py docs/api.md

screenshots: setup ## Take docs/report.png, label.png, audit.png and audits.png of real audits; needs chromium
	$(BIN)/python scripts/screenshots.py

clean: ## Remove the environment and everything generated
	rm -rf $(VENV) out
