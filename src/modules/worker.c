/* SPDX-License-Identifier: Apache-2.0 */
/* The worker process: opens one module, gives up all rights but to compute, and lets the module do
 * its work. Started by base/worker.c; of no use by hand. */
#include "base/worker.h"
#include "base/error.h"
#include "base/module.h"
#include "base/wire.h"
#include "modules/confine.h"
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARGUMENTS = 6 }; /* the name of the program included */

/* All libraries are in memory before the filter is set; nothing is bound later. NULL: *err has the
 * loader's reason. */
static const tub__worker_module *load(const char *path, tub_error *err) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const tub__worker_module *found = handle != NULL ? dlsym(handle, "tub__module_table") : NULL;
    if (found == NULL) {
        (void)tub__fail(err, TUB_E_MODULE, "%.300s", dlerror());
    }
    return found;
}

static tub_status check_version(const tub__worker_module *found, const char *path, tub_error *err) {
    if (found->version != TUB__MODULE_VERSION) {
        return tub__fail(err, TUB_E_MODULE,
                         "%s was built for another version of tubelet; build and install both "
                         "together",
                         path);
    }
    return TUB_OK;
}

static tub_status work(char **argv, const tub__worker_module *table, tub_error *err) {
    const size_t memory = strtoull(argv[3], NULL, 10), output = strtoull(argv[4], NULL, 10),
                 seconds = strtoull(argv[5], NULL, 10);
    TUB__TRY(check_version(table, argv[1], err));
    if (table->prepare != NULL) {
        char folder[PATH_MAX];
        snprintf(folder, sizeof folder, "%s", argv[1]);
        TUB__TRY(table->prepare(argv[2], TUB__WORKER_INPUT, dirname(folder), err));
        TUB__TRY(tub__confine_open(TUB__WORKER_INPUT_NAME, TUB__WORKER_INPUT, err));
    }
    TUB__TRY(tub__confine_size(memory, output, seconds, err));
    TUB__TRY(tub__confine_calls(table->prepare != NULL, err));
    TUB__TRY(table->run(argv[2], TUB__WORKER_INPUT, TUB__WORKER_OUTPUT, output, err));
    return tub__wire_put_end(TUB__WORKER_OUTPUT, err);
}

int main(int argc, char **argv) {
    tub_error err;
    if (argc != ARGUMENTS) {
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    syscall(SYS_close_range, TUB__WORKER_FREE, ~0u, 0); /* old kernels: what is not marked stays */
    signal(SIGXFSZ, SIG_IGN);                           /* too long an answer is an error */
    const tub__worker_module *table = load(argv[1], &err);
    if (table == NULL) {
        (void)!tub__wire_put_error(TUB__WORKER_OUTPUT, &err);
        _exit(TUB__WORKER_NOT_LOADED);
    }
    if (work(argv, table, &err) != TUB_OK &&
        tub__wire_put_error(TUB__WORKER_OUTPUT, &err) != TUB_OK) {
        _exit(TUB__WORKER_TOO_LONG);
    }
    _exit(0);
}
