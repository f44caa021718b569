#!/bin/sh
# Installs what build-lib.sh built, the headers, the list of options and mailwire.pc: PREFIX (/usr/local) says where, DESTDIR is put in front.
set -eu
cd "$(dirname "$0")/.."

PREFIX=${PREFIX:-/usr/local}
LIBDIR=${LIBDIR:-lib}
root=${DESTDIR:-}$PREFIX
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
major=${version%%.*}

install -d "$root/include" "$root/$LIBDIR/pkgconfig" "$root/share/doc/mailwire"
install -m 644 include/mailwire.h include/mailwire.hpp "$root/include"
install -m 644 core/SERVER_OPTIONS.md "$root/share/doc/mailwire"
install -m 755 "build/lib/libmailwire.so.$version" "$root/$LIBDIR"
install -m 644 build/lib/libmailwire.a "$root/$LIBDIR"
ln -sf "libmailwire.so.$version" "$root/$LIBDIR/libmailwire.so.$major"
ln -sf "libmailwire.so.$major" "$root/$LIBDIR/libmailwire.so"

# The prefix is told from where the file lies, so that the folder may be moved.
up=$(printf '%s' "$LIBDIR/pkgconfig" | sed 's:[^/][^/]*:..:g')
cat >"$root/$LIBDIR/pkgconfig/mailwire.pc" <<EOF
prefix=\${pcfiledir}/$up
libdir=\${prefix}/$LIBDIR
includedir=\${prefix}/include

Name: mailwire
Description: SMTP inside your program, client and server
Version: $version
Libs: -L\${libdir} -lmailwire
Libs.private: $(cat build/lib/native-static-libs)
Cflags: -I\${includedir}
EOF
echo "installed mailwire $version in $root"
