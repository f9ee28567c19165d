# MLOpX: everything a developer or a new user types. `make help` lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV ?= .venv
PY := $(VENV)/bin/python
CANDIDATES := python3 python3.11 python3.12 python3.13 python3.14 python
PYTHON ?= $(shell for p in $(CANDIDATES); do if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$p; break; fi; done)

# One installer call for both packages: uv when it is there, plain pip otherwise.
define install
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; give it with: make PYTHON=/path/to/python3 $@"; exit 1; }
	@if command -v uv >/dev/null 2>&1; then \
	  test -x $(PY) || uv venv --quiet --python "$(PYTHON)" $(VENV); \
	  echo "installing MLOpX and what it needs into $(VENV) (once) ..."; \
	  uv pip install --quiet --python $(PY) -c constraints.txt -e client -e ".[$(1)]"; \
	else \
	  test -x $(PY) || "$(PYTHON)" -m venv $(VENV) || { echo "could not make a virtual environment: is the venv module installed (Debian: python3-venv)?"; exit 1; }; \
	  echo "installing MLOpX and what it needs into $(VENV) (once) ..."; \
	  $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e client -e ".[$(1)]"; \
	fi
	@$(PY) -m server.placers.warming || true
	@touch $@
endef

$(VENV)/.user: pyproject.toml client/pyproject.toml constraints.txt
	$(call install,examples)

$(VENV)/.dev: pyproject.toml client/pyproject.toml constraints.txt
	$(call install,dev)
	@touch $(VENV)/.user

.PHONY: help
help: ## This list
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | awk -F'\t' '{printf "  make %-18s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(VENV)/.user ## Run the five example pipelines on virtual nodes of this machine, and see where they ran
	@exec $(PY) utils/demo.py

.PHONY: serve
serve: $(VENV)/.user ## Start the placement server on port 8000
	@exec $(VENV)/bin/uvicorn server.main:app --host 0.0.0.0 --port 8000

.PHONY: test
test: $(VENV)/.dev ## Run every test this machine can run (MLOPX_STRICT_TESTS=1: a skip is a failure)
	$(PY) -m pytest -q -n $${MLOPX_TEST_WORKERS:-2} --dist worksteal $(ARGS)

.PHONY: test-kubeflow
test-kubeflow: $(VENV)/.dev ## Hold a real Kubeflow (KFP_URL, KUBECONFIG) to the contract that the double keeps
	@test -n "$$KFP_URL" || { echo "give the Kubeflow to test: KFP_URL=http://... KUBECONFIG=... make test-kubeflow"; exit 1; }
	$(PY) -m pytest -q tests/contract/server/platforms/test_kubeflow_contract.py $(ARGS)

.PHONY: lint
lint: $(VENV)/.dev ## Check format, style, types and layers
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

.PHONY: format
format: $(VENV)/.dev ## Format the code and mend what can be mended
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

.PHONY: golden
golden: $(VENV)/.dev ## Rewrite the golden files (specs of the examples, schemas, OpenAPI, settings page)
	$(PY) utils/golden.py

.PHONY: ui
ui: ## Build the dashboard (needs Node.js); the result is committed, so that installing needs none
	cd server/ui/web && npm install --no-package-lock --no-audit --no-fund && npm run build

.PHONY: bench
bench: $(VENV)/.dev ## Measure the control plane, the stores and the CPU shares (ratios, printed and kept in results/)
	$(PY) -m benchmarks.run $(ARGS)

.PHONY: bench-placement
bench-placement: $(VENV)/.dev ## Measure the placements against reference results (MLOPX_BENCH_DATA names the data folder)
	$(PY) -m benchmarks.placement.run $(ARGS)

.PHONY: clean
clean: ## Remove the environment, caches and local state
	rm -rf $(VENV) .mlopx .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
