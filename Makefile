# Two commands do all the set-up: `make demo` and `make test`. Everything lives in .venv; nothing else is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HINDSIGHT := .hindsight-venv
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The byte code of our modules is kept, whatever the machine's setting: some 200 programs are started that import them.
export PYTHONDONTWRITEBYTECODE :=
# A file stays in one process, for what its tests share; in the order of their names, those of Hindsight, which take longest,
# come first.
PYTEST := $(BIN)/python -m pytest -n $(or $(WORKERS),auto) --dist loadfile --no-loadscope-reorder

.PHONY: demo test check lint bench bench-latency clean

$(VENV)/.installed: pyproject.toml
	@echo "== making $(VENV) and installing IncidentOS (the first time takes some minutes: torch is large)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet 'pip>=25.1'
	$(PIP) install --quiet --editable . --group dev
	@touch $@

# The real Hindsight server, which the tests talk to, in an environment of its own (1.4 GB, some 80 seconds, once).
# Where that cannot be had, the tests that need it are skipped and say so, unless INCIDENTOS_REQUIRE_HINDSIGHT is set.
$(HINDSIGHT)/.installed: tests/hindsight/server.txt
	@echo "== installing the Hindsight server of the tests into $(HINDSIGHT)"
	test -x $(HINDSIGHT)/bin/python || $(PYTHON) -m venv $(HINDSIGHT)
	$(HINDSIGHT)/bin/python -m pip --disable-pip-version-check install --quiet -r $<
	@touch $@

demo: $(VENV)/.installed
	@echo "== the demo: a sample memory in a temporary folder, a real server, a real MCP client"
	$(BIN)/incidentos demo

test: $(VENV)/.installed
	@$(MAKE) --no-print-directory $(HINDSIGHT)/.installed || { test -z "$$INCIDENTOS_REQUIRE_HINDSIGHT" \
		&& echo "== no Hindsight server could be installed: the tests that need it are skipped"; }
	@echo "== all tests"
	$(PYTEST)

lint: $(VENV)/.installed
	@echo "== format, lint, types"
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# A developer's loop: what is fast and finds most.
check: lint
	@echo "== the fast tests"
	$(PYTEST) -q -m "not slow"

bench: $(VENV)/.installed
	@echo "== recall and confidence into bench/results.md (it needs ../shared/bench)"
	$(BIN)/python bench/run.py
	@echo "== confidence, cross-validated, into bench/confidence.md; a replay; recalibration, simulated"
	$(BIN)/python bench/fit_confidence.py --out bench/confidence.md --json bench/confidence.json
	$(BIN)/python bench/replay.py --json bench/replay.json
	$(BIN)/python bench/simulate_recalibration.py --json bench/recalibration.json
	@echo "== the pictures of the README, from the figures in bench/"
	$(BIN)/python bench/pictures.py

# An hour or two, and 25 GB of disk for the last size; on a machine that does nothing else, or the figures mean nothing.
bench-latency: $(VENV)/.installed
	@echo "== start-up, latency and memory at four sizes into bench/latency.jsonl (it needs ../shared/data)"
	$(BIN)/python bench/latency.py --incidents 1000 --append bench/latency.jsonl
	$(BIN)/python bench/latency.py --incidents 10000 --append bench/latency.jsonl
	$(BIN)/python bench/latency.py --incidents 100000 --vectors synthetic --append bench/latency.jsonl
	$(BIN)/python bench/latency.py --incidents 1000000 --vectors synthetic --append bench/latency.jsonl
	$(BIN)/python bench/pictures.py

clean:
	rm -rf $(VENV) $(HINDSIGHT) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
