# `make demo` and `make test` make their own environment in .venv; nothing else is needed first.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# The command line of the demo is the one of the README.
MODEL  ?= bl_rcnn
# Two workers; what goes together, and what comes first, is said in tests/conftest.py.
SPREAD := -n 2 --dist loadgroup --no-loadscope-reorder --durations=15

.PHONY: demo test test-all lint clean

demo: $(VENV)/.ready
	$(BIN)/python train.py --model $(MODEL)
	$(BIN)/python evaluate.py
	$(BIN)/python export.py --output exported

test: $(VENV)/.ready
	$(BIN)/python -m pytest -m "not slow" $(SPREAD)

test-all: $(VENV)/.ready
	$(BIN)/python -m pytest $(SPREAD)

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.ready: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	# imagecorruptions brings OpenCV with windows, which a machine without a screen cannot load.
	$(BIN)/python -m pip install --quiet --no-deps --force-reinstall opencv-python-headless
	touch $@

clean:
	rm -rf $(VENV) runs exported
