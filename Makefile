# Guidon. `make run` and `make test` need Python 3.11 or newer and nothing else: what they use is
# installed into .venv, pinned and checked by hash.

PORT ?= 8000
VENV ?= .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
STAMP := $(VENV)/.installed

# The first that is new enough and can make a .venv. 3.12 and 3.11 come first: for them Redis for
# the tests comes as a wheel. Another one: `make run PYTHON=/path/to/python`.
FITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.12 python3.11 python3.13 python3.14 python3 python; do \
	$$python -c '$(FITS)' >/dev/null 2>&1 && { echo $$python; break; }; done)

.PHONY: help run test test-deep lint bench screenshots format requirements hooks
.DEFAULT_GOAL := help

help:
	@echo 'make run           serve the demo at http://127.0.0.1:$(PORT)/ (PORT=… for another port)'
	@echo 'make test          every check, and pytest on SQLite and files, then PostgreSQL and Redis'
	@echo 'make test-deep     the same with ten times the examples, chosen at random, and more forks'
	@echo 'make lint          the checks alone'
	@echo 'make bench         measure, as ratios (ARGS="matching --json FILE" to choose)'
	@echo 'make screenshots   take the pictures of the README anew (needs chromium)'
	@echo 'make format        let ruff lay out the code'
	@echo 'make requirements  compile requirements/*.in into pinned *.txt'
	@echo 'make hooks         run the quick checks before each commit'

$(STAMP): requirements/dev.txt
	@$(or $(PYTHON),python3) -c '$(FITS)' >/dev/null 2>&1 || { \
		echo 'Guidon needs Python 3.11 or newer, with its modules venv and ensurepip' >&2; \
		echo '(Debian and Ubuntu: apt-get install python3-venv). Found: "$(PYTHON)".' >&2; \
		echo 'Name another one: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@echo 'Installing into $(VENV) (once, and whenever requirements/dev.txt changes)…'
	@$(or $(PYTHON),python3) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		--requirement requirements/dev.txt
	@touch $@

run: $(STAMP)
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) seed_demo --if-empty
	@$(MANAGE) run_due_tasks
	@echo 'Guidon: http://127.0.0.1:$(PORT)/   admin: http://127.0.0.1:$(PORT)/admin/   Ctrl-C ends it.'
	@$(MANAGE) runserver 127.0.0.1:$(PORT)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) check

test: lint
	$(BIN)/python -m tests.run

test-deep: lint
	HYPOTHESIS_PROFILE=deep $(BIN)/python -m tests.run

bench: $(STAMP)
	$(BIN)/python -m tests.benchmarks $(ARGS)

screenshots: $(STAMP)
	$(BIN)/python -m tests.browser.pictures

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

requirements: $(STAMP)
	for name in base production dev; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
			--no-header --no-annotate requirements/$$name.in --output-file requirements/$$name.txt \
		|| exit 1; done

hooks: $(STAMP)
	$(BIN)/pre-commit install
