#!/bin/bash
# Builds test/gateway/hub_test with the sanitizers: the hub without database.c, transport and wheel.
# Usage: build_hub_test.sh OUTPUT [CC]
set -eu
cd "$(dirname "$0")/../.."
hub=$(cd src/gateway; ls frame.c text.c protocol.c protobuf.c put.c encode.c stream.c publish.c channel.c ring.c fanout.c load.c \
	check.c recheck.c client.c client_*.c sub.c sub_*.c hub.c hub_metrics.c hub_scrape.c | sed 's,^,src/gateway/,')
exec "${2:-cc}" -std=gnu11 -g -O1 -Wall -Wextra -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-DQMS_SLICE=3 -Isrc/gateway -Itest/gateway -I"$(pg_config --includedir)" -Wl,--wrap=time,--wrap=uv_gettimeofday -o "$1" \
	$hub test/gateway/hub_test.c test/gateway/hub_fake.c test/gateway/fake_database.c test/gateway/fake_client.c test/gateway/transcode.c \
	-luv -lpq -ljansson
