# `make demo`, `make test`, `make faults`, `make bench`, `make bench-gpu`. Each makes the virtual
# environment that it needs.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
export OMP_NUM_THREADS ?= 2

.PHONY: demo test faults lint bench bench-gpu clean

demo: $(VENV)/.installed
	$(BIN)/ser demo

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest

faults: $(VENV)/.installed-test
	SER_FAULTS=full $(BIN)/python -m pytest tests/faults --durations 10

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks.decode
	$(BIN)/python -m benchmarks.corpora
	$(BIN)/python -m benchmarks.extract
	$(BIN)/python -m benchmarks.read
	$(BIN)/python -m benchmarks.heads
	$(BIN)/python -m benchmarks.finetune
	$(BIN)/python -m benchmarks.analysis
	$(BIN)/python -m benchmarks.statistics

bench-gpu: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks.gpu
	$(BIN)/python -m benchmarks.heads --device cuda
	$(BIN)/python -m benchmarks.heads --device cuda --whole
	$(BIN)/python -m benchmarks.finetune --device cuda --steps 30 --batch-seconds 120 --dtypes float32,bfloat16,float16

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

clean:
	rm -rf $(VENV) build *.egg-info ser-demo

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --quiet -e ".[test]"
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-test
	$(BIN)/pip install --quiet -e ".[bench]"
	touch $@
