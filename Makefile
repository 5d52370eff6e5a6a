# Three commands on a fresh machine, each with all the set-up: `make lab`, `make test` and `make demo`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
JOBS ?= 2
PROMPT := a dog with glasses
NAME := stable-diffusion-v1-5/stable-diffusion-v1-5
LAB ?=  # more flags for JupyterLab, for example LAB=--ip=0.0.0.0 in a container
# one thread for each of the JOBS processes: more would only get in each other's way
ONE_THREAD := OMP_NUM_THREADS=1 COURSE_THREADS=1
NBVAL := $(ONE_THREAD) $(BIN)/pytest -q -n $(JOBS) --dist loadscope --nbval-lax --nbval-current-env --nbval-cell-timeout=180

.PHONY: help setup lab test test-without-data demo notebooks weights full-weights clean

help:
	@echo "make lab        open the course in JupyterLab"
	@echo "make test       ruff, pytest, and every notebook by nbval"
	@echo "make demo       draw PROMPT=\"a dog with glasses\" into demo/, with the film strip of its denoising"
	@echo "make notebooks  run all notebooks and store their outputs"
	@echo "make weights    train again what assets/weights/ holds"
	@echo "make full-weights  fetch Stable Diffusion v1.5; says size and licence first, then asks"
	@echo "make clean      remove the environment in $(VENV)"

setup: $(READY)

$(READY): requirements.txt constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; make PYTHON=python3.12 uses another")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --constraint constraints.txt
	@touch $(READY)

lab: $(READY)
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root,) $(LAB) notebooks/00_start_here.ipynb

test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(ONE_THREAD) $(BIN)/pytest -q -n $(JOBS) --dist loadfile
	$(NBVAL) notebooks/*.ipynb

# the notebooks and tests that read digits, for the case that COURSE_DATA is not set
test-without-data: $(READY)
	$(ONE_THREAD) $(BIN)/pytest -q tests/test_metrics.py tests/test_data.py
	$(NBVAL) $(shell grep -l "data.digits" notebooks/*.ipynb)

demo: $(READY)
	$(BIN)/python -m course.demo "$(PROMPT)"

notebooks: $(READY)
	$(BIN)/python tools/store_notebooks.py $(ONLY)

weights: $(READY)
	for model in digit-judge digit-unet zoo-judge vae decoder clip unet; do $(BIN)/python -m course.train $$model || exit; done

full-weights: $(READY)
	$(BIN)/python -m course.sd_weights --name $(NAME)

clean:
	rm -rf $(VENV)
