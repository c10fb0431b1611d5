/* Opens and closes libraries at run time, as plug-ins are, all of them at once: reopen <path of a library>… */
#include "qaio.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 8 };

/* ISO C knows no way from an object pointer to a function pointer but through memory. */
static void find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof(symbol));
}

int main(int argc, char **argv)
{
    void *libraries[MOST];
    qaio_model *models[MOST] = {NULL};
    void (*release[MOST])(qaio_model *);
    int round, at, count = argc - 1;
    if (count < 1 || count > MOST) {
        fprintf(stderr, "usage: reopen <path of a library>…\n");
        return 1;
    }
    for (round = 0; round < 100; round++) {
        for (at = 0; at < count; at++) {
            qaio_status (*load)(const char *, const char *, const qaio_cancel *, qaio_model **) = NULL;
            qaio_status (*classify)(const qaio_model *, const char *, size_t, qaio_polarity *, double *) = NULL;
            qaio_polarity polarity;
            libraries[at] = dlopen(argv[at + 1], RTLD_NOW | RTLD_LOCAL);
            if (!libraries[at]) {
                fprintf(stderr, "%s\n", dlerror());
                return 1;
            }
            find(libraries[at], "qaio_model_load", &load);
            find(libraries[at], "qaio_model_classify_sentiment", &classify);
            find(libraries[at], "qaio_model_free", &release[at]);
            if (!load || !classify || !release[at])
                return 2;
            /* Each library has its own model: other options would be a conflict within one. */
            if (load(NULL, at == 0 ? "{\"threads\": 1}" : "{\"threads\": 2}", NULL, &models[at]) != QAIO_STATUS_OK ||
                classify(models[at], "好", 3, &polarity, NULL) != QAIO_STATUS_OK)
                return 3;
        }
        for (at = 0; at < count; at++) {
            release[at](models[at]);
            if (dlclose(libraries[at]) != 0)
                return 4;
        }
    }
    return 0;
}
