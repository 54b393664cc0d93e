/* SPDX-License-Identifier: Apache-2.0 */
/* Makes one mistake on purpose. In a sanitizer build each of its tests must fail: else the
 * sanitizers are not at work and their silence means nothing. */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int shared;

static void *count(void *argument) {
    for (int i = 0; i < 100000; i++) {
        shared++;
    }
    return argument;
}

static void race(void) {
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) {
        if (pthread_create(&thread[i], NULL, count, NULL) != 0) {
            return;
        }
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
    }
}

static void overflow(void) {
    volatile int size = 10;
    volatile char *block = malloc((size_t)size);
    block[size] = 1;
    free((void *)block);
}

static void leak(void) {
    void *volatile block = malloc(100);
    printf("%d\n", block != NULL);
    block = NULL;
}

static void arithmetic(void) {
    volatile int large = INT_MAX;
    large = large + 1;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*make)(void);
    } mistakes[] = {
        {"race", race}, {"overflow", overflow}, {"leak", leak}, {"arithmetic", arithmetic}};
    for (size_t i = 0; argc == 2 && i < sizeof mistakes / sizeof mistakes[0]; i++) {
        if (strcmp(argv[1], mistakes[i].name) == 0) {
            mistakes[i].make();
            return 0;
        }
    }
    return 0; /* an unknown name is no mistake either: its test fails by passing */
}
