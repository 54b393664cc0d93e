/* SPDX-License-Identifier: Apache-2.0 */
/* Puts .npy files into a zip archive by libzip. */
#include "make_npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

/* The bytes of an .npy file of format 1.0, from malloc. */
static unsigned char *npy_bytes(const test_array *a, size_t *size) {
    enum { HEADER = 128 };
    size_t n = strtoul(a->type + 2, NULL, 10) * (a->type[1] == 'U' ? 4 : 1);
    char shape[128] = "", text[HEADER] = "";
    size_t used = 0;
    for (int d = 0; d < a->rank; d++) {
        n *= a->shape[d];
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%llu,",
                                 (unsigned long long)a->shape[d]);
    }
    int length =
        snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }",
                 a->type, a->fortran ? "True" : "False", shape);
    *size = HEADER + n;
    unsigned char *bytes = malloc(*size);
    if (!bytes || length <= 0 || length > HEADER - 11) {
        free(bytes);
        return NULL;
    }
    memset(bytes, ' ', HEADER);
    memcpy(bytes, "\x93NUMPY\x01\x00\x76\x00", 10); /* 118 = 128 - 10 */
    memcpy(bytes + 10, text, (size_t)length);
    bytes[HEADER - 1] = '\n';
    if (n > 0) {
        memcpy(bytes + HEADER, a->data, n);
    }
    return bytes;
}

int make_npy(const char *path, const test_array *array) {
    size_t size;
    unsigned char *bytes = npy_bytes(array, &size);
    FILE *file = bytes ? fopen(path, "wb") : NULL;
    int wrong = !file || fwrite(bytes, 1, size, file) != size;
    if (file && fclose(file) != 0) {
        wrong = 1;
    }
    free(bytes);
    return wrong;
}

int make_npz(const char *path, const test_array *arrays) {
    zip_t *zip = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    if (!zip) {
        return 1;
    }
    for (; arrays->name; arrays++) {
        char name[128];
        size_t size;
        unsigned char *bytes = npy_bytes(arrays, &size);
        zip_source_t *source = bytes ? zip_source_buffer(zip, bytes, size, 1) : NULL;
        snprintf(name, sizeof name, "%s.npy", arrays->name);
        if (!source || zip_file_add(zip, name, source, 0) < 0) {
            zip_source_free(source);
            zip_discard(zip);
            return 1;
        }
    }
    return zip_close(zip);
}
