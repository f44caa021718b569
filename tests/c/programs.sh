# Part of run.sh: the examples and the piece of C in the convention sheet, run against each other over STARTTLS and AUTH.

inbox=$out/inbox
mkdir -p "$inbox"
printf 'Subject: hello\r\n\r\n.Hello.\r\n' >"$out/message.eml"

# begin PROGRAM COUNT: starts a listener and sets $port and $listener.
begin() {
    : >"$out/listened"
    "$1" 127.0.0.1:0 "$PKI/server.pem" "$PKI/key.pem" user secret "$2" "$inbox" >"$out/listened" 2>"$out/listen_errors" &
    listener=$!
    tries=0
    until port=$(sed -n 's/^listening on .*:\([0-9]*\)$/\1/p' "$out/listened") && [ -n "$port" ]; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || fail "$1 does not listen"
        sleep 0.1
    done
    url="smtp://user:secret@localhost:$port?tls=required&ca=$PKI/ca.pem"
}

for listen in listen_c listen_c_static listen_cpp; do
    begin "$out/$listen" 3
    for send in send_c send_c_static send_cpp; do
        "$out/$send" "$url" a@example.org b@example.net c@example.net <"$out/message.eml" >"$out/sent" || fail "$send to $listen"
        [ "$(grep -c ': 250 ' "$out/sent")" = 2 ] || fail "$send does not tell what became of each recipient"
    done
    wait "$listener" || fail "$listen ended badly: $(cat "$out/listen_errors")"
    for number in 1 2 3; do
        cmp "$out/message.eml" "$inbox/$number.eml" || fail "message $number to $listen is not as it was sent"
    done
    [ "$(grep -Ec '^127\.0\.0\.1:[0-9]+ TLSv1\.3 user a@example\.org b@example\.net,c@example\.net 27$' "$out/listened")" = 3 ] ||
        fail "$listen printed: $(cat "$out/listened")"

    # A refused recipient among good ones, a wrong password, and the end by a signal.
    begin "$out/$listen" 0
    if "$out/send_c" "$url" a@example.org b@example.net nobody@example.net <"$out/message.eml" >"$out/sent" 2>"$out/error"; then
        fail "a refused recipient is no success"
    fi
    grep -q '^nobody@example.net: 550 No such user here$' "$out/sent" || fail "the refusal is not told: $(cat "$out/sent")"
    grep -q '^b@example.net: 250 ' "$out/sent" || fail "the other recipient is not told: $(cat "$out/sent")"
    [ "$(wc -l <"$out/error")" = 1 ] || fail "the error has more than a line: $(cat "$out/error")"
    wrong="smtp://user:wrong@localhost:$port?tls=required&ca=$PKI/ca.pem"
    if "$out/send_cpp" "$wrong" a@example.org b@example.net <"$out/message.eml" 2>"$out/error"; then
        fail "a wrong password is no success"
    fi
    grep -q 'password' "$out/error" || fail "the wrong password is not told: $(cat "$out/error")"
    kill -TERM "$listener"
    wait "$listener" || fail "$listen ended badly on SIGTERM: $(cat "$out/listen_errors")"
done

# The piece of C in the convention sheet, as it stands there but for host and port. It trusts the system's roots, which
# SSL_CERT_FILE replaces.
begin "$out/listen_c" 1
sed "s/\"mail.example.org\", 587/\"localhost\", $port/" tests/c/sheet.c >"$out/sheet.c"
# shellcheck disable=SC2086
$CC -std=c11 $strict -Iinclude "$out/sheet.c" -o "$out/sheet" -L"$lib" -lmailwire
SSL_CERT_FILE="$PKI/ca.pem" "$out/sheet" >"$out/sent" || fail "the sheet's piece of C"
grep -q '^b@example.net: 250 ' "$out/sent" || fail "the sheet's piece of C printed: $(cat "$out/sent")"
wait "$listener" || fail "listen_c ended badly"
say "programs"
