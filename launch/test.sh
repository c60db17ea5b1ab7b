#!/usr/bin/env bash
# The test command: bash launch/test.sh [pytest arguments]
# MINENET_EXTRAS=oracles adds what some tests compare with.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
environment "test${MINENET_EXTRAS:+,$MINENET_EXTRAS}"
cd "$ROOT"
"$VENV/bin/python" -m ruff check .
"$VENV/bin/python" -m ruff format --check .
exec "$VENV/bin/python" -m pytest -n 2 --dist loadfile "$@"
