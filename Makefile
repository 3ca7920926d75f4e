# Everything a contributor or a newcomer runs. `make help` lists it.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TAG ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
PYTEST := $(BIN)/python -m pytest -p no:cacheprovider
JOBS ?= 2

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(VENV)/.local: requirements/local.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --require-hashes -r $<
	$(BIN)/pip install -q --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --require-hashes -r $<
	$(BIN)/pip install -q --no-deps -e .
	@touch $@ $(VENV)/.local

.PHONY: demo
demo: $(VENV)/.local ## Tune a digits classifier on this machine: three workers, a live display, a report
	$(BIN)/tuning run manifests/samples/quickstart.yaml

.PHONY: test
test: $(VENV)/.dev ## Unit, contract and integration tests (real PostgreSQL, real Kubernetes API server)
	$(PYTEST) tests/unit tests/contract tests/integration -n $(JOBS) --dist loadfile

.PHONY: chaos
chaos: $(VENV)/.dev ## Every fault, CHAOS_REPEATS times at moments from CHAOS_SEED, and CHAOS_ZOO_TRIALS odd trials; about 20 minutes
	$(PYTEST) tests/chaos -n $(JOBS) --dist worksteal

.PHONY: e2e
e2e: $(VENV)/.dev ## End-to-end tests on the cluster that KUBECONFIG names; its nodes need the images
	$(PYTEST) tests/e2e

.PHONY: images
images: ## Build the images (docker by default; IMAGE_BUILD="command" is called with: CONTEXT TAG --target NAME)
	hack/images.sh $(TAG)

.PHONY: kind
kind: ## A kind cluster with the images, the chart and a sample study
	hack/kind.sh $(TAG)

.PHONY: bench
bench: bench-start bench-overhead bench-store bench-samplers bench-scale bench-cluster ## All benchmarks

.PHONY: bench-start
bench-start: $(VENV)/.dev ## CPU and time until a worker's first trial, alone and eight at once
	$(BIN)/python benchmarks/start.py

.PHONY: bench-overhead
bench-overhead: $(VENV)/.dev ## What a trial costs besides its objective, beside the same objective in a bare loop
	$(BIN)/python benchmarks/overhead.py

.PHONY: bench-samplers
bench-samplers: $(VENV)/.dev ## Our samplers beside Optuna's: cost of a suggestion, and paired runs (an hour; resumes)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/samplers.py --results $${RESULTS:-/tmp/samplers.jsonl}

.PHONY: bench-store
bench-store: $(VENV)/.dev ## Trials a second through our PostgreSQL storage and through Optuna's, on one server
	$(BIN)/python benchmarks/store.py

.PHONY: bench-scale
bench-scale: $(VENV)/.dev ## The operator with 500 and with 1,000 studies on a real API server (ten minutes)
	PYTHONPATH=tests $(BIN)/python benchmarks/scale.py

.PHONY: bench-cluster
bench-cluster: $(VENV)/.dev ## Times and API writes of a study on the cluster that KUBECONFIG names
	$(BIN)/python benchmarks/cluster.py

.PHONY: generate
generate: $(VENV)/.dev ## Write the CRD and manifests/install.yaml from the models and the chart (needs helm)
	$(BIN)/python hack/generate.py
	hack/install-manifest.sh manifests/install.yaml

.PHONY: verify
verify: generate ## Fail when a generated file differs from what is committed
	@test -z "$$(git status --porcelain charts manifests)" || \
	  { git status --short charts manifests; git --no-pager diff charts manifests; exit 1; }

.PHONY: lint
lint: $(VENV)/.dev ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: lock
lock: $(VENV)/.dev ## Pin the newest versions that pyproject.toml admits
	hack/lock.sh $(BIN)/uv
