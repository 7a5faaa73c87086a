# Sourced by tools/demo, tools/test and the other tools: makes .venv from pinned versions, once per change of what is pinned.
# Leaves $python pointing at the interpreter of .venv. Needs Python 3.11 or newer and nothing else.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
venv=$root/.venv
python=$venv/bin/python

find_python() {
  for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
    if command -v "$candidate" >/dev/null 2>&1 &&
       "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "neon-branch-mcp needs Python 3.11 or newer; none was found. Set PYTHON=/path/to/python3." >&2
  exit 2
}

wanted=$(cat "$root/pyproject.toml" "$root/tools/constraints.txt" "$root/tools/bootstrap.sh" | cksum)
if [ ! -x "$python" ] || [ "$(cat "$venv/.installed" 2>/dev/null)" != "$wanted" ]; then
  echo "Setting up .venv (once) ..." >&2
  base=$(find_python)
  "$base" -m venv --clear "$venv"
  "$python" -m pip install --quiet --disable-pip-version-check --no-input --no-warn-script-location \
    --constraint "$root/tools/constraints.txt" --editable "$root[local,fast,dev]" >&2
  printf '%s' "$wanted" >"$venv/.installed"
fi
