#!/usr/bin/env bash
# The engine's types by mypy, as pyproject.toml says, and whether benchmarks and tools fit the engine; part of `make lint`,
# and so of `make test`. A minute on one core, seconds once .mypy_cache is there.
set -euo pipefail
cd "$(dirname "$0")/.."
.venv/bin/python -m mypy "$@"
.venv/bin/python -m mypy --config-file tools/mypy_scripts.ini
