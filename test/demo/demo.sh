#!/bin/bash
# demo.sh [OPTION]...: what `make demo` runs: a morning of a town office, on a cluster of its own
# that is thrown away afterwards.  Options: see --help; by make: make demo DEMO="--seconds 60"
usage() {
	cat <<'EOF'
usage: make demo [DEMO="OPTION..."]    or    bash test/demo/demo.sh [OPTION]...

A morning of a town office in compressed time, on a throw-away PostgreSQL cluster:
four clerks, a kiosk, phones and a reception work through the public functions of qms,
each over a connection of its own; on the web, a waiting room lets people into a shop
for concert tickets.  Ends by itself, or with Ctrl-C.  The address of
the display, for a browser on this machine, is shown at the bottom.

  --seconds N   length of the demo (default 180; at least 20)
  --speed N     minutes of the office in a minute of the demo (default 60)
  --seed N      another morning (default 1)
  --lang L      language of the picture: en or de (default en)
  --listen H:P  address and port of the display (default: a free port of 127.0.0.1)
  --plain       lines instead of a picture, as when the output is not a terminal
  --no-color    no colours (so does NO_COLOR in the environment)
  --keep        leave the cluster running and say how to connect and how to stop it
  --help        this text
EOF
}

set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
top=$PWD
unset MAKEFLAGS MFLAGS MAKELEVEL CDPATH $(compgen -v | grep -E '^PG[A-Z]' | grep -v '^PG_CONFIG$')

number() {
	[[ ${2:-} =~ ^[1-9][0-9]{0,5}$ ]] || { echo "demo.sh: $1 needs a whole number above 0" >&2; exit 2; }
}
seconds=180 speed=60 seed=1 lang=en keep= options=()
[ -z "${NO_COLOR:-}" ] || options+=(--no-color)
# make demo DEMO="..." puts the options into the environment.
[ $# -gt 0 ] || set -- ${DEMO:-}
while [ $# -gt 0 ]; do
	case $1 in
		--*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}"; continue ;;
		--seconds) number "$@"; seconds=$2; shift ;;
		--speed) number "$@"; speed=$2; shift ;;
		--seed) number "$@"; seed=$2; shift ;;
		--lang)
			case ${2:-} in en | de) lang=$2 ;; *) echo "demo.sh: --lang is en or de" >&2; exit 2 ;; esac
			shift ;;
		--listen)
			[[ ${2:-} =~ ^[^,\'[:space:]]+:[0-9]+$ ]] || { echo "demo.sh: --listen needs HOST:PORT" >&2; exit 2; }
			options+=(--listen "$2")
			shift ;;
		--plain | --no-color) options+=("$1") ;;
		--keep) keep=yes ;;
		--help | -h) usage; exit 0 ;;
		*) echo "demo.sh: unknown option \"$1\"" >&2; usage >&2; exit 2 ;;
	esac
	shift
done
[ "$seconds" -ge 20 ] || { echo "demo.sh: --seconds must be at least 20" >&2; exit 2; }

work=
# The cluster ends with the demo, however the demo ended; demo.pl has stopped it already if it could.
finish() {
	local rc=$? pid i
	trap '' INT TERM HUP
	[ -n "$work" ] || exit "$rc"
	[ -z "$keep" ] || [ ! -e "$work/kept" ] || exit "$rc"
	pid=$(head -n 1 "$work/data/postmaster.pid" 2>/dev/null)
	if [[ $pid =~ ^[0-9]+$ ]] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "$work/data" ]; then
		kill -QUIT "$pid" 2>/dev/null
		for i in {1..50}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
	fi
	rm -rf "$work"
	exit "$rc"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
die() {
	echo "demo.sh: $*" >&2
	exit 1
}

bash test/lib/install_deps.sh demo || die "packages are missing"
perl -MDBD::Pg -e 1 2>/dev/null || die "Perl's DBD::Pg is missing (libdbd-pg-perl)"
if [ -z "${PG_CONFIG:-}" ]; then
	PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config
	[ -x "$PG_CONFIG" ] || PG_CONFIG=pg_config
fi
export PG_CONFIG
bindir=$("$PG_CONFIG" --bindir) || die "no usable pg_config: PG_CONFIG=$PG_CONFIG"
pkglibdir=$("$PG_CONFIG" --pkglibdir)

# Short, because sockets live below it, and private.
work=$(mktemp -d /tmp/qms-demo.XXXXXX) || die "no room in /tmp"
runner=()
if [ "$(id -u)" -eq 0 ]; then
	id -u postgres >/dev/null 2>&1 || die "no user postgres to run the server as"
	runner=(setpriv --reuid=postgres --regid=postgres --init-groups
		env HOME="$work" USER=postgres LOGNAME=postgres)
fi

# Build, and install what differs from what is there: under the lock that `make test` takes too.
make=(make -s --no-print-directory)
echo "building"
"${make[@]}" -j2 all >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; die "the build failed"; }
"${make[@]}" install DESTDIR="$work/stage" >"$work/build.log" 2>&1 ||
	{ cat "$work/build.log" >&2; die "make install failed"; }
installed() {
	local f
	while IFS= read -r f; do
		cmp -s "$work/stage$f" "$f" || return 1
	done < <(cd "$work/stage" && find . -type f | sed 's/^\.//')
}
lock() {
	flock -n "$1" 9 && return
	echo "waiting for a test run to leave $pkglibdir"
	flock -w 1200 "$1" 9 || die "a test run holds $pkglibdir"
}
exec 9<"$pkglibdir"
while lock -s; ! installed; do
	lock -x
	installed && continue
	sudo=()
	if ! [ -w "$pkglibdir" ]; then
		command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; } ||
			die "installing into $pkglibdir needs root or sudo"
		sudo=(sudo)
	fi
	echo "installing into $pkglibdir"
	"${sudo[@]}" "${make[@]}" install PG_CONFIG="$PG_CONFIG" >"$work/build.log" 2>&1 ||
		{ cat "$work/build.log" >&2; die "make install failed"; }
	installed || die "make install left other files than were built"
done
rm -rf "$work/stage" "$work/build.log"
cp test/demo/{demo.pl,Board.pm,Office.pm,Room.pm} test/demo/town.sql "$work/" || die "could not copy the demo"
[ ${#runner[@]} -eq 0 ] || chown -R postgres: "$work"
cd "$work" || exit 1

# demo.pl lets go of the lock (descriptor 9) once its server has loaded qms.
echo "starting a cluster in $work"
# In the background, so that a signal to this script alone reaches it at once.
"${runner[@]}" perl -I"$work" demo.pl --bindir "$bindir" --dir "$work" --seconds "$seconds" \
	--speed "$speed" --seed "$seed" --lang "$lang" ${keep:+--keep} "${options[@]}" 9<&9 &
child=$!
signalled=
trap 'signalled=yes' INT
trap 'signalled=yes; kill -TERM "$child" 2>/dev/null' TERM HUP
while wait "$child"; rc=$?; [ -n "$signalled" ]; do signalled=; done
cd "$top" || exit 1
exit "$rc"
