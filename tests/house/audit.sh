#!/bin/sh
# Runs cargo-deny over the dependencies, and says so where it or its database of advisories cannot be had.
set -eu

version=0.20.2
tools=build/tools

if [ ! -x "$tools/bin/cargo-deny" ]; then
    echo "audit: building cargo-deny $version"
    if ! cargo install --quiet --locked --root "$tools" --version "$version" cargo-deny; then
        echo "audit: cargo-deny cannot be had here: NOTHING WAS AUDITED. \`make check\` looks at licences and sources without it."
        exit 0
    fi
fi

"$tools/bin/cargo-deny" check bans licenses sources

# Without its database cargo-deny fails as it does on a finding, so the database is fetched first.
if "$tools/bin/cargo-deny" fetch db; then
    "$tools/bin/cargo-deny" check --disable-fetch advisories
    echo "audit: bans, licences, sources and advisories are in order"
else
    echo "audit: bans, licences and sources are in order; the database of advisories cannot be had here: ADVISORIES WERE NOT AUDITED."
fi
