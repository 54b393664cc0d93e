/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target over its committed corpus without libFuzzer: replay FOLDER. No input at all is
 * a failure. */
#include "base/file.h"
#include "fuzz.h"
#include <dirent.h>
#include <string.h>

static int replay_file(const char *path) {
    char *bytes;
    size_t size;
    tub_error err;
    if (tub__file_read(&tub__default_allocator, path, 1 << 24, &bytes, &size, &err) != TUB_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    unsigned char *exact =
        malloc(size > 0 ? size : 1); /* so that a sanitizer sees the first byte beyond */
    FUZZ_CHECK(exact != NULL);
    memcpy(exact, bytes, size);
    tub__free(&tub__default_allocator, bytes);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

int main(int argc, char **argv) {
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    if (folder == NULL) {
        fprintf(stderr, "usage: replay FOLDER (a corpus)\n");
        return 2;
    }
    int count = 0, failed = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[4096];
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
            failed += replay_file(path);
            count++;
        }
    }
    closedir(folder);
    printf("%d inputs replayed\n", count);
    return count == 0 || failed > 0;
}
