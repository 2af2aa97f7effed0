# netc: the only entry point. `make help` lists the targets; everything that is made lies under build/.
#
# On Debian every target that builds first installs what is missing (see `deps`). Elsewhere the packages are named and
# make goes on. Variables: V=1 (show commands), SANITIZE=1 (a compiler with ASan and UBSan, build/san/netc), CROSS=aarch64
# (one that runs there, build/aarch64/netc), SKIP_DEPS=1, PREFIX, DESTDIR, FUZZ_SECONDS, CC, CFLAGS.

SHELL   = /bin/bash
CC      = clang-19
CFLAGS  = -O2 -g
PREFIX  = /usr/local
DESTDIR =
FUZZ_SECONDS = 20
PYTHON  = $(firstword $(wildcard build/venv/bin/python3) /usr/bin/python3)
export FUZZ_SECONDS

ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif
MAKEFLAGS += --no-print-directory
say = $(if $(V),,@printf '%-6s %s\n' $(1) $@;)
.DELETE_ON_ERROR:
.SUFFIXES:

# ---- packages ----
# To build netc and what the programs that it makes link; the demo's pictures; what the tests need (libclang-rt: the
# sanitizers and the fuzzer; qemu-user: programs of other processors; gcc-12-aarch64-linux-gnu: the second compiler there;
# python-matplotlib-data: a photograph; zsh to man-db: completion, colours and man page in what reads them; slurm-wlm and munge:
# a cluster on one machine).
DEPS_BUILD = clang-19 libomp-19-dev flex bison libjansson-dev zlib1g-dev libzip-dev libsqlite3-dev libjpeg62-turbo-dev libpng-dev \
             protobuf-c-compiler libprotobuf-c-dev
DEPS_DEMO  = $(DEPS_BUILD) dataset-fashion-mnist
DEPS_CROSS = lld-19 qemu-user gcc-12-aarch64-linux-gnu
DEPS_TEST  = $(DEPS_DEMO) gcc g++ libclang-rt-19-dev libcriterion-dev python3 python3-numpy python3-torch python3-pil \
             python3-torchvision python3-venv python-matplotlib-data $(DEPS_CROSS) pkgconf strace valgrind zsh fish vim mandoc groff-base man-db \
             slurm-wlm munge chromium poppler-utils

GOALS = $(if $(MAKECMDGOALS),$(MAKECMDGOALS),all)
ifneq ($(filter test test-all units fuzz golden bench tables deps,$(GOALS)),)
DEPS = $(DEPS_TEST)
else ifneq ($(filter demo,$(GOALS)),)
DEPS = $(DEPS_DEMO)
else
DEPS = $(DEPS_BUILD)
endif

# ---- what is built where ----
ifeq ($(SANITIZE),1)
OUT      = build/san
MODE     = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
else ifeq ($(SANITIZE),fuzz)
OUT      = build/fuzz
MODE     = -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -DNETC_FUZZED
else ifneq ($(CROSS),)
OUT      = build/$(CROSS)
MODE     = $(CFLAGS) --target=$(CROSS)-linux-gnu --sysroot=build/sysroot/$(CROSS)
LINK     = -fuse-ld=lld
else
OUT      = build
MODE     = $(CFLAGS)
endif

COMPILE  = $(CC) -std=c17 -D_GNU_SOURCE -Icompiler -Ibuild/gen -I. -Wall -Wextra $(MODE)
LIBS     = $(LINK) -ljansson -lprotobuf-c -lzip -lsqlite3 -lm
SOURCES  = $(wildcard compiler/*.c compiler/*/*.c)
OBJECTS  = $(SOURCES:%.c=$(OUT)/obj/%.o) $(OUT)/obj/gen/net.tab.o $(OUT)/obj/gen/lex.net.o $(OUT)/obj/gen/onnx.pb-c.o
LIBRARY  = $(OUT)/libnetc.a
UNITS    = $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZERS  = $(patsubst %.c,$(OUT)/fuzz/%,$(notdir $(wildcard tests/fuzz/fuzz_*.c tests/fuzz/runtime/fuzz_*.c)))
READERS  = $(patsubst %,$(OUT)/obj/readers/%.o,npy idx files network picture resize exif decode_jpeg decode_png decode_pnm tracked)
GENERATED = build/gen/net.tab.c build/gen/lex.net.c build/gen/onnx.pb-c.c

.PHONY: all help deps sysroot sysroot-aarch64 sysroot-x86_64 test test-all units demo bench tables fuzz golden format install uninstall clean FORCE

all: $(OUT)/netc ## build the compiler, build/netc

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\)[^:#]*:[^#]*## /\1\t/p' Makefile | awk -F'\t' '{printf "  make %-15s %s\n", $$1, $$2}'

# ---- the compiler ----
$(OUT)/netc: $(OUT)/obj/compiler/main.o $(LIBRARY)
	$(call say,link)$(CC) $(MODE) $^ $(LIBS) -o $@

$(LIBRARY): $(filter-out %/main.o,$(OBJECTS))
	@rm -f $@
	@ar rcs $@ $^

$(OUT)/obj/compiler/%.o: compiler/%.c $(OUT)/obj/command | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,cc)$(COMPILE) -MMD -MP -c $< -o $@

$(OUT)/obj/gen/%.o: build/gen/%.c $(OUT)/obj/command | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,cc)$(COMPILE) -MMD -MP -c $< -o $@

# Changes when the way of compiling does, so that all is compiled again.
$(OUT)/obj/command: FORCE | deps $(if $(CROSS),build/sysroot/$(CROSS)/packages)
	@mkdir -p $(@D)
	@echo '$(COMPILE)' | cmp -s - $@ || echo '$(COMPILE)' > $@

build/gen/net.tab.c: grammar/net.y | deps
	@mkdir -p $(@D)
	$(call say,bison)bison -Wall -Werror --header=build/gen/net.tab.h -o $@ $<

build/gen/lex.net.c: grammar/net.l build/gen/net.tab.c | deps
	@mkdir -p $(@D)
	$(call say,flex)flex --header-file=build/gen/lex.net.h -o $@ $<

build/gen/onnx.pb-c.c: compiler/export/onnx.proto | deps
	@mkdir -p $(@D)
	$(call say,protoc)protoc-c --proto_path=$(<D) --c_out=$(@D) $(<F)

build/gen/net.tab.h: build/gen/net.tab.c ;
build/gen/lex.net.h: build/gen/lex.net.c ;
build/gen/onnx.pb-c.h: build/gen/onnx.pb-c.c ;

-include $(OBJECTS:.o=.d) $(UNITS:=.d) $(FUZZERS:=.d) $(READERS:.o=.d)

# ---- packages ----
deps: ## install the packages that are missing (Debian; sudo only if not root)
ifneq ($(SKIP_DEPS),1)
	@command -v dpkg-query > /dev/null || { \
	    echo "deps: no Debian here; needed are the equivalents of: $(DEPS)"; exit 0; }; \
	have=" $$(dpkg-query -W -f='$${Package} $${db:Status-Status}\n' $(DEPS) 2> /dev/null | sed -n 's/ installed$$//p' | tr '\n' ' ')"; \
	missing=""; \
	for p in $(DEPS); do case "$$have" in *" $$p "*) ;; *) missing="$$missing $$p" ;; esac; done; \
	[ -n "$$missing" ] || exit 0; \
	sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	echo "deps: installing with$${sudo:+ $$sudo} apt-get:$$missing"; \
	if [ -n "$$sudo" ] && ! command -v sudo > /dev/null; then \
	    echo "deps: not root and there is no sudo; as root: apt-get install$$missing" >&2; exit 1; fi; \
	$$sudo apt-get update -q && \
	$$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing
endif

# ---- other processors ----
# Debian's packages for them, unpacked and never installed; see the script.
sysroot-aarch64 sysroot-x86_64: sysroot-%: build/sysroot/%/packages ## libraries to cross-compile with, build/sysroot/

build/sysroot/%/packages: compiler/targets/sysroot.sh
	@mkdir -p build/sysroot
	@compiler/targets/sysroot.sh $* build/sysroot/$*

# For the tests: without a network they skip what needs it.
sysroot:
	@[ "$$(uname -m)" = aarch64 ] || $(MAKE) sysroot-aarch64 || true

# What PyPI has and Debian has not, for the tests: beside Debian's PyTorch, whose torchvision would not load with another one.
# Without a network the tests that need it are skipped.
build/venv/done: tests/requirements.txt | deps
	@rm -rf build/venv; mkdir -p build/venv
	@echo "pip    build/venv"
	@{ /usr/bin/python3 -m venv --system-site-packages build/venv && \
	   sed -n 's/^#alone //p' $< > build/venv/alone.txt && \
	   build/venv/bin/pip install -q --disable-pip-version-check -r $< && \
	   build/venv/bin/pip install -q --disable-pip-version-check --no-deps -r build/venv/alone.txt && touch $@; } \
	   > build/venv/pip.log 2>&1 || echo "build/venv: $$(tail -n 1 build/venv/pip.log): tests that need timm or ONNX Runtime are skipped"

# ---- tests ----
units: $(UNITS)

$(OUT)/unit/%: tests/unit/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,cc)$(COMPILE) -MMD -MP $< $(LIBRARY) $(LIBS) -lcriterion -o $@

build/fuzz/fuzz/%: tests/fuzz/%.c build/fuzz/libnetc.a
	@mkdir -p $(@D)
	$(call say,cc)$(COMPILE) -fsanitize=fuzzer -MMD -MP $< build/fuzz/libnetc.a $(LIBS) -o $@

.SECONDARY: $(READERS)

# The readers of the runtime, with another fail(): see tests/fuzz/runtime/tracked.c.
$(OUT)/obj/readers/%.o: runtime/%.c tests/fuzz/runtime/tracked.h $(OUT)/obj/command
	@mkdir -p $(@D)
	$(call say,cc)$(COMPILE) -include tests/fuzz/runtime/tracked.h -MMD -MP -c $< -o $@

$(OUT)/obj/readers/%.o: tests/fuzz/runtime/%.c $(OUT)/obj/command
	@mkdir -p $(@D)
	$(call say,cc)$(COMPILE) -MMD -MP -c $< -o $@

build/fuzz/fuzz/%: tests/fuzz/runtime/%.c $(READERS)
	@mkdir -p $(@D)
	$(call say,cc)$(COMPILE) -fsanitize=fuzzer -MMD -MP $< $(READERS) -ljpeg -lpng -lz $(LIBS) -o $@

# The sanitised compiler, the unit tests and the fuzzers come with the tests: a part that does not compile is a failure there.
test: all sysroot build/venv/done ## run the tests: the last line is `N passed, N failed, N skipped`
	@$(MAKE) -k SANITIZE=1 SKIP_DEPS=1 build/san/netc units || true
	@$(MAKE) -k SANITIZE=fuzz SKIP_DEPS=1 fuzzers || true
	@tests/run.sh

test-all: all sysroot build/venv/done ## all networks on all targets, too
	@$(MAKE) -k SANITIZE=1 SKIP_DEPS=1 build/san/netc units || true
	@$(MAKE) -k SANITIZE=fuzz SKIP_DEPS=1 fuzzers || true
	@ALL=1 tests/run.sh

golden: all sysroot ## rewrite the verdicts of the tests (then read the diff)
	@$(MAKE) SANITIZE=1 SKIP_DEPS=1 build/san/netc
	@UPDATE=1 tests/run.sh lang pass loop run generated

fuzz: all ## fuzz the readers, FUZZ_SECONDS=20 each
	@$(MAKE) SANITIZE=fuzz SKIP_DEPS=1 fuzzers
	@$(PYTHON) tests/fuzz/run.py long

fuzzers: $(FUZZERS)

# ---- measuring ----
# The other engines, of pinned versions; several GB, as torch from PyPI brings CUDA along. Without them netc is measured alone.
build/peers/done: tests/bench/requirements.txt | deps
	@rm -rf build/peers; mkdir -p build/peers
	@echo "pip    build/peers (takes some minutes)"
	@{ /usr/bin/python3 -m venv build/peers && build/peers/bin/pip install -q --disable-pip-version-check -r $< && touch $@; } \
	   > build/peers.log 2>&1 || echo "build/peers: $$(tail -n 1 build/peers.log): netc is measured alone"

ifneq ($(BENCH_PEERS),0)
bench: build/peers/done
endif
bench: all ## netc's programs and other engines, in turn: latency, ratios, share of the processor's peak
	@[ -e build/peers/done ] || export BENCH_PEERS=0; $(PYTHON) tests/bench/run

tables: all ## the papers' tables made again, published figures beside ours (MEASURE=1: latencies, too)
	@tests/tables/run

# ---- the demo ----
FASHION = /usr/share/datasets/fashion-mnist
DATASET = $(FASHION)/t10k-images-idx3-ubyte.gz,$(FASHION)/t10k-labels-idx1-ubyte.gz

demo: all ## compile five trained networks, classify 10,000 pictures with each
	@mkdir -p build/demo
	@set -e; for net in resnext res2net resnest cotnet sknet; do \
	    echo "netc build netdefs/fashion/$$net.net --weights=netdefs/fashion/$$net.safetensors -o build/demo/$$net"; \
	    build/netc build netdefs/fashion/$$net.net --weights=netdefs/fashion/$$net.safetensors -o build/demo/$$net; \
	    build/demo/$$net --dataset=$(DATASET) --contact-sheet=build/demo/$$net.png; echo; \
	done
	@echo 'Pictures with their predicted and true classes: build/demo/*.png'
	@echo 'Try next:'
	@echo '  build/netc show netdefs/fashion/resnext.net                 one row a layer: shape, parameters, multiply-adds'
	@echo '  build/demo/resnext --bench                                  latency, and the share of this processor'"'"'s peak'
	@echo '  build/netc build netdefs/fashion/resnext.net --weights=netdefs/fashion/resnext.safetensors --target=scalar -o build/demo/plain'
	@echo '  build/netc build netdefs/resnext50_32x4d.net -D cardinality=8 -D width=14 --weights=synthetic -o build/demo/variant'

# ---- housekeeping ----
FORMATTED = $(wildcard compiler/*.[ch] compiler/*/*.[ch] runtime/*.[ch] tests/unit/*.[ch] tests/fuzz/*.[ch] tests/fuzz/*/*.[ch] tests/faults/*.c)
format: ## clang-format all C
	@command -v clang-format-19 > /dev/null || { echo "make format: clang-format-19 is not installed (apt-get install clang-format-19)" >&2; exit 1; }
	clang-format-19 -i $(FORMATTED)

install uninstall: export PREFIX := $(PREFIX)
install uninstall: export DESTDIR := $(DESTDIR)
install: all ## to PREFIX (/usr/local), below DESTDIR
	@share/install.sh install $(OUT)/netc

uninstall: ## take it away again
	@share/install.sh uninstall

clean: ## remove build/
	rm -rf build
