# Part of run.sh: mailwire.h stands alone, twice, in every language standard, with every warning an error.

# gcc and clang do not warn of the same. Elsewhere than in CI one of them will do.
c_compilers=$CC
cxx_compilers=$CXX
if command -v clang >/dev/null && command -v clang++ >/dev/null; then
    c_compilers="$c_compilers clang"
    cxx_compilers="$cxx_compilers clang++"
elif [ "${CI:-}" = true ]; then
    fail "clang is missing, and nothing may be skipped where CI=true"
else
    say "skipped: the headers with clang, which is missing (on Debian: clang)"
fi

printf '#include <mailwire.h>\n#include <mailwire.h>\nint main(void) { return 0; }\n' >"$out/header.c"
cp "$out/header.c" "$out/header.cpp"
for compiler in $c_compilers; do
    for std in c99 c11 c17 c2x gnu11; do
        # shellcheck disable=SC2086
        $compiler -std=$std $strict -Wstrict-prototypes -Wc++-compat -Iinclude -fsyntax-only "$out/header.c" ||
            fail "mailwire.h with $compiler -std=$std"
    done
done
for compiler in $cxx_compilers; do
    for std in c++11 c++14 c++17 c++20 c++2b; do
        # shellcheck disable=SC2086
        $compiler -std=$std $strict -Iinclude -fsyntax-only "$out/header.cpp" || fail "mailwire.h with $compiler -std=$std"
    done
done
printf '#include <mailwire.hpp>\n#include <mailwire.hpp>\nint main() { return 0; }\n' >"$out/header.cpp"
for compiler in $cxx_compilers; do
    for std in c++17 c++20 c++2b; do
        # shellcheck disable=SC2086
        $compiler -std=$std $strict -Wshadow -Iinclude -fsyntax-only "$out/header.cpp" ||
            fail "mailwire.hpp with $compiler -std=$std"
    done
done

# The status of a call cannot be passed over by accident.
printf '#include <mailwire.h>\nvoid f(mailwire_message *m) { mailwire_message_set_sender(m, "", NULL); }\n' >"$out/nodiscard.c"
# shellcheck disable=SC2086
if $CC $strict -Iinclude -c "$out/nodiscard.c" -o "$out/nodiscard.o" 2>/dev/null; then
    fail "a status was thrown away without a warning"
fi
say "headers"
