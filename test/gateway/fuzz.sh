#!/bin/bash
# fuzz.sh [SECONDS [SEED]]: what `make fuzz` runs, SECONDS (default 60) each:
#   mutated requests, handshakes and frames over sockets, at the transport built with sanitizers;
#   the command parsers, JSON and Protobuf (fuzz_protocol.c), under libFuzzer, when clang has it.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-60} seed=${2:-$RANDOM}
work=$(mktemp -d /tmp/qms-fuzz.XXXXXX) || exit 1
gateway=
trap '[ -z "$gateway" ] || kill -KILL "$gateway" 2>/dev/null; rm -rf "$work"' EXIT
bash test/lib/install_deps.sh build || exit 1
flags=(-g -O1 -Wall -Wextra -D_GNU_SOURCE -DQMS_VERSION='"fuzz"' -Isrc/gateway -isystem "$(${PG_CONFIG:-pg_config} --includedir)")
san=(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
failed=0

echo "== sockets, $seconds s, seed $seed"
transport=$(sed -n '/^GATEWAY_TRANSPORT/,/[^\\]$/p' Makefile | sed 's/^GATEWAY_TRANSPORT *=//; s/\\$//')
cc "${flags[@]}" "${san[@]}" -o "$work/gateway" $(printf 'src/gateway/%s.c ' $transport) test/gateway/echo_hub.c \
	-lwebsockets -luv -lpq -ljansson -lseccomp -lssl -lcrypto || exit 1
cc "${flags[@]}" -o "$work/sockets" test/gateway/fuzz_sockets.c || exit 1
mkdir "$work/pages" && head -c 300000 /dev/zero >"$work/pages/index.html" && cp "$work/pages/index.html" "$work/pages/display.html"
ASAN_OPTIONS=log_path=$work/san UBSAN_OPTIONS=print_stacktrace=1:log_path=$work/san "$work/gateway" \
	--listen 127.0.0.1:0 --database 'host=127.0.0.1 dbname=none' --pages "$work/pages" --request-timeout 2 \
	--max-connections-per-address 100000 --max-requests-per-second 1000000 2>"$work/log" &
gateway=$!
port=
for _ in {1..300}; do
	port=$(sed -n 's/.*listens on 127.0.0.1:\([0-9]*\).*/\1/p' "$work/log") && [ -n "$port" ] && break
	sleep 0.1
done
timeout $((seconds + 60)) "$work/sockets" "$port" "$seconds" "$seed" || failed=1
kill -0 "$gateway" 2>/dev/null || { echo "the gateway has died"; failed=1; }
kill -TERM "$gateway" 2>/dev/null
wait "$gateway" || { echo "the gateway ended with $?"; failed=1; }
gateway=
grep -v 'libwebsockets' "$work/log" | tail -n 5
for f in "$work"/san*; do [ -s "$f" ] && { head -n 60 "$f"; failed=1; }; done

for cc in ${CLANG:-clang clang-14}; do command -v "$cc" >/dev/null && break; done
if [ ! -e test/gateway/fuzz_protocol.c ]; then
	:
elif echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { (void) d; (void) n; return 0; }' |
	"$cc" -x c -fsanitize=fuzzer,address - -o "$work/probe" 2>/dev/null; then
	for form in JSON PROTOBUF; do
		echo "== command parser, $form, $seconds s"
		"$cc" "${flags[@]}" -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -DFORM="QMS_FORM_$form" -Itest/gateway \
			-o "$work/protocol" test/gateway/{fuzz_protocol,transcode}.c src/gateway/{protocol,protobuf,put,encode,text,frame}.c -ljansson || exit 1
		rm -rf "$work/corpus"
		corpus=test/gateway/corpus
		[ "$form" = JSON ] || corpus=test/gateway/corpus_protobuf
		cp -r "$corpus" "$work/corpus" 2>/dev/null || mkdir "$work/corpus"
		(cd "$work" && timeout $((seconds + 60)) ./protocol -max_total_time="$seconds" -max_len=4096 -verbosity=0 -print_final_stats=1 corpus) || failed=1
	done
else
	echo "== command parser: left out, it needs clang with libFuzzer (libclang-rt-dev)"
fi
exit "$failed"
