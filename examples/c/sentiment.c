/* Is this text happy?   ./sentiment "I finally fixed the bug!" */
#include <qaio.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : "终于把bug修完了，感觉整个人都轻松了！";

    qaio_model *model;
    if (qaio_model_load(NULL, NULL, NULL, &model) != QAIO_STATUS_OK) {
        fprintf(stderr, "sentiment: %s\n", qaio_last_error());
        return 1;
    }

    qaio_polarity polarity;
    double score;
    qaio_status status = qaio_model_classify_sentiment(model, text, strlen(text), &polarity, &score);
    if (status == QAIO_STATUS_OK)
        printf("%s (%.2f): %s\n", polarity == QAIO_POLARITY_POSITIVE ? "happy" : "unhappy", score, text);
    else
        fprintf(stderr, "sentiment: %s\n", qaio_last_error());

    qaio_model_free(model);
    return status != QAIO_STATUS_OK;
}
