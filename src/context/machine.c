/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine is, and how fast it multiplies and adds. */
#include <tubelet/machine.h>

#include "backend/cpu.h"
#include "base/clock.h"
#include "base/context.h"
#include "base/error.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The first "model name" of /proc/cpuinfo, else the architecture's name. */
static void processor_name(char *out, size_t size) {
    char text[4096];
    ssize_t n = -1;
    int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, text, sizeof text - 1);
        close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    const char *line = strstr(text, "model name");
    const char *value = line == NULL ? NULL : strchr(line, ':');
    if (value != NULL) {
        value += 1 + strspn(value + 1, " \t");
        snprintf(out, size, "%.*s", (int)strcspn(value, "\n"), value);
        return;
    }
    struct utsname system;
    snprintf(out, size, "%s", uname(&system) == 0 ? system.machine : "unknown");
}

void tub_machine_describe(tub_machine *out) {
    *out = (tub_machine){.cores = tub__available_cores(),
                         .has_neon = tub__cpu_has(TUB_CPU_NEON),
                         .has_avx2 = tub__cpu_has(TUB_CPU_AVX2),
                         .has_avx512 = tub__cpu_has(TUB_CPU_AVX512),
                         .has_avx512_bf16 = tub__cpu_has(TUB_CPU_AVX512_BF16),
                         .has_amx = tub__cpu_has(TUB_CPU_AMX)};
    processor_name(out->processor, sizeof out->processor);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

tub_status tub_bench_peak(tub_context *ctx, int repeats, double *gflops, tub_error *err) {
    enum { REPEAT_LIMIT = 1000 };
    const double run_seconds = 0.05; /* long beside the hand-out of a region and a timer tick */
    double rate[REPEAT_LIMIT];
    if (repeats < 1 || repeats > REPEAT_LIMIT) {
        return tub__fail(err, TUB_E_ARGUMENT, "%d repeats: give 1 to %d", repeats, REPEAT_LIMIT);
    }
    /* The search for a long enough run also brings the processor to its working clock. */
    long iterations = 1000;
    for (double seconds = 0.0; seconds < run_seconds; iterations *= 2) {
        double start = tub__seconds();
        (void)tub__cpu_peak_run(ctx->backend, iterations);
        seconds = tub__seconds() - start;
    }
    for (int i = 0; i < repeats; i++) {
        double start = tub__seconds();
        double operations = tub__cpu_peak_run(ctx->backend, iterations);
        rate[i] = operations / (tub__seconds() - start) * 1e-9;
    }
    qsort(rate, (size_t)repeats, sizeof rate[0], by_value);
    *gflops = repeats % 2 ? rate[repeats / 2] : 0.5 * (rate[repeats / 2 - 1] + rate[repeats / 2]);
    return TUB_OK;
}
