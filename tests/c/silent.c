/* Makes calls that fail and calls that succeed. Nothing of that may show on stdout or stderr; the exit code tells. */
#include "qaio.h"

#include <string.h>

static int32_t ignore(void *user_data, const char *piece, size_t len)
{
    (void)user_data, (void)piece, (void)len;
    return 0;
}

int main(void)
{
    qaio_model *model = NULL;
    qaio_session *session = NULL;
    qaio_sentiment *sentiment = NULL;
    qaio_reply *reply = NULL;
    qaio_polarity polarity;
    const char *text = "今天好累啊";
    size_t len = strlen(text);
    int failed = 0;

    failed += qaio_model_load(NULL, "{\"thread\": 1}", NULL, &model) == QAIO_STATUS_UNKNOWN_OPTION;
    failed += qaio_model_load("no/such/model", NULL, NULL, &model) == QAIO_STATUS_NOT_FOUND;
    failed += qaio_model_load("/", NULL, NULL, &model) == QAIO_STATUS_MODEL_INCOMPLETE;
    failed += qaio_model_load_memory((const uint8_t *)"GGUF\x03\0\0\0", 8, NULL, NULL, &model) == QAIO_STATUS_MODEL_CORRUPT;
    failed += qaio_model_classify_sentiment(NULL, text, len, &polarity, NULL) == QAIO_STATUS_INVALID_ARGUMENT;
    if (qaio_model_load(NULL, NULL, NULL, &model) != QAIO_STATUS_OK)
        return 1;
    failed += qaio_model_classify_sentiment(model, "\xff", 1, &polarity, NULL) == QAIO_STATUS_INVALID_UTF8;
    failed += qaio_model_sentiment(model, text, len, "{\"deadline_ms\": 0}", NULL, &sentiment) == QAIO_STATUS_DEADLINE_EXCEEDED;
    failed += qaio_session_create(model, NULL, &session) != QAIO_STATUS_OK;
    failed += qaio_session_send(session, "", 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL) == QAIO_STATUS_EMPTY_TEXT;
    if (qaio_session_send(session, text, len, "{\"max_tokens\": 8}", NULL, ignore, ignore, NULL, &sentiment, &reply) != QAIO_STATUS_OK)
        return 2;
    qaio_model_free(model);
    qaio_session_free(session);
    qaio_sentiment_free(sentiment);
    qaio_reply_free(reply);
    return failed == 8 ? 0 : 3;
}
