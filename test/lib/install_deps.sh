#!/bin/bash
# install_deps.sh [build|test|browser|bench|demo]...: install what is missing, through apt.
# Quick and silent when nothing is missing.  PG_CONFIG=... chooses another PostgreSQL than 15.
set -u
cd "$(dirname "$0")/../.." || exit 1

pg=15
if [ -n "${PG_CONFIG:-}" ]; then
	pg=$("$PG_CONFIG" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
	# A PostgreSQL that is not Debian's brings its own headers.
	case $("$PG_CONFIG" --bindir 2>/dev/null) in
		/usr/lib/postgresql/"$pg"/bin) ;;
		*) pg= ;;
	esac
fi

build=(build-essential libssl-dev)
[ -z "$pg" ] || build+=("postgresql-$pg" "postgresql-server-dev-$pg")
# The gateway is a program of its own with libraries of its own.
if compgen -G 'src/gateway/*.c' >/dev/null; then
	build+=(libpq-dev libwebsockets-dev libuv1-dev libwebsockets-evlib-uv libjansson-dev libseccomp-dev)
fi
wanted=()
for group in "${@:-build}"; do
	case $group in
		build) wanted+=("${build[@]}" procps) ;;
		browser)
			# A Node of another origin will do, and so will another Chromium.
			command -v node >/dev/null && command -v npm >/dev/null || wanted+=(nodejs npm)
			command -v chromium google-chrome >/dev/null || wanted+=(chromium fonts-dejavu-core)
			;;
		demo | bench) wanted+=("${build[@]}" procps libdbd-pg-perl) ;;
		test)
			wanted+=("${build[@]}" procps libipc-run-perl libdbd-pg-perl
				libtap-parser-sourcehandler-pgtap-perl python3-jsonschema python3-psycopg2
				python3-jwt python3-jwcrypto)
			[ -z "$pg" ] || wanted+=("postgresql-$pg-pgtap")
			;;
		*) echo "install_deps.sh: unknown group \"$group\" (build, test, browser, bench, demo)" >&2; exit 2 ;;
	esac
done

if ! command -v dpkg-query >/dev/null; then
	echo "install_deps.sh: not a Debian system; needed here are the equivalents of: ${wanted[*]}" >&2
	exit 0
fi
missing=()
for package in $(printf '%s\n' "${wanted[@]}" | sort -u); do
	[ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
		missing+=("$package")
done
# Nice to have: tests skip with a line what it would be needed for.  Of Debian's prometheus only the
# programs are taken: installed, it would run as a service from then on.
tools=/usr/local/lib/qms-test
optional=
for group in "$@"; do
	[ "$group" != test ] || command -v promtool >/dev/null || [ -e "$tools/promtool" ] || optional=prometheus
done
[ ${#missing[@]} -gt 0 ] || [ -n "$optional" ] || exit 0

root=()
if [ "$(id -u)" -ne 0 ]; then
	# Without a terminal sudo must not ask.
	if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
		root=(sudo)
	elif [ ${#missing[@]} -eq 0 ]; then
		exit 0
	else
		echo "install_deps.sh: these packages are missing and need root or sudo to install:" >&2
		echo "    apt-get install ${missing[*]}" >&2
		exit 1
	fi
fi
apt() {
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y -o DPkg::Lock::Timeout=900 -o Dpkg::Use-Pty=0 "$@" </dev/null
}
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
take_programs() {
	local place rc=1
	place=$(mktemp -d) && (
		cd "$place" && chmod 755 . &&
			{ apt-get -q download prometheus || { apt update && apt-get -q download prometheus; }; } &&
			dpkg -x prometheus_*.deb x
	) >"$log" 2>&1 && "${root[@]}" install -D -t "$tools" "$place/x/usr/bin/promtool" "$place/x/usr/bin/prometheus" && rc=0
	rm -rf "$place"
	return "$rc"
}
if [ -n "$optional" ] && ! take_programs; then
	echo "install_deps.sh: without promtool some checks will be skipped"
	# An empty file: it is not tried each time.
	"${root[@]}" install -D -m 644 /dev/null "$tools/promtool"
fi
[ ${#missing[@]} -gt 0 ] || exit 0
echo "installing: ${missing[*]}"
# Old package lists name versions the mirror no longer has, so refresh them once anyway.
if ! apt update >"$log" 2>&1 ||
	! apt install --no-install-recommends "${missing[@]}" >>"$log" 2>&1; then
	tail -n 30 "$log" >&2
	echo "install_deps.sh: could not install: ${missing[*]}" >&2
	exit 1
fi
