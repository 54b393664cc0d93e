/* SPDX-License-Identifier: Apache-2.0 */
/* Results for machines and people: JSON lines, CSV fields, files that are written whole or not at
 * all. */
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "place.h"

/* Nine digits tell every float32 from its neighbours. */
enum { JSON_FLAGS = JSON_COMPACT | JSON_REAL_PRECISION(9) };

json_t *output_number(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *output_interval(const tub_interval *interval) {
    return json_pack("{s:o,s:o,s:o}", "value", output_number(interval->value), "low",
                     output_number(interval->low), "high", output_number(interval->high));
}

json_t *output_scores(const tub_scores *s) {
    return json_pack("{s:o,s:o,s:o,s:o}", "loss", output_number(s->loss), "top1",
                     output_number(s->top1), "top5", output_number(s->top5), "auc",
                     output_number(s->auc));
}

json_t *output_floats(const float *values, int64_t n) {
    json_t *array = json_array();
    for (int64_t i = 0; i < n; i++) {
        json_array_append_new(array, output_number((double)values[i]));
    }
    return array;
}

json_t *output_integers(const int64_t *values, int64_t n) {
    json_t *array = json_array();
    for (int64_t i = 0; i < n; i++) {
        json_array_append_new(array, json_integer(values[i]));
    }
    return array;
}

json_t *output_text(const char *text) {
    json_t *value = json_string(text);
    char *ascii = value == NULL ? strdup(text) : NULL;
    if (ascii == NULL) {
        return value;
    }
    for (char *c = ascii; *c != '\0'; c++) {
        if ((unsigned char)*c > 0x7f) {
            *c = '?';
        }
    }
    value = json_string(ascii);
    free(ascii);
    return value;
}

json_t *output_label(const char *const *labels, int64_t index) {
    json_t *label = labels != NULL ? output_text(labels[index]) : NULL;
    return label != NULL ? label : json_null();
}

/* stdout belongs to the whole program, and so does what went wrong with it. */
static int stdout_failure;

void output_note(void) {
    int reason = errno;
    if (stdout_failure == 0 && ferror(stdout)) {
        stdout_failure = reason;
    }
}

int output_failure(void) {
    return stdout_failure;
}

bool output_line(json_t *object) {
    bool fine = object != NULL && json_dumpf(object, stdout, JSON_FLAGS) == 0;
    fine = putchar('\n') != EOF && fine;
    output_note();
    json_decref(object);
    return fine || ferror(stdout); /* that is told at the end, once */
}

void output_epoch(const tub_event *event) {
    json_t *line = json_pack(
        "{s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "epoch", (json_int_t)event->epoch,
        "step", (json_int_t)event->done, "seconds", output_number(event->seconds), "train_loss",
        output_number(event->train.loss), "train_top1", output_number(event->train.top1),
        "train_top5", output_number(event->train.top5), "val_loss", output_number(event->val.loss),
        "val_top1", output_number(event->val.top1), "val_top5", output_number(event->val.top5),
        "val_auc", output_number(event->val.auc), "lr", output_number(event->lr), "data_wait",
        output_number(event->data_wait));
    (void)output_line(line);
    fflush(stdout); /* whoever reads the lines wants them now */
    output_note();
}

/* Writes the bytes to an open file and makes them last. */
static bool write_whole(FILE *file, const char *bytes, size_t size) {
    bool fine =
        fwrite(bytes, 1, size, file) == size && fflush(file) == 0 && fsync(fileno(file)) == 0;
    int first = errno;
    if (fclose(file) != 0 && fine) {
        return false;
    }
    errno = first;
    return fine;
}

/* The file that a path means: behind links, what they lead to. */
static const char *behind_links(const char *path, char room[PATH_MAX]) {
    return realpath(path, room) != NULL ? room : path;
}

/* "FOLDER/.tubelet-XXXXXX" beside a file; false: too long. */
static bool name_beside(const char *path, char out[PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    const int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
    return snprintf(out, PATH_MAX, "%.*s.tubelet-XXXXXX", folder, path) < PATH_MAX;
}

/* The folder of a file or, where that is missing, the lowest one above it that is there. */
static void find_folder(const char *path, char out[PATH_MAX]) {
    struct stat status;
    snprintf(out, PATH_MAX, "%s", path);
    do {
        char *slash = strrchr(out, '/');
        if (slash == NULL) {
            memcpy(out, ".", 2);
            return;
        }
        slash[slash == out] = '\0';
    } while (strcmp(out, "/") != 0 && stat(out, &status) != 0 && errno == ENOENT);
}

bool output_possible(const char *path, char *why, size_t why_size) {
    char folder[PATH_MAX];
    struct stat status;
    const bool there = stat(path, &status) == 0;
    find_folder(path, folder);
    errno = EISDIR;
    if ((there && S_ISDIR(status.st_mode)) || access(folder, W_OK | X_OK) != 0) {
        snprintf(why, why_size, "%s could not be written: %s", path, strerror(errno));
        return false;
    }
    return true;
}

/* Into what is there and no file: a pipe, a device. */
static bool write_into(const char *path, const char *bytes, size_t size) {
    FILE *file = fopen(path, "w");
    const bool fine = file != NULL && fwrite(bytes, 1, size, file) == size;
    return file != NULL && fclose(file) == 0 && fine;
}

/* Through a temporary file beside it. */
static bool replace_file(const char *path, const char *bytes, size_t size) {
    char temporary[PATH_MAX];
    bool fine = false;
    errno = ENAMETOOLONG;
    const int handle = name_beside(path, temporary) ? mkstemp(temporary) : -1;
    if (handle < 0) {
        return false;
    }
    FILE *file = fdopen(handle, "w");
    if (file == NULL) {
        close(handle);
        goto done;
    }
    /* mkstemp gives 0600; a result is as readable as any file that the user makes. */
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(handle, 0666 & ~mask) != 0) {
        fclose(file);
        goto done;
    }
    fine = write_whole(file, bytes, size) && rename(temporary, path) == 0;
done:
    if (!fine) {
        const int first = errno;
        unlink(temporary);
        errno = first;
    }
    return fine;
}

bool output_bytes(const char *bytes, size_t size, const char *path, char *why, size_t why_size) {
    char room[PATH_MAX];
    struct stat status;
    const char *target = behind_links(path, room);
    const bool other = stat(target, &status) == 0 && !S_ISREG(status.st_mode);
    place_parents above;
    place_make_parents(&above, target);
    const bool fine = other ? write_into(target, bytes, size) : replace_file(target, bytes, size);
    if (!fine) {
        const int first = errno;
        place_remove_parents(&above);
        errno = first;
        snprintf(why, why_size, "%s could not be written: %s", path, strerror(errno));
    }
    return fine;
}

bool output_file(json_t *object, const char *path, char *why, size_t why_size) {
    char *text =
        object != NULL ? json_dumps(object, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(object);
    if (text == NULL) {
        snprintf(why, why_size, "%s could not be written: %s", path, strerror(ENOMEM));
        return false;
    }
    const size_t size = strlen(text);
    text[size] = '\n'; /* the text's end is not needed any more */
    const bool fine = output_bytes(text, size + 1, path, why, why_size);
    free(text);
    return fine;
}

const char *output_family(tub_family family) {
    static const char *const families[] = {"vivit", "cnn-frame", "cnn-rnn", "cnn-transformer",
                                           "resnet3d18"};
    return families[family];
}

void output_csv_text(const char *text) {
    if (strpbrk(text, ",\"\n\r") == NULL) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '"') {
            putchar('"');
        }
        putchar(*c);
    }
    putchar('"');
}

const char *output_name(char out[OUTPUT_NAME], const char *text) {
    snprintf(out, OUTPUT_NAME, "%s", text);
    for (char *c = out; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    return out;
}

const char *output_figure(char out[OUTPUT_FIGURE], double value) {
    if (isnan(value)) {
        snprintf(out, OUTPUT_FIGURE, "-");
    } else {
        snprintf(out, OUTPUT_FIGURE, "%.4f", value);
    }
    return out;
}

const char *output_grouped(char out[OUTPUT_FIGURE], int64_t value) {
    char digits[OUTPUT_FIGURE];
    int n = snprintf(digits, sizeof digits, "%" PRId64, value < 0 ? -value : value);
    size_t used = 0;
    if (value < 0) {
        out[used++] = '-';
    }
    for (int i = 0; i < n && used < OUTPUT_FIGURE - 2; i++) {
        if (i > 0 && (n - i) % 3 == 0) {
            out[used++] = ',';
        }
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}
