# Every target works on a fresh clone: the environment is made when it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Without an NVIDIA driver the CPU build of torch is enough: gigabytes of CUDA stay away.
ifeq (,$(shell command -v nvidia-smi 2>/dev/null))
TORCH := torch==2.13.0
CPU_WHEELS := https://download.pytorch.org/whl/cpu
TORCH_INDEX = $(shell curl -sfo /dev/null --max-time 3 $(CPU_WHEELS)/torch/ && echo --extra-index-url $(CPU_WHEELS))
else
TORCH := torch>=2.6,<3
endif
LIMIT ?= 2

.PHONY: install demo test test-all lint types bench clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet '$(TORCH)' $(TORCH_INDEX)
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
