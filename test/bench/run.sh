#!/bin/bash
# run.sh [--quick] [--only NAME[,NAME...]] [--seconds N] [--rounds N] [--line WAITING/CLIENTS]: what `make bench` runs.
# Names: join call status flat snapshot single release publish backlog latency heartbeat limit gate.  Everything by default, some of it in less
# detail with --quick.  N: measured seconds of one round of one side (default 2, quick 1).
#
# Each figure of join and call is a ratio: calls of qms a second over those of one prepared statement
# written by hand that makes the same durable changes to tables of the same shape and indexes.  The
# two sides take turns within one run, and the median of the rounds' ratios counts.  After each round
# the rows that both sides wrote are counted.
#
# Installs qms (as root or with sudo), then runs a server of its own, as postgres when the caller is
# root, on a unix socket in a folder that is removed at the end.  PG_CONFIG=... chooses PostgreSQL.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/prelude.sh"

usage() {
	sed -n '2,4s/^# //p' "$here/run.sh" >&2
	exit 2
}
quick= only=all seconds= inside= rounds=3 line=
while [ $# -gt 0 ]; do
	case $1 in
		--quick) quick=yes ;;
		--only) only=${2:-}; shift ;;
		--seconds) seconds=${2:-}; shift ;;
		--rounds) rounds=${2:-}; shift ;;
		--line) line=${2:-}; shift ;;	# one line of join and call, looked at more closely
		--inside) inside=${2:-}; shift ;;	# second half of ourselves, as the server's user
		*) usage ;;
	esac
	shift || usage
done
[[ $rounds =~ ^[1-9][0-9]*$ && ${line:-1/1} =~ ^[1-9][0-9]*/[1-9][0-9]*$ ]] || usage
[[ ${seconds:=$([ -n "$quick" ] && echo 1 || echo 2)} =~ ^[1-9][0-9]*$ ]] || usage
for name in ${only//,/ }; do
	case $name in
		all | join | call | status | flat | snapshot | single | release | publish | backlog | latency | heartbeat | gate | limit) ;;
		*) usage ;;
	esac
done
[ -n "$only" ] || usage

# ---- First half: build, install, make the folder, go on as a user that may run a server ----
if [ -z "$inside" ]; then
	cd "$here/../.." || exit 1
	install_qms
	cp -r "$here"/* "$work/" || exit 1
	cc -O2 -shared -fPIC -o "$work/slow_fsync.so" "$work/slow_fsync.c" -ldl || die "no slow_fsync.so"
	as_server_user --only "$only" --seconds "$seconds" --rounds "$rounds" ${line:+--line "$line"} ${quick:+--quick}
	exit
fi

# ---- Second half ----
go_inside "$inside"
failed=0 loaded= people=0

set_up() {
	make_cluster <<-CONF
		max_connections = 150
		fsync = on
		synchronous_commit = on
	CONF
	sql -f setup.sql >/dev/null || die "the set-up failed"
	read -r org branch q0 c0 class release_queue application \
		<<<"$(sql -F ' ' -c 'SELECT * FROM bench.ids')"
	for side in qms hand; do
		sed 's|:q0 + :client_id / 4|:q0|' join_$side.sql >single_$side.sql
		# Four clients at all 800 counters, so that none calls more often than in a long day.
		sed 's|:client_id / 4|(:client_id * 200 + :i % 200) / 32|; s|:client_id \* 8 + 7|:client_id * 200 + 199|
			s|:client_id \* 8|:client_id * 200|; s|:i % 8|:i % 200|' call_$side.sql >day_$side.sql
	done
	for name in join call; do
		for side in qms hand; do
			sed 's|/\* request \(.*\) \*/|\1|; s|/\* request||; s|^) \*/$|)|' $name"_$side.sql" >$name"_request_$side.sql"
		done
	done
}

# load PEOPLE CLIENTS: that many waiting, in the queues of that many clients.
load() {
	local want="$1 $2"
	[ "$loaded" != "$want" ] || return 0
	sql -v n="$1" -v nq=$(($2 < 4 ? 1 : $2 / 4)) -f load.sql >/dev/null || die "loading failed"
	stop
	start
	loaded=$want
	people=$1
}

# A snapshot that lives until let_go.
hold_snapshot() {
	local pipe=$work/hold
	rm -f "$pipe"
	mkfifo "$pipe"
	"$bin/psql" -XAtq -f "$pipe" >hold.out 2>&1 &
	holder=$!
	exec 7>"$pipe"
	echo 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM bench.ids;' >&7
	until grep -q 1 hold.out 2>/dev/null; do sleep 0.05; done
}

# Rows of a side that a round adds to: events, tickets, numbers, requests, calls.
counts() {
	local internal=qms_internal
	[ "$1" = qms ] || internal=bench
	[ "$1" = qms ] || set -- bench
	sql -F ' ' -c "SELECT (SELECT count(*) FROM $1.event WHERE kind IN ('ticket.joined', 'ticket.called')),
		(SELECT count(*) FROM $1.ticket), (SELECT coalesce(sum(last_number), 0) FROM $internal.queue_number),
		(SELECT count(*) FROM $internal.request), (SELECT sum(tickets_called) FROM $1.staff_session)"
}

# Puts everybody back, so that each round begins with the same line.
restore() {
	local s
	for s in qms bench; do
		sql -c "WITH t AS (
				UPDATE $s.ticket SET state = 'waiting', counter_id = NULL, staff_session_id = NULL, called_at = NULL,
					sort_key = sort_key + $((people * 1000 + 1000000))
				WHERE state IN ('called', 'serving'))
			UPDATE $s.staff_session SET current_ticket_id = NULL WHERE current_ticket_id IS NOT NULL" \
			-c "UPDATE $s.ticket SET state = 'on_hold', hold_kind = 'parked' WHERE state = 'waiting' AND ticket_id > $people"
	done || die "could not restore"
}

# Ticks of CPU of the server's children that have ended.
ticks() { awk '{ sub(/.*\) /, ""); print $14 + $15 }' "/proc/$(head -n 1 data/postmaster.pid)/stat"; }

# one SCRIPT CLIENTS: one round; sets rate, p50, p99 (ms), transactions, cpu (us of the server's a transaction).
one() {
	local script=$1 clients=$2 warm=1 every=0 before
	[ "$clients" -lt 50 ] || warm=2
	[[ $script != call_* ]] || every=8
	[[ $script != day_* ]] || every=200
	rm -f log.*
	before=$(ticks)
	"$bin/pgbench" -n -M prepared -f "$script.sql" -c "$clients" -j $((clients < 2 ? 1 : 2)) -T $((seconds + warm)) \
		-D i=0 -D q0="$q0" -D c0="$c0" -D org="$org" -D branch="$branch" -D class="$class" \
		-D release_queue="$release_queue" -D application="$application" -D span=$((people * 1000 + 1000000)) \
		--random-seed=42 -l --log-prefix=log >pgbench.out 2>&1 </dev/null ||
		{ cat pgbench.out; die "pgbench failed: $script"; }
	sleep 0.1
	cpu=$(($(ticks) - before))
	transactions=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' pgbench.out)
	cpu=$(awk "BEGIN { print $cpu * 1e6 / $(getconf CLK_TCK) / ($transactions + 1) }")
	# The first seconds fill caches and make plans; in call scripts every 8th puts people back.
	read -r rate p50 p99 <<<"$(cat log.* | awk -v warm=$warm -v every=$every '
		{ end = $5 + $6 / 1e6; if (!first || end < first) first = end
		  if (every && $2 % every == 0) next
		  n++; took[n] = $3; at[n] = end }
		END { for (i = 1; i <= n; i++) if (at[i] >= first + warm) print took[i] }' | sort -n | awk -v clients="$clients" '
		{ took[NR] = $1; sum += $1 }
		END { if (NR) printf("%.1f %.3f %.3f\n", clients * 1e6 / (sum / NR), took[int((NR + 1) / 2)] / 1000,
			took[int((NR - 1) * 0.99) + 1] / 1000) }')"
	[ -n "${rate:-}" ] || die "no figures from $script"
}

median() { printf '%s\n' "$@" | sort -n | awk '{ v[NR] = $1 } END { printf "%s\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# Did a round change as many rows as it ran transactions?
check() {
	local script=$1 side=$2 before=($3) after=($4) want=(0 0 0 0 0) i
	want[0]=$transactions
	case $script in
		join*) want[1]=$transactions want[2]=$transactions ;;
		single*) want[1]=$transactions want[2]=$transactions ;;
		release*) want[1]=$transactions ;;
		call*) want[4]=$transactions ;;
	esac
	[[ $script != *_request* ]] || want[3]=$transactions
	for i in 0 1 2 3 4; do
		[ $((after[i] - before[i])) -eq "${want[i]}" ] && continue
		echo "   $script $side: count $i changed by $((after[i] - before[i])), not ${want[i]}" >&2
		failed=1
		same=no
	done
}

# compare SCRIPT CLIENTS WORDS...: both sides in turn; one line of the table.
compare() {
	local script=$1 clients=$2 r side before rates_qms=() rates_hand=() ratios=() p99_qms=() p99_hand=() same=yes
	local cpu_qms cpu_hand cpus=()
	shift 2
	for ((r = 1; r <= rounds; r++)); do
		for side in $( ((r % 2)) && echo qms hand || echo hand qms); do
			before=$(counts $side)
			one "${script}_$side" "$clients"
			check "$script" "$side" "$before" "$(counts $side)"
			if [ $side = qms ]; then
				rates_qms+=("$rate") p99_qms+=("$p99") cpu_qms=$cpu
			else
				rates_hand+=("$rate") p99_hand+=("$p99") cpu_hand=$cpu
			fi
		done
		restore
		cpus+=("$(awk "BEGIN { printf \"%.3f\", $cpu_hand / ($cpu_qms + 1e-9) }")")
		ratios+=("$(awk "BEGIN { printf \"%.3f\", ${rates_qms[-1]} / ${rates_hand[-1]} }")")
	done
	printf '| %-12s | %7s | %7s | %-22s | %8.0f | %8.0f | %5.2f | %5.2f-%.2f | %5.2f | %6.2f / %.2f | %s |\n' "${script%_request}" "$people" "$clients" "${*:-}" \
		"$(median "${rates_qms[@]}")" "$(median "${rates_hand[@]}")" "$(median "${ratios[@]}")" \
		"$(printf '%s\n' "${ratios[@]}" | sort -n | head -n 1)" "$(printf '%s\n' "${ratios[@]}" | sort -n | tail -n 1)" "$(median "${cpus[@]}")" \
		"$(median "${p99_qms[@]}")" "$(median "${p99_hand[@]}")" "$same"
}
table() {
	echo
	echo "$1"
	echo
	echo "| what         | waiting | clients | dimension              |    qms/s |   hand/s | ratio | min-max   | CPU ratio | p99 ms qms / hand | same changes |"
	echo "|---|---|---|---|---|---|---|---|---|---|---|"
}
wanted() { [ "$only" = all ] || [[ ,$only, == *,$1,* ]]; }

# ---- What is measured ----

# ratios PEOPLE CLIENTS WORDS...: join and call with so many waiting, one line each.
ratios() {
	local clients=$2 what
	load "$1" "$2"
	shift 2
	# Calls leave the line as long as it was, joins do not.
	for what in call join; do
		! wanted $what || compare $what "$clients" "$*"
	done
}
measure_ratios() {
	local clients what
	table "join_queue and call_next beside one statement by hand"
	if [ -n "$line" ]; then
		ratios "${line%/*}" "${line#*/}"
		return
	fi
	for clients in 1 16; do
		ratios 100000 $clients
		for what in call join; do
			wanted $what || continue
			compare ${what}_request $clients request_id
			[ -z "$quick" ] || continue
			hold_snapshot
			compare $what $clients old snapshot
			let_go
		done
		ratios 1000 $clients
		[ -n "$quick" ] || ratios 1000000 $clients
	done
	if [ -z "$quick" ]; then
		ratios 1000 100
		ratios 100000 100
	fi
	slow=yes loaded=
	for clients in 1 16 100; do
		[ -n "$quick" ] && [ $clients -ne 16 ] || ratios 100000 $clients 2 ms fsync
	done
	slow= loaded=
}

# One counter queue alone, 16 clients: its numbers have no gaps, so one commit waits for another.
measure_single() {
	table "16 clients joining one counter queue"
	load 1000 1
	compare single 16
	slow=yes loaded=
	load 1000 1
	compare single 16 2 ms fsync
	slow= loaded=
}
measure_release() {
	table "100 clients joining one waiting room (target 10,000/s at 2 ms fsync)"
	slow=yes loaded=
	load 1000 1
	compare release 100 2 ms fsync
	slow= loaded=
}

# Joins with the workers at work, without them, and without them but with a NOTIFY in each transaction.
publishing() {
	local clients=$1 r state out=() with=() notify=() costs=() notifies=() script
	shift
	load 1000 "$clients"
	for ((r = 1; r <= rounds; r++)); do
		for state in off on notify; do
			echo "qms.workers = ${state/notify/off}" >>data/postgresql.conf
			stop
			start
			script=join_qms
			[ $state != notify ] || script=notify_qms
			one $script "$clients"
			case $state in
				off) out+=("$rate") ;;
				on) with+=("$rate") costs+=("$(awk "BEGIN { printf \"%.3f\", $rate / ${out[-1]} }")") ;;
				notify) notify+=("$rate") notifies+=("$(awk "BEGIN { printf \"%.3f\", $rate / ${out[-1]} }")") ;;
			esac
			restore
		done
	done
	printf '| %7s | %-10s | %7.0f | %9.0f | %14.2f | %9s | %6.0f | %16.2f |\n' "$clients" "${*:-}" "$(median "${out[@]}")" \
		"$(median "${with[@]}")" "$(median "${costs[@]}")" \
		"$(printf '%s\n' "${costs[@]}" | sort -n | sed -n '1p;$p' | awk '{ printf "%s%.2f", (NR > 1 ? "-" : ""), $1 }')" \
		"$(median "${notify[@]}")" "$(median "${notifies[@]}")"
	echo 'qms.workers = off' >>data/postgresql.conf
	loaded=
}
measure_publish() {
	local clients
	sed "s|position FROM|pg_notify('bench', 'joined') FROM|" join_qms.sql >notify_qms.sql
	echo
	echo "join_queue with events published, without, and with NOTIFY in each transaction (target: publishing costs writers at most 15 %)"
	echo
	echo "| writers | dimension  | without | published | published / w. | min-max   | NOTIFY | NOTIFY / without |"
	echo "|---|---|---|---|---|---|---|---|"
	for clients in 1 16 ${quick:-8 32 100}; do
		[ "$clients" = yes ] || publishing "$clients"
	done
	[ -z "$quick" ] || return 0
	slow=yes loaded=
	for clients in 8 32 100; do
		publishing $clients 2 ms fsync
	done
	slow= loaded=
}

# A backlog in one transaction and in many: how fast the publisher works it off.
measure_backlog() {
	local events=${quick:+10000} how
	: "${events:=100000}"
	echo
	echo "The publisher, $events events that were written while it was away"
	echo
	echo "| written | seconds | events/s |"
	echo "|---|---|---|"
	for how in 'in one transaction' 'by 16 clients'; do
		loaded=
		load 1000 16
		sql -c 'TRUNCATE qms_internal.event_position'
		if [ "$how" = 'by 16 clients' ]; then
			"$bin/pgbench" -n -M prepared -f join_qms.sql -c 16 -j 2 -t $((events / 16)) -D q0="$q0" >pgbench.out 2>&1 ||
				{ cat pgbench.out; die "pgbench failed"; }
		else
			sql -c "SELECT count(*) FROM generate_series(1, $events) i, LATERAL qms.join_queue($q0 + 0 * i) j" >/dev/null
		fi
		echo 'qms.workers = on' >>data/postgresql.conf
		stop
		start
		until [ "$(sql -c 'SELECT (SELECT count(*) FROM qms_internal.event_position) >= (SELECT count(*) FROM qms.event)')" = t ]; do sleep 0.05; done
		# From the first batch to the last, which is left out itself.
		sql -F ' | ' -c "SELECT '| $how', round(extract(epoch FROM l.last - l.first), 2),
			round(count(*) / greatest(extract(epoch FROM l.last - l.first), 0.001)) || ' |'
			FROM (SELECT min(published_at) AS first, max(published_at) AS last FROM qms_internal.event_position) l,
				qms_internal.event_position p WHERE p.published_at < l.last GROUP BY l.first, l.last"
		echo 'qms.workers = off' >>data/postgresql.conf
		stop
		start
	done
	loaded=
}

# From COMMIT to a listening client that has read the batch, with fsync, nothing else running.
measure_latency() {
	local rest
	echo
	echo "From COMMIT to a listener that has read the batch (target: median below 3 ms on an idle machine)"
	echo
	if ! perl -MDBD::Pg -e 1 2>/dev/null; then
		echo "not measured: libdbd-pg-perl is not installed"
		return 0
	fi
	echo 'qms.workers = on' >>data/postgresql.conf
	for rest in '' yes; do
		slow=$rest
		stop
		start
		echo "${rest:+2 ms fsync: }$(perl latency.pl 1000 "dbname=postgres host=$work user=postgres")"
	done
	slow=
	echo 'qms.workers = off' >>data/postgresql.conf
	loaded=
}

# Heartbeats of 1,000 people, noted in shared memory and written by the scheduler, and each written by itself.
measure_heartbeat() {
	local clients slots r noted written ratios
	echo
	echo "heartbeat of 1,000 people: noted in shared memory, beside written one by one (qms.heartbeat_slots = 0)"
	echo
	echo "| clients | written, per second | noted | noted / written | min-max |"
	echo "|---|---|---|---|---|"
	load 1000 1
	sql -c "INSERT INTO bench.token SELECT i, j.token FROM generate_series(1, 1000) i, LATERAL qms.join_queue($q0 + 0 * i) j"
	for clients in 1 16; do
		noted=() written=() ratios=()
		for ((r = 1; r <= rounds; r++)); do
			for slots in 0 65536; do
				printf '%s\n' 'qms.workers = on' "qms.heartbeat_slots = $slots" >>data/postgresql.conf
				stop
				start
				until [ "$(sql -c "SELECT count(*) FROM qms.worker_status WHERE worker = 'scheduler' AND last_run_at IS NOT NULL")" = 1 ]; do sleep 0.05; done
				one heartbeat_qms $clients
				[ $slots = 0 ] && written+=("$rate") || noted+=("$rate")
			done
			ratios+=("$(awk "BEGIN { printf \"%.3f\", ${noted[-1]} / ${written[-1]} }")")
		done
		printf '| %s | %.0f | %.0f | %.2f | %.2f-%.2f |\n' $clients "$(median "${written[@]}")" "$(median "${noted[@]}")" \
			"$(median "${ratios[@]}")" "$(printf '%s\n' "${ratios[@]}" | sort -n | head -n 1)" \
			"$(printf '%s\n' "${ratios[@]}" | sort -n | tail -n 1)"
	done
	echo 'qms.workers = off' >>data/postgresql.conf
	loaded=
}

# Joins with the rate limits off and on, set so high that nobody is refused.  All customers have one address, all
# connections of the application are one caller: the buckets that they share are the most busy that there can be.
# What a join costs when nothing disturbs it, the fastest tenth without waiting for the disk, tells a microsecond.
measure_limit() {
	local clients who state r fast off on ratios
	local limits='limit_join_subject limit_join_address limit_create limit_application'
	sql -c "CREATE ROLE bench_web LOGIN; GRANT qms_authenticator, qms_customer TO bench_web; ALTER ROLE bench_web SET qms.client_address = '198.51.100.7'; ALTER ROLE bench_web SET synchronous_commit = off" \
		-c "CREATE ROLE bench_app LOGIN; GRANT qms_app TO bench_app; ALTER ROLE bench_app SET synchronous_commit = off" \
		-c "SELECT FROM qms.bind_role('bench_app', $org, application_id => $application)" || die "no callers for the limits"
	echo
	echo "join_queue with rate limits, beside limits off; synchronous_commit off"
	echo
	echo "| caller | buckets a join | clients | fastest tenth below, us, off | on | off / on | min-max |"
	echo "|---|---|---|---|---|---|---|"
	load 1000 16
	for who in customer app; do
		for clients in 1 16; do
			off=() on=() ratios=()
			for ((r = 1; r <= rounds + 2; r++)); do
				for state in $( ((r % 2)) && echo off 1000000/min || echo 1000000/min off); do
					sql -c "SELECT FROM qms.update_organization($org, settings => (SELECT jsonb_object_agg(k, '$state') FROM unnest(string_to_array('$limits', ' ')) k))" || die "no limits"
					PGUSER=bench_${who/customer/web} one ${who}_qms $clients
					fast=$(cat log.* | awk '{ print $3 }' | sort -n | awk '{ v[NR] = $1 } END { print v[int(NR / 10) + 1] }')
					[ $state = off ] && off+=("$fast") || on+=("$fast")
				done
				restore
				ratios+=("$(awk "BEGIN { printf \"%.3f\", ${off[-1]} / ${on[-1]} }")")
			done
			printf '| %s | %s | %s | %.0f | %.0f | %.2f | %.2f-%.2f |\n' $who $([ $who = app ] && echo 1 || echo 3) $clients "$(median "${off[@]}")" "$(median "${on[@]}")" \
				"$(median "${ratios[@]}")" "$(printf '%s\n' "${ratios[@]}" | sort -n | head -n 1)" "$(printf '%s\n' "${ratios[@]}" | sort -n | tail -n 1)"
		done
	done
	loaded=
}

# One side alone: latencies by the number of people waiting.
measure_flat() {
	local script=$1 r n rates p50s p99s
	echo
	echo "$2"
	echo
	echo "| waiting | per second | p50 ms | p99 ms |"
	echo "|---|---|---|---|"
	for n in 1000 10000 100000 ${quick:-1000000}; do
		[ "$n" != yes ] || continue
		loaded=
		load $n 1
		[ "$script" != status_qms ] || sql -c "INSERT INTO bench.token SELECT i, j.token
			FROM generate_series(1, 100) i, LATERAL qms.join_queue($q0 + 0 * i) j"
		rates=() p50s=() p99s=()
		for ((r = 1; r <= rounds; r++)); do
			one "$script" 1
			rates+=("$rate") p50s+=("$p50") p99s+=("$p99")
			[ "$script" = status_qms ] || restore
		done
		printf '| %7s | %6.0f | %6.3f | %6.3f |\n' $n "$(median "${rates[@]}")" "$(median "${p50s[@]}")" "$(median "${p99s[@]}")"
	done
}

# call_next with and without an old snapshot, in turn; each holds it for its whole round.
measure_snapshot() {
	local r side with=() without=() hand_with=() hand_without=() keep=$seconds
	loaded=
	load 100000 100
	seconds=$((seconds * 2))
	for ((r = 1; r <= rounds; r++)); do
		for side in qms hand; do
			one day_$side 4
			[ $side = qms ] && without+=("$rate") || hand_without+=("$rate")
			restore
			hold_snapshot
			one day_$side 4
			[ $side = qms ] && with+=("$rate") || hand_with+=("$rate")
			let_go
			restore
		done
	done
	seconds=$keep
	echo
	echo "call_next, 4 clients at 800 counters of 25 queues, a snapshot held by somebody else for the whole round (target: within 10 %)"
	echo
	echo "| side | without, per second | with | with / without |"
	echo "|---|---|---|---|"
	printf '| qms | %.0f | %.0f | %.2f |\n' "$(median "${without[@]}")" "$(median "${with[@]}")" \
		"$(awk "BEGIN { print $(median "${with[@]}") / $(median "${without[@]}") }")"
	printf '| by hand | %.0f | %.0f | %.2f |\n' "$(median "${hand_without[@]}")" "$(median "${hand_with[@]}")" \
		"$(awk "BEGIN { print $(median "${hand_with[@]}") / $(median "${hand_without[@]}") }")"
}

# What the gate and row-level security cost; last, because it leaves more organizations behind.
measure_gate() {
	loaded=
	load 100000 100
	sql -f gate.sql || die "gate.sql failed"
	loaded=
}

set_up
echo "PostgreSQL $(sql -c 'SHOW server_version'), $(nproc) cores, fsync $(
	"$bin/pg_test_fsync" -s 1 -f "$work/fsync.test" 2>/dev/null | awk '$1 == "fdatasync" { print $(NF - 1), "us"; exit }'), load $(cut -d ' ' -f 1-3 /proc/loadavg), $(date -u +%F), seconds a round: $seconds, rounds: $rounds"
if wanted join || wanted call; then measure_ratios; fi
! wanted publish || measure_publish
! wanted backlog || measure_backlog
! wanted latency || measure_latency
! wanted heartbeat || measure_heartbeat
! wanted limit || measure_limit
! wanted snapshot || measure_snapshot
! wanted flat || measure_flat call_qms "call_next, 1 client, by the length of the line"
! wanted status || measure_flat status_qms "ticket_status of the last 100 in line, 1 client, by the length of the line"
! wanted single || measure_single
! wanted release || measure_release
! wanted gate || measure_gate
echo
echo "took $SECONDS s"
[ "$failed" -eq 0 ] || { echo "the two sides did not make the same changes"; exit 1; }
exit 0
