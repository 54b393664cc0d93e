/* SPDX-License-Identifier: Apache-2.0 */
/* MedMNIST's result file: the name and the text that its Evaluator writes and its command line
 * re-scores. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/predict.h>

#include "base/context.h"
#include "base/error.h"
#include "base/file.h"

enum {
    DIGITS_LIMIT = 9, /* a float32 needs no more to be read back exactly */
    NUMBER_LIMIT = 32 /* characters of one number and its comma */
};

/* The decimal digits and exponent of |x|: d.ddd * 10^exponent, with the fewest digits that read
 * back as x. */
static int shortest_digits(float x, char digits[DIGITS_LIMIT + 1], int *exponent) {
    char text[NUMBER_LIMIT];
    int precision = 1;
    do {
        snprintf(text, sizeof text, "%.*e", precision - 1, (double)x);
    } while (strtof(text, NULL) != x && ++precision <= DIGITS_LIMIT);
    int count = 0;
    const char *c = text;
    for (; *c != 'e'; c++) { /* what stands between the digits depends on the locale */
        if (*c >= '0' && *c <= '9' && count < DIGITS_LIMIT) {
            digits[count++] = *c;
        }
    }
    *exponent = (int)strtol(c + 1, NULL, 10);
    digits[count] = '\0';
    return count;
}

/* As Python's repr of a NumPy float32: plain between 1e-4 and 1e16, otherwise with an exponent.
 * Returns the length. */
static size_t format_float(float x, char *out) {
    char digits[DIGITS_LIMIT + 1], *p = out;
    int exponent;
    if (x != x) {
        return 0; /* pandas leaves the cell empty */
    }
    if (x < 0.0f) {
        *p++ = '-';
    }
    if (x - x != 0.0f) {
        return (size_t)(p - out) + (size_t)sprintf(p, "inf");
    }
    int count = shortest_digits(x < 0.0f ? -x : x, digits, &exponent);
    if (exponent < -4 || exponent >= 16) {
        *p++ = digits[0];
        p += count > 1 ? sprintf(p, ".%s", digits + 1) : 0;
        p += sprintf(p, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return (size_t)(p - out);
    }
    int whole = exponent < 0 ? 0 : exponent + 1; /* digits before the point */
    for (int i = 0; i < whole; i++) {
        *p++ = i < count ? digits[i] : '0';
    }
    if (whole == 0) {
        *p++ = '0';
    }
    *p++ = '.';
    for (int i = exponent; i < -1; i++) {
        *p++ = '0';
    }
    p += sprintf(p, "%s", whole < count ? digits + whole : "0");
    return (size_t)(p - out);
}

/* Three decimals with a point in every locale, as Python's f"{value:.3f}". */
static void three_decimals(double value, char out[NUMBER_LIMIT]) {
    if (value != value) {
        snprintf(out, NUMBER_LIMIT, "nan");
        return;
    }
    snprintf(out, NUMBER_LIMIT, "%.3f", value);
    size_t length = strlen(out);
    if (length > 4) {
        out[length - 4] = '.';
    }
}

/* MedMNIST's flag of a data set: the file's name without .npz; "organmnist3d@64" is
 * "organmnist3d_64". */
static void medmnist_flag(const char *name, char *out, size_t size) {
    snprintf(out, size, "%s", tub__path_name(name));
    size_t length = strlen(out);
    if (length > 4 && strcmp(out + length - 4, ".npz") == 0) {
        out[length - 4] = '\0';
    }
    for (char *c = strchr(out, '@'); c != NULL; c = strchr(c, '@')) {
        *c = '_';
    }
}

static size_t format_rows(size_t n, size_t classes, const float *probabilities, char *text) {
    char *p = text;
    for (size_t i = 0; i < n; i++) {
        p += sprintf(p, "%zu", i);
        for (size_t k = 0; k < classes; k++) {
            *p++ = ',';
            p += format_float(probabilities[i * classes + k], p);
        }
        *p++ = '\n';
    }
    return (size_t)(p - text);
}

static tub_status result_path(const char *folder, const char *flag, const char *split,
                              const char *run, double auc, double acc, char *path, size_t path_size,
                              tub_error *err) {
    char short_flag[128], auc_text[NUMBER_LIMIT], acc_text[NUMBER_LIMIT];
    if (strchr(run, '/') != NULL || strchr(run, '@') != NULL || run[0] == '\0') {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "run name '%s' must be a part of a file name without / and @", run);
    }
    medmnist_flag(flag, short_flag, sizeof short_flag);
    three_decimals(auc, auc_text);
    three_decimals(acc, acc_text);
    int length = snprintf(path, path_size, "%s/%s_%s_[AUC]%s_[ACC]%s@%s.csv", folder, short_flag,
                          split, auc_text, acc_text, run);
    if (length < 0 || (size_t)length >= path_size) {
        return tub__fail(err, TUB_E_ARGUMENT, "the path of the result file in %s is too long",
                         folder);
    }
    return TUB_OK;
}

tub_status tub_medmnist_result(tub_context *ctx, const char *folder, const char *flag,
                               const char *split, const char *run, int64_t n, int64_t classes,
                               const float *probabilities, double auc, double acc, char *path,
                               size_t path_size, tub_error *err) {
    const tub_allocator *a = &ctx->allocator;
    size_t cells, bytes;
    char *text;
    if (n < 1 || classes < 1) {
        return tub__fail(err, TUB_E_ARGUMENT,
                         "a result file needs at least one sample and one class");
    }
    /* one cell more per line for the index */
    if (!tub__mul((size_t)n, (size_t)classes + 1, &cells) ||
        !tub__mul(cells, NUMBER_LIMIT, &bytes)) {
        return tub__fail(err, TUB_E_MEMORY,
                         "%lld samples of %lld classes are too many for a result file",
                         (long long)n, (long long)classes);
    }
    TUB__TRY(result_path(folder, flag, split, run, auc, acc, path, path_size, err));
    TUB__TRY(tub__folder_create(folder, err));
    TUB__TRY(tub__alloc(a, bytes, (void **)&text, err));
    size_t length = format_rows((size_t)n, (size_t)classes, probabilities, text);
    tub_status status = tub__file_write(a, path, text, length, err);
    tub__free(a, text);
    return status;
}
