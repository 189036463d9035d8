# Everything that one does with Retinue, by name. `make demo` and `make test` need Python 3.11+ and nothing else.
PYTHON ?= python3
BIN := .venv/bin
BUILDER ?= docker build
SERVICE ?= classification
REPLICAS ?= 1
SETUP := pyproject.toml constraints.txt hatch_build.py $(shell find protos -name '*.proto')
SCENARIO ?= smoke
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUTF8 := 1

.PHONY: help demo serve test test-all check format protos bench bench-detection bench-engine bench-ops bench-segmentation bench-matching bench-overload image loadtest clean
help: ## Show what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: .venv/.cpu ## Start the services, send real pictures, print a table, write annotated PNGs to out/
	$(BIN)/python -m loadtests.demo

serve: .venv/.cpu ## Start the services and keep them running: make serve REPLICAS=2
	$(BIN)/python -m loadtests.serve --replicas $(REPLICAS)

test: .venv/.dev ## Run the tests that take seconds each
	$(BIN)/python -m pytest -m "not slow"

test-all: .venv/.dev ## Run every test, slow ones too
	$(BIN)/python -m pytest

check: .venv/.dev ## Lint, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev ## Format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

protos: .venv/.dev ## Generate the Python stubs of the protos again
	$(BIN)/python hatch_build.py

bench: .venv/.dev ## What serving costs beside the bare loop
	$(BIN)/python -m loadtests.benchmarks.classification

bench-detection: .venv/.dev ## What detection costs, stage by stage and served
	$(BIN)/python -m loadtests.benchmarks.detection

bench-engine: .venv/.dev ## Serving beside the bare loop, Triton and MLServer, in one run
	$(BIN)/python -m loadtests.benchmarks.engine

bench-matching: .venv/.dev ## What matching costs beside scipy, pycocotools and a server that does nothing
	$(BIN)/python -m loadtests.benchmarks.matching

bench-ops: .venv/.dev ## What each operation costs beside its peers
	$(BIN)/python -m loadtests.benchmarks.ops

bench-overload: .venv/.dev ## What is still answered in time when more comes than can be answered
	$(BIN)/python -m loadtests.benchmarks.overload

bench-segmentation: .venv/.dev ## What segmentation costs, served and after the graph
	$(BIN)/python -m loadtests.benchmarks.segmentation

image: .venv/.cpu ## Build the image of a service: make image SERVICE=detection BUILDER='buildah bud --layers'
	PYTHON=$(BIN)/python deploy/docker/wheelhouse.sh cpu
	$(BUILDER) -f deploy/docker/Dockerfile --build-arg SERVICE=$(SERVICE) -t retinue/$(SERVICE):dev .

loadtest: .venv/.loadtests ## Load services and hold them to an SLO: make loadtest SCENARIO=ramp
	$(BIN)/python -m loadtests.load $(SCENARIO)

clean: ## Remove everything that was made here
	rm -rf .venv out build dist
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "this Python has no working venv module (Debian: apt-get install python3-venv)"; rm -rf .venv; exit 1; }

# The service's environment: what it takes to serve on a CPU, no PyTorch.
.venv/.cpu: .venv/bin/python $(SETUP)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[cpu]'
	@touch $@

# What it takes to load services as well.
.venv/.loadtests: .venv/.cpu
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[cpu,loadtests]'
	@touch $@

# The developer's environment: the service's and all that tests, checks and training need.
.venv/.dev: .venv/.cpu
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@
