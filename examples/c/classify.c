/* Which label does each text have?   ./classify intent "请问几点开门？" "快递三天没动静，客服也不回" */
#include <qaio.h>
#include <stdio.h>
#include <string.h>

static int fail(qaio_model *model, qaio_task *task)
{
    fprintf(stderr, "classify: %s\n", qaio_last_error());
    qaio_task_free(task);
    qaio_model_free(model);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "classify TASK TEXT...    TASK: sentiment, intent, language, or the JSON of a task file\n");
        return 2;
    }
    qaio_model *model = NULL;
    qaio_task *task = NULL;
    qaio_batch *batch = NULL;
    if (qaio_model_load(NULL, NULL, NULL, &model) != QAIO_STATUS_OK)
        return fail(model, task);
    if (qaio_task_create(model, argv[1], NULL, &task) != QAIO_STATUS_OK)
        return fail(model, task);

    size_t count = (size_t)argc - 2;
    const char *const *texts = (const char *const *)argv + 2;
    if (qaio_task_classify_batch(task, texts, NULL, count, NULL, NULL, NULL, NULL, &batch) != QAIO_STATUS_OK)
        return fail(model, task);
    for (size_t row = 0; row < count; row++) {
        qaio_classification *found = NULL;
        if (qaio_batch_row(batch, row, &found) == QAIO_STATUS_OK)
            printf("%s (%.2f): %s\n", qaio_classification_label(found, NULL), qaio_classification_score(found), texts[row]);
        else
            printf("(%s): %s\n", qaio_last_error(), texts[row]);
        qaio_classification_free(found);
    }
    qaio_batch_free(batch);
    qaio_task_free(task);
    qaio_model_free(model);
    return 0;
}
