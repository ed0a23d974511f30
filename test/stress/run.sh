#!/bin/bash
# run.sh: the stress test.  A throw-away server, many sessions at random while they and the server are
# killed, then the independent checker, then a test of the checker itself.
#
#   test/stress/run.sh [--seconds 180] [--sessions 64] [--seed N] [--terminate S] [--kill S] [--crash S]
#
# QMS_SHORT=1: a short storm, for CI.  QMS_KEEP=1 keeps the folder.  The extension must be installed.
# The last line is "N passed, N failed".
set -u
cd "$(dirname "$0")" || exit 1

if [ "$(id -u)" -eq 0 ]; then
	# The server refuses root.
	exec setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/tmp USER=postgres bash "$PWD/run.sh" "$@"
fi
unset $(compgen -v | grep -E '^PG[A-Z]' | grep -v '^PG_CONFIG$')
export LC_ALL=C.UTF-8
bindir=$("${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}" --bindir) || exit 1
work=$(mktemp -d "${TMPDIR:-/tmp}/storm.XXXXXX") || exit 1
storm=
passed=0 failed=0

finish() {
	trap '' INT TERM HUP
	[ -z "$storm" ] || kill -TERM "$storm" 2>/dev/null
	perl -I. -MStorm::Cluster -e 'Storm::Cluster->new(@ARGV)->stop("immediate")' "$work" "$bindir"
	if [ -n "${QMS_KEEP:-}" ] || [ "$failed" -gt 0 ]; then
		echo "kept for a look: $work"
	else
		rm -rf "$work"
	fi
	echo "$passed passed, $failed failed"
	exit $((failed > 0))
}
trap 'failed=$((failed + 1)); finish' INT TERM HUP

# step NAME CMD...: one more passed or failed; with "N passed, N failed" at its end, so many.
step() {
	local name=$1 rc counted
	shift
	echo "== $name"
	"$@" >"$work/$name.log" 2>&1 &
	storm=$!
	wait "$storm"
	rc=$?
	storm=
	counted=$(tail -n 1 "$work/$name.log" | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p')
	cat "$work/$name.log"
	if [ -n "$counted" ]; then
		passed=$((passed + ${counted% *}))
		failed=$((failed + ${counted#* }))
	else
		passed=$((passed + (rc == 0)))
		failed=$((failed + (rc != 0)))
	fi
	[ "$rc" -eq 0 ]
}

export PGHOST=$work PGDATABASE=stress PGUSER=postgres
step setup perl setup.pl "$work" "$bindir" || finish
step storm perl storm.pl --folder "$work" --bindir "$bindir" ${QMS_SHORT:+--seconds 20 --kill 6 --crash 8} "$@"
step crash perl -I. -MStorm::Cluster -e 'Storm::Cluster->new(@ARGV)->crash()' "$work" "$bindir"
step published perl -I. -MStorm::Killer -e 'exit(!Storm::Killer::all_published(shift, 60))' "$work"
step metrics perl metrics.pl "$work" "$bindir" ${QMS_SHORT:+6}
step check perl check.pl --busy --acks "$work"
step log perl -I. -MStorm::Cluster -e 'print map { "$_\n" } my @bad = Storm::Cluster->new(@ARGV)->bad_lines(); exit(@bad > 0)' "$work" "$bindir"
step selftest perl selftest.pl --acks "$work"
finish
