#!/bin/sh
# Says in words what a build of mailwire lacks: need.sh TOOL..., where TOOL is cargo, cc, c++, python3 or pkg-config.
set -eu

oldest_cargo=1.88.0
oldest_python=3.10

# Whether version $1 is $2 or newer.
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

fail() {
    echo "mailwire: $1" >&2
    exit 1
}

for tool in "$@"; do
    case $tool in
    cargo)
        version=$("${CARGO:-cargo}" --version 2>/dev/null | cut -d ' ' -f 2) || version=
        [ -n "$version" ] || fail "cargo is missing: Rust $oldest_cargo or newer is needed to build it."
        at_least "$version" "$oldest_cargo" || fail "cargo is version $version: $oldest_cargo or newer is needed."
        ;;
    cc)
        command -v "${CC:-cc}" >/dev/null || fail "cc is missing: a C compiler is needed to link, and for the crypto library."
        ;;
    c++)
        command -v "${CXX:-c++}" >/dev/null || fail "${CXX:-c++} is missing: a C++ compiler is needed for the examples and tests in C++."
        ;;
    python3)
        python=${PYTHON:-python3}
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || version=
        [ -n "$version" ] || fail "python3 is missing: version $oldest_python or newer is needed."
        at_least "$version" "$oldest_python" || fail "python3 is version $version: $oldest_python or newer is needed."
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "python3 has no venv module: install it (on Debian: python3-venv)."
        ;;
    pkg-config)
        command -v pkg-config >/dev/null ||
            fail "pkg-config is missing: the C tests find the installed library by it (on Debian: pkg-config)."
        ;;
    *)
        fail "need.sh knows no tool called $tool."
        ;;
    esac
done
