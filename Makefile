# SPDX-License-Identifier: MIT
#
# m9m-sandbox: GNU make, no configure.  V=1 shows the commands.
#
#   all check unit asan lint format fuzz bench demo deps
#   install uninstall clean dist            (DESTDIR, PREFIX; CFLAGS, CPPFLAGS are kept)

VERSION := 0.1.0
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
SHAREDIR ?= $(PREFIX)/share/m9m-sandbox
BASHDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
B       ?= build

PKG_CONFIG ?= pkg-config
PACKAGES   := libnl-3.0 libcjson libarchive libzstd zlib
HOSTCC     ?= $(CC)
MACHINE    := $(shell $(CC) -dumpmachine 2>/dev/null)

WARN   := -Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes \
          -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla \
          -Wno-missing-field-initializers
HARDEN := -fstack-protector-strong -fPIE -fstack-clash-protection \
          -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 \
          $(if $(findstring x86_64,$(MACHINE)),-fcf-protection) \
          $(if $(findstring aarch64,$(MACHINE)),-mbranch-protection=standard)
LDHARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed
PACKED   := -Wl,-z,pack-relative-relocs

# Small: the start is what a user waits for, and splice moves the bytes.  -Oz is
# clang's, and gcc's from 12 on.
SMALL  := $(shell $(CC) -Oz -E -x c /dev/null >/dev/null 2>&1 && echo -Oz || echo -Os)
CFLAGS ?= $(SMALL) -g
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null)
COMPILE := -std=gnu11 -D_GNU_SOURCE -DM9M_VERSION='"$(VERSION)"' \
          -DM9M_SHARE='"$(SHAREDIR)"' \
          $(WARN) -I$(B) $(PKG_CFLAGS) $(CPPFLAGS)
override CFLAGS += $(COMPILE)
# Each small library costs 0.1 ms of every start, libarchive 2 ms with what it
# brings along (ICU, libxml2, libstdc++).  So all of them are loaded by the runs
# that need them (lazy.c): here they are headers only.

# The tests lay cables between hosts of their own, read archives, compare trees.
TEST_LIBS := -lcjson -lnl-route-3 -lnl-3 -lzstd -lz

ifeq ($(SAN),)
override CFLAGS += $(HARDEN) -ffunction-sections -fdata-sections \
          -fno-asynchronous-unwind-tables -fno-plt
override LDFLAGS += $(LDHARDEN) -Wl,--gc-sections
else
override CFLAGS += -fsanitize=$(SAN) -fno-sanitize-recover=all \
          -fno-omit-frame-pointer
override LDFLAGS += -fsanitize=$(SAN) -Wl,--gc-sections
endif

Q := $(if $(V),,@)
say = $(if $(Q),@printf '  %-4s %s\n' $(1) $(2))

SRC   := $(filter-out %_gen.c,$(wildcard *.c))
OBJ   := $(SRC:%.c=$(B)/%.o)
LIB   := $(filter-out $(B)/sandbox.o,$(OBJ))
UNIT  := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/unit-*.c))
FUZZ  := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/fuzz-*.c))
# Helpers of the tests: static, so that they run in any root.
TOOLS := $(patsubst tests/%.c,$(B)/%,\
           $(filter-out tests/unit-% tests/fuzz-%,$(wildcard tests/*.c)))
TESTS := $(sort $(wildcard tests/[0-9]*.sh)) $(wildcard tests/attack/[0-9]*.sh) \
         $(wildcard tests/docs.sh)
SHELL_FILES := $(filter-out %.py,$(wildcard tests/run tests/*.sh \
           tests/standin/*.sh scripts/*.sh profiles/*.sh demo/*.sh tests/attack/*.sh \
           tests/guest/*.sh \
           bench/*.sh bench/run .ci/run .ci/install))

all: $(B)/m9m-sandbox

$(B)/m9m-sandbox: $(OBJ) $(B)/.packed
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $$(cat $(B)/.packed) -o $@ $(OBJ) $(LDLIBS)

# A pointer in a table costs 24 bytes of relocation, packed nearly nothing.  It
# takes a linker that writes the form and a loader (glibc 2.36) that reads it.
$(B)/.packed: | $(B)/.libraries
	$(Q)echo 'int main(void) { static void *p = &p; return !p; }' >$@.c
	$(Q)$(CC) -fPIE -pie $(PACKED) -o $@.try $@.c 2>/dev/null && $@.try && \
	    echo $(PACKED) >$@ || echo >$@
	$(Q)rm -f $@.c $@.try

$(B)/%.o: %.c | $(B)/.libraries
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

# A test takes what it needs of the modules, as a library is taken from.
$(B)/modules.a: $(LIB)
	$(Q)rm -f $@ && $(AR) rcs $@ $(LIB)

$(B)/unit-%: tests/unit-%.c $(B)/modules.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) -MMD -MP $(LDFLAGS) -I. -o $@ $< $(B)/modules.a \
	    $(LDLIBS) $(TEST_LIBS)

$(TOOLS): $(B)/%: tests/%.c | $(B)/.libraries
	$(call say,LD,$@)
	$(Q)$(CC) -O1 $(COMPILE) -MMD -MP -static -I. -o $@ $<

# The system call filter is compiled here, not at each start: libseccomp takes
# 2 ms for it, half of the whole start.
$(B)/seccomp_gen: seccomp_gen.c | $(B)/.libraries
	$(call say,HOST,$@)
	$(Q)$(HOSTCC) -O1 $(COMPILE) -MMD -MP -o $@ $< -lseccomp
$(B)/seccomp_filter.inc: $(B)/seccomp_gen
	$(call say,GEN,$@)
	$(Q)$(B)/seccomp_gen >$@.tmp && mv $@.tmp $@
$(B)/seccomp.o $(B)/unit-seccomp $(B)/unit-seccomp-rows $(B)/filtered: \
    $(B)/seccomp_filter.inc

# The same program with layers that tests can switch off.  It is never installed.
SWITCHED := child mount quotas mount_project holes gitdir
$(B)/switched-%.o: %.c | $(B)/.libraries
	$(call say,CC,$@)
	$(Q)$(CC) $(CFLAGS) -DM9M_TEST_LAYERS -I. -MMD -MP -c -o $@ $<
$(B)/switched-layers.o: tests/layers/layers.c | $(B)/.libraries
	$(Q)$(CC) $(CFLAGS) -DM9M_TEST_LAYERS -I. -MMD -MP -c -o $@ $<
$(B)/m9m-sandbox-test: $(OBJ) $(SWITCHED:%=$(B)/switched-%.o) $(B)/switched-layers.o
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter-out \
	    $(SWITCHED:%=$(B)/%.o),$^) $(LDLIBS)

$(B)/profiles.inc: profiles/embed.sh $(wildcard profiles/*.json) | $(B)/.libraries
	$(call say,GEN,$@)
	$(Q)sh profiles/embed.sh $(wildcard profiles/*.json) >$@.tmp
	$(Q)mv $@.tmp $@
$(B)/agent.o: $(B)/profiles.inc

$(B)/report_style.inc: report.css | $(B)/.libraries
	$(call say,GEN,$@)
	$(Q)sed 's/["\\]/\\&/g; s/.*/"&"/' $< >$@.tmp && mv $@.tmp $@
$(B)/report.o: $(B)/report_style.inc

$(B)/.libraries:
	$(Q)mkdir -p $(B)
	$(Q)$(PKG_CONFIG) --exists $(PACKAGES) libseccomp || { \
	    echo "libraries are missing: run scripts/deps.sh build" >&2; exit 1; }
	$(Q)touch $@

# --- tests -----------------------------------------------------------------

unit: $(UNIT) $(TOOLS)
	$(Q)B=$(B) tests/run $(UNIT)

# Installs first, and only then asks pkg-config: hence the second make.
check:
	$(Q)scripts/deps.sh check
	$(Q)scripts/agents.sh >/dev/null
	$(Q)scripts/seccomp-profiles.sh >/dev/null
	$(Q)$(MAKE) B=$(B) SAN=$(SAN) tests

tests: all $(UNIT) $(TOOLS) $(B)/m9m-sandbox-test
	$(Q)B=$(B) tests/run $(UNIT) $(TESTS)

# A leak checker cannot look into a process that made itself undumpable; the
# unit tests find the leaks.
asan:
	$(Q)ASAN_OPTIONS=$${ASAN_OPTIONS-detect_leaks=1:abort_on_error=0} \
	    $(MAKE) B=$(B)/asan SAN=address,undefined CFLAGS="-O1 -g" check

FUZZ_SECONDS ?= 60
FUZZ_FLAGS   := -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all

$(B)/fuzz/%.o: %.c | $(B)/.libraries
	$(Q)mkdir -p $(B)/fuzz
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link $(COMPILE) -MMD -MP \
	    -c -o $@ $<
$(B)/fuzz/agent.o: $(B)/profiles.inc
$(B)/fuzz/report.o: $(B)/report_style.inc
$(B)/fuzz/seccomp.o: $(B)/seccomp_filter.inc
$(B)/fuzz/modules.a: $(LIB:$(B)/%=$(B)/fuzz/%)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/fuzz-%: tests/fuzz-%.c $(B)/fuzz/modules.a
	$(call say,FUZZ,$@)
	$(Q)clang $(FUZZ_FLAGS) -fsanitize=fuzzer $(COMPILE) -MMD -MP -I. \
	    -o $@ $< $(B)/fuzz/modules.a $(LDLIBS) $(TEST_LIBS)

fuzz: $(FUZZ)
	$(Q)B=$(B) scripts/fuzz.sh $(FUZZ_SECONDS) $(FUZZ)

# --- care ------------------------------------------------------------------

lint: export COMPILE := $(COMPILE)
lint: $(B)/profiles.inc $(B)/seccomp_filter.inc $(B)/report_style.inc
	$(Q)scripts/lint.sh $(SRC) seccomp_gen.c -- $(SHELL_FILES)

format:
	$(Q)clang-format -i $(wildcard *.c *.h tests/*.c tests/*.h bench/*.c bench/*.h)

BENCH := $(patsubst bench/%.c,$(B)/bench-%,$(wildcard bench/*.c))

$(B)/bench-%: bench/%.c | $(B)/.libraries
	$(call say,LD,$@)
	$(Q)$(CC) -O2 $(COMPILE) -MMD -MP $(if $(filter true stamp calls capped,$*),-static) -o $@ $<

bench: all $(BENCH)
	$(Q)B=$(B) bench/run

demo:
	$(Q)scripts/deps.sh demo
	$(Q)$(MAKE) all
	$(Q)B=$(B) demo/run.sh

deps:
	$(Q)scripts/deps.sh build check demo bench

# --- install ---------------------------------------------------------------

install: all
	install -Dm755 $(B)/m9m-sandbox $(DESTDIR)$(BINDIR)/m9m-sandbox
	install -Dm644 man/m9m-sandbox.1 $(DESTDIR)$(MANDIR)/man1/m9m-sandbox.1
	install -Dm644 contrib/apparmor/m9m-sandbox \
	    $(DESTDIR)$(SHAREDIR)/apparmor/m9m-sandbox
	install -Dm644 completions/m9m-sandbox.bash $(DESTDIR)$(BASHDIR)/m9m-sandbox
	install -Dm644 completions/_m9m-sandbox $(DESTDIR)$(ZSHDIR)/_m9m-sandbox
	install -Dm644 completions/m9m-sandbox.fish \
	    $(DESTDIR)$(FISHDIR)/m9m-sandbox.fish

# Folders of our own go when they are empty, others stay.
uninstall:
	rm -f $(DESTDIR)$(BINDIR)/m9m-sandbox \
	    $(DESTDIR)$(MANDIR)/man1/m9m-sandbox.1 \
	    $(DESTDIR)$(SHAREDIR)/apparmor/m9m-sandbox \
	    $(DESTDIR)$(BASHDIR)/m9m-sandbox $(DESTDIR)$(ZSHDIR)/_m9m-sandbox \
	    $(DESTDIR)$(FISHDIR)/m9m-sandbox.fish
	rmdir $(DESTDIR)$(SHAREDIR)/apparmor $(DESTDIR)$(SHAREDIR) 2>/dev/null || :

dist:
	git archive --prefix=m9m-sandbox-$(VERSION)/ -o \
	    m9m-sandbox-$(VERSION).tar.gz HEAD

clean:
	rm -rf $(B)

.PHONY: all unit check tests asan fuzz lint format bench demo deps install \
        uninstall dist clean
.DELETE_ON_ERROR:
.SECONDARY:
-include $(wildcard $(B)/*.d $(B)/fuzz/*.d)
