# Needs Python 3.11 or newer, make, and a package registry. Installs everything else into virtual environments beside this file.

PYTHON ?= python3
UNIT ?= unit
ORACLE_CASES ?= 100000
OBSERVATORY_CASES ?= 30000
OBSERVATORY_OPTIONS ?=
INSIDE_VERSIONS ?= 12
RESET_HISTORIES ?= 2000
PYTHONS ?= 3.11,3.12,3.13,3.14,3.14t
EXAMPLES ?= here
SHARES ?= 1
FUZZ_SECONDS ?= 60
BENCH_MEMBERS ?= 1000 10000

# The last line that a target prints is its result, which `make test` shows again at its end.
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PYTEST := $(BIN)/python -m pytest --quiet

# A stamp has the checksum of the file that lists the packages: a changed file makes the environment anew.
CHECKSUM := $(firstword $(shell cksum < pyproject.toml))
RUNTIME := $(VENV)/.runtime-$(CHECKSUM)
DEV := $(VENV)/.dev-$(CHECKSUM)
DOCS := $(VENV)/.docs-$(CHECKSUM)

# Tools with many dependencies get an environment of their own.
FUZZ_VENV := .venv-fuzz
FUZZ := $(FUZZ_VENV)/.stamp-$(CHECKSUM)
MUTANTS_VENV := .venv-mutants
MUTANTS := $(MUTANTS_VENV)/.stamp-$(CHECKSUM)

RELEASE_VENV := .venv-release
RELEASE := $(RELEASE_VENV)/.stamp-$(CHECKSUM)
RELEASE_TESTS ?= tests

BROWSER_VENV := .venv-browser
BROWSER := $(BROWSER_VENV)/.stamp-$(CHECKSUM)

DASK_VENV := .venv-dask
DASK := $(DASK_VENV)/.stamp-$(CHECKSUM)

# Synapse is run, never imported, so it has an environment of its own. To use another one, set SYNAPSE_PYTHON to its interpreter.
ifeq ($(strip $(SYNAPSE_PYTHON)),)
SYNAPSE_VENV := .venv-synapse
SYNAPSE_REQUIREMENTS := tests/oracle_synapse/requirements.txt
SYNAPSE_PYTHON := $(CURDIR)/$(SYNAPSE_VENV)/bin/python
SYNAPSE := $(SYNAPSE_VENV)/.stamp-$(firstword $(shell cksum < $(SYNAPSE_REQUIREMENTS)))
endif

# The program that asks ruma is built where there is a cargo, and left out elsewhere. To use one that was built before, set RUMA to it.
ifeq ($(strip $(RUMA)),)
ifneq ($(shell command -v cargo),)
RUMA := build/ruma/release/ruma-bin
endif
endif

# The same for the program that asks gomatrixserverlib, and go.
ifeq ($(strip $(GOMATRIXSERVERLIB)),)
ifneq ($(shell command -v go),)
GOMATRIXSERVERLIB := build/gomatrixserverlib/ask
endif
endif

.PHONY: help
help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*##  */make \1: /p' Makefile

.PHONY: demo
demo: $(RUNTIME)  ## a conversation between servers, printed
	$(BIN)/python docs/examples/demo.py

.PHONY: test
test: $(DEV)  ## format, types, tests, examples, package; leaves out the long tests
	@.ci/stages 'make lint' 'make types' 'make $(UNIT)' 'make doctest' 'make smoke' 'make package'

# Measuring coverage doubles the time of the tests, so `make test` does not. CI's first stage is `make test UNIT=coverage`.
.PHONY: coverage
coverage: $(DEV)  ## all unit tests, the long ones too; fails if they miss a branch
	$(PYTEST) -n auto --dist worksteal --cov --cov-report=term

.PHONY: interop
interop: $(DEV) $(SYNAPSE)  ## against a real Synapse on loopback
	SYNAPSE_PYTHON='$(SYNAPSE_PYTHON)' $(PYTEST) -m interop tests/interop

.PHONY: oracle
oracle: $(DEV) $(SYNAPSE)  ## ORACLE_CASES cases, judged by Synapse too
	SYNAPSE_PYTHON='$(SYNAPSE_PYTHON)' ORACLE_CASES='$(ORACLE_CASES)' $(PYTEST) -m oracle tests/oracle_synapse tests/bench_synapse

# A toolchain that is missing is said, and its engine left out. The page is written only if all are there.
.PHONY: observatory
observatory: $(DEV) $(SYNAPSE) $(RUMA) $(GOMATRIXSERVERLIB)  ## OBSERVATORY_CASES cases by Synapse, ruma and gomatrixserverlib; writes docs/explanation/observatory.md
	RUMA='$(RUMA)' $(PYTEST) -m observatory tests/observatory
	PYTHONPATH=src:. SYNAPSE_PYTHON='$(SYNAPSE_PYTHON)' RUMA='$(RUMA)' GOMATRIXSERVERLIB='$(GOMATRIXSERVERLIB)' \
	  $(BIN)/python -m tests.observatory --cases $(OBSERVATORY_CASES) $(OBSERVATORY_OPTIONS)

.PHONY: observatory-speed
observatory-speed: $(DEV) $(SYNAPSE) $(RUMA) $(GOMATRIXSERVERLIB)  ## the same work by all of them, in turns; writes it into the same page
	PYTHONPATH=src:. SYNAPSE_PYTHON='$(SYNAPSE_PYTHON)' RUMA='$(RUMA)' GOMATRIXSERVERLIB='$(GOMATRIXSERVERLIB)' \
	  $(BIN)/python -m tests.observatory.speed

# Each flow is played in INSIDE_VERSIONS of the twelve room versions.
.PHONY: inside-synapse
inside-synapse: $(DEV) $(SYNAPSE)  ## two Synapses with these rules inside, and without, answer alike
	SYNAPSE_PYTHON='$(SYNAPSE_PYTHON)' INSIDE_VERSIONS='$(INSIDE_VERSIONS)' $(PYTEST) -m interop -s tests/inside_synapse

# SYNAPSE_SOURCE is a folder with Synapse's source. Its tests need the package parameterized in Synapse's environment.
.PHONY: inside-synapse-source
inside-synapse-source: $(DEV) $(SYNAPSE)  ## tests of Synapse's own source, with these rules inside and without
	SYNAPSE_PYTHON='$(SYNAPSE_PYTHON)' PYTHONPATH=src:. $(BIN)/python -m tests.inside_synapse.source '$(SYNAPSE_SOURCE)'

# NIO_SOURCE is a folder with matrix-nio's source, of the release that is installed.
.PHONY: inside-nio
inside-nio: $(DEV)  ## matrix-nio's own tests of events, with power levels by the rules inside
	NIO_SOURCE='$(NIO_SOURCE)' $(PYTEST) -m observatory tests/inside_nio

.PHONY: diagnoses
diagnoses: $(DEV)  ## how often is the right cause of a failed handshake found, in every version?
	$(PYTEST) -n auto -m slow tests/federation/diagnosis

.PHONY: statistics
statistics: $(DEV)  ## do the strategies reach every rule of every version, and find planted mistakes?
	$(PYTEST) -n auto -m slow tests/strategies/test_cases.py tests/strategies/test_agreement.py -k 'reach or Planted'

.PHONY: resolution
resolution: $(DEV)  ## 20,000 rooms by two implementations; RESET_HISTORIES planted resets, ten times as many clean histories; servers that were cut apart agree
	RESET_HISTORIES='$(RESET_HISTORIES)' $(PYTEST) -n auto -m slow tests/resolution tests/strategies/test_convergence.py

.PHONY: test-all
test-all:  ## the unit tests with every Python of this machine, and with the oldest packages
	PYTHONS='$(PYTHONS)' EXAMPLES='$(EXAMPLES)' SHARES='$(SHARES)' .ci/pythons

.PHONY: release-check
release-check: $(RELEASE)  ## could a release be cut? builds it, installs it, and runs RELEASE_TESTS of the source distribution
	PYTHONPATH=src:. $(RELEASE_VENV)/bin/python -m tests.release --tests '$(RELEASE_TESTS)'

# Pages of the site and of the commands. Chromium is the machine's own.
.PHONY: browser
browser:  ## open the pages in a headless Chromium, where there is one
ifeq ($(shell command -v chromium || command -v chromium-browser),)
	@echo 'left out: no chromium in PATH to open the pages in'
else
	@$(MAKE) $(BROWSER)
	$(BROWSER_VENV)/bin/python -m sphinx -W --keep-going --quiet -b html docs build/docs
	$(BROWSER_VENV)/bin/python -m pytest --quiet -m browser tests/browser
endif

.PHONY: dask
dask: $(DASK)  ## forks of 1,000 rooms, audited by a Dask cluster of two worker processes
	$(DASK_VENV)/bin/python -m pytest -m 'slow or not slow' -s tests/dask

.PHONY: mutants
mutants: $(MUTANTS)  ## does a test fail when a line of the rules is wrong?
	$(MUTANTS_VENV)/bin/python -m tests.mutants

.PHONY: fuzz
fuzz: $(FUZZ)  ## FUZZ_SECONDS of input that atheris finds, for exceptions, time and memory
	mkdir -p build/fuzz/corpus
	PYTHONPATH=src:. $(FUZZ_VENV)/bin/python -m tests.fuzz -max_total_time=$(FUZZ_SECONDS) -max_len=512 -timeout=60 -artifact_prefix=build/fuzz/ build/fuzz/corpus

.PHONY: vectors
vectors: $(DEV)  ## write docs/vectors
	PYTHONPATH=src:. $(BIN)/python -m tests.vectors

.PHONY: bench
bench: $(DEV)  ## measure, and write the table of docs/explanation/performance.md
	PYTHONPATH=src:. $(BIN)/python -m tests.bench

# Both engines run in one process, with the Python of the environment of Synapse.
.PHONY: bench-synapse
bench-synapse: $(DEV) $(SYNAPSE) $(RUMA)  ## the same work by Synapse's functions, in turns; answers of BENCH_MEMBERS; states resolved by ruma too, where there is a cargo
	PYTHONPATH=src:. $(BIN)/python -m tests.bench_synapse.rooms build/bench-synapse/rooms.json --members $(BENCH_MEMBERS)
	PYTHONPATH=src:.:docs/examples RUMA='$(RUMA)' '$(SYNAPSE_PYTHON)' -m tests.bench_synapse build/bench-synapse/rooms.json

.PHONY: bench-short
bench-short: $(DEV)  ## hold the bounds that do not depend on the machine
	$(PYTEST) -m 'bench and slow' -s tests/bench

.PHONY: docs
docs: $(DOCS)  ## build/docs/index.html
	$(BIN)/python -m sphinx -W --keep-going --quiet -b html docs build/docs

# The playground is apart, so that `make docs` needs no npm. A browser loads it from a server only.
.PHONY: playground
playground: $(DOCS)  ## build/docs/playground: ask the rules in a browser, where there is an npm to fetch Pyodide
ifeq ($(shell command -v npm),)
	@echo 'left out: no npm in PATH to fetch Pyodide'
else
	$(BIN)/python docs/playground/build.py
	@echo 'build/docs/playground is made; to open it: python3 -m http.server --bind 127.0.0.1 --directory build/docs'
endif

.PHONY: lint
lint: $(DEV)  ## format, rules
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .

.PHONY: types
types: $(DEV)  ## mypy and pyright, both strict, and the types of the public names
	$(BIN)/python -m mypy
	$(PYTEST) -m types tests/typing

.PHONY: format
format: $(DEV)  ## format, and fix what can be fixed
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

.PHONY: clean
clean:  ## remove what was built, the environments included
	rm -rf .venv .venv-* build dist .coverage .coverage.* .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# ------------------------------------------------------------------ parts of `make test`

.PHONY: unit
unit: $(DEV)
	LONG=no $(PYTEST) -n auto --dist worksteal

# Examples of docstrings and pages run apart from the tests, so that they do not count as coverage.
.PHONY: doctest
doctest: $(DEV)
	$(PYTEST) -n auto --doctest-modules --ignore=docs/conf.py --ignore=docs/examples --ignore=docs/playground src README.md docs

# Run each benchmark once without measuring, so that a busy machine does not fail the run.
.PHONY: smoke
smoke: $(DEV)
ifneq ($(wildcard tests/bench/test_*.py),)
	$(PYTEST) -m 'bench and not slow' --benchmark-disable tests/bench
endif

# Import the wheel without installing it: a pure-Python wheel allows that.
.PHONY: package
package: $(DEV)
	rm -rf build/package
	$(BIN)/python -m build --wheel --no-isolation --outdir build/package > /dev/null
	PYTHONPATH=$$(echo build/package/*.whl) $(BIN)/python -W error -c \
	  'import importlib.resources as r, matrix_membership as m; \
	  assert ".whl" in m.__file__, m.__file__; \
	  assert r.files(m).joinpath("py.typed").is_file(), "py.typed is not in the wheel"; \
	  print("the wheel imports, and has its types")'

# ------------------------------------------------------------------ environments

$(RUNTIME):
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[examples]'
	touch $@

$(DEV): $(RUNTIME)
	$(PIP) --editable '.[dev]'
	touch $@

$(DOCS): $(RUNTIME)
	$(PIP) --editable '.[docs,testing]'
	touch $@

$(SYNAPSE):
	rm -rf $(SYNAPSE_VENV)
	$(PYTHON) -m venv $(SYNAPSE_VENV)
	$(SYNAPSE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(SYNAPSE_REQUIREMENTS)
	touch $@

build/ruma/release/ruma-bin: tests/observatory/rust/Cargo.toml $(wildcard tests/observatory/rust/src/*.rs)
	CARGO_TARGET_DIR=build/ruma cargo build --quiet --release --manifest-path $<
	touch $@

build/gomatrixserverlib/ask: $(wildcard tests/observatory/go/*.go tests/observatory/go/go.*)
	cd tests/observatory/go && go build -trimpath -o $(CURDIR)/$@ .

$(FUZZ):
	rm -rf $(FUZZ_VENV)
	$(PYTHON) -m venv $(FUZZ_VENV)
	$(FUZZ_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	touch $@

$(RELEASE):
	rm -rf $(RELEASE_VENV)
	$(PYTHON) -m venv $(RELEASE_VENV)
	$(RELEASE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[release]'
	touch $@

$(BROWSER):
	rm -rf $(BROWSER_VENV)
	$(PYTHON) -m venv $(BROWSER_VENV)
	$(BROWSER_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[browser]'
	touch $@

$(DASK):
	rm -rf $(DASK_VENV)
	$(PYTHON) -m venv $(DASK_VENV)
	$(DASK_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dask]'
	touch $@

$(MUTANTS):
	rm -rf $(MUTANTS_VENV)
	$(PYTHON) -m venv $(MUTANTS_VENV)
	$(MUTANTS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[mutants]'
	touch $@
