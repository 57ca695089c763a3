# One command each. `make` alone says which.
#
# No linker is chosen here: since 1.90 Rust links with lld by itself, so `make` and a plain `cargo build` agree on every
# flag and share one cache.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help planted planted-and-trials seeds-again outsider digests setup setup-build setup-bench setup-rivals setup-check setup-test check test bench demo pictures rows fonts \
	format lints pure units tests binaries release simulator store-days shop licences replicas-agree screens-hold proof disk-trials some-disk-trials fuzz

TARGET := $(or $(CARGO_TARGET_DIR),target)
# nextest keeps its report in the clone, wherever cargo builds.
REPORT := target/nextest/default/junit.xml
# Packages that take no part in the outside world. Each must also build alone, where no other package's features help it.
PURE := selvedge-sync selvedge-domain selvedge-simulator
SEEDS := 200
# Runs of store-days (400 checkouts of one store at three pos) in a whole test, and how often each kind of fault must meet
# each state in them. 530 are the whole gate, and take seven minutes on two processors that do nothing else. The table is
# printed; a pair that met less often is a failure.
DAY_SEEDS := 530
MEETINGS := 1
# Seeds that are run once in memory and once on disks in files.
DIGEST_SEEDS := 100
# Where the long proof keeps what is done, and how many further runs of store-days it makes.
PROOF := proof
# Processor minutes of its trials of disks.
PROOF_DISK_MINUTES := 60
PROOF_SEEDS := 100000
# Processor seconds of its damaged messages.
PROOF_MESSAGE_SECONDS := 3600
# How long the advisory database may take to answer.
ADVISORIES_S := 60

help: ## say what there is
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{ printf "  make %-8s %s\n", $$1, $$2 }'

demo: setup-build release ## build, and start a chain with one store on this desk (Ctrl-C ends it)
	$(TARGET)/release/lab demo

check: setup-check format lints pure units simulator ## the inner loop: format, lints, structure, unit tests, simulator
	@echo "make check: all is well"

test: setup-test format lints pure tests planted-and-trials outsider digests store-days shop licences replicas-agree screens-hold rows ## all of check, brokers, browser, processes, licences, the demo's story
	@grep -E '^ +Summary ' $(TARGET)/nextest/log | tail -n 1

bench: setup-rivals release ## print each figure beside its target (release build)
	$(TARGET)/release/lab bench

pictures: setup-bench release ## take a picture of every screen into pictures/, day and night, in every size
	$(TARGET)/release/lab pictures --dir pictures

rows: ## requirement rows shown by a test that ran and passed, and those without
	@cargo run --quiet --locked -p lab -- rows --report $(REPORT)

setup: setup-test ## install what is missing, or name it in one line

fonts: ## bring the screens' own face from its package; the next build carries it
	@.ci/fonts

setup-build:
	@.ci/setup build

setup-bench:
	@.ci/setup build browser

setup-rivals:
	@.ci/setup build browser rivals

setup-check:
	@.ci/setup build nextest

setup-test:
	@.ci/setup build nextest deny brokers browser axe python

format:
	cargo fmt --all --check

lints:
	cargo clippy --workspace --all-targets --locked --quiet -- -D warnings

pure:
	for package in $(PURE); do cargo check --quiet --locked -p $$package; done

units:
	cargo nextest run --locked --workspace --lib --bins --test structure --test documents --profile check

# The processes of the lab are started from the same folder as the lab itself, so they are built before any test runs.
binaries:
	cargo build --quiet --locked --workspace --bins

release:
	cargo build --release --locked -p lab -p appliance -p hq-bridge --bins

tests: binaries
	mkdir -p $(TARGET)/nextest
	cargo nextest run --locked --workspace 2>&1 | tee $(TARGET)/nextest/log

# The last line is one digest over all runs: what lies in memory and what lies in files must end in the same.
digests:
	cargo build --quiet --release --locked -p selvedge-simulator
	memory=$$($(TARGET)/release/selvedge-simulator --seeds $(DIGEST_SEEDS) | tail -n 1); \
	files=$$($(TARGET)/release/selvedge-simulator --seeds $(DIGEST_SEEDS) --files | tail -n 1); \
	echo "$(DIGEST_SEEDS) seeds: $$memory in memory, $$files in files"; [[ $$memory == "$$files" ]]

simulator:
	cargo run --quiet --release --locked -p selvedge-simulator -- --seeds $(SEEDS)

store-days:
	cargo run --quiet --release --locked -p selvedge-simulator -- --days --seeds $(DAY_SEEDS) --meetings $(MEETINGS)

shop: binaries
	$(TARGET)/debug/lab simulate --seeds 20

# Each break behind a test-only switch must be caught by a run; the table says by which seed.
planted:
	cargo test --quiet --release --locked -p selvedge-simulator --test planted_faults -- --nocapture

# Seeds that once found a bug must find nothing any more.
seeds-again:
	cargo test --quiet --release --locked -p selvedge-simulator --test seeds

# What takes one processor for minutes, on both.
planted-and-trials:
	mkdir -p $(TARGET)/nextest
	$(MAKE) --no-print-directory some-disk-trials >$(TARGET)/nextest/trials 2>&1 & trials=$$!; \
	planted=0; $(MAKE) --no-print-directory planted seeds-again || planted=$$?; \
	wait $$trials || { cat $(TARGET)/nextest/trials; exit 1; }; \
	tail -n 4 $(TARGET)/nextest/trials; exit $$planted

proof: ## go on with the long proof: store-days with all faults, until it is stopped; it adds up per build
	cargo run --quiet --release --locked -p selvedge-simulator -- --proof $(PROOF) --seeds $(PROOF_SEEDS)
	cargo run --quiet --release --locked -p selvedge-simulator --bin disk_trials -- --proof $(PROOF) --minutes $(PROOF_DISK_MINUTES)
	cargo run --quiet --release --locked -p selvedge-simulator --bin hostile -- --folder $(PROOF) --seconds $(PROOF_MESSAGE_SECONDS)

fuzz: ## feed every parser with mutants until it is stopped; counts add up per build
	while cargo run --quiet --release --locked -p selvedge-simulator --bin hostile -- --parsers --folder $(PROOF) --seconds 120 \
	&& cargo run --quiet --release --locked -p lab -- fuzz --folder $(PROOF) --seconds 120; do :; done

disk-trials: ## cuts, faults and flipped bits at every operation of the engine's transactions: the whole gate
	cargo run --quiet --release --locked -p selvedge-simulator --bin disk_trials

# Fewer points of each transaction, spread over it, and all that the gate wants: about three minutes of a processor.
some-disk-trials:
	cargo run --quiet --release --locked -p selvedge-simulator --bin disk_trials -- --most 64

# Reads the golden messages by the protocol's page alone, with none of the engine's code.
outsider:
	python3 lab/outsider/decode.py sync/tests/golden

licences:
	cargo deny --locked check --hide-inclusion-graph bans licenses sources
	@.ci/advisories $(ADVISORIES_S)

replicas-agree: binaries
	$(TARGET)/debug/lab demo --check

screens-hold: binaries
	$(TARGET)/debug/lab walk
