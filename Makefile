# Everything a developer or a first-time user types. `make help` lists it.
#
# Each target installs what it needs into .venv, from the lock files and with their hashes, and does
# so again only after a lock file has changed. It uses uv if that is on the PATH, since uv is faster;
# pip is enough.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
SEED ?= 1

# $(call install,LOCK FILE)
define install
	@echo "Installing $(1) into .venv …"
	@if command -v uv >/dev/null 2>&1; then \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-build.lock -r $(1) && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock -r $(1) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
endef

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up
up: .venv/.runtime ## run Sigil on this machine (ARGS="--port 9000" passes options on)
	@$(BIN)/sigil up $(ARGS)

.PHONY: install
install: .venv/.runtime ## install what running Sigil needs into .venv

.PHONY: dev
dev: .venv/.dev ## install what developing Sigil needs into .venv

SYNAPSE := tests/peers/synapse

.PHONY: synapse
synapse: $(SYNAPSE)/.venv/.made ## install the Matrix server of the tests, in an environment of its own

$(SYNAPSE)/.venv/.made: $(SYNAPSE)/requirements.lock
	@rm -rf $(SYNAPSE)/.venv && $(PYTHON) -m venv $(SYNAPSE)/.venv
	@$(SYNAPSE)/.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Most tests wait rather than compute, so there are more processes than processors. Tests of one group
# run one after the other in one process, and the slow ones start first (tests/conftest.py).
PARALLEL := -n 4 --dist loadgroup --no-loadscope-reorder

.PHONY: test
test: .venv/.dev ## run the tests (ARGS="-k lanes" passes options on, "-n 0" runs one process)
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

.PHONY: quick
quick: .venv/.dev ## run the tests that take no more than a few seconds each
	@$(BIN)/python -m pytest $(PARALLEL) -m "not slow" $(ARGS)

.PHONY: hostile
hostile: .venv/.dev ## send 10,000 hostile bodies to each kind of hook, with and without a proof (ARGS as for test)
	@SIGIL_HOSTILE_BODIES=10000 $(BIN)/python -m pytest -n 2 tests/web/hooks/test_hostile_bodies.py $(ARGS)

.PHONY: lint
lint: .venv/.dev ## check style, types and the direction of imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: format
format: .venv/.dev ## put the code into its one style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: bench
bench: .venv/.dev ## compare the whole pipeline with raw Celery (ARGS=--scale: more agents and sessions)
	@$(BIN)/python benchmarks/pipeline.py $(ARGS)

.PHONY: bench-streams
bench-streams: .venv/.dev ## read 1,000 streams of tokens, next to the vendors' SDKs, in one run
	@$(BIN)/python benchmarks/streams.py $(ARGS)

.PHONY: chaos
chaos: .venv/.dev ## kill, cut, freeze and fill everything for a minute and count (SEED=n)
	@$(BIN)/python -m tests.chaos --seed $(SEED) $(ARGS)

.PHONY: chaos-channels
chaos-channels: .venv/.dev ## kill gateway and outbound workers between Telegram's people and the bot (SEED=n)
	@$(BIN)/python -m tests.chaos.channels --seed $(SEED) $(ARGS)

.PHONY: mutants
mutants: .venv/.dev ## show that tests fail once a safeguard is switched off (ARGS=--quick: no chaos run)
	@$(BIN)/python -m tests.chaos.mutants $(ARGS)

# The first line checks that all extras can be installed together. The dev lock is resolved within
# the versions of the runtime lock, and the build lock within those of both, so the three never
# disagree. Extras stay in them: the pip of Python 3.11 takes `name` for another package than
# `name[extra]`, and would look for the newest of that.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-strip-extras --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
.PHONY: lock
lock: ## resolve the lock files again, within the floors of pyproject.toml (needs uv; ARGS=--upgrade)
	@command -v uv >/dev/null 2>&1 || { echo "make lock needs uv: https://docs.astral.sh/uv/" >&2; exit 1; }
	@$(COMPILE) --all-extras pyproject.toml $(ARGS) >/dev/null
	@$(COMPILE) pyproject.toml -o requirements.lock $(ARGS)
	@$(COMPILE) --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock $(ARGS)
	@printf 'hatchling>=1.27\neditables>=0.5\n' | $(COMPILE) -c requirements-dev.lock - -o requirements-build.lock $(ARGS)
	@$(COMPILE) $(SYNAPSE)/requirements.in -o $(SYNAPSE)/requirements.lock $(ARGS)

.PHONY: clean
clean: ## remove .venv and everything that tools have left behind
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A .venv that works is kept, no matter who made it.
.venv/.made:
	@if $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
		touch $@; exit 0; \
	fi; \
	found=; \
	for candidate in "$(PYTHON)" python3.13 python3.12 python3.11; do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
			found=$$candidate; break; \
		fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "Sigil needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
		echo "Install one, or name it: make PYTHON=/path/to/python3.12 …" >&2; \
		exit 1; \
	fi; \
	if ! "$$found" -c 'import venv, ensurepip' >/dev/null 2>&1; then \
		echo "'$$found' cannot make virtual environments." >&2; \
		echo "On Debian and Ubuntu: sudo apt install python3-venv" >&2; \
		exit 1; \
	fi; \
	rm -rf .venv && "$$found" -m venv .venv && touch $@

.venv/.runtime: .venv/.made requirements.lock requirements-build.lock pyproject.toml
	$(call install,requirements.lock)
	@touch $@

# The dev lock contains all of the runtime lock.
.venv/.dev: .venv/.made requirements.lock requirements-dev.lock requirements-build.lock pyproject.toml
	$(call install,requirements-dev.lock)
	@touch .venv/.runtime $@
