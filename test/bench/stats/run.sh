#!/bin/bash
# run.sh [--quick] [--tickets N] [--seconds N] [--rounds N]: what `make bench-stats` runs: the cost of snapshots.
# A month with a million tickets (quick: 100,000) is in the log; the scheduler makes all its snapshots. Then what one hour
# and one day cost, and join and call_next with and without snapshots being made beside them.
#
# Installs qms (as root or with sudo), then runs a server of its own, as postgres when the caller is root, on a unix
# socket in a folder that is removed at the end.  PG_CONFIG=... chooses PostgreSQL.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/prelude.sh" 2>/dev/null || . "$here/../prelude.sh" || exit 1

usage() {
	sed -n '2,4s/^# //p' "$here/run.sh" >&2
	exit 2
}
tickets=1000000 seconds=10 rounds=5 inside=
while [ $# -gt 0 ]; do
	case $1 in
		--quick) tickets=100000 seconds=3 rounds=3 ;;
		--tickets) tickets=${2:-}; shift ;;
		--seconds) seconds=${2:-}; shift ;;
		--rounds) rounds=${2:-}; shift ;;
		--inside) inside=${2:-}; shift ;;	# second half of ourselves, as the server's user
		*) usage ;;
	esac
	shift || usage
done
[[ $tickets =~ ^[1-9][0-9]*$ && $seconds =~ ^[1-9][0-9]*$ && $rounds =~ ^[1-9][0-9]*$ ]] || usage

if [ -z "$inside" ]; then
	cd "$here/../../.." || exit 1
	install_qms
	cp "$here"/*.{sh,sql} "$here/../prelude.sh" "$work/" || exit 1
	as_server_user --tickets "$tickets" --seconds "$seconds" --rounds "$rounds"
	exit
fi

# ---- Second half ----
go_inside "$inside"
make_cluster </dev/null
sql -v tickets="$tickets" -f setup.sql >/dev/null || die "the set-up failed"
echo "PostgreSQL $(sql -c 'SHOW server_version'), $(nproc) cores, load $(cut -d ' ' -f 1-3 /proc/loadavg), $(date -u +%F)"
echo "$tickets tickets, $(sql -c 'SELECT count(*) FROM qms.event') events in a month; 10 branches, 50 queues, 100 counters, 2 classes"

# CPU of a process in ms.
cpu() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print int(($12 + $13) * 1000 / hz) }' "/proc/$1/stat"; }

# ---- The scheduler makes the month ----
stop
printf "qms.workers = on\nqms.statistics_interval = 10\n" >>data/postgresql.conf
begun=$(date +%s%N)
start
until pid=$(sql -c "SELECT pid FROM qms.worker_status WHERE worker = 'scheduler' AND database = 'postgres' AND pid IS NOT NULL") && [ -n "$pid" ]; do sleep 0.05; done
until [ "$(sql -c "SELECT count(*) FROM qms_internal.stats_progress WHERE turn > 1 AND target IS NULL")" = 1 ]; do sleep 0.2; done
looked=$(cpu "$pid") looked_at=$(date +%s%N)
until [ "$(sql -c 'SELECT EXISTS (SELECT 1 FROM qms_internal.stats_due)')" = f ]; do sleep 0.2; done
made=$(cpu "$pid") made_at=$(date +%s%N)
hours=$(sql -c "SELECT count(*) FROM qms_internal.stats_hour")
echo
awk -v l=$(((looked_at - begun) / 1000000)) -v m=$(((made_at - begun) / 1000000)) -v lc="$looked" -v mc="$made" -v t="$tickets" -v h="$hours" 'BEGIN {
	printf "the log looked through: %.1f s, %.1f s of CPU\n", l / 1000, lc / 1000
	printf "all snapshots made:     %.1f s, %.1f s of CPU: %.3f ms a ticket, %.2f ms an hour of a branch (%d of them)\n", (m - l) / 1000, (mc - lc) / 1000, (mc - lc) / t, (mc - lc) / h, h }'
sql -F ' ' -c "SELECT count(*), pg_size_pretty(pg_total_relation_size('qms.analytics_snapshot')), pg_size_pretty(pg_total_relation_size('qms.staff_snapshot')),
	(SELECT sum(joined) FROM qms.analytics_snapshot WHERE queue_id IS NOT NULL AND period = 'hour' AND customer_class IS NULL) FROM qms.analytics_snapshot" |
	{ read -r rows size kb staff kb2 joined; echo "rows: $rows, $size $kb; staff $staff $kb2; joined in them: $joined"; }
stop
printf "qms.workers = off\n" >>data/postgresql.conf
start

# ---- One hour, one day, a month's percentiles ----
month="date_trunc('month', now(), 'UTC') - interval '1 month'"
timed() { sql -c '\timing on' -c 'SET client_min_messages = error' -c "$1" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p' | tail -n 1; }
busiest=$(sql -c "SELECT starts_at FROM qms.analytics_snapshot WHERE queue_id IS NULL AND branch_id IS NULL AND period = 'hour' AND customer_class IS NULL ORDER BY joined DESC LIMIT 1")
arrivals=$(sql -c "SELECT joined FROM qms.analytics_snapshot WHERE queue_id IS NULL AND branch_id IS NULL AND period = 'hour' AND customer_class IS NULL ORDER BY joined DESC LIMIT 1")
for i in 1 2; do hour=$(timed "SELECT qms.recompute_snapshots('$busiest', timestamptz '$busiest' + interval '1 h')"); done
echo "the busiest hour, $arrivals arrivals, made anew: $hour ms"
for i in 1 2; do read_ms=$(timed "SELECT wait_p90 FROM qms.analytics('organization:1', $month, now(), 'total')"); done
for i in 1 2; do peak_ms=$(timed "SELECT count(*) FROM qms.peak_hours('organization:1', $month, now())"); done
echo "analytics of the organization over the month: $read_ms ms; peak_hours: $peak_ms ms"

# ---- Beside calls ----
sql -c "SELECT qms.open_counter(counter_id) FROM bench.counter WHERE counter_id NOT IN (SELECT counter_id FROM qms.staff_session WHERE closed_at IS NULL)" >/dev/null
beside() {
	while :; do sql 2>/dev/null -c "SET client_min_messages = error; SELECT qms.recompute_snapshots($month + interval '$((RANDOM % 20)) days', $month + interval '22 days')" >/dev/null || exit; done
}
# Transactions a second and the mean latency of call_next in ms.
one() {
	"$bin/pgbench" -n -M prepared -f call.sql -c 1 -T "$seconds" -r >pgbench.out 2>&1 || { cat pgbench.out; die "pgbench failed"; }
	awk '/^tps/ { tps = $3 } /call_next/ { ms = $1 } END { print tps, ms }' pgbench.out
}
one >/dev/null
echo
echo "join_queue and call_next, one client, $seconds s a round, alone and with snapshots being made in another session all the time:"
for ((i = 1; i <= rounds; i++)); do
	read -r tps0 ms0 <<<"$(one)"
	beside &
	beside=$!
	sleep 0.3
	read -r tps1 ms1 <<<"$(one)"
	kill "$beside" 2>/dev/null
	sql -c "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE '%recompute_snapshots%' AND pid <> pg_backend_pid()" >/dev/null
	wait "$beside" 2>/dev/null
	echo "$tps0 $tps1 $ms0 $ms1"
done | tee rounds | awk '{ printf "  %.0f/s, %.0f/s beside: %.2f x; call_next %.3f ms, %.3f ms: %.2f x\n", $1, $2, $2 / $1, $3, $4, $4 / $3 }'
median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
printf 'median: %.2f x the transactions, %.2f x the time of call_next\n' "$(awk '{ print $2 / $1 }' rounds | median)" "$(awk '{ print $4 / $3 }' rounds | median)"
