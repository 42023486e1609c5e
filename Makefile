# What people type. CMake does the building (CMakeLists.txt, CMakePresets.json); this says what to
# build, makes sure that what it needs is there (scripts/need), and runs it. `make help` lists it.

ENGINE ?= duet
engines = duet $(filter-out duet,$(notdir $(patsubst %/,%,$(wildcard src/engine/*/)))) secure
comma = ,
empty =
space = $(empty) $(empty)
# secure is measured beside duet where somebody asks for it.
peers = $(subst $(space),$(comma),$(filter-out secure,$(engines)) \
    jemalloc mimalloc tcmalloc tbbmalloc)
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
export JOBS

# What `make run` runs. By default: gcc, on the largest source of the command, which is the same
# whatever the engine.
PROG ?=
largest = $(shell find tools -name '*.c' -printf '%s %p\n' | sort -rn | sed -n '1s/.* //p')
example = gcc -std=gnu17 -O2 -D_GNU_SOURCE -DDUET_VERSION='""' -Iinclude -Isrc -Itools/duet \
    -c $(largest) -o build/largest.o
program = $(or $(value PROG),$(example))

all: build
	@ls -1 build/duet build/libduet*.so build/libduet*.a

build:
	@scripts/need build
	@cmake --preset release >/dev/null
	@scripts/build build >&2

run: build
	build/duet run --engine $(ENGINE) -- $(program)

test:
	@scripts/need build test
	@scripts/flavour release -LE torture

torture:
	@scripts/need build test check
	@scripts/torture

check:
	@.ci/run check

coverage:
	@scripts/need build test check
	@scripts/coverage

fuzz:
	@scripts/need build check
	@scripts/fuzz

mutations:
	@scripts/need build test check
	@scripts/check-mutations

peers:
	@scripts/need peers

# All of it, into docs/benchmarks.md, or what BENCH asks for, onto the terminal. Interrupted, it
# goes on when called again. Status 1: somebody's allocator failed, as the page then says.
bench: build
	@scripts/need peers bench
ifeq ($(BENCH),)
	@build/duet bench --with $(peers) --timeout 120 --json build/bench.json \
	    --pictures docs/benchmarks || [ $$? -eq 1 ]
	@scripts/benchmarks-page build/bench.json
	@build/duet bench --curves --with $(peers) --json build/curves.json \
	    --pictures docs/benchmarks || [ $$? -eq 1 ]
	@scripts/benchmarks-page build/curves.json
else
	@build/duet bench $(BENCH)
endif

# The loader finds a library in a new place once ldconfig has seen it; a package does that itself.
install: build
	@DESTDIR='$(DESTDIR)' cmake --install build --prefix '$(PREFIX)'
	@if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" -eq 0 ]; then ldconfig; fi

clean:
	rm -rf build build-*

help:
	@echo 'make                    build/duet; build/libduet.so and .a; libduet-ENGINE for the others'
	@echo 'make run [PROG="..."]   run PROG on duet and print what its heap did; default: gcc'
	@echo '         [ENGINE=$(ENGINE)]   ... on this engine, of: $(engines)'
	@echo 'make test               build and pass all tests, but for the long ones'
	@echo 'make torture            the long tests, and what CI runs in one flavour alone, on every'
	@echo '                        flavour (an hour), and a table of what was run'
	@echo 'make check              what CI checks beyond: format, layers, every flavour'
	@echo 'make coverage           which lines of src/ the tests run, and why the others do not'
	@echo 'make fuzz               ten CPU minutes of fuzzing for each target'
	@echo 'make mutations          hand-made faults, one at a time: the tests find each (ten minutes)'
	@echo 'make peers              install the allocators that Debian has, to compare duet with'
	@echo 'make bench              measure all of them, for an hour, and refresh docs/benchmarks.md'
	@echo '     [BENCH="--quick"]  ... or what these words for duet bench say, and refresh nothing'
	@echo 'make install [PREFIX=/usr/local] [DESTDIR=]'
	@echo 'make clean'

.PHONY: all build run test torture check coverage fuzz mutations peers bench install clean help
