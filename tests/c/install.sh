# Part of run.sh: installed to a prefix that is then moved, the library builds the examples, shared and static.

rm -rf "$out/stage" "$out/moved"
DESTDIR="$out/stage" PREFIX=/opt/mailwire ffi/install.sh >/dev/null
mv "$out/stage/opt/mailwire" "$out/moved"
export PKG_CONFIG_PATH="$out/moved/lib/pkgconfig"
unset LD_LIBRARY_PATH

# rustc says what the static library needs; the installed file must say the same.
grep -q "^Libs.private: $(cat "$lib/native-static-libs")\$" "$out/moved/lib/pkgconfig/mailwire.pc" ||
    fail "mailwire.pc does not name the system's libraries"
for link in libmailwire.so "$soname"; do
    [ "$(readlink -f "$out/moved/lib/$link")" = "$out/moved/lib/libmailwire.so.$version" ] || fail "$link leads elsewhere"
done
[ "$(pkg-config --modversion mailwire)" = "$version" ] || fail "mailwire.pc has another version"

# In a distribution's folder for libraries too.
DESTDIR="$out/stage" PREFIX=/usr LIBDIR=lib/x86_64-linux-gnu ffi/install.sh >/dev/null
found=$(PKG_CONFIG_PATH="$out/stage/usr/lib/x86_64-linux-gnu/pkgconfig" pkg-config --variable=includedir mailwire)
[ -f "$found/mailwire.h" ] || fail "mailwire.pc does not find the header from another LIBDIR"
[ -f "$out/moved/share/doc/mailwire/SERVER_OPTIONS.md" ] || fail "the list of options is not installed"
rm -rf "$out/stage"

for source in examples/c/*.c examples/cpp/*.cpp; do
    case $source in
    *.c) compile="$CC -std=c11" ;;
    *) compile="$CXX -std=c++17" ;;
    esac
    name=$(basename "$source" | tr . _)
    # shellcheck disable=SC2086,SC2046
    {
        $compile $strict "$source" -o "$out/$name" $(pkg-config --cflags --libs mailwire) -Wl,-rpath,"$out/moved/lib"
        $compile $strict "$source" -o "$out/${name}_static" $(pkg-config --cflags mailwire) \
            -Wl,-Bstatic $(pkg-config --libs mailwire) -Wl,-Bdynamic $(pkg-config --static --libs-only-l mailwire | sed 's/-lmailwire//')
    }
    ldd "$out/$name" | grep -q "$soname => $out/moved/lib/$soname" || fail "$name does not use $soname"
    if ldd "$out/${name}_static" | grep -q libmailwire; then
        fail "${name}_static is not static"
    fi
    for program in "$out/$name" "$out/${name}_static"; do
        if "$program" >/dev/null 2>"$out/usage"; then
            fail "$program does without arguments"
        fi
        grep -q usage "$out/usage" || fail "$program does not say how it is used"
    done
done

# Beside a second static library made by rustc, each with its own copy of the standard library.
"${RUSTC:-rustc}" --edition 2021 --crate-type staticlib -O tests/c/second.rs -o "$out/libsecond.a"
# shellcheck disable=SC2086,SC2046
$CC -std=c11 $strict tests/c/two_libraries.c -o "$out/two_libraries" $(pkg-config --cflags mailwire) "$out/libsecond.a" \
    "$out/moved/lib/libmailwire.a" $(pkg-config --static --libs-only-l mailwire | sed 's/-lmailwire//')
run two_libraries "$out/two_libraries"
export LD_LIBRARY_PATH="$lib"
say "install"
