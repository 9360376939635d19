#!/bin/sh
# Checks the model of who wakes whom (bell.pml) with spin, exhaustively: first that it holds, then that spin finds each mutant.
# Not responsible for what is modelled, nor for installing spin. Ends with "N passed, M failed".
#   run.sh            CI's size and the mutants: 2 senders (1 for interrupts), 2 threads of JavaScript; below 4 GiB
#   run.sh --mutants  the mutants only
#   run.sh --full     bigger: more senders and messages; what does not fit into memory is hashed into bits, which may miss states
# A trace of what failed is printed; CC and MODEL_MEMORY (MiB) may be set.
set -u
model=$(cd "$(dirname "$0")" && pwd)/bell.pml
what=${1:-}
case $what in
  '' | --mutants | --full) ;;
  *)
    echo "usage: run.sh [--mutants | --full]" >&2
    exit 2
    ;;
esac
if ! command -v spin >/dev/null; then
  echo "run.sh: spin is not here (apt-get install spin)" >&2
  exit 1
fi
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT INT TERM
cd "$folder" || exit 1
passed=0
failed=0

report() { # report OK? TEXT
  if [ "$1" = 0 ]; then
    echo "ok   $2"
    passed=$((passed + 1))
  else
    echo "FAIL $2"
    failed=$((failed + 1))
  fi
}

# verify PAN-FLAGS PAN-ARGUMENTS MODEL-FLAGS...: leaves "clean", "error" or "unfinished" in $verdict, and figures in $figures.
verify() {
  compile=$1 arguments=$2
  shift 2
  rm -f pan.* pan bell.pml.trail
  # shellcheck disable=SC2086
  spin -a "$@" "$model" >spin.log 2>&1 &&
    ${CC:-cc} -w -O2 -DNOREDUCE "-DMEMLIM=${MODEL_MEMORY:-4000}" $compile pan.c -o pan >cc.log 2>&1 &&
    ./pan -n -m1000000 $arguments >pan.log 2>&1
  verdict=unfinished
  # Cut short by memory or depth, pan says "Search not completed" or "max search depth too small": that is no result.
  if grep -q 'errors: 0$' pan.log && ! grep -qE 'not completed|too small|out of memory' pan.log; then verdict=clean; fi
  if grep -qE '^pan:1: (assertion violated|invalid end state|acceptance cycle)' pan.log; then verdict=error; fi
  figures=$(awk '/states, stored/ { n = $1 } /elapsed time/ { t = $4 } /total actual memory/ { m = $1 }
    END { printf "%.0f states, %s s, %.0f MiB", n, t, m }' pan.log)
}
show() {
  cat spin.log cc.log pan.log 2>/dev/null | grep -v '^Depth=' | tail -n 40
  [ -f bell.pml.trail ] && spin -t -k bell.pml.trail -p -g "$@" "$model" 2>&1 | tail -n 400
}

# expect VERDICT PAN-FLAGS PAN-ARGUMENTS TEXT MODEL-FLAGS...
expect() {
  wanted=$1 text=$4
  pan_flags=$2 pan_arguments=$3
  shift 4
  verify "$pan_flags" "$pan_arguments" "$@"
  [ "$wanted" = clean ] || figures=$(sed -n 's/^pan:1: //p' pan.log | head -n 1)
  [ "$verdict" = "$wanted" ]
  report $? "$text: $figures"
  [ "$verdict" = "$wanted" ] || show "$@"
}
# Each: TEXT MODEL-FLAGS...
holds() {
  what_holds=$1
  shift
  expect clean "-DSAFETY" "" "$what_holds" "$@"
}
lives() {
  what_lives=$1
  shift
  expect clean "-DNFAIR=5" "-a -f" "$what_lives: seen in the end" -DLIVE "$@"
}
hashed() {
  what_is_hashed=$1
  shift
  expect clean "-DSAFETY -DBITSTATE" "-w34 -k3" "$what_is_hashed (hashed into bits)" "$@"
}
fails() {
  mutant=$1
  shift
  expect error "-DSAFETY -O1" "" "mutant: $mutant" "$@"
}

eventfd=-DBELL=EVENTFD parked=-DBELL=PARKED word=-DBELL=WORD one=-DSENDERS=1 alone=-DJS=1 twice=-DMESSAGES=2

if [ "$what" != --mutants ]; then
  holds "bell, 2 senders" $eventfd
  holds "bell, 2 senders, one thread that lingers" $eventfd $alone
  holds "bell, 2 messages" $eventfd $one $twice
  holds "bell, 2 messages, one thread that lingers" $eventfd $one $twice $alone
  holds "interrupt, and bell if parked" $parked $one
  holds "interrupt or bell, as attention says" $word $one
  for bell in $eventfd $parked $word; do
    holds "needs no timer where nobody is stuck, $bell" -DPROMPT $bell $one
  done
  lives "bell" $eventfd $one
  holds "needs no timer where nobody is stuck, one thread that lingers" -DPROMPT $eventfd $alone
  lives "one thread that lingers" $eventfd $one $alone
fi
if [ "$what" = --full ]; then
  holds "bell, 2 senders, all threads copy" $eventfd -DCOPIERS=2
  hashed "bell, 2 senders, 2 messages, one thread that lingers" $eventfd $twice $alone
  hashed "bell, 2 senders, 2 messages" $eventfd $twice
  hashed "bell, 3 senders" $eventfd -DSENDERS=3
  hashed "bell, 3 senders, one thread that lingers" $eventfd -DSENDERS=3 $alone
  holds "interrupt, and bell if parked, 2 messages" $parked $one $twice
  holds "interrupt or bell, as attention says, 2 messages" $word $one $twice
  lives "interrupt, and bell if parked" $parked $one
  lives "interrupt or bell, as attention says" $word $one
  hashed "interrupt, and bell if parked, 2 senders" $parked
  hashed "interrupt or bell, as attention says, 2 senders" $word
  for bell in $parked $word; do
    hashed "needs no timer where nobody is stuck, 2 senders, $bell" -DPROMPT $bell
  done
fi

fails "no look after arming" -DNO_LOOK $eventfd $one
fails "what pends is not looked at" -DNO_PENDING $eventfd $one
fails "no escalation" -DNO_ESCALATION $eventfd $one
fails "attention loaded before the message is published" -DLOOK_FIRST $eventfd $one
fails "attention loaded before, one thread that lingers" -DLOOK_FIRST $eventfd $one $alone
fails "the guard entered in two steps" -DSPLIT_ENTER $eventfd $one
fails "nobody hears of a death" -DNO_DEATH_NOTICE $eventfd $one
fails "with interrupts: no escalation" -DNO_ESCALATION $parked $one
fails "an interrupt and never a bell" -DPROMPT -DINTERRUPT_ONLY $word $one
fails "parked, and asleep without a look (only a timer saves it)" -DPROMPT -DPARK_WITHOUT_LOOK $parked $one
# What a loop that came out of converse() in waiting.cc once did: what can wait then waited for a timer.
fails "asleep while it says that JavaScript runs (only a timer saves it)" -DPROMPT -DRUNS_ASLEEP $eventfd $one $alone
fails "the same with interrupts, as attention says" -DPROMPT -DRUNS_ASLEEP $word $one

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
