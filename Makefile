# Every target works on a fresh clone: the environment is made when it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Without an NVIDIA driver the CPU build of torch is enough; elsewhere pip's own choice is right.
TORCH := $(shell command -v nvidia-smi >/dev/null 2>&1 && echo 'torch>=2.6,<3' || echo 'torch==2.13.0')
TORCH_INDEX := $(shell command -v nvidia-smi >/dev/null 2>&1 || echo '--extra-index-url https://download.pytorch.org/whl/cpu')
LIMIT ?= 4

.PHONY: install demo test test-all lint types bench clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=24'
	$(BIN)/python -m pip install --quiet '$(TORCH)'
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

demo: install
	$(BIN)/olmes run --suite dev --model smollm2 --limit $(LIMIT) --out runs

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

test: lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest -m 'not slow'

test-all: lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest

bench: install
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) build dist *.egg-info
