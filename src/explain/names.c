/* SPDX-License-Identifier: Apache-2.0 */
/* The words for what can be chosen. */
#include <stdio.h>
#include <string.h>
#include <tubelet/explain.h>

#include "base/error.h"

static const char *const methods[TUB_EXPLAIN_METHODS] = {"gradient-rollout", "rollout", "attention",
                                                         "occlusion", "integrated-gradients"};
static const char *const axes[TUB_AXES_KINDS] = {"both", "space", "time"};
static const char *const baselines[TUB_BASELINES] = {"default", "black", "zero", "mean"};
static const char *const upsamplings[TUB_UPSAMPLINGS] = {"nearest", "trilinear"};

static const char *name_of(const char *const *words, int count, int i) {
    return i >= 0 && i < count ? words[i] : "unknown";
}

/* "a, b or c" of words first … count - 1. */
static void list(const char *const *words, int first, int count, char *out, size_t size) {
    size_t used = 0;
    for (int i = first; i < count && used < size; i++) {
        used += (size_t)snprintf(out + used, size - used, "%s%s",
                                 i == first       ? ""
                                 : i == count - 1 ? " or "
                                                  : ", ",
                                 words[i]);
    }
}

static tub_status parse(const char *text, const char *what, const char *const *words, int first,
                        int count, int *out, tub_error *err) {
    char all[128];
    for (int i = first; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = i;
            return TUB_OK;
        }
    }
    list(words, first, count, all, sizeof all);
    return tub__fail(err, TUB_E_ARGUMENT, "'%.80s' is no %s: choose %s", text, what, all);
}

const char *tub_explain_method_name(tub_explain_method method) {
    return name_of(methods, TUB_EXPLAIN_METHODS, (int)method);
}

tub_status tub_explain_method_parse(const char *text, tub_explain_method *out, tub_error *err) {
    int i = 0;
    TUB__TRY(parse(text, "method", methods, 0, TUB_EXPLAIN_METHODS, &i, err));
    *out = (tub_explain_method)i;
    return TUB_OK;
}

const char *tub_axes_name(tub_axes kind) {
    return name_of(axes, TUB_AXES_KINDS, (int)kind);
}

tub_status tub_axes_parse(const char *text, tub_axes *out, tub_error *err) {
    int i = 0;
    TUB__TRY(parse(text, "choice of axes", axes, 0, TUB_AXES_KINDS, &i, err));
    *out = (tub_axes)i;
    return TUB_OK;
}

const char *tub_baseline_name(tub_baseline baseline) {
    return name_of(baselines, TUB_BASELINES, (int)baseline);
}

tub_status tub_baseline_parse(const char *text, tub_baseline *out, tub_error *err) {
    int i = 0;
    TUB__TRY(parse(text, "baseline", baselines, TUB_BASELINE_BLACK, TUB_BASELINES, &i, err));
    *out = (tub_baseline)i;
    return TUB_OK;
}

const char *tub_upsampling_name(tub_upsampling upsampling) {
    return name_of(upsamplings, TUB_UPSAMPLINGS, (int)upsampling);
}

tub_status tub_upsampling_parse(const char *text, tub_upsampling *out, tub_error *err) {
    int i = 0;
    TUB__TRY(parse(text, "way to upsample", upsamplings, 0, TUB_UPSAMPLINGS, &i, err));
    *out = (tub_upsampling)i;
    return TUB_OK;
}
