#!/bin/bash
# run.sh: what `make bench-gateway` runs: from COMMIT to the first and the last of 100, 1,000 and 10,000
# clients, CPU per message, memory per connection, connects per second, idle cost, displays among phones,
# clients that do not read; beside a Node broadcaster (`ws` + `pg`) and the least that can be done in C
# (floor.c) in the same run, by turns.  The load client is C (load.c).
#
#   QMS_CLIENTS=100,1000,10000 QMS_ROUNDS=30 QMS_SHORT=1 QMS_GATEWAY=/path/to/qms_gateway
#   QMS_PARTS=fan-out,screens,stopped,stopped-node
#
# qms and qms_gateway must be installed (make install).  A report, not a test: say what else the machine
# was doing.  The figures of a quiet machine are in contrib-docs/benchmarks.md.
set -u
cd "$(dirname "$0")" || exit 1
if [ "$(id -u)" -eq 0 ]; then
	bash ../../lib/install_deps.sh bench || exit 1
	work=$(mktemp -d /tmp/qms-bench-gateway.XXXXXX) || exit 1
	trap 'rm -rf "$work"' EXIT
	# The server refuses root; so many sockets need a higher limit than most users have.
	ulimit -n 65536 2>/dev/null
	mkdir -p "$work/test/bench" "$work/src"
	cp -r ../gateway "$work/test/bench/gateway"
	cp -r ../../gateway "$work/test/gateway"
	cp -r ../../../src/web "$work/src/web"
	rm -f "$work"/test/gateway/node_modules "$work"/test/bench/gateway/node_modules
	chown -R postgres: "$work"
	setpriv --reuid=postgres --regid=postgres --init-groups env HOME="$work" USER=postgres TMPDIR="$work" bash "$work/test/bench/gateway/run.sh" "$@"
	exit
fi
unset $(compgen -v | grep -E '^PG[A-Z]' | grep -v '^PG_CONFIG$')
export LC_ALL=C.UTF-8
ulimit -n "$(ulimit -Hn)" 2>/dev/null
PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
export PG_CONFIG
program=${QMS_GATEWAY:-$("$PG_CONFIG" --bindir)/qms_gateway}
[ -x "$program" ] || { echo "no $program here: make install first" >&2; exit 1; }
why=$(bash ../../gateway/npm.sh ../bench/gateway) || { echo "$why" >&2; exit 1; }
echo "$(nproc) cores, load $(cut -d ' ' -f 1-3 /proc/loadavg), PostgreSQL $("$PG_CONFIG" --version), Node $(node --version), $(date -u '+%F %T') UTC"
exec node run.mjs "$@"
