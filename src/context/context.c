/* SPDX-License-Identifier: Apache-2.0 */
/* Making and unmaking a context: environment variables, threads, backend. */
#include <tubelet/context.h>

#include "backend/cpu.h"
#include "base/context.h"
#include "base/error.h"
#include "base/file.h"
#include "base/module.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static const struct cpu_name {
    const char *text;
    tub_cpu cpu;
} cpu_names[] = {{"auto", TUB_CPU_AUTO},     {"portable", TUB_CPU_PORTABLE},
                 {"neon", TUB_CPU_NEON},     {"avx2", TUB_CPU_AVX2},
                 {"avx512", TUB_CPU_AVX512}, {"avx512_bf16", TUB_CPU_AVX512_BF16},
                 {"amx", TUB_CPU_AMX}};

tub_status tub_cpu_parse(const char *text, tub_cpu *out, tub_error *err) {
    for (size_t i = 0; i < sizeof cpu_names / sizeof cpu_names[0]; i++) {
        if (strcmp(text, cpu_names[i].text) == 0) {
            *out = cpu_names[i].cpu;
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_ARGUMENT,
                     "'%.60s' is no instruction set: give auto, portable, neon, avx2, avx512, "
                     "avx512_bf16 or amx",
                     text);
}

tub_status tub_precision_parse(const char *text, tub_precision *out, tub_error *err) {
    static const char *const names[] = {"f32", "bf16", "int8"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (tub_precision)i;
            return TUB_OK;
        }
    }
    return tub__fail(err, TUB_E_ARGUMENT, "'%.60s' is no precision: give f32, bf16 or int8", text);
}

tub_context_config tub_context_config_default(void) {
    return (tub_context_config){.size = sizeof(tub_context_config)};
}

/* The caller's settings over the defaults; a caller built with an older, shorter struct keeps the
 * rest. */
static tub_status read_config(const tub_context_config *given, tub_context_config *out,
                              tub_error *err) {
    *out = tub_context_config_default();
    if (given == NULL) {
        return TUB_OK;
    }
    if (given->size < sizeof given->size || given->size > sizeof *out) {
        return tub__fail(
            err, TUB_E_ARGUMENT,
            "tub_context_config: size is %zu, this library knows %zu bytes; start from "
            "tub_context_config_default()",
            given->size, sizeof *out);
    }
    memcpy(out, given, given->size);
    if (out->threads < 0 || out->threads > TUB__POOL_LIMIT) {
        return tub__fail(err, TUB_E_ARGUMENT, "%d threads: give 1 to %d, or 0 for one per core",
                         out->threads, TUB__POOL_LIMIT);
    }
    if ((out->allocator.alloc == NULL) != (out->allocator.free == NULL)) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "tub_context_config: the allocator has only one of its two functions");
    }
    if (out->cpu < TUB_CPU_AUTO || out->cpu > TUB_CPU_AMX) {
        return tub__fail(err, TUB_E_ARGUMENT, "tub_context_config: %d is no instruction set",
                         (int)out->cpu);
    }
    if (out->precision < TUB_PRECISION_F32 || out->precision > TUB_PRECISION_INT8) {
        return tub__fail(err, TUB_E_ARGUMENT, "tub_context_config: %d is no precision",
                         (int)out->precision);
    }
    return TUB_OK;
}

static tub_status choose_cpu(tub_cpu asked, tub_cpu *out, tub_error *err) {
    const char *text = getenv("TUBELET_CPU");
    if (asked == TUB_CPU_AUTO && text != NULL && text[0] != '\0') {
        tub_status status = tub_cpu_parse(text, &asked, err);
        if (status != TUB_OK) {
            return tub__prefix(err, status, "TUBELET_CPU");
        }
    }
    *out = asked == TUB_CPU_AUTO ? tub__cpu_best() : asked;
    return TUB_OK;
}

/* Where downloads are kept: the caller's, $TUBELET_DATA, or the user's cache folder. */
static tub_status choose_data_folder(tub_context *ctx, const char *asked, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    const char *named = asked != NULL ? asked : getenv("TUBELET_DATA");
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (named != NULL && named[0] != '\0') {
        return tub__alloc_string(a, named, &ctx->data_folder, err);
    }
    if (cache != NULL &&
        cache[0] == '/') { /* relative paths are to be ignored: XDG base directory specification */
        return tub__path_join(a, cache, "tubelet", &ctx->data_folder, err);
    }
    return tub__path_join(a, home != NULL && home[0] != '\0' ? home : ".", ".cache/tubelet",
                          &ctx->data_folder, err);
}

tub_status tub_context_create(const tub_context_config *config, tub_context **out, tub_error *err) {
    tub_context_config c;
    tub_cpu cpu = TUB_CPU_AUTO;
    void *block;
    TUB__TRY(read_config(config, &c, err));
    TUB__TRY(choose_cpu(c.cpu, &cpu, err));
    const tub_allocator allocator =
        c.allocator.alloc == NULL ? tub__default_allocator : c.allocator;
    TUB__TRY(tub__alloc_array(&allocator, 1, sizeof(tub_context), &block, err));
    tub_context *ctx = block;
    ctx->allocator = allocator;
    ctx->on_event = c.on_event;
    ctx->event_user = c.event_user;
    ctx->precision = c.precision;
    pthread_mutex_init(&ctx->module_lock, NULL);
    pthread_mutex_init(&ctx->event_lock, NULL);

    int cores = tub__available_cores();
    int threads = c.threads > 0 ? c.threads : cores < TUB__POOL_LIMIT ? cores : TUB__POOL_LIMIT;
    tub_status status = choose_data_folder(ctx, c.data_folder, err);
    if (status == TUB_OK && c.module_folder != NULL) {
        status = tub__alloc_string(&ctx->allocator, c.module_folder, &ctx->module_folder, err);
    }
    if (status == TUB_OK && c.command != NULL) {
        status = tub__alloc_string(&ctx->allocator, c.command, &ctx->command, err);
    }
    if (status == TUB_OK) {
        status = tub__pool_create(&ctx->allocator, threads, &ctx->pool, err);
    }
    if (status == TUB_OK) {
        status = tub__cpu_backend_create(&ctx->allocator, ctx->pool, cpu, &ctx->backend, err);
    }
    if (status != TUB_OK) {
        tub_context_destroy(ctx);
        return status;
    }
    *out = ctx;
    return TUB_OK;
}

void tub_context_destroy(tub_context *ctx) {
    if (ctx == NULL) {
        return;
    }
    const tub_allocator allocator = ctx->allocator;
    tub__modules_close(ctx);
    tub__cpu_backend_destroy(ctx->backend);
    tub__pool_destroy(ctx->pool);
    tub__free(&allocator, ctx->module_folder);
    tub__free(&allocator, ctx->command);
    tub__free(&allocator, ctx->data_folder);
    pthread_mutex_destroy(&ctx->module_lock);
    pthread_mutex_destroy(&ctx->event_lock);
    tub__free(&allocator, ctx);
}

int tub_context_threads(const tub_context *ctx) {
    return tub__pool_threads(ctx->pool);
}

const char *tub_context_cpu(const tub_context *ctx) {
    return ctx->backend->name;
}
