#!/bin/sh
# Installs this checkout with the pinned versions into a virtual environment at $1. The Dockerfile runs it, and tools/check-image.
set -eu
target=$1
root=$(cd "$(dirname "$0")/.." && pwd)
"${PYTHON:-python3}" -m venv "$target"
"$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-cache-dir \
  --constraint "$root/tools/constraints.txt" "$root[fast]"
"$target/bin/python" -m pip uninstall --quiet --yes pip
