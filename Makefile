# `make demo` and `make test` need python3 >= 3.11, make and git; everything else is installed here.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint bench clean

demo: .venv/installed
	$(BIN)/flowml demo

# Many tests wait for a cluster or a command to start: another runs meanwhile. The threads of BLAS
# go to sleep at once: else they wait busily after each product, a third of all processor time.
test: .venv/tested lint
	OPENBLAS_THREAD_TIMEOUT=4 $(BIN)/pytest --numprocesses 2 --dist worksteal

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy flowml

bench: .bench-venv/installed
	.bench-venv/bin/python -m benchmarks.memory > benchmarks/memory.json.part
	mv benchmarks/memory.json.part benchmarks/memory.json
	.bench-venv/bin/python -m benchmarks
	.bench-venv/bin/python -m benchmarks.scaling

clean:
	rm -rf .venv .bench-venv

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[plot]'
	touch $@

# The benchmark's peers (dask-ml, Spark, scikit-learn-intelex) stay out of .venv.
.bench-venv/installed: pyproject.toml
	$(PYTHON) -m venv .bench-venv
	.bench-venv/bin/python -m pip install --quiet --editable '.[bench]'
	touch $@

.venv/tested: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@
