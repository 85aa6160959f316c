# What a newcomer needs: `make up` and `make test`. Each installs what it needs into .venv first.
#   make up PORT=9000 DATA=/big/disk    another port, another folder for everything that is written
#   make up PYTHON=/path/to/python3.12  another Python
SHELL := /bin/sh
.DEFAULT_GOAL := help
export PYTHON

SAMPLE := k8s/samples/quickstart.yaml

.PHONY: help up test test-kube test-faults evaluate bench bench-quick install install-dev lint audit fix clean

up: install ## Start RagIndex with the sample handbook; Ctrl-C stops it
	@exec .venv/bin/ragindex up -f $(SAMPLE) $(if $(PORT),--port '$(PORT)') $(if $(DATA),--data '$(DATA)')

test: install-dev ## Run the tests: each brings along what it needs; the first run builds a control plane (needs Go)
	@.venv/bin/pytest -n 2 --dist loadfile tests/unit $(ARGS) || [ $$? -eq 5 ] # 5: ARGS choose none of these
	@.venv/bin/pytest -n 2 --dist loadfile tests/integration tests/kube $(ARGS)

test-kube: install-dev ## Run the tests on a real Kubernetes API server at their full length
	@RAGINDEX_KUBE=long .venv/bin/pytest tests/kube $(ARGS)

test-faults: install-dev ## Run the tests that kill things and those that attack, at their full length
	@RAGINDEX_FAULTS=long .venv/bin/pytest tests/integration/faults tests/integration/attack $(ARGS)

evaluate: install-dev ## Measure how well search finds, on the corpora in RAGINDEX_DATA; see docs/quality.md
	@.venv/bin/python benchmarks/quality.py $(ARGS)

bench: install-dev ## Measure speed on this machine, half an hour or so: figures and charts in docs/benchmarks.md
	@.venv/bin/python -m benchmarks run $(ARGS)

bench-quick: install-dev ## The same on less data, some minutes, to get a feeling
	@.venv/bin/python -m benchmarks run --quick $(ARGS)

install: ## Install what `make up` needs; leaves .venv/bin/ragindex
	@sh make/install run

install-dev: ## Install what working on RagIndex needs
	@sh make/install dev

lint: install-dev ## Check style, types and layers
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(foreach script,$(wildcard lint/*.py),.venv/bin/python $(script) && ) true

audit: install-dev ## Ask pip's index for known vulnerabilities of the pinned packages
	@.venv/bin/python make/audit run

fix: install-dev ## Mend what the linters can mend by themselves
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

clean: ## Remove .venv and caches; the data in .ragindex stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'
