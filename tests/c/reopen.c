/* Opens and closes the library at run time, as plug-ins are: reopen <path of the library>. */
#include "qaio.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* ISO C knows no way from an object pointer to a function pointer but through memory. */
static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof(symbol));
}

int main(int argc, char **argv)
{
    int round;
    for (round = 0; round < 100; round++) {
        qaio_status (*load)(const char *, const char *, const qaio_cancel *, qaio_model **) = NULL;
        qaio_status (*classify)(const qaio_model *, const char *, size_t, qaio_polarity *, double *) = NULL;
        void (*release)(qaio_model *) = NULL;
        qaio_model *model = NULL;
        qaio_polarity polarity;
        void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
        if (!library) {
            fprintf(stderr, "%s\n", argc > 1 ? dlerror() : "usage: reopen <path of the library>");
            return 1;
        }
        find(library, "qaio_model_load", &load);
        find(library, "qaio_model_classify_sentiment", &classify);
        find(library, "qaio_model_free", &release);
        if (!load || !classify || !release)
            return 2;
        if (load(NULL, NULL, NULL, &model) != QAIO_STATUS_OK || classify(model, "好", 3, &polarity, NULL) != QAIO_STATUS_OK)
            return 3;
        release(model);
        if (dlclose(library) != 0)
            return 4;
    }
    return 0;
}
