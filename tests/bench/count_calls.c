/* Counts the system calls of a program and of all its threads and children, by ptrace.
 *
 *   count_calls FILE PROGRAM [its options]
 *
 * Runs PROGRAM, hands SIGTERM on to it, writes the number of its system calls to FILE, and ends as it does. */
#include "limit.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    TRACED = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL
};

static pid_t program;

static void hand_on(int number);
static int follow(pid_t first, long *stops);

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "%s: a file and a program\n", argv[0]);
        return 2;
    }
    pid_t child = fork();
    if (child < 0) {
        fail("fork");
    }
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            fail("PTRACE_TRACEME");
        }
        execv(argv[2], argv + 2);
        fail(argv[2]);
    }
    program = child;
    struct sigaction ending = {.sa_handler = hand_on, .sa_flags = SA_RESTART};
    if (sigaction(SIGTERM, &ending, NULL) != 0) {
        fail("sigaction");
    }
    long stops = 0;
    int status = follow(child, &stops);
    FILE *file = fopen(argv[1], "w");
    /* Each call stops where it begins and where it ends. */
    if (file == NULL || fprintf(file, "%ld\n", stops / 2) < 0 || fclose(file) != 0) {
        fail(argv[1]);
    }
    return status;
}

static void hand_on(int number) { kill(program, number); }

/* Lets the program run to its end, and counts its stops. Gives its status. */
static int follow(pid_t first, long *stops) {
    int status = 0;
    /* The first stop is that of execv. */
    if (waitpid(first, &status, 0) != first || ptrace(PTRACE_SETOPTIONS, first, NULL, (void *)(long)TRACED) != 0 ||
        ptrace(PTRACE_SYSCALL, first, NULL, NULL) != 0) {
        fail("ptrace");
    }
    for (;;) {
        pid_t stopped = waitpid(-1, &status, __WALL);
        if (stopped < 0) {
            fail("waitpid");
        }
        if (!WIFSTOPPED(status)) {
            if (stopped == first) {
                return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
            }
            continue;
        }
        long signal = WSTOPSIG(status);
        if (signal == (SIGTRAP | 0x80)) {
            ++*stops;
            signal = 0;
        } else if (signal == SIGTRAP || signal == SIGSTOP) {
            /* A new thread, or one that begins: no signal of the program's own. */
            signal = 0;
        }
        /* A thread may be gone already. */
        (void)ptrace(PTRACE_SYSCALL, stopped, NULL, (void *)signal);
    }
}
