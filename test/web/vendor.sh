#!/bin/bash
# vendor.sh [VERSION]: where src/web/centrifuge.js comes from: the official SDK `centrifuge` of npm,
# its own browser file, unmodified, with its licence and the version and checksums beside it.
# Without VERSION: the one that test/gateway/package.json names.  --check compares instead of writing.
set -eu
cd "$(dirname "$0")/../.."
check=
[ "${1:-}" != --check ] || { check=yes; shift; }
version=${1:-$(sed -n 's/.*"centrifuge": "\([^"]*\)".*/\1/p' test/gateway/package.json)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "centrifuge@$version" >name && tar -xzf "$(cat name)")
sum() { sha256sum "$1" | cut -d ' ' -f 1; }
# The source map is not shipped, so nothing shall look for it.
sed -i '/^\/\/# sourceMappingURL=/d' "$work/package/dist/centrifuge.js"
cat >"$work/centrifuge.VERSION.txt" <<TEXT
centrifuge.js is dist/centrifuge.js of the npm package centrifuge $version
(https://www.npmjs.com/package/centrifuge, https://github.com/centrifugal/centrifuge-js, MIT licence: centrifuge.LICENSE.txt),
without the line that names its source map.  Obtained with test/web/vendor.sh.

sha256 of the package        $(sum "$work/$(cat "$work/name")")
sha256 of centrifuge.js      $(sum "$work/package/dist/centrifuge.js")
TEXT
if [ -n "$check" ]; then
	cmp "$work/package/dist/centrifuge.js" src/web/centrifuge.js
	cmp "$work/centrifuge.VERSION.txt" src/web/centrifuge.VERSION.txt
else
	cp "$work/package/dist/centrifuge.js" src/web/centrifuge.js
	cp "$work/package/LICENSE" src/web/centrifuge.LICENSE.txt
	cp "$work/centrifuge.VERSION.txt" src/web/
fi
