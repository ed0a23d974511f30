# qms: queue management for people, a PostgreSQL extension.
#
#   make demo      install what is missing, build, start a throw-away cluster with a lively branch
#   make test      install what is missing, build, run every test
#   make bench     the figures of contrib-docs/benchmarks.md
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
else
# The targets at the end need no PGXS: their scripts install it and call make again.
all install uninstall installcheck clean:
	$(error $(PG_CONFIG) does not lead to PGXS: install postgresql-server-dev-15 (test/lib/install_deps.sh build) or give PG_CONFIG=...)
endif

.PHONY: test demo bench sanitize
test:
	bash test/lib/run_tests.sh
demo:
	bash test/demo/demo.sh
bench:
	bash test/bench/run.sh
sanitize:
	bash test/lib/sanitize.sh
