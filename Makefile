# Everything a developer types. `make` alone lists it.
# Needs Python 3.11 to 3.13 with pip; the rest goes into .venv.

.DEFAULT_GOAL := help

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
FOLDERS := domain services adapters actors http cli
STRICT := --no-build-isolation --config-settings editable_mode=strict -e

# Names are tried by running them: a name on PATH may be the shim of a version manager
# for a Python that is not installed.
NAMES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 /usr/bin/python3)
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
FIND_PYTHON = for it in $(NAMES); do if "$$it" -c '$(FITS)' 2>/dev/null; \
	then echo "$$it"; exit 0; fi; done; exit 1
LIST_PYTHON = for it in $(NAMES); do "$$it" -c \
	'import sys; print("  " + sys.executable, "is", sys.version.split()[0])' 2>/dev/null; done

# Whole files go to several workers at once, the long ones first (docs/adr/0033).
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

LIST_FILES = find $(FOLDERS) -type f ! -path '*/__pycache__/*' | LC_ALL=C sort

# What an installation says is only worth reading when it fails.
QUIETLY = > .venv/install.log 2>&1 || { cat .venv/install.log; exit 1; }

.NOTPARALLEL:

.PHONY: help
help: ## List what there is
	@echo "Postroom: make <target>"
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/\1#\2/p' $(MAKEFILE_LIST) | \
		while IFS='#' read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done
	@echo "ARGS='...' goes to the command, PYTHON=... chooses the Python (3.11 to 3.13)."

##### run it

.PHONY: run
run: .venv/embedded links ## Run everything here, send one email, show its way
	@exec $(BIN)/postroom stack run $(ARGS)

.PHONY: dev
dev: .venv/dev links ## The same with reload and logs (after editing code: nothing to do)
	@exec $(BIN)/postroom stack run --procfile Procfile.dev --follow $(ARGS)

##### test it

.PHONY: check
check: .venv/dev links ## Format check, lint, types, imports, all tests with coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest $(PARALLEL) --cov --cov-branch --cov-report= $(ARGS)
	$(BIN)/coverage report --fail-under=90
	$(BIN)/coverage report --include='*/domain/*,*/services/*' --fail-under=100

.PHONY: test
test: .venv/dev links ## All tests, on own stores or MONGODB_URI=... REDIS_URL=...
	$(BIN)/pytest $(PARALLEL) $(ARGS)

.PHONY: test-unit
test-unit: .venv/dev links ## The quick tests only
	$(BIN)/pytest $(PARALLEL) -m 'not e2e and not slow' $(ARGS)

.PHONY: test-e2e
test-e2e: .venv/dev links ## The tests on the real processes only
	$(BIN)/pytest $(PARALLEL) -m e2e $(ARGS)

.PHONY: prove
prove: .venv/dev links ## The same at their full size: outages, kills, backlogs (an hour or more)
	PROVE=full $(BIN)/pytest tests/model tests/stateful -s $(ARGS)
	PROVE=full $(BIN)/pytest -m e2e -s $(ARGS)

.PHONY: chaos
chaos: .venv/dev links ## Break everything under load for six minutes, and see what was lost (ARGS=--help)
	$(BIN)/python -m tests.chaos $(ARGS)

.PHONY: fuzz
fuzz: .venv/dev links ## Call the API with what openapi.json allows and forbids (ARGS=--help)
	$(BIN)/python -m tests.fuzz $(ARGS)

.PHONY: bench
bench: .venv/dev links ## Measure: POST, trips, CPU, pickup, drain, growth; five minutes (ARGS=--help)
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: test-watch
test-watch: .venv/dev links ## The quick tests, again after each change
	$(BIN)/ptw . --now --delay 0.5 --patterns '**/*.py' --ignore-patterns '**/.venv/**,**/build/**' \
		--runner make -s test-unit ARGS='$(ARGS)'

.PHONY: cover
cover: .venv/dev links ## All tests, and which lines and branches they miss, as HTML
	$(BIN)/pytest $(PARALLEL) --cov --cov-branch --cov-report=html --cov-report=term $(ARGS)
	@echo "see htmlcov/index.html"

.PHONY: format
format: .venv/dev ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

##### keep it

.PHONY: release
release: .venv/dev $(if $(DRY_RUN),,check) ## New version and changelog from the commits (DRY_RUN=1 shows them)
	$(BIN)/cz bump --changelog --yes $(if $(DRY_RUN),--dry-run) $(ARGS)

.PHONY: lock
lock: .venv/dev ## Take the newest versions that setup.cfg allows into the requirements
	./.ci/lock $(BIN)/python $(ARGS)

.PHONY: clean
clean: ## Remove what was built and installed; data in .postroom stays
	rm -rf .venv build dist htmlcov postroom.egg-info .coverage .coverage.*
	rm -rf .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

##### how it gets there

.venv/bin/python:
	@python=$$($(FIND_PYTHON)) || { \
		echo "Postroom needs Python 3.11, 3.12 or 3.13 (its embedded MongoDB stand-in"; \
		echo "has wheels for these). Found:"; $(LIST_PYTHON); \
		echo "Install one of them, or name it: make run PYTHON=/path/to/python3.13"; \
		exit 1; } >&2; \
	echo "making .venv with $$("$$python" -V)"; \
	"$$python" -m venv .venv > /dev/null 2>&1 || { rm -rf .venv; \
		"$$python" -m venv --without-pip .venv && \
		"$$python" -m pip --python .venv/bin/python install --quiet pip; }

.venv/embedded: setup.cfg pyproject.toml requirements-dev.txt | .venv/bin/python
	@echo "installing into .venv (a minute when it has to download) ..."
	@$(PIP) install 'setuptools>=77' $(QUIETLY)
	@$(PIP) install -c requirements-dev.txt $(STRICT) '.[embedded]' $(QUIETLY)
	@$(LIST_FILES) > .venv/files
	@touch $@

.venv/dev: setup.cfg pyproject.toml requirements-dev.txt | .venv/bin/python
	@echo "installing the tools too into .venv (a minute when it has to download) ..."
	@$(PIP) install 'setuptools>=77' $(QUIETLY)
	@$(PIP) install -c requirements-dev.txt $(STRICT) '.[embedded,dev]' $(QUIETLY)
	@$(LIST_FILES) > .venv/files
	@touch .venv/embedded $@

# The strict kind of editable installation links file by file, so that new files are
# not seen before the next one (docs/adr/0001-folders-as-subpackages.md).
.PHONY: links
links: | .venv/bin/python
	@$(LIST_FILES) | cmp -s - .venv/files || { \
		$(PIP) install --no-deps $(STRICT) . $(QUIETLY); $(LIST_FILES) > .venv/files; }
