/* Follows a program and all its threads by ptrace, and writes down what it does with files below a folder and what it sends.
 *
 *   trace LOG FOLDER FAULT PROGRAM [its options]
 *
 * LOG gets a line for each call: its name, what it returned, the thread that made it, and the path or the octets that it was about.
 * Of one that sends or has received, the descriptor stands where others have what they returned. A call that sends is written down
 * before it begins, any other when it has ended: so their order in the log is the order that is promised.
 * FAULT is `none`, or `call:part:errno`: the first call of that name on a path below FOLDER with that part in it is not made, and
 * fails with that number; `.` alone is FOLDER itself. There may be several, with commas between them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    OPTIONS = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
        PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL,
    THREADS = 1024,
    FAULTS = 4,
    SHOWN = 64
};

/* What a thread is doing. */
struct thread {
    pid_t id;
    const char *call; /* NULL: nothing that matters. */
    char path[2 * PATH_MAX];
    struct fault *fault; /* NULL: the call is made. */
    int descriptor;      /* Of a call that receives. */
    unsigned long buffer;
};

struct fault {
    char call[32], part[64];
    int number; /* 0 once it has been. */
};

static struct thread threads[THREADS];
static FILE *log_file;
static const char *folder;
static struct fault faults[FAULTS];

static void die(const char *what) {
    perror(what);
    exit(2);
}

static struct thread *thread_of(pid_t id) {
    for (int i = 0; i < THREADS; i++) {
        if (threads[i].id == id || threads[i].id == 0) {
            threads[i].id = id;
            return &threads[i];
        }
    }
    fprintf(stderr, "too many threads\n");
    exit(2);
}

static ssize_t peek(pid_t id, unsigned long from, void *to, size_t octets) {
    struct iovec local = {to, octets}, remote = {(void *)from, octets};
    return process_vm_readv(id, &local, 1, &remote, 1, 0);
}

static void text_at(pid_t id, unsigned long from, char *to, size_t most) {
    size_t length = 0;
    /* Octet by octet: the page behind the text may be nobody's. */
    while (length + 1 < most && peek(id, from + length, to + length, 1) == 1 && to[length] != '\0') {
        length++;
    }
    to[length] = '\0';
}

static void path_of(pid_t id, int descriptor, char *to, size_t most) {
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)id, descriptor);
    ssize_t length = readlink(link, to, most - 1);
    to[length < 0 ? 0 : length] = '\0';
}

/* The first octets that stand there, with what is not printable as dots. */
static void shown(pid_t id, unsigned long from, size_t octets, char *to) {
    ssize_t length = peek(id, from, to, octets < SHOWN ? octets : SHOWN);
    to[length < 0 ? 0 : length] = '\0';
    for (char *c = to; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            *c = '.';
        }
    }
}

/* The first octets that a call sends. */
static void sent_by(pid_t id, const struct __ptrace_syscall_info *info, char *to) {
    unsigned long from = info->entry.args[1];
    size_t octets = info->entry.args[2];
    struct iovec first;
    if (info->entry.nr == SYS_writev || info->entry.nr == SYS_sendmsg) {
        unsigned long vector = from;
        if (info->entry.nr == SYS_sendmsg && peek(id, from + 2 * sizeof(long), &vector, sizeof vector) < 0) {
            vector = 0;
        }
        if (peek(id, vector, &first, sizeof first) != sizeof first) {
            first = (struct iovec){NULL, 0};
        }
        from = (unsigned long)first.iov_base;
        octets = first.iov_len;
    }
    shown(id, from, octets, to);
}

/* Whether a path below the folder is meant by a part of it. */
static bool is_meant(const char *path, const char *part) {
    return strcmp(part, ".") == 0 ? path[0] == '\0' : strstr(path, part) != NULL;
}

/* The fault that the call of a thread is to have, or NULL. */
static struct fault *fault_of(const struct thread *thread) {
    for (struct fault *fault = faults; thread->call != NULL && fault < faults + FAULTS; fault++) {
        if (fault->number != 0 && strcmp(thread->call, fault->call) == 0 &&
            is_meant(thread->path + strlen(folder), fault->part)) {
            return fault;
        }
    }
    return NULL;
}

/* A call begins: is it one that matters? */
static void begins(struct thread *thread, const struct __ptrace_syscall_info *info) {
    const __uint64_t *args = info->entry.args;
    char *path = thread->path;
    thread->call = NULL;
    thread->fault = NULL;
    switch (info->entry.nr) {
    case SYS_write:
    case SYS_writev:
    case SYS_sendto:
    case SYS_sendmsg:
        path_of(thread->id, (int)args[0], path, PATH_MAX);
        if (strncmp(path, "socket:", 7) == 0) {
            char octets[SHOWN + 1];
            sent_by(thread->id, info, octets);
            fprintf(log_file, "send %d %d %s\n", (int)args[0], (int)thread->id, octets);
            return;
        }
        thread->call = "write";
        break;
    case SYS_recvfrom:
        thread->call = "receive";
        thread->descriptor = (int)args[0];
        thread->buffer = args[1];
        return;
    case SYS_fsync:
    case SYS_fdatasync:
        path_of(thread->id, (int)args[0], path, PATH_MAX);
        thread->call = "fsync";
        break;
    case SYS_openat:
        text_at(thread->id, args[1], path, PATH_MAX);
        thread->call = (args[2] & O_CREAT) != 0 ? "create" : (args[2] & O_DIRECTORY) != 0 ? "list" : "open";
        break;
    case SYS_unlink:
        text_at(thread->id, args[0], path, PATH_MAX);
        thread->call = "unlink";
        break;
    case SYS_renameat2: {
        text_at(thread->id, args[1], path, PATH_MAX);
        size_t length = strlen(path);
        path[length] = ' ';
        text_at(thread->id, args[3], path + length + 1, PATH_MAX - 1);
        thread->call = "rename";
        break;
    }
    default:
        return;
    }
    if (strncmp(path, folder, strlen(folder)) != 0) {
        thread->call = NULL;
    }
    thread->fault = fault_of(thread);
    if (thread->fault != NULL) {
        struct user_regs_struct registers;
        if (ptrace(PTRACE_GETREGS, thread->id, NULL, &registers) != 0) {
            die("PTRACE_GETREGS");
        }
        /* No call has this number. */
        registers.orig_rax = (unsigned long long)-1;
        if (ptrace(PTRACE_SETREGS, thread->id, NULL, &registers) != 0) {
            die("PTRACE_SETREGS");
        }
    }
}

static void ends(struct thread *thread, const struct __ptrace_syscall_info *info) {
    long long returned = info->exit.rval;
    if (thread->call == NULL) {
        return;
    }
    if (strcmp(thread->call, "receive") == 0) {
        char octets[SHOWN + 1];
        if (returned > 0) {
            shown(thread->id, thread->buffer, (size_t)returned, octets);
            fprintf(log_file, "receive %d %d %s\n", thread->descriptor, (int)thread->id, octets);
        }
        thread->call = NULL;
        return;
    }
    if (thread->fault != NULL) {
        struct user_regs_struct registers;
        returned = -thread->fault->number;
        if (ptrace(PTRACE_GETREGS, thread->id, NULL, &registers) != 0) {
            die("PTRACE_GETREGS");
        }
        registers.rax = (unsigned long long)returned;
        if (ptrace(PTRACE_SETREGS, thread->id, NULL, &registers) != 0) {
            die("PTRACE_SETREGS");
        }
        thread->fault->number = 0;
    }
    fprintf(log_file, "%s %lld %d %s\n", thread->call, returned, (int)thread->id, thread->path);
    thread->call = NULL;
}

static void look_at(pid_t id) {
    struct __ptrace_syscall_info info;
    struct thread *thread = thread_of(id);
    if (ptrace(PTRACE_GET_SYSCALL_INFO, id, (void *)sizeof info, &info) < 0) {
        return;
    }
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        begins(thread, &info);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
        ends(thread, &info);
    }
    fflush(log_file);
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "%s: a log, a folder, a fault and a program\n", argv[0]);
        return 2;
    }
    folder = argv[2];
    const char *told = argv[3];
    for (int i = 0; i < FAULTS && told != NULL; i++) {
        if (sscanf(told, "%31[^:]:%63[^:]:%d", faults[i].call, faults[i].part, &faults[i].number) != 3) {
            faults[i].number = 0;
        }
        told = strchr(told, ',');
        told = told == NULL ? NULL : told + 1;
    }
    log_file = fopen(argv[1], "w");
    if (log_file == NULL) {
        die(argv[1]);
    }
    fcntl(fileno(log_file), F_SETFD, FD_CLOEXEC);
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            die("PTRACE_TRACEME");
        }
        execv(argv[4], argv + 4);
        die(argv[4]);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child ||
        ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)(long)OPTIONS) != 0 ||
        ptrace(PTRACE_SYSCALL, child, NULL, NULL) != 0) {
        die("ptrace");
    }
    for (;;) {
        pid_t stopped = waitpid(-1, &status, __WALL);
        if (stopped < 0) {
            die("waitpid");
        }
        if (!WIFSTOPPED(status)) {
            if (stopped == child) {
                return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
            }
            continue;
        }
        long signal = WSTOPSIG(status);
        if (signal == (SIGTRAP | 0x80)) {
            look_at(stopped);
            signal = 0;
        } else if (signal == SIGTRAP || signal == SIGSTOP) {
            /* A new thread, or one that begins: no signal of the program's own. */
            signal = 0;
        }
        /* A thread may be gone already. */
        (void)ptrace(PTRACE_SYSCALL, stopped, NULL, (void *)signal);
    }
}
