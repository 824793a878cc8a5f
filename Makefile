# make          release build of build/relearn
# make deps     installs what is missing with apt
# make check    builds and runs the tests      make lint    format, clang-tidy, layers
# make demo     the method on generated media  make asan    tests under the sanitizers
BUILD   ?= build
CC      ?= gcc
PKGS    := libavformat libavcodec libavutil libswresample libswscale libpng libjpeg sqlite3 yaml-0.1 jansson libxxhash
OPT     ?= -O3
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla -Wstrict-prototypes -Wmissing-prototypes
EXTRA   ?=
CFLAGS  := -std=c17 -D_GNU_SOURCE $(OPT) -g -fopenmp -pthread $(WARN) -Isrc $(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(EXTRA)
LDFLAGS := -fopenmp -pthread $(EXTRA)
LDLIBS  := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -ldnnl -lm

# NAME.isa.c is compiled once per instruction set (see src/base/cpu.h).
ISAS           := baseline avx2 avx512
ISA_FLAGS_baseline := -march=x86-64
ISA_FLAGS_avx2     := -march=x86-64-v3
ISA_FLAGS_avx512   := -march=x86-64-v4 -mprefer-vector-width=512

LIB_SRC  := $(sort $(wildcard src/*/*.c src/*/*/*.c))
LIB_SRC  := $(filter-out src/cli/%,$(LIB_SRC))
ISA_SRC  := $(filter %.isa.c,$(LIB_SRC))
LIB_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out %.isa.c,$(LIB_SRC))) \
            $(foreach isa,$(ISAS),$(patsubst %.isa.c,$(BUILD)/%.$(isa).o,$(ISA_SRC)))
CLI_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard src/cli/*.c)))
TEST_SRC := $(sort $(wildcard tests/unit/test_*.c tests/golden/test_*.c))
TEST_BIN := $(patsubst %.c,$(BUILD)/%,$(TEST_SRC))
TEST_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/support/*.c)))

.PHONY: all tests clean
all: $(BUILD)/relearn

$(BUILD)/relearn: $(CLI_OBJ) $(BUILD)/librelearn.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/librelearn.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

define isa_rule
$(BUILD)/%.$(1).o: %.isa.c
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(ISA_FLAGS_$(1)) -ffp-contract=fast -DREL_ISA=$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach isa,$(ISAS),$(eval $(call isa_rule,$(isa))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/%.o: CFLAGS += -Itests
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(TEST_SUPPORT) $(BUILD)/librelearn.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka
$(BUILD)/tests/golden/%: $(BUILD)/tests/golden/%.o $(TEST_SUPPORT) $(BUILD)/librelearn.a
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lcmocka

tests: $(TEST_BIN)
.SECONDARY:

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
