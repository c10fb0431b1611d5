/*
 * Many threads, all kinds of calls, for some time: soak <threads> <seconds>.
 *
 * Each thread loads, classifies, replies, cancels and frees in its own order. Equal inputs must give equal results whoever
 * asks, and once it has warmed up the process may not grow: memory by at most 2 % (with up to two threads), files and threads
 * not at all. Linux.
 */
#define _GNU_SOURCE
#include "check.h"

#include <dirent.h>
#include <malloc.h>
#include <unistd.h>

static const char *const TEXTS[] = {
    "今天好累啊", "终于把bug修完了，感觉整个人都轻松了！", "What a day!", "They cancelled it again without a word.",
    "请问几点开门？", "👩‍👩‍👧 مرحبا \t\n", "ok", "项目延期了，客户又要投诉，压力好大。",
};
enum { TEXT_COUNT = sizeof(TEXTS) / sizeof(TEXTS[0]) };

static qaio_model *model;
static qaio_task *task;
static volatile int pause_now, stop;
static pthread_barrier_t gate; /* for all threads and main */
static unsigned long done[4]; /* labels, replies, cancelled, rows of batches */

/* What the first to ask got: score, reply, probabilities. 0: nobody asked yet. */
static unsigned long long known[3][TEXT_COUNT];
static pthread_mutex_t knowing = PTHREAD_MUTEX_INITIALIZER;

static unsigned long long hash(const void *data, size_t len)
{
    const unsigned char *bytes = data;
    unsigned long long value = 14695981039346656037ULL; /* FNV-1a */
    while (len--)
        value = (value ^ *bytes++) * 1099511628211ULL;
    return value | 1;
}

static void same(int what, int text, unsigned long long value)
{
    int equal;
    pthread_mutex_lock(&knowing);
    if (known[what][text] == 0)
        known[what][text] = value;
    equal = known[what][text] == value;
    pthread_mutex_unlock(&knowing);
    if (!equal)
        fprintf(stderr, "soak.c: another result for: %s\n", TEXTS[text]);
    CHECK(equal);
}

static void add(int what, unsigned long count_of_them)
{
    pthread_mutex_lock(&knowing);
    done[what] += count_of_them;
    pthread_mutex_unlock(&knowing);
}

static void label(int text)
{
    qaio_polarity polarity;
    double score = 0;
    if (STATUS(OK, qaio_model_classify_sentiment(model, TEXTS[text], strlen(TEXTS[text]), &polarity, &score)))
        same(0, text, hash(&score, sizeof(score)));
    add(0, 1);
}

static int32_t call_back_in(void *user_data, const char *piece, size_t len)
{
    qaio_polarity polarity;
    (void)piece, (void)len;
    if ((*(unsigned *)user_data)++ % 5 == 0)
        STATUS(OK, qaio_model_classify_sentiment(model, TEXTS[0], strlen(TEXTS[0]), &polarity, NULL));
    return 0;
}

static void reply(int text, unsigned *random)
{
    qaio_sentiment *sentiment = NULL;
    qaio_reply *said = NULL;
    size_t len = 0;
    const char *words;
    if (STATUS(OK, qaio_model_turn(model, TEXTS[text], strlen(TEXTS[text]), "{\"max_tokens\": 24, \"temperature\": 0}", NULL,
                                   call_back_in, call_back_in, random, &sentiment, &said))) {
        words = qaio_reply_text(said, &len);
        same(1, text, hash(words, len));
    }
    qaio_sentiment_free(sentiment);
    qaio_reply_free(said);
    add(1, 1);
}

static void *set(void *token)
{
    usleep(500);
    qaio_cancel_set(token);
    return NULL;
}

static void cancelled(int text)
{
    qaio_cancel *token = NULL;
    qaio_session *session = NULL;
    qaio_status status;
    pthread_t thread;
    STATUS(OK, qaio_cancel_create(&token));
    STATUS(OK, qaio_session_create(model, NULL, &session));
    if (CHECK(pthread_create(&thread, NULL, set, token) == 0)) {
        status = qaio_session_send(session, TEXTS[text], strlen(TEXTS[text]), NULL, token, NULL, NULL, NULL, NULL, NULL);
        CHECK(status == QAIO_STATUS_OK || status == QAIO_STATUS_CANCELLED);
        pthread_join(thread, NULL);
    }
    qaio_session_free(session);
    qaio_cancel_free(token);
    add(2, 1);
}

static void batch(void)
{
    qaio_batch *rows = NULL;
    const double *probabilities;
    size_t labels = 0, lengths[TEXT_COUNT];
    int text;
    for (text = 0; text < TEXT_COUNT; text++)
        lengths[text] = strlen(TEXTS[text]);
    if (STATUS(OK, qaio_task_classify_batch(task, TEXTS, lengths, TEXT_COUNT, NULL, NULL, NULL, NULL, &rows))) {
        probabilities = qaio_batch_probabilities(rows, &labels);
        for (text = 0; text < TEXT_COUNT; text++)
            same(2, text, hash(probabilities + (size_t)text * labels, labels * sizeof(double)));
    }
    qaio_batch_free(rows);
    add(3, TEXT_COUNT);
}

static void *work(void *seed)
{
    unsigned random = (unsigned)(size_t)seed;
    qaio_model *again;
    pthread_barrier_wait(&gate);
    for (;;) {
        int text;
        if (pause_now) {
            pthread_barrier_wait(&gate); /* all wait now */
            pthread_barrier_wait(&gate); /* and go on, or end */
            if (stop)
                return NULL;
        }
        random = random * 1664525u + 1013904223u;
        text = (int)(random >> 16) % TEXT_COUNT;
        switch ((random >> 8) % 16) {
        case 0:
            cancelled(text);
            break;
        case 1:
            batch();
            break;
        case 2:
            again = NULL;
            STATUS(OK, qaio_model_load(NULL, NULL, NULL, &again));
            qaio_model_free(again);
            break;
        case 3:
        case 4:
            reply(text, &random);
            break;
        default:
            label(text);
        }
    }
}

static long status_of(const char *field)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, field, strlen(field)) == 0)
            value = atol(line + strlen(field) + 1);
    if (file)
        fclose(file);
    return value;
}

static int files(void)
{
    int found = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory && readdir(directory))
        found++;
    if (directory)
        closedir(directory);
    return found;
}

/* Lets all threads work for so long. Then they wait, and what they have freed is given back. */
static void run(unsigned milliseconds)
{
    pthread_barrier_wait(&gate);
    usleep(milliseconds * 1000);
    pause_now = 1;
    pthread_barrier_wait(&gate);
    pause_now = 0;
    malloc_trim(0);
}

int main(int argc, char **argv)
{
    pthread_t thread[256];
    size_t at, threads = argc > 2 ? (size_t)atol(argv[1]) : 0;
    unsigned seconds = argc > 2 ? (unsigned)atol(argv[2]) : 0, part;
    long memory, now;
    int open_files;
    if (threads < 1 || threads > 256 || seconds < 1) {
        fprintf(stderr, "usage: soak <threads, 1 to 256> <seconds>\n");
        return 2;
    }
    STATUS(OK, qaio_model_load(NULL, NULL, NULL, &model));
    STATUS(OK, qaio_task_create(model, "intent", NULL, &task));
    CHECK(pthread_barrier_init(&gate, NULL, (unsigned)threads + 1) == 0);
    for (at = 0; at < threads; at++)
        CHECK(pthread_create(&thread[at], NULL, work, (void *)(at * 7919)) == 0);
    run(seconds * 250 < 30000 ? seconds * 250 + 1000 : 30000);
    memory = status_of("VmRSS:");
    open_files = files();
    for (part = 1; part <= 4; part++) {
        run(seconds * 250);
        now = status_of("VmRSS:");
        printf("%3u %%: %lu labels, %lu replies, %lu cancelled, %lu rows; %ld KiB, %ld threads, %d files\n", part * 25, done[0], done[1],
               done[2], done[3], now, status_of("Threads:"), files());
        fflush(stdout);
    }
    CHECK(files() == open_files);
    /* 256 KiB for what the allocator itself may move about. With many threads it is more: it keeps an arena for each, and the
     * tokenizer's regular expression a cache; both are bounded, and full sooner or later. */
    if (!CHECK(now <= memory + (threads > 2 ? memory / 4 : memory / 50 + 256)))
        fprintf(stderr, "soak.c: %ld KiB at first, %ld KiB at last\n", memory, now);
    stop = 1;
    pthread_barrier_wait(&gate);
    for (at = 0; at < threads; at++)
        pthread_join(thread[at], NULL);
    qaio_task_free(task);
    qaio_model_free(model);
    /* Ours and, for a moment, the last that ends. */
    usleep(100000);
    CHECK(status_of("Threads:") == 1);
    printf("%d checks, %d failures\n", checks, failures);
    return failures ? 1 : 0;
}
