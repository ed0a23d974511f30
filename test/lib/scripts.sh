# scripts.sh: what test scripts of bash share; to be sourced.  They have passed, failed, child and work.

# stop_servers FOLDER: servers that were started below it are in no process group of ours: by their data folders.
stop_servers() {
	local f pid pids=() i
	while IFS= read -r f; do
		pid=$(head -n 1 "$f" 2>/dev/null)
		[[ $pid =~ ^[0-9]+$ ]] && [ "$(readlink "/proc/$pid/cwd" 2>/dev/null)" = "${f%/*}" ] || continue
		kill -QUIT "$pid" 2>/dev/null && pids+=("$pid")
	done < <(find "$1" -name postmaster.pid 2>/dev/null)
	for i in {1..50}; do
		[ ${#pids[@]} -gt 0 ] && kill -0 "${pids[@]}" 2>/dev/null || break
		sleep 0.1
	done
}

# node_tests SECONDS NAME FILE...: node --test in a process group of its own, so that all ends with it.
node_tests() {
	local rc ok bad seconds=$1 name=$2 began=$SECONDS
	shift 2
	echo "== $name"
	set -m
	timeout -k 20 "$seconds" node --test --test-reporter=tap "$@" >"$work/$name.log" 2>&1 &
	child=$!
	set +m
	wait "$child"
	rc=$?
	kill -TERM -- "-$child" 2>/dev/null
	child=
	sed -nE 's/^ *((not )?ok [0-9]+ - .*|# .*(events|cuts|killed|holes|ms until).*)/\1/p' "$work/$name.log"
	ok=$(sed -nE 's/^# pass ([0-9]+)$/\1/p' "$work/$name.log" | tail -n 1)
	bad=$(sed -nE 's/^# (fail|cancelled) ([0-9]+)$/\2/p' "$work/$name.log" | awk '{n += $1} END {print n + 0}')
	if [ "$rc" -ne 0 ]; then
		[ "$bad" -gt 0 ] || bad=1
		[ "$rc" -ne 124 ] || echo "timed out after $seconds s"
		grep -vE '^ *(ok |duration_ms|---|\.\.\.|type:)' "$work/$name.log" | tail -n 150
		tail -n 15 "$work"/qg-*/gateway.log 2>/dev/null
	fi
	passed=$((passed + ${ok:-0}))
	failed=$((failed + bad))
	echo "   $name: ${ok:-0} passed, $bad failed, $((SECONDS - began)) s"
}

end_child() {
	[ -z "$child" ] || { kill -TERM -- "-$child" 2>/dev/null; wait "$child" 2>/dev/null; }
	child=
}
