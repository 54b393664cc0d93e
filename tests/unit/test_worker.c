/* SPDX-License-Identifier: Apache-2.0 */
/* Worker processes: whatever becomes of one is a sentence, it can do nothing but compute, and what it
 * sends is believed only as far as it is checked. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/worker.h"
#include "temp_folder.h"

enum { MIB = 1 << 20 };

static int set_up(void **state) {
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    config.module_folder = TEST_MODULES;
    return tub_context_create(&config, (tub_context **)state, NULL) == TUB_OK ? 0 : -1;
}

static int tear_down(void **state) {
    tub_context_destroy(*state);
    return 0;
}

static tub_status ask(tub_context *ctx, const char *module, const char *verb, tub_error *err) {
    tub__map answer = {0};
    int input;
    assert_int_equal(tub__worker_file(&input, err), TUB_OK);
    const tub__worker_job job = {.module = module,
                                 .verb = verb,
                                 .input = input,
                                 .memory = 256 * MIB,
                                 .output = 4 * MIB,
                                 .seconds = 1,
                                 .wall_seconds = strstr(verb, "sleep") != NULL ? 1 : 0};
    tub_status status = tub__worker_run(ctx, &job, &answer, err);
    if (status == TUB_OK) {
        tub__wire_bytes bytes = {answer.data, answer.size};
        tub__wire_record record;
        status = tub__wire_next(&bytes, &record, err);
        tub__map_close(&answer);
    }
    close(input);
    return status;
}

static tub_status rogue(tub_context *ctx, const char *verb, tub_error *err) {
    return ask(ctx, "rogue", verb, err);
}

static void becomes_a_sentence(void **state) {
    static const struct {
        const char *verb;
        tub_status status;
        const char *words;
    } cases[] = {
        {"crash", TUB_E_FORMAT, "crashed (Segmentation fault)"},
        {"abort", TUB_E_FORMAT, "crashed (Aborted)"},
        {"hang", TUB_E_FORMAT, "stopped after 1 seconds of processor time"},
        {"hang deaf", TUB_E_FORMAT, "stopped after 1 seconds of processor time"},
        {"sleep", TUB_E_FORMAT, "stopped after 1 seconds by the clock"},
        {"close and sleep", TUB_E_FORMAT, "stopped after 1 seconds by the clock"},
        {"quit", TUB_E_MODULE, "gave up (exit code 9)"},
        {"leave", TUB_E_FORMAT, "left no answer"},
        {"eat", TUB_E_MEMORY, "no memory after "},
        {"flood", TUB_E_RANGE, "takes more than 4194304 bytes"},
        {"rave", TUB_E_FORMAT, "is not whole"},
        {"anything", TUB_E_ARGUMENT, "verb anything"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tub_error err = {0};
        assert_int_equal(rogue(*state, cases[i].verb, &err), cases[i].status);
        assert_int_equal(err.status, cases[i].status);
        if (strstr(err.message, cases[i].words) == NULL) {
            fail_msg("%s: '%s' has no '%s'", cases[i].verb, err.message, cases[i].words);
        }
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
}

/* What a worker may not is nothing that this test may not do either. */
static void can_do_nothing_else(void **state) {
    tub_error err = {0};
    const int file = open("/etc/passwd", O_RDONLY), line = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(file >= 0 && line >= 0);
    close(file);
    close(line);
    assert_ok(rogue(*state, "forbidden", &err), err);
}

/* One that may open its input can do no more than that. */
static void opens_its_input_only(void **state) {
    tub_error err;
    assert_ok(ask(*state, "rogue-open", "open", &err), err);
    assert_ok(ask(*state, "rogue-open", "forbidden", &err), err);
}

/* ---- What this process has set for itself, and its children inherit ---- */

/* A check in a process of its own: what it sets does not stay. */
static void assert_in_child(void (*check)(tub_context *ctx)) {
    void *ctx;
    int state = -1;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (int fd = 3; fd < 256; fd++) { /* whatever the shell left open */
            close(fd);
        }
        if (set_up(&ctx) == 0) {
            check(ctx);
        }
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &state, 0), pid);
    assert_true(WIFEXITED(state));
    assert_int_equal(WEXITSTATUS(state), 0);
}

/* Ends the child: whether a verb gave these words. */
static void leave_if(tub_context *ctx, const char *verb, const char *words) {
    tub_error err = {0};
    (void)!rogue(ctx, verb, &err);
    if (strstr(err.message, words) == NULL) {
        fprintf(stderr, "%s: '%s' has no '%s'\n", verb, err.message, words);
        _exit(2);
    }
    _exit(0);
}

/* Below what the job asks for, and not to be raised, as root neither. */
static void lower(int resource, rlim_t limit) {
    prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE);
    if (setrlimit((__rlimit_resource_t)resource, &(struct rlimit){limit, limit}) != 0) {
        _exit(3);
    }
}

static void with_less_time(tub_context *ctx) {
    lower(RLIMIT_CPU, 1);
    leave_if(ctx, "anything", "verb anything");
}

static void with_less_output(tub_context *ctx) {
    lower(RLIMIT_FSIZE, MIB);
    leave_if(ctx, "flood", "takes more than 1048576 bytes");
}

/* Pages that this process has addresses for: with AddressSanitizer more than any limit leaves. */
static bool has_addresses_beyond(rlim_t bytes) {
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    const bool read = f != NULL && fscanf(f, "%lu", &pages) == 1;
    if (f != NULL) {
        fclose(f);
    }
    return read && pages > bytes / (rlim_t)sysconf(_SC_PAGESIZE);
}

#define LESS_MEMORY ((rlim_t)200 * MIB)

static void with_less_memory(tub_context *ctx) {
    lower(RLIMIT_AS, LESS_MEMORY);
    leave_if(ctx, "eat", "no memory after 1");
}

static void with_few_descriptors(tub_context *ctx) {
    lower(RLIMIT_NOFILE, 11);
    leave_if(ctx, "anything", "verb anything");
}

static void with_too_few_descriptors(tub_context *ctx) {
    close(STDIN_FILENO);
    lower(RLIMIT_NOFILE, TUB__WORKER_FREE);
    leave_if(ctx, "anything", "Too many open files");
}

static void with_blocked_signals(tub_context *ctx) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    leave_if(ctx, "crash", "crashed (Segmentation fault)");
}

static void with_ignored_signals(tub_context *ctx) {
    signal(SIGABRT, SIG_IGN);
    signal(SIGXCPU, SIG_IGN);
    leave_if(ctx, "hang", "stopped after 1 seconds of processor time");
}

/* Whoever ignores the end of children can't ask how they ended. */
static void with_ignored_children(tub_context *ctx) {
    signal(SIGCHLD, SIG_IGN);
    leave_if(ctx, "anything", "verb anything");
}

static void on_alarm(int signal) {
    (void)signal;
}

/* A signal every tenth of a second does not make the wait begin anew. */
static void with_alarms(tub_context *ctx) {
    const struct sigaction action = {.sa_handler = on_alarm};
    const struct itimerval often = {{0, 100000}, {0, 100000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    leave_if(ctx, "sleep", "stopped after 1 seconds by the clock");
}

static void works_in_any_process(void **state) {
    (void)state;
    assert_in_child(with_less_time);
    assert_in_child(with_less_output);
    if (has_addresses_beyond(LESS_MEMORY)) {
        print_message("skipped: less memory, of which this build alone takes more\n");
    } else {
        assert_in_child(with_less_memory);
    }
    assert_in_child(with_few_descriptors);
    assert_in_child(with_too_few_descriptors);
    assert_in_child(with_blocked_signals);
    assert_in_child(with_ignored_signals);
    assert_in_child(with_ignored_children);
    assert_in_child(with_alarms);
}

/* ---- What is missing ---- */

/* As where the library was removed after the module was built. */
static void names_the_package_of_a_broken_module(void **state) {
    temp_folder folder;
    tub_context *ctx;
    tub_error err = {0};
    tub__map answer;
    tub_context_config config = tub_context_config_default();
    (void)state;
    temp_folder_make(&folder);
    assert_ok(
        tub__file_write(&tub__default_allocator, temp_path(&folder, "mod-hdf5.so"), "no", 2, &err),
        err);
    assert_int_equal(symlink(TEST_MODULES "/worker", temp_path(&folder, "worker")), 0);
    config.threads = 1;
    config.module_folder = folder.path;
    assert_ok(tub_context_create(&config, &ctx, &err), err);
    const tub__worker_job job = {.module = "hdf5",
                                 .verb = "read",
                                 .input = STDIN_FILENO,
                                 .memory = 256 * MIB,
                                 .output = MIB,
                                 .seconds = 1};
    assert_int_equal(tub__worker_run(ctx, &job, &answer, &err), TUB_E_MODULE);
    assert_non_null(
        strstr(err.message, "which can't be loaded: run 'apt-get install libhdf5-103-1'"));
    assert_non_null(strstr(err.message, "file too short"));
    tub_context_destroy(ctx);
    temp_folder_drop(&folder);
}

static void needs_its_parts(void **state) {
    tub_context *ctx;
    tub_error err = {0};
    tub__map answer;
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    config.module_folder = TEST_EMPTY;
    (void)state;
    assert_ok(tub_context_create(&config, &ctx, &err), err);
    const tub__worker_job job = {.module = "hdf5", .verb = "read"};
    assert_int_equal(tub__worker_run(ctx, &job, &answer, &err), TUB_E_MODULE);
    assert_non_null(strstr(err.message, "mod-hdf5 (library libhdf5)"));
    assert_non_null(strstr(err.message, "libhdf5-dev"));
    tub_context_destroy(ctx);
}

/* ---- The stream ---- */

/* A stream of two records and an end, in memory. */
static size_t good_stream(unsigned char **out) {
    static const float values[3] = {1, 2, 3};
    tub_error err = {0};
    int fd;
    assert_ok(tub__worker_file(&fd, &err), err);
    assert_ok(tub__wire_put(fd,
                            &(tub__wire_record){.kind = TUB__WIRE_ARRAY,
                                                .code = TUB__WIRE_F32,
                                                .rank = 2,
                                                .shape = {1, 3},
                                                .name = "a/b",
                                                .data = values,
                                                .bytes = sizeof values},
                            &err),
              err);
    assert_ok(tub__wire_put_text(fd, "group", "name", &err), err);
    assert_ok(tub__wire_put_end(fd, &err), err);
    const off_t size = lseek(fd, 0, SEEK_CUR);
    *out = aligned_alloc(64, tub__round_up((size_t)size, 64));
    assert_int_equal(pread(fd, *out, (size_t)size, 0), size);
    close(fd);
    return (size_t)size;
}

/* The records of a stream; 0: it is not whole. */
static int records(const unsigned char *stream, size_t size) {
    tub__wire_bytes bytes = {stream, size};
    tub__wire_record r;
    tub_error err;
    for (int n = 1;; n++) {
        if (tub__wire_next(&bytes, &r, &err) != TUB_OK) {
            return 0;
        }
        if (r.kind == TUB__WIRE_END) {
            return n;
        }
    }
}

static void stream_comes_back(void **state) {
    unsigned char *stream;
    const size_t size = good_stream(&stream);
    tub__wire_bytes bytes = {stream, size};
    tub__wire_record r;
    tub_error err = {0};
    (void)state;
    assert_ok(tub__wire_next(&bytes, &r, &err), err);
    assert_string_equal(r.name, "a/b");
    assert_int_equal(r.elements, 3);
    assert_int_equal(r.shape[1], 3);
    assert_true(((const float *)r.data)[2] == 3);
    assert_ok(tub__wire_next(&bytes, &r, &err), err);
    assert_int_equal(r.kind, TUB__WIRE_TEXT);
    assert_string_equal(r.data, "name");
    assert_ok(tub__wire_next(&bytes, &r, &err), err);
    assert_int_equal(r.kind, TUB__WIRE_END);
    assert_int_equal(bytes.left, 0);
    free(stream);
}

/* Cut anywhere, and with any word replaced by odd ones: refused or read, never beyond its end. */
static void stream_is_not_believed(void **state) {
    static const uint64_t odd[] = {
        0, 1, 9, 1 << 20, UINT64_MAX, (uint64_t)1 << 63, 0x4141414141414141};
    unsigned char *stream;
    const size_t size = good_stream(&stream);
    int refused = 0;
    (void)state;
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *part = malloc(cut + 1);
        memcpy(part, stream, cut);
        assert_int_equal(records(part, cut), 0);
        free(part);
    }
    for (size_t at = 0; at + 8 <= size; at += 8) {
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
            uint64_t word;
            memcpy(&word, stream + at, 8);
            memcpy(stream + at, &odd[i], 8);
            refused += records(stream, size) == 0;
            memcpy(stream + at, &word, 8);
        }
    }
    assert_true(refused > 100);
    assert_int_equal(records(stream, size), 3);
    free(stream);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(becomes_a_sentence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(can_do_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(opens_its_input_only, set_up, tear_down),
        cmocka_unit_test(works_in_any_process),
        cmocka_unit_test(names_the_package_of_a_broken_module),
        cmocka_unit_test(needs_its_parts),
        cmocka_unit_test(stream_comes_back),
        cmocka_unit_test(stream_is_not_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
