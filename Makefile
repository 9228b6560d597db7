# One command each; `make help` lists them. Needed on the host: Docker with Compose, Python 3.11, make.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
VENV ?= .venv
PYTHON ?= python3.11
REPORTS ?= build/reports
# PyTorch's CPU builds; not asked where PIP_FIND_LINKS names a folder with the wheel
export TORCH_INDEX_URL ?= https://download.pytorch.org/whl/cpu
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PYTEST = $(PY) -m pytest --junitxml $(REPORTS)/$@.xml
TOOLS_IMAGE := rl-swarm/tools:local
# tests that need Node
IN_TOOLS := tests/integration/swarm_chain/test_build.py
# integration tests of 15 s to two minutes a file: `make long`, so that `make test` stays
# below ten minutes, those for making .venv included
LONG := $(addprefix tests/integration/,benchmarks/test_gpu.py login_proxy/test_outbox.py login_proxy/test_restore.py \
    login_proxy/test_situations.py swarm_chain/test_chain_state.py swarm_dht/test_joining.py swarm_dht/test_recovery.py \
    swarm_exporter/test_exporter.py swarm_judge/test_seasons.py swarm_node/test_choices_followed.py \
    swarm_node/test_hub_push.py swarm_node/test_resume.py)

.PHONY: help venv check test unit interfaces integration long tools images e2e lock up down logs mutation
help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

venv: $(STAMP) ## .venv from the hashed development lock, with the project in it
$(STAMP): locks/dev.txt pyproject.toml scripts/install-lock
	$(PYTHON) -m venv $(VENV)
	if ! command -v cc >/dev/null || ! $(PYTHON) -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null; then \
	    docker build -q -f Dockerfile.cpu --target source-wheels -o build/source-wheels . ; export SOURCE_WHEELS=build/source-wheels; fi; \
	scripts/install-lock locks/dev.txt $(PY)
	$(PY) -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

check: $(STAMP) ## ruff, mypy --strict, module sizes, import layers
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pytest -q tests/interfaces/test_import_layers.py

test: check unit interfaces integration tools ## checks and every test but the end-to-end ones
unit: $(STAMP)
	$(PYTEST) tests/unit
interfaces: $(STAMP)
	$(PYTEST) tests/interfaces
integration: $(STAMP)
	$(PYTEST) tests/integration $(addprefix --ignore=,$(IN_TOOLS) $(LONG))
long: $(STAMP) ## the integration tests that take long: faults, kills, moves, a Hub's outage
	$(PYTEST) $(LONG)
tools: ## tests that need Node, in an image that has it
	docker build -q -f Dockerfile.cpu --target tools -t $(TOOLS_IMAGE) .
	mkdir -p $(REPORTS)
	docker run --rm --init --network none --user "$$(id -u):$$(id -g)" -v "$(CURDIR)":/repo:ro -v "$(CURDIR)/$(REPORTS)":/reports $(TOOLS_IMAGE) \
	    python -m pytest -p no:cacheprovider --junitxml /reports/$@.xml $(IN_TOOLS)

images: ## build everything that the end-to-end tests start
	docker build -q -f Dockerfile.cpu --target tools -t $(TOOLS_IMAGE) .
	SWARM_IMAGE_TAG=e2e docker compose build --quiet
e2e: $(STAMP) images ## whole swarms under Compose: start, claim, kill, break, measure
	$(PYTEST) tests/e2e

lock: $(STAMP) ## solve the hashed locks anew
	$(PY) scripts/lock.py

up: ## check the host, then start the swarm and wait until it is healthy
	python3 scripts/preflight.py
	docker compose up --build --detach --wait
down: ## stop the swarm; keys, state and chain stay
	docker compose down
logs: ## follow the log of every service
	docker compose logs --follow --tail 50

mutation: $(STAMP) ## mutate wire records, sampler, advantages and outbox; fails under 80 % killed
	$(PY) scripts/mutation.py

# targets of one topic each: load, chaos and attack runs that take longer than a test may
-include make/*.mk
