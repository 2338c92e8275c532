# Every target works on a fresh clone: the environment is made when it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VLLM := .venv-vllm
# Without an NVIDIA driver the CPU build of torch is enough: gigabytes of CUDA stay away.
ifeq (,$(shell command -v nvidia-smi 2>/dev/null))
TORCH := torch==2.13.0
CPU_WHEELS := https://download.pytorch.org/whl/cpu
TORCH_INDEX = $(shell curl -sfo /dev/null --max-time 3 $(CPU_WHEELS)/torch/ && echo --extra-index-url $(CPU_WHEELS))
else
TORCH := torch>=2.6,<3
endif

.PHONY: install demo demo-record demo-train demo-data test test-all test-vllm lint types bench mutants clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet '$(TORCH)' $(TORCH_INDEX)
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

demo: install
	$(BIN)/olmes demo

# Makes the answers that `make demo` replays: an hour on two cores, and the same command resumes.
demo-record: install
	$(BIN)/python -m olmes.demo.record demo-record

demo-train: install
	$(BIN)/olmes train chain demo --out trained/demo

# The data side on bundled data and the embedded model; the first line's exit status 1 says what it shows.
demo-data: install
	$(BIN)/olmes decontaminate small-leaked --against dev --report demo-data/overlap --out demo-data/clean || test $$? -eq 1
	$(BIN)/olmes synth personas demo-personas --out demo-data/personas
	$(BIN)/olmes synth preferences demo-preferences --out demo-data/preferences
	$(BIN)/olmes train reward small-reward --out demo-data/reward --set optimization.max_steps=6
	$(BIN)/olmes train mix demo-mix --out demo-data/mix
	@echo "pages: $$(ls demo-data/*/*.html demo-data/*/*/*.html | tr '\n' ' ')"

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

test: lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest -m 'not slow' -n auto --maxprocesses 4

test-all: lint types
	OMP_NUM_THREADS=1 $(BIN)/pytest

# vLLM pins its own torch and transformers, so it has an environment of its own.
test-vllm: $(VLLM)/.installed
	VLLM_CPU_KVCACHE_SPACE=1 VLLM_CPU_OMP_THREADS_BIND=nobind OMP_NUM_THREADS=1 \
		$(VLLM)/bin/python -m pytest tests/olmes/models/test_vllm.py \
		tests/trainers/ppo/test_ppo_vllm.py tests/trainers/test_rl_vllm.py

$(VLLM)/.installed: pyproject.toml bench/files/vllm_environment.py
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet 'setuptools>=77,<81' '$(TORCH)' $(TORCH_INDEX)
	$(VLLM)/bin/python bench/files/vllm_environment.py
	touch $@

bench: install
	$(BIN)/python -m bench

# Small faults put into three rooms, a sample of them: minutes, and a copy of the repository.
mutants: install
	$(BIN)/python -m pip install --quiet -e '.[dev,mutants]'
	$(BIN)/python -m bench.mutants --show

clean:
	rm -rf $(VENV) $(VLLM) build dist *.egg-info
