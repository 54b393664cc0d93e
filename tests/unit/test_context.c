/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts, their environment variables, events, the machine's description, and missing modules. */
#include "cmocka_all.h"

#include "backend/cpu.h"
#include "base/context.h"
#include "base/error.h"
#include "base/module.h"
#include "failing_alloc.h"
#include "temp_folder.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/machine.h>

static tub_context *create(const tub_context_config *config) {
    tub_context *ctx;
    tub_error err;
    assert_ok(tub_context_create(config, &ctx, &err), err);
    return ctx;
}

static void expect_failure(const tub_context_config *config, tub_status status, const char *part) {
    tub_context *ctx = NULL;
    tub_error err;
    assert_int_equal(tub_context_create(config, &ctx, &err), status);
    assert_null(ctx);
    assert_non_null(strstr(err.message, part));
}

static void test_defaults(void **state) {
    (void)state;
    unsetenv("TUBELET_CPU");
    tub_context *ctx = create(NULL);
    assert_int_equal(tub_context_threads(ctx), tub__available_cores());
    assert_string_equal(tub_context_cpu(ctx), tub__cpu_name(tub__cpu_best()));
    tub_context_destroy(ctx);
    tub_context_destroy(NULL);
    tub_context_config config = tub_context_config_default();
    assert_int_equal(config.size, sizeof config);
    config.threads = 3;
    ctx = create(&config);
    assert_int_equal(tub_context_threads(ctx), 3);
    tub_context_destroy(ctx);
}

static void test_wrong_configs(void **state) {
    (void)state;
    tub_context_config config = tub_context_config_default();
    config.threads = -1;
    expect_failure(&config, TUB_E_ARGUMENT, "-1 threads");
    config.threads = 100000;
    expect_failure(&config, TUB_E_ARGUMENT, "100000 threads");
    config = tub_context_config_default();
    config.cpu = (tub_cpu)9;
    expect_failure(&config, TUB_E_ARGUMENT, "instruction set");
    config = tub_context_config_default();
    config.size = 0;
    expect_failure(&config, TUB_E_ARGUMENT, "size");
    config.size = sizeof config + 8;
    expect_failure(&config, TUB_E_ARGUMENT, "size");
    config = tub_context_config_default();
    config.allocator.alloc = tub__default_allocator.alloc;
    expect_failure(&config, TUB_E_ARGUMENT, "allocator");
    /* A caller built when the struct ended after threads. */
    config = tub_context_config_default();
    config.size = offsetof(tub_context_config, threads) + sizeof config.threads;
    config.threads = 2;
    config.cpu = (tub_cpu)9;
    tub_context *ctx = create(&config);
    assert_int_equal(tub_context_threads(ctx), 2);
    tub_context_destroy(ctx);
}

static void test_cpu(void **state) {
    (void)state;
    static const char *const names[] = {"auto",   "portable",    "neon", "avx2",
                                        "avx512", "avx512_bf16", "amx"};
    tub_context_config config = tub_context_config_default();
    tub_error err;
    config.threads = 1;
    for (int i = TUB_CPU_AUTO; i <= TUB_CPU_AMX; i++) {
        tub_cpu cpu;
        assert_ok(tub_cpu_parse(names[i], &cpu, &err), err);
        assert_int_equal(cpu, i);
        setenv("TUBELET_CPU", names[i], 1);
        if (i != TUB_CPU_AUTO && !tub__cpu_has(cpu)) {
            expect_failure(&config, TUB_E_UNSUPPORTED, "");
            continue;
        }
        tub_context *ctx = create(&config);
        assert_string_equal(tub_context_cpu(ctx),
                            i == TUB_CPU_AUTO ? tub__cpu_name(tub__cpu_best()) : names[i]);
        tub_context_destroy(ctx);
    }
    tub_cpu cpu;
    assert_int_equal(tub_cpu_parse("avx", &cpu, &err), TUB_E_ARGUMENT);
    setenv("TUBELET_CPU", "sse9", 1);
    expect_failure(&config, TUB_E_ARGUMENT, "TUBELET_CPU: 'sse9'");
    config.cpu = TUB_CPU_PORTABLE; /* what the caller says counts more */
    tub_context *ctx = create(&config);
    assert_string_equal(tub_context_cpu(ctx), "portable");
    tub_context_destroy(ctx);
    unsetenv("TUBELET_CPU");
}

static void test_data_folder(void **state) {
    (void)state;
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    const struct {
        const char *configured, *data, *cache, *home, *wanted;
    } cases[] = {{"/a", "/b", "/c", "/d", "/a"},
                 {NULL, "/b", "/c", "/d", "/b"},
                 {NULL, "", "/c", "/d", "/c/tubelet"},
                 {NULL, "", "relative", "/d", "/d/.cache/tubelet"},
                 {NULL, "", "", "/d", "/d/.cache/tubelet"},
                 {NULL, "", "", "", "./.cache/tubelet"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("TUBELET_DATA", cases[i].data, 1);
        setenv("XDG_CACHE_HOME", cases[i].cache, 1);
        setenv("HOME", cases[i].home, 1);
        config.data_folder = cases[i].configured;
        tub_context *ctx = create(&config);
        assert_string_equal(ctx->data_folder, cases[i].wanted);
        tub_context_destroy(ctx);
    }
}

typedef struct receiver {
    int events;
    tub_event_kind kind;
    tub_log_level level;
    char message[100];
} receiver;

static void receive(void *user, const tub_event *event) {
    receiver *r = user;
    r->events++;
    r->kind = event->kind;
    r->level = event->level;
    snprintf(r->message, sizeof r->message, "%s", event->message);
}

static void test_events(void **state) {
    (void)state;
    receiver r = {0};
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    tub_context *ctx = create(&config);
    tub__log_line(ctx, TUB_LOG_WARNING, "nobody listens");
    tub_context_destroy(ctx);
    config.on_event = receive;
    config.event_user = &r;
    ctx = create(&config);
    assert_int_equal(r.events, 0);
    tub__log_line(ctx, TUB_LOG_WARNING, "%d samples", 7);
    assert_int_equal(r.events, 1);
    assert_int_equal(r.kind, TUB_EVENT_LOG);
    assert_int_equal(r.level, TUB_LOG_WARNING);
    assert_string_equal(r.message, "7 samples");
    tub_context_destroy(ctx);
}

static tub_status create_and_destroy(const tub_allocator *a, void *user, tub_error *err) {
    tub_context_config config = tub_context_config_default();
    tub_context *ctx;
    (void)user;
    config.allocator = *a;
    config.threads = 2;
    config.module_folder = "/nowhere";
    TUB__TRY(tub_context_create(&config, &ctx, err));
    tub_context_destroy(ctx);
    return TUB_OK;
}

static void test_failing_allocations(void **state) {
    (void)state;
    failing_report report = failing_run(create_and_destroy, NULL);
    assert_string_equal(report.problem, "");
    assert_true(report.allocations >= 5);
}

static void test_missing_modules(void **state) {
    (void)state;
    temp_folder t;
    tub_error err;
    const void *table = NULL;
    temp_folder_make(&t);
    tub_context_config config = tub_context_config_default();
    config.threads = 1;
    config.module_folder = t.path;
    tub_context *ctx = create(&config);
    assert_int_equal(tub__module_open(ctx, "yaml", &table, &err), TUB_E_MODULE);
    assert_non_null(strstr(err.message, "reading YAML recipes"));
    assert_non_null(strstr(err.message, "apt-get install libfyaml-dev"));
    assert_non_null(strstr(err.message, t.path));
    assert_int_equal(tub__module_open(ctx, "net", &table, &err), TUB_E_MODULE);
    assert_non_null(strstr(err.message, "apt-get install libcurl4-openssl-dev"));
    assert_int_equal(tub__module_open(ctx, "nonsense", &table, &err), TUB_E_MODULE);
    /* There, but not to be loaded. */
    assert_ok(
        tub__file_write(&tub__default_allocator, temp_path(&t, "mod-net.so"), "no ELF", 6, &err),
        err);
    assert_int_equal(tub__module_open(ctx, "net", &table, &err), TUB_E_MODULE);
    assert_non_null(strstr(err.message, "apt-get install libcurl4'"));
    assert_null(table);
    tub_context_destroy(ctx);
    /* The variable counts where the caller named no folder. */
    setenv("TUBELET_MODULES", t.path, 1);
    config.module_folder = NULL;
    ctx = create(&config);
    assert_int_equal(tub__module_open(ctx, "net", &table, &err), TUB_E_MODULE);
    assert_non_null(strstr(err.message, "can't be loaded"));
    unsetenv("TUBELET_MODULES");
    tub_context_destroy(ctx);
    /* There and sound, but of another version. */
    config.module_folder = TEST_MODULES;
    ctx = create(&config);
    assert_int_equal(tub__module_open(ctx, "old", &table, &err), TUB_E_MODULE);
    assert_non_null(strstr(err.message, "another version of tubelet"));
    assert_null(table);
    tub_context_destroy(ctx);
    temp_folder_drop(&t);
}

static void test_machine(void **state) {
    (void)state;
    tub_machine machine;
    tub_machine_describe(&machine);
    assert_true(machine.processor[0] != '\0' && strchr(machine.processor, '\n') == NULL);
    assert_int_equal(machine.cores, tub__available_cores());
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults),
                                       cmocka_unit_test(test_wrong_configs),
                                       cmocka_unit_test(test_cpu),
                                       cmocka_unit_test(test_data_folder),
                                       cmocka_unit_test(test_events),
                                       cmocka_unit_test(test_failing_allocations),
                                       cmocka_unit_test(test_missing_modules),
                                       cmocka_unit_test(test_machine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
