#!/bin/bash
# run.sh [SECONDS]: fuzz the readers of the three types outside the server, SECONDS (default 60) each. Needs clang and its run-time library (libclang-rt-dev).
set -eu
seconds=${1:-60}
root=$(cd "$(dirname "$0")/../../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seed() { local dir=$work/$1 n=0; shift; mkdir -p "$dir"; for t; do n=$((n + 1)); printf %s "$t" > "$dir/$n"; done; }
seed NUMBER A001 VIP-042 042 abcde-999999
seed TOKEN AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAAAAAABAAE _____________________3____________________8
seed RATE 30/min 5/s 1000/h 1.5/min 0.000001/day 86399999999.999999/d
for type in NUMBER TOKEN RATE; do
	${CLANG:-clang} -g -O1 -Wall -Wextra -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
		-I"$root/src" -DFUZZ_$type "$root/test/lib/fuzz/types.c" "$root/src/types/parse.c" -o "$work/fuzz_$type"
	echo "== $type"
	(cd "$work" && "./fuzz_$type" -max_total_time="$seconds" -max_len=96 -print_final_stats=1 -verbosity=0 "$work/$type")
done
