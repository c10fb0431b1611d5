/* Runs a test in a child of its own, so that it may hang or crash without taking the others along. Include check.h first. */
#ifndef CHILD_H
#define CHILD_H

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* The child must find the library unused. It ends by exit, so that what runs then is tested too. */
static void in_child(const char *name, void (*test)(void))
{
    int result = -1;
    pid_t child;
    fflush(NULL);
    child = fork();
    if (child == 0) {
        failures = 0;
        alarm(120);
        test();
        fflush(NULL);
        exit(failures ? 1 : 0);
    }
    if (!CHECK(waitpid(child, &result, 0) == child))
        return;
    if (!count(WIFEXITED(result) && WEXITSTATUS(result) == 0)) {
        if (WIFSIGNALED(result))
            fprintf(stderr, "%s: ended by signal %d%s\n", name, WTERMSIG(result),
                    WTERMSIG(result) == SIGALRM ? " (it hung)" : "");
        else
            fprintf(stderr, "%s: failed in its child, exit status %d\n", name, WEXITSTATUS(result));
    }
}

#endif
