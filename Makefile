# A private .venv, then the work. `make run` and `make test` are all a newcomer needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CLIENTS ?= 2
NODES   ?= 1
SECONDS ?= 60

.PHONY: run test faults cluster fuzz bench lint config words clean

run: $(VENV)/installed$(if $(filter-out 1,$(NODES)),-cluster)
	$(BIN)/python launcher.py --clients $(CLIENTS) --nodes $(NODES)

test: $(VENV)/installed-tests
	$(BIN)/python -m pytest

# Kills the server 60 times and more, stalls readers, fills disks, breaks a cluster of three nodes in every way there is
# (networks are cut where this is done as root): about ten minutes; then says anything to it, as long again and more.
# `make test` has the short of it.
faults: $(VENV)/installed-tests
	FAULTS=long $(BIN)/python -m pytest tests/faults tests/spec/test_any_session.py -n 0

# What is promised of one server, asked of two that are one messenger: people of a test are dealt to them in turn.
cluster: $(VENV)/installed-tests
	$(BIN)/python -m pytest tests/spec tests/cluster --cluster

# Coverage-guided, on the wire alone; `make fuzz SECONDS=3600` for longer. What breaks it is written to .fuzz.
fuzz: $(VENV)/installed-tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz.wire --seconds $(SECONDS)

# Against other servers, which it installs where it can (as root, on Debian): about ten minutes. Best on a quiet machine.
bench: $(VENV)/installed
	$(BIN)/python -m benchmarks.peers install
	$(BIN)/python -m benchmarks.compare --write

lint: $(VENV)/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# config/*.ini, the manual pages and the tables of README, docs/client.md and docs/terminal.md are printed from what they are about; tests
# hold them to it.
config: $(VENV)/installed
	$(BIN)/python -m gmessenger server --print-config > config/server.ini
	$(BIN)/python -m gmessenger client --print-config > config/client.ini
	$(BIN)/python -m tests.readme
	$(BIN)/python -m tests.library
	$(BIN)/python -m tests.screen
	$(BIN)/python -m tests.manual

# The catalogs of what the client says: takes new sentences in, names those that nobody has translated yet, and compiles.
words: $(VENV)/installed-tests
	$(BIN)/python -m tests.words

$(VENV)/installed: setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/installed-cluster: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cluster]'
	touch $@

$(VENV)/installed-tests: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz
