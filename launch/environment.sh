# Sourced by run.sh and test.sh: makes the virtual environment once, and says with what.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${MINENET_VENV:-$ROOT/.venv}"
PEERS="$ROOT/benchmarks/install_peers.sh"

say() { printf 'minenet: %s\n' "$*" >&2; }

# A pyenv shim or a Debian python3 without venv is found on PATH and does not run.
runs() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
  >/dev/null 2>&1; }

# first_python FROM TO: prints the newest Python from 3.FROM down to 3.TO that runs.
first_python() {
  local minor candidate
  for minor in $(seq "$1" -1 "$2"); do
    for candidate in "python3.$minor" \
      "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"3.$minor".*/bin/python3; do
      if runs "$candidate"; then command -v "$candidate"; return; fi
    done
  done
  return 1
}

find_python() {
  if [ -n "${MINENET_PYTHON:-}" ]; then
    runs "$MINENET_PYTHON" || {
      say "MINENET_PYTHON=$MINENET_PYTHON does not run as Python >= 3.11 with venv"
      return 1
    }
    command -v "$MINENET_PYTHON"
    return
  fi
  first_python 19 11 && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "no Python >= 3.11 runs: installing Debian's"
    { apt-get update -q && apt-get install -qy python3 python3-venv; } >&2 || true
    first_python 19 11 && return
  fi
  say "no Python >= 3.11 runs here: install one, or name it in MINENET_PYTHON"
  return 1
}

# The extra of the accelerator that this machine has, if any, with a leading comma.
accelerator() {
  if command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then
    echo ",cuda"
  elif [ -n "${TPU_NAME:-}" ] || compgen -G "/dev/accel*" >/dev/null; then
    echo ",tpu"
  fi
}

# environment EXTRAS: after it, $VENV/bin/python has minenet with those extras.
environment() {
  local extras="$1" stamp python
  # Named by what was asked for: a changed pyproject.toml installs again.
  stamp="$VENV/.minenet-$(echo "$extras" | cat - "$ROOT/pyproject.toml" "$PEERS" | cksum | tr ' ' -)"
  [ -f "$stamp" ] && [ -x "$VENV/bin/python" ] && return
  exec 9>"$VENV.lock" # two processes may start on one machine
  if command -v flock >/dev/null; then flock 9; fi
  if [ ! -f "$stamp" ]; then
    if ! "$VENV/bin/python" -c 'import pip' >/dev/null 2>&1; then
      python="$(find_python)" || exit 1
      say "making $VENV with $("$python" --version)"
      rm -rf "$VENV"
      "$python" -m venv "$VENV" || exit 1
    fi
    say "installing minenet[$extras]"
    "$VENV/bin/python" -m pip install -q --disable-pip-version-check \
      -e "$ROOT[$extras]" >&2 || exit 1
    # Beside a CPU build of torch, which only Python 3.11 gets here.
    if [[ ",$extras," == *,oracles,* ]] && "$VENV/bin/python" -c 'import torch' 2>/dev/null; then
      bash "$PEERS" "$VENV/bin/python" >&2 || exit 1
    fi
    touch "$stamp"
  fi
  exec 9>&-
}
