#!/usr/bin/env bash
# The package as a stranger gets it: what `npm pack` puts in, and that it installs and runs where there is no compiler,
# no install script runs and nothing is in the home directory.
# Usage: pack.sh  in a built repository. Leaves nothing behind.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/carillon-pack.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/out" "$work/bin" "$work/home" "$work/app" "$work/tmp"

machine=linux-$(node -p process.arch)
most_kilobytes=1024
most_seconds=300

fail() {
  echo "pack: $1" >&2
  exit 1
}

# --- what is in it -----------------------------------------------------------------------------------------------------
cd "$root"
tarball=$work/out/$(npm pack --silent --ignore-scripts --pack-destination "$work/out" 2>/dev/null | tail -n 1)
[ -f "$tarball" ] || fail "npm pack made no tarball"
tar -tzf "$tarball" | sed 's|^package/||' | sort >"$work/list"

for file in package.json README.md dist/src/index.js dist/src/index.d.ts dist/src/cli/main.js dist/src/selftest/rank.js \
  dist/bench/main.js dist/bench/report/vega.js dist/bench/report/vega.licences.txt dist/bench/peers/carillon-program.js bench/native/eventfd.c bench/native/harness.h \
  "prebuilds/$machine/carillon.node" "prebuilds/$machine/carillon-exec"; do
  grep -qxF "$file" "$work/list" || fail "$file is not in the package"
done
if grep -E '^(test|examples|src|build|node_modules)/|^bench/.*\.ts$|^dist/(test|examples)/|^dist/bench/.*\.map$|(^|/)\.|\.(tgz|log)$' \
  "$work/list" >&2; then
  fail "the files above do not belong in the package"
fi
kilobytes=$(($(wc -c <"$tarball") / 1024))
[ "$kilobytes" -le "$most_kilobytes" ] || fail "the package has $kilobytes KiB, more than $most_kilobytes"
mkdir "$work/package"
tar -xzf "$tarball" -C "$work/package" --strip-components=1
[ -x "$work/package/prebuilds/$machine/carillon-exec" ] || fail "carillon-exec is not executable"
"$root/test/package/symbols.sh" "$work/package/prebuilds/$machine"

# --- a machine with Node.js and little else ----------------------------------------------------------------------------
for tool in node npm npx sh env cat uname; do
  ln -s "$(readlink -f "$(command -v "$tool")")" "$work/bin/$tool"
done
# The registry is this machine's business: it is handed on, and never shown.
registry=$(npm config get registry 2>/dev/null)
conceal() { sed "s|${registry%/}|(registry)|g"; }

bare() {
  local kept=()
  for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy NODE_EXTRA_CA_CERTS SSL_CERT_FILE; do
    [ -n "${!name-}" ] && kept+=("$name=${!name}")
  done
  # The limit only ends what hangs.
  (cd "$work/app" && timeout -k 5 "$most_seconds" env -i "${kept[@]}" PATH="$work/bin" HOME="$work/home" TMPDIR="$work/tmp" \
    npm_config_registry="$registry" npm_config_update_notifier=false "$@" </dev/null)
}

for tool in cc gcc g++ c++ clang make python3; do
  if bare sh -c "command -v $tool" >/dev/null; then fail "$tool is on the reduced PATH"; fi
done

cat >"$work/app/package.json" <<'JSON'
{ "name": "stranger", "private": true, "type": "module" }
JSON
cat >"$work/app/hello.js" <<'JS'
import { World } from "carillon";

const world = await World.join();
try {
  if (world.rank === 0) {
    await world.send({ text: "ring", bells: Float64Array.of(1, 2, 3) }, { dest: 1 });
    const answer = await world.recv({ source: 1 });
    console.log(`rank 0 of ${world.size} heard ${answer.value}`);
  } else {
    const message = await world.recv({ source: 0 });
    console.log(`rank 1 of ${world.size} heard ${message.value.text} ${message.value.bells.join("-")}`);
    await message.reply("rang");
  }
} finally {
  await world.close();
}
JS

bare npm install --ignore-scripts --no-audit --no-fund "$tarball" >"$work/install.log" 2>&1 || {
  conceal <"$work/install.log" >&2
  fail "the package cannot be installed"
}

# carillon ARGUMENT…: the installed command, its output in $work/stdout.
carillon() {
  bare npx --no-install carillon "$@" >"$work/stdout" 2>"$work/stderr" || {
    cat "$work/stdout" "$work/stderr" >&2
    fail "carillon $1 failed"
  }
}

carillon run -n 2 hello.js
printf '%s\n' "rank 0 of 2 heard rang" "rank 1 of 2 heard ring 1-2-3" >"$work/expected"
sort "$work/stdout" | diff "$work/expected" - >&2 || fail "the two-rank program printed something else (above)"

carillon info
version=$(node -p 'require(process.argv[1]).version' "$root/package.json")
grep -qF "$version" "$work/stdout" || { cat "$work/stdout" >&2; fail "carillon info does not name its version $version"; }
grep -q shm "$work/stdout" || { cat "$work/stdout" >&2; fail "carillon info does not name the driver shm"; }

carillon selftest
grep -qE '^ok +eventfd +busy receiver: ' "$work/stdout" || { cat "$work/stdout" >&2; fail "carillon selftest does not test the eventfd"; }

# What is not there says what would make it run; what is there is measured.
carillon bench --rounds 1 --only roundtrip-8B/free --json bench.json --html bench.html
for line in '  carillon +[0-9]' '  UNIX socket \(net\) +[0-9]' '  zeromq ipc \(pair\) +not measured: zeromq is not installed: npm install zeromq' \
  '  C eventfd \+ epoll +not measured: .*install it' '  C MPI, MPICH +not measured: .*install MPICH'; do
  grep -qE "^$line" "$work/stdout" || { cat "$work/stdout" >&2; fail "carillon bench does not say: $line"; }
done
grep -q '"formatVersion": 2' "$work/app/bench.json" || fail "carillon bench --json wrote no run"
grep -q '<svg ' "$work/app/bench.html" || fail "carillon bench --html drew no picture"

echo "pack: $(wc -l <"$work/list") files, $kilobytes KiB, installed without scripts, run by two ranks, self-tested and measured"
