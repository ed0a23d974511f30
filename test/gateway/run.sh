#!/bin/bash
# run.sh [FILE...]: the gateway with real clients: a server, qms_gateway and the official SDK `centrifuge`
# (npm, unmodified) in Node and in Chromium.  As an unprivileged user; qms must be installed.
#
#   test/gateway/run.sh [clients supervised recover order storm page]
#
# QMS_SHORT=1: shorter, for CI.  QMS_GATEWAY=... another program.  The last line is "N passed, N failed".
# What cannot be had (Node, npm's packages, Chromium, the program) is skipped, and it says so.
set -u
cd "$(dirname "$0")" || exit 1
if [ "$(id -u)" -eq 0 ]; then
	# The server refuses root.
	exec setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/tmp USER=postgres bash "$PWD/run.sh" "$@"
fi
unset $(compgen -v | grep -E '^PG[A-Z]' | grep -v '^PG_CONFIG$')
export LC_ALL=C.UTF-8
PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
export PG_CONFIG
passed=0 failed=0 child= work=$(mktemp -d "${TMPDIR:-/tmp}/qg.XXXXXX") || exit 1
export TMPDIR=$work
finish() {
	local f pid
	trap '' INT TERM HUP
	[ -z "$child" ] || { kill -TERM -- "-$child" 2>/dev/null; wait "$child" 2>/dev/null; }
	# Servers are in no process group of ours.
	while IFS= read -r f; do
		pid=$(head -n 1 "$f" 2>/dev/null)
		[[ $pid =~ ^[0-9]+$ ]] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "${f%/*}" ] && kill -QUIT "$pid" 2>/dev/null
	done < <(find "$work" -name postmaster.pid 2>/dev/null)
	if [ "$failed" -gt 0 ]; then
		echo "kept for a look: $work"
	else
		rm -rf "$work"
	fi
	echo "$passed passed, $failed failed"
	exit $((failed > 0))
}
trap 'failed=$((failed + 1)); finish' INT TERM HUP
skip() {
	echo "skipped: $*"
	finish
}

# tests SECONDS FILE: node --test in a process group of its own, so that all ends with it.
tests() {
	local rc ok bad log=$work/$2.log began=$SECONDS
	echo "== $2"
	set -m
	timeout -k 20 "$1" node --test --test-reporter=tap "$2.test.mjs" >"$log" 2>&1 &
	child=$!
	set +m
	wait "$child"
	rc=$?
	kill -TERM -- "-$child" 2>/dev/null
	child=
	sed -nE 's/^ *((not )?ok [0-9]+ - .*|# .*(events|cuts|killed|holes|ms until).*)/\1/p' "$log"
	ok=$(sed -nE 's/^# pass ([0-9]+)$/\1/p' "$log" | tail -n 1)
	bad=$(sed -nE 's/^# (fail|cancelled) ([0-9]+)$/\2/p' "$log" | awk '{n += $1} END {print n + 0}')
	if [ "$rc" -ne 0 ]; then
		[ "$bad" -gt 0 ] || bad=1
		[ "$rc" -ne 124 ] || echo "timed out after $1 s"
		grep -vE '^ *(ok |duration_ms|---|\.\.\.|type:)' "$log" | tail -n 100
		tail -n 15 "$work"/qg-*/gateway.log 2>/dev/null
	fi
	passed=$((passed + ${ok:-0}))
	failed=$((failed + bad))
	echo "   $2: ${ok:-0} passed, $bad failed, $((SECONDS - began)) s"
}

program=${QMS_GATEWAY:-$("$PG_CONFIG" --bindir)/qms_gateway}
[ -x "$program" ] || skip "no $program here (make and install it, or QMS_GATEWAY=...)"
why=$(bash npm.sh) || skip "$why"
[ $# -gt 0 ] || set -- clients supervised recover order storm page
for name in "$@"; do
	if [ "$name" = page ] && ! compgen -G '/usr/bin/chromium*' >/dev/null && [ ! -x /usr/bin/google-chrome ]; then
		echo "skipped: the page in a browser (no Chromium here)"
		continue
	fi
	tests 300 "$name"
done
finish
