#!/bin/sh
# build.sh PROGRAM [FLAGS]: compiles the ranks to be killed, with what they need of the project, without Node.
set -eu
program=$1
shift
cd "$(dirname "$0")/../../.."
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT INT TERM
flags="-std=c++20 -g -O2 -Wall -Wextra -pthread -Itest/native/kill/node $*"
for file in test/native/kill/*.cc native/binding/bell*.cc native/binding/rank.cc native/binding/progress.cc native/binding/handover.cc native/binding/placing.cc \
  native/binding/scatter.cc native/binding/stages.cc native/binding/trace_buffer.cc native/doorbell/install.cc native/doorbell/uintr_probe.cc native/leases/*.cc native/bootstrap/*.cc native/drivers/copy.cc native/engine_unit.cc; do
  echo "${CXX:-g++} $flags -c $file -o $objects/$(basename "$file").o"
done | xargs -P "$(nproc)" -I{} sh -c '{}'
# shellcheck disable=SC2086
${CXX:-g++} $flags "$objects"/*.o -o "$program"
