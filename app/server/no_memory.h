/* SPDX-License-Identifier: Apache-2.0 */
/* What the server says where malloc fails. */
#ifndef APP_SERVER_NO_MEMORY_H
#define APP_SERVER_NO_MEMORY_H

#include <tubelet/status.h>

static inline tub_status no_memory(tub_error *err) {
    if (err != NULL) {
        *err = (tub_error){.status = TUB_E_MEMORY, .message = "out of memory"};
    }
    return TUB_E_MEMORY;
}

#endif
