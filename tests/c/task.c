/*
 * Tasks, classifications and batches of qaio.h, used rightly and wrongly by a C program.
 *
 * Prints what failed; exits with 0 if nothing did. Says nothing about what the model thinks, so any model will do.
 */
#define _POSIX_C_SOURCE 200809L

#include "check.h"

#include <math.h>

static const char URGENT[] = "{\"name\": \"urgency\", \"system\": \"判断是否紧急，只回答紧急或不紧急。\","
                             " \"template\": \"文本：{text}\\n\", \"labels\": [\"紧急\", \"不紧急\"]}";

static qaio_model *model;

static qaio_task *make(const char *definition)
{
    qaio_task *task = NULL;
    if (!STATUS(OK, qaio_task_create(model, definition, NULL, &task)))
        exit(1);
    return task;
}

static void tasks_are_made(void)
{
    static const struct {
        const char *definition;
        qaio_status status;
        const char *part;
    } bad[] = {
        {"", QAIO_STATUS_NOT_FOUND, "sentiment, intent, language"},
        {"intents", QAIO_STATUS_NOT_FOUND, "\"intents\""},
        {"{", QAIO_STATUS_INVALID_TASK, "EOF"},
        {"{} {}", QAIO_STATUS_INVALID_TASK, "name"},
        {"{\"name\": 1}", QAIO_STATUS_INVALID_TASK, "\"name\""},
        {"{\"name\": \"a\", \"system\": \"s\", \"template\": \"{text}\", \"labels\": [\"x\"]}", QAIO_STATUS_INVALID_TASK, "labels"},
        {"{\"name\": \"a\", \"system\": \"s\", \"template\": \"t\", \"labels\": [\"x\", \"y\"]}", QAIO_STATUS_INVALID_TASK, "template"},
        {"{\"name\": \"\xff\"}", QAIO_STATUS_INVALID_UTF8, "definition"},
    };
    size_t i, len;
    qaio_task *task;
    const char *json;
    qaio_cancel *token = NULL;
    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        task = POISON(qaio_task);
        CHECK(qaio_task_create(model, bad[i].definition, NULL, &task) == bad[i].status);
        MESSAGE_HAS(bad[i].part);
        CHECK(task == POISON(qaio_task));
    }
    STATUS(INVALID_ARGUMENT, qaio_task_create(NULL, URGENT, NULL, &task));
    STATUS(INVALID_ARGUMENT, qaio_task_create(model, NULL, NULL, &task));
    STATUS(INVALID_ARGUMENT, qaio_task_create(model, URGENT, NULL, NULL));
    STATUS(INVALID_ARGUMENT, qaio_task_create((qaio_model *)(void *)URGENT, URGENT, NULL, &task));

    STATUS(OK, qaio_cancel_create(&token));
    STATUS(OK, qaio_cancel_set(token));
    STATUS(CANCELLED, qaio_task_create(model,
        "{\"name\": \"a\", \"system\": \"s\", \"template\": \"{text}\", \"labels\": [\"x\", \"y\"],"
        " \"calibration\": {\"content_free\": [\"N/A\"]}}", token, &task));
    qaio_cancel_free(token);

    task = make("intent");
    STATUS(OK, qaio_task_definition(task, &json, &len));
    CHECK(strlen(json) == len && strstr(json, "咨询") && json[0] == '{');
    qaio_task_free(make(json)); /* a definition that was given out can be given back */
    STATUS(OK, qaio_task_definition(task, &json, NULL));
    STATUS(INVALID_ARGUMENT, qaio_task_definition(task, NULL, &len));
    STATUS(INVALID_ARGUMENT, qaio_task_definition(NULL, &json, &len));
    qaio_task_free(task);
    STATUS(INVALID_ARGUMENT, qaio_task_definition((qaio_task *)(void *)model, &json, NULL));
    qaio_task_free(NULL);
}

static void a_text_is_classified(void)
{
    qaio_task *task = make(URGENT);
    qaio_classification *found = POISON(qaio_classification);
    size_t len, i;
    double sum = 0;
    STATUS(INVALID_ARGUMENT, qaio_task_classify(NULL, TEXT("火！"), NULL, NULL, &found));
    STATUS(INVALID_ARGUMENT, qaio_task_classify(task, TEXT("火！"), NULL, NULL, NULL));
    STATUS(INVALID_ARGUMENT, qaio_task_classify(task, NULL, 3, NULL, NULL, &found));
    STATUS(EMPTY_TEXT, qaio_task_classify(task, NULL, 0, NULL, NULL, &found));
    STATUS(INVALID_UTF8, qaio_task_classify(task, TEXT("\xff"), NULL, NULL, &found));
    STATUS(UNKNOWN_OPTION, qaio_task_classify(task, TEXT("火！"), "{\"treshold\": 1}", NULL, &found));
    STATUS(INVALID_OPTION, qaio_task_classify(task, TEXT("火！"), "{\"threshold\": 2}", NULL, &found));
    STATUS(DEADLINE_EXCEEDED, qaio_task_classify(task, TEXT("火！"), "{\"deadline_ms\": 0}", NULL, &found));
    CHECK(found == POISON(qaio_classification));

    STATUS(OK, qaio_task_classify(task, TEXT("火！"), "{\"threshold\": 1}", NULL, &found));
    i = (size_t)qaio_classification_index(found);
    CHECK(i < 2 && qaio_classification_probability(found, i) == qaio_classification_score(found));
    for (i = 0; i < 2; i++)
        sum += qaio_classification_probability(found, i);
    CHECK(fabs(sum - 1) < 1e-9 && qaio_classification_probability(found, 2) == 0);
    CHECK(strstr(qaio_classification_label(found, &len), "紧急") && len == strlen(qaio_classification_label(found, NULL)));
    CHECK(strcmp(qaio_classification_id(found, NULL), qaio_classification_label(found, NULL)) == 0);
    CHECK(qaio_classification_label_mass(found) >= 0 && qaio_classification_label_mass(found) <= 1);
    CHECK(qaio_classification_unsure(found) == 1);
    CHECK(strstr(qaio_classification_json(found, &len), "\"probabilities\"") && len > 20);
    qaio_task_free(task); /* a result outlives its task */
    CHECK(qaio_classification_score(found) >= 0.5);
    qaio_classification_free(found);

    qaio_classification_free(NULL);
    CHECK(qaio_classification_index(NULL) == -1 && qaio_classification_score(NULL) == 0);
    CHECK(qaio_classification_probability(NULL, 0) == 0 && qaio_classification_label_mass(NULL) == 0);
    CHECK(qaio_classification_unsure(NULL) == 0 && !qaio_classification_json(NULL, NULL));
    CHECK(!qaio_classification_label(NULL, &len) && !qaio_classification_id(NULL, NULL));
}

#define MANY 150

static int32_t stop_after(void *most, const char *json, size_t len)
{
    CHECK(json[len] == 0 && strstr(json, "\"total\": 150"));
    return --*(int *)most < 0;
}

static void batches(void)
{
    static const char *texts[MANY];
    static size_t lens[MANY];
    static int32_t truth[MANY];
    qaio_task *task = make("sentiment");
    qaio_batch *batch = POISON(qaio_batch);
    qaio_classification *found = NULL;
    const char *json;
    const double *probabilities;
    const int32_t *indexes;
    size_t labels = 0, i;
    int most = 0;
    for (i = 0; i < MANY; i++) {
        texts[i] = i % 3 ? "今天真开心" : "What an awful day, again.";
        lens[i] = strlen(texts[i]);
        truth[i] = i % 3 ? 1 : 0;
    }
    texts[7] = "\xff";
    lens[7] = 1;
    lens[8] = 0;
    truth[9] = -1;

    STATUS(INVALID_ARGUMENT, qaio_task_classify_batch(NULL, texts, lens, MANY, NULL, NULL, NULL, NULL, &batch));
    STATUS(INVALID_ARGUMENT, qaio_task_classify_batch(task, texts, lens, MANY, NULL, NULL, NULL, NULL, NULL));
    STATUS(INVALID_ARGUMENT, qaio_task_classify_batch(task, NULL, lens, MANY, NULL, NULL, NULL, NULL, &batch));
    STATUS(INVALID_ARGUMENT, qaio_task_classify_batch(task, texts, lens, (size_t)-1, NULL, NULL, NULL, NULL, &batch));
    STATUS(INVALID_OPTION, qaio_task_classify_batch(task, texts, lens, MANY, "[]", NULL, NULL, NULL, &batch));
    CHECK(batch == POISON(qaio_batch));

    /* one bad row is one error */
    STATUS(OK, qaio_task_classify_batch(task, texts, lens, MANY, NULL, NULL, NULL, NULL, &batch));
    CHECK(qaio_batch_count(batch) == MANY);
    indexes = qaio_batch_indexes(batch);
    probabilities = qaio_batch_probabilities(batch, &labels);
    CHECK(labels == 2 && probabilities == qaio_batch_probabilities(batch, NULL));
    for (i = 0; i < MANY; i++) {
        if (i == 7 || i == 8) {
            CHECK(indexes[i] == -1 && isnan(probabilities[2 * i]) && isnan(probabilities[2 * i + 1]));
        } else {
            CHECK(indexes[i] == indexes[i % 3]);
            CHECK(fabs(probabilities[2 * i] + probabilities[2 * i + 1] - 1) < 1e-9);
        }
    }
    STATUS(INVALID_UTF8, qaio_batch_row(batch, 7, &found));
    STATUS(EMPTY_TEXT, qaio_batch_row(batch, 8, &found));
    STATUS(INVALID_ARGUMENT, qaio_batch_row(batch, MANY, &found));
    MESSAGE_HAS("150");
    STATUS(INVALID_ARGUMENT, qaio_batch_row(batch, 0, NULL));
    STATUS(OK, qaio_batch_row(batch, 1, &found));
    CHECK(qaio_classification_index(found) == indexes[1]);
    qaio_classification_free(found);

    /* figures and fit */
    STATUS(OK, qaio_batch_evaluate(batch, truth, MANY, &json, &i));
    CHECK(strlen(json) == i && strstr(json, "\"rows\":147") && strstr(json, "\"failed\":2") && strstr(json, "\"confusion\""));
    STATUS(INVALID_ARGUMENT, qaio_batch_evaluate(batch, truth, MANY - 1, &json, NULL));
    STATUS(INVALID_ARGUMENT, qaio_batch_evaluate(batch, truth, MANY, NULL, NULL));
    STATUS(INVALID_ARGUMENT, qaio_batch_evaluate(batch, NULL, MANY, &json, NULL));
    STATUS(INVALID_ARGUMENT, qaio_batch_evaluate(NULL, truth, MANY, &json, NULL));
    truth[0] = 2;
    STATUS(INVALID_ARGUMENT, qaio_batch_fit(batch, truth, MANY, &json, NULL));
    MESSAGE_HAS("row 0");
    truth[0] = 0;
    STATUS(OK, qaio_batch_fit(batch, truth, MANY, &json, NULL));
    CHECK(strstr(json, "\"bias\"") && strstr(json, "\"temperature\""));
    qaio_task_free(make(json));
    STATUS(INVALID_ARGUMENT, qaio_batch_fit(NULL, truth, MANY, &json, NULL));
    qaio_batch_free(batch);

    /* all NUL-terminated; a NULL among them is that row's error */
    texts[7] = NULL;
    STATUS(OK, qaio_task_classify_batch(task, texts, NULL, MANY, NULL, NULL, NULL, NULL, &batch));
    STATUS(INVALID_ARGUMENT, qaio_batch_row(batch, 7, &found));
    CHECK(qaio_batch_indexes(batch)[8] >= 0);
    qaio_batch_free(batch);

    /* ended early: what is done stays */
    STATUS(OK, qaio_task_classify_batch(task, texts, lens, MANY, NULL, NULL, stop_after, &most, &batch));
    CHECK(qaio_batch_count(batch) == MANY && qaio_batch_indexes(batch)[0] >= 0);
    CHECK(qaio_batch_indexes(batch)[MANY - 1] == -1);
    STATUS(CANCELLED, qaio_batch_row(batch, MANY - 1, &found));
    qaio_batch_free(batch);
    STATUS(OK, qaio_task_classify_batch(task, texts, lens, MANY, "{\"deadline_ms\": 0}", NULL, NULL, NULL, &batch));
    STATUS(DEADLINE_EXCEEDED, qaio_batch_row(batch, 0, &found));
    STATUS(INVALID_ARGUMENT, qaio_batch_evaluate(batch, truth, MANY, &json, NULL)); /* nothing to compare */
    qaio_batch_free(batch);

    /* none at all */
    STATUS(OK, qaio_task_classify_batch(task, NULL, NULL, 0, NULL, NULL, NULL, NULL, &batch));
    CHECK(qaio_batch_count(batch) == 0);
    qaio_task_free(task);
    qaio_batch_free(batch);
    qaio_batch_free(NULL);
    CHECK(qaio_batch_count(NULL) == 0 && !qaio_batch_indexes(NULL) && !qaio_batch_probabilities(NULL, &labels));
    STATUS(INVALID_ARGUMENT, qaio_batch_row(NULL, 0, &found));
}

static qaio_task *shared_task;

static void *classify_often(void *wanted)
{
    int i;
    for (i = 0; i < 20; i++) {
        qaio_classification *found = NULL;
        STATUS(OK, qaio_task_classify(shared_task, TEXT("请问几点开门"), NULL, NULL, &found));
        CHECK(qaio_classification_score(found) == *(double *)wanted);
        qaio_classification_free(found);
    }
    return NULL;
}

static void threads_share_a_task(void)
{
    pthread_t threads[4];
    qaio_classification *found = NULL;
    double wanted;
    int i;
    shared_task = make("intent");
    STATUS(OK, qaio_task_classify(shared_task, TEXT("请问几点开门"), NULL, NULL, &found));
    wanted = qaio_classification_score(found);
    qaio_classification_free(found);
    for (i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, classify_often, &wanted) == 0);
    for (i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    qaio_task_free(shared_task);
}

static void a_task_keeps_the_model(void)
{
    qaio_task *task = make("language");
    qaio_classification *found = NULL;
    qaio_model_free(model);
    STATUS(OK, qaio_task_classify(task, TEXT("Guten Tag"), NULL, NULL, &found));
    qaio_task_free(task);
    qaio_classification_free(found);
}

int main(void)
{
    STATUS(OK, qaio_model_load(NULL, NULL, NULL, &model));
    RUN(tasks_are_made);
    RUN(a_text_is_classified);
    RUN(batches);
    RUN(threads_share_a_task);
    RUN(a_task_keeps_the_model);
    printf("%d checks, %d failed\n", checks, failures);
    return failures != 0;
}
