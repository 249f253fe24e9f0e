# Guidon. Every target needs Python 3.11 or newer and nothing else: what it uses is installed into
# .venv, pinned and checked by hash. `make run` and `make docs` install only what they need.

PORT ?= 8000
# What Python compiles it keeps, whatever the shell says: tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

VENV ?= .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
STAMP := $(VENV)/.installed
RUN_STAMP := $(VENV)/.installed-to-run
DOCS_STAMP := $(VENV)/.installed-for-docs
VAR := $(or $(GUIDON_VAR_DIR),var)
DOCS := var/docs

# The first that is new enough and can make a .venv. 3.12 and 3.11 come first: for them Redis for
# the tests comes as a wheel. Another one: `make run PYTHON=/path/to/python`.
FITS := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.12 python3.11 python3.13 python3.14 python3 python; do \
	$$python -c '$(FITS)' >/dev/null 2>&1 && { echo $$python; break; }; done)

.PHONY: help run docs release check check-types check-contracts quick test test-deep chaos web asgi worker beat bench screenshots api-client messages format requirements hooks
.DEFAULT_GOAL := help

help:
	@echo 'make run           serve the demo at http://127.0.0.1:$(PORT)/ (PORT=… for another port)'
	@echo 'make docs          build the documentation, for reading without a network'
	@echo 'make check         ruff, mypy, import contracts, migrations, system checks: under a minute'
	@echo 'make quick         pytest of what you have changed, on SQLite and files: under a minute'
	@echo 'make release       check, build and tag a version (DRY_RUN=1: tag nothing)'
	@echo 'make test          every check, then all tests on SQLite and files, then on PostgreSQL and'
	@echo '                   Redis (ARGS="tests/users -k last_seen" runs a part, without the checks)'
	@echo 'make test-deep     the same, with random examples, eighty times as many, and more forks'
	@echo 'make chaos         kill and freeze the servers under load; fails on a broken bound'
	@echo 'make web           gunicorn with the settings of .env (also: make asgi, make worker, make beat)'
	@echo 'make bench         measure, as ratios (ARGS="matching --json FILE" to choose)'
	@echo 'make screenshots   take the pictures of the tour again (needs chromium)'
	@echo 'make api-client    generate and type-check the REST clients: Python and TypeScript (needs npm;'
	@echo '                   ARGS="--url https://…" of a server, ARGS="--only python")'
	@echo 'make messages      write the texts that a translation begins with (needs gettext)'
	@echo 'make format        let ruff lay out the code'
	@echo 'make requirements  compile requirements/*.in into pinned *.txt'
	@echo 'make hooks         run the quick checks before each commit'

# Three sets of packages for one .venv. They never disagree: each pins what dev.txt pins.
$(STAMP): requirements/dev.txt
$(RUN_STAMP): requirements/base.txt
$(DOCS_STAMP): requirements/docs.txt

$(STAMP) $(RUN_STAMP) $(DOCS_STAMP):
	@$(or $(PYTHON),python3) -c '$(FITS)' >/dev/null 2>&1 || { \
		echo 'Guidon needs Python 3.11 or newer, with its modules venv and ensurepip' >&2; \
		echo '(Debian and Ubuntu: apt-get install python3-venv). Found: "$(PYTHON)".' >&2; \
		echo 'Name another one: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@echo 'Installing $< into $(VENV) (once, and whenever that file changes)…'
	@test -x $(BIN)/python || $(or $(PYTHON),python3) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		--requirement $<
	@touch $@

run: $(RUN_STAMP)
	@$(BIN)/python -m config.run_demo $(PORT) $(VAR)/flags.json

docs: $(DOCS_STAMP)
	@rm -rf $(DOCS)
	@$(BIN)/zensical build --strict --clean
	@echo 'Read it: $(abspath $(DOCS))/index.html, or /docs/ while `make run` is running.'

release: $(STAMP)
	$(BIN)/python -m tests.release $(if $(DRY_RUN),--dry-run)

# mypy takes as long as all the others: they run beside it.
check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory --jobs=2 check-types check-contracts

check-types: $(STAMP)
	$(BIN)/mypy .

check-contracts: $(STAMP)
	$(BIN)/lint-imports
	$(MANAGE) makemigrations --check --dry-run
	$(BIN)/python -m tests.migration_lint
	$(MANAGE) check

quick: $(STAMP)
	@$(BIN)/python -m tests.quick $(ARGS)

test: $(if $(ARGS),$(STAMP),check)
	$(BIN)/python -m tests.run $(ARGS)

test-deep: check
	HYPOTHESIS_PROFILE=deep $(BIN)/python -m tests.run $(ARGS)

chaos: $(STAMP)
	$(BIN)/python -m tests.chaos $(ARGS)

# The processes of compose.yaml without Docker, with the servers that .env or the shell names.
web asgi worker beat: export DJANGO_SETTINGS_MODULE ?= config.settings.production

web: $(STAMP)
	@$(MANAGE) collectstatic --noinput --verbosity 0
	$(BIN)/gunicorn --config config/gunicorn.py config.wsgi:application

asgi: $(STAMP)
	$(BIN)/gunicorn --config config/gunicorn.py --bind 0.0.0.0:8001 --workers 1 --worker-class uvicorn_worker.UvicornWorker config.asgi:application

worker: $(STAMP)
	$(BIN)/celery -A config worker --loglevel=INFO --concurrency=2

beat: $(STAMP)
	$(BIN)/celery -A config beat --loglevel=INFO --schedule=$(VAR)/beat

bench: $(STAMP)
	$(BIN)/python -m tests.benchmarks $(ARGS)

screenshots: $(STAMP)
	$(BIN)/python -m tests.browser.pictures

api-client: $(STAMP)
	@$(BIN)/python -m tests.clients.generate $(ARGS)

messages: $(STAMP)
	@$(BIN)/python -m tests.messages

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

requirements: $(STAMP)
	for name in dev base production docs; do \
		[ $$name = dev ] && limits= || limits='--constraint requirements/dev.txt'; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $$limits \
			--no-header --no-annotate requirements/$$name.in --output-file requirements/$$name.txt \
		|| exit 1; done

hooks: $(STAMP)
	$(BIN)/pre-commit install
