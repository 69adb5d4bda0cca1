# Two commands: `make book` and `make test`; `make bench` measures. All make .venv on first use.
export PROFILE ?= paper
PYTHON ?= python3
JOBS ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
BIN := .venv/bin

ifeq ($(filter $(PROFILE),paper quick),)
$(error PROFILE must be paper or quick, got '$(PROFILE)')
endif

.PHONY: book test bench readme clean

book: .venv/installed
	$(BIN)/python -m doit --file dodo.py -n $(JOBS)

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(MAKE) book PROFILE=quick
	$(BIN)/pytest -n $(JOBS) --dist worksteal
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest tests/kernels

bench: .venv/installed
	$(BIN)/python -m malfl.companion.benchmarks --folder _build/bench

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[book,control,test]'
	touch $@

# What the README shows of the scorecard, and how long chapters take, from the paper profile.
readme: .venv/installed
	PROFILE=paper $(BIN)/python -m doit --file dodo.py readme

clean:
	rm -rf _build
