#!/bin/sh
# Compiles and runs the tests of the C and C++ interface against build/lib. VALGRIND=1 runs them under valgrind.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
tests/house/need.sh pkg-config

CC=${CC:-cc}
CXX=${CXX:-c++}
PYTHON=${PYTHON:-python3}
out=$root/build/tests-c
lib=$root/build/lib
strict="-Wall -Wextra -Wpedantic -Werror"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
soname=libmailwire.so.${version%%.*}
rm -rf "$out"
mkdir -p "$out"
export LD_LIBRARY_PATH="$lib"
export PKI="$root/tests/c/pki"

say() {
    printf '%s\n' "tests/c: $*"
}

fail() {
    say "FAILED: $*" >&2
    exit 1
}

under=
if [ "${VALGRIND:-}" = 1 ]; then
    under="valgrind --quiet --child-silent-after-fork=yes --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect"
fi

# run NAME PROGRAM ARGUMENT...: no test takes longer than five minutes.
run() {
    name=$1
    shift
    say "$name"
    # shellcheck disable=SC2086 # $under is words
    timeout 300 $under "$@" || fail "$name"
}

. tests/c/header.sh
. tests/c/symbols.sh

for source in tests/c/test_*.c; do
    name=$(basename "$source" .c)
    # shellcheck disable=SC2086
    $CC -std=gnu11 $strict -g -DCRATE_VERSION="\"$version\"" -Iinclude "$source" -o "$out/$name" -L"$lib" -lmailwire -lpthread
    run "$name" "$out/$name"
done

"$PYTHON" tests/c/injection_rows.py include/mailwire.h tests/c/test_injection.c || fail "a text without a row in test_injection.c"

symbols=$(grep -vc '^#' ffi/symbols.txt)
"$PYTHON" tests/c/null_sweep.py include/mailwire.h "$out/null_sweep.c" "$symbols"
# shellcheck disable=SC2086
$CC -std=gnu11 $strict -Wno-nonnull -g -Iinclude -Itests/c "$out/null_sweep.c" -o "$out/null_sweep" -L"$lib" -lmailwire
run null_sweep "$out/null_sweep"

for source in tests/c/test_*.cpp; do
    for std in c++17 c++20 c++2b; do
        for exceptions in -fexceptions -fno-exceptions; do
            name=$(basename "$source" .cpp)_$std$exceptions
            # shellcheck disable=SC2086
            $CXX -std=$std $strict $exceptions -g -Iinclude "$source" tests/c/twice.cpp -o "$out/$name" -L"$lib" -lmailwire -lpthread
            run "$name" "$out/$name"
        done
    done
done

. tests/c/install.sh
. tests/c/programs.sh
say "all passed"
