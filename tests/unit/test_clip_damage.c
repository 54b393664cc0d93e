/* SPDX-License-Identifier: Apache-2.0 */
/* The clip cache after kills, damage and full disks: the stream is right each time, and the next run repairs
 * what was lost. */
#include "clip_sets.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- kills ---------------------------------------------------------------------------------- */

typedef struct trap {
    int calls, at;
    bool seen[TUB__CLIP_POINTS]; /* shared with nobody: of the last process that ended by itself */
} trap;

static void spring(void *user, tub__clip_point point) {
    trap *t = user;
    t->seen[point] = true;
    if (++t->calls == t->at) {
        raise(SIGKILL);
    }
}

/* A child makes the set and is killed at its n-th instant; true when it came to its end before. */
static bool killed_at(fixture *f, const tub__clip_cache_config *config, int n) {
    const pid_t child = fork();
    if (child == 0) {
        trap t = {.at = n};
        tub__clip_cache_config c = *config;
        c.hook = spring;
        c.hook_user = &t;
        (void)open_and_stream(f, &c);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    return WIFSIGNALED(status);
}

static int count_files(const fixture *f) {
    char command[400], line[16] = "";
    snprintf(command, sizeof command, "ls -A %s | wc -l", f->clips);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    assert_non_null(fgets(line, sizeof line, p));
    pclose(p);
    return atoi(line);
}

/* Every instant that the cache has: while it is made the first time, and while it makes room for itself. */
static void a_kill_at_any_instant_loses_records_only(void **state) {
    fixture *f = *state;
    int n = 1, repaired = 0;
    for (bool killed = true; killed; n++) {
        const tub__clip_cache_config c = config_of(f, 1);
        killed = killed_at(f, &c, n);
        const int made = open_and_stream(f, &c);
        repaired += made > 0;
        assert_int_equal(open_and_stream(f, &c), 0);
        assert_int_equal(count_files(f), 2); /* the set and the lock: nothing half made */
        assert_int_equal(f->info + f->warnings, 0);
        unlink(file_of(f, 1));
    }
    print_message("%d instants, %d of them cost clips\n", n - 1, repaired);
    assert_true(n > 40 && repaired > 30);
}

static void a_kill_while_room_is_made(void **state) {
    fixture *f = *state;
    bool killed = true;
    for (int n = 1; killed; n++) {
        tub__clip_cache_config old = config_of(f, 2), c = config_of(f, 1);
        assert_int_equal(open_and_stream(f, &old), SET);
        c.limit = file_bytes(file_of(f, 2)) + 10000;
        killed = killed_at(f, &c, n);
        (void)open_and_stream(f, &c);
        assert_int_equal(open_and_stream(f, &c), 0);
        assert_int_equal(count_files(f), 2);
        unlink(file_of(f, 1));
    }
    assert_int_equal(f->info + f->warnings, 0);
}

/* --- damage --------------------------------------------------------------------------------- */

static uint32_t draw(uint32_t *x) {
    *x = *x * 1664525u + 1013904223u;
    return *x >> 8;
}

static void write_at(const char *path, off_t at, const void *bytes, size_t size) {
    const int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, bytes, size, at) == (ssize_t)size);
    close(fd);
}

static unsigned char byte_at(const char *path, off_t at) {
    unsigned char byte = 0;
    const int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    close(fd);
    return byte;
}

static void damaged_bytes_are_found(void **state) {
    fixture *f = *state;
    tub__clip_cache_config c = config_of(f, 1);
    uint32_t x = 5;
    int found = 0;
    assert_int_equal(open_and_stream(f, &c), SET);
    for (int round = 0; round < 120; round++) {
        /* A third of them in the header and the index. */
        const uint64_t size = file_bytes(file_of(f, 1)), part = round % 3 == 0 ? 352 : size;
        const off_t at = (off_t)(draw(&x) % part);
        const unsigned char byte = (unsigned char)(byte_at(file_of(f, 1), at) ^ (1u << round % 8));
        write_at(file_of(f, 1), at, &byte, 1);
        found += open_and_stream(f, &c) > 0; /* the stream is right in any case */
        assert_int_equal(open_and_stream(f, &c), 0);
        if (round % 4 ==
            3) { /* repairs append, and leave waste behind that nobody minds the loss of */
            unlink(file_of(f, 1));
            assert_int_equal(open_and_stream(f, &c), SET);
        }
    }
    print_message("%d of 120 damaged bytes were in use\n", found);
    assert_true(found > 80);
    assert_int_equal(f->warnings, 0);
}

static void truncated_files_are_repaired(void **state) {
    fixture *f = *state;
    tub__clip_cache_config c = config_of(f, 1);
    uint32_t x = 6;
    assert_int_equal(open_and_stream(f, &c), SET);
    for (int round = 0; round < 40; round++) {
        const uint64_t size = file_bytes(file_of(f, 1)), part = round % 2 == 0 ? 400 : size;
        assert_int_equal(truncate(file_of(f, 1), (off_t)(draw(&x) % part)), 0);
        assert_true(open_and_stream(f, &c) > 0);
        assert_int_equal(open_and_stream(f, &c), 0);
    }
    assert_int_equal(f->warnings, 0);
    assert_true(f->info > 0); /* those that were cut off in the index */
    assert_non_null(strstr(f->last, ".clips was damaged: its clips are prepared again"));
}

static void foreign_files_are_replaced(void **state) {
    fixture *f = *state;
    const tub__clip_cache_config c = config_of(f, 1), other = config_of(f, 2);
    tub__clip_cache_config longer = config_of(f, 1);
    static const char zeros[5000];
    assert_int_equal(open_and_stream(f, &other), SET);
    assert_int_equal(rename(file_of(f, 2), file_of(f, 1)), 0); /* another key's */
    assert_int_equal(open_and_stream(f, &c), SET);
    assert_int_equal(f->info, 1);
    for (size_t size = 0; size <= sizeof zeros; size += sizeof zeros) {
        assert_int_equal(tub__file_write(&tub__default_allocator, file_of(f, 1), zeros, size, NULL),
                         TUB_OK);
        assert_int_equal(open_and_stream(f, &c), SET);
    }
    assert_int_equal(f->info, 3);
    longer.count = SET + 1; /* one of another number of records */
    assert_int_equal(open_and_stream(f, &longer), SET);
    assert_int_equal(f->info, 4);
    assert_int_equal(unlink(file_of(f, 1)), 0);
    assert_int_equal(symlink("nowhere", file_of(f, 1)), 0); /* a link is replaced, never followed */
    assert_int_equal(open_and_stream(f, &c), SET);
    assert_int_equal(f->warnings, 0);
}

/* After a power cut an index may have come to the disk before its records did. */
static void a_damaged_record_is_not_trusted_when_it_was_made_again(void **state) {
    fixture *f = *state;
    const tub__clip_cache_config c = config_of(f, 1);
    const off_t first = (64 + 32 * SET + 63) / 64 * 64; /* record 0 */
    assert_int_equal(open_and_stream(f, &c), SET);
    const unsigned char byte = (unsigned char)(byte_at(file_of(f, 1), first) ^ 0xff);
    write_at(file_of(f, 1), first, &byte, 1);
    tub__clip_cache *cache = must_open(f, &c);
    const void *data = NULL;
    size_t bytes = 0;
    assert_true(tub__clip_cache_has(cache, 0)); /* so it seems */
    assert_false(tub__clip_cache_get(cache, 0, &data, &bytes));
    assert_false(tub__clip_cache_has(cache, 0));
    assert_int_equal(stream(f, cache), 1);
    assert_int_equal(stream(f, cache), 0);
    tub__clip_cache_close(cache);
    assert_int_equal(open_and_stream(f, &c), 0);
    assert_int_equal(byte_at(file_of(f, 1), first), byte); /* it lies elsewhere now */
    assert_int_equal(f->info + f->warnings, 0);
}

/* Entries are good for their own record only. */
static void exchanged_entries_are_found(void **state) {
    fixture *f = *state;
    const tub__clip_cache_config c = config_of(f, 1);
    unsigned char entries[2][32];
    assert_int_equal(open_and_stream(f, &c), SET);
    const int fd = open(file_of(f, 1), O_RDWR);
    assert_true(pread(fd, entries[0], 32, 64 + 5 * 32) == 32 &&
                pread(fd, entries[1], 32, 64 + 6 * 32) == 32);
    assert_true(pwrite(fd, entries[1], 32, 64 + 5 * 32) == 32 &&
                pwrite(fd, entries[0], 32, 64 + 6 * 32) == 32);
    close(fd);
    assert_int_equal(open_and_stream(f, &c), 2);
    assert_int_equal(open_and_stream(f, &c), 0);
}

/* --- full disks ----------------------------------------------------------------------------- */

/* In a child, because what is limited is the process. */
static void goes_on_when_a_file_may_not_grow(void **state) {
    fixture *f = *state;
    const tub__clip_cache_config c = config_of(f, 1);
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit most = {1 << 20, 1 << 20};
        signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &most), 0);
        tub__clip_cache *cache = must_open(f, &c);
        const int first = stream(f, cache), second = stream(f, cache);
        for (int i = 0; i < 3; i++) {
            tub__clip_cache_tell(cache);
        }
        /* The bytes of the record that did not fit are given back. */
        const bool small = file_bytes(file_of(f, 1)) < 10000;
        tub__clip_cache_close(cache);
        _exit(first == SET && second == SET - 3 && f->warnings == 1 && small ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(open_and_stream(f, &c), SET - 3);
    assert_int_equal(open_and_stream(f, &c), 0);
}

/* A file system of its own, where the system lets us have one. */
static void goes_on_when_the_disk_is_full(void **state) {
    fixture *f = *state;
    const pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mkdir(f->clips, 0777) != 0 || mount("tmpfs", f->clips, "tmpfs", 0, "size=1m") != 0) {
            _exit(77);
        }
        const tub__clip_cache_config c = config_of(f, 1);
        tub__clip_cache *cache = must_open(f, &c);
        const int first = stream(f, cache), second = stream(f, cache);
        for (int i = 0; i < 3; i++) {
            tub__clip_cache_tell(cache);
        }
        const bool told = f->warnings == 1 && strstr(f->last, "the disk is almost full") != NULL;
        tub__clip_cache_close(cache);
        _exit(first == SET && second == SET - 3 && told ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("skipped: no file system can be mounted here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(a_kill_at_any_instant_loses_records_only),
                                       TEST(a_kill_while_room_is_made),
                                       TEST(damaged_bytes_are_found),
                                       TEST(truncated_files_are_repaired),
                                       TEST(foreign_files_are_replaced),
                                       TEST(a_damaged_record_is_not_trusted_when_it_was_made_again),
                                       TEST(exchanged_entries_are_found),
                                       TEST(goes_on_when_a_file_may_not_grow),
                                       TEST(goes_on_when_the_disk_is_full)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
