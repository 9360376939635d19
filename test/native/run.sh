#!/bin/sh
# The native tests, without Node: parts of the engine, its interrupt handler, user interrupts, bootstrap, leases, the timeline's buffer, the engine under real threads
# (ThreadSanitizer, then AddressSanitizer), what the fuzzers know and found, CARILLON_KILLS (500) real ranks killed as they talk, the simulator for
# CARILLON_SIM_SECONDS (60), and what the engine's object may contain. Ends with "N passed, M failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT INT TERM
CXX=${CXX:-g++}
passed=0
failed=0

count() {  # count NAME LAST-LINE: adds what a program reported about itself
  p=$(printf '%s\n' "$2" | sed -n 's/^\([0-9]*\) passed, [0-9]* failed$/\1/p')
  f=$(printf '%s\n' "$2" | sed -n 's/^[0-9]* passed, \([0-9]*\) failed$/\1/p')
  if [ -z "$p" ]; then
    echo "FAIL $1: did not finish: $2"
    failed=$((failed + 1))
  else
    passed=$((passed + p))
    failed=$((failed + f))
  fi
}
report() {  # report OK? TEXT
  if [ "$1" = 0 ]; then
    echo "ok   $2"
    passed=$((passed + 1))
  else
    echo "FAIL $2"
    failed=$((failed + 1))
  fi
}
run() {  # run NAME COMMAND...: shows its output, counts its last line
  name=$1
  shift
  "$@" >"$folder/$name.log" 2>&1
  status=$?
  cat "$folder/$name.log"
  last=$(tail -n 1 "$folder/$name.log")
  count "$name" "$last"
  if [ "$status" -ne 0 ] && printf '%s' "$last" | grep -q ', 0 failed$'; then report 1 "$name: exit code $status"; fi
}

common="-std=c++20 -g -Wall -Wextra -pthread"
asan="$common -O1 -fno-exceptions -fno-rtti -fsanitize=address,undefined -fno-sanitize-recover=all"
tsan="$common -O1 -fsanitize=thread"
{
  for file in test/native/sim/*.cc native/engine_unit.cc; do
    echo "$CXX $asan -DCARILLON_SIM -c $file -o $folder/sim-$(basename "$file").o"
  done
  echo "$CXX $asan test/native/engine_*.cc native/engine_unit.cc -o $folder/engine_test"
  echo "$CXX $tsan test/native/engine_*.cc native/engine_unit.cc -o $folder/engine_tsan"
  echo "$CXX $common -O2 test/native/handler_test.cc native/doorbell/install.cc native/engine_unit.cc -o $folder/handler_test"
  echo "$CXX $tsan test/native/threads_test.cc native/engine_unit.cc -o $folder/threads_tsan"
  echo "$CXX $asan test/native/threads_test.cc native/engine_unit.cc -o $folder/threads_test"
  echo "$CXX $asan -DCARILLON_SIM test/fuzz/replay.cc test/fuzz/peer_fuzz.cc test/fuzz/side.cc native/engine_unit.cc -o $folder/replay_peer"
  echo "$CXX $asan test/fuzz/replay.cc test/fuzz/handshake_fuzz.cc native/bootstrap/client.cc native/bootstrap/segment.cc -o $folder/replay_handshake"
  echo "$CXX $common -O1 -fsanitize=address,undefined -fno-sanitize-recover=all test/native/bootstrap_test.cc native/bootstrap/*.cc -o $folder/bootstrap_test"
  for test in uintr_table_test uintr_twin_test; do
    echo "$CXX $asan test/native/$test.cc native/engine_unit.cc native/doorbell/install.cc native/doorbell/uintr_probe.cc -o $folder/$test"
  done
  echo "$CXX $asan test/native/leases_test.cc native/leases/*.cc native/bootstrap/segment.cc -o $folder/leases_test"
  echo "$CXX $common -O2 test/native/trace_test.cc native/doorbell/install.cc native/engine_unit.cc -o $folder/trace_test"
  echo "$CXX $tsan test/native/leases_test.cc native/leases/*.cc native/bootstrap/segment.cc -o $folder/leases_tsan"
} | xargs -P "$(nproc)" -I{} sh -c '{}' >"$folder/build.log" 2>&1
report $? "everything compiles"
[ -s "$folder/build.log" ] && cat "$folder/build.log"
# shellcheck disable=SC2086
$CXX $asan "$folder"/sim-*.o -o "$folder/sim"
report $? "the simulator links"
sh test/native/kill/build.sh "$folder/kill_test"
report $? "the ranks to be killed compile"

run engine_test "$folder/engine_test"
run handler_test "$folder/handler_test" 4
run bootstrap_test "$folder/bootstrap_test"
run leases_test "$folder/leases_test"
run trace_test "$folder/trace_test"
run uintr_table_test "$folder/uintr_table_test"
run uintr_twin_test "$folder/uintr_twin_test"
TSAN_OPTIONS=halt_on_error=1 run engine_tsan "$folder/engine_tsan" threads
run kill_test "$folder/kill_test" --kills "${CARILLON_KILLS:-500}"
TSAN_OPTIONS=halt_on_error=1 run leases_tsan "$folder/leases_tsan" threads
TSAN_OPTIONS=halt_on_error=1 run threads_tsan "$folder/threads_tsan" 10
run threads_test "$folder/threads_test" 5
# Every file that the fuzzers started from, and everything they ever found.
for target in peer handshake; do
  # shellcheck disable=SC2046
  run "replay_$target" "$folder/replay_$target" $(find test/fuzz/corpus/$target test/fuzz/findings/$target -type f 2>/dev/null)
done
seconds=${CARILLON_SIM_SECONDS:-60}
"$folder/sim" --seconds "$seconds" >"$folder/sim.log" 2>&1
cat "$folder/sim.log"
# One line of the sum: all schedules are one test.
tail -n 1 "$folder/sim.log" | grep -q '^[1-9][0-9]* passed, 0 failed$'
report $? "the simulator finds nothing in $seconds s"

# The engine as the addon has it: the flags of binding.gyp.
if [ "$(uname -m)" = x86_64 ]; then
  flags="-mgeneral-regs-only -minline-all-stringops -mstringop-strategy=rep_byte"
  vector='%[xyz]mm[0-9]|%mm[0-7]|%st[(,]|%st$|\bf(ld|st|add|mul)'
else
  flags="-mgeneral-regs-only -fno-tree-loop-distribute-patterns"
  vector='\b[vqdsb][0-9]+(\.|,|$)'
fi
# shellcheck disable=SC2086
$CXX -O2 -std=c++20 -fPIC -fvisibility=hidden -fno-exceptions -fno-rtti -fno-stack-protector -fno-threadsafe-statics $flags -c native/engine_unit.cc -o "$folder/unit.o"
report $? "the engine's unit compiles without vector registers"
! objdump -d --no-show-raw-insn "$folder/unit.o" | cut -f 2- | grep -E "$vector"
report $? "no vector register in the engine's unit"
# What it may need from outside itself: nothing but these. _GLOBAL_OFFSET_TABLE_ is the linker's.
allowed='_GLOBAL_OFFSET_TABLE_'
undefined=$(nm --undefined-only "$folder/unit.o" | awk '{print $2}' | grep -v -x -E "$allowed")
[ -z "$undefined" ]
report $? "no undefined symbol in the engine's unit${undefined:+: $undefined}"
# A handler of user interrupts and the four instructions, built wherever the processor might have them.
if [ "$(uname -m)" = x86_64 ]; then
  found=$(objdump -d --no-show-raw-insn "$folder/unit.o" | grep -o -w -E 'uiret|senduipi|clui|stui|testui' | sort -u | tr '\n' ' ')
  [ "$found" = 'clui senduipi stui testui uiret ' ]
  report $? "the instructions of user interrupts are in the engine's unit: $found"
fi

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
