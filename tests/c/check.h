// check.h: the whole test framework. A test is a program that calls CHECK... and returns check_result().
#ifndef CHECK_H
#define CHECK_H

#include <inttypes.h>
#include <mailwire.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_count;
static int check_failures;

#define CHECK(condition) check_that((condition) ? 1 : 0, #condition, __FILE__, __LINE__)
#define CHECK_INT(got, wanted) check_int((int64_t)(got), (int64_t)(wanted), #got, __FILE__, __LINE__)
#define CHECK_TEXT(got, wanted) check_text((got), (wanted), #got, __FILE__, __LINE__)
#define CHECK_HAS(got, part) check_has((got), (part), #got, __FILE__, __LINE__)
// A call that must succeed. Its error, if any, is told and freed.
#define CHECK_OK(call) check_status((call), MAILWIRE_OK, &err, #call, __FILE__, __LINE__)
// A call that must fail with this status, with an error that says so too; it is freed.
#define CHECK_FAILS(call, status) check_status((call), (status), &err, #call, __FILE__, __LINE__)

static inline void check_that(int good, const char *what, const char *file, int line) {
    check_count++;
    if (!good) {
        check_failures++;
        fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
    }
}

static inline void check_int(int64_t got, int64_t wanted, const char *what, const char *file, int line) {
    check_count++;
    if (got != wanted) {
        check_failures++;
        fprintf(stderr, "%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", file, line, what, got, wanted);
    }
}

static inline void check_text(const char *got, const char *wanted, const char *what, const char *file, int line) {
    check_count++;
    if (!got || strcmp(got, wanted) != 0) {
        check_failures++;
        fprintf(stderr, "%s:%d: %s is \"%s\", not \"%s\"\n", file, line, what, got ? got : "(NULL)", wanted);
    }
}

static inline void check_has(const char *got, const char *part, const char *what, const char *file, int line) {
    check_count++;
    if (!got || !strstr(got, part)) {
        check_failures++;
        fprintf(stderr, "%s:%d: %s is \"%s\", without \"%s\"\n", file, line, what, got ? got : "(NULL)", part);
    }
}

static inline void check_status(mailwire_status got, mailwire_status wanted, mailwire_error **err, const char *what,
                                const char *file, int line) {
    check_count++;
    if (got != wanted || mailwire_error_status(*err) != got) {
        check_failures++;
        fprintf(stderr, "%s:%d: %s returned %s, not %s; its error is %s: %s\n", file, line, what,
                mailwire_status_name(got), mailwire_status_name(wanted),
                mailwire_status_name(mailwire_error_status(*err)), mailwire_error_message(*err));
    }
    mailwire_error_free(*err);
    *err = NULL;
}

static inline int check_result(void) {
    printf("%d checks, %d failed\n", check_count, check_failures);
    return check_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
