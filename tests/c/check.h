/* What the C tests assert with: CHECK, STATUS and MESSAGE_HAS count and print, and never end the program. */
#ifndef CHECK_H
#define CHECK_H

#include "qaio.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int failures, checks;
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;

static int count(int ok)
{
    pthread_mutex_lock(&counting);
    checks++;
    failures += !ok;
    pthread_mutex_unlock(&counting);
    return ok;
}

#define CHECK(condition)                                                                                               \
    (count(!!(condition)) || (fprintf(stderr, "%s:%d: %s: failed: %s\n", __FILE__, __LINE__, __func__, #condition), 0))

static int status_is(const char *file, int line, const char *call, qaio_status wanted, qaio_status got)
{
    const char *message = qaio_last_error();
    int ok = got == wanted && message && (message[0] == 0) == (got == QAIO_STATUS_OK);
    if (!count(ok))
        fprintf(stderr, "%s:%d: %s\n    is %s (%s), not %s\n", file, line, call, qaio_status_name(got), message,
                qaio_status_name(wanted));
    return ok;
}

/* The call has this status, and a message if and only if it failed. */
#define STATUS(wanted, call) status_is(__FILE__, __LINE__, #call, QAIO_STATUS_##wanted, (call))

static inline int message_has(const char *file, int line, const char *part)
{
    int ok = strstr(qaio_last_error(), part) != NULL;
    if (!count(ok))
        fprintf(stderr, "%s:%d: \"%s\" is not in the message: %s\n", file, line, part, qaio_last_error());
    return ok;
}

#define MESSAGE_HAS(part) message_has(__FILE__, __LINE__, part)

/* Text as pointer and length; a pointer that no call may follow or overwrite. */
#define TEXT(literal) literal, sizeof(literal) - 1
#define POISON(type) ((type *)(uintptr_t)0x5a5a5a5a)

static inline void timed(const char *name, void (*test)(void))
{
    struct timespec start, end;
    int before = failures;
    clock_gettime(CLOCK_MONOTONIC, &start);
    test();
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%-44s %s %6.2f s\n", name, failures == before ? "ok" : "FAILED",
           (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec));
    fflush(stdout);
}

#define RUN(test) timed(#test, test)

#endif
