# The README's two commands, `make lab` and `make test`, need no other set-up: the first call creates .venv and
# installs into it, later calls start at once.
#
#   make lab                      JupyterLab on the lessons
#   make lab ARGS="--port=8889"   the same, with options for JupyterLab
#   make test                     every check that a change has to pass
#   make test ARGS="-k faust"     the same, with options for pytest
#   make test-slow                every lesson, and longer repetitions of some of these checks
#   make lint                     the checks that take seconds
#   make notebooks                build and run the .ipynb of every lesson from its .py
#   make book                     build the site: runs/book/html/index.html
#   make nano CORPUS=folder       train nano from the files of the corpus, into runs/nano/facts/model
#   make nano-control CORPUS=folder  train the control, which has no loop, into runs/control/facts/model
#   make bench                    measure every comparison; write benchmarks/RESULTS.md
#   make constraints              rewrite constraints.txt from the versions that pip installs today
#   make clean                    remove what these commands leave behind, .venv too
#
# On Linux pip installs torch with its libraries for NVIDIA cards (gigabytes). Without such a card, use for the first call
#   make lab TORCH_INDEX=https://download.pytorch.org/whl/cpu

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
ARGS ?=
WHEELS ?=

# `make lab WHEELS=folder` installs from a folder that `latentkit wheelhouse folder` made, without a network.
ifneq ($(WHEELS),)
export PIP_NO_INDEX := 1
export PIP_FIND_LINKS := $(WHEELS)
endif

# Tools are called as modules, so the environment still works after its folder was moved.
python := $(VENV)/bin/python
pip_install := $(python) -m pip install --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

.PHONY: help lab test test-slow lint lint-js notebooks bench book nano nano-control constraints clean

help:
	@sed -n '4,16s/^#   //p' Makefile

lab: $(VENV)/.lab
	$(python) -m latentkit.cli lab $(ARGS)

# Kernels and subprocesses read compiled modules, even where the environment asks Python not to write any.
pytest = PYTHONDONTWRITEBYTECODE= HF_HUB_OFFLINE=1 $(python) -m pytest -n logical --maxprocesses=4

test: lint
	$(pytest) $(ARGS)

test-slow: $(VENV)/.test
	$(pytest) -m slow $(ARGS)

lint: $(VENV)/.test
	$(python) -m ruff check .
	$(python) -m ruff format --check .
	$(python) -m mypy
	$(VENV)/bin/lint-imports --no-logo
	@$(MAKE) --no-print-directory lint-js

# Formatter, linter and type check of the explorer's JavaScript, where npm can install them.
lint-js:
	@if ! command -v npm >/dev/null; then echo "JavaScript is not linted: npm is missing." >&2; \
	elif [ package.json -nt node_modules/.package-lock.json ] && ! npm install --silent --no-package-lock --no-audit --no-fund; then \
	  echo "JavaScript is not linted: npm could not install its tools." >&2; \
	else node_modules/.bin/biome check && node_modules/.bin/tsc; fi

notebooks: $(VENV)/.test
	$(python) .ci/notebooks.py $(ARGS)

bench: $(VENV)/.test
	$(python) -m benchmarks.bench $(ARGS)

book: $(VENV)/.test
	HF_HUB_OFFLINE=1 $(python) book/build.py runs/book

# Five stages: a language; problems that grow harder; the same with a quieter injection; both while the learning rate
# falls; then facts that chain, with fewer iterations on average and a second readout after 1 to 4 of them.
# latentkit/training/LOG.md gives the reasons. A second call continues from the last checkpoint.
train = OMP_WAIT_POLICY=PASSIVE $(python) -m latentkit.cli train --out runs/$(1)
from = --tokenizer runs/$(1)/language/tokenizer --init runs/$(1)/$(2)/model
text = --data $(CORPUS)/books.txt.xz=$(1) $(CORPUS)/docs.txt.xz=$(2) $(CORPUS)/math_chat.jsonl.xz=$(3) \
  $(CORPUS)/other_chat.jsonl.xz=$(4)
hops = composition,composition,composition,composition,floors,sums,parity,sorting,addition,addition
problems = --tasks 0.9 --data $(CORPUS)/books.txt.xz=0.06 $(CORPUS)/other_chat.jsonl.xz=0.04 --kinds $(hops)
some_facts = facts,facts,facts,facts,facts,facts,facts,facts,composition,composition,addition,addition,addition
others = sums,parity,floors,path,lookup,sorting
held = --set injection_scale=$(1) hold_injection=yes shallow_share=0
define stages
	@test -n "$(CORPUS)" || { echo "Name the folder of the corpus: make $@ CORPUS=folder" >&2; exit 2; }
	$(call train,$(1)/language) --tokenizer new --tokens 5000000 --tasks 0.22 $(call text,0.55,0.08,0.06,0.09) \
	  --set injection_scale=0.7 recurrence_ramp=0.62 decay=0 $(2) $(ARGS)
	$(call train,$(1)/problems) $(call from,$(1),language) --tokens 2500000 $(problems) --harder-every 120 \
	  $(call held,0.35) recurrence_ramp=0.6 decay=0 $(2) $(ARGS)
	$(call train,$(1)/quieter) $(call from,$(1),problems) --tokens 2000000 $(problems) --harder-every 40 \
	  $(call held,0.15) recurrence_ramp=0 decay=0 $(2) $(ARGS)
	$(call train,$(1)/both) $(call from,$(1),quieter) --tokens 7500000 --tasks 0.43 $(call text,0.44,0.03,0.04,0.06) \
	  $(call held,0.15) recurrence_ramp=0 decay=0.6 $(2) $(ARGS)
	$(call train,$(1)/facts) $(call from,$(1),both) --tokens 8400000 --tasks 0.6 --kinds $(some_facts),$(others) \
	  $(call text,0.19,0.13,0.03,0.05) $(call held,0.15) recurrence_ramp=0 mean_recurrence=5 backprop_depth=5 \
	  early_readout=0.2 warmup=0.01 matrix_rate=0.01 other_rate=0.003 decay=0.4 $(2) $(ARGS)
endef
nano: $(VENV)/.test
	$(call stages,nano,)

# The same without the loop: each of eight passes has a block of its own, and the injection is as loud as it learns.
nano-control: $(VENV)/.test
	$(call stages,control,loop=no mean_recurrence=8 early_readout=0 injection_scale=1 hold_injection=no)

# The stamp is written last, so an interrupted installation is repeated; a change of pyproject.toml makes it outdated.
$(VENV)/.lab $(VENV)/.test: $(VENV)/.%: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"latentkit needs Python 3.11 or newer, $(PYTHON) is {sys.version.split()[0]}. Name another one: make $* PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(pip_install) --constraint constraints.txt --editable ".[$*]"
	@touch $@ $(if $(filter test,$*),$(VENV)/.lab)  # the tests' requirements include those of the lessons

# A new environment each time, so that packages installed by hand stay out of the list. torch keeps its version:
# change TORCH by hand. "+cpu" names a build, not a version.
TORCH ?= 2.13.0
constraints:
	rm -rf .venv-constraints
	$(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/python -m pip install --disable-pip-version-check "torch==$(TORCH)" --editable ".[test,lab]"
	{ printf '%s\n' \
	    '# Exact versions of everything that ".[test,lab]" installs, as tested together.' \
	    '# Written by `make constraints`; the lower bounds stand in pyproject.toml.'; \
	  .venv-constraints/bin/python -m pip freeze --all --exclude-editable | grep -v '^pip==' | sed 's/+cpu$$//'; \
	} > constraints.txt
	rm -rf .venv-constraints

clean:
	rm -rf $(VENV) .venv-* node_modules build dist test-results *.egg-info \
	  .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
