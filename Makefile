# make            release build of build/relearn; runs on any x86-64
# make deps       installs what is missing with apt; silent when nothing is
# make check      sets up, builds, runs the tests
# make demo       sets up, builds, shows the method on generated media
# make lint       format, clang-tidy, layers, banned functions, shell scripts
# make asan       unit, golden and command-line tests (a tiny training run among them) under the
#                 address and undefined behaviour sanitizers
# make tsan       threads of loader, trainer and terminal under the thread sanitizer, with clang
# make valgrind   a tiny run under valgrind's memcheck
# make coverage   which lines of src/ the unit, golden and command-line tests reach
# make fuzz       every fuzz target of tests/fuzz for SECONDS_EACH=20 seconds, with clang
# make bench      sets up the peers, builds and measures against them; BENCH=NAME measures one (bench/run --help)
# make oracle     remakes every golden file with PyTorch and friends and compares
# make install    PREFIX=/usr/local LIBDIR=PREFIX/lib DESTDIR=; make uninstall undoes it
#
# BUILD=DIR builds elsewhere; OPT replaces -O3; EXTRA adds to compiler and linker flags;
# DNNL_CFLAGS and DNNL_LIBS name another oneDNN than the system's (docs/building.md).
BUILD   ?= build
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
OPT     ?= -O3
EXTRA   ?=
DNNL_CFLAGS ?=
DNNL_LIBS   ?= -ldnnl
# Folder of chart.min.js, which is built into the program for the pages of `relearn report`.
CHARTS  ?= /usr/share/javascript/chart.js
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
DESTDIR ?=

PKGS    := libavformat libavcodec libavutil libswresample libswscale libpng libjpeg cairo sqlite3 yaml-0.1 jansson libxxhash libzip zlib \
           libprotobuf-c
# Source that protoc-c makes of src/*/*.proto.
GENERATED := $(BUILD)/generated
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla -Wstrict-prototypes -Wmissing-prototypes
HARDEN  ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection
# Absolute paths stay out of the program.
CFLAGS_ALL := -std=c17 -D_GNU_SOURCE $(OPT) -g -fopenmp -pthread -fPIC -fvisibility=hidden -ffile-prefix-map=$(CURDIR)=. $(HARDEN) $(WARN) \
              -Isrc -I$(GENERATED) $(DNNL_CFLAGS) $(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(EXTRA)
LDFLAGS_ALL := -fopenmp -pthread -pie -Wl,-z,relro,-z,now $(EXTRA)
LDLIBS_ALL  := $(shell pkg-config --libs $(PKGS) 2>/dev/null) $(DNNL_LIBS) -lm

# A build without the libraries would fail with a page of errors: one line instead. The targets
# named here work without them, or install them first.
NO_LIBRARIES_NEEDED := deps check demo lint lint-% asan tsan valgrind coverage fuzz bench oracle clean uninstall
ifneq ($(filter-out $(NO_LIBRARIES_NEEDED),$(or $(MAKECMDGOALS),all)),)
  ifneq ($(shell pkg-config --exists $(PKGS) && echo yes),yes)
    $(error libraries are missing (run `make deps`))
  endif
endif

# NAME.isa.c is compiled once per instruction set (see src/base/cpu.h).
ISAS           := baseline avx2 avx512
ISA_FLAGS_baseline := -march=x86-64
ISA_FLAGS_avx2     := -march=x86-64-v3
ISA_FLAGS_avx512   := -march=x86-64-v4 -mprefer-vector-width=512

# Everything that knows MPI: a plug-in of its own, where there is MPI (src/comm/launch.c).
MPI_SRC  := src/comm/mpi/mpi.c
MPI_PKG  ?= ompi-c
MPI_SO   := $(if $(shell pkg-config --exists $(MPI_PKG) 2>/dev/null && echo yes),$(BUILD)/relearn-mpi.so)
MPI_CFLAGS := $(if $(MPI_SO),$(shell pkg-config --cflags $(MPI_PKG)))

ALL_SRC  := $(sort $(filter-out $(MPI_SRC),$(wildcard src/*/*.c src/*/*/*.c)))
CLI_SRC  := $(filter src/cli/%,$(ALL_SRC))
API_SRC  := $(filter src/api/%,$(ALL_SRC))
LIB_SRC  := $(filter-out src/cli/% src/api/%,$(ALL_SRC))
ISA_SRC  := $(filter %.isa.c,$(LIB_SRC))
PROTO    := $(sort $(wildcard src/*/*.proto))
PROTO_C  := $(patsubst src/%.proto,$(GENERATED)/%.pb-c.c,$(PROTO))
LIB_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out %.isa.c,$(LIB_SRC))) $(PROTO_C:.c=.o) \
            $(foreach isa,$(ISAS),$(patsubst %.isa.c,$(BUILD)/%.$(isa).o,$(ISA_SRC)))
CLI_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(CLI_SRC))
API_OBJ  := $(patsubst %.c,$(BUILD)/%.o,$(API_SRC))
VERSION  := $(shell sed -n 's/.*REL_VERSION *"\(.*\)".*/\1/p' src/base/version.h)
SONAME   := librelearn.so.0
TEST_SRC := $(sort $(wildcard tests/unit/test_*.c tests/golden/test_*.c))
TEST_BIN := $(patsubst %.c,$(BUILD)/%,$(TEST_SRC))
TEST_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard tests/support/*.c)))
# Small programs that the shell tests call.
TOOL_BIN := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/tools/*.c)))
# Fuzz targets: with replay.c for files, or with libFuzzer (make fuzz).
FUZZ_BIN     := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_MAIN    ?= $(BUILD)/tests/fuzz/replay.o
FUZZ_SUPPORT := $(BUILD)/tests/fuzz/support.o $(BUILD)/tests/support/data_files.o $(BUILD)/tests/support/message.o
# Libraries that tests preload.
PRELOAD_LIB  := $(patsubst %.c,$(BUILD)/%.so,$(sort $(wildcard tests/preload/*.c)))
# Our side of the benchmarks.
BENCH         ?= all
BENCH_BIN     := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard bench/*.c)))
BENCH_SUPPORT := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard bench/support/*.c))) $(patsubst %,$(BUILD)/tests/support/%.o,hash_fill socket_ranks)

.PHONY: all tests check check-run demo demo-run asan asan-run tsan valgrind coverage lint lint-run lint-format lint-layers \
        lint-banned lint-links lint-shell lint-tidy lint-analyzer fuzz fuzz-programs bench bench-programs oracle deps install uninstall clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(BUILD)/relearn $(BUILD)/relearn.1 $(BUILD)/relearn.bash $(BUILD)/librelearn.so $(MPI_SO)

$(BUILD)/relearn: $(CLI_OBJ) $(BUILD)/librelearn.a
	@$(call SAY,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

$(BUILD)/relearn.1: $(BUILD)/relearn
	@$(call SAY,MAN,$@)
	$(Q)$(BUILD)/relearn help --man > $@

$(BUILD)/relearn.bash: $(BUILD)/relearn
	@$(call SAY,BASH,$@)
	$(Q)$(BUILD)/relearn help --bash > $@

$(BUILD)/librelearn.a: $(LIB_OBJ)
	@rm -f $@
	@$(call SAY,AR,$@)
	$(Q)$(AR) rcs $@ $^

# The library for programs of others exports what relearn.map lists, and needs what it uses.
$(BUILD)/librelearn.so: $(API_OBJ) $(BUILD)/librelearn.a src/api/relearn.map
	@$(call SAY,LINK,$@)
	$(Q)$(CC) $(filter-out -pie,$(LDFLAGS_ALL)) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=src/api/relearn.map \
	  -Wl,--as-needed -o $@ $(API_OBJ) $(BUILD)/librelearn.a $(LDLIBS_ALL)
	$(Q)ln -sf librelearn.so $(BUILD)/$(SONAME)

$(BUILD)/relearn-mpi.so: $(BUILD)/$(MPI_SRC:.c=.o)
	@$(call SAY,LINK,$@)
	$(Q)$(CC) $(filter-out -pie -fopenmp,$(LDFLAGS_ALL)) -shared -o $@ $< $(shell pkg-config --libs $(MPI_PKG))
$(BUILD)/$(MPI_SRC:.c=.o): CFLAGS_ALL += $(MPI_CFLAGS)

# The commands without main: for unit tests of the terminal.
$(BUILD)/libcli.a: $(filter-out %/main.o,$(CLI_OBJ))
	@rm -f $@
	@$(call SAY,AR,$@)
	$(Q)$(AR) rcs $@ $^

# One short line per file; make V=1 shows the commands.
Q   := $(if $(V),,@)
SAY  = $(if $(V),:,printf '  %-5s %s\n' $(1) $(2))

define isa_rule
$(BUILD)/%.$(1).o: %.isa.c Makefile
	@mkdir -p $$(@D)
	@$(call SAY,CC,$$@)
	$(Q)$$(CC) $$(CFLAGS_ALL) $$(ISA_FLAGS_$(1)) -ffp-contract=fast -fno-math-errno -Wno-psabi -DREL_ISA=$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach isa,$(ISAS),$(eval $(call isa_rule,$(isa))))

# Theirs, so without our warnings.
$(GENERATED)/%.pb-c.c $(GENERATED)/%.pb-c.h &: src/%.proto
	@mkdir -p $(@D)
	@$(call SAY,PROTO,$@)
	$(Q)protoc-c --proto_path=src --c_out=$(GENERATED) $<
$(GENERATED)/%.o: $(GENERATED)/%.c Makefile
	@$(call SAY,CC,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -w -MMD -MP -c -o $@ $<

# Flags stand in the Makefile.
$(BUILD)/%.o: %.c Makefile | $(PROTO_C)
	@mkdir -p $(@D)
	@$(call SAY,CC,$@)
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# The assembler's .incbin is not seen by -MMD.
$(BUILD)/src/report/assets.o: CFLAGS_ALL += -Wa,-I,$(CHARTS)
$(BUILD)/src/report/assets.o: $(wildcard src/report/assets/*) $(CHARTS)/chart.min.js

# NN_EXTRA: for the engine alone; its kernels take clang minutes under sanitizers.
$(BUILD)/src/nn/%.o: CFLAGS_ALL += $(NN_EXTRA)
$(BUILD)/tests/%.o: CFLAGS_ALL += -Itests
$(BUILD)/tests/unit/test_cli_%: $(BUILD)/tests/unit/test_cli_%.o $(TEST_SUPPORT) $(BUILD)/libcli.a $(BUILD)/librelearn.a
	@$(call SAY,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) -lcmocka
$(BUILD)/tests/unit/test_api: $(BUILD)/tests/unit/test_api.o $(TEST_SUPPORT) $(BUILD)/librelearn.so $(BUILD)/librelearn.a
	@$(call SAY,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -Wl,-rpath,'$$ORIGIN/../..' -o $@ $^ $(LDLIBS_ALL) -lcmocka
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(TEST_SUPPORT) $(BUILD)/librelearn.a
	@$(call SAY,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) -lcmocka
$(BUILD)/tests/golden/%: $(BUILD)/tests/golden/%.o $(TEST_SUPPORT) $(BUILD)/librelearn.a
	@$(call SAY,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL) -lcmocka
$(BUILD)/tests/tools/%: $(BUILD)/tests/tools/%.o $(BUILD)/librelearn.a
	@$(call SAY,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_SUPPORT) $(FUZZ_MAIN) $(BUILD)/librelearn.a
	@$(call SAY,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) $(FUZZ_LDFLAGS) -o $@ $^ $(LDLIBS_ALL) -lcmocka

$(BUILD)/tests/preload/%.so: tests/preload/%.c Makefile
	@mkdir -p $(@D)
	@$(call SAY,LINK,$@)
	$(Q)$(CC) -std=c17 -O2 -fPIC -shared $(WARN) -o $@ $< -ldl

$(BUILD)/bench/%.o: CFLAGS_ALL += -Ibench -Itests
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(BENCH_SUPPORT) $(BUILD)/librelearn.a
	@$(call SAY,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS_ALL)

tests: all $(TEST_BIN) $(TOOL_BIN) $(FUZZ_BIN) $(PRELOAD_LIB)
fuzz-programs: $(FUZZ_BIN)
bench-programs: all $(BENCH_BIN)

# --- targets that set up first ---
# What deps installs changes what pkg-config says at the top, so make is started anew behind it.

JOBS := $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

deps:
	@tools/deps.sh build

check: deps
	@$(MAKE) --no-print-directory $(JOBS) tests
	@$(MAKE) --no-print-directory check-run
check-run:
	@tools/run_tests.sh "$(BUILD)"

demo: deps
	@$(MAKE) --no-print-directory $(JOBS) all
	@BUILD="$(BUILD)" demo/run.sh

# FORTIFY hides overflows from the address sanitizer, hence HARDEN=. The frames that gcc gives functions to find uses after
# return are not aligned for vectors of 64 bytes, hence NN_EXTRA=.
SAN   := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
asan: deps
	@$(MAKE) --no-print-directory $(JOBS) tests BUILD="$(BUILD)/asan" OPT=-O2 HARDEN= EXTRA="$(SAN)" \
	  NN_EXTRA="--param asan-use-after-return=0"
	@ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1" \
	 UBSAN_OPTIONS=print_stacktrace=1 \
	 TEST_SKIP=tests/e2e/ TEST_JOBS=2 tools/run_tests.sh "$(BUILD)/asan"

# clang, for its OpenMP runtime tells the sanitizer by Archer what its threads wait for. Modules that are not instrumented are
# passed over, as Archer asks: that runtime, oneDNN and FFmpeg.
TSAN_TESTS ?= unit/test_(loader|trainer_hooks|base_threads|prepare|kmeans|tsne|cli_terminal|run_log|comm)$$|cli/(train|interrupt)$$
TSAN_BIN   := $(filter $(foreach t,loader trainer_hooks base_threads prepare kmeans tsne cli_terminal run_log comm,%/test_$(t)),$(TEST_BIN))
.PHONY: tsan-programs
tsan-programs: all $(TSAN_BIN) $(TOOL_BIN)
tsan: deps
	@tools/deps.sh fuzz
	@$(MAKE) --no-print-directory $(JOBS) tsan-programs BUILD="$(BUILD)/tsan" CC=clang OPT=-O1 HARDEN= \
	  EXTRA="-fsanitize=thread -Wno-unknown-warning-option -Wno-pass-failed"
	@TSAN_OPTIONS="ignore_noninstrumented_modules=1:halt_on_error=1" \
	 tools/run_tests.sh "$(BUILD)/tsan" '$(TSAN_TESTS)'

valgrind: deps
	@tools/deps.sh valgrind
	@$(MAKE) --no-print-directory $(JOBS) all
	@tools/valgrind.sh "$(BUILD)"

coverage: deps
	@$(MAKE) --no-print-directory $(JOBS) tests BUILD="$(BUILD)/coverage" OPT=-O1 HARDEN= EXTRA="--coverage -fprofile-update=prefer-atomic"
	@find "$(BUILD)/coverage" -name '*.gcda' -delete
	-@TEST_SKIP=tests/e2e/ TEST_JOBS=2 tools/run_tests.sh "$(BUILD)/coverage"
	@tools/coverage.sh "$(BUILD)/coverage"

# Every target for SECONDS_EACH; finds are kept in $(BUILD)/fuzz.
SECONDS_EACH ?= 20
fuzz: deps
	@tools/deps.sh fuzz
	@$(MAKE) --no-print-directory $(JOBS) fuzz-programs BUILD="$(BUILD)/fuzz" CC=clang OPT=-O1 HARDEN= FUZZ_MAIN= \
	  EXTRA="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -Wno-unknown-warning-option -Wno-pass-failed -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION" \
	  NN_EXTRA=-fno-sanitize=all FUZZ_LDFLAGS=-fsanitize=fuzzer
	@tools/fuzz.sh "$(BUILD)/fuzz" $(SECONDS_EACH)

bench: deps
	@tools/deps.sh bench
	@$(MAKE) --no-print-directory $(JOBS) bench-programs
	@BUILD="$(BUILD)" bench/run $(BENCH)

oracle: deps
	@tools/deps.sh oracle
	@$(MAKE) --no-print-directory $(JOBS) all $(BUILD)/tests/tools/media_dump $(BUILD)/tests/tools/run_logits
	@tools/oracle.sh "$(BUILD)"

# --- lint ---

lint: deps
	@tools/deps.sh lint
	@$(MAKE) --no-print-directory lint-run
lint-run: lint-format lint-layers lint-banned lint-links lint-shell lint-tidy

FORMATTED = $(wildcard $(addsuffix .[ch],src/*/* src/*/*/* tests/*/* demo/* bench/* bench/*/* examples/*))
lint-format:
	@clang-format --dry-run -Werror $(FORMATTED)
	@echo "clang-format: $(words $(FORMATTED)) files clean"
lint-layers:
	tools/check_layers.sh
lint-banned:
	tools/check_banned.sh
lint-links:
	tools/check_links.sh
lint-shell:
	@shellcheck tools/*.sh .ci/run .ci/long $(wildcard tests/*/*.sh demo/*.sh bench/*.sh experiments/*.sh)
	@echo "shellcheck: clean"
# clang has no omp.h of its own: it gets gcc's, alone and without the one attribute that clang lacks.
# cpu.c asks gcc's builtins about levels of x86-64 that this clang does not know.
TIDY_SRC   = $(filter-out src/base/cpu.c,$(ALL_SRC)) $(if $(MPI_SO),$(MPI_SRC))
TIDY_FLAGS = $(filter-out -fstack-clash-protection -ffile-prefix-map=%,$(CFLAGS_ALL)) -Itests -Ibench -DREL_ISA=baseline \
             -Wno-unknown-warning-option -idirafter $(BUILD)/tidy $(MPI_CFLAGS)
lint-tidy: $(PROTO_C)
	@mkdir -p $(BUILD)/tidy
	@sed 's/__malloc__ (omp_free)/__malloc__/' $(shell $(CC) -print-file-name=include)/omp.h >$(BUILD)/tidy/omp.h
	@printf '%s\n' $(TIDY_SRC) | xargs -P 2 -n 4 sh -c 'clang-tidy --quiet "$$@" -- $(TIDY_FLAGS) \
	  >$(BUILD)/tidy/$$$$ 2>&1 || { grep -v "warnings.* generated" $(BUILD)/tidy/$$$$; exit 1; }' tidy
	@echo "clang-tidy: $(words $(TIDY_SRC)) files clean"

# Without what is compiled once per instruction set, and without OpenMP, whose copies of variables gcc 12 takes for unset
# ones. Not part of `make lint`: it takes minutes.
ANALYZED = $(filter-out %.isa.c,$(ALL_SRC))
lint-analyzer: $(PROTO_C)
	@printf '%s\n' $(ANALYZED) | xargs -P 2 -n 1 sh -c '$(CC) $(CFLAGS_ALL) -O1 -fno-openmp -Wno-unknown-pragmas -Wno-unused -Wno-unused-parameter -DREL_ANALYZER -fanalyzer -Werror -S -o /dev/null "$$1"' analyzer
	@echo "gcc -fanalyzer: $(words $(ANALYZED)) files clean"

# --- install ---

# What is installed where: uninstall removes what install made.
DOC_DIR  := $(PREFIX)/share/doc/relearn
DATA_DIR := $(PREFIX)/share/relearn
# Where the program looks for it, beside its own folder: independent of LIBDIR.
PLUGIN_DIR := $(PREFIX)/lib/relearn
MAN_DIR  := $(PREFIX)/share/man/man1
BASH_DIR := $(PREFIX)/share/bash-completion/completions

install: all
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(MAN_DIR)" "$(DESTDIR)$(BASH_DIR)" "$(DESTDIR)$(PREFIX)/include"
	install -d "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(DOC_DIR)/pictures" "$(DESTDIR)$(DATA_DIR)/configs"
	install -m 755 $(BUILD)/relearn "$(DESTDIR)$(PREFIX)/bin/relearn"
	install -m 644 $(BUILD)/librelearn.so "$(DESTDIR)$(LIBDIR)/librelearn.so.$(VERSION)"
	ln -sf librelearn.so.$(VERSION) "$(DESTDIR)$(LIBDIR)/$(SONAME)"
	ln -sf $(SONAME) "$(DESTDIR)$(LIBDIR)/librelearn.so"
	install -m 644 src/api/relearn.h "$(DESTDIR)$(PREFIX)/include/relearn.h"
	$(if $(MPI_SO),install -d "$(DESTDIR)$(PLUGIN_DIR)" && install -m 644 $(MPI_SO) "$(DESTDIR)$(PLUGIN_DIR)")
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' src/api/relearn.pc.in \
	  >"$(DESTDIR)$(LIBDIR)/pkgconfig/relearn.pc"
	install -m 644 $(BUILD)/relearn.1 "$(DESTDIR)$(MAN_DIR)/relearn.1"
	install -m 644 $(BUILD)/relearn.bash "$(DESTDIR)$(BASH_DIR)/relearn"
	install -m 644 README.md LICENSE docs/*.md docs/*.py "$(DESTDIR)$(DOC_DIR)"
	install -m 644 docs/pictures/* "$(DESTDIR)$(DOC_DIR)/pictures"
	cp -R configs/. "$(DESTDIR)$(DATA_DIR)/configs"
	chmod -R u=rwX,go=rX "$(DESTDIR)$(DATA_DIR)"
uninstall:
	rm -f "$(DESTDIR)$(PREFIX)/bin/relearn" "$(DESTDIR)$(MAN_DIR)/relearn.1" "$(DESTDIR)$(BASH_DIR)/relearn"
	rm -f "$(DESTDIR)$(LIBDIR)"/librelearn.so* "$(DESTDIR)$(LIBDIR)/pkgconfig/relearn.pc" "$(DESTDIR)$(PREFIX)/include/relearn.h"
	rm -rf "$(DESTDIR)$(DOC_DIR)" "$(DESTDIR)$(DATA_DIR)" "$(DESTDIR)$(PLUGIN_DIR)"

clean:
	rm -rf $(BUILD)

-include $(BUILD)/$(MPI_SRC:.c=.d) $(patsubst %.o,%.d,$(LIB_OBJ) $(CLI_OBJ) $(API_OBJ) $(TEST_SUPPORT)) \
         $(BENCH_SUPPORT:.o=.d) $(patsubst %,%.d,$(TEST_BIN) $(TOOL_BIN) $(BENCH_BIN))
