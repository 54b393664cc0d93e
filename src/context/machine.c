/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine is. */
#include <tubelet/machine.h>

#include "backend/cpu.h"
#include "base/pool.h"
#include <fcntl.h>
#include <stdio.h>
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
