# logfold: build, test, measure, install.  `make help` lists the targets.
#
#   make                            builds into .build/plain
#   make SANITIZE=address,undefined builds into a folder of its own; so does SANITIZE=thread
#   make COVERAGE=1                 counts which lines run, in a folder of its own: see `make coverage`
#   make WERROR=1                   treats warnings as errors, as `make test` does

comma := ,
SANITIZE ?=
COVERAGE ?=
B := .build/$(or $(subst $(comma),-,$(SANITIZE)),$(if $(COVERAGE),coverage),plain)

CC ?= gcc
AR ?= ar
PKG_CONFIG ?= pkg-config
PYTHON ?= $(shell for p in python3 /usr/bin/python3; do \
	$$p -c 'import pytest, pymongo, redis' 2>/dev/null && echo $$p && exit; done; echo python3)
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
# Where systemd looks for services; where there is no such folder, none is installed.
UNITDIR ?= /lib/systemd/system
SYSUSERSDIR ?= /usr/lib/sysusers.d
SYSCONFDIR ?= /etc

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wcast-align -Wimplicit-fallthrough
# ThreadSanitizer does not follow fences, says gcc: those of the flags table guard what no race program
# shares.
WARNINGS += $(if $(filter thread,$(SANITIZE)),-Wno-tsan)
# What gcc tells only from what it optimized, it tells wrongly where it optimized less.
WARNINGS += $(if $(SANITIZE),-Wno-format-truncation -Wno-format-overflow -Wno-maybe-uninitialized)
# Sanitizers take a third less time to compile with less optimization, and say more exactly where.
CFLAGS ?= $(if $(COVERAGE),-O0 --coverage -fprofile-update=atomic,$(if $(SANITIZE),-O1,-O2)) -g
LDFLAGS ?= $(if $(COVERAGE),--coverage)
BASE := -std=gnu11 -D_GNU_SOURCE -Iinclude -I. $(WARNINGS) $(if $(WERROR),-Werror) \
	-ffunction-sections -fdata-sections -fno-strict-aliasing

# The hook lives in programs that we did not build, so its objects never carry a sanitizer.
FLAGS_exe := -fPIE $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
FLAGS_pic := -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-semantic-interposition
# Modules that the command loads: no symbol of theirs is anybody else's business.
FLAGS_so := -fPIC -fvisibility=hidden $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
QUIET_CC = $(if $(V),,@echo "  CC   $@"; )
QUIET_LD = $(if $(V),,@echo "  LD   $@";)
LINK_exe := -pie $(if $(SANITIZE),-fsanitize=$(SANITIZE))

LINK = $(QUIET_LD)$(CC) $(LDFLAGS) $(LINK_exe)

# Libraries, found by pkg-config; libcrypto is linked static into the hook (one hash, no host's copy).
pkg = $(shell $(PKG_CONFIG) $(1) 2>/dev/null)
CRYPTO_A = $(call pkg,--variable=libdir libcrypto)/libcrypto.a
CACHE_LIBS = $(call pkg,--libs sqlite3 libxxhash libzstd) -pthread -ldl -lm
AGENT_LIBS = $(call pkg,--libs libcrypto) $(CACHE_LIBS)

# A sink is a module of its own, built where its client library is.
MONGOC := $(firstword $(foreach lib,libmongoc-1.0,$(shell $(PKG_CONFIG) --exists $(lib) && echo $(lib))))
HIREDIS := $(firstword $(foreach lib,hiredis,$(shell $(PKG_CONFIG) --exists $(lib) && echo $(lib))))

HASHING := $(wildcard hashing/*.c)
MAP := $(wildcard agent/map/*.c)
HOOK := $(wildcard agent/hook/*.c)
API := $(wildcard agent/api/*.c)
HOOK_ASM := $(wildcard agent/hook/*.S)
CORE := $(wildcard agent/config/*.c agent/store/*.c agent/core/*.c sinks/*.c)
CACHE := $(wildcard sinks/cache/*.c)
BESIDE := sinks/beside.c sinks/breaker.c sinks/module.c # what the cache needs besides its own files
CONFIG := $(wildcard agent/config/*.c)
CLI := $(wildcard agent/cli/*.c)
HTTP := $(wildcard agent/http/*.c)
UNITS := $(wildcard tests/unit/test_*.c tests/unit/*_fixture.c)
RACES := $(wildcard tests/unit/race_*.c)
PROGS := $(patsubst tests/progs/%.c,$(B)/progs/%,$(wildcard tests/progs/*.c))
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES := $(patsubst tests/bench/%.c,$(B)/bench/%,$(filter-out $(if $(MONGOC),,%_mongo.c) \
	$(if $(HIREDIS),,%_redis.c),$(wildcard tests/bench/bench_*.c)))
LOCATE := $(wildcard agent/locate/*.c)
HEADERS := $(wildcard include/logfold/*.h hashing/*.h agent/map/*.h agent/config/*.h agent/store/*.h \
	agent/core/*.h agent/api/*.h agent/http/*.h agent/locate/*.h sinks/*.h sinks/cache/*.h sinks/redis/*.h $(if $(MONGOC),sinks/mongo/*.h))

SINKS := $(if $(MONGOC),mongo) $(if $(HIREDIS),redis)

objects = $(patsubst %.c,$(B)/$(1)/%.o,$(2))

LOGFOLD := $(B)/logfold
LOCATOR := $(B)/logfold-locate
PRELOAD := $(B)/liblogfold-preload.so
# For programs to link: the major version is of what agent/api/exports.map names.
LIBRARY := $(B)/liblogfold.so.1
LIBCACHE := $(B)/liblogfold-cache.so.1
MODULES := $(patsubst %,$(B)/logfold-%.so,$(foreach sink,$(SINKS),$(if $(wildcard sinks/$(sink)/*.c),$(sink))))

# On all processors, unless the caller has said on how many.
JOBS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

.DEFAULT_GOAL := build
.SECONDARY: # objects are kept
.PHONY: build
build: check-libs $(LOGFOLD) $(LOCATOR) $(PRELOAD) $(LIBRARY) $(LIBCACHE) $(B)/logfold.pc $(B)/logfold-cache.pc $(MODULES)
	@echo "sinks: memory $(SINKS)$(if $(MONGOC),, (no libmongoc: no mongo))$(if $(HIREDIS),, (no hiredis: no redis))"

define compile
$(B)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(QUIET_CC)$$(CC) $$(BASE) $$(CPPFLAGS) $$(CFLAGS) $$(FLAGS_$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach flavour,exe pic so,$(eval $(call compile,$(flavour))))

# The command.  It looks for the preload library beside itself, then in LIBDIR.
$(LOGFOLD): $(call objects,exe,$(HASHING) $(MAP) $(CORE) $(CLI) $(HTTP)) $(B)/cache.a
	$(LINK) -o $@ $^ $(AGENT_LIBS)

# Reads programs' debug information, apart from the command and the daemon.
$(LOCATOR): $(call objects,exe,$(LOCATE))
	$(LINK) -o $@ $^ $(call pkg,--libs libdw)

# The cache, for the command and what tests it: of it, only what is asked for.
$(B)/cache.a: $(call objects,exe,$(CACHE))
	$(QUIET_LD)rm -f $@ && $(AR) rcs $@ $^

# The cache, for programs to link: the major version is of what sinks/cache/exports.map names.
$(LIBCACHE): $(call objects,pic,$(CACHE) $(BESIDE) hashing/utf8.c) sinks/cache/exports.map
	$(QUIET_LD)$(CC) $(LDFLAGS) -shared $(if $(SANITIZE),-fsanitize=$(SANITIZE)) -o $@ $(filter %.o,$^) $(CACHE_LIBS) \
		-Wl,--gc-sections -Wl,--version-script=sinks/cache/exports.map -Wl,-z,now -Wl,-z,relro \
		$(if $(SANITIZE),,-Wl,-z,defs) -Wl,-soname,$(@F)
	@ln -sf $(@F) $(B)/liblogfold-cache.so

# The modules.  What they use of ours besides the public headers are pure functions of hashing/ and of records.
PARTS_so := hashing/time.c hashing/utf8.c sinks/pool.c sinks/cache/record.c sinks/cache/key.c
# Their headers are not ours to have warnings about.
CFLAGS_mongo = $(patsubst -I%,-isystem %,$(call pkg,--cflags $(MONGOC)))
LIBS_mongo = $(call pkg,--libs $(MONGOC) libzstd) -lm
CFLAGS_redis = $(call pkg,--cflags $(HIREDIS) libssl libcrypto)
LIBS_redis = $(call pkg,--libs $(HIREDIS) libssl libcrypto libzstd) -pthread
define module
$(B)/so/sinks/$(1)/%.o: CPPFLAGS += $$(CFLAGS_$(1))
$(B)/logfold-$(1).so: $$(call objects,so,$$(wildcard sinks/$(1)/*.c) $(PARTS_so))
	$$(QUIET_LD)$$(CC) $$(LDFLAGS) -shared $$(if $$(SANITIZE),-fsanitize=$$(SANITIZE)) -o $$@ $$^ $$(LIBS_$(1)) \
		-Wl,--gc-sections -Wl,-z,now -Wl,-z,relro -Wl,-soname,logfold-$(1).so
endef
$(foreach sink,mongo redis,$(eval $(call module,$(sink))))

# Where it was installed is compiled in, so another LIBDIR compiles these files anew.
KNOWS_LIBDIR := $(B)/exe/agent/cli/preload.o $(B)/exe/sinks/beside.o $(B)/pic/sinks/beside.o
$(KNOWS_LIBDIR): CPPFLAGS += -DLF_LIBDIR='"$(LIBDIR)"'
$(KNOWS_LIBDIR): $(B)/libdir
.PHONY: always
$(B)/libdir: always
	@mkdir -p $(@D); echo '$(LIBDIR)' | cmp -s - $@ || echo '$(LIBDIR)' >$@

$(B)/pic/%.o: %.S
	@mkdir -p $(@D)
	$(QUIET_CC)$(CC) -I. $(CPPFLAGS) -g -MMD -MP -c -o $@ $<

# The hook.  Its exported names, and nothing else, come out of the table of interposed calls.
LIBC_BASE = $(shell echo LF_LIBC_BASE | $(CC) -E -P -include agent/hook/versioned.h -)
$(B)/preload.map: agent/hook/interposed.def agent/hook/exports.sh agent/hook/versioned.h
	@mkdir -p $(@D)
	sh agent/hook/exports.sh version-script $< $(LIBC_BASE) > $@

# It is what a loop of the C library's would become a call of.
$(B)/pic/agent/hook/stub_bytes.o: FLAGS_pic += -ffreestanding -fno-tree-loop-distribute-patterns

$(PRELOAD): $(call objects,pic,$(HASHING) $(MAP) $(HOOK)) $(HOOK_ASM:%.S=$(B)/pic/%.o) $(B)/preload.map
	$(QUIET_LD)$(CC) $(LDFLAGS) -shared -o $@ $(filter %.o,$^) $(CRYPTO_A) -Wl,--exclude-libs,ALL \
		-Wl,--gc-sections -Wl,--version-script=$(B)/preload.map -Wl,-z,now -Wl,-z,relro \
		-Wl,-z,defs -Wl,-soname,liblogfold-preload.so

# The library.  It stays once it is loaded: what it counts into is there once for a process.
$(LIBRARY): $(call objects,pic,$(HASHING) $(MAP) $(API) agent/hook/stub_bytes.c) agent/api/exports.map
	$(QUIET_LD)$(CC) $(LDFLAGS) -shared -o $@ $(filter %.o,$^) $(CRYPTO_A) -Wl,--exclude-libs,ALL \
		-Wl,--gc-sections -Wl,--version-script=agent/api/exports.map -Wl,-z,now -Wl,-z,relro \
		-Wl,-z,defs -Wl,-z,nodelete -Wl,-soname,$(@F)
	@ln -sf $(@F) $(B)/liblogfold.so

# Where it will be is in it.
VERSION := $(shell sed -n 's/^.define LF_VERSION "\(.*\)"/\1/p' include/logfold/version.h)
MAKE_PC = @mkdir -p $(@D); sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' $< >$@
$(B)/logfold.pc: agent/api/logfold.pc.in include/logfold/version.h always
	$(MAKE_PC)
$(B)/logfold-cache.pc: sinks/cache/logfold-cache.pc.in include/logfold/version.h always
	$(MAKE_PC)

.PHONY: check-libs
check-libs:
	@missing=; for lib in libcrypto sqlite3 libdw libxxhash libzstd libmicrohttpd; do $(PKG_CONFIG) --exists $$lib || missing="$$missing $$lib"; done; \
	[ -n "$$missing" ] || [ -e "$(CRYPTO_A)" ] || missing=" libcrypto.a (static)"; \
	if [ -n "$$missing" ]; then echo "make: missing:$$missing; 'make deps' installs what building needs" >&2; exit 1; fi

# What a developer may compile against must compile alone; what anybody may, as strictly as anybody does.
STRICT := -pedantic -Wall -Wextra -Wshadow -Wconversion -Werror -fsyntax-only -Iinclude -include include/logfold/logfold.h
.PHONY: headers
headers:
	@for h in $(HEADERS); do \
		$(CC) $(BASE) $(CFLAGS_mongo) -Werror -fsyntax-only -x c $$h || exit 1; \
	done
	@for off in "" -DLOGFOLD_OFF; do \
		for cc in $(CC) $$(command -v clang); do $$cc -std=c99 $(STRICT) $$off -x c tests/linked/macros.c || exit 1; done; \
		for cxx in $(CXX) $$(command -v clang++); do $$cxx -std=c++17 $(STRICT) $$off -x c++ tests/linked/macros.c || exit 1; done; \
	done

# One Criterion program for all units; in the sanitized build the same code under the sanitizers.
# The stubs stay out: a test that called them would be hooked itself.  Of the modules there is what needs
# no client library.
SINK_PARTS := sinks/redis/slot.c sinks/redis/url.c sinks/redis/cache_message.c
HOOK_PARTS := $(filter-out agent/hook/stub_%,$(HOOK))
HTTP_PARTS := agent/http/request.c agent/http/middleware.c
$(B)/unit: $(call objects,exe,$(UNITS) $(HASHING) $(MAP) $(CORE) $(SINK_PARTS) $(HOOK_PARTS) $(HTTP_PARTS)) $(B)/cli.a $(B)/cache.a
	$(LINK) -o $@ $^ $(AGENT_LIBS) $(call pkg,--libs criterion)

# Of the commands, only what a test asks for.
$(B)/cli.a: $(call objects,exe,$(filter-out agent/cli/main.c,$(CLI)))
	$(QUIET_LD)rm -f $@ && $(AR) rcs $@ $^

# What every sink promises: one suite, run over each of them (tests/integration/test_sinks.py).
$(B)/contract: $(call objects,exe,$(wildcard tests/contract/*.c) $(HASHING) agent/core/sinks.c \
		agent/core/reporter.c $(wildcard sinks/*.c))
	$(LINK) -o $@ $^ $(AGENT_LIBS) -ldl $(call pkg,--libs criterion)

# What every tier of the cache promises (tests/integration/test_cache_tiers.py).
$(B)/tier_contract: $(call objects,exe,$(wildcard tests/contract/tiers/*.c) $(HASHING) $(wildcard sinks/*.c)) $(B)/cache.a
	$(LINK) -o $@ $^ $(AGENT_LIBS) $(call pkg,--libs criterion)

# What logfold/cache.h promises of a cache, whatever its tiers (tests/integration/test_cache_contract.py).
$(B)/cache_contract: $(call objects,exe,$(wildcard tests/contract/cache/*.c) $(HASHING) $(wildcard sinks/*.c)) $(B)/cache.a
	$(LINK) -o $@ $^ $(AGENT_LIBS) $(call pkg,--libs criterion)

# Race tests are plain programs: ThreadSanitizer and Criterion do not go together.
$(B)/race/%: $(B)/exe/tests/unit/race_%.o $(call objects,exe,tests/unit/host_fixture.c \
		tests/unit/folder_fixture.c tests/unit/fake_tier_fixture.c $(HASHING) $(MAP) $(HOOK_PARTS) $(API) $(BESIDE)) $(B)/cache.a
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(AGENT_LIBS) -pthread

# Tools of the tests, and the benchmarks: both on the project's own parts.
$(B)/tools/%: $(B)/exe/tests/tools/%.o $(call objects,exe,$(HASHING) $(MAP) $(CONFIG) $(BESIDE)) $(B)/cache.a
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(AGENT_LIBS)

# A library to preload, with the hook's way up the stack beside another one.
# Not by the name of the variable that it reads: make would hand its own value on.
FRAMES_TOOL := $(B)/tools/compare_frames.so
$(FRAMES_TOOL): $(call objects,pic,tests/tools/compare_frames.c $(HASHING) $(MAP) $(HOOK_PARTS))
	@mkdir -p $(@D)
	$(QUIET_LD)$(CC) $(LDFLAGS) -shared -o $@ $^ $(CRYPTO_A) -Wl,--exclude-libs,ALL \
		-Wl,--gc-sections -Wl,-z,defs -lgcc_s

$(B)/bench/%: $(B)/exe/tests/bench/%.o $(call objects,exe,$(HASHING) $(MAP) $(CORE)) $(B)/cache.a
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(AGENT_LIBS) -pthread -ldl

# A bare client beside the cache's tier.
$(B)/exe/tests/bench/bench_cache_redis.o: CPPFLAGS += $(CFLAGS_redis)
$(B)/bench/bench_cache_redis: AGENT_LIBS += $(LIBS_redis)

# A bare client beside the module: it makes its documents with the module's own code.
define flush_bench
$(B)/exe/sinks/$(1)/%.o $(B)/exe/tests/bench/bench_flush_$(1).o: CPPFLAGS += $$(CFLAGS_$(1))
$(B)/bench/bench_flush_$(1): $$(call objects,exe,tests/bench/bench_flush_$(1).c tests/bench/flush_pairs.c \
		$$(wildcard sinks/$(1)/*.c) $(HASHING) sinks/memory.c sinks/copy.c agent/core/sinks.c $(BESIDE) sinks/pool.c) $(B)/cache.a
	@mkdir -p $$(@D)
	$$(LINK) -o $$@ $$^ $$(LIBS_$(1)) $(AGENT_LIBS)
endef
$(foreach sink,mongo redis,$(eval $(call flush_bench,$(sink))))

# Programs that the end-to-end tests run under the hook: built as anybody's are, not with our flags.
$(B)/progs/%: tests/progs/%.c $(wildcard tests/progs/*.h)
	@mkdir -p $(@D)
	$(QUIET_CC)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -o $@ $< -pthread -ldl

# The cache's example: links it as anybody's program does, from where it was built.
$(B)/progs/cached_shop: tests/progs/cached_shop.c $(LIBCACHE)
	@mkdir -p $(@D)
	$(QUIET_CC)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Iinclude -o $@ $< -L$(B) -llogfold-cache \
		$(call pkg,--libs sqlite3) -Wl,-rpath,'$$ORIGIN/..'

# Programs that make their own inputs: tests/fuzz/.
$(B)/fuzz/%: $(B)/exe/tests/fuzz/%.o $(call objects,exe,$(HASHING)) $(B)/cache.a
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(AGENT_LIBS)

-include $(shell [ -d $(B) ] && find $(B) -name '*.d')

# --- tests -------------------------------------------------------------------------------------

SANITIZED := .build/address-undefined
THREADED := .build/thread
PYTEST := $(PYTHON) -B -m pytest -p no:cacheprovider -q

# Those that are about the command itself are run with one that has sanitizers, and not a second time.
SANITIZED_TESTS := $(addprefix tests/integration/test_,cli.py faults.py stores.py agent.py cache_cli.py http.py)
# Those of servers wait more than they work: they run beside the rest, in two rows, and are printed behind it.  The
# shorter row has those of the command behind it.
TIER_TESTS := $(addprefix tests/integration/test_,campaign.py mongo.py mongo_answers.py redis.py tier_faults.py)
CACHE_TESTS := $(addprefix tests/integration/test_cache_,redis.py tiers.py mongo.py faults.py contract.py differential.py)

.PHONY: test
test: test-deps
	@$(MAKE) --no-print-directory $(JOBS) WERROR=1 build headers tools progs
	@$(MAKE) --no-print-directory $(JOBS) WERROR=1 SANITIZE=address,undefined logfold unit contract tools fuzzers
	@$(MAKE) --no-print-directory $(JOBS) WERROR=1 SANITIZE=thread races
	@sh tests/unit/run.sh $(SANITIZED)/unit
	@sh tests/unit/run.sh $(SANITIZED)/contract tests/contract
	@for fuzzer in $(FUZZERS:$(B)/%=$(SANITIZED)/%); do $$fuzzer 1 || exit 1; done
	@for race in $(patsubst tests/unit/race_%.c,$(THREADED)/race/%,$(RACES)); do \
		echo "$$race"; sh tests/unit/in_folder.sh $$race || exit 1; done
	@export LOGFOLD_BUILD=$(CURDIR)/$(B) LOGFOLD_SINK_BUILD=$(CURDIR)/$(SANITIZED); \
	$(PYTEST) $(TIER_TESTS) >$(B)/tier-tests.log 2>&1 & tiers=$$!; \
	{ $(PYTEST) $(CACHE_TESTS) && LOGFOLD_COMMAND=$(CURDIR)/$(SANITIZED)/logfold $(PYTEST) $(SANITIZED_TESTS); } \
		>$(B)/cache-tests.log 2>&1 & cache=$$!; \
	trap 'kill $$tiers $$cache; exit 130' INT TERM; \
	$(PYTEST) tests $(addprefix --ignore=,$(SANITIZED_TESTS) $(TIER_TESTS) $(CACHE_TESTS)); rest=$$?; \
	wait $$tiers; tiers=$$?; wait $$cache; cache=$$?; cat $(B)/tier-tests.log $(B)/cache-tests.log; \
	[ $$rest -eq 0 ] && [ $$tiers -eq 0 ] && [ $$cache -eq 0 ]

# What takes longer than a test should: hundreds of kill rounds, and the daemon's threads under
# ThreadSanitizer.  A killed agent hides its exit code, so the reports are looked for; names that do not
# exist are left out, as ThreadSanitizer does not survive the threads that libc looks them up with.
RACE_REPORT := $(CURDIR)/$(THREADED)/race-report
.PHONY: suites
suites: test-deps
	@$(MAKE) --no-print-directory $(JOBS) WERROR=1 build tools progs contract
	@$(MAKE) --no-print-directory $(JOBS) WERROR=1 SANITIZE=thread logfold tools
	@rm -f $(RACE_REPORT)*
	LOGFOLD_BUILD=$(CURDIR)/$(B) LOGFOLD_COMMAND=$(CURDIR)/$(THREADED)/logfold \
		TSAN_OPTIONS=log_path=$(RACE_REPORT) $(PYTEST) tests/integration/test_agent.py -k 'not invalid'
	@! cat $(RACE_REPORT)* 2>/dev/null
	LOGFOLD_BUILD=$(CURDIR)/$(B) LOGFOLD_SINK_BUILD=$(CURDIR)/$(THREADED) \
		TSAN_OPTIONS=log_path=$(RACE_REPORT) $(PYTEST) tests/integration/test_cache_faults.py
	@! cat $(RACE_REPORT)* 2>/dev/null
	LOGFOLD_BUILD=$(CURDIR)/$(B) LOGFOLD_SUITES=1 $(PYTEST) tests

# Which lines of the cache its tests run: at least nine in ten.
.PHONY: coverage
coverage: test-deps coverage-deps
	@$(MAKE) --no-print-directory $(JOBS) build progs tools
	@$(MAKE) --no-print-directory $(JOBS) COVERAGE=1 logfold unit contract tools
	@find .build/coverage -name '*.gcda' -delete
	@sh tests/unit/in_folder.sh .build/coverage/unit --filter '*cache*/*' >.build/coverage/unit.log 2>&1 || \
		{ tail -n 50 .build/coverage/unit.log; exit 1; }
	LOGFOLD_BUILD=$(CURDIR)/$(B) LOGFOLD_SINK_BUILD=$(CURDIR)/.build/coverage \
		LOGFOLD_COMMAND=$(CURDIR)/.build/coverage/logfold $(PYTEST) tests/integration/test_cache_*.py
	gcovr --root . --filter sinks/cache/ --print-summary --fail-under-line 90 .build/coverage

# Ten minutes of everything at once, at low priority: SOAK_S=… for another time.
SOAK_S ?= 600
.PHONY: soak
soak: test-deps
	@$(MAKE) --no-print-directory $(JOBS) WERROR=1 build progs
	SOAK_S=$(SOAK_S) LOGFOLD_BUILD=$(CURDIR)/$(B) nice -n 19 $(PYTEST) -s tests/integration/soak.py

# Random inputs for FUZZ_S seconds each, under sanitizers; a seed that fails is printed.
FUZZ_S ?= 10
.PHONY: fuzz
fuzz:
	@$(MAKE) --no-print-directory $(JOBS) WERROR=1 SANITIZE=address,undefined fuzzers
	@for fuzzer in $(FUZZERS:$(B)/%=$(SANITIZED)/%); do $$fuzzer $(FUZZ_S) || exit 1; done

.PHONY: bench
bench: test-deps bench-deps
	@$(MAKE) --no-print-directory $(JOBS) build benches progs
	@LOGFOLD_BUILD=$(CURDIR)/$(B) $(PYTHON) -B tests/bench/run.py

.PHONY: logfold unit races tools progs benches contract fuzzers
logfold: $(LOGFOLD) $(LOCATOR) $(MODULES)
contract: $(B)/contract $(B)/tier_contract $(B)/cache_contract $(MODULES)
unit: $(B)/unit $(LOCATOR)
races: $(patsubst tests/unit/race_%.c,$(B)/race/%,$(RACES))
tools: $(patsubst tests/tools/%.c,$(B)/tools/%,$(filter-out %/compare_frames.c,$(wildcard \
	tests/tools/*.c))) $(FRAMES_TOOL)
progs: $(PROGS)
benches: $(BENCHES)
fuzzers: $(FUZZERS)

# --- what it needs, by package name ------------------------------------------------------------

DEPS := gcc make pkg-config libc6-dev libssl-dev libsqlite3-dev libdw-dev libmongoc-dev libhiredis-dev \
	libxxhash-dev libzstd-dev libmicrohttpd-dev
TEST_DEPS := libcriterion-dev g++ python3 python3-pytest python3-pymongo python3-redis redis-server \
	redis-tools openssl sqlite3 valgrind binutils perl mawk bash dash procps git util-linux mount \
	lua5.4 tcl ruby libjemalloc2 'libtcmalloc-minimal4|libtcmalloc-minimal4t64' \
	'libpython3.11-testsuite|libpython3.13-testsuite|libpython3.12-testsuite'
DEMO_DEPS := redis-server redis-tools
# What is measured beside ours.
COVERAGE_DEPS := gcovr
BENCH_DEPS := libspdlog-dev uthash-dev

.PHONY: deps test-deps demo-deps bench-deps coverage-deps
deps:
	@sh tests/deps.sh $(DEPS)
test-deps:
	@sh tests/deps.sh $(DEPS) $(TEST_DEPS)
	@sh tests/servers/ferretdb.sh
demo-deps:
	@sh tests/deps.sh $(DEPS) $(DEMO_DEPS)
bench-deps:
	@sh tests/deps.sh $(BENCH_DEPS)
coverage-deps:
	@sh tests/deps.sh $(COVERAGE_DEPS)

.PHONY: demo
demo: demo-deps
	@$(MAKE) --no-print-directory $(JOBS) build
	@LOGFOLD_BUILD=$(CURDIR)/$(B) sh tests/demo.sh

# --- the rest ----------------------------------------------------------------------------------

.PHONY: install
install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBDIR) $(DESTDIR)$(PREFIX)/include/logfold
	install -m 755 $(LOGFOLD) $(DESTDIR)$(PREFIX)/bin/logfold
	install -m 755 $(LOCATOR) $(DESTDIR)$(LIBDIR)/logfold-locate
	install -m 755 $(PRELOAD) $(DESTDIR)$(LIBDIR)/liblogfold-preload.so
	install -m 755 $(LIBRARY) $(LIBCACHE) $(DESTDIR)$(LIBDIR)/
	ln -sf $(notdir $(LIBRARY)) $(DESTDIR)$(LIBDIR)/liblogfold.so
	ln -sf $(notdir $(LIBCACHE)) $(DESTDIR)$(LIBDIR)/liblogfold-cache.so
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 644 $(B)/logfold.pc $(B)/logfold-cache.pc $(DESTDIR)$(LIBDIR)/pkgconfig/
	$(if $(MODULES),install -m 755 $(MODULES) $(DESTDIR)$(LIBDIR)/)
	install -m 644 include/logfold/*.h $(DESTDIR)$(PREFIX)/include/logfold/
	@[ ! -d $(UNITDIR) ] || $(MAKE) --no-print-directory install-service

# The service, its user, and a configuration for all users where there is none.  One that is there may
# hold a password: who may read it is not ours to say.
CONFIGURED = $(DESTDIR)$(SYSCONFDIR)/logfold/agent.toml
FOR_ALL_USERS := sed 's|^\#users = "own"|users = "all"|' agent.toml
.PHONY: install-service
install-service:
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) $(DESTDIR)$(SYSCONFDIR)/logfold
	sed 's|/usr/local/bin/|$(PREFIX)/bin/|; s|/etc/logfold/|$(SYSCONFDIR)/logfold/|' \
		agent/systemd/logfold.service >$(DESTDIR)$(UNITDIR)/logfold.service
	chmod 644 $(DESTDIR)$(UNITDIR)/logfold.service
	install -m 644 agent/systemd/logfold.sysusers $(DESTDIR)$(SYSUSERSDIR)/logfold.conf
	[ -e $(CONFIGURED) ] || { $(FOR_ALL_USERS) >$(CONFIGURED) && chmod 644 $(CONFIGURED); }

.PHONY: uninstall
uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/logfold $(DESTDIR)$(LIBDIR)/liblogfold-preload.so \
		$(addprefix $(DESTDIR)$(LIBDIR)/,$(notdir $(LIBRARY) $(LIBCACHE)) logfold-locate liblogfold.so liblogfold-cache.so \
			$(addprefix pkgconfig/,logfold.pc logfold-cache.pc)) \
		$(patsubst $(B)/%,$(DESTDIR)$(LIBDIR)/%,$(MODULES))
	rm -rf $(DESTDIR)$(PREFIX)/include/logfold
	rm -f $(DESTDIR)$(UNITDIR)/logfold.service $(DESTDIR)$(SYSUSERSDIR)/logfold.conf
	@if $(FOR_ALL_USERS) | cmp -s - $(CONFIGURED); then \
		rm -f $(CONFIGURED) && rmdir --ignore-fail-on-non-empty $(dir $(CONFIGURED)); \
	elif [ -e $(CONFIGURED) ]; then echo "$(CONFIGURED) was changed and stays"; fi

.PHONY: clean
clean:
	rm -rf .build

.PHONY: help
help:
	@echo "make            build .build/plain/logfold and liblogfold-preload.so"
	@echo "make demo       install what is needed, build, fold a real program's output"
	@echo "make test       install what is needed, build, run all tests (ten minutes at most)"
	@echo "make suites     the long campaigns"
	@echo "make fuzz       random inputs under sanitizers, FUZZ_S=10 seconds each"
	@echo "make soak       ten minutes (SOAK_S=600) of rules, kills and libraries that come and go: all adds up, nothing grows"
	@echo "make coverage   which lines of the cache its tests run: nine in ten at least"
	@echo "make bench      the performance budget, each line beside its bare baseline"
	@echo "make deps       install what building and running need   (Debian 12, 13, Ubuntu 24.04)"
	@echo "make test-deps  install what the tests need besides"
	@echo "make install    DESTDIR=, PREFIX=$(PREFIX), LIBDIR=$(LIBDIR); make uninstall takes it back"
	@echo "make clean      remove .build"
	@echo "variables:      SANITIZE=address,undefined or thread; WERROR=1; CC, CFLAGS, LDFLAGS; V=1 shows commands"
