#!/bin/bash
# run_tests.sh [SUITE...]: what `make test` runs.  Suites: regress isolation tap scripts clang
# (the last in CI only, or when named).  By environment:
#   SUITES="tap"  PROVE_TESTS=test/t/001_start.pl  PROVE_FLAGS=-v  REGRESS="a b"  ISOLATION="iso_a"
#   PG_CONFIG=...  COPT=-Werror  QMS_MAKE_ARGS=with_llvm=no
#   QMS_TEST_RESULT=FILE gets the closing line as well
# Everything runs in a copy of the tree under /tmp, as the caller, or as postgres when the caller
# is root (the server refuses root).  The copy stays when something fails.
#
# A script of the list below runs in that copy as that user, with PG_CONFIG and QMS_SHORT=1 set.
# It must end its own children, exit non-zero on failure, and may print "N passed, N failed".
scripts=(test/stress/run.sh test/gateway/run.sh test/upgrade/run.sh test/web/run.sh)

set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
top=$PWD
# The caller's make options and connection settings are not the tests'.
unset MAKEFLAGS MFLAGS MAKELEVEL CDPATH $(compgen -v | grep -E '^PG[A-Z]')
export LANG=C.UTF-8 LC_ALL=C.UTF-8
make=(make -s --no-print-directory ${QMS_MAKE_ARGS:-})
passed=0 failed=0 child= work= keep=
. test/lib/scripts.sh

finish() {
	trap '' INT TERM HUP
	end_child
	[ -z "$work" ] || stop_servers "$work"
	if [ -n "$work" ] && [ -n "$keep" ]; then
		echo "kept for a look: $work"
	elif [ -n "$work" ]; then
		rm -rf "$work"
	fi
	echo "$passed passed, $failed failed"
	[ -z "${QMS_TEST_RESULT:-}" ] || echo "$passed passed, $failed failed" >"$QMS_TEST_RESULT"
	exit "$1"
}
interrupted() {
	echo "interrupted"
	keep=
	failed=$((failed + 1))
	finish 130
}
die() {
	echo "$*" >&2
	failed=$((failed + 1))
	finish 1
}

trap interrupted INT TERM HUP

[ $# -gt 0 ] || set -- ${SUITES:-regress isolation tap scripts ${CI:+clang}}
for suite in "$@"; do
	case $suite in
		regress | isolation | tap | scripts | clang) ;;
		*) die "run_tests.sh: unknown suite \"$suite\"" ;;
	esac
done

bash test/lib/install_deps.sh test || die "packages are missing, nothing was tested"
# Scripts skip what needs a browser where there is none.
[[ " $* " != *" scripts "* ]] || bash test/lib/install_deps.sh browser ||
	echo "without Node, npm and Chromium a part of the scripts will be skipped"

if [ -z "${PG_CONFIG:-}" ]; then
	PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config
	[ -x "$PG_CONFIG" ] || PG_CONFIG=pg_config
fi
export PG_CONFIG
pkglibdir=$("$PG_CONFIG" --pkglibdir) || die "no usable pg_config: PG_CONFIG=$PG_CONFIG"

# Sockets live below this folder and their names may have 107 bytes: not in a long TMPDIR.
work=$(mktemp -d /tmp/qms-test.XXXXXX) || die "no room in /tmp"
mkdir "$work/tree" "$work/tmp" "$work/tap" "$work/log"
export TMPDIR=$work/tmp PG_TEST_PORT_DIR=/tmp/qms-ports.$(id -u)
tester=()
if [ "$(id -u)" -eq 0 ]; then
	id -u postgres >/dev/null 2>&1 || die "no user postgres to run the server as"
	PG_TEST_PORT_DIR=/tmp/qms-ports.$(id -u postgres)
	tester=(setpriv --reuid=postgres --regid=postgres --init-groups
		env HOME="$work" USER=postgres LOGNAME=postgres)
fi

echo "== build"
"${make[@]}" -j2 all || die "the build failed"

# Install only what differs, under a lock, so that a second run in parallel neither sees a half
# written qms.so nor has its own replaced: tests hold the lock shared, installing takes it alone.
exec 9<"$pkglibdir"
"${make[@]}" install DESTDIR="$work/stage" >"$work/log/stage" 2>&1 ||
	{ cat "$work/log/stage"; die "make install failed"; }
installed() {
	local f
	while IFS= read -r f; do
		cmp -s "$work/stage$f" "$f" || return 1
	done < <(cd "$work/stage" && find . -type f | sed 's/^\.//')
}
lock() {
	flock -n "$1" 9 && return
	echo "waiting for another test run to leave $pkglibdir"
	flock -w 1200 "$1" 9 || die "another test run holds $pkglibdir"
}
while lock -s; ! installed; do
	lock -x
	installed && continue
	sudo=()
	if ! [ -w "$pkglibdir" ]; then
		command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; } ||
			die "installing into $pkglibdir needs root or sudo"
		sudo=(sudo)
	fi
	echo "== install into $pkglibdir"
	"${sudo[@]}" "${make[@]}" install PG_CONFIG="$PG_CONFIG" >"$work/log/install" 2>&1 ||
		{ cat "$work/log/install"; die "make install failed"; }
	installed || die "make install left other files than were built"
done

copy() {
	tar -C "$top" --exclude=./.git --exclude=./.demo --exclude=./.bench --exclude=node_modules \
		--exclude='./tmp_check*' --exclude=./output_iso --exclude=./results --exclude=./log \
		--exclude='./regression.*' -cf - . | tar -C "$1" -xf -
}
copy "$work/tree" || die "could not copy the tree"
[ ${#tester[@]} -eq 0 ] || chown -R postgres: "$work"
cd "$work/tree" || die "no copy of the tree"

# run SECONDS NAME PATTERN CMD...: CMD to log/NAME, lines with PATTERN to the screen as they come.
run() {
	local seconds=$1 log=$work/log/$2 pattern=$3 follow rc
	shift 3
	: >"$log"
	set -m
	timeout -k 20 "$seconds" "${tester[@]}" "$@" >>"$log" 2>&1 </dev/null 9<&- &
	child=$!
	set +m
	tail -n +1 -s 0.2 -f --pid="$child" "$log" 2>/dev/null 9<&- |
		grep --line-buffered -E "$pattern" | sed -u -E 's/ +\( *[0-9.]+ usr.*//; s/^/   /' &
	follow=$!
	wait "$child"
	rc=$?
	child=
	wait "$follow" 2>/dev/null
	[ "$rc" -ne 124 ] && [ "$rc" -ne 137 ] || echo "   timed out after $seconds s"
	return "$rc"
}
# count RC OK BAD: a suite that failed without naming a test counts as one failure.
count() {
	local bad=$3
	[ "$1" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
	passed=$((passed + $2))
	failed=$((failed + bad))
	[ "$bad" -eq 0 ] || keep=yes
	echo "   $suite: $2 passed, $bad failed, $SECONDS s"
	[ "$bad" -eq 0 ]
}
show() {
	local f
	for f in "$@"; do
		[ -s "$f" ] || continue
		echo "--- $f"
		tail -n "${lines:-60}" "$f"
	done
}
# The lines that tell why a server died or a statement failed unexpectedly.
show_servers() {
	local f
	for f in "$@"; do
		[ -s "$f" ] && grep -qE 'PANIC|FATAL|terminated by signal|TRAP:|Sanitizer|runtime error' "$f" || continue
		echo "--- $f"
		grep -nE 'PANIC|FATAL|terminated by signal|TRAP:|Sanitizer|runtime error' "$f" | tail -n 15
		tail -n 15 "$f"
	done
}

show_regress() {
	if [ -s regression.diffs ] || [ -s output_iso/regression.diffs ]; then
		lines=300 show regression.diffs output_iso/regression.diffs
	else
		show "$work/log/$suite" log/initdb.log
	fi
	show_servers log/postmaster.log
}
show_tap() {
	local name
	lines=100 show "$work/log/tap"
	sed -nE 's/^test\/t\/(\S+)\.pl +\(Wstat: .*/\1/p' "$work/log/tap" | while read -r name; do
		lines=30 show "tmp_check/log/regress_log_$name"
		show_servers tmp_check/log/"$name"_*.log
		lines=15 show "$(ls -t tmp_check/log/"$name"_*.log 2>/dev/null | head -n 1)"
	done
}

# pg_regress of 15 prints "test x ... ok", from 17 on "ok 1 - x".
pg_regress_suite() {
	local rc ok bad line='^(test .*|.*\.\.\. (ok|FAILED).*|(not )?ok +[0-9]+ .*)$'
	run "$1" "$suite" "$line" "${make[@]}" installcheck "${@:2}"
	rc=$?
	ok=$(grep -cE '\.\.\. ok( |$)|^ok +[0-9]+ ' "$work/log/$suite")
	bad=$(grep -cE '\.\.\. FAILED|^not ok +[0-9]+ ' "$work/log/$suite")
	count "$rc" "$ok" "$bad"
}
tap_suite() {
	local rc ok bad skipped
	run 1200 tap '^test/t/|^\[[0-9:]+\] test/|Dubious|not ok |#   Failed' \
		env PERL_TEST_HARNESS_DUMP_TAP="$work/tap" "${make[@]}" installcheck REGRESS= ISOLATION= \
		PROVE_FLAGS="--timer -j2 ${PROVE_FLAGS:-}"
	rc=$?
	ok=$(find "$work/tap" -type f -exec cat {} + | grep -E '^ok ' | grep -cviE '# *skip')
	skipped=$(find "$work/tap" -type f -exec cat {} + | grep -ciE '^(ok|1\.\.0) .*# *skip')
	[ "$skipped" -eq 0 ] || echo "   tap: $skipped skipped"
	# prove's summary has one line for each file that failed; one that died says "Failed: 0".
	bad=0
	[ "$rc" -eq 0 ] || bad=$(sed -nE 's/^\S+ +\(Wstat: .*Tests: [0-9]+ Failed: ([0-9]+)\)$/\1/p' \
		"$work/log/tap" | awk '{n += $1 > 0 ? $1 : 1} END {print n + 0}')
	count "$rc" "$ok" "$bad"
}

for suite in "$@"; do
	SECONDS=0
	case $suite in
		regress)
			compgen -G 'test/sql/*.sql' >/dev/null || continue
			echo "== pg_regress"
			pg_regress_suite 600 ISOLATION= TAP_TESTS= ${REGRESS:+REGRESS="$REGRESS"} || show_regress
			;;
		isolation)
			compgen -G 'test/specs/*.spec' >/dev/null || continue
			echo "== isolation"
			rm -rf log regression.*
			pg_regress_suite 600 REGRESS= TAP_TESTS= ${ISOLATION:+ISOLATION="$ISOLATION"} || show_regress
			;;
		tap)
			compgen -G 'test/t/*.pl' >/dev/null || continue
			echo "== TAP"
			tap_suite || show_tap
			;;
		scripts)
			for suite in "${scripts[@]}"; do
				[ -e "$suite" ] || continue
				echo "== $suite"
				SECONDS=0
				run 600 "${suite//\//_}" . env QMS_SHORT=1 bash "$suite"
				rc=$?
				read -r ok bad < <(sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' \
					"$work/log/${suite//\//_}" | tail -n 1) || { ok=$((rc == 0)) bad=$((rc != 0)); }
				count "$rc" "$ok" "$bad"
			done
			;;
		clang)
			# A second compiler's warnings, in another copy.
			for cc in clang-14 clang; do command -v "$cc" >/dev/null && break; done ||
				{ echo "== clang: not installed"; continue; }
			echo "== $cc"
			mkdir "$work/clang" && copy "$work/clang"
			[ ${#tester[@]} -eq 0 ] || chown -R postgres: "$work/clang"
			# Not ours: gcc's options in PGXS.
			run 300 clang . env COPT="-Werror -Wno-unknown-warning-option -Wno-ignored-optimization-argument" \
				"${make[@]}" -C "$work/clang" with_llvm=no CC="$cc" clean all
			rc=$?
			count "$rc" $((rc == 0)) $((rc != 0))
			;;
	esac
done
[ $((passed + failed)) -gt 0 ] || die "no test was run"
finish $((failed > 0))
