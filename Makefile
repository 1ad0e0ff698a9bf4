# One command each; `make` alone lists them. Variables, on the command line or in the environment:
#   PYTHON=python3.12   the Python of .venv: 3.11 or 3.12 (default: the first that is found)
#   BUILD=cpu|cuda      the build of vLLM (default: cuda if there is an NVIDIA GPU)
#   TORCH_INDEX=ADDRESS where CPU wheels of PyTorch are offered, if pip's settings do not say
SHELL := /bin/bash
# Tests under Ray wait a lot, so there is one process more than cores.
WORKERS := $(shell expr $$(nproc) + 1)
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint types check lock clean setup model

help: ## list these commands
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: model ## set everything up, then show what sampling and selection win
	@.venv/bin/nbest run experiments/configs/demo.yaml --out runs/demo

# Real engines start, one at a time, while all other tests run: for most of their time they import.
# They come to an end last, so the others are nice to them.
test: model ## set everything up, then run all the tests
	@log=$$(mktemp); \
	.venv/bin/pytest $$(grep -rl mark.engine tests) -m engine --durations 20 >$$log 2>&1 & \
	engine=$$!; others=0; engines=0; \
	nice .venv/bin/pytest -m "not engine" -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
	  --durations 20 --cov --cov-report= || others=$$?; \
	wait $$engine || engines=$$?; cat $$log; rm $$log; \
	exit $$((others ? others : engines))
	@.venv/bin/coverage report --fail-under=95

lint: setup ## ruff: the rules and the format
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

types: setup ## mypy, strict
	@.venv/bin/mypy
	@.venv/bin/mypy --strict .ci/setup.py

check: lint types test ## all that must pass before a commit

lock: setup ## resolve the dependencies of pyproject.toml again
	@.ci/lock

clean: ## remove .venv and what the tools leave behind; runs and the model stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

# .venv/ready says what .venv was made from, so this takes 0.1 s when nothing has changed.
setup:
	@command -v python3 >/dev/null || { echo "setup: no python3: install Python 3.11" >&2; exit 1; }
	@python3 .ci/setup.py --python="$(PYTHON)" --build="$(BUILD)" --torch-index="$(TORCH_INDEX)"

# Checks every byte of the model, half a second, or fetches and converts it.
model: setup
	@.venv/bin/python -m nbest.model_backend.models.small_model >/dev/null
