// libmailwire.a beside another static library made by rustc: neither gets in the other's way.
#include "check.h"

bool second_catches(void);

int main(void) {
    mailwire_error *err = NULL;
    const char *to[] = {"b@example.net"};
    CHECK(second_catches());
    CHECK_FAILS(mailwire_send_text("smtp://127.0.0.1:1?tls=none", "a@example.org", to, 1, "x", "y", NULL, &err),
                MAILWIRE_ERR_CONNECTION_REFUSED);
    CHECK(second_catches());
    return check_result();
}
