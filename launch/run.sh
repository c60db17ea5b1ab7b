#!/usr/bin/env bash
# The main command: bash launch/run.sh --mode=run --config=configs/quickstart.py …
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
environment "viz,tensorboard,cluster$(accelerator)"
exec "$VENV/bin/python" -m launch.main "$@"
