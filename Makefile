# `make demo` shows the main job on a synthetic CT; `make test` checks everything. Both make .venv by themselves.
HERE := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
PYTHON ?= python3

.PHONY: demo test lint setup
demo test lint setup:
	@$(PYTHON) "$(HERE)tools/dev.py" $@
