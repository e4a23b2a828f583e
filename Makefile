# m9m-sandbox: GNU make, no configure.  V=1 shows the commands.

VERSION := 0.1.0
PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
B       ?= build

PKG_CONFIG ?= pkg-config
PACKAGES   := libseccomp libcap libnl-3.0 libnl-route-3.0 libcjson

WARN   := -Wall -Wextra -Wshadow -Wformat=2 -Wstrict-prototypes \
          -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla
HARDEN := -fstack-protector-strong -fPIE -fstack-clash-protection \
          -D_FORTIFY_SOURCE=2 -fcf-protection
LDHARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--as-needed

CFLAGS ?= -O2 -g
override CFLAGS += -std=gnu11 -D_GNU_SOURCE -DM9M_VERSION='"$(VERSION)"' \
          $(WARN) -I$(B) $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
# libarchive as a shared library brings ICU, libxml2 and libstdc++ along, 2 ms
# before main; as an archive only the tar writer is linked.
ARCHIVE := $(if $(filter /%,$(shell $(CC) -print-file-name=libarchive.a)),\
             -l:libarchive.a -lzstd -lz,-larchive)
LDLIBS  := $(shell $(PKG_CONFIG) --libs $(PACKAGES)) $(ARCHIVE)

ifeq ($(SAN),)
override CFLAGS += $(HARDEN)
override LDFLAGS += $(LDHARDEN) -Wl,--gc-sections
override CFLAGS += -ffunction-sections -fdata-sections
else
override CFLAGS += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
override LDFLAGS += -fsanitize=$(SAN)
endif

Q := $(if $(V),,@)

SRC  := $(filter-out %_gen.c,$(wildcard *.c))
OBJ  := $(SRC:%.c=$(B)/%.o)
UNIT := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/unit-*.c))

all: $(B)/m9m-sandbox

$(B)/m9m-sandbox: $(OBJ)
	$(if $(Q),@echo "  LD   $@")
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(OBJ) $(LDLIBS)

$(B)/%.o: %.c | $(B)
	$(if $(Q),@echo "  CC   $<")
	$(Q)$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/unit-%: tests/unit-%.c $(filter-out $(B)/sandbox.o,$(OBJ)) | $(B)
	$(if $(Q),@echo "  LD   $@")
	$(Q)$(CC) $(CFLAGS) -MMD -MP $(LDFLAGS) -I. -o $@ $< \
	    $(filter-out $(B)/sandbox.o,$(OBJ)) $(LDLIBS)

$(B)/profiles.inc: profiles/embed.sh $(wildcard profiles/*.json) | $(B)
	$(Q)sh profiles/embed.sh $(wildcard profiles/*.json) >$@.tmp
	$(Q)mv $@.tmp $@
$(B)/agent.o: $(B)/profiles.inc

$(B):
	$(Q)mkdir -p $@

unit: $(UNIT)
	$(Q)tests/run $(UNIT)

clean:
	rm -rf $(B)

.PHONY: all unit clean
.SECONDARY:
-include $(wildcard $(B)/*.d)
