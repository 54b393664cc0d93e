/* SPDX-License-Identifier: Apache-2.0 */
/* mod-hdf5: HDF5 files to and from records. The library crashes on some hostile files and opens
 * whatever others name, so this module works in a confined process only (base/worker.h). */
#include "base/error.h"
#include "base/module.h"
#include "modules/h5.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

typedef struct reason {
    char text[160];
    bool memory;
} reason;

/* The innermost entry of the library's stack says it best. */
static herr_t note_reason(unsigned n, const H5E_error2_t *entry, void *user) {
    reason *r = user;
    if (n == 0 && entry->desc != NULL) {
        snprintf(r->text, sizeof r->text, "%s", entry->desc);
    }
    r->memory = r->memory || entry->min_num == H5E_NOSPACE || entry->min_num == H5E_CANTALLOC;
    return 0;
}

tub_status tub__h5_failed(tub_error *err, const char *where, const char *what) {
    reason r = {.text = "no reason given"};
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, note_reason, &r);
    return tub__fail(err, r.memory ? TUB_E_MEMORY : TUB_E_FORMAT, "%.300s%s%s (HDF5: %s)", where,
                     where[0] == '\0' ? "" : ": ", what, r.text);
}

static tub_status run(const char *verb, int input, int output, size_t most, tub_error *err) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    if (strcmp(verb, "read") == 0) {
        return tub__h5_read(input, output, most, err);
    }
    if (strcmp(verb, "write") == 0) {
        return tub__h5_write(input, output, err);
    }
    return tub__fail(err, TUB_E_ARGUMENT, "mod-hdf5 can read and write, not '%s'", verb);
}

/* Looked up by name when the module is opened. */
extern __attribute__((visibility("default"))) const tub__worker_module tub__module_table;
const tub__worker_module tub__module_table = {.version = TUB__MODULE_VERSION, .run = run};
