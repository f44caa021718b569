# Part of run.sh: what the libraries export is what symbols.txt says, and nothing else.

grep -v '^#' ffi/symbols.txt | cut -d ' ' -f 1 | sort >"$out/symbols"

nm -D --defined-only --with-symbol-versions "$lib/libmailwire.so" | awk '$2 != "A" { print $3 }' | sort >"$out/exported"
sed 's/$/@@MAILWIRE_1.0/' "$out/symbols" | diff - "$out/exported" || fail "libmailwire.so exports something else than symbols.txt"

nm --defined-only --extern-only "$lib/libmailwire.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort >"$out/global"
diff "$out/symbols" "$out/global" || fail "libmailwire.a has something else global than symbols.txt"

readelf -d "$lib/libmailwire.so" >"$out/dynamic"
grep -q "SONAME.*\[$soname\]" "$out/dynamic" || fail "the soname is not $soname"
grep -q "FLAGS_1.*NODELETE" "$out/dynamic" || fail "the library could be unloaded"
if grep -Eq 'RPATH|RUNPATH|TEXTREL' "$out/dynamic"; then
    fail "the library has a path or text relocations in it"
fi
# Its own constructors would run before main. The crypto library has one, which detects the processor.
say "symbols"
