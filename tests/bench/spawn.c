/* Runs a client program to its end, over and over, one message each time: what one send costs from start to exit.
 *
 *   spawn PROGRAM [its options] --port P --messages N --seconds S [more]
 *
 * Starts PROGRAM N times, one after the other, with `--messages 1` and all else as given; what it prints is dropped.
 * Prints one line of JSON: messages, connections, seconds and cpu_seconds (of the children). Ends with status 1 if one
 * of them failed, or after S seconds. */
#include "limit.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static double cpu_of_children(void);

int main(int argc, char **argv) {
    long messages = 0;
    double seconds = 60;
    if (argc < 2) {
        fprintf(stderr, "%s: which program?\n", argv[0]);
        return 2;
    }
    char one[] = "1";
    for (int at = 2; at + 1 < argc; at++) {
        if (strcmp(argv[at], "--messages") == 0) {
            messages = strtol(argv[at + 1], NULL, 10);
            argv[at + 1] = one;
        } else if (strcmp(argv[at], "--seconds") == 0) {
            seconds = strtod(argv[at + 1], NULL);
        }
    }
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) != 0) {
        fail("posix_spawn_file_actions");
    }
    double start = seconds_now();
    double cpu_before = cpu_of_children();
    for (long done = 0; done < messages; done++) {
        pid_t child = 0;
        int status = 0;
        errno = posix_spawn(&child, argv[1], &actions, NULL, argv + 1, environ);
        if (errno != 0) {
            fail(argv[1]);
        }
        if (waitpid(child, &status, 0) != child) {
            fail("waitpid");
        }
        errno = 0;
        if (status != 0) {
            fail("a program ended with another status than 0");
        }
        if (seconds_now() - start > seconds) {
            fail("the time limit has passed");
        }
    }
    printf("{\"messages\": %ld, \"connections\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", messages, messages,
           seconds_now() - start, cpu_of_children() - cpu_before);
    return 0;
}

static double cpu_of_children(void) {
    struct rusage used;
    if (getrusage(RUSAGE_CHILDREN, &used) != 0) {
        fail("getrusage");
    }
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}
