#!/bin/bash
# run.sh: the tests of the pages: pure functions in Node, and the display in Chromium before a mock.
# The last line is "N passed, N failed".  Without Node, npm's packages or Chromium what needs them
# is skipped, and says so.
set -u
cd "$(dirname "$0")" || exit 1
export LC_ALL=C.UTF-8
passed=0 failed=0 log=$(mktemp) child=
finish() {
	trap '' INT TERM HUP
	[ -z "$child" ] || { kill -TERM -- "-$child" 2>/dev/null; wait "$child" 2>/dev/null; }
	rm -f "$log"
	echo "$passed passed, $failed failed"
	exit $((failed > 0))
}
trap 'failed=$((failed + 1)); finish' INT TERM HUP

# tests SECONDS FILE...: node --test in a process group of its own, so that Chromium ends with it.
tests() {
	local rc seconds=$1 ok bad
	shift
	set -m
	timeout -k 10 "$seconds" node --test --test-reporter=tap "$@" >"$log" 2>&1 &
	child=$!
	set +m
	wait "$child"
	rc=$?
	kill -TERM -- "-$child" 2>/dev/null
	child=
	sed -nE 's/^ *((not )?ok [0-9]+ - .*)/\1/p' "$log"
	ok=$(sed -nE 's/^# pass ([0-9]+)$/\1/p' "$log" | tail -n 1)
	bad=$(sed -nE 's/^# (fail|cancelled) ([0-9]+)$/\2/p' "$log" | awk '{n += $1} END {print n + 0}')
	[ "$rc" -eq 0 ] || { [ "$bad" -gt 0 ] || bad=1; grep -vE '^ *(ok |duration_ms|---|\.\.\.|type:)' "$log" | tail -n 150; }
	passed=$((passed + ${ok:-0}))
	failed=$((failed + bad))
}

if ! command -v node >/dev/null; then
	echo "skipped: no node here"
	finish
fi
tests 60 state.test.mjs layout.test.mjs
if ! why=$(bash ../gateway/npm.sh ../web); then
	echo "skipped: the display in a browser ($why)"
	finish
fi
if ! compgen -G '/usr/bin/chromium*' >/dev/null && [ ! -x /usr/bin/google-chrome ]; then
	echo "skipped: the display in a browser (no Chromium here)"
	finish
fi
tests 400 display.test.mjs
finish
