# qms: queue management for people, a PostgreSQL extension.
#
#   make demo      install what is missing, build, start a throw-away cluster with a lively branch
#   make test      install what is missing, build, run every test
#   make bench     the figures of contrib-docs/benchmarks.md; make bench-gateway those of the gateway,
#                  make bench-release those of waiting rooms, make bench-prediction how well waits are predicted,
#                  make bench-stats that of statistics
#   make, make install, make installcheck PG_CONFIG=...    for packagers

EXTENSION   = qms
MODULE_big  = qms
EXTVERSION  = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" qms.control)
OBJS        = $(patsubst %.c,%.o,$(filter-out src/gateway/%,$(sort $(wildcard src/*.c src/*/*.c))))
PG_CPPFLAGS = -I$(srcdir)/src -DQMS_VERSION='"$(EXTVERSION)"' -isystem $(shell $(PG_CONFIG) --includedir-server) -Wall -Wextra
SHLIB_LINK  = -lcrypto
# The order is part of the meaning, so it is written down, not globbed.
SQL_PARTS   = $(addprefix sql/parts/, $(shell sed -e 's/\#.*//' sql/parts/ORDER))
DATA        = $(wildcard sql/qms--*--*.sql)
DATA_built  = sql/qms--$(EXTVERSION).sql

REGRESS        = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS   = --inputdir=test --encoding=UTF8 --load-extension=qms --temp-instance=./tmp_check --temp-config=test/qms.conf
ISOLATION      = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=. --encoding=UTF8 --load-extension=qms --temp-instance=./tmp_check_iso --temp-config=test/qms.conf
TAP_TESTS      = 1
PROVE_TESTS   ?= test/t/*.pl
EXTRA_CLEAN    = results regression.diffs regression.out tmp_check tmp_check_iso log output_iso

# PostgreSQL 15 where several are installed, and what pg_config names elsewhere.
PG_CONFIG ?= $(firstword $(wildcard /usr/lib/postgresql/15/bin/pg_config) pg_config)
PGXS      := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)

# Own rules stay below the include, or the first of them becomes the default goal.
$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h src/*/*.h) qms.control
$(DATA_built): $(SQL_PARTS) sql/parts/ORDER qms.control
	cat $(SQL_PARTS) > $@

# The gateway: a program of its own, with libraries of its own.  GATEWAY=no leaves it out.
ifneq ($(GATEWAY),no)
webdir           = $(datadir)/extension/qms-web
GATEWAY_LIBS     = -lwebsockets -luv -lpq -ljansson -lseccomp -lssl -lcrypto -pthread
GATEWAY_OBJS     = $(patsubst %.c,%.o,$(sort $(wildcard src/gateway/*.c)))
GATEWAY_TRANSPORT = address conn forbidden frame http landlock limits listen log main metrics origin pages respond sandbox scrape send \
                   server settings settings_json settings_read sse supervisor text tls wheel ws
GATEWAY_CPPFLAGS = -I$(srcdir)/src/gateway -DQMS_VERSION='"$(EXTVERSION)"' -DQMS_PAGES='"$(webdir)"' \
                   -isystem $(shell $(PG_CONFIG) --includedir) -D_GNU_SOURCE -D_FORTIFY_SOURCE=2
GATEWAY_CFLAGS   = $(CFLAGS) -Wall -Wextra -fPIE -fstack-protector-strong -fstack-clash-protection
GATEWAY_LDFLAGS  = -pie -Wl,-z,relro -Wl,-z,now -Wl,--as-needed

all: qms_gateway
# One clear line for each library that is not there, instead of the compiler's first error.
.gateway-libraries: Makefile
	@missing=; for need in libwebsockets:libwebsockets uv:libuv1 libpq-fe:libpq jansson:libjansson \
		seccomp:libseccomp openssl/ssl:libssl; do \
		echo "#include <$${need%:*}.h>" | $(CC) $(GATEWAY_CPPFLAGS) -E -o /dev/null -x c - 2>/dev/null || \
			{ echo "qms_gateway needs $${need%:*}.h: apt-get install $${need#*:}-dev" >&2; missing=yes; }; \
	done; [ -z "$$missing" ] || \
		{ echo "(or leave it out: make GATEWAY=no, and the same for make install)" >&2; exit 1; }
	@touch $@
$(GATEWAY_OBJS): %.o: %.c $(wildcard src/gateway/*.h) qms.control .gateway-libraries
	$(CC) $(GATEWAY_CPPFLAGS) $(GATEWAY_CFLAGS) -c -o $@ $<
qms_gateway: $(GATEWAY_OBJS)
	$(CC) $(GATEWAY_CFLAGS) $(GATEWAY_LDFLAGS) -o $@ $(GATEWAY_OBJS) $(GATEWAY_LIBS)
# The transport alone, with a hub that echoes: for the tests of the transport.
qms_gateway_echo: $(addprefix src/gateway/,$(addsuffix .o,$(GATEWAY_TRANSPORT))) test/gateway/echo_hub.c
	$(CC) $(GATEWAY_CPPFLAGS) $(GATEWAY_CFLAGS) $(GATEWAY_LDFLAGS) -o $@ $^ $(GATEWAY_LIBS)

install: install-gateway
install-gateway: qms_gateway
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) qms_gateway '$(DESTDIR)$(bindir)/qms_gateway'
	cd $(srcdir)/src/web 2>/dev/null && find . -type f ! -name '.*' -print | while read -r file; do \
		$(MKDIR_P) "$(DESTDIR)$(webdir)/$$(dirname "$$file")" && \
		$(INSTALL_DATA) "$$file" "$(DESTDIR)$(webdir)/$$file" || exit 1; done
uninstall: uninstall-gateway
uninstall-gateway:
	rm -f '$(DESTDIR)$(bindir)/qms_gateway'
	rm -rf '$(DESTDIR)$(webdir)'
clean: clean-gateway
clean-gateway:
	rm -f qms_gateway qms_gateway_echo src/gateway/*.o src/gateway/*.gc?? .gateway-libraries
.PHONY: install-gateway uninstall-gateway clean-gateway
endif
else
# The targets at the end need no PGXS: their scripts install it and call make again.
all install uninstall installcheck clean:
	$(error $(PG_CONFIG) does not lead to PGXS: install postgresql-server-dev-15 (test/lib/install_deps.sh build) or give PG_CONFIG=...)
endif

.PHONY: test demo bench bench-gateway bench-release bench-stats sanitize fuzz
test:
	bash test/lib/run_tests.sh
demo:
	bash test/demo/demo.sh
bench:
	bash test/bench/run.sh
bench-gateway:
	bash test/bench/gateway/run.sh
bench-release:
	bash test/bench/release/run.sh
bench-stats:
	bash test/bench/stats/run.sh
sanitize:
	bash test/lib/sanitize.sh
fuzz:
	bash test/gateway/fuzz.sh

# predict
.PHONY: bench-prediction
bench-prediction:
	bash test/bench/prediction/run.sh
