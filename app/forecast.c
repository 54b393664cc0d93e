/* SPDX-License-Identifier: Apache-2.0 */
/* What a training will take, for people and as JSON: memory and time. */
#include "forecast.h"

#include <stddef.h>

static const double mib = 1.0 / (1024.0 * 1024.0);

static const struct part {
    const char *name;
    size_t offset;
} parts[] = {
    {"weights", offsetof(tub_train_memory, weights)},
    {"gradients", offsetof(tub_train_memory, gradients)},
    {"moments", offsetof(tub_train_memory, moments)},
    {"average", offsetof(tub_train_memory, average)},
    {"activations", offsetof(tub_train_memory, activations)},
    {"validation", offsetof(tub_train_memory, validation)},
    {"data", offsetof(tub_train_memory, data)},
    {"program", offsetof(tub_train_memory, program)},
};
enum { PARTS = sizeof parts / sizeof *parts };

static size_t bytes_of(const tub_train_memory *memory, int part) {
    return *(const size_t *)((const char *)memory + parts[part].offset);
}

void forecast_print_parts(FILE *to, const tub_train_memory *memory) {
    for (int i = 0, printed = 0; i < PARTS; i++) {
        if (bytes_of(memory, i) > 0) {
            fprintf(to, "%s%s %.1f", printed++ > 0 ? ", " : "", parts[i].name,
                    mib * (double)bytes_of(memory, i));
        }
    }
}

json_t *forecast_memory_json(const tub_train_memory *memory) {
    json_t *object = json_object();
    for (int i = 0; i < PARTS; i++) {
        json_object_set_new(object, parts[i].name, json_integer((json_int_t)bytes_of(memory, i)));
    }
    json_object_set_new(object, "total", json_integer((json_int_t)memory->total));
    return object;
}

/* Three digits in a unit that people count in: from two of it on, but of a second on in seconds. */
static const char *duration(char out[OUTPUT_FIGURE], double seconds) {
    static const struct unit {
        const char *name;
        double seconds;
    } units[] = {{"days", 86400}, {"hours", 3600}, {"minutes", 60}, {"s", 1}, {"ms", 1e-3}};
    size_t i = 0;
    while (i < sizeof units / sizeof *units - 1 &&
           seconds < (units[i].seconds > 1 ? 2 : 0.9995) * units[i].seconds) {
        i++;
    }
    snprintf(out, OUTPUT_FIGURE, "%.3g %s", seconds / units[i].seconds, units[i].name);
    return out;
}

void forecast_print_memory(FILE *to, const tub_train_memory *memory) {
    fprintf(to, "memory: %.1f MiB at most (", mib * (double)memory->total);
    forecast_print_parts(to, memory);
    fputs(")\n", to);
}

void forecast_print_time(FILE *to, const tub_train_pace *pace) {
    char step[OUTPUT_FIGURE], epoch[OUTPUT_FIGURE], total[OUTPUT_FIGURE];
    fprintf(to, "time, by steps measured just now: %s a step, %s an epoch, %s in all\n",
            duration(step, pace->step), duration(epoch, pace->epoch), duration(total, pace->total));
}
