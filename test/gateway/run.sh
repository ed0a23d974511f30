#!/bin/bash
# run.sh [FILE...]: the gateway with real clients: a server, qms_gateway and the official SDK `centrifuge`
# (npm, unmodified) in Node and in Chromium.  As an unprivileged user; qms must be installed.
#
#   test/gateway/run.sh [clients clients-protobuf protobuf supervised recover order storm page]
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
. ../lib/scripts.sh
finish() {
	trap '' INT TERM HUP
	end_child
	stop_servers "$work"
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

program=${QMS_GATEWAY:-$("$PG_CONFIG" --bindir)/qms_gateway}
[ -x "$program" ] || skip "no $program here (make and install it, or QMS_GATEWAY=...)"
why=$(bash npm.sh) || skip "$why"
[ $# -gt 0 ] || set -- clients clients-protobuf protobuf supervised recover order storm page
for name in "$@"; do
	if [ "$name" = page ] && ! compgen -G '/usr/bin/chromium*' >/dev/null && [ ! -x /usr/bin/google-chrome ]; then
		echo "skipped: the page in a browser (no Chromium here)"
		continue
	fi
	# The same tests with the SDK's other build.
	case $name in
		*-protobuf) QMS_FORM=protobuf node_tests 300 "$name" "${name%-protobuf}.test.mjs" ;;
		*) node_tests 300 "$name" "$name.test.mjs" ;;
	esac
done
finish
