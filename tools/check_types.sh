#!/usr/bin/env bash
# The engine's types by mypy, as pyproject.toml says; part of `make lint`, and so of `make test`. Half a minute on one
# core, seconds once .mypy_cache is there.
set -euo pipefail
cd "$(dirname "$0")/.."
exec .venv/bin/python -m mypy "$@"
