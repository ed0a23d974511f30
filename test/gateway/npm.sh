#!/bin/bash
# npm.sh [FOLDER...]: the packages of test/gateway/package.json as node_modules in this folder and in
# FOLDER...  They come from npm once, into a folder that later runs use again ($QMS_NPM_CACHE, else
# /tmp/qms-npm.UID).  Exits 1 with one line that says what is missing if they cannot be had.
set -u
cd "$(dirname "$0")" || exit 1
for tool in node npm; do
	command -v "$tool" >/dev/null || { echo "no $tool here"; exit 1; }
done
cache=${QMS_NPM_CACHE:-/tmp/qms-npm.$(id -u)}/gateway-$(sha256sum package.json | cut -c 1-16)
mkdir -p "$cache" || exit 1
exec 8>"$cache/lock"
flock -w 200 8 || { echo "another run holds $cache"; exit 1; }
if [ ! -e "$cache/done" ]; then
	# What could not be had a moment ago is not waited for again.
	[ -z "$(find "$cache/failed" -mmin -10 2>/dev/null)" ] || { echo "npm could not install the packages of test/gateway/package.json here"; exit 1; }
	cp package.json "$cache/"
	(cd "$cache" && HOME=$cache timeout 180 npm install --ignore-scripts --no-audit --no-fund --fetch-retries=1 --fetch-timeout=30000 >npm.log 2>&1) ||
		{ touch "$cache/failed"; echo "npm cannot install the packages of test/gateway/package.json here: $(grep -m 1 -iE 'err(or|!)' "$cache/npm.log")"; exit 1; }
	touch "$cache/done"
fi
for folder in . "$@"; do
	[ "$(readlink "$folder/node_modules")" = "$cache/node_modules" ] || ln -sfn "$cache/node_modules" "$folder/node_modules" || exit 1
done
