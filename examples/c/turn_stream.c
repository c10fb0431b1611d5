/* The sentiment of a message, then the reply as it comes.   ./turn_stream "项目延期了，客户又要投诉，压力好大。" */
#include <qaio.h>
#include <stdio.h>
#include <string.h>

/* Called once, before the first word of the reply, with the sentiment as JSON. */
static int32_t on_sentiment(void *user_data, const char *json, size_t len)
{
    (void)user_data, (void)len;
    printf("😄 LLM 情感判断: %s\n", strstr(json, "\"label\":\"正面\"") ? "正面" : "负面");
    return 0;
}

/* Called for each piece of the reply; returning anything but 0 would end it here. */
static int32_t on_piece(void *user_data, const char *piece, size_t len)
{
    fwrite(piece, 1, len, stdout);
    fflush(stdout);
    *(size_t *)user_data += len;
    return 0;
}

int main(int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : "项目延期了，客户又要投诉，压力好大。";
    const char *options = "{\"max_tokens\": 100, \"temperature\": 0, \"deadline_ms\": 60000}";

    qaio_model *model;
    if (qaio_model_load(NULL, NULL, NULL, &model) != QAIO_STATUS_OK) {
        fprintf(stderr, "turn_stream: %s\n", qaio_last_error());
        return 1;
    }

    size_t bytes = 0;
    qaio_reply *reply;
    qaio_status status =
        qaio_model_turn(model, text, strlen(text), options, NULL, on_sentiment, on_piece, &bytes, NULL, &reply);
    qaio_model_free(model); /* the reply stays */

    if (status != QAIO_STATUS_OK) {
        fprintf(stderr, "turn_stream: %s\n", qaio_last_error());
        return 1;
    }
    const char *end = qaio_reply_stop_reason(reply) == QAIO_STOP_REASON_END ? "" : " […]";
    printf("%s\n(%zu bytes)\n", end, bytes);
    qaio_reply_free(reply);
    return 0;
}
