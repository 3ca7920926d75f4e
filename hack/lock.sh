#!/usr/bin/env bash
# Pins every dependency with its hashes: a lock for each image and for each kind of checkout.
set -euo pipefail
uv=$1
cd "$(dirname "$0")/.."
options=(--generate-hashes --universal --python-version 3.11 --no-emit-index-url --no-header --no-annotate --upgrade)
for extra in operator worker local dev; do
  "$uv" pip compile -q pyproject.toml --extra "$extra" "${options[@]}" -o "requirements/$extra.lock"
done
# The database's image holds nothing of ours.
sed -n 's/^postgresql = \["\([^;"]*\).*/\1/p' pyproject.toml | "$uv" pip compile -q - "${options[@]}" -o requirements/postgresql.lock
