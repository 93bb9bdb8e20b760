# make demo         the whole pipeline on the embedded model, from a bare clone
# make demo SMALL=1 the same path in minutes; proves the path and nothing more
# make test         lint, types and the whole test suite
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SMALL ?=

.PHONY: demo test lint clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed-demo
	SMALL=$(SMALL) PATH="$(CURDIR)/$(BIN):$$PATH" launch/demo.sh

test: $(VENV)/.installed-test
	tests/install-debian-packages.sh
	$(MAKE) --no-print-directory lint
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "npc-align needs Python 3.11 or newer; try: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-demo: setup.py constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[train,demo]'
	@touch $@

$(VENV)/.installed-test: setup.py constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[train,deepspeed,demo,test]'
	@touch $@

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
