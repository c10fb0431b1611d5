/*
 * The library in a process that is not kind to it: little stack, little memory, no files left, signals all the time, an
 * end in the middle. Each test runs in a child of its own. Linux.
 */
#define _GNU_SOURCE
#include "check.h"
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *self, *gguf_path;

#define CHILD(test) in_child(#test, test)

static int32_t go_on(void *user_data, const char *piece, size_t len)
{
    (void)user_data, (void)piece, (void)len;
    return 0;
}

/* Whether a call that may lack memory did what it may do. */
static int fine(qaio_status status)
{
    if (status == QAIO_STATUS_OK || status == QAIO_STATUS_OUT_OF_MEMORY)
        return 1;
    fprintf(stderr, "surroundings.c: %s: %s\n", qaio_status_name(status), qaio_last_error());
    return 0;
}

/* Some of everything. The number of calls that succeeded; -1 if one failed in a way that it may not. */
static int some_of_everything(void)
{
    qaio_model *model = NULL;
    qaio_task *task = NULL;
    qaio_session *session = NULL;
    qaio_sentiment *sentiment = NULL;
    qaio_reply *reply = NULL;
    qaio_classification *found = NULL;
    qaio_polarity polarity;
    qaio_status statuses[6];
    int at, succeeded = 0;
    const char *options = "{\"max_tokens\": 12}";
    statuses[0] = qaio_model_load(NULL, "{\"threads\": 2}", NULL, &model);
    if (statuses[0] != QAIO_STATUS_OK)
        return fine(statuses[0]) ? 0 : -1;
    statuses[1] = qaio_model_classify_sentiment(model, TEXT("今天好累啊"), &polarity, NULL);
    statuses[2] = qaio_model_turn(model, TEXT("What a day!"), options, NULL, go_on, go_on, NULL, &sentiment, &reply);
    statuses[3] = qaio_task_create(model, "intent", NULL, &task);
    statuses[4] = task ? qaio_task_classify(task, TEXT("请问几点开门？"), NULL, NULL, &found) : statuses[3];
    statuses[5] = qaio_session_create(model, NULL, &session);
    if (session)
        statuses[5] = qaio_session_send(session, TEXT("你好"), options, NULL, go_on, go_on, NULL, NULL, NULL);
    for (at = 0; at < 6; at++) {
        if (!fine(statuses[at]))
            succeeded = -100;
        succeeded += statuses[at] == QAIO_STATUS_OK;
    }
    qaio_classification_free(found);
    qaio_task_free(task);
    qaio_session_free(session);
    qaio_sentiment_free(sentiment);
    qaio_reply_free(reply);
    qaio_model_free(model);
    return succeeded < 0 ? -1 : succeeded;
}

/* ---- stack ---- */

static void *everything_in_thread(void *unused)
{
    (void)unused;
    CHECK(some_of_everything() == 6);
    return NULL;
}

static void a_stack_of_64_kib(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, 64 << 10) == 0);
    if (CHECK(pthread_create(&thread, &attributes, everything_in_thread, NULL) == 0))
        pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}

/* ---- memory ---- */

static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t more;

static void limited_memory(void)
{
    const size_t none = 0, enough = (size_t)512 << 20;
    struct rlimit limit;
    int succeeded;
    limit.rlim_cur = limit.rlim_max = address_space() + more;
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    succeeded = some_of_everything();
    CHECK(succeeded >= 0 && (more != none || succeeded == 0) && (more != enough || succeeded == 6));
}

static void any_amount_of_memory(void)
{
    for (more = 0; more < (size_t)256 << 20; more += 3 << 19)
        CHILD(limited_memory);
    more = (size_t)512 << 20;
    CHILD(limited_memory);
}

/* ---- files ---- */

static void no_file_left(void)
{
    struct rlimit limit;
    qaio_model *model = NULL;
    int file, last = -1;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = 64;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    while ((file = open("/dev/null", O_RDONLY)) >= 0)
        last = file;
    STATUS(IO, qaio_model_load(gguf_path, NULL, NULL, &model));
    MESSAGE_HAS(gguf_path);
    CHECK(some_of_everything() == 6);
    close(last);
    STATUS(OK, qaio_model_load(gguf_path, NULL, NULL, &model));
    qaio_model_free(model);
}

static void a_file_that_is_taken_away(void)
{
    char path[] = "/tmp/qaio-XXXXXX";
    static char data[1 << 16];
    qaio_model *model = NULL;
    qaio_polarity polarity, again;
    double score, same = 0;
    FILE *from = fopen(gguf_path, "rb");
    int file = mkstemp(path);
    size_t len;
    CHECK(from != NULL && file >= 0);
    while (from && (len = fread(data, 1, sizeof(data), from)) > 0)
        CHECK(write(file, data, len) == (ssize_t)len);
    if (from)
        fclose(from);
    STATUS(OK, qaio_model_load(path, "{\"mmap\": false}", NULL, &model));
    STATUS(OK, qaio_model_classify_sentiment(model, TEXT("What a day!"), &polarity, &score));
    CHECK(ftruncate(file, 0) == 0 && unlink(path) == 0);
    STATUS(OK, qaio_model_classify_sentiment(model, TEXT("What a day!"), &again, &same));
    CHECK(polarity == again && score == same);
    STATUS(MODEL_CONFLICT, qaio_model_load(NULL, "{\"mmap\": true}", NULL, &model));
    qaio_model_free(model);
    close(file);
}

/* ---- signals ---- */

static volatile sig_atomic_t alarms;

static void on_alarm(int number)
{
    (void)number;
    alarms++;
}

static void a_thousand_signals_a_second(void)
{
    struct sigaction action;
    struct itimerval every_ms;
    qaio_model *model = NULL;
    int round;
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_alarm; /* no SA_RESTART: system calls are interrupted */
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    every_ms.it_interval.tv_sec = every_ms.it_value.tv_sec = 0;
    every_ms.it_interval.tv_usec = every_ms.it_value.tv_usec = 1000;
    CHECK(setitimer(ITIMER_REAL, &every_ms, NULL) == 0);
    STATUS(OK, qaio_model_load(gguf_path, NULL, NULL, &model));
    qaio_model_free(model);
    for (round = 0; round < 10; round++)
        CHECK(some_of_everything() == 6);
    CHECK(alarms > 20);
}

/* ---- ends ---- */

static qaio_model *model_at_exit;

static void use_at_exit(void)
{
    qaio_polarity polarity;
    STATUS(OK, qaio_model_classify_sentiment(model_at_exit, TEXT("好"), &polarity, NULL));
    CHECK(some_of_everything() == 6);
    if (failures)
        _exit(3);
    qaio_model_free(model_at_exit);
}

static void calls_at_exit(void)
{
    STATUS(OK, qaio_model_load(NULL, NULL, NULL, &model_at_exit));
    CHECK(atexit(use_at_exit) == 0);
}

static void *without_end(void *unused)
{
    (void)unused;
    while (some_of_everything() >= 0)
        ;
    return NULL;
}

static void an_end_while_threads_work(void)
{
    pthread_t thread;
    int at;
    for (at = 0; at < 3; at++)
        CHECK(pthread_create(&thread, NULL, without_end, NULL) == 0);
    usleep(30000);
}

static void many_ends_while_threads_work(void)
{
    int round;
    for (round = 0; round < 25; round++)
        CHILD(an_end_while_threads_work);
}

static void exec_after_fork(void)
{
    int result = -1;
    pid_t child;
    CHECK(some_of_everything() == 6);
    child = fork();
    if (child == 0) {
        execl(self, self, gguf_path, "again", (char *)NULL);
        _exit(9);
    }
    CHECK(waitpid(child, &result, 0) == child && WIFEXITED(result) && WEXITSTATUS(result) == 0);
}

/* ---- isolation ---- */

static void leaves_the_process_as_it_was(void)
{
    static struct sigaction before[65], after[65];
    sigset_t mask_before, mask_after;
    char **variable;
    size_t length = 0, now = 0;
    char *copy;
    int number;
    for (variable = environ; *variable; variable++)
        length += strlen(*variable) + 1;
    copy = malloc(length + 1);
    if (!CHECK(copy != NULL))
        return;
    copy[0] = 0;
    for (variable = environ; *variable; variable++)
        strcat(strcat(copy, *variable), "\n");
    for (number = 1; number <= 64; number++)
        sigaction(number, NULL, &before[number]);
    pthread_sigmask(SIG_SETMASK, NULL, &mask_before);

    CHECK(some_of_everything() == 6);

    for (number = 1; number <= 64; number++) {
        sigaction(number, NULL, &after[number]);
        CHECK(before[number].sa_handler == after[number].sa_handler && before[number].sa_flags == after[number].sa_flags);
    }
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    for (number = 1; number <= 64; number++)
        CHECK(sigismember(&mask_before, number) == sigismember(&mask_after, number));
    for (variable = environ; *variable; variable++) {
        size_t len = strlen(*variable);
        CHECK(now + len < length && strncmp(copy + now, *variable, len) == 0);
        now += len + 1;
    }
    CHECK(now == length);
    free(copy);
}

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/* From here on the kernel ends the process at a socket, at a program started, and at a file opened for writing. */
static void forbid(void)
{
#define REFUSE(call)                                                                                                   \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)
    static struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        REFUSE(__NR_socket),
        REFUSE(__NR_connect),
        REFUSE(__NR_execve),
        REFUSE(__NR_unlinkat),
        REFUSE(__NR_mkdirat),
#ifdef __NR_open
        REFUSE(__NR_open),
        REFUSE(__NR_unlink),
#endif
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_openat, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_RDWR | O_CREAT, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(rules) / sizeof(rules[0]), rules};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void no_socket_and_no_file_written(void)
{
    qaio_model *model = NULL;
    forbid();
    STATUS(OK, qaio_model_load(gguf_path, NULL, NULL, &model));
    qaio_model_free(model);
    CHECK(some_of_everything() == 6);
}

/* The test of the test: without this, a filter that allows everything would pass. */
static void forbidden_things_are_noticed(void)
{
    int result = -1;
    pid_t child = fork();
    if (child == 0) {
        forbid();
        _exit(open("/dev/null", O_WRONLY) >= 0 ? 0 : 1);
    }
    CHECK(waitpid(child, &result, 0) == child && WIFSIGNALED(result) && WTERMSIG(result) == SIGSYS);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: surroundings <a GGUF file>\n");
        return 2;
    }
    self = argv[0];
    gguf_path = argv[1];
    if (argc > 2)
        return some_of_everything() == 6 ? 0 : 1;
#define RUN_IN_CHILD(test)                                                                                             \
    do {                                                                                                               \
        int before = failures;                                                                                         \
        CHILD(test);                                                                                                   \
        printf("%-44s %s\n", #test, failures == before ? "ok" : "FAILED");                                             \
    } while (0)
    RUN_IN_CHILD(a_stack_of_64_kib);
    RUN_IN_CHILD(no_file_left);
    RUN_IN_CHILD(a_file_that_is_taken_away);
    RUN_IN_CHILD(a_thousand_signals_a_second);
    RUN_IN_CHILD(calls_at_exit);
    RUN_IN_CHILD(exec_after_fork);
    RUN_IN_CHILD(leaves_the_process_as_it_was);
    RUN_IN_CHILD(forbidden_things_are_noticed);
    RUN_IN_CHILD(no_socket_and_no_file_written);
    RUN(many_ends_while_threads_work);
    RUN(any_amount_of_memory);
    printf("%d checks, %d failures\n", checks, failures);
    return failures ? 1 : 0;
}
