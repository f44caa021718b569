/* libcurl as a client under the contract of bench_programs.py: an easy handle for each connection, in a thread of its own.
 *
 *   libcurl_send --port P --messages N --size BYTES --seconds S [--connections C] [--fresh] [--tls FILE]
 *
 * With --fresh there is a connection for each message; with --tls FILE STARTTLS, and the certificate there is trusted. */
#include "../limit.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>

enum { MOST = 256 };

/* What all threads do. */
struct work {
    char url[64];
    const char *root;
    char *message;
    size_t size;
    double seconds;
    bool fresh;
};

/* What one does. */
struct worker {
    const struct work *work;
    long messages;
    size_t sent;
    pthread_t thread;
    CURLcode failed;
};

static char *message_of(size_t size);
static void *send_all(void *worker);

int main(int argc, char **argv) {
    static struct work work;
    static struct worker workers[MOST];
    long port = 0, messages = 10000, size = 1024, connections = 1, seconds = 60, fresh = 0;
    for (int at = 1; at + 1 < argc; at++) {
        if (strcmp(argv[at], "--tls") == 0) {
            work.root = argv[at + 1];
            memmove(argv + at, argv + at + 2, (size_t)(argc - at - 2) * sizeof *argv);
            argc -= 2;
        }
    }
    const struct option options[] = {
        {"--port", &port, 1, 65535}, {"--messages", &messages, 1, 100000000},  {"--size", &size, 2, 1L << 30},
        {"--fresh", &fresh, 0, 0},   {"--connections", &connections, 1, MOST}, {"--seconds", &seconds, 1, 3600},
    };
    read_options(argc, argv, options, sizeof options / sizeof options[0]);
    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK) {
        fail("curl_global_init");
    }
    /* The name of the client stands behind the host; without it libcurl would ask for the machine's. */
    snprintf(work.url, sizeof work.url, "smtp://127.0.0.1:%ld/client.example", port);
    work.message = message_of((size_t)size);
    work.size = (size_t)size;
    work.seconds = (double)seconds;
    work.fresh = fresh != 0;

    double start = seconds_now();
    double cpu_before = cpu_seconds();
    for (long i = 0; i < connections; i++) {
        workers[i].work = &work;
        workers[i].messages = messages / connections + (i < messages % connections);
        if (pthread_create(&workers[i].thread, NULL, send_all, &workers[i]) != 0) {
            fail("pthread_create");
        }
    }
    for (long i = 0; i < connections; i++) {
        pthread_join(workers[i].thread, NULL);
        if (workers[i].failed != CURLE_OK) {
            fprintf(stderr, "%s\n", curl_easy_strerror(workers[i].failed));
            return 1;
        }
    }
    printf("{\"messages\": %ld, \"connections\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f}\n", messages,
           fresh ? messages : connections, seconds_now() - start, cpu_seconds() - cpu_before);
    return 0;
}

/* A header, and lines of 72 letters. */
static char *message_of(size_t size) {
    static const char header[] = "Subject: libcurl\r\n\r\n";
    char *message = malloc(size + sizeof header);
    if (message == NULL) {
        fail("out of memory");
    }
    memcpy(message, header, sizeof header);
    for (size_t at = sizeof header - 1; at < size; at++) {
        size_t column = (at - (sizeof header - 1)) % 74;
        message[at] = column == 72 ? '\r' : column == 73 ? '\n' : 'x';
    }
    memcpy(message + size - 2, "\r\n", 2);
    if (size > 2 && message[size - 3] == '\r') {
        message[size - 3] = 'x';
    }
    return message;
}

static size_t give(char *to, size_t size, size_t count, void *of) {
    struct worker *worker = of;
    size_t left = worker->work->size - worker->sent;
    size_t given = left < size * count ? left : size * count;
    memcpy(to, worker->work->message + worker->sent, given);
    worker->sent += given;
    return given;
}

static void *send_all(void *of) {
    struct worker *worker = of;
    const struct work *work = worker->work;
    CURL *curl = curl_easy_init();
    struct curl_slist *recipients = curl_slist_append(NULL, "<recipient@server.example>");
    double deadline = seconds_now() + work->seconds;
    curl_easy_setopt(curl, CURLOPT_URL, work->url);
    curl_easy_setopt(curl, CURLOPT_MAIL_FROM, "<sender@client.example>");
    curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(curl, CURLOPT_READDATA, worker);
    curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, work->fresh ? 1L : 0L);
    if (work->root != NULL) {
        curl_easy_setopt(curl, CURLOPT_USE_SSL, (long)CURLUSESSL_ALL);
        curl_easy_setopt(curl, CURLOPT_CAINFO, work->root);
    }
    for (long done = 0; done < worker->messages && worker->failed == CURLE_OK; done++) {
        worker->sent = 0;
        worker->failed = seconds_now() < deadline ? curl_easy_perform(curl) : CURLE_OPERATION_TIMEDOUT;
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(recipients);
    return NULL;
}
