#!/usr/bin/env bash
# What the binaries ask of the machine they run on: Node-API, libuv's stable interface and an old enough glibc and
# libstdc++, nothing of V8.
# Usage: symbols.sh FOLDER  (holding carillon.node and carillon-exec). Skipped without objdump.
set -euo pipefail

folder=$1
# What the oldest supported distributions have (Debian 12, Ubuntu 22.04, RHEL 9).
newest_glibc=2.34
newest_glibcxx=3.4.29
libraries='^(libc|libm|libgcc_s|libstdc\+\+|libpthread|libdl|librt|ld-linux-(x86-64|aarch64))\.so\.[0-9]+$'

if ! command -v objdump >/dev/null; then
  echo "symbols: not checked, objdump is not here"
  exit 0
fi

bad=0
complain() {
  echo "symbols: $1" >&2
  bad=1
}

# check_newest FILE PREFIX LIMIT: no undefined symbol of a later version.
check_newest() {
  local newest
  newest=$(undefined "$1" | sed -n "s/.*\b$2_\([0-9.]*\).*/\1/p" | sort -V | tail -n 1)
  if [ -n "$newest" ] && [ "$(printf '%s\n%s\n' "$newest" "$3" | sort -V | tail -n 1)" != "$3" ]; then
    complain "$(basename "$1") needs $2 $newest, newer than $3:"
    undefined "$1" | grep -F "$2_$newest" >&2
  fi
}

undefined() { objdump -T "$1" | grep -F '*UND*' || true; }

for file in "$folder"/carillon.node "$folder"/carillon-exec; do
  name=$(basename "$file")
  while read -r library; do
    grep -qE "$libraries" <<<"$library" || complain "$name needs the library $library"
  done < <(objdump -p "$file" | awk '$1 == "NEEDED" { print $2 }')
  check_newest "$file" GLIBC "$newest_glibc"
  check_newest "$file" GLIBCXX "$newest_glibcxx"
  if undefined "$file" | grep -E '_ZNK?2v8|_ZNK?4node' >&2; then
    complain "$name uses the insides of V8 or Node.js (above), not Node-API"
  fi
done

# Neither weak nor with a version: what the process that loads the addon provides.
while read -r symbol; do
  case $symbol in
    napi_* | node_api_* | uv_*) ;;
    *) complain "carillon.node needs $symbol, which is neither Node-API, libuv nor of a known library" ;;
  esac
done < <(undefined "$folder/carillon.node" | awk '$2 != "w" && !/(GLIBC|GLIBCXX|CXXABI|GCC)_[0-9]/ { print $NF }')

[ "$bad" = 0 ] && echo "symbols: Node-API, libuv, glibc up to $newest_glibc, libstdc++ up to $newest_glibcxx"
exit "$bad"
