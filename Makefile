# `make demo` and `make test` set up what they need, see requirements/setup_env.py. `make help` lists the targets.

SETUP := python3 requirements/setup_env.py
# expanded when a recipe runs, so after `setup` has made what it names
PYTHON = $(shell $(SETUP) --which)

DEMO := dataseg_toy_3ds
DEMO_DIR := work_dirs/$(DEMO)
# no validation in the training: the test afterwards is the same, and draws pictures
DEMO_VALIDATION := train_cfg.val_begin=1000000
DEMO_ITERATIONS ?= 2000
# two threads if three cores are idle, one of them for the loader; on busy cores, two threads wait for each other
IDLE_CORES = $(shell python3 -c "import os; print(round(os.cpu_count() - os.getloadavg()[0]))")
DEMO_THREADS ?= $(shell [ $(IDLE_CORES) -ge 3 ] && echo 2 || echo 1)

# Of torch, oneDNN and MKL: as without AVX-512, and as without any AVX. What the processor has best comes by itself.
KERNELS := OMP_NUM_THREADS=1 OMP_NUM_THREADS=2 \
	"ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_CBWR=AVX2" \
	"ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE"
EXTRAS := fast.txt results.txt web.txt yardsticks.txt
PINS := --constraint=requirements/runtime.txt --constraint=requirements/torch.txt
EXTRAS_TESTS := tests/apis/test_convert.py tests/apis/web/test_page.py tests/evaluation/test_average_precision.py \
	tests/formats/test_png.py tests/results tests/tools/test_benchmark.py
FLOAT_TESTS := tests/ops tests/models tests/text tests/evaluation tests/engine

.DEFAULT_GOAL := help
.PHONY: help setup demo picture test test-extras test-kernels lint coverage docs clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

setup:  ## make .venv with the pinned versions, or complete the active environment
	@$(SETUP)

demo: setup  ## draw the toy world, train on its three sources, test on its tasks, draw predictions
	$(PYTHON) -m projects.toy.make_toy data/toy
	OMP_NUM_THREADS=$(DEMO_THREADS) $(PYTHON) -m mmdataseg train $(DEMO).py --work-dir $(DEMO_DIR) \
		--iterations $(DEMO_ITERATIONS) --cfg-options $(DEMO_VALIDATION)
	OMP_NUM_THREADS=$(DEMO_THREADS) $(PYTHON) -m mmdataseg test $(DEMO).py --checkpoint "$$(cat $(DEMO_DIR)/last_checkpoint)" \
		--work-dir $(DEMO_DIR) --show-dir $(DEMO_DIR)/pictures
	@echo "pictures of the predictions: $(DEMO_DIR)/pictures"

picture: setup  ## a sheet of the pictures that the demo left: always the first of a set, none is selected for its looks
	$(PYTHON) tools/picture_sheet.py docs/images/demo.webp $(addprefix $(DEMO_DIR)/pictures/, \
		toy_semantic_semantic_1.png toy_panoptic_panoptic_1.png toy_boxes_instance_1.png toy_open_panoptic_1.png) --columns 2

test: setup  ## the default tests, with branch coverage
	$(PYTHON) -m pytest -q --cov --cov-report=term

test-extras: setup  ## the tests that need optional packages, which it installs: the web page, other forms of results
	$(PYTHON) -m pip install --quiet --disable-pip-version-check $(PINS) $(addprefix --requirement=requirements/,$(EXTRAS))
	$(PYTHON) -m pytest -q -rs $(EXTRAS_TESTS)

test-kernels: setup  ## the tests that compare floats, with the kernels of other processors and numbers of threads
	@for setting in $(KERNELS); do \
		echo "$$setting"; env $$setting $(PYTHON) -m pytest -q $(FLOAT_TESTS) || exit 1; \
	done

coverage: setup  ## the default tests; uncovered lines in htmlcov/index.html
	$(PYTHON) -m pytest -q --cov --cov-report=term-missing --cov-report=html

lint: setup  ## format, lint, types, spelling
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(PYTHON) -m codespell_lib

docs: setup  ## build the documentation site into site/html; a warning is an error
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --requirement requirements/docs.txt
	$(PYTHON) -m tools.site.pages site/pages
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --quiet --strict
	@echo "the site: site/html/index.html"

clean:  ## remove caches and the stamps of set-up; keeps .venv, data and work_dirs
	rm -rf .pytest_cache .mypy_cache .ruff_cache .coverage htmlcov site *.egg-info build dist .venv/mmdataseg-setup.json
	find $(wildcard mmdataseg tools configs projects tests requirements) -name __pycache__ -type d -prune -exec rm -rf {} +
