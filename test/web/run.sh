#!/bin/bash
# run.sh: the tests of the pages: pure functions in Node, and the display in Chromium before a mock.
# The last line is "N passed, N failed".  Without Node, npm's packages or Chromium what needs them
# is skipped, and says so.
set -u
cd "$(dirname "$0")" || exit 1
export LC_ALL=C.UTF-8
passed=0 failed=0 child= work=$(mktemp -d) || exit 1
. ../lib/scripts.sh
finish() {
	trap '' INT TERM HUP
	end_child
	rm -rf "$work"
	echo "$passed passed, $failed failed"
	exit $((failed > 0))
}
trap 'failed=$((failed + 1)); finish' INT TERM HUP

if ! command -v node >/dev/null; then
	echo "skipped: no node here"
	finish
fi
node_tests 60 page state.test.mjs layout.test.mjs
if ! why=$(bash ../gateway/npm.sh ../web); then
	echo "skipped: the display in a browser ($why)"
	finish
fi
if ! compgen -G '/usr/bin/chromium*' >/dev/null && [ ! -x /usr/bin/google-chrome ]; then
	echo "skipped: the display in a browser (no Chromium here)"
	finish
fi
node_tests 400 display display.test.mjs
finish
