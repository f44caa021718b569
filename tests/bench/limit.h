/* What the two limit programs share: the clock, the CPU time, the command line and the way to die.
 * Include it first: it asks for the Linux interfaces (epoll, accept4, memmem) that C11 does not name. */
#ifndef MAILWIRE_BENCH_LIMIT_H
#define MAILWIRE_BENCH_LIMIT_H

#define _GNU_SOURCE

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* An option of the command line that takes a whole number, or one that takes none (`max` 0). */
struct option {
    const char *name;
    long *value;
    long min;
    long max;
};

/* Says what failed, with errno's text where there is one, and ends the program with status 1. */
static inline _Noreturn void fail(const char *what) {
    if (errno != 0) {
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
    } else {
        fprintf(stderr, "%s\n", what);
    }
    exit(1);
}

/* Seconds on a clock that never steps. */
static inline double seconds_now(void) {
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        fail("clock_gettime");
    }
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Seconds of CPU, user and system, that this process has used. */
static inline double cpu_seconds(void) {
    struct rusage used;
    if (getrusage(RUSAGE_SELF, &used) != 0) {
        fail("getrusage");
    }
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Milliseconds from now to `deadline` for epoll_wait, rounded up; 0 once it has passed. */
static inline int milliseconds_to(double deadline) {
    double left = deadline - seconds_now();
    return left > 0 ? (int)(left * 1000) + 1 : 0;
}

/* Reads `--name value` and bare `--name` into the options; ends with status 2 on anything else. */
static inline void read_options(int argc, char **argv, const struct option *options, size_t count) {
    for (int at = 1; at < argc; at++) {
        const struct option *found = NULL;
        for (size_t i = 0; i < count; i++) {
            if (strcmp(argv[at], options[i].name) == 0) {
                found = &options[i];
            }
        }
        if (found == NULL) {
            fprintf(stderr, "%s: unknown option %s; known:", argv[0], argv[at]);
            for (size_t i = 0; i < count; i++) {
                fprintf(stderr, " %s", options[i].name);
            }
            fputc('\n', stderr);
            exit(2);
        }
        if (found->max == 0) {
            *found->value = 1;
            continue;
        }
        char *end = NULL;
        const char *text = at + 1 < argc ? argv[++at] : "";
        errno = 0;
        long value = strtol(text, &end, 10);
        if (errno != 0 || end == text || *end != '\0' || value < found->min || value > found->max) {
            fprintf(stderr, "%s: %s takes a number from %ld to %ld\n", argv[0], found->name, found->min, found->max);
            exit(2);
        }
        *found->value = value;
    }
}

#endif
