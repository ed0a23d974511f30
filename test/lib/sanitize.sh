#!/bin/bash
# sanitize.sh [SUITE...]: regress, isolation and TAP with qms.so built for AddressSanitizer and
# UndefinedBehaviorSanitizer.  The installed qms is not touched: the build goes into private copies
# of PostgreSQL's folders, bound over the real ones in a mount namespace of its own.
# Not seen by these: overruns inside a palloc chunk (Valgrind's work), leaks, signed overflow.
set -u
cd "$(dirname "$0")/../.." || exit 1
if [ "$(id -u)" -ne 0 ]; then
	echo "make sanitize needs root: it mounts private copies of PostgreSQL's folders (unshare -m)" >&2
	exit 1
fi
if [ -z "${QMS_SANITIZE_INNER:-}" ]; then
	bash test/lib/install_deps.sh test || exit 1
	QMS_SANITIZE_INNER=1 exec unshare -m bash "$0" "$@"
fi
unset QMS_SANITIZE_INNER MAKEFLAGS MFLAGS MAKELEVEL
export PG_CONFIG=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config}
bindir=$("$PG_CONFIG" --bindir) || exit 1

work=$(mktemp -d /tmp/qms-san.XXXXXX) || exit 1
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM HUP
chmod 755 "$work"
mkdir "$work/tree" "$work/private" "$work/found"
chmod 1777 "$work/found"

mount --make-rprivate / || exit 1
for folder in "$("$PG_CONFIG" --pkglibdir)" "$("$PG_CONFIG" --sharedir)/extension" "$bindir"; do
	private=$work/private${folder//\//_}
	cp -a "$folder" "$private" && mount --bind "$private" "$folder" || exit 1
done

# Only postgres runs with the sanitizers' libraries: a preloaded make or perl hangs on Debian 12.
# The wrapper takes its place and its name, so pg_ctl finds it, also for a restart.  The shim
# stands in for gettext, whose lock is held while libasan starts (Debian 12).  It also brings
# UBSan's options, which reads its variable at the first report, when ps display has overwritten
# it, and files its reports, because beside libasan it ignores log_path.
cat >"$work/shim.c" <<C
#include <stdio.h>
#include <unistd.h>
char *bindtextdomain(const char *d, const char *p) { (void) d; return (char *) p; }
char *bind_textdomain_codeset(const char *d, const char *c) { (void) d; return (char *) c; }
char *textdomain(const char *d) { return (char *) d; }
const char *__ubsan_default_options(void) { return "print_stacktrace=1:abort_on_error=1"; }
void __ubsan_get_current_report_data(const char **, const char **, const char **, unsigned *,
									 unsigned *, char **);
void __ubsan_on_report(void)
{
	const char *kind, *message, *file;
	unsigned line, column;
	char *address, name[200];
	FILE *f;

	__ubsan_get_current_report_data(&kind, &message, &file, &line, &column, &address);
	snprintf(name, sizeof name, "$work/found/ubsan.%d", (int) getpid());
	if ((f = fopen(name, "a")) == NULL)
		return;
	fprintf(f, "%s:%u:%u: %s: %s\\n", file, line, column, kind, message);
	fclose(f);
}
C
gcc -shared -fPIC -o "$work/shim.so" "$work/shim.c" -lubsan || exit 1
cp -L "$bindir/postgres" "$work/postgres" && rm "$bindir/postgres" || exit 1
cat >"$bindir/postgres" <<W
#!/bin/bash
LD_PRELOAD=$(gcc -print-file-name=libasan.so):$work/shim.so:$(gcc -print-file-name=libubsan.so) \\
ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:log_path=$work/found/asan \\
exec -a $bindir/postgres $work/postgres "\$@"
W
chmod 755 "$bindir/postgres"

# Its own copy, built from nothing, so that the caller's objects stay what they are.
tar --exclude=./.git --exclude='*.o' --exclude='*.bc' --exclude=qms.so --exclude=node_modules \
	--exclude='./tmp_check*' -cf - . | tar -C "$work/tree" -xf - || exit 1
[ $# -gt 0 ] || set -- regress isolation tap
env -u CI PG_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=undefined -O1 -U_FORTIFY_SOURCE" \
	QMS_MAKE_ARGS=with_llvm=no \
	bash "$work/tree/test/lib/run_tests.sh" "$@"
rc=$?
reports=$(find "$work/found" -type f -size +0)
if [ -n "$reports" ]; then
	head -n 60 $reports
	echo "sanitizers: $(wc -w <<<"$reports") reports"
	rc=1
else
	echo "sanitizers: no report"
fi
exit "$rc"
