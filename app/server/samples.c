/* SPDX-License-Identifier: Apache-2.0 */
/* Sample clips: a few of each generated data set, as animations that can be sent back as files. */
#include "samples.h"

#include <stdio.h>
#include <stdlib.h>

#include "gif.h"
#include "server.h"

enum { HUNDREDTHS = 10 };

void samples_init(samples *s) {
    *s = (samples){.count = 0};
    pthread_mutex_init(&s->lock, NULL);
}

static void drop(samples *s) {
    for (int i = 0; i < s->count; i++) {
        free(s->list[i].bytes);
    }
    s->count = 0;
}

void samples_free(samples *s) {
    drop(s);
    pthread_mutex_destroy(&s->lock);
}

/* The first sample of a class in the test split; -1: there is none. */
static int64_t first_of(const tub_dataset *data, int32_t wanted) {
    const tub_dataset_info *info = tub_dataset_describe(data);
    const int32_t *labels = tub_dataset_labels(data, TUB_TEST);
    for (int64_t i = 0; i < info->count[TUB_TEST]; i++) {
        if (labels[i] == wanted) {
            return i;
        }
    }
    return -1;
}

static tub_status make_one(tub_context *ctx, const char *set, const tub_dataset *data,
                           int32_t wanted, sample *out, tub_error *err) {
    const tub_dataset_info *info = tub_dataset_describe(data);
    const size_t volume = (size_t)(info->frames * info->height * info->width * info->channels);
    const int64_t at = first_of(data, wanted);
    const tub_picture picture = {
        .levels = (const unsigned char *)tub_dataset_samples(data, TUB_TEST) + (size_t)at * volume,
        .frames = info->frames,
        .height = info->height,
        .width = info->width,
        .channels = info->channels,
        .hundredths = HUNDREDTHS};
    snprintf(out->name, sizeof out->name, "%s: %.40s", set,
             info->labels != NULL ? info->labels[wanted] : "");
    return gif_encode(ctx, &picture, &out->bytes, &out->size, err);
}

static tub_status make_of(tub_context *ctx, const char *set, samples *s, int upto, tub_error *err) {
    tub_dataset *data;
    tub_status status = tub_dataset_open(ctx, set, NULL, &data, err);
    if (status != TUB_OK) {
        return status;
    }
    const int begin = s->count;
    for (int i = begin; i < upto && status == TUB_OK; i++) {
        status = make_one(ctx, set, data, i - begin, &s->list[i], err);
        s->count += status == TUB_OK;
    }
    tub_dataset_close(data);
    return status;
}

/* With the lock held: all of them, or none. */
static tub_status make(tub_context *ctx, samples *s, tub_error *err) {
    if (s->count > 0) {
        return TUB_OK;
    }
    tub_status status = make_of(ctx, "motion", s, SAMPLES / 2, err);
    status = status == TUB_OK ? make_of(ctx, "phantom3d", s, SAMPLES, err) : status;
    if (status != TUB_OK) {
        drop(s);
    }
    return status;
}

static void list(request *r, const samples *s) {
    textbuf t = {0};
    text_put(&t, "[");
    for (int i = 0; i < s->count; i++) {
        text_put(&t, "%s{\"name\":", i > 0 ? "," : "");
        text_json(&t, s->list[i].name);
        text_put(&t, ",\"type\":\"image/gif\",\"size\":%zu,\"path\":\"samples/%d\"}",
                 s->list[i].size, i);
    }
    text_put(&t, "]");
    answer_text(r, 200, "application/json", &t);
}

bool samples_find(request *r, const char *number) {
    r->sample = number == NULL ? -1 : number[0] - '0';
    const bool known =
        number == NULL || (r->sample >= 0 && r->sample < SAMPLES && number[1] == '\0');
    return known || request_fail(r, 404, "there is no sample '%.20s'", number);
}

/* Making them takes a second, so that a helper does it. */
static void answer_by_helper(helper_job *help, tub_context *ctx) {
    request *r = (request *)(void *)((char *)help - offsetof(request, help));
    samples *s = r->server->samples;
    tub_error err;
    pthread_mutex_lock(&s->lock);
    const tub_status status = make(ctx, s, &err);
    pthread_mutex_unlock(&s->lock);
    if (status != TUB_OK) {
        answer_error(r, 500, "%s", err.message);
    } else if (r->sample < 0) {
        list(r, s);
    } else {
        const sample *one = &s->list[r->sample];
        answer_static(r, 200, "image/gif", one->bytes, one->size);
    }
}

void samples_answer(request *r) {
    if (!request_take_on(r)) {
        answer_failure(r);
        return;
    }
    r->help.work = answer_by_helper;
    helpers_push(r->server->helpers, &r->help);
}
