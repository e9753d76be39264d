# `make demo` shows the main job on a synthetic CT; `make quick` tests the engine in a minute; `make test` checks
# everything; `make docs` writes the pages to build/docs. All make .venv by themselves.
HERE := $(dir $(abspath $(lastword $(MAKEFILE_LIST))))
PYTHON ?= python3

.PHONY: demo docs lint quick setup test
demo docs lint quick setup test:
	@$(PYTHON) "$(HERE)tools/dev.py" $@
