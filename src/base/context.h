/* SPDX-License-Identifier: Apache-2.0 */
/* What hangs on a context: allocator, pool, backend, events, modules. No other state is shared. */
#ifndef TUB__BASE_CONTEXT_H
#define TUB__BASE_CONTEXT_H

#include "base/alloc.h"
#include "base/pool.h"
#include <pthread.h>
#include <signal.h>

enum { TUB__MODULE_LIMIT = 16 };

typedef struct tub__open_module {
    char name[16];
    void *handle;
    const void *table;
} tub__open_module;

struct tub_context {
    tub_allocator allocator;
    tub__pool *pool;
    struct tub__backend *backend; /* made by context/context.c, which knows the backends */
    tub_precision precision;      /* of models that are read, or made for inference */
    tub_event_fn *on_event;
    void *event_user;
    char *module_folder;        /* NULL: the built-in search */
    char *command;              /* how the program was called; NULL: not known */
    char *data_folder;          /* cache of downloads; resolved at creation */
    volatile sig_atomic_t stop; /* set by tub_train_stop, from a signal handler perhaps */
    tub__open_module modules[TUB__MODULE_LIMIT];
    int module_count;
    pthread_mutex_t module_lock;
    pthread_mutex_t event_lock; /* one event at a time: files are opened by several threads */
};

/* Sends an event to the context's receiver, if there is one. */
void tub__emit(tub_context *ctx, const tub_event *event);
/* A log line (no newline). */
void tub__log_line(tub_context *ctx, tub_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
