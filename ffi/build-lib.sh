#!/bin/sh
# Builds build/lib/libmailwire.so.VERSION (with its links) and build/lib/libmailwire.a from the crate mailwire-ffi.
#
# The shared library is linked here with cc, because rustc's own link of one already has a version script. Of the static
# library only mailwire_* stays global, so that it can be linked beside another static library made by rustc.
#
# PROFILE=dev builds without optimisation, for those who work on the library.
set -eu
cd "$(dirname "$0")/.."

CARGO=${CARGO:-cargo}
CC=${CC:-cc}
PROFILE=${PROFILE:-release}
out=build/lib
mkdir -p "$out"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
major=${version%%.*}

# What the static library needs from the system is told by rustc, and kept for mailwire.pc.
case $PROFILE in
dev) folder=debug ;;
*) folder=$PROFILE ;;
esac
target=$("$CARGO" metadata --locked --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
"$CARGO" rustc --locked --profile "$PROFILE" -p mailwire-ffi --lib --crate-type staticlib -- \
    -C metadata=mailwire --print native-static-libs="$PWD/$out/native-static-libs"
archive=$target/$folder/libmailwire_ffi.a
native=$(cat "$out/native-static-libs")

awk '!/^#/ { print $1 }' ffi/symbols.txt >"$out/symbols"

# shellcheck disable=SC2086 # the libraries are words
"$CC" -shared -o "$out/libmailwire.so.$version" \
    -Wl,-soname,"libmailwire.so.$major" \
    -Wl,--version-script=ffi/mailwire.map \
    -Wl,--whole-archive "$archive" -Wl,--no-whole-archive \
    -Wl,-z,nodelete -Wl,-z,defs -Wl,-z,relro -Wl,-z,now -Wl,--gc-sections -Wl,--as-needed \
    $native
if [ "$folder" = release ]; then
    # What a debugger wants is kept apart.
    objcopy --only-keep-debug "$out/libmailwire.so.$version" "$out/libmailwire.so.$version.debug"
    objcopy --strip-unneeded --add-gnu-debuglink="$out/libmailwire.so.$version.debug" "$out/libmailwire.so.$version"
fi
ln -sf "libmailwire.so.$version" "$out/libmailwire.so.$major"
ln -sf "libmailwire.so.$major" "$out/libmailwire.so"

# One object, with its groups resolved, in which everything but mailwire_* is local.
ld -r --whole-archive --force-group-allocation -o "$out/libmailwire.o" "$archive"
objcopy -R .llvmbc -R .llvmcmd --keep-global-symbols="$out/symbols" --strip-debug "$out/libmailwire.o"
rm -f "$out/libmailwire.a"
ar crs "$out/libmailwire.a" "$out/libmailwire.o"
rm "$out/libmailwire.o" "$out/symbols"
echo "built $out/libmailwire.so.$version and $out/libmailwire.a"
