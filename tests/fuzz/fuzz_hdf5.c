/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the reader of HDF5 files, which elsewhere works in a confined process, together with the
 * reader of what it answers.
 *
 * libhdf5 itself crashes on some inputs: that is why there is a worker. tools/fuzz tells such an
 * end from one of our own by its stack (docs/testing.md). */
#include "base/module.h"
#include "h5_promises.h"
#include <hdf5.h>

extern const tub__worker_module tub__module_table; /* of mod-hdf5.c, compiled into this program */

enum { MORE = 1 << 20, UNPACKED = 8 };

/* What the library forgets when a file is damaged is gone with the worker. Leaks of our own are
 * still seen, and objects that we forgot to close by nothing_open(). */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5";
}

/* As in the worker process, where there is an end to the address space. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "allocator_may_return_null=1:max_allocation_size_mb=256";
}

/* Files that libhdf5 itself could not close, because they are damaged: they stay open beside the
 * next ones. The linker puts this function before the library's. */
static ssize_t stuck;
herr_t __real_H5Fclose(hid_t file);
herr_t __wrap_H5Fclose(hid_t file);
herr_t __wrap_H5Fclose(hid_t file) {
    const herr_t code = __real_H5Fclose(file);
    stuck += code < 0;
    return code;
}

static bool nothing_open(void) {
    return H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL) == stuck;
}

/* What was written to the answer, as the library's side maps it. */
static tub__map map_of(int fd) {
    const off_t size = lseek(fd, 0, SEEK_END);
    void *bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    FUZZ_CHECK(size > 0 && bytes != MAP_FAILED);
    return (tub__map){bytes, (size_t)size};
}

/* A whole answer is sound but for what is in the file twice. */
static void look_at_answer(int fd, int left) {
    const tub_allocator failing = fuzz_allocator(&left);
    tub__map answer = map_of(fd);
    tub__wire_bytes bytes = {answer.data, answer.size};
    tub__wire_record record;
    do {
        tub_error err = {0};
        FUZZ_CHECK(tub__wire_next(&bytes, &record, &err) == TUB_OK);
    } while (record.kind != TUB__WIRE_END);
    (void)!h5_parse_and_look(&tub__default_allocator, answer);
    (void)!h5_parse_and_look(&failing, map_of(fd));
}

/* The sentence that comes out at the other end is the one that went in. */
static void look_at_error(int fd, const tub_error *err) {
    tub_error again = {0};
    tub__wire_record record;
    fuzz_fill(&fd, (const uint8_t *)"", 0);
    FUZZ_CHECK(lseek(fd, 0, SEEK_SET) == 0 && tub__wire_put_error(fd, err) == TUB_OK);
    tub__map answer = map_of(fd);
    tub__wire_bytes bytes = {answer.data, answer.size};
    FUZZ_CHECK(tub__wire_next(&bytes, &record, &again) == err->status &&
               strcmp(again.message, err->message) == 0);
    tub__map_close(&answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int input = -1, output = -1;
    tub_error err = {0};
    /* The library's end would fall over a file that stayed open; nor does the worker come to it. */
    if (input < 0) {
        (void)H5dont_atexit();
    }
    fuzz_fill(&input, data, size);
    fuzz_fill(&output, data, 0);
    FUZZ_CHECK(lseek(output, 0, SEEK_SET) == 0);
    const tub_status status =
        tub__module_table.run("read", input, output, MORE + UNPACKED * size, &err);
    FUZZ_CHECK(nothing_open());
    if (status == TUB_OK) {
        FUZZ_CHECK(tub__wire_put_end(output, &err) == TUB_OK);
        look_at_answer(output, (int)(size % 3));
    } else {
        FUZZ_CHECK_ERROR(status, err);
        look_at_error(output, &err);
    }
    return 0;
}
