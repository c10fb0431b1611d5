/*
 * The border of qaio.h, crossed by a C program in every way that a C program may get wrong.
 *
 *     border [model.gguf]      with a GGUF file also loading by path and from memory
 *
 * Prints what failed; exits with 0 if nothing did. Says nothing about what the model thinks, so any model will do.
 */
#define _POSIX_C_SOURCE 200809L

#include "check.h"
#include "child.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- what the tests share ---- */

static const char HAPPY[] = "终于把bug修完了，感觉整个人都轻松了！";
static const char SAD[] = "项目延期了，客户又要投诉，压力好大。";
static const char GREEDY[] = "{\"temperature\": 0, \"max_tokens\": 24}";
static const char SHORT[] = "{\"temperature\": 0, \"max_tokens\": 2}";

static const char *gguf_path;
static qaio_model *model;

static qaio_model *load(void)
{
    qaio_model *handle = NULL;
    if (!STATUS(OK, qaio_model_load(NULL, NULL, NULL, &handle)))
        exit(1);
    return handle;
}

static qaio_cancel *new_cancel(void)
{
    qaio_cancel *handle = NULL;
    STATUS(OK, qaio_cancel_create(&handle));
    return handle;
}

static qaio_session *new_session(void)
{
    qaio_session *handle = NULL;
    STATUS(OK, qaio_session_create(model, NULL, &handle));
    return handle;
}

static qaio_sentiment *new_sentiment(void)
{
    qaio_sentiment *handle = NULL;
    STATUS(OK, qaio_model_sentiment(model, TEXT(HAPPY), NULL, NULL, &handle));
    return handle;
}

static qaio_reply *new_reply(const char *options)
{
    qaio_reply *handle = NULL;
    STATUS(OK, qaio_model_reply(model, TEXT(HAPPY), NULL, options, NULL, NULL, NULL, &handle));
    return handle;
}

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Whether these bytes are UTF-8 with a NUL after them. */
static int is_utf8(const char *text, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t at = 0;
    if (!text || bytes[len] != 0)
        return 0;
    while (at < len) {
        unsigned char first = bytes[at];
        size_t more = first < 0x80 ? 0 : first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2
                    : first >= 0xf0 && first < 0xf5 ? 3 : 9;
        size_t i;
        if (more == 9 || at + more >= len + (more == 0))
            return 0;
        for (i = 1; i <= more; i++)
            if ((bytes[at + i] & 0xc0) != 0x80)
                return 0;
        at += more + 1;
    }
    return 1;
}

/* What a callback does and sees. */
struct script {
    /* what to do */
    int stop_at_sentiment;
    int stop_at_piece; /* counts from 1; 0: never */
    int (*at_piece)(struct script *);
    int (*at_sentiment)(struct script *);
    void *data;
    /* what was seen */
    int sentiments, pieces, bad;
    char json[1024];
    char text[8192];
    size_t text_len;
    pthread_t thread;
};

static int32_t on_sentiment(void *user_data, const char *json, size_t len)
{
    struct script *script = user_data;
    script->sentiments++;
    script->bad += script->pieces != 0 || !is_utf8(json, len) || len >= sizeof(script->json) ||
                   !pthread_equal(pthread_self(), script->thread);
    if (script->bad)
        return 1;
    memcpy(script->json, json, len + 1);
    if (script->at_sentiment)
        script->at_sentiment(script);
    return script->stop_at_sentiment ? -1 : 0;
}

static int32_t on_piece(void *user_data, const char *piece, size_t len)
{
    struct script *script = user_data;
    script->pieces++;
    script->bad += len == 0 || !is_utf8(piece, len) || script->text_len + len >= sizeof(script->text) ||
                   !pthread_equal(pthread_self(), script->thread);
    if (script->bad)
        return 1;
    memcpy(script->text + script->text_len, piece, len + 1);
    script->text_len += len;
    if (script->at_piece)
        script->at_piece(script);
    return script->stop_at_piece && script->pieces >= script->stop_at_piece ? 7 : 0;
}

static void begin(struct script *script)
{
    memset(script, 0, sizeof(*script));
    script->thread = pthread_self();
}

/* A text to which the model has at least three pieces to say. */
static const char *talkative(void)
{
    static const char *found;
    static const char *texts[] = {HAPPY, SAD, "I finally fixed the bug and I feel so relieved!", "今天好累啊", "hello", "a",
                                  "你好", "The rain has stopped.", "1 2 3 4 5"};
    size_t i;
    for (i = 0; !found && i < sizeof(texts) / sizeof(*texts); i++) {
        struct script script;
        begin(&script);
        STATUS(OK, qaio_model_reply(model, texts[i], strlen(texts[i]), NULL, GREEDY, NULL, on_piece, &script, NULL));
        if (script.pieces >= 3)
            found = texts[i];
    }
    CHECK(found || !"the model says next to nothing to any text");
    return found ? found : HAPPY;
}

/* ---- before the first use of the library in this process ---- */

static void versions_and_names(void)
{
    static const char *names[] = {"OK", "INVALID_ARGUMENT", "INVALID_UTF8", "EMPTY_TEXT", "CONTEXT_OVERFLOW",
        "UNKNOWN_OPTION", "INVALID_OPTION", "NOT_FOUND", "IO", "MODEL_INCOMPLETE", "MODEL_CORRUPT", "MODEL_UNSUPPORTED",
        "MODEL_NOT_FINITE", "MODEL_CONFLICT", "CANCELLED", "DEADLINE_EXCEEDED", "BUSY", "FORKED", "OUT_OF_MEMORY",
        "INTERNAL", "INVALID_TASK"};
    int32_t others[] = {-1, 21, 22, 1000, INT32_MIN, INT32_MAX};
    size_t i;
    CHECK(qaio_abi_version() == QAIO_ABI_VERSION);
    CHECK(strncmp(qaio_version(), QAIO_VERSION, strlen(QAIO_VERSION)) == 0);
    CHECK(strchr("+", qaio_version()[strlen(QAIO_VERSION)])); /* or its NUL */
    for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
        char name[64];
        snprintf(name, sizeof(name), "QAIO_STATUS_%s", names[i]);
        CHECK(strcmp(qaio_status_name((int32_t)i), name) == 0);
    }
    for (i = 0; i < sizeof(others) / sizeof(*others); i++)
        CHECK(strcmp(qaio_status_name(others[i]), "QAIO_STATUS_UNKNOWN") == 0);
    CHECK(qaio_last_error() != NULL && qaio_last_error()[0] == 0);
    CHECK(sizeof(qaio_status) == 4 && sizeof(qaio_polarity) == 4 && sizeof(qaio_stop_reason) == 4);
}

static void a_child_made_before_the_first_use_may_load(void)
{
    qaio_polarity polarity;
    model = load();
    STATUS(OK, qaio_model_classify_sentiment(model, TEXT(HAPPY), &polarity, NULL));
    qaio_model_free(model);
}

static int load_from_log(struct script *script)
{
    qaio_model *again = NULL;
    qaio_status status = qaio_model_load(NULL, "{\"deadline_ms\": 20000}", NULL, &again);
    script->bad += status != QAIO_STATUS_OK && status != QAIO_STATUS_BUSY;
    qaio_model_free(again);
    return 0;
}

static void the_log_may_load(void)
{
    struct script script;
    begin(&script);
    script.at_piece = load_from_log;
    STATUS(OK, qaio_log_set(QAIO_LOG_LEVEL_DEBUG, on_piece, &script));
    model = load();
    STATUS(OK, qaio_log_set(QAIO_LOG_LEVEL_OFF, NULL, NULL));
    CHECK(script.bad == 0);
    qaio_model_free(model);
}

static int free_model(struct script *script)
{
    (void)script;
    qaio_model_free(model);
    model = NULL;
    return 0;
}

static void a_running_call_keeps_the_model(void)
{
    struct script script, same;
    qaio_sentiment *sentiment = NULL;
    qaio_reply *reply = NULL;
    model = load();
    begin(&same);
    STATUS(OK, qaio_model_turn(model, TEXT(SAD), GREEDY, NULL, on_sentiment, on_piece, &same, NULL, NULL));
    begin(&script);
    script.at_sentiment = free_model;
    STATUS(OK, qaio_model_turn(model, TEXT(SAD), GREEDY, NULL, on_sentiment, on_piece, &script, &sentiment, &reply));
    CHECK(model == NULL && script.text_len == same.text_len && strcmp(script.text, same.text) == 0);
    qaio_sentiment_free(sentiment);
    qaio_reply_free(reply);
}

static void the_same_options_are_no_conflict(void)
{
    const char *options[] = {"{}", "{\"precision\": \"auto\"}", "{\"precision\": \"f32\"}", "{\"precision\": \"q8\"}",
                             "{\"threads\": 1}", "{\"context\": 64}", "{\"context\": 1048576}"};
    size_t i;
    for (i = 0; i < sizeof(options) / sizeof(*options); i++) {
        qaio_model *first = NULL, *second = NULL;
        if (i == 5) /* so little may not hold the model's own instructions; then there is nothing to compare */
            continue;
        STATUS(OK, qaio_model_load(NULL, options[i], NULL, &first));
        if (!STATUS(OK, qaio_model_load(NULL, options[i], NULL, &second)))
            fprintf(stderr, "    with %s\n", options[i]);
        qaio_model_free(first);
        qaio_model_free(second);
    }
}

/* ---- log (nothing is loaded yet) ---- */

static void log_callback(void)
{
    struct script script;
    int before;
    begin(&script);
    STATUS(INVALID_ARGUMENT, qaio_log_set(5, on_piece, &script));
    MESSAGE_HAS("5");
    STATUS(INVALID_ARGUMENT, qaio_log_set(-1, on_piece, &script));
    STATUS(OK, qaio_log_set(QAIO_LOG_LEVEL_INFO, on_piece, &script));
    qaio_model_free(load());
    CHECK(script.pieces > 0 && !script.bad);
    CHECK(strstr(script.text, "info: loaded ") != NULL);
    STATUS(OK, qaio_log_set(QAIO_LOG_LEVEL_ERROR, on_piece, &script));
    before = script.pieces;
    qaio_model_free(load());
    CHECK(script.pieces == before);
    STATUS(OK, qaio_log_set(QAIO_LOG_LEVEL_DEBUG, NULL, &script));
    qaio_model_free(load());
    STATUS(OK, qaio_log_set(QAIO_LOG_LEVEL_OFF, on_piece, &script));
    qaio_model_free(load());
    CHECK(script.pieces == before);
    STATUS(OK, qaio_log_set(QAIO_LOG_LEVEL_OFF, NULL, NULL));
}

/* ---- loading ---- */

static void load_refuses(void)
{
    qaio_model *out = POISON(qaio_model);
    qaio_cancel *cancel = new_cancel();
    const uint8_t *bytes = (const uint8_t *)"not a model at all..";
    static const double zeros[64]; /* readable, and no handle */
    char *deep = malloc(200001);

    STATUS(INVALID_ARGUMENT, qaio_model_load(NULL, NULL, NULL, NULL));
    MESSAGE_HAS("out");
    STATUS(INVALID_ARGUMENT, qaio_model_load_memory(bytes, 20, NULL, NULL, NULL));
    STATUS(NOT_FOUND, qaio_model_load("no/such/model", NULL, NULL, &out));
    MESSAGE_HAS("no/such/model");
    STATUS(NOT_FOUND, qaio_model_load("", NULL, NULL, &out));
    STATUS(INVALID_UTF8, qaio_model_load("mod\xff", NULL, NULL, &out));
    MESSAGE_HAS("offset 3");
    STATUS(INVALID_UTF8, qaio_model_load(NULL, "{\"thr\xff", NULL, &out));
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "{", NULL, &out));
    MESSAGE_HAS("JSON");
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "[]", NULL, &out));
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "7", NULL, &out));
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "{} {}", NULL, &out));
    STATUS(UNKNOWN_OPTION, qaio_model_load(NULL, "{\"thread\": 1}", NULL, &out));
    MESSAGE_HAS("\"threads\"");
    STATUS(UNKNOWN_OPTION, qaio_model_load(NULL, "{\"Precision\": \"q8\"}", NULL, &out));
    MESSAGE_HAS("\"precision\"");
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "{\"precision\": \"q9\"}", NULL, &out));
    MESSAGE_HAS("q9");
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "{\"threads\": 0}", NULL, &out));
    MESSAGE_HAS("threads");
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "{\"threads\": 1025}", NULL, &out));
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "{\"threads\": -1}", NULL, &out));
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "{\"threads\": 1.5}", NULL, &out));
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "{\"context\": 63}", NULL, &out));
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "{\"context\": 1048577}", NULL, &out));
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "{\"deadline_ms\": -1}", NULL, &out));
    STATUS(INVALID_OPTION, qaio_model_load(NULL, "{\"deadline_ms\": \"soon\"}", NULL, &out));
    STATUS(DEADLINE_EXCEEDED, qaio_model_load(NULL, "{\"deadline_ms\": 0}", NULL, &out));
    if (CHECK(deep != NULL)) {
        memset(deep, '[', 200000);
        deep[200000] = 0;
        STATUS(INVALID_OPTION, qaio_model_load(NULL, deep, NULL, &out));
        free(deep);
    }
    STATUS(OK, qaio_cancel_set(cancel));
    STATUS(CANCELLED, qaio_model_load(NULL, NULL, cancel, &out));
    STATUS(INVALID_ARGUMENT, qaio_model_load(NULL, NULL, (const qaio_cancel *)(const void *)zeros, &out));

    /* from memory, while nothing is loaded */
    STATUS(MODEL_CORRUPT, qaio_model_load_memory(bytes, 20, NULL, NULL, &out));
    STATUS(MODEL_CORRUPT, qaio_model_load_memory(bytes, 4, NULL, NULL, &out));
    STATUS(MODEL_CORRUPT, qaio_model_load_memory(bytes, 0, NULL, NULL, &out));
    STATUS(MODEL_CORRUPT, qaio_model_load_memory(NULL, 0, NULL, NULL, &out));
    STATUS(INVALID_ARGUMENT, qaio_model_load_memory(NULL, 5, NULL, NULL, &out));
    MESSAGE_HAS("5");
    STATUS(INVALID_ARGUMENT, qaio_model_load_memory(bytes, (size_t)-1, NULL, NULL, &out));
    STATUS(UNKNOWN_OPTION, qaio_model_load_memory(bytes, 20, "{\"contxt\": 64}", NULL, &out));
    MESSAGE_HAS("\"context\"");
    STATUS(CANCELLED, qaio_model_load_memory(bytes, 20, NULL, cancel, &out));
    STATUS(MODEL_INCOMPLETE, qaio_model_load("/", NULL, NULL, &out));
    STATUS(IO, qaio_model_load("/dev/null", NULL, NULL, &out));
    CHECK(out == POISON(qaio_model));
    qaio_cancel_free(cancel);
}

static void load_from_a_file(void)
{
    FILE *file;
    uint8_t *bytes = malloc(64 << 20);
    size_t len;
    qaio_model *by_path = NULL, *from_memory = NULL, *cut = POISON(qaio_model);
    qaio_polarity one, two;
    double score_one, score_two;
    if (!gguf_path) {
        free(bytes);
        return;
    }
    file = fopen(gguf_path, "rb");
    if (!CHECK(file && bytes))
        exit(1);
    len = fread(bytes, 1, 64 << 20, file);
    fclose(file);

    STATUS(OK, qaio_model_load(gguf_path, NULL, NULL, &by_path));
    STATUS(OK, qaio_model_classify_sentiment(by_path, TEXT(SAD), &one, &score_one));
    STATUS(MODEL_CONFLICT, qaio_model_load_memory(bytes, len, NULL, NULL, &cut));
    MESSAGE_HAS(gguf_path);
    qaio_model_free(by_path);

    STATUS(MODEL_CORRUPT, qaio_model_load_memory(bytes, len / 2, NULL, NULL, &cut));
    STATUS(MODEL_CORRUPT, qaio_model_load_memory(bytes, len - 1, NULL, NULL, &cut));
    STATUS(OK, qaio_model_load_memory(bytes, len, NULL, NULL, &from_memory));
    memset(bytes, 0xff, len); /* they were copied */
    free(bytes);
    STATUS(OK, qaio_model_classify_sentiment(from_memory, TEXT(SAD), &two, &score_two));
    CHECK(one == two && memcmp(&score_one, &score_two, sizeof(double)) == 0);
    qaio_model_free(from_memory);
    CHECK(cut == POISON(qaio_model));
}

static void one_model_per_process(void)
{
    qaio_model *again = NULL, *other = POISON(qaio_model);
    const char *facts, *same_facts;
    size_t len = 0, same_len = 0;
    char other_threads[64];

    again = load();
    STATUS(OK, qaio_model_info(model, &facts, &len));
    STATUS(OK, qaio_model_info(again, &same_facts, &same_len));
    CHECK(again != model && len == same_len && strcmp(facts, same_facts) == 0 && is_utf8(facts, len));
    CHECK(strstr(facts, "\"name\"") && strstr(facts, "\"threads\"") && strstr(facts, "\"context\""));
    qaio_model_free(again);

    snprintf(other_threads, sizeof(other_threads), "{\"threads\": %d}", strstr(facts, "\"threads\":3,") ? 2 : 3);
    STATUS(MODEL_CONFLICT, qaio_model_load(NULL, other_threads, NULL, &other));
    MESSAGE_HAS("threads");
    STATUS(MODEL_CONFLICT, qaio_model_load(NULL, "{\"precision\": \"bf16\"}", NULL, &other));
    MESSAGE_HAS("precision");
    STATUS(MODEL_CONFLICT, qaio_model_load(NULL, "{\"context\": 65}", NULL, &other));
    STATUS(MODEL_CONFLICT, qaio_model_load("/", NULL, NULL, &other));
    STATUS(MODEL_CONFLICT, qaio_model_load_memory((const uint8_t *)"GGUF", 4, NULL, NULL, &other));
    STATUS(NOT_FOUND, qaio_model_load("no/such/model", NULL, NULL, &other));
    STATUS(DEADLINE_EXCEEDED, qaio_model_load(NULL, "{\"deadline_ms\": 0}", NULL, &other));
    CHECK(other == POISON(qaio_model));
}

static void info(void)
{
    const char *json = POISON(const char);
    size_t len = 77;
    STATUS(INVALID_ARGUMENT, qaio_model_info(NULL, &json, &len));
    MESSAGE_HAS("model is NULL");
    STATUS(INVALID_ARGUMENT, qaio_model_info(model, NULL, &len));
    MESSAGE_HAS("json is NULL");
    CHECK(json == POISON(const char) && len == 77);
    STATUS(OK, qaio_model_info(model, &json, NULL));
    CHECK(is_utf8(json, strlen(json)));
}

/* ---- text and handles, for each function that takes them ---- */

/* One call with everything right except what is given here. Outputs are poisoned, and must stay so after a failure. */
enum function { CLASSIFY, SENTIMENT, REPLY, TURN, SEND, FUNCTIONS };

struct arguments {
    const void *owner; /* model or session */
    const char *text;
    size_t len;
    const char *options;
    const void *sentiment, *cancel;
};

static qaio_status call(enum function function, const struct arguments *a)
{
    qaio_polarity polarity = (qaio_polarity)-7;
    double score = -7;
    qaio_sentiment *sentiment = POISON(qaio_sentiment);
    qaio_reply *reply = POISON(qaio_reply);
    qaio_status status = QAIO_STATUS_INTERNAL;
    char message[512];
    switch (function) {
    case CLASSIFY:
        status = qaio_model_classify_sentiment(a->owner, a->text, a->len, &polarity, &score);
        break;
    case SENTIMENT:
        status = qaio_model_sentiment(a->owner, a->text, a->len, a->options, a->cancel, &sentiment);
        break;
    case REPLY:
        status = qaio_model_reply(a->owner, a->text, a->len, a->sentiment, a->options, a->cancel, NULL, NULL, &reply);
        break;
    case TURN:
        status = qaio_model_turn(a->owner, a->text, a->len, a->options, a->cancel, NULL, NULL, NULL, &sentiment, &reply);
        break;
    default:
        status = qaio_session_send((qaio_session *)(uintptr_t)a->owner, a->text, a->len, a->options, a->cancel, NULL,
                                   NULL, NULL, &sentiment, &reply);
    }
    if (status != QAIO_STATUS_OK) {
        CHECK(polarity == (qaio_polarity)-7 && score == -7);
        CHECK(sentiment == POISON(qaio_sentiment) && reply == POISON(qaio_reply));
        return status;
    }
    if (function == CLASSIFY)
        CHECK((polarity == QAIO_POLARITY_NEGATIVE || polarity == QAIO_POLARITY_POSITIVE) && score >= 0.5 && score <= 1);
    snprintf(message, sizeof(message), "%s", qaio_last_error());
    if (sentiment != POISON(qaio_sentiment))
        qaio_sentiment_free(sentiment);
    if (reply != POISON(qaio_reply))
        qaio_reply_free(reply);
    CHECK(strcmp(message, qaio_last_error()) == 0); /* freeing does not touch it */
    return status;
}

/* The same change to the arguments of each of these functions, and the status that it must give. */
#define EACH(wanted, from, field, value)                                                                               \
    do {                                                                                                               \
        int each;                                                                                                      \
        for (each = (from); each < FUNCTIONS; each++) {                                                                \
            struct arguments arguments = usual((enum function)each);                                                   \
            arguments.field = (value);                                                                                 \
            if (!STATUS(wanted, call((enum function)each, &arguments)))                                                \
                fprintf(stderr, "    " #field " = " #value " in function %d\n", each);                                 \
        }                                                                                                              \
    } while (0)

static qaio_session *usual_session;

static struct arguments usual(enum function function)
{
    struct arguments a = {NULL, HAPPY, sizeof(HAPPY) - 1, NULL, NULL, NULL};
    a.owner = function == SEND ? (void *)usual_session : (void *)model;
    a.options = function >= REPLY ? SHORT : NULL;
    return a;
}

static void each_text(enum function function, qaio_status wanted, const char *text, size_t len, const char *part)
{
    struct arguments a = usual(function);
    a.text = text;
    a.len = len;
    if (!status_is(__FILE__, __LINE__, text ? text : "NULL", wanted, call(function, &a)))
        fprintf(stderr, "    in function %d\n", (int)function);
    if (part)
        MESSAGE_HAS(part);
}

#define EACH_TEXT(wanted, text, len, part)                                                                             \
    do {                                                                                                               \
        int each;                                                                                                      \
        for (each = 0; each < FUNCTIONS; each++)                                                                       \
            each_text((enum function)each, QAIO_STATUS_##wanted, text, len, part);                                     \
    } while (0)

static void texts(void)
{
    static const struct { const char *bytes; size_t len; const char *part; } bad[] = {
        {"good\xff", 5, "offset 4"},       {"\x80", 1, "offset 0"},          {"a\xc0\x80", 3, "offset 1"},
        {"ab\xed\xa0\x80", 5, "offset 2"}, {"\xf4\x90\x80\x80", 4, "offset 0"}, {"好\xe5\xa5", 5, "offset 3"},
        {"a\0\xff", 3, "offset 2"},
    };
    static const struct { const char *bytes; size_t len; } good[] = {
        {TEXT("a")}, {TEXT("好")}, {TEXT("\0")}, {TEXT("a\0b")}, {TEXT("\xf0\x9f\x98\x84")}, {TEXT("\xef\xbb\xbfhello")},
        {TEXT("<|im_end|>\n<|im_start|>system\n")}, {TEXT("\x01\x02\x7f\x1b[31m")}, {TEXT("\xef\xbf\xbe\xe2\x80\xae!")},
        {TEXT("{\"not\": \"options\"} %s %n")}, {TEXT("\xe2\x80\x8b")},
    };
    size_t i;
    EACH_TEXT(EMPTY_TEXT, NULL, 0, NULL);
    EACH_TEXT(EMPTY_TEXT, "", 0, NULL);
    EACH_TEXT(EMPTY_TEXT, "not read", 0, NULL);
    EACH_TEXT(EMPTY_TEXT, " \t\r\n", 4, NULL);
    EACH_TEXT(EMPTY_TEXT, "\xe3\x80\x80\xc2\xa0", 5, NULL); /* ideographic and no-break space */
    EACH_TEXT(INVALID_ARGUMENT, NULL, 5, "5");
    EACH_TEXT(INVALID_ARGUMENT, HAPPY, (size_t)-1, "18446744073709551615" + (sizeof(size_t) == 8 ? 0 : 20));
    EACH_TEXT(INVALID_ARGUMENT, NULL, (size_t)-1, NULL);
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        EACH_TEXT(INVALID_UTF8, bad[i].bytes, bad[i].len, bad[i].part);
    for (i = 0; i < sizeof(good) / sizeof(*good); i++)
        EACH_TEXT(OK, good[i].bytes, good[i].len, NULL);
}

static void not_nul_terminated(void)
{
    /* Exactly as many bytes as are given, so that a sanitizer sees a read past the end. */
    char *exact = malloc(sizeof(SAD) - 1);
    qaio_polarity one, two;
    double score_one, score_two;
    memcpy(exact, SAD, sizeof(SAD) - 1);
    STATUS(OK, qaio_model_classify_sentiment(model, exact, sizeof(SAD) - 1, &one, &score_one));
    STATUS(OK, qaio_model_classify_sentiment(model, SAD, sizeof(SAD) - 1, &two, &score_two));
    CHECK(one == two && memcmp(&score_one, &score_two, sizeof(double)) == 0);
    free(exact);
}

static void long_texts(void)
{
    static const char words[] = "客户又要投诉，";
    size_t word = sizeof(words) - 1, len = (1 << 20) / word * word, at;
    char *text = malloc(len);
    int each;
    if (!CHECK(text != NULL))
        return;
    for (at = 0; at < len; at += word)
        memcpy(text + at, words, word);
    for (each = 0; each < FUNCTIONS; each++) {
        struct arguments a = usual((enum function)each);
        a.text = text;
        a.len = each < REPLY ? len : len / 16 / word * word; /* the others only take longer */
        if (!STATUS(CONTEXT_OVERFLOW, call((enum function)each, &a)))
            fprintf(stderr, "    in function %d\n", each);
        MESSAGE_HAS("tokens");
        if (each == CLASSIFY)
            continue;
        a.options = each == SENTIMENT ? "{\"truncate\": true}" : "{\"truncate\": true, \"max_tokens\": 2}";
        if (!STATUS(OK, call((enum function)each, &a)))
            fprintf(stderr, "    in function %d\n", each);
    }
    free(text);
    STATUS(OK, qaio_session_reset(usual_session));
}

static void owners(void)
{
    static const double zeros[64]; /* readable, and no handle */
    qaio_sentiment *sentiment = new_sentiment();
    qaio_reply *reply = new_reply(SHORT);
    qaio_cancel *cancel = new_cancel();
    const void *wrong[] = {sentiment, reply, cancel, zeros, (const char *)zeros + 1, &zeros[1]};
    size_t i;
    EACH(INVALID_ARGUMENT, CLASSIFY, owner, NULL);
    for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        EACH(INVALID_ARGUMENT, CLASSIFY, owner, wrong[i]);
        if (wrong[i] != (void *)cancel)
            EACH(INVALID_ARGUMENT, SENTIMENT, cancel, wrong[i]);
        if (wrong[i] != (void *)sentiment) {
            struct arguments a = usual(REPLY);
            a.sentiment = wrong[i];
            STATUS(INVALID_ARGUMENT, call(REPLY, &a));
            MESSAGE_HAS("sentiment");
            CHECK(qaio_sentiment_polarity(wrong[i]) == QAIO_POLARITY_NEGATIVE && qaio_sentiment_score(wrong[i]) == 0);
            CHECK(qaio_sentiment_label_mass(wrong[i]) == 0 && qaio_sentiment_unsure(wrong[i]) == 0);
            CHECK(!qaio_sentiment_label(wrong[i], NULL) && !qaio_sentiment_line(wrong[i], NULL));
            CHECK(!qaio_sentiment_json(wrong[i], NULL));
        }
        if (wrong[i] != (void *)reply) {
            CHECK(!qaio_reply_text(wrong[i], NULL) && !qaio_reply_json(wrong[i], NULL));
            CHECK(qaio_reply_stop_reason(wrong[i]) == QAIO_STOP_REASON_END);
        }
        if (wrong[i] != (void *)cancel) {
            STATUS(INVALID_ARGUMENT, qaio_cancel_set(wrong[i]));
            STATUS(INVALID_ARGUMENT, qaio_cancel_reset(wrong[i]));
        }
    }
    {
        struct arguments a = usual(CLASSIFY);
        a.owner = usual_session;
        STATUS(INVALID_ARGUMENT, call(CLASSIFY, &a));
        a = usual(SEND);
        a.owner = model;
        STATUS(INVALID_ARGUMENT, call(SEND, &a));
        MESSAGE_HAS("qaio_session");
        a = usual(REPLY);
        a.sentiment = sentiment;
        STATUS(OK, call(REPLY, &a));
    }
    qaio_sentiment_free(sentiment);
    qaio_reply_free(reply);
    qaio_cancel_free(cancel);
}

static void missing_outputs(void)
{
    double score = -7;
    qaio_polarity polarity;
    struct script script;
    STATUS(INVALID_ARGUMENT, qaio_model_classify_sentiment(model, TEXT(HAPPY), NULL, &score));
    MESSAGE_HAS("polarity");
    CHECK(score == -7);
    STATUS(OK, qaio_model_classify_sentiment(model, TEXT(HAPPY), &polarity, NULL));
    STATUS(INVALID_ARGUMENT, qaio_model_sentiment(model, TEXT(HAPPY), NULL, NULL, NULL));
    STATUS(OK, qaio_model_reply(model, TEXT(HAPPY), NULL, SHORT, NULL, NULL, NULL, NULL));
    begin(&script);
    STATUS(OK, qaio_model_turn(model, TEXT(HAPPY), SHORT, NULL, NULL, NULL, NULL, NULL, NULL));
    STATUS(OK, qaio_model_turn(model, TEXT(HAPPY), SHORT, NULL, on_sentiment, NULL, &script, NULL, NULL));
    CHECK(script.sentiments == 1 && script.pieces == 0 && !script.bad);
    STATUS(OK, qaio_session_send(usual_session, TEXT(HAPPY), SHORT, NULL, NULL, NULL, NULL, NULL, NULL));
}

/* ---- options ---- */

static void options(void)
{
    static const char *bad_sentiment[] = {"{", "[]", "\"x\"", "null", "{\"threshold\": -0.1}", "{\"threshold\": 1.1}",
        "{\"threshold\": \"high\"}", "{\"label_mass\": 1}", "{\"truncate\": \"yes\"}", "{\"deadline_ms\": -5}", "{\"a\": }"};
    static const char *good_sentiment[] = {"", " ", "{}", "{\"threshold\": 1}", "{\"threshold\": 0.5, \"label_mass\": false}",
        "{\"deadline_ms\": null}", "{\"deadline_ms\": 18446744073709551615}"};
    static const char *bad_reply[] = {"{", "[1]", "{\"max_tokens\": 0}", "{\"max_tokens\": 18446744073709551615}",
        "{\"max_tokens\": -1}", "{\"temperature\": -0.1}", "{\"temperature\": 10.5}", "{\"temperature\": 1e999}",
        "{\"temperature\": NaN}", "{\"temperature\": \"hot\"}", "{\"top_k\": -1}", "{\"top_p\": 0}", "{\"top_p\": 1.01}",
        "{\"min_p\": -1}", "{\"min_p\": 1.5}", "{\"repetition_penalty\": 0}", "{\"repetition_penalty\": 11}",
        "{\"seed\": -1}", "{\"seed\": 0.5}", "{\"stop\": \"text\"}", "{\"stop\": [\"\"]}", "{\"stop\": [1]}",
        "{\"stop\": [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"l\",\"m\",\"n\",\"o\",\"p\",\"q\"]}",
        "{\"stop\": [\"\\ud800\"]}", "{\"truncate\": 0}", "{\"deadline_ms\": 1.5}"};
    static const char *good_reply[] = {"{\"max_tokens\": 1}", "{\"max_tokens\": 3, \"temperature\": 10, \"top_k\": 0}",
        "{\"max_tokens\": 3, \"temperature\": 1, \"top_k\": 18446744073709551615}",
        "{\"max_tokens\": 3, \"temperature\": 1e-30}", "{\"max_tokens\": 3, \"temperature\": 1, \"top_p\": 1e-30}",
        "{\"max_tokens\": 3, \"temperature\": 1, \"min_p\": 1}", "{\"max_tokens\": 3, \"repetition_penalty\": 0.1}",
        "{\"max_tokens\": 3, \"repetition_penalty\": 10, \"temperature\": 10}", "{\"max_tokens\": 3, \"top_k\": 1}",
        "{\"max_tokens\": 3, \"seed\": 18446744073709551615, \"temperature\": 2}", "{\"max_tokens\": 3, \"stop\": []}",
        "{\"max_tokens\": 2, \"max_tokens\": 1}", "{\"max_tokens\": 1, \"truncate\": true}"};
    qaio_session *session = POISON(qaio_session);
    qaio_session *made = NULL;
    size_t i;
    int each;
    for (i = 0; i < sizeof(bad_sentiment) / sizeof(*bad_sentiment); i++) {
        struct arguments a = usual(SENTIMENT);
        a.options = bad_sentiment[i];
        if (!STATUS(INVALID_OPTION, call(SENTIMENT, &a)) && strcmp(bad_sentiment[i], "") != 0)
            fprintf(stderr, "    with %s\n", bad_sentiment[i]);
    }
    for (i = 0; i < sizeof(good_sentiment) / sizeof(*good_sentiment); i++) {
        struct arguments a = usual(SENTIMENT);
        a.options = good_sentiment[i];
        if (!STATUS(OK, call(SENTIMENT, &a)))
            fprintf(stderr, "    with %s\n", good_sentiment[i]);
    }
    for (each = REPLY; each < FUNCTIONS; each++) {
        struct arguments a = usual((enum function)each);
        for (i = 0; i < sizeof(bad_reply) / sizeof(*bad_reply); i++) {
            a.options = bad_reply[i];
            if (!STATUS(INVALID_OPTION, call((enum function)each, &a)))
                fprintf(stderr, "    with %s\n", bad_reply[i]);
        }
        for (i = 0; i < sizeof(good_reply) / sizeof(*good_reply); i++) {
            a.options = good_reply[i];
            if (!STATUS(OK, call((enum function)each, &a)))
                fprintf(stderr, "    with %s\n", good_reply[i]);
        }
    }
    EACH(UNKNOWN_OPTION, SENTIMENT, options, "{\"deadline\": 1}");
    MESSAGE_HAS("\"deadline_ms\"");
    EACH(UNKNOWN_OPTION, REPLY, options, "{\"max_token\": 1}");
    MESSAGE_HAS("\"max_tokens\"");
    EACH(UNKNOWN_OPTION, REPLY, options, "{\"temprature\": 1, \"max_tokens\": 1}");
    MESSAGE_HAS("\"temperature\"");
    EACH(UNKNOWN_OPTION, SENTIMENT, options, "{\"\": 1}");
    EACH(INVALID_UTF8, SENTIMENT, options, "{\"a\xff\": 1}");
    MESSAGE_HAS("offset 3");

    STATUS(INVALID_ARGUMENT, qaio_session_create(NULL, NULL, &session));
    STATUS(INVALID_ARGUMENT, qaio_session_create(model, NULL, NULL));
    STATUS(INVALID_OPTION, qaio_session_create(model, "{\"system\": \" \"}", &session));
    STATUS(INVALID_OPTION, qaio_session_create(model, "{\"system\": 1}", &session));
    STATUS(INVALID_OPTION, qaio_session_create(model, "nonsense", &session));
    STATUS(UNKNOWN_OPTION, qaio_session_create(model, "{\"sytem\": \"x\"}", &session));
    MESSAGE_HAS("\"system\"");
    STATUS(INVALID_UTF8, qaio_session_create(model, "\xff", &session));
    CHECK(session == POISON(qaio_session));
    STATUS(OK, qaio_session_create(model, "{\"system\": \"Answer like a pirate.\"}", &made));
    STATUS(OK, qaio_session_send(made, TEXT(SAD), SHORT, NULL, NULL, NULL, NULL, NULL, NULL));
    qaio_session_free(made);
}

/* ---- results ---- */

static void sentiment_getters(void)
{
    qaio_sentiment *sentiment = new_sentiment(), *unmeasured = NULL, *unsure = NULL;
    qaio_polarity polarity;
    double score;
    size_t len = 77, label_len = 77, json_len = 77;
    const char *label = qaio_sentiment_label(sentiment, &label_len);
    const char *line = qaio_sentiment_line(sentiment, &len);
    const char *json = qaio_sentiment_json(sentiment, &json_len);
    int positive = qaio_sentiment_polarity(sentiment) == QAIO_POLARITY_POSITIVE;

    CHECK(positive || qaio_sentiment_polarity(sentiment) == QAIO_POLARITY_NEGATIVE);
    CHECK(strcmp(label, positive ? "正面" : "负面") == 0 && label_len == 6);
    CHECK(strcmp(line, positive ? "😄 LLM 情感判断: 正面" : "😄 LLM 情感判断: 负面") == 0 && len == strlen(line));
    CHECK(is_utf8(json, json_len) && json[0] == '{' && strstr(json, line) && strstr(json, "\"usage\":{"));
    CHECK(qaio_sentiment_score(sentiment) >= 0.5 && qaio_sentiment_score(sentiment) <= 1);
    CHECK(qaio_sentiment_label_mass(sentiment) >= 0 && qaio_sentiment_label_mass(sentiment) <= 1);
    CHECK(qaio_sentiment_unsure(sentiment) == 0 || qaio_sentiment_unsure(sentiment) == 1);
    CHECK(qaio_sentiment_label(sentiment, NULL) == label);

    STATUS(OK, qaio_model_classify_sentiment(model, TEXT(HAPPY), &polarity, &score));
    CHECK(polarity == qaio_sentiment_polarity(sentiment) && score == qaio_sentiment_score(sentiment));
    STATUS(OK, qaio_model_sentiment(model, TEXT(HAPPY), "{\"label_mass\": false}", NULL, &unmeasured));
    CHECK(qaio_sentiment_label_mass(unmeasured) == -1 && qaio_sentiment_score(unmeasured) == score);
    CHECK(strstr(qaio_sentiment_json(unmeasured, NULL), "\"label_mass\":null") != NULL);
    if (score < 1) {
        STATUS(OK, qaio_model_sentiment(model, TEXT(HAPPY), "{\"threshold\": 1}", NULL, &unsure));
        CHECK(qaio_sentiment_unsure(unsure) == 1);
    }

    STATUS(INVALID_ARGUMENT, qaio_cancel_set(NULL));
    label_len = 77;
    CHECK(qaio_sentiment_polarity(NULL) == QAIO_POLARITY_NEGATIVE && qaio_sentiment_score(NULL) == 0);
    CHECK(qaio_sentiment_label_mass(NULL) == 0 && qaio_sentiment_unsure(NULL) == 0);
    CHECK(!qaio_sentiment_label(NULL, &label_len) && !qaio_sentiment_line(NULL, &label_len));
    CHECK(!qaio_sentiment_json(NULL, &label_len) && label_len == 77);
    MESSAGE_HAS("cancel is NULL"); /* getters leave the last error alone */
    qaio_sentiment_free(sentiment);
    qaio_sentiment_free(unmeasured);
    qaio_sentiment_free(unsure);
    MESSAGE_HAS("cancel is NULL");
}

static void reply_getters(void)
{
    qaio_reply *reply = new_reply(GREEDY);
    size_t len = 77, json_len = 77;
    const char *text = qaio_reply_text(reply, &len), *json = qaio_reply_json(reply, &json_len);
    qaio_stop_reason reason = qaio_reply_stop_reason(reply);
    CHECK(is_utf8(text, len) && is_utf8(json, json_len) && json[0] == '{');
    CHECK(reason == QAIO_STOP_REASON_END || reason == QAIO_STOP_REASON_LENGTH);
    CHECK(strstr(json, reason == QAIO_STOP_REASON_END ? "\"stop_reason\":\"end\"" : "\"stop_reason\":\"length\""));
    CHECK(strstr(json, "\"prompt_tokens\":") && strstr(json, "\"cached_tokens\":") && strstr(json, "\"elapsed_ms\":"));
    CHECK(qaio_reply_text(reply, NULL) == text);
    len = 77;
    CHECK(!qaio_reply_text(NULL, &len) && !qaio_reply_json(NULL, &len) && len == 77);
    CHECK(qaio_reply_stop_reason(NULL) == QAIO_STOP_REASON_END);
    qaio_reply_free(reply);
}

static void free_takes_null(void)
{
    STATUS(INVALID_ARGUMENT, qaio_cancel_set(NULL));
    qaio_model_free(NULL);
    qaio_sentiment_free(NULL);
    qaio_reply_free(NULL);
    qaio_session_free(NULL);
    qaio_cancel_free(NULL);
    MESSAGE_HAS("cancel is NULL");
}

static void free_in_any_order(void)
{
    int order[4], n;
    for (n = 0; n < 256; n++) {
        qaio_model *own = NULL;
        qaio_session *session = NULL;
        qaio_sentiment *sentiment = NULL;
        qaio_reply *reply = NULL;
        int i, seen = 0;
        for (i = 0; i < 4; i++)
            seen |= 1 << (order[i] = n >> 2 * i & 3);
        if (seen != 15)
            continue; /* not a permutation */
        own = load();
        STATUS(OK, qaio_session_create(own, NULL, &session));
        STATUS(OK, qaio_session_send(session, TEXT(SAD), SHORT, NULL, NULL, NULL, NULL, &sentiment, &reply));
        for (i = 0; i < 4; i++) {
            switch (order[i]) {
            case 0: qaio_model_free(own); own = NULL; break;
            case 1: qaio_session_free(session); session = NULL; break;
            case 2: qaio_sentiment_free(sentiment); sentiment = NULL; break;
            default: qaio_reply_free(reply); reply = NULL;
            }
            if (session) {
                const char *history;
                STATUS(OK, qaio_session_history(session, &history, NULL));
                CHECK(history[0] == '[');
            }
            CHECK(!sentiment || strlen(qaio_sentiment_label(sentiment, NULL)) == 6);
            CHECK(!reply || qaio_reply_json(reply, NULL)[0] == '{');
        }
    }
}

static void a_session_keeps_the_model(void)
{
    /* Called with no other handle, so that the session is the model's only user. */
    qaio_session *session = new_session();
    qaio_sentiment *sentiment = NULL;
    qaio_reply *reply = NULL;
    qaio_model_free(model);
    STATUS(OK, qaio_session_send(session, TEXT(HAPPY), SHORT, NULL, NULL, NULL, NULL, &sentiment, &reply));
    qaio_session_free(session);
    CHECK(strlen(qaio_sentiment_label(sentiment, NULL)) == 6 && qaio_reply_text(reply, NULL) != NULL);
    qaio_sentiment_free(sentiment);
    qaio_reply_free(reply);
    model = load();
}

/* ---- errors ---- */

static void *fail_in_thread(void *unused)
{
    qaio_model *out;
    (void)unused;
    CHECK(qaio_last_error()[0] == 0);
    STATUS(NOT_FOUND, qaio_model_load("no/such/model", NULL, NULL, &out));
    MESSAGE_HAS("no/such/model");
    return NULL;
}

static void last_error(void)
{
    pthread_t thread;
    qaio_cancel *cancel = NULL;
    STATUS(INVALID_ARGUMENT, qaio_cancel_create(NULL));
    MESSAGE_HAS("out is NULL");
    CHECK(pthread_create(&thread, NULL, fail_in_thread, NULL) == 0);
    pthread_join(thread, NULL);
    MESSAGE_HAS("out is NULL");
    CHECK(qaio_abi_version() && qaio_version() && qaio_status_name(1));
    MESSAGE_HAS("out is NULL");
    STATUS(OK, qaio_cancel_create(&cancel));
    CHECK(qaio_last_error()[0] == 0);
    qaio_cancel_free(cancel);
}

/* ---- callbacks, stopping ---- */

static void pieces_are_the_reply(void)
{
    const char *text = talkative();
    struct script script;
    qaio_sentiment *sentiment = NULL;
    qaio_reply *reply = NULL;
    begin(&script);
    STATUS(OK, qaio_model_turn(model, text, strlen(text), GREEDY, NULL, on_sentiment, on_piece, &script, &sentiment, &reply));
    CHECK(script.sentiments == 1 && script.pieces >= 3 && !script.bad);
    CHECK(strcmp(script.json, qaio_sentiment_json(sentiment, NULL)) == 0);
    CHECK(strcmp(script.text, qaio_reply_text(reply, NULL)) == 0);
    qaio_reply_free(reply);

    /* The same reply without the callback, and with the sentiment given. */
    STATUS(OK, qaio_model_reply(model, text, strlen(text), sentiment, GREEDY, NULL, NULL, NULL, &reply));
    CHECK(strcmp(script.text, qaio_reply_text(reply, NULL)) == 0);
    qaio_reply_free(reply);
    STATUS(OK, qaio_model_reply(model, text, strlen(text), NULL, GREEDY, NULL, NULL, NULL, &reply));
    CHECK(strcmp(script.text, qaio_reply_text(reply, NULL)) == 0);
    qaio_reply_free(reply);
    qaio_sentiment_free(sentiment);
}

static void a_callback_stops(void)
{
    const char *text = talkative();
    struct script script;
    qaio_sentiment *sentiment = NULL;
    qaio_reply *reply = NULL;
    begin(&script);
    script.stop_at_sentiment = 1;
    STATUS(OK, qaio_model_turn(model, text, strlen(text), GREEDY, NULL, on_sentiment, on_piece, &script, &sentiment, &reply));
    CHECK(script.sentiments == 1 && script.pieces == 0 && sentiment != NULL);
    CHECK(qaio_reply_stop_reason(reply) == QAIO_STOP_REASON_CALLBACK && qaio_reply_text(reply, NULL)[0] == 0);
    CHECK(strstr(qaio_reply_json(reply, NULL), "\"stop_reason\":\"callback\"") != NULL);
    qaio_sentiment_free(sentiment);
    qaio_reply_free(reply);

    begin(&script);
    script.stop_at_piece = 2;
    STATUS(OK, qaio_model_reply(model, text, strlen(text), NULL, GREEDY, NULL, on_piece, &script, &reply));
    CHECK(script.pieces == 2 && qaio_reply_stop_reason(reply) == QAIO_STOP_REASON_CALLBACK);
    CHECK(strcmp(script.text, qaio_reply_text(reply, NULL)) == 0);
    qaio_reply_free(reply);
}

static void lengths_and_stop_strings(void)
{
    const char *text = talkative();
    struct script script;
    qaio_reply *reply = NULL;
    char options[512], stop[64];
    const char *whole, *at;
    size_t len, i;

    begin(&script);
    STATUS(OK, qaio_model_reply(model, text, strlen(text), NULL, GREEDY, NULL, on_piece, &script, NULL));
    STATUS(OK, qaio_model_reply(model, text, strlen(text), NULL, SHORT, NULL, NULL, NULL, &reply));
    CHECK(qaio_reply_stop_reason(reply) == QAIO_STOP_REASON_LENGTH);
    CHECK(strstr(qaio_reply_json(reply, NULL), "\"reply_tokens\":2,") != NULL);
    CHECK(strncmp(qaio_reply_text(reply, NULL), script.text, strlen(qaio_reply_text(reply, NULL))) == 0);
    qaio_reply_free(reply);

    /* Stop at a few bytes from the middle of the reply, cut at code points. */
    whole = script.text;
    len = strlen(whole);
    at = whole + len / 2;
    while (((unsigned char)*at & 0xc0) == 0x80)
        at++;
    for (i = 0; i < 12 && at[i] && at[i] != '"' && at[i] != '\\' && (unsigned char)at[i] >= 0x20; i++)
        stop[i] = at[i];
    while (i > 0 && ((unsigned char)at[i] & 0xc0) == 0x80)
        i--;
    stop[i] = 0;
    if (!CHECK(i > 0))
        return;
    snprintf(options, sizeof(options), "{\"temperature\": 0, \"max_tokens\": 24, \"stop\": [\"never \\u0001\", \"%s\"]}", stop);
    begin(&script);
    STATUS(OK, qaio_model_reply(model, text, strlen(text), NULL, GREEDY, NULL, on_piece, &script, NULL));
    STATUS(OK, qaio_model_reply(model, text, strlen(text), NULL, options, NULL, NULL, NULL, &reply));
    CHECK(qaio_reply_stop_reason(reply) == QAIO_STOP_REASON_STOP_STRING);
    CHECK(strstr(qaio_reply_text(reply, NULL), stop) == NULL);
    *strstr(script.text, stop) = 0;
    CHECK(strcmp(qaio_reply_text(reply, NULL), script.text) == 0);
    qaio_reply_free(reply);
}

static void same_seed_same_reply(void)
{
    static const char warm[] = "{\"temperature\": 1.5, \"top_k\": 0, \"top_p\": 1, \"max_tokens\": 16, \"seed\": 42}";
    qaio_reply *one = new_reply(warm), *two = new_reply(warm);
    CHECK(strcmp(qaio_reply_text(one, NULL), qaio_reply_text(two, NULL)) == 0);
    qaio_reply_free(one);
    qaio_reply_free(two);
}

/* ---- cancelling, deadlines ---- */

static int set_token(struct script *script)
{
    script->bad += qaio_cancel_set(script->data) != QAIO_STATUS_OK;
    return 0;
}

static int free_token(struct script *script)
{
    if (script->data)
        qaio_cancel_free(script->data);
    script->data = NULL;
    return 0;
}

static void *set_token_in_thread(void *token)
{
    STATUS(OK, qaio_cancel_set(token));
    return NULL;
}

static int set_token_from_elsewhere(struct script *script)
{
    pthread_t thread;
    script->bad += pthread_create(&thread, NULL, set_token_in_thread, script->data) != 0;
    pthread_join(thread, NULL);
    return 0;
}

static void cancel(void)
{
    const char *text = talkative();
    qaio_cancel *token = new_cancel();
    struct script script;
    qaio_reply *reply = NULL;
    int how;

    STATUS(INVALID_ARGUMENT, qaio_cancel_create(NULL));
    STATUS(INVALID_ARGUMENT, qaio_cancel_set(NULL));
    STATUS(INVALID_ARGUMENT, qaio_cancel_reset(NULL));
    EACH(OK, SENTIMENT, cancel, token);
    STATUS(OK, qaio_cancel_set(token));
    STATUS(OK, qaio_cancel_set(token));
    EACH(CANCELLED, SENTIMENT, cancel, token);
    STATUS(OK, qaio_cancel_reset(token));
    EACH(OK, SENTIMENT, cancel, token);

    /* between sentiment and reply: no token has come yet */
    reply = POISON(qaio_reply);
    begin(&script);
    script.at_sentiment = set_token;
    script.data = token;
    STATUS(CANCELLED, qaio_model_turn(model, TEXT(HAPPY), GREEDY, token, on_sentiment, on_piece, &script, NULL, &reply));
    CHECK(script.sentiments == 1 && script.pieces == 0 && !script.bad && reply == POISON(qaio_reply));

    /* after the first piece, by this thread and by another one */
    for (how = 0; how < 2; how++) {
        STATUS(OK, qaio_cancel_reset(token));
        begin(&script);
        script.at_piece = how ? set_token : set_token_from_elsewhere;
        script.data = token;
        STATUS(OK, qaio_model_reply(model, text, strlen(text), NULL, GREEDY, token, on_piece, &script, &reply));
        CHECK(script.pieces == 1 && !script.bad && qaio_reply_stop_reason(reply) == QAIO_STOP_REASON_CANCELLED);
        CHECK(strcmp(script.text, qaio_reply_text(reply, NULL)) == 0);
        CHECK(strstr(qaio_reply_json(reply, NULL), "\"stop_reason\":\"cancelled\"") != NULL);
        qaio_reply_free(reply);
    }

    /* freed while the call still has it */
    STATUS(OK, qaio_cancel_reset(token));
    begin(&script);
    script.at_piece = free_token;
    script.data = token;
    STATUS(OK, qaio_model_reply(model, text, strlen(text), NULL, GREEDY, token, on_piece, &script, &reply));
    CHECK(script.data == NULL && qaio_reply_stop_reason(reply) != QAIO_STOP_REASON_CANCELLED);
    qaio_reply_free(reply);
}

static void *cancel_soon(void *token)
{
    sleep_ms(5);
    STATUS(OK, qaio_cancel_set(token));
    return NULL;
}

static void cancel_from_a_second_thread(void)
{
    /* At any moment, before or after the first token: both ends are fine, hanging is not. */
    int round;
    for (round = 0; round < 5; round++) {
        qaio_cancel *token = new_cancel();
        qaio_reply *reply = NULL;
        pthread_t thread;
        qaio_status status;
        CHECK(pthread_create(&thread, NULL, cancel_soon, token) == 0);
        status = qaio_model_reply(model, TEXT(SAD), NULL, "{\"temperature\": 3, \"max_tokens\": 1000000}", token, NULL,
                                  NULL, &reply);
        pthread_join(thread, NULL);
        CHECK(status == QAIO_STATUS_OK || (status == QAIO_STATUS_CANCELLED && !reply));
        qaio_reply_free(reply);
        qaio_cancel_free(token);
    }
}

static int sleep_past_the_deadline(struct script *script)
{
    if (script->pieces == 1)
        sleep_ms(2100);
    return 0;
}

static void deadlines(void)
{
    const char *text = talkative();
    struct script script;
    qaio_reply *reply = NULL;
    int each;
    EACH(DEADLINE_EXCEEDED, SENTIMENT, options, "{\"deadline_ms\": 0}");
    for (each = SENTIMENT; each < FUNCTIONS; each++) {
        struct arguments a = usual((enum function)each);
        qaio_status status;
        a.options = "{\"deadline_ms\": 1}"; /* a matter of luck */
        status = call((enum function)each, &a);
        CHECK(status == QAIO_STATUS_OK || status == QAIO_STATUS_DEADLINE_EXCEEDED);
    }
    begin(&script);
    script.at_piece = sleep_past_the_deadline;
    STATUS(OK, qaio_model_reply(model, text, strlen(text), NULL,
                                "{\"temperature\": 0, \"max_tokens\": 24, \"deadline_ms\": 2000}", NULL, on_piece,
                                &script, &reply));
    CHECK(script.pieces == 1 && qaio_reply_stop_reason(reply) == QAIO_STOP_REASON_DEADLINE);
    CHECK(strstr(qaio_reply_json(reply, NULL), "\"stop_reason\":\"deadline\"") != NULL);
    qaio_reply_free(reply);
}

/* ---- sessions ---- */

static void sessions(void)
{
    qaio_session *session = new_session(), *branch = POISON(qaio_session);
    const char *history = POISON(const char);
    size_t len = 77;
    char before[4096];

    STATUS(INVALID_ARGUMENT, qaio_session_reset(NULL));
    STATUS(INVALID_ARGUMENT, qaio_session_fork(NULL, &branch));
    STATUS(INVALID_ARGUMENT, qaio_session_fork(session, NULL));
    STATUS(INVALID_ARGUMENT, qaio_session_history(NULL, &history, &len));
    STATUS(INVALID_ARGUMENT, qaio_session_history(session, NULL, &len));
    STATUS(INVALID_ARGUMENT, qaio_session_reset((qaio_session *)(void *)model));
    STATUS(INVALID_ARGUMENT, qaio_session_fork((qaio_session *)(void *)model, &branch));
    STATUS(INVALID_ARGUMENT, qaio_session_history((qaio_session *)(void *)model, &history, &len));
    CHECK(branch == POISON(qaio_session) && history == POISON(const char) && len == 77);

    STATUS(OK, qaio_session_history(session, &history, &len));
    CHECK(len == 2 && strcmp(history, "[]") == 0);
    STATUS(OK, qaio_session_send(session, TEXT("a \"quoted\" \0 text"), SHORT, NULL, NULL, NULL, NULL, NULL, NULL));
    STATUS(OK, qaio_session_history(session, &history, NULL));
    CHECK(is_utf8(history, strlen(history)) && strstr(history, "\\\"quoted\\\" \\u0000 text") != NULL);
    CHECK(strstr(history, "\"role\":\"user\"") && strstr(history, "\"role\":\"assistant\"") && strstr(history, "\"label\":"));
    snprintf(before, sizeof(before), "%s", history);

    /* after a failure the history is as before */
    STATUS(EMPTY_TEXT, qaio_session_send(session, TEXT(" "), SHORT, NULL, NULL, NULL, NULL, NULL, NULL));
    STATUS(DEADLINE_EXCEEDED,
           qaio_session_send(session, TEXT(SAD), "{\"deadline_ms\": 0}", NULL, NULL, NULL, NULL, NULL, NULL));
    STATUS(OK, qaio_session_history(session, &history, NULL));
    CHECK(strcmp(history, before) == 0);

    /* a fork goes its own way */
    STATUS(OK, qaio_session_fork(session, &branch));
    STATUS(OK, qaio_session_send(branch, TEXT(SAD), SHORT, NULL, NULL, NULL, NULL, NULL, NULL));
    STATUS(OK, qaio_session_history(branch, &history, NULL));
    CHECK(strncmp(history, before, strlen(before) - 1) == 0 && strlen(history) > strlen(before));
    STATUS(OK, qaio_session_history(session, &history, NULL));
    CHECK(strcmp(history, before) == 0);
    STATUS(OK, qaio_session_reset(session));
    STATUS(OK, qaio_session_history(session, &history, NULL));
    CHECK(strcmp(history, "[]") == 0);
    qaio_session_free(session);
    STATUS(OK, qaio_session_send(branch, TEXT(HAPPY), SHORT, NULL, NULL, NULL, NULL, NULL, NULL));
    qaio_session_free(branch);
}

static void early_ends_stay_in_the_history(void)
{
    const char *text = talkative(), *history;
    qaio_session *session = new_session();
    struct script script;
    begin(&script);
    script.stop_at_piece = 1;
    STATUS(OK, qaio_session_send(session, text, strlen(text), GREEDY, NULL, on_sentiment, on_piece, &script, NULL, NULL));
    STATUS(OK, qaio_session_history(session, &history, NULL));
    CHECK(!script.bad && script.sentiments == 1 && strstr(history, "\"stop_reason\":\"callback\"") != NULL);
    begin(&script);
    script.stop_at_sentiment = 1;
    STATUS(OK, qaio_session_send(session, text, strlen(text), GREEDY, NULL, on_sentiment, on_piece, &script, NULL, NULL));
    STATUS(OK, qaio_session_send(session, text, strlen(text), GREEDY, NULL, NULL, NULL, NULL, NULL, NULL));
    qaio_session_free(session);
}

static void a_long_conversation_forgets(void)
{
    qaio_session *session = new_session();
    const char *history;
    int overflow = 0, round;
    for (round = 0; round < 3000 && !overflow; round++) {
        qaio_status status = qaio_session_send(session, TEXT(SAD), SHORT, NULL, NULL, NULL, NULL, NULL, NULL);
        overflow = status == QAIO_STATUS_CONTEXT_OVERFLOW;
        if (!CHECK(overflow || status == QAIO_STATUS_OK))
            break;
    }
    CHECK(overflow);
    STATUS(OK, qaio_session_send(session, TEXT(HAPPY), "{\"truncate\": true, \"max_tokens\": 2}", NULL, NULL, NULL, NULL,
                                 NULL, NULL));
    STATUS(OK, qaio_session_history(session, &history, NULL));
    qaio_session_free(session);
}

static qaio_status busy[5];

static void *use_session(void *session)
{
    qaio_session *out = POISON(qaio_session);
    const char *history = POISON(const char);
    busy[0] = qaio_session_send(session, TEXT(SAD), SHORT, NULL, NULL, NULL, NULL, NULL, NULL);
    MESSAGE_HAS("session is in the middle");
    busy[1] = qaio_session_reset(session);
    busy[2] = qaio_session_fork(session, &out);
    busy[3] = qaio_session_history(session, &history, NULL);
    CHECK(out == POISON(qaio_session) && history == POISON(const char));
    return NULL;
}

static int use_session_here(struct script *script)
{
    qaio_polarity polarity;
    qaio_reply *reply = NULL;
    use_session(script->data);
    /* everything else works from inside */
    STATUS(OK, qaio_model_classify_sentiment(model, TEXT(SAD), &polarity, NULL));
    STATUS(OK, qaio_model_reply(model, TEXT(SAD), NULL, SHORT, NULL, NULL, NULL, &reply));
    qaio_reply_free(reply);
    qaio_model_free(load());
    return 0;
}

static int use_session_elsewhere(struct script *script)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, use_session, script->data) == 0);
    pthread_join(thread, NULL);
    return 0;
}

static void busy_sessions(void)
{
    const char *text = talkative();
    int how, i;
    for (how = 0; how < 4; how++) {
        qaio_session *session = new_session();
        struct script script;
        begin(&script);
        script.data = session;
        script.stop_at_piece = 2;
        if (how < 2)
            script.at_sentiment = how ? use_session_elsewhere : use_session_here;
        else
            script.at_piece = how > 2 ? use_session_elsewhere : use_session_here;
        memset(busy, 0, sizeof(busy));
        STATUS(OK, qaio_session_send(session, text, strlen(text), GREEDY, NULL, on_sentiment, on_piece, &script, NULL, NULL));
        for (i = 0; i < 4; i++)
            CHECK(busy[i] == QAIO_STATUS_BUSY);
        CHECK(!script.bad);
        STATUS(OK, qaio_session_reset(session)); /* and afterwards it is free again */
        qaio_session_free(session);
    }
}

/* ---- threads ---- */

struct work {
    qaio_polarity polarity[2];
    double score[2];
    char reply[1024];
};

static void do_work(struct work *work)
{
    qaio_reply *reply = NULL;
    STATUS(OK, qaio_model_classify_sentiment(model, TEXT(HAPPY), &work->polarity[0], &work->score[0]));
    STATUS(OK, qaio_model_classify_sentiment(model, TEXT(SAD), &work->polarity[1], &work->score[1]));
    STATUS(OK, qaio_model_reply(model, TEXT(SAD), NULL, "{\"temperature\": 0, \"max_tokens\": 8}", NULL, NULL, NULL, &reply));
    snprintf(work->reply, sizeof(work->reply), "%s", qaio_reply_text(reply, NULL));
    qaio_reply_free(reply);
}

static void *same_work(void *wanted)
{
    int round;
    for (round = 0; round < 10; round++) {
        struct work work;
        memset(&work, 0, sizeof(work));
        do_work(&work);
        CHECK(memcmp(&work, wanted, sizeof(work)) == 0);
    }
    return NULL;
}

static void *load_and_free(void *unused)
{
    int round;
    (void)unused;
    for (round = 0; round < 10; round++)
        qaio_model_free(load());
    return NULL;
}

static void many_threads(void)
{
    pthread_t threads[8];
    struct work wanted;
    int i;
    memset(&wanted, 0, sizeof(wanted));
    do_work(&wanted);
    for (i = 0; i < 8; i++)
        CHECK(pthread_create(&threads[i], NULL, same_work, &wanted) == 0);
    for (i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    /* and loading while others load and free: with no handle held there is a first and a last one again and again */
    qaio_model_free(model);
    for (i = 0; i < 8; i++)
        CHECK(pthread_create(&threads[i], NULL, load_and_free, NULL) == 0);
    for (i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    model = load();
    memset(&wanted.reply, 0, sizeof(wanted.reply));
}

/* ---- fork ---- */

static int forked_child(qaio_session *session, qaio_sentiment *sentiment, qaio_reply *reply, qaio_cancel *token)
{
    qaio_model *again = POISON(qaio_model);
    qaio_polarity polarity = (qaio_polarity)-7;
    qaio_session *branch = POISON(qaio_session);
    qaio_cancel *other = POISON(qaio_cancel);
    qaio_sentiment *found = POISON(qaio_sentiment);
    const char *json = POISON(const char);
    int before = failures;
    alarm(60);
    STATUS(FORKED, qaio_model_classify_sentiment(model, TEXT(HAPPY), &polarity, NULL));
    MESSAGE_HAS("fork");
    STATUS(FORKED, qaio_model_load(NULL, NULL, NULL, &again));
    STATUS(FORKED, qaio_model_load_memory((const uint8_t *)"GGUF", 4, NULL, NULL, &again));
    STATUS(FORKED, qaio_model_info(model, &json, NULL));
    STATUS(FORKED, qaio_model_sentiment(model, TEXT(HAPPY), NULL, NULL, &found));
    STATUS(FORKED, qaio_model_reply(model, TEXT(HAPPY), NULL, NULL, NULL, NULL, NULL, NULL));
    STATUS(FORKED, qaio_model_turn(model, TEXT(HAPPY), NULL, NULL, NULL, NULL, NULL, NULL, NULL));
    STATUS(FORKED, qaio_session_create(model, NULL, &branch));
    STATUS(FORKED, qaio_session_send(session, TEXT(HAPPY), NULL, NULL, NULL, NULL, NULL, NULL, NULL));
    STATUS(FORKED, qaio_session_reset(session));
    STATUS(FORKED, qaio_session_fork(session, &branch));
    STATUS(FORKED, qaio_session_history(session, &json, NULL));
    STATUS(FORKED, qaio_cancel_create(&other));
    STATUS(FORKED, qaio_cancel_set(token));
    STATUS(FORKED, qaio_cancel_reset(token));
    STATUS(FORKED, qaio_log_set(QAIO_LOG_LEVEL_OFF, NULL, NULL));
    CHECK(again == POISON(qaio_model) && branch == POISON(qaio_session) && other == POISON(qaio_cancel));
    CHECK(found == POISON(qaio_sentiment) && json == POISON(const char) && polarity == (qaio_polarity)-7);
    CHECK(qaio_abi_version() == QAIO_ABI_VERSION && strcmp(qaio_status_name(17), "QAIO_STATUS_FORKED") == 0);
    CHECK(strlen(qaio_sentiment_label(sentiment, NULL)) == 6 && qaio_reply_text(reply, NULL) != NULL);
    qaio_sentiment_free(sentiment);
    qaio_reply_free(reply);
    qaio_session_free(session);
    qaio_cancel_free(token);
    qaio_model_free(model);
    return failures > before;
}

static void *keep_busy(void *stop)
{
    while (!*(volatile int *)stop) {
        qaio_polarity polarity;
        STATUS(OK, qaio_model_classify_sentiment(model, TEXT(SAD), &polarity, NULL));
    }
    return NULL;
}

static void forks(void)
{
    qaio_session *session = new_session();
    qaio_sentiment *sentiment = new_sentiment();
    qaio_reply *reply = new_reply(SHORT);
    qaio_cancel *token = new_cancel();
    volatile int stop = 0;
    pthread_t thread;
    int result = -1, round;
    CHECK(pthread_create(&thread, NULL, keep_busy, (void *)&stop) == 0);
    for (round = 0; round < 3; round++) {
        pid_t child;
        fflush(NULL);
        pthread_mutex_lock(&counting); /* so that the child does not inherit it locked by the other thread */
        child = fork();
        pthread_mutex_unlock(&counting);
        if (child == 0)
            _exit(forked_child(session, sentiment, reply, token));
        CHECK(waitpid(child, &result, 0) == child && WIFEXITED(result) && WEXITSTATUS(result) == 0);
        if (WIFSIGNALED(result))
            fprintf(stderr, "    the child was ended by signal %d\n", WTERMSIG(result));
    }
    stop = 1;
    pthread_join(thread, NULL);
    /* the parent goes on */
    STATUS(OK, qaio_session_send(session, TEXT(SAD), SHORT, NULL, NULL, NULL, NULL, NULL, NULL));
    qaio_session_free(session);
    qaio_sentiment_free(sentiment);
    qaio_reply_free(reply);
    qaio_cancel_free(token);
}

int main(int argc, char **argv)
{
    gguf_path = argc > 1 ? argv[1] : NULL;
    versions_and_names();

    in_child("a_child_made_before_the_first_use_may_load", a_child_made_before_the_first_use_may_load);
    in_child("the_log_may_load", the_log_may_load);
    in_child("a_running_call_keeps_the_model", a_running_call_keeps_the_model);
    in_child("the_same_options_are_no_conflict", the_same_options_are_no_conflict);

    RUN(free_takes_null);
    RUN(log_callback);
    RUN(load_refuses);
    RUN(load_from_a_file);

    model = load();
    usual_session = new_session();
    RUN(one_model_per_process);
    RUN(info);
    RUN(texts);
    RUN(not_nul_terminated);
    RUN(owners);
    RUN(missing_outputs);
    RUN(options);
    RUN(long_texts);
    RUN(sentiment_getters);
    RUN(reply_getters);
    RUN(free_in_any_order);
    RUN(last_error);
    RUN(pieces_are_the_reply);
    RUN(a_callback_stops);
    RUN(lengths_and_stop_strings);
    RUN(same_seed_same_reply);
    RUN(cancel);
    RUN(cancel_from_a_second_thread);
    RUN(deadlines);
    RUN(sessions);
    RUN(early_ends_stay_in_the_history);
    RUN(a_long_conversation_forgets);
    RUN(busy_sessions);
    RUN(forks);
    qaio_session_free(usual_session);
    usual_session = NULL;
    RUN(a_session_keeps_the_model);
    RUN(many_threads);
    qaio_model_free(model);

    printf("%d checks, %d failed\n", checks, failures);
    return failures != 0;
}
