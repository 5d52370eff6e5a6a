# Three commands on a fresh machine, each with all the set-up: `make lab`, `make test` and `make demo`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
READY := $(VENV)/ready
BUILT := $(shell cat $(READY) 2>/dev/null)
TORCH ?= $(BUILT)
JOBS ?= 2
VERSIONS ?= proved
PROMPT := a dog with glasses
NAME := stable-diffusion-v1-5/stable-diffusion-v1-5
ONLY ?=
SLIDERS ?=
SYSTEMS ?= linux windows macos
STICK_PYTHON ?= 3.11
SUBMITTED ?=
OUT ?=
SEED ?=
TIMEOUT ?=
LAB ?=

# What a user sets reaches the commands through the environment, just as it was typed: quotes, $ and ` are only characters.
SET := PYTHON TORCH JOBS VERSIONS PROMPT NAME ONLY SLIDERS SYSTEMS STICK_PYTHON SUBMITTED OUT SEED TIMEOUT
$(foreach name,$(SET),$(if $(filter file,$(origin $(name))),,$(eval override $(name) := $$(value $(name)))))
export $(SET)

# Where make was called, also by `make -C`: relative folders in COURSE_DATA and COURSE_SD count from there.
export CALLED_FROM := $(or $(PWD),$(CURDIR))
HERE := PWD="$$CALLED_FROM"

# which versions: those that were proved here, the newest of all, or those that Colab ships, which are the floors
LIMITS_proved := --constraint constraints.txt
LIMITS_colab := --constraint .github/colab.txt
COURSE_proved := '.[lab,dev]'
COURSE_newest := '.[lab,dev]'
COURSE_colab := '.[dev]' ipywidgets # without [lab]: JupyterLab's resolver tries for hours beside Colab's ipywidgets 7
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(LIMITS_$(VERSIONS))
# one thread for each of the JOBS processes: more would only get in each other's way
PYTEST := $(HERE) OMP_NUM_THREADS=1 COURSE_THREADS=1 $(BIN)/pytest -q -n "$$JOBS" --dist loadscope

.PHONY: help setup setup-teach jobs lab test test-teaching test-without-data test-browser release demo notebooks book
.PHONY: editions grade marks bundle plans slides sheets weights full-weights clean

help:
	@echo 'make lab           open the course in JupyterLab; LAB="--ip=0.0.0.0" hands it more flags'
	@echo 'make test          ruff, pytest, and every notebook by nbval, also without its side roads, in JOBS=2 processes'
	@echo 'make test-teaching  the editions, grading, plans, slides, book and hub, which take longer'
	@echo 'make release       all tests, then editions and book anew, and the zips with their checksums in dist/'
	@echo 'make demo          draw PROMPT="a dog with glasses" into demo/, with the film strip of its denoising'
	@echo 'make notebooks     run all notebooks, or ONLY="05 06", and store their outputs'
	@echo 'make book          the notebooks as a site in build/book/html/; SLIDERS=yes runs them first, so that sliders move there'
	@echo 'make plans         the lesson plans as pages and as notebooks of their cells, into dist/plans/'
	@echo 'make slides        slides of all notebooks, or ONLY="05 06", into dist/slides/'
	@echo 'make sheets        student sheet, map of misconceptions and quizzes as PDF, into dist/sheets/; needs Chromium'
	@echo 'make weights       train again what assets/weights/ holds'
	@echo 'make full-weights  fetch Stable Diffusion v1.5, or NAME=...; says size and licence first, then asks'
	@echo 'make test-browser  move a slider of every notebook in Chromium'
	@echo 'make bundle        dist/stick/, a workshop without Wi-Fi; SYSTEMS="linux windows" and STICK_PYTHON=3.12 choose'
	@echo 'make editions      the course without solutions, and with all answers for teachers, into dist/ or OUT=folder'
	@echo 'make grade         grade SUBMITTED=folder, with one folder a student, into runs/graded/ or OUT=folder; SEED=7, TIMEOUT=600'
	@echo 'make marks         enter the points that you wrote into by_hand.csv there, and write tables and feedback anew'
	@echo 'make setup         only the environment in $(VENV); TORCH=cpu without CUDA, PYTHON=python3.12 by another Python'
	@echo 'make clean         remove that environment'

SAME_TORCH := test "$$TORCH" = "$$(cat $(READY))" || \
	{ echo "$(VENV) was made with TORCH='$$(cat $(READY))'; make clean removes it, for TORCH='$$TORCH'" >&2; exit 1; }

setup: $(READY)
	@$(SAME_TORCH)

$(READY): pyproject.toml constraints.txt
	@case "$$VERSIONS" in proved|newest|colab) ;; *) echo "VERSIONS is '$$VERSIONS', but proved, newest or colab is needed" >&2; exit 1;; esac
	@case "$$TORCH" in ''|cpu) ;; *) echo "TORCH is '$$TORCH', but cpu is needed, or nothing for the index's own build" >&2; exit 1;; esac
	@test ! -e $(READY) || $(SAME_TORCH)
	@command -v "$$PYTHON" >/dev/null || { echo "PYTHON is '$$PYTHON', and no such program is here; for example PYTHON=python3.12" >&2; exit 1; }
	@"$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; make PYTHON=python3.12 uses another")'
	@test -x $(BIN)/pip || "$$PYTHON" -m venv $(VENV) || \
		{ echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
ifeq ($(TORCH),cpu)
	$(PIP) --no-deps --force-reinstall --index-url https://download.pytorch.org/whl/cpu torch torchvision
endif
	$(PIP) --editable $(COURSE_$(VERSIONS))
	@$(BIN)/jupyter labextension disable @jupyterlab/apputils-extension:announcements >/dev/null 2>&1 || true # asks about news
	@printf %s "$$TORCH" >$(READY)
	@echo 'installed into $(VENV); make help says what there is'

# what the editions, the grading, the slides and the book need besides
TAUGHT := $(VENV)/taught
setup-teach: setup $(TAUGHT)

$(TAUGHT): pyproject.toml constraints.txt
	$(PIP) --editable '.[lab,dev,teach,hub]'
	@touch $(TAUGHT)

jobs:
	@case "$$JOBS" in auto) ;; ''|0*|*[!0-9]*) echo "JOBS is '$$JOBS', but a whole number from 1 on is needed, or auto" >&2; exit 1;; esac

lab: setup
	@unset $(SET); $(HERE) $(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB) notebooks/00_start_here.ipynb

test-teaching: jobs setup-teach
	$(PYTEST) tests/teaching

test: jobs setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tools/core_notebooks.py
	$(PYTEST) --ignore=tests/teaching tests notebooks runs/core

# the tests and notebooks that read digits, as they go where no COURSE_DATA is set
test-without-data: jobs setup
	COURSE_DATA= $(PYTEST) tests/test_metrics.py tests/test_data.py
	COURSE_DATA= $(PYTEST) $$(grep -l "data.digits" notebooks/*.ipynb notebooks/extras/*.ipynb)

test-browser: setup
	$(BIN)/pytest -q -m browser tests/test_browser.py

# everything is checked and made anew; what is left in dist/ is what a release hands out
release: setup-teach
	$(BIN)/python tools/release.py --faults
	$(MAKE) test test-without-data test-teaching
	$(MAKE) editions book OUT= ONLY= SLIDERS=yes
	$(BIN)/python tools/release.py

demo: setup
	@$(HERE) $(BIN)/python -m course.demo -- "$$PROMPT"

notebooks: setup
	@set -f; $(HERE) $(BIN)/python tools/store_notebooks.py $$ONLY

# ONLY names the notebooks whose sliders are drawn; pictures that were drawn before stay in build/frames/
book: setup-teach
	@case "$$SLIDERS" in ''|yes) ;; *) echo "SLIDERS is '$$SLIDERS', but yes is needed, or nothing for still pictures" >&2; exit 1;; esac
	@set -f; test -z "$$SLIDERS" || $(HERE) $(BIN)/python tools/book_frames.py $$ONLY
	$(BIN)/python tools/make_book.py

plans: setup
	$(BIN)/python tools/plans.py

slides: setup-teach
	@set -f; $(BIN)/python tools/make_slides.py $$ONLY

sheets: setup-teach
	$(BIN)/python tools/make_sheets.py

weights: setup
	$(BIN)/python -m course.train --all

full-weights: setup
	@$(BIN)/python -m course.stable_diffusion.fetch --name="$$NAME"

bundle: setup-teach
	@set -f; $(HERE) $(BIN)/python tools/bundle.py --python="$$STICK_PYTHON" $$SYSTEMS

editions: setup-teach
	@$(HERE) $(BIN)/python tools/editions.py $${OUT:+"$$OUT"}

grade: setup-teach
	@$(HERE) $(BIN)/python tools/grade.py $${OUT:+--out="$$OUT"} $${SEED:+--seed="$$SEED"} \
		$${TIMEOUT:+--timeout="$$TIMEOUT"} -- "$$SUBMITTED"

marks: setup-teach
	@$(HERE) $(BIN)/python tools/grade.py --marks $${OUT:+--out="$$OUT"}

clean:
	rm -rf $(VENV)
