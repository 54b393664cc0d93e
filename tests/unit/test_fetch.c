/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads against a server that misbehaves: broken connections, wrong bytes, refusals; and the
 * cache. */
#include "cmocka_all.h"

#include "base/file.h"
#include "base/md5.h"
#include "data/fetch.h"
#include "failing_alloc.h"
#include "http_server.h"
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <tubelet/train.h>
#include <unistd.h>

enum { SIZE = 300000 };

static const char *source_root;

typedef struct fixture {
    char root[64], cache[96], served[96], part[160], whole[160], source[160];
    unsigned char *bytes; /* [SIZE], what is served */
    char md5[33];
    tub_known_dataset set;
    tub__known_details details;
    http_server *server;
    tub_context *ctx;
    bool any_file; /* the events are about a published file */
    int events;    /* download events seen */
    int signal;    /* raised when the wait for another process begins; 0: none */
    uint64_t last_done, last_total;
    char log[512]; /* the last log line */
    tub_error error;
    char path[256];
} fixture;

static void on_event(void *user, const tub_event *event) {
    fixture *f = user;
    if (event->kind == TUB_EVENT_DOWNLOAD) {
        f->events++;
        f->last_done = event->done;
        f->last_total = event->total;
        assert_string_equal(event->message, f->any_file ? "adrenalmnist3d.npz" : "made.npz");
    } else if (event->kind == TUB_EVENT_LOG) {
        snprintf(f->log, sizeof f->log, "%s", event->message);
        if (f->signal != 0) {
            raise(f->signal);
        }
    }
}

static void write_file(const char *path, const void *bytes, size_t size) {
    assert_int_equal(tub__file_write(&tub__default_allocator, path, bytes, size, NULL), TUB_OK);
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    snprintf(f->root, sizeof f->root, "/tmp/tubelet-fetch-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->cache, sizeof f->cache, "%s/cache/deep", f->root);
    snprintf(f->served, sizeof f->served, "%s/served", f->root);
    snprintf(f->part, sizeof f->part, "%s/made.npz.part", f->cache);
    snprintf(f->whole, sizeof f->whole, "%s/made.npz", f->cache);
    snprintf(f->source, sizeof f->source, "%s/made.npz", f->served);
    assert_int_equal(mkdir(f->served, 0777), 0);
    f->bytes = malloc(SIZE);
    for (uint32_t i = 0; i < SIZE; i++) {
        f->bytes[i] = (unsigned char)(i * 2654435761u >> 24);
    }
    write_file(f->source, f->bytes, SIZE);
    tub__md5 m;
    tub__md5_init(&m);
    tub__md5_update(&m, f->bytes, SIZE);
    tub__md5_finish(&m, f->md5);
    f->set = (tub_known_dataset){.name = "made", .file = "made.npz"};
    f->details = (tub__known_details){.md5 = {"00000000000000000000000000000000", f->md5}};
    f->server = http_server_start(f->served);
    assert_non_null(f->server);
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    config.data_folder = f->cache;
    config.on_event = on_event;
    config.event_user = f;
    assert_int_equal(tub_context_create(&config, &f->ctx, NULL), TUB_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    http_server_stop(f->server);
    tub_context_destroy(f->ctx);
    assert_int_equal(tub__folder_remove(&tub__default_allocator, f->root, NULL), TUB_OK);
    free(f->bytes);
    free(f);
    return 0;
}

static tub_status fetch_from(fixture *f, const char *url) {
    tub_dataset_options options = tub_dataset_options_default();
    options.data_url = url;
    f->error.message[0] = '\0';
    return tub__fetch(f->ctx, &f->set, &f->details, &options, f->path, sizeof f->path, &f->error);
}

static tub_status fetch(fixture *f) {
    return fetch_from(f, http_server_url(f->server));
}

/* The right bytes under the right name, and nothing else in the cache. */
static void assert_whole(fixture *f) {
    tub__map map;
    assert_string_equal(f->path, f->whole);
    assert_int_equal(tub__map_open(f->whole, &map, NULL), TUB_OK);
    assert_int_equal(map.size, SIZE);
    assert_memory_equal(map.data, f->bytes, SIZE);
    tub__map_close(&map);
    assert_false(tub__file_exists(f->part));
}

static void assert_sentence(fixture *f, const char *piece) {
    if (!strstr(f->error.message, piece) || strchr(f->error.message, '\n')) {
        fail_msg("'%s' is not in '%s'", piece, f->error.message);
    }
}

static long size_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void downloads_once(void **state) {
    fixture *f = *state;
    assert_int_equal(fetch(f), TUB_OK);
    assert_whole(f);
    assert_true(f->events > 0);
    assert_int_equal(f->last_done, SIZE);
    assert_int_equal(f->last_total, SIZE);
    assert_int_equal(fetch(f), TUB_OK);
    assert_int_equal(http_server_requests(f->server), 1);
}

static void reads_file_addresses(void **state) {
    fixture *f = *state;
    char url[160];
    snprintf(url, sizeof url, "file://%s/", f->served);
    assert_int_equal(tub__folder_create(f->cache, NULL), TUB_OK);
    write_file(f->part, f->bytes, 1234);
    assert_int_equal(fetch_from(f, url), TUB_OK);
    assert_whole(f);
}

static void resumes_a_broken_download(void **state) {
    fixture *f = *state;
    http_server_behave(f->server, (http_behaviour){.drop_after = 100000});
    assert_int_equal(fetch(f), TUB_E_NETWORK);
    assert_sentence(f, "the connection broke");
    assert_sentence(f, "after 100000 bytes, which are kept: run it again to go on");
    assert_false(tub__file_exists(f->whole));
    assert_int_equal(size_of(f->part), 100000);
    assert_int_equal(fetch(f), TUB_E_NETWORK); /* 100000 more */
    assert_int_equal(http_server_last_offset(f->server), 100000);
    assert_int_equal(size_of(f->part), 200000);
    http_server_behave(f->server, (http_behaviour){0});
    assert_int_equal(fetch(f), TUB_OK);
    assert_int_equal(http_server_last_offset(f->server), 200000);
    assert_int_equal(http_server_requests(f->server), 3);
    assert_whole(f);
}

static void starts_again_where_ranges_are_ignored(void **state) {
    fixture *f = *state;
    http_server_behave(f->server, (http_behaviour){.drop_after = 1000});
    assert_int_equal(fetch(f), TUB_E_NETWORK);
    http_server_behave(f->server, (http_behaviour){.ignore_range = true});
    assert_int_equal(fetch(f), TUB_OK);
    assert_whole(f);
}

/* What lies in .part is not the beginning of the file. */
static void starts_again_after_a_stale_part(void **state) {
    fixture *f = *state;
    static const char stale[] = "something else entirely";
    assert_int_equal(tub__folder_create(f->cache, NULL), TUB_OK);
    write_file(f->part, stale, sizeof stale);
    assert_int_equal(fetch(f), TUB_OK);
    assert_non_null(strstr(f->log, "starting again"));
    assert_whole(f);
    /* Longer than the file: the server answers 416. */
    assert_int_equal(unlink(f->whole), 0);
    unsigned char *longer = calloc(1, SIZE + 1000);
    write_file(f->part, longer, SIZE + 1000);
    free(longer);
    assert_int_equal(fetch(f), TUB_OK);
    assert_whole(f);
}

/* A kill came between the last byte and the rename. */
static void keeps_a_complete_part(void **state) {
    fixture *f = *state;
    assert_int_equal(tub__folder_create(f->cache, NULL), TUB_OK);
    write_file(f->part, f->bytes, SIZE);
    assert_int_equal(fetch(f), TUB_OK);
    assert_int_equal(http_server_requests(f->server), 0);
    assert_whole(f);
}

static void refuses_wrong_bytes(void **state) {
    fixture *f = *state;
    f->bytes[SIZE / 2] ^= 1;
    write_file(f->source, f->bytes, SIZE);
    assert_int_equal(fetch(f), TUB_E_CHECKSUM);
    assert_sentence(f, "expected 00000000000000000000000000000000");
    assert_sentence(f, "the file was not kept");
    assert_false(tub__file_exists(f->whole));
    assert_false(tub__file_exists(f->part));
}

static void refuses_a_short_file(void **state) {
    fixture *f = *state;
    write_file(f->source, f->bytes, 1000);
    assert_int_equal(fetch(f), TUB_E_CHECKSUM);
    assert_false(tub__file_exists(f->whole));
    write_file(f->source, f->bytes, 0);
    assert_int_equal(fetch(f), TUB_E_CHECKSUM);
    assert_false(tub__file_exists(f->whole));
}

static void names_a_damaged_cached_file(void **state) {
    fixture *f = *state;
    assert_int_equal(tub__folder_create(f->cache, NULL), TUB_OK);
    write_file(f->whole, f->bytes, SIZE - 1);
    assert_int_equal(fetch(f), TUB_E_CHECKSUM);
    assert_sentence(f, "delete it and run tubelet fetch made again");
    assert_int_equal(http_server_requests(f->server), 0);
}

static void says_what_the_server_says(void **state) {
    fixture *f = *state;
    http_server_behave(f->server, (http_behaviour){.status = 500});
    assert_int_equal(fetch(f), TUB_E_NETWORK);
    assert_sentence(f, "made.npz: the server answered 500");
    http_server_behave(f->server, (http_behaviour){0});
    assert_int_equal(unlink(f->source), 0);
    assert_int_equal(fetch(f), TUB_E_NOT_FOUND);
    assert_sentence(f, "made.npz: the server answered 404 (no such file)");
    char url[160];
    snprintf(url, sizeof url, "file://%s", f->served);
    assert_int_equal(fetch_from(f, url), TUB_E_NOT_FOUND);
    assert_sentence(f, "no such file");
    /* A server's error text is never taken for data. */
    assert_false(tub__file_exists(f->whole));
    assert_false(tub__file_exists(f->part));
}

static void says_that_nobody_answers(void **state) {
    fixture *f = *state;
    char url[64];
    snprintf(url, sizeof url, "%s", http_server_url(f->server));
    http_server_stop(f->server);
    f->server = NULL;
    assert_int_equal(fetch_from(f, url), TUB_E_NETWORK);
    assert_sentence(f, "can't be reached");
    assert_false(tub__file_exists(f->part));
    assert_int_equal(fetch_from(f, "gopher://127.0.0.1"), TUB_E_ARGUMENT);
    assert_int_equal(fetch_from(f, "/mnt/mirror"), TUB_E_ARGUMENT);
    assert_sentence(f, "give an address such as");
}

static void stays_offline(void **state) {
    fixture *f = *state;
    tub_dataset_options options = tub_dataset_options_default();
    options.data_url = http_server_url(f->server);
    options.offline = 1;
    assert_int_equal(
        tub__fetch(f->ctx, &f->set, &f->details, &options, f->path, sizeof f->path, &f->error),
        TUB_E_NOT_FOUND);
    assert_sentence(f, "downloads are switched off");
    assert_int_equal(http_server_requests(f->server), 0);
}

static void stops_when_asked(void **state) {
    fixture *f = *state;
    f->ctx->stop = 1;
    assert_int_equal(fetch(f), TUB_E_CANCELLED);
    assert_false(tub__file_exists(f->whole));
    /* That was that download: the next one in the same context is not stopped. */
    assert_int_equal(fetch(f), TUB_OK);
    assert_true(tub__file_exists(f->whole));
}

static tub_context *stopped_by_signal;

static void stop(int number) {
    (void)number;
    tub_train_stop(stopped_by_signal);
}

/* Ctrl-C as the program handles it, while another process holds the lock for good. */
static void stops_while_it_waits(void **state) {
    fixture *f = *state;
    struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART}, old;
    assert_int_equal(tub__folder_create(f->cache, NULL), TUB_OK);
    int fd = open(f->part, O_RDWR | O_CREAT, 0666);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    stopped_by_signal = f->ctx;
    f->signal = SIGUSR1;
    assert_int_equal(sigaction(f->signal, &action, &old), 0);
    assert_int_equal(fetch(f), TUB_E_CANCELLED);
    assert_sentence(f, "the download was stopped");
    assert_non_null(strstr(f->log, "another process is downloading it"));
    sigaction(f->signal, &old, NULL);
    close(fd);
}

static void says_when_the_cache_is_unwritable(void **state) {
    fixture *f = *state;
    char blocker[96];
    snprintf(blocker, sizeof blocker, "%s/cache", f->root);
    write_file(blocker, "x", 1); /* a file where a folder should be made: even root can't */
    assert_int_not_equal(fetch(f), TUB_OK);
    assert_sentence(f, blocker);
    assert_int_equal(http_server_requests(f->server), 0);
}

static void *fetch_in_another_thread(void *argument) {
    fixture *f = argument;
    tub_context *ctx;
    char path[256];
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    config.data_folder = f->cache;
    tub_dataset_options options = tub_dataset_options_default();
    options.data_url = http_server_url(f->server);
    tub_status status = tub_context_create(&config, &ctx, NULL);
    if (status == TUB_OK) {
        status = tub__fetch(ctx, &f->set, &f->details, &options, path, sizeof path, NULL);
        tub_context_destroy(ctx);
    }
    return (void *)(intptr_t)status;
}

/* The lock is on the open file, so threads stand for processes here. */
static void several_at_once_download_once(void **state) {
    fixture *f = *state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, fetch_in_another_thread, f), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_int_equal((int)(intptr_t)result, TUB_OK);
    }
    assert_int_equal(http_server_requests(f->server), 1);
    assert_int_equal(fetch(f), TUB_OK);
    assert_whole(f);
}

static void knows_the_names(void **state) {
    fixture *f = *state;
    size_t n;
    const tub_known_dataset *table = tub_known_datasets(&n);
    assert_int_equal(n, 12);
    for (size_t i = 0; i < n; i++) {
        const tub__known_details *d = tub__known_details_of((int)i);
        assert_int_equal(tub__known_by_name(table[i].name), (int)i);
        assert_int_equal(tub__known_by_file(table[i].file), (int)i);
        assert_int_equal(strlen(d->md5[0]), 32);
        assert_int_equal(strspn(d->md5[0], "0123456789abcdef"), 32);
        for (int64_t k = 0; k < table[i].classes; k++) {
            assert_non_null(d->labels[k]);
        }
    }
    assert_string_equal(tub__known_details_of(0)->md5[0], "a0c5a1ff56af4f155c46d46fbb45a2fe");
    assert_string_equal(tub__known_details_of(0)->md5[1], "21f0a239e7f502e6eca33c3fc453c0b6");
    assert_int_equal(tub__known_by_name("organmnist"), -1);
    assert_int_equal(tub_fetch(f->ctx, "nothing3d", NULL, f->path, sizeof f->path, &f->error),
                     TUB_E_NOT_FOUND);
    assert_sentence(f, "nothing3d: no data set that can be downloaded (organmnist3d, ");
    char small[8];
    assert_int_equal(tub_fetch(f->ctx, "organmnist3d", NULL, small, sizeof small, &f->error),
                     TUB_E_ARGUMENT);
}

static tub_status fetch_and_forget(const tub_allocator *a, void *user, tub_error *err) {
    fixture *f = user;
    tub_context *ctx;
    char path[256];
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    config.allocator = *a;
    config.data_folder = f->cache;
    tub_dataset_options options = tub_dataset_options_default();
    options.data_url = http_server_url(f->server);
    (void)unlink(f->whole);
    tub_status status = tub_context_create(&config, &ctx, err);
    if (status == TUB_OK) {
        status = tub__fetch(ctx, &f->set, &f->details, &options, path, sizeof path, err);
        tub_context_destroy(ctx);
    }
    return status;
}

static void survives_failing_allocations(void **state) {
    fixture *f = *state;
    failing_report report = failing_run(fetch_and_forget, f);
    assert_string_equal(report.problem, "");
}

/* A published file by its name, with its published checksum. */
static void opens_a_published_set(void **state) {
    fixture *f = *state;
    char relative[512], folder[PATH_MAX], url[PATH_MAX + 16];
    snprintf(relative, sizeof relative, "%s/../shared/data/medmnist3d", source_root);
    if (!realpath(relative, folder)) {
        print_message("skipped: no ../shared/data/medmnist3d beside the source\n");
        return;
    }
    snprintf(url, sizeof url, "file://%s", folder);
    tub_dataset_options options = tub_dataset_options_default();
    options.data_url = url;
    tub_dataset *data;
    f->any_file = true;
    assert_ok(tub_dataset_open(f->ctx, "adrenalmnist3d", &options, &data, &f->error), f->error);
    const tub_dataset_info *info = tub_dataset_describe(data);
    assert_string_equal(info->name, "adrenalmnist3d");
    assert_string_equal(info->labels[1], "hyperplasia");
    assert_string_equal(info->licence, "CC BY 4.0");
    assert_int_equal(info->count[TUB_TRAIN], 1188);
    assert_int_equal(info->count[TUB_VAL], 98);
    assert_int_equal(info->count[TUB_TEST], 298);
    assert_int_equal(info->frames, 28);
    tub_dataset_close(data);
    /* The same file by its path. */
    char copy[PATH_MAX];
    snprintf(copy, sizeof copy, "%s/adrenalmnist3d.npz", f->cache);
    assert_ok(tub_dataset_open(f->ctx, copy, NULL, &data, &f->error), f->error);
    assert_string_equal(tub_dataset_describe(data)->licence, "CC BY 4.0");
    tub_dataset_close(data);
    options.data_url = NULL;
    options.offline = 1;
    assert_ok(tub_dataset_open(f->ctx, "adrenalmnist3d", &options, &data, &f->error), f->error);
    tub_dataset_close(data);
}

int main(int argc, char **argv) {
    source_root = argc > 1 ? argv[1] : ".";
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(downloads_once),
        CASE(reads_file_addresses),
        CASE(resumes_a_broken_download),
        CASE(starts_again_where_ranges_are_ignored),
        CASE(starts_again_after_a_stale_part),
        CASE(keeps_a_complete_part),
        CASE(refuses_wrong_bytes),
        CASE(refuses_a_short_file),
        CASE(names_a_damaged_cached_file),
        CASE(says_what_the_server_says),
        CASE(says_that_nobody_answers),
        CASE(stays_offline),
        CASE(stops_when_asked),
        CASE(stops_while_it_waits),
        CASE(says_when_the_cache_is_unwritable),
        CASE(several_at_once_download_once),
        CASE(knows_the_names),
        CASE(survives_failing_allocations),
        CASE(opens_a_published_set),
    };
    unsetenv("http_proxy"); /* the server is on this machine */
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
