#!/usr/bin/env bash
# Make .venv with the locked packages: `scripts/setup.sh requirements.txt`. Says what it does, and what to do where it cannot.
set -euo pipefail
cd "$(dirname "$0")/.."
lock=$1
stamp=.venv/$(basename "$lock").installed
[ "$stamp" -nt "$lock" ] && exit 0

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi; }

python=${PYTHON:-}
for name in python3 python3.13 python3.12 python3.11; do
  [ -n "$python" ] && break
  if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then python=$name; fi
done
if [ -z "$python" ]; then
  echo "Mailwarden needs Python 3.11 or newer; PYTHON=/path/to/python3 names one." >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  echo "installing python$version-venv"
  if ! as_root sh -c "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python$version-venv >/dev/null"; then
    echo "Python has no venv module here. Run: sudo apt-get install python$version-venv" >&2
    exit 1
  fi
fi

echo "installing the packages of $lock"
[ -x .venv/bin/python ] || "$python" -m venv .venv
export UV_PYTHON_DOWNLOADS=never
[ -x .venv/bin/uv ] || .venv/bin/pip install --quiet --disable-pip-version-check uv==0.13.8 || true
# uv is several times faster; where it cannot reach the index as pip is configured to, pip installs the same lock.
if ! { [ -x .venv/bin/uv ] && VIRTUAL_ENV=$PWD/.venv .venv/bin/uv pip install --quiet --system-certs --require-hashes -r "$lock"; }; then
  echo "installing with pip instead, which takes longer"
  .venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
fi
touch "$stamp"
[ "$lock" = requirements.txt ] || touch .venv/requirements.txt.installed # the development lock holds the other one
