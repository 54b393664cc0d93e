/* SPDX-License-Identifier: Apache-2.0 */
/* Writing to a descriptor until all is out. Modules and the worker process have this file, too. */
#include "base/file_parts.h"

#include <errno.h>
#include <unistd.h>

bool tub__write_fully(int fd, const void *data, size_t size) {
    const char *from = data;
    while (size > 0) {
        ssize_t n = write(fd, from, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return false;
        }
        from += n;
        size -= (size_t)n;
    }
    return true;
}
