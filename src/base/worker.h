/* SPDX-License-Identifier: Apache-2.0 */
/* Work on bytes of unknown origin, done by a module in a process of its own: it may use only so
 * much memory and time, can open nothing, has no network, and its death costs one sentence. */
#ifndef TUB__BASE_WORKER_H
#define TUB__BASE_WORKER_H

#include "base/context.h"
#include "base/file.h"
#include "base/wire.h"

typedef struct tub__worker_job {
    const char *module;    /* "hdf5": its table is a tub__worker_module */
    const char *verb;      /* what the module is to do */
    int input;             /* descriptor of a file; stays open */
    size_t memory;         /* most bytes of address space */
    size_t output;         /* most bytes of the answer */
    unsigned seconds;      /* most processor time */
    unsigned wall_seconds; /* most time by the clock; 0: some times as much as `seconds` */
} tub__worker_job;

/* Runs the job and waits for its end. *answer: a stream of records (base/wire.h), which the worker
 * can't change any more; the caller's (tub__map_close). Errors: TUB_E_MODULE (it is not installed,
 * or lacks a library), TUB_E_FORMAT (the worker crashed or went on too long), TUB_E_RANGE (too long
 * an answer), TUB_E_UNSUPPORTED (this system can't confine a process). Sentences do not name the
 * input. */
TUB_MUST_USE tub_status tub__worker_run(tub_context *ctx, const tub__worker_job *job,
                                        tub__map *answer, tub_error *err);

/* An empty file in memory, for the input of a job; the caller closes it. */
TUB_MUST_USE tub_status tub__worker_file(int *fd, tub_error *err);

/* The program beside the modules, and the descriptors and arguments that it is started with:
 * worker MODULE-FILE VERB MEMORY OUTPUT SECONDS. */
#define TUB__WORKER_PROGRAM "worker"
/* How names begin of what a module that opens files may open: its input (modules/confine.h). */
#define TUB__WORKER_INPUT_NAME "the upload"
/* Exit codes: the answer does not fit; the module can't be loaded, and the answer says why. */
enum { TUB__WORKER_TOO_LONG = 3, TUB__WORKER_NOT_LOADED };
enum { TUB__WORKER_INPUT = 3, TUB__WORKER_OUTPUT, TUB__WORKER_ALIVE, TUB__WORKER_FREE };

#endif
