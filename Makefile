# Builds, tests and installs mailwire. `make help` lists what there is.
#
# Set-up that takes time is done once and remembered by stamp files in .venv; cargo remembers the rest itself.

CARGO ?= cargo
PYTHON ?= python3
PREFIX ?= /usr/local
DESTDIR ?=
export CARGO PYTHON
# Only the installer may see where to: a build script that finds DESTDIR puts its own libraries there.
unexport PREFIX DESTDIR

# The server that `make conformance` holds to the requirements, and what it has to be told.
TARGET ?=
ARGS ?=

VENV := .venv/bin
STAMPS := .venv/stamps
NEED := tests/house/need.sh

# A person's own sources, without what tools made: for the formatters, and for what the Python package is built from.
OURS := find . \( -name .git -o -name .venv -o -name build -o -name target \) -prune -o -type f
C_FILES := $(OURS) \( -name '*.c' -o -name '*.cpp' -o -name '*.h' -o -name '*.hpp' \) -print0
PACKAGE := $(shell find Cargo.lock Cargo.toml core/Cargo.toml core/src python -type f \
	-not -path '*/__pycache__/*' -not -path '*/target/*' 2>/dev/null)

CHECKS := check-format check-clippy check-core-alone check-house check-python check-c
# The header can be out of date from the day there is a crate that it is made from.
ifneq ($(wildcard ffi/Cargo.toml),)
CHECKS += check-header
endif
TESTS := test-rust test-c test-python test-examples test-interop test-bench

.PHONY: all help demo test check lib examples wheel install bench bench-link bench-codecs fuzz large crash abuse malformed mutants mutants-rules conformance \
	conformance-client conformance-peers conformance-selfcheck docs scan-tls audit format clean need need-python need-cpp $(CHECKS) $(TESTS) \
	check-header

all: lib

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-21s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# What people come for

demo: need need-python need-cpp examples $(STAMPS)/package ## send one message from every language to a C listener, and show failures
	$(VENV)/python examples/demo.py

test: need need-python need-cpp ## all checks and tests, from a clean clone
	@set -e; for part in check $(TESTS); do \
		printf '\n== make %s\n' "$$part"; \
		$(MAKE) --no-print-directory "$$part"; \
	done
	@printf '\nmake test: everything passed\n'

check: need need-python $(CHECKS) ## format, lints, arrows, licences, tidiness

lib: need ## libmailwire.so and libmailwire.a in build/lib
	ffi/build-lib.sh

examples: need-cpp lib ## the example programs in C, C++ and Rust, in build/examples
	mkdir -p build/examples
	for program in send listen; do \
		$(CC) -std=c11 -Wall -Wextra -Werror -Iinclude -o build/examples/$$program-c examples/c/$$program.c \
			-Lbuild/lib -lmailwire -Wl,-rpath,'$(CURDIR)/build/lib' && \
		$(CXX) -std=c++17 -Wall -Wextra -Werror -Iinclude -o build/examples/$$program-cpp examples/cpp/$$program.cpp \
			-Lbuild/lib -lmailwire -Wl,-rpath,'$(CURDIR)/build/lib' || exit 1; \
	done
	$(CARGO) build --release --locked -p mailwire-examples
	cp -f $${CARGO_TARGET_DIR:-target}/release/send build/examples/send-rust
	cp -f $${CARGO_TARGET_DIR:-target}/release/listen build/examples/listen-rust

wheel: need $(STAMPS)/python-tools ## a Python wheel in build/wheels
	$(VENV)/maturin build --release --locked --manifest-path python/Cargo.toml --out build/wheels

install: lib ## libraries, headers, pkg-config file and list of options to DESTDIR and PREFIX (/usr/local)
	PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' ffi/install.sh

bench: need lib $(STAMPS)/package ## speed beside the limit and beside other software
	$(PYTHON) tests/interop/install_peers.py --only bench
	$(VENV)/python tests/bench/run.py

bench-link: need need-python $(STAMPS)/python-tools ## clients over a link of 50 ms each way, with their round trips counted
	$(PYTHON) tests/interop/install_peers.py --only bench
	$(VENV)/python tests/bench/link.py

bench-codecs: need ## parsers and codecs beside memcpy and smtp-proto; fails if a codec is too slow
	$(CARGO) bench --locked -p mailwire --no-default-features --bench speed

fuzz: need need-python ## each fuzz target for SECONDS=n (10) in turn, with libFuzzer
	$(PYTHON) tests/fuzz/fuzz.py $(or $(SECONDS),10) $(TARGETS)

large: need ## messages of 1 GiB, of which little is ever held: `make test` does it with 256 MiB
	$(CARGO) test --locked -p mailwire --test large_bodies -- --include-ignored

abuse: need ## attacks on the listener at full size, with figures of what they cost it: a quarter of an hour, ATTACKS='idle drips resets endless'
	$(CARGO) run --release --locked -p mailwire-abuse -- figures $(ATTACKS)

malformed: need ## COUNT=n (1000000) malformed sessions, made by mutation with SEED=n (1), from FIRST=n (0) on
	$(CARGO) run --release --locked -p mailwire-abuse -- malformed count=$(or $(COUNT),1000000) seed=$(or $(SEED),1) first=$(or $(FIRST),0)

crash: need ## kill a listener that delivers into files under load, ROUNDS=n (500) times for each kind, and look for what it acknowledged
	ROUNDS=$(or $(ROUNDS),500) $(CARGO) test --locked -p mailwire --test durable crash -- --nocapture

mutants: need need-python ## cargo-mutants over what changed in proto and sasl since tests/mutants/record.json; MOST=n: n shards
	$(PYTHON) tests/mutants/mutants.py $(if $(MOST),--most $(MOST))

mutants-rules: need need-python ## break each of the promises of SECURITY.md, and see its test turn red
	$(PYTHON) tests/mutants/rules.py

conformance: need ## hold any server to the RFCs: TARGET=host:port ARGS='--recipient joe@example.org --insecure'
	$(CARGO) run --quiet --locked -p mailwire-conformance -- $(TARGET) $(ARGS)

conformance-client: need ## hold our own client to the RFCs, and print a row for each requirement
	$(CARGO) run --quiet --locked -p mailwire-conformance -- client

conformance-peers: need $(STAMPS)/python-tools ## the same for Postfix, Exim, aiosmtpd and node's smtp-server
	$(VENV)/python tests/interop/install_peers.py
	$(CARGO) build --quiet --locked -p mailwire-conformance
	$(VENV)/python tests/conformance/peers.py

conformance-selfcheck: need ## faults that the conformance cases must notice, and which of them do
	$(CARGO) test --quiet --locked -p mailwire-conformance --test selfcheck --test client_selfcheck -- --nocapture --test-threads 1

scan-tls: need $(STAMPS)/package ## testssl.sh over the listener, by STARTTLS and implicit: nothing above LOW
	$(PYTHON) tests/interop/install_peers.py --only scan
	$(VENV)/python tests/interop/scan_tls.py

docs: need ## the Rust documentation, in target/doc
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --locked --no-deps -p mailwire

audit: need ## cargo-deny over the dependencies
	tests/house/audit.sh

format: need $(STAMPS)/check-tools ## bring all code into form
	$(CARGO) fmt --all
	$(CARGO) fmt --manifest-path tests/fuzz/libfuzzer/Cargo.toml
	$(CARGO) fmt --manifest-path tests/bench/peers/rust/Cargo.toml
	$(VENV)/ruff check --fix .
	$(VENV)/ruff format .
	$(C_FILES) | xargs -0 -r $(VENV)/clang-format -i

clean: ## remove what was built, and .venv
	$(CARGO) clean
	rm -rf build .venv

# The parts of `make check`

check-format: need ## Rust is formatted
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path tests/fuzz/libfuzzer/Cargo.toml --check
	$(CARGO) fmt --manifest-path tests/bench/peers/rust/Cargo.toml --check

check-clippy: need ## clippy has nothing to say
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked -p mailwire --features tracing --all-targets -- -D warnings

check-core-alone: need ## the protocol builds without the outside world
	$(CARGO) clippy --locked -p mailwire --no-default-features --all-targets -- -D warnings

check-house: need ## arrows, licences, tidiness
	$(CARGO) test --locked --quiet -p mailwire-house

check-python: $(STAMPS)/check-tools ## Python is formatted, and ruff has nothing to say
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .

check-c: $(STAMPS)/check-tools ## C and C++ are formatted
	$(C_FILES) | xargs -0 -r $(VENV)/clang-format --dry-run -Werror

check-header: need ## mailwire.h is what its source makes
	$(CARGO) test --locked --quiet -p mailwire-ffi --test header

# The parts of `make test`

test-rust: need ## unit, property and conversation tests
	$(CARGO) test --locked --workspace
	$(CARGO) test --locked -p mailwire --features tracing --lib --test transcript

test-c: lib ## C and C++ tests
	$(PYTHON) tests/interop/install_peers.py --only c
	tests/c/run.sh

test-python: $(STAMPS)/package ## pytest
	$(VENV)/python -m pytest tests/python

test-examples: examples $(STAMPS)/package ## the examples and the README's lines, run
	$(VENV)/python -m pytest tests/examples

test-interop: examples $(STAMPS)/package ## with Postfix, Exim, OpenSMTPD, Dovecot, aiosmtpd, node's smtp-server, and other clients
	$(VENV)/python tests/interop/install_peers.py
	$(CARGO) build --release --locked -p mailwire-interop
	$(VENV)/python -m pytest tests/interop

test-bench: $(STAMPS)/package ## the yardsticks of `make bench` measure what they say
	$(VENV)/python -m pytest tests/bench

# Set-up

need:
	@$(NEED) cargo cc

need-python:
	@$(NEED) python3

need-cpp:
	@CXX='$(CXX)' $(NEED) c++

$(VENV)/python: | need-python
	$(PYTHON) -m venv .venv
	mkdir -p $(STAMPS)

$(STAMPS)/check-tools: tests/house/requirements.txt | $(VENV)/python
	$(VENV)/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(STAMPS)/python-tools: python/requirements-dev.txt tests/interop/requirements.txt tests/bench/requirements.txt | $(VENV)/python
	$(VENV)/python -m pip install --quiet --disable-pip-version-check $(addprefix -r ,$^)
	touch $@

$(STAMPS)/package: $(PACKAGE) $(STAMPS)/python-tools | need
	$(VENV)/python -m pip install --quiet --disable-pip-version-check ./python
	touch $@
