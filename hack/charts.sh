#!/usr/bin/env bash
# Builds the charts of the page from hack/charts: one module, minified, with the licences of what is in it.
# With a folder as argument it is written there instead of into the page.
set -euo pipefail
cd "$(dirname "$0")/charts"
out=$(realpath -m "${1:-../../operator/tuning_report/page/vendor}")
npm ci --ignore-scripts --no-audit --no-fund --silent
mkdir -p "$out"
npx --no-install esbuild echarts.js --bundle --minify --format=esm --charset=utf8 --legal-comments=none \
  --log-level=warning --outfile="$out/echarts.js"
cp node_modules/echarts/LICENSE "$out/LICENSE.echarts"
cp node_modules/echarts/NOTICE "$out/NOTICE.echarts"
cp node_modules/echarts/licenses/LICENSE-d3 "$out/LICENSE.d3"
cp node_modules/zrender/LICENSE "$out/LICENSE.zrender"
