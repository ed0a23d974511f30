#!/bin/bash
# run.sh [--quick] [--only NAME[,NAME...]]: what `make bench-prediction` runs: how well waits are predicted.
# Names: model (B1 to B4: the predictor on simulated streams, beside others), priority (B5: credits and slopes),
# path (streams of both through join_queue, call_next and complete_service: the same figures, ticket by ticket),
# cost (microseconds for the figures of one ticket).
#
# model and priority are programs that link the code of the server (src/predict, src/queue/policy.c); path and cost use a
# server of their own, on the mock clock and the real one, as postgres when the caller is root, on a unix socket in a
# folder that is removed at the end.  Installs qms (as root or with sudo).  PG_CONFIG=... chooses PostgreSQL.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/prelude.sh" 2>/dev/null || . "$here/../prelude.sh" || exit 1

usage() {
	sed -n '2,5s/^# //p' "$here/run.sh" >&2
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
	case $name in every | model | priority | path | cost) ;; *) usage ;; esac
done

# ---- First half: build, install, make the folder, go on as a user that may run a server ----
if [ -z "$inside" ]; then
	cd "$here/../../.." || exit 1
	install_qms
	cp "$here"/*.{sh,sql} "$here/../prelude.sh" "$work/" || exit 1
	for program in drive priority; do
		more=()
		[ $program = drive ] || more=(src/queue/policy.c)
		cc -O2 -Isrc -isystem "$("$PG_CONFIG" --includedir-server)" -isystem "$("$PG_CONFIG" --includedir)" -o "$work/$program" \
			"$here/$program.c" "$here/random.c" "$here/heap.c" src/predict/wait.c src/predict/sums.c "${more[@]}" -lm || die "no $program"
	done
	as_server_user --only "$only" ${quick:+--quick}
	exit
fi

# ---- Second half ----
go_inside "$inside"
wanted() { [ "$only" = every ] || [[ ,$only, == *,$1,* ]]; }
bad=

if wanted model; then
	arrivals=200000 seeds=5
	[ -z "$quick" ] || { arrivals=50000 seeds=2; }
	cat <<-TEXT

		B1 to B4, $arrivals people each of $seeds seeds. ASE: mean squared error of those who had to wait, in squares of the mean service. floor: what nobody can do better than without knowing the
		future (theory.md). known: from the length of the line with all rates known. QL+: what qms tells. The others as multiples of known: wait of the last called, age of the head of the
		line, mean of the last 30, place x mean service, and with rates known but nothing known of leaving and of the plan.

		| stream | mean wait | floor | known | QL+ (x known) | RRASE | WAPE | bias | 10-90 % | known's | LES | HOL | last 30 | naive | as now | |
		|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
	TEXT
	./drive --arrivals $arrivals --seeds $seeds | tee model.out
	! grep -q FAIL model.out || bad=yes
fi

if wanted priority; then
	arrivals=1500000
	[ -z "$quick" ] || arrivals=300000
	cat <<-TEXT

		B5, $arrivals people each of 5 seeds: five counters, load 0.95, 75 % normal, 20 % priority, 5 % VIP. All people, in units of the mean service; in brackets against theory.md, moved to the mean of
		first come, first served on this path. Overtaken: by how many who came later; beyond the bound: later than the difference of the credits.

		| rule | class | mean | p99 | longest | overtaken by | most | beyond the bound | told: bias | RMSE | 10-90 % | |
		|---|---|---|---|---|---|---|---|---|---|---|---|
	TEXT
	./priority --arrivals $arrivals | tee priority.out
	! grep -q FAIL priority.out || bad=yes
fi
wanted path || wanted cost || { [ -z "$bad" ] || die "not within the bounds"; exit 0; }

# ---- The server ----
make_cluster </dev/null
sql -c 'CREATE EXTENSION qms'

if wanted path; then
	people=20000
	[ -z "$quick" ] || people=2000
	cat <<-TEXT

		The same streams through the tables, $people people each on the mock clock: join_queue, call_next, complete_service, leave_queue, and the scheduler's learning.

		| stream | people | same people ahead | same P10, P50, P90 (to the second) | largest difference, s | called at the same moment | took, s |
		|---|---|---|---|---|---|---|
	TEXT
	while IFS='|' read -r name counters planned; do
		STREAM=$work/stream.csv
		export STREAM
		# A plan is that of one week.
		./drive --stream "$name" 1 $((${#planned} > 0 && people > 8000 ? 8000 : people)) >"$STREAM"
		sql -v counters="$counters" -v name="$name" $planned -f path.sql | tee -a path.out
	done <<-STREAMS
		M/M/1 .90|1
		M/M/5 .95|5
		M/M/10 .90|10
		M/M/100 .95|100
		M/D/5 .95|5
		M/LN1.5/10 .95|10
		M/M/10+M(1) 1.2|10
		M(t)/M/10 .5|10
		staff 8, 4|8|-v always=4 -v stretch=18000000000
	STREAMS
	./priority --stream 1 $people >"$STREAM"
	sql -v counters=5 -v name="credits 0, 2, 4" -f path.sql | tee -a path.out
	awk -F'|' '$3 + 0 != $4 + 0 || $3 + 0 != $5 + 0 || $3 + 0 != $7 + 0 { exit 1 }' path.out || bad=yes
fi

if wanted cost; then
	times=20000
	cat <<-TEXT

		The figures of one ticket, with what a backend remembers: microseconds, mean of $times.

		| queue | 10 ahead | 0 ahead, a counter free |
		|---|---|---|
	TEXT
	sql -v times=$times <<-'SQL'
		SET client_min_messages = warning;
		SELECT organization_id AS org FROM qms.create_organization('Cost') \gset
		SELECT branch_id AS branch FROM qms.create_branch(:org, 'Hall', 'UTC') \gset
		SELECT queue_id AS alone FROM qms.create_queue('alone', :branch) \gset
		SELECT queue_id AS planned FROM qms.create_queue('planned', :branch) \gset
		SELECT array_agg(q.queue_id) AS shared FROM generate_series(1, 6) n, LATERAL qms.create_queue('shared ' || n, :branch) q \gset
		SELECT count(qms.open_counter(c.counter_id)) AS n FROM generate_series(1, 10) n, LATERAL qms.create_counter(:branch, 'a' || n, ARRAY[:alone]) c \gset
		SELECT count(qms.open_counter(c.counter_id)) AS n FROM generate_series(1, 10) n, LATERAL qms.create_counter(:branch, 'b' || n, ARRAY[:planned]) c \gset
		SELECT count(qms.open_counter(c.counter_id)) AS n FROM generate_series(1, 10) n, LATERAL qms.create_counter(:branch, 'c' || n, :'shared'::bigint[]) c \gset
		SELECT count(*) AS n FROM qms.set_staffing_plan(:planned, (SELECT jsonb_object_agg(d, '[["07:00", "09:00", 3], ["09:00", "12:00", 5], ["12:00", "14:00", 2], ["14:00", "18:00", 4]]'::jsonb) FROM unnest('{mon,tue,wed,thu,fri}'::text[]) d)) \gset
		SELECT count(*) AS n FROM unnest(:'shared'::bigint[]) q, generate_series(1, 100) g, LATERAL qms.join_queue(q + 0 * g) j \gset
		SELECT format('| its own 10 counters | %s | %s |', round((qms_internal.wait_figures(:alone, 10, :times))[4]::numeric, 2), round((qms_internal.wait_figures(:alone, 0, :times))[4]::numeric, 2));
		SELECT format('| with a plan of staff | %s | %s |', round((qms_internal.wait_figures(:planned, 10, :times))[4]::numeric, 2), round((qms_internal.wait_figures(:planned, 0, :times))[4]::numeric, 2));
		SELECT format('| 10 counters that serve six queues, 100 people in each | %s | |', round((qms_internal.wait_figures((:'shared'::bigint[])[1], 10, :times))[4]::numeric, 2));
	SQL
fi
echo
echo "took $SECONDS s"
[ -z "$bad" ] || die "not within the bounds"
