# A private .venv, then the work. `make run` and `make test` are all a newcomer needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CLIENTS ?= 2
NODES   ?= 1
SECONDS ?= 60
WIRE    ?= plain
SUITE   ?= trixie
BENCH_PYTHON ?= $(firstword $(wildcard /usr/bin/python3) $(PYTHON))

# With RERUN_FAILED, what has failed beside other tests is run once more, alone.
rerun = $(if $(RERUN_FAILED),|| $(BIN)/python -m pytest -n 0 -rA --last-failed --last-failed-no-failures none $(1))

.PHONY: run test test-bare test-newest faults cluster web browser fuzz bench compare bench-quick page-load lint config words lock clean

run: $(VENV)/installed$(if $(filter-out 1,$(NODES)),-cluster)
	$(BIN)/python launcher.py --clients $(CLIENTS) --nodes $(NODES)

# RERUN_FAILED=1 runs what failed once more, one test at a time, and says which passed then: CI uses it, so that a busy
# machine does not throw a day's work away. What it names is to be mended.
test: $(VENV)/installed-tests
	$(BIN)/python -m pytest $(call rerun)

# Both commands of the README on a bare Debian that this makes and keeps, as an ordinary user; wants root. `make test-bare
# SUITE=forky` takes another release, and with it another Python.
test-bare:
	$(PYTHON) scripts/bare.py $(SUITE)

RANDOM_TESTS := $(addprefix tests/protocol/test_,random_sessions.py private_rooms_unseen.py room_model.py amendment_views.py)

# Kills the server 60 times and more, stalls readers, fills disks, breaks a cluster of three nodes in every way there is
# (networks are cut where this is done as root): about ten minutes; then says anything to it, as long again and more.
# `make test` has the short of it.
faults: $(VENV)/installed-tests
	FAULTS=long $(BIN)/python -m pytest tests/chaos $(RANDOM_TESTS) -n 0

# What is promised of one server, asked of two that are one messenger: people of a test are dealt to them in turn. With
# WIRE=web they come over WebSocket.
cluster: $(VENV)/installed-tests
	$(BIN)/python -m pytest tests/protocol tests/cluster --cluster --wire $(WIRE)

# What is promised over TCP, asked over WebSocket.
web: $(VENV)/installed-tests
	$(BIN)/python -m pytest tests/protocol --wire web $(call rerun,--wire web)

# The page in Chromium, which the system has (Debian: chromium, nodejs, npm). What drives it is installed into .browser;
# there, too, is what the screens looked like.
browser: $(VENV)/installed-tests .browser/installed
	$(BIN)/python -m pytest tests/browser tests/web_page -n 0 $(call rerun)

.browser/installed: tests/browser/package.json tests/browser/package-lock.json
	mkdir -p .browser
	cp $^ .browser
	npm ci --prefix .browser --no-audit --no-fund
	touch $@

# Coverage-guided: the wire, then folding, names, config files, the control socket and whole sessions, each for SECONDS;
# `make fuzz SECONDS=3600` for longer. What breaks one is written to .fuzz. `make test` has the short of it.
fuzz: $(VENV)/installed-tests $(VENV)/installed-fuzz
	$(BIN)/python -m tests.fuzz.wire --seconds $(SECONDS)
	set -e; for target in folding names config control sessions irc web; do $(BIN)/python -m tests.fuzz $$target --seconds $(SECONDS); done

# Against other servers, which it installs where it can (as root, on Debian): about twenty minutes. Best on a quiet machine.
# It runs gmessenger on the system's interpreter, which is built with optimisations; BENCH_PYTHON names another. `compare` is
# the same on that of .venv.
bench:
	$(MAKE) VENV=$(VENV)-bench PYTHON=$(BENCH_PYTHON) compare

compare: $(VENV)/installed
	$(BIN)/python -m benchmarks.servers install
	$(BIN)/python -m benchmarks.throughput --write

# The workloads that people feel, beside one IRC server where it is installed: about a minute, and nothing is written.
bench-quick: $(VENV)/installed
	$(BIN)/python -m benchmarks.throughput --rounds 2 --peers gmessenger,ngircd,ergo --seconds 0.7 \
		--only mixed-10,mixed-100,single-10,direct-10,room-100,stored-words,latency

# What a visit of the page costs on a slow line, in bytes and seconds; docs/web.md has the results. LOCALE=ru-RU for Russian.
page-load: $(VENV)/installed .browser/installed
	PYTHON=$(BIN)/python node benchmarks/page_load.js

lint: $(VENV)/installed-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# config/*.ini, the manual pages and the tables of docs/operations/configuration.md, docs/client.md and docs/terminal.md are printed from what they are about; tests
# hold them to it.
config: $(VENV)/installed
	$(BIN)/python -m gmessenger server --print-config > config/server.ini
	$(BIN)/python -m gmessenger client --print-config > config/client.ini
	$(BIN)/python -m scripts.option_tables
	$(BIN)/python -m scripts.client_tables
	$(BIN)/python -m scripts.terminal_tables
	$(BIN)/python -m scripts.man_pages

# The catalogs of what the client says: takes new sentences in, names those that nobody has translated yet, and compiles.
words: $(VENV)/installed-tests
	$(BIN)/python -m scripts.translations

# What was tested, and nothing else: the lock files hold each package and the setuptools that this one is built with.
# (pip takes no `-e .` where hashes are required, and a build in isolation would fetch whichever setuptools is newest.)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
define install
	$(PIP) --require-hashes -r $(1)
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@
endef

$(VENV)/created:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: requirements.txt setup.py pyproject.toml | $(VENV)/created
	$(call install,$<)

$(VENV)/installed-cluster: requirements-cluster.txt $(VENV)/installed
	$(call install,$<)

$(VENV)/installed-tests: requirements-dev.txt $(VENV)/installed
	$(call install,$<)

$(VENV)/installed-fuzz: requirements-fuzz.txt $(VENV)/installed
	$(call install,$<)

# The lock files, from the ranges in setup.py: only what has to change changes, unless UPGRADE=1 asks for the newest.
lock: | $(VENV)/created
	$(PIP) 'uv>=0.9'
	$(BIN)/python scripts/lock.py $(if $(UPGRADE),--upgrade)

# The suite with the newest of everything that setup.py allows, in a .venv of its own: what a locked one cannot see coming.
test-newest:
	$(PYTHON) -m venv --clear $(VENV)-newest
	$(VENV)-newest/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint]'
	$(VENV)-newest/bin/python -m pytest

clean:
	rm -rf $(VENV) $(VENV)-newest $(VENV)-bench .browser build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz
