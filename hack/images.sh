#!/usr/bin/env bash
# Builds the chart's images with docker, or with the command in IMAGE_BUILD (called with CONTEXT TAG --target NAME).
set -euo pipefail
tag=$1
cd "$(dirname "$0")/.."
for target in operator worker postgresql; do
  if [ -n "${IMAGE_BUILD:-}" ]; then
    $IMAGE_BUILD . "tuning-$target:$tag" --target "$target"
  else
    docker build -q -t "tuning-$target:$tag" --target "$target" .
  fi
done
