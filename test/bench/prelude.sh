# What the benchmarks that run a server of their own have in common; sourced by run.sh of each.
#
#   install_qms               build and install, from the top of the tree
#   as_server_user ARGUMENT... the copy of run.sh in the folder $work goes on as a user that may run a server
#   go_inside FOLDER          there; then sql, start, stop, finish
#   make_cluster              a server in it; further settings on standard input
set -u -o pipefail
export LC_ALL=C.UTF-8
unset $(compgen -v | grep -E '^PG[A-Z]' | grep -v '^PG_CONFIG$') MAKEFLAGS MFLAGS MAKELEVEL
if [ -z "${PG_CONFIG:-}" ]; then
	PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config
	[ -x "$PG_CONFIG" ] || PG_CONFIG=pg_config
fi
export PG_CONFIG

die() {
	echo "run.sh: $*" >&2
	exit 1
}

install_qms() {
	local sudo=()

	bash test/lib/install_deps.sh bench || die "packages are missing"
	make -s -j2 all || die "the build failed"
	[ -w "$("$PG_CONFIG" --pkglibdir)" ] || sudo=(sudo)
	"${sudo[@]}" make -s install PG_CONFIG="$PG_CONFIG" >/dev/null || die "make install failed"
	work=$(mktemp -d /tmp/qms-bench.XXXXXX) || die "no room in /tmp"
	trap 'rm -rf "$work"' EXIT
	trap 'trap "" INT TERM; wait; exit 130' INT TERM
}

as_server_user() {
	local runner=()

	if [ "$(id -u)" -eq 0 ]; then
		id -u postgres >/dev/null 2>&1 || die "no user postgres to run the server as"
		chown -R postgres: "$work"
		runner=(setpriv --reuid=postgres --regid=postgres --init-groups env HOME="$work")
	fi
	"${runner[@]}" bash "$work/run.sh" --inside "$work" "$@"
}

# ---- Inside ----
slow= holder=	# set to slow down fsync; a session that holds a snapshot
sql() { "$bin/psql" -XAtq -v ON_ERROR_STOP=1 "$@"; }
start() {
	LD_PRELOAD=${slow:+$work/slow_fsync.so} "$bin/pg_ctl" -D data -w -t 60 -l server.log start >/dev/null ||
		{ tail -n 20 server.log; die "the server does not start"; }
}
stop() { "$bin/pg_ctl" -D data -w -m "${1:-fast}" stop >/dev/null 2>&1; }
let_go() {
	[ -z "$holder" ] || { exec 7>&-; wait "$holder" 2>/dev/null; holder=; }
}
finish() {
	trap '' INT TERM EXIT
	let_go
	stop immediate
	exit "$1"
}

# make_cluster: a server in the folder, on a socket there; further settings on standard input.
make_cluster() {
	"$bin/initdb" -D data -A trust -U postgres -E UTF8 --locale=C.UTF-8 >initdb.log 2>&1 ||
		{ cat initdb.log; die "initdb failed"; }
	cat >>data/postgresql.conf <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$work'
		shared_preload_libraries = 'qms'
		qms.workers = off
		qms.gateway = off
		max_connections = 120
		shared_buffers = 512MB
		max_wal_size = 8GB
		checkpoint_timeout = 1h
		wal_sync_method = fdatasync
		jit = off
	CONF
	cat >>data/postgresql.conf
	start
}

# go_inside FOLDER: go there; whatever happens, the server ends with us.
go_inside() {
	work=$1
	bin=$("$PG_CONFIG" --bindir)
	cd "$work" || exit 1
	export PGHOST=$work PGPORT=5432 PGUSER=postgres PGDATABASE=postgres PGCONNECT_TIMEOUT=10
	trap 'finish 130' INT TERM
	trap 'finish $?' EXIT
}
