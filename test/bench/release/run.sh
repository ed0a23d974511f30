#!/bin/bash
# run.sh [--quick] [--only NAME[,NAME...]]: what `make bench-release` runs: waiting rooms.
# Names: rate (B7: exactness of the rate), event (B8: people who leave, and who do not come), room (one call at a time,
# by the length of the line), all (100,000 let in at once), churn (positions while people leave and join).
#
# rate and event run on the mock clock: rate by src/release/segment.c alone for all rates, and through the tables for
# those that take no longer than a cup of coffee; event through the tables.  The rest is measured by the real clock.
# Installs qms (as root or with sudo), then runs a server of its own, as postgres when the caller is root, on a unix
# socket in a folder that is removed at the end.  PG_CONFIG=... chooses PostgreSQL.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/prelude.sh" 2>/dev/null || . "$here/../prelude.sh" || exit 1

usage() {
	sed -n '2,4s/^# //p' "$here/run.sh" >&2
	exit 2
}
quick= only=every inside=
while [ $# -gt 0 ]; do
	case $1 in
		--quick) quick=yes ;;
		--only) only=${2:-}; shift ;;
		--inside) inside=${2:-}; shift ;;	# second half of ourselves, as the server's user
		*) usage ;;
	esac
	shift || usage
done
for name in ${only//,/ }; do
	case $name in every | rate | event | room | all | churn) ;; *) usage ;; esac
done

# ---- First half: build, install, make the folder, go on as a user that may run a server ----
if [ -z "$inside" ]; then
	cd "$here/../../.." || exit 1
	install_qms
	cp "$here"/*.{sh,sql} "$here/../prelude.sh" "$work/" || exit 1
	cc -O2 -Isrc -isystem "$("$PG_CONFIG" --includedir-server)" -isystem "$("$PG_CONFIG" --includedir)" -o "$work/rate" \
		"$here/rate.c" src/release/segment.c -lm || die "no rate"
	as_server_user --only "$only" ${quick:+--quick}
	exit
fi

# ---- Second half ----
go_inside "$inside"
export PGOPTIONS="-c synchronous_commit=off"
wanted() { [ "$only" = every ] || [[ ,$only, == *,$1,* ]]; }

make_cluster </dev/null
sql -f setup.sql >/dev/null || die "the set-up failed"
echo "PostgreSQL $(sql -c 'SHOW server_version'), $(nproc) cores, load $(cut -d ' ' -f 1-3 /proc/loadavg), $(date -u +%F)"

# ---- B7 ----
if wanted rate; then
	cat <<-'TEXT'

		B7: people let in over one simulated hour. The rate is doubled from minute 30 to 40, nobody is awake in minute 50.
		"due": what the rate brings in that time, less what the outage loses (60 s of it, but b = max(1, 2 r 1 s) people; of
		the other rule all). Largest: deviation from S(t) until the outage; within: never more than 1 + rate x lateness.
		CV: coefficient of variation in the first half hour. Window: the most people in any window of up to 60 s (SQL: 10 s)
		beyond what the rate brings in it.

		| rule | people a minute | due | let in | error | bias | largest | within | CV 1 s | CV 1 min | window | b |
		|---|---|---|---|---|---|---|---|---|---|---|---|
	TEXT
	./rate || die "not within the bounds"
	for rate in 7 100 ${quick:-600 6000}; do
		until=3600
		[ "$rate" != yes ] || continue
		[ "$rate" -lt 6000 ] || until=300
		sql -c "CALL bench.rate($rate, $until)" -c "SELECT bench.rate_report($rate, $until)" | tail -n 1
	done
fi

# ---- B8 ----
if wanted event; then
	people=20000
	[ -z "$quick" ] || people=4000
	cat <<-TEXT

		B8: $people people come within 20 s, then 10 a second are to arrive; of those let in 15 in 100 never come, and who waits
		leaves at a rate of 1/h. The second event is in the same room, where the first one was learned from. claim_window 60 s.

		| event | drained after s | let in | came | came a second | bias |
		|---|---|---|---|---|---|
	TEXT
	q=$(sql -c 'SET qms.mock_now = '"'2030-01-07 08:00+00'" -c "SELECT bench.room('B8', '{\"rate\": \"10/s\", \"no_show_compensation\": true, \"claim_window\": \"60 s\", \"token_life\": \"1 day\"}')")
	sql -c "CALL bench.event(1, $q, 100, $people)" -c "CALL bench.event(2, $q, 7300, $people)"
	sql -c "SELECT format('| %s | %s | %s | %s | %s | %s %% |', event, drained, released, arrivals, round((arrivals / drained)::numeric, 3),
		to_char(100 * (arrivals / drained / 10 - 1), 'SG990.00')) FROM bench.day ORDER BY event"
	cat <<-'TEXT'

		What people were told when they joined, and how long they waited.

		| event | place | told, s | waited, s | error | one in ten less, more | within |
		|---|---|---|---|---|---|---|
	TEXT
	sql -c 'SELECT bench.told(1)' -c 'SELECT bench.told(2)'
	sql -c "SELECT format('event %s: %s people, mean error %s %%, %s %% of them waited within 10-90 %% of what they were told', event, count(*),
		to_char(100 * avg(abs(told / (released_at - joined_at) - 1)), 'FM990.0'),
		round(100 * avg((released_at - joined_at BETWEEN told_p10 - 1 AND told_p90 + 1)::int)))
		FROM bench.person WHERE released_at IS NOT NULL AND released_at > joined_at + 5 GROUP BY event ORDER BY event"
fi

# ---- By the real clock ----
room=
load() {
	[ -n "$room" ] || room=$(sql -c "SELECT bench.room('Room', '{\"single_use\": false, \"claim_window\": \"30 days\", \"token_life\": \"30 days\"}')" \
		-c 'CREATE TABLE IF NOT EXISTS bench.token (i int PRIMARY KEY, token qms.ticket_token, access text)' | tail -n 1)
	sql -v n="$1" -v q="$room" -f load.sql >/dev/null || die "loading failed"
	sql -c 'DELETE FROM qms_internal.release_delta' -c 'UPDATE qms_internal.release_queue SET inside = 0'
	stop
	start
}
# bench SCRIPT CLIENTS SECONDS [OPTION...]: sets rate and p50, p99 in ms.
bench() {
	local script=$1 clients=$2 seconds=$3
	shift 3
	rm -f log.*
	"$bin/pgbench" -n -M prepared -f "$script" -c "$clients" -j $((clients < 2 ? 1 : 2)) -D q="$room" "$@" -l --log-prefix=log \
		--random-seed=42 $( [ "$seconds" = once ] || echo -T "$seconds") >pgbench.out 2>&1 </dev/null || { cat pgbench.out; die "pgbench failed: $script"; }
	read -r rate p50 p99 <<<"$(cat log.* | awk '{ print $3 }' | sort -n | awk -v clients="$clients" '{ v[NR] = $1; sum += $1 }
		END { printf("%.0f %.3f %.3f", clients * 1e6 / (sum / NR), v[int((NR + 1) / 2)] / 1000, v[int((NR - 1) * 0.99) + 1] / 1000) }')"
}
echo 'SELECT ticket_id, token, position FROM qms.join_queue(queue_id => :q);' >join.sql
printf '%s\n' '\set i random(1, 100)' 'SELECT position, wait_p50 FROM qms.ticket_status((SELECT token FROM bench.token WHERE i = :i));' >status.sql
echo 'SELECT waiting, released, abandoned, rate FROM qms.queue_status(:q);' >counters.sql
printf '%s\n' '\set i random(1, 100)' 'SELECT access_token FROM qms.claim_access((SELECT token FROM bench.token WHERE i = :i));' >claim.sql
printf '%s\n' '\set i random(1, 100)' 'SELECT valid FROM qms.verify_access((SELECT access FROM bench.token WHERE i = :i));' >verify.sql
printf '%s\n' 'BEGIN;' 'SELECT count(*) FROM qms.release_next(:q, 1000);' 'COMMIT;' >release.sql
printf '%s\n' 'SELECT token FROM qms.join_queue(queue_id => :q) \gset' "SELECT state FROM qms.leave_queue(:token);" >churn.sql
seconds=3
[ -z "$quick" ] || seconds=1
sizes=(1000 100000 1000000)
[ -z "$quick" ] || sizes=(1000 100000)

if wanted room; then
	cat <<-'TEXT'

		One client, by the length of the line: calls a second, and p50 / p99 in ms. ticket_status of the last 100 in line;
		release_next lets 1,000 in at a time (people a second); claim and verify of 100 people who have been let in.

		| waiting | join_queue | ticket_status | queue_status | claim_access | verify_access | release_next |
		|---|---|---|---|---|---|---|
	TEXT
	for n in "${sizes[@]}"; do
		load "$n"
		sql -c "INSERT INTO bench.token SELECT i, j.token FROM generate_series(1, 100) i, LATERAL qms.join_queue($room + 0 * i) j"
		row="| $n |"
		for what in join status counters; do
			bench $what.sql 1 $seconds
			row+=" $rate ($p50 / $p99) |"
		done
		# A few are let in, and keep the tokens they got when they joined.
		sql -c "INSERT INTO bench.token SELECT 1000 + i, j.token FROM generate_series(1, 100) i, LATERAL qms.join_queue($room + 0 * i, priority => 10) j" \
			-c "UPDATE bench.token SET i = -i WHERE i <= 100" -c "UPDATE bench.token SET i = i - 1000 WHERE i > 1000" \
			-c "UPDATE qms.ticket t SET sort_key = 0 FROM (SELECT ticket_id FROM qms.ticket WHERE queue_id = $room AND state = 'waiting' ORDER BY ticket_id DESC LIMIT 100) x WHERE t.ticket_id = x.ticket_id" \
			-c "SELECT count(*) FROM qms.release_next($room, 100)" >/dev/null || die "nobody let in"
		bench claim.sql 1 $seconds
		row+=" $rate ($p50 / $p99) |"
		sql -c "UPDATE bench.token b SET access = (SELECT c.access_token FROM qms.claim_access(b.token) c) WHERE i > 0"
		bench verify.sql 1 $seconds
		row+=" $rate ($p50 / $p99) |"
		bench release.sql 1 once -t $((n < 20000 ? 1 : 20))
		row+=" $((rate * (n < 1000 ? n : 1000))) ($p50 / $p99) |"
		echo "$row"
	done
fi

if wanted all; then
	load 100000
	t=$(date +%s%N)
	for i in {1..100}; do echo "SELECT count(*) FROM qms.release_next($room, 1000);"; done | sql -f - | awk '{ n += $1 } END { if (n != 100000) exit 1 }' || die "not 100,000 let in"
	t=$((($(date +%s%N) - t) / 1000000))
	echo
	echo "100,000 people let in at once, in 100 transactions of 1,000: $t ms, $((100000 * 1000 / t)) people a second"
fi

if wanted churn; then
	cat <<-'TEXT'

		Positions while people come and go: 8 clients join and leave without pause, one asks for positions at the end of the line.

		| waiting | joins and leaves a second | ticket_status a second | p50 ms | p99 ms | alone: p50 | p99 |
		|---|---|---|---|---|---|---|
	TEXT
	for n in "${sizes[@]}"; do
		load "$n"
		sql -c "INSERT INTO bench.token SELECT i, j.token FROM generate_series(1, 100) i, LATERAL qms.join_queue($room + 0 * i) j"
		bench status.sql 1 $seconds
		alone="$p50 | $p99"
		"$bin/pgbench" -n -M prepared -f churn.sql -c 8 -j 1 -D q="$room" -T $((seconds + 2)) >churn.out 2>&1 </dev/null &
		churn=$!
		# Until the churn is well under way.
		until [ "$(sql -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench' AND query LIKE '%queue%'")" -ge 8 ]; do
			kill -0 $churn || break
		done
		bench status.sql 1 $seconds
		wait $churn || { cat churn.out; die "churn failed"; }
		echo "| $n | $(sed -n 's/^tps = \([0-9]*\).*/\1/p' churn.out | awk '{ print 2 * $1 }') | $rate | $p50 | $p99 | $alone |"
	done
fi
echo
echo "took $SECONDS s"
