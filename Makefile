# logfold: build, test, measure, install.  `make help` lists the targets.
#
#   make                            builds into .build/plain
#   make SANITIZE=address,undefined builds into a folder of its own; so does SANITIZE=thread
#   make WERROR=                    does not treat warnings as errors (the default for releases)

comma := ,
SANITIZE ?=
B := .build/$(or $(subst $(comma),-,$(SANITIZE)),plain)

CC ?= gcc
AR ?= ar
PKG_CONFIG ?= pkg-config
PYTHON ?= $(shell for p in python3 /usr/bin/python3; do $$p -c 'import pytest' 2>/dev/null && echo $$p && exit; done; echo python3)
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
SUDO ?= $(if $(filter 0,$(shell id -u)),,sudo)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wcast-align -Wimplicit-fallthrough
CFLAGS ?= -O2 -g
BASE := -std=gnu11 -D_GNU_SOURCE -Iinclude -I. $(WARNINGS) $(if $(WERROR),-Werror) \
	-ffunction-sections -fdata-sections -fno-strict-aliasing

# The hook lives in programs that we did not build, so its objects never carry a sanitizer.
FLAGS_exe := -fPIE $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
FLAGS_pic := -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-semantic-interposition
LINK_exe := -pie $(if $(SANITIZE),-fsanitize=$(SANITIZE))

# Libraries, found by pkg-config; libcrypto is linked static into the hook (one hash, no host's copy).
pkg = $(shell $(PKG_CONFIG) $(1) 2>/dev/null)
CRYPTO_A = $(call pkg,--variable=libdir libcrypto)/libcrypto.a
AGENT_LIBS = $(call pkg,--libs libcrypto sqlite3)

HASHING := $(wildcard hashing/*.c)
MAP := $(wildcard agent/map/*.c)
HOOK := $(wildcard agent/hook/*.c)
CORE := $(wildcard agent/store/*.c agent/core/*.c)
CLI := $(wildcard agent/cli/*.c)
UNITS := $(wildcard tests/unit/test_*.c)
PROGS := $(patsubst tests/progs/%.c,$(B)/progs/%,$(wildcard tests/progs/*.c))
BENCHES := $(patsubst tests/bench/%.c,$(B)/bench/%,$(wildcard tests/bench/bench_*.c))
HEADERS := $(wildcard include/logfold/*.h hashing/*.h agent/map/*.h agent/store/*.h agent/core/*.h)

objects = $(patsubst %.c,$(B)/$(1)/%.o,$(2))

LOGFOLD := $(B)/logfold
PRELOAD := $(B)/liblogfold-preload.so

.DEFAULT_GOAL := build
.PHONY: build
build: check-libs $(LOGFOLD) $(PRELOAD)

define compile
$(B)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(CC) $$(BASE) $$(CPPFLAGS) $$(CFLAGS) $$(FLAGS_$(1)) -MMD -MP -c -o $$@ $$<
endef
$(foreach flavour,exe pic,$(eval $(call compile,$(flavour))))

# The command.  -rdynamic is not needed; the preload library is looked for beside it, then in LIBDIR.
$(LOGFOLD): $(call objects,exe,$(HASHING) $(MAP) $(CORE) $(CLI))
	$(CC) $(LDFLAGS) $(LINK_exe) -o $@ $^ $(AGENT_LIBS)

$(B)/exe/agent/cli/%.o: CPPFLAGS += -DLF_LIBDIR='"$(LIBDIR)"'

# The hook.  Its exported names, and nothing else, come out of the table of interposed calls.
$(B)/preload.map: agent/hook/interposed.def agent/hook/exports.sh
	@mkdir -p $(@D)
	sh agent/hook/exports.sh version-script $< > $@

$(PRELOAD): $(call objects,pic,$(HASHING) $(MAP) $(HOOK)) $(B)/preload.map
	$(CC) $(LDFLAGS) -shared -o $@ $(filter %.o,$^) $(CRYPTO_A) -Wl,--exclude-libs,ALL \
		-Wl,--gc-sections -Wl,--version-script=$(B)/preload.map -Wl,-z,now -Wl,-z,relro \
		-Wl,-z,defs -Wl,-soname,liblogfold-preload.so

.PHONY: check-libs
check-libs:
	@missing=; for lib in libcrypto sqlite3; do $(PKG_CONFIG) --exists $$lib || missing="$$missing $$lib"; done; \
	[ -n "$$missing" ] || [ -e "$(CRYPTO_A)" ] || missing=" libcrypto.a (static)"; \
	if [ -n "$$missing" ]; then echo "make: missing:$$missing; 'make deps' installs what building needs" >&2; exit 1; fi

# What a developer may compile against must compile alone.
.PHONY: headers
headers:
	@for h in $(HEADERS); do \
		$(CC) $(BASE) -Werror -fsyntax-only -x c $$h || exit 1; \
	done

# One Criterion program for all units; in the sanitized build the same code under the sanitizers.
$(B)/unit: $(call objects,exe,$(UNITS) $(HASHING) $(MAP) $(CORE) $(filter-out agent/cli/main.c,$(CLI))) \
		$(call objects,exe,$(filter-out agent/hook/stub_%.c,$(HOOK)))
	$(CC) $(LDFLAGS) $(LINK_exe) -o $@ $^ $(AGENT_LIBS) $(call pkg,--libs criterion)

# Host programs that the end-to-end tests run under the hook.
$(B)/progs/%: tests/progs/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(CFLAGS) -o $@ $< -pthread -ldl

-include $(shell [ -d $(B) ] && find $(B) -name '*.d')

.PHONY: clean
clean:
	rm -rf .build
