/* SPDX-License-Identifier: Apache-2.0 */
/* What the survey has found of an item, as a record of the cache: numbers, and behind them what is told of damage. */
#include "base/error.h"
#include "data/file_kept.h"
#include <string.h>

/* In the machine's own order, as the cache's file is. */
typedef struct record {
    int64_t kind, dtype, height, width, channels, first, frames;
    int64_t rate_numerator, rate_denominator, nanoseconds;
    int64_t windowed, measured;
    float low, high;
    int64_t damage; /* bytes of the sentence with its 0; 0: none */
} record;

static record record_of(const tub__file_entry *e) {
    return (record){.kind = e->kind,
                    .dtype = e->dtype,
                    .height = e->height,
                    .width = e->width,
                    .channels = e->channels,
                    .first = e->first,
                    .frames = e->frames,
                    .rate_numerator = e->rate_numerator,
                    .rate_denominator = e->rate_denominator,
                    .nanoseconds = e->nanoseconds,
                    .windowed = e->windowed,
                    .measured = e->measured,
                    .low = e->low,
                    .high = e->high,
                    .damage = e->damage != NULL ? (int64_t)strlen(e->damage) + 1 : 0};
}

/* The checksum says that a record is whole, not that it is one of ours. */
static bool is_record(const record *r, const void *data, size_t bytes) {
    const char *behind = (const char *)data + sizeof *r;
    return r->damage >= 0 && (uint64_t)r->damage == bytes - sizeof *r && r->height > 0 &&
           r->width > 0 && r->channels > 0 && r->first >= 0 && r->frames > 0 &&
           r->frames <= INT32_MAX && (r->damage == 0 || behind[r->damage - 1] == '\0');
}

static void fill_entry(tub__file_entry *e, const record *r) {
    e->kind = (tub__clip_kind)r->kind;
    e->dtype = (tub_dtype)r->dtype;
    e->height = r->height;
    e->width = r->width;
    e->channels = r->channels;
    e->first = r->first;
    e->frames = r->frames;
    e->rate_numerator = r->rate_numerator;
    e->rate_denominator = r->rate_denominator;
    e->nanoseconds = r->nanoseconds;
    e->windowed = r->windowed != 0;
    e->measured = r->measured != 0;
    e->low = r->low;
    e->high = r->high;
}

tub_status tub__file_kept_get_facts(tub__file_set *set, uint32_t number, bool *found,
                                    tub_error *err) {
    tub__file_entry *e = &set->entries[number];
    const void *data = NULL;
    size_t bytes = 0;
    record r;
    *found = false;
    if (!tub__clip_cache_get(set->kept->cache[TUB__KEEPS_FACTS], number, &data, &bytes) ||
        bytes < sizeof r) {
        return TUB_OK;
    }
    memcpy(&r, data, sizeof r);
    if (!is_record(&r, data, bytes)) {
        return TUB_OK;
    }
    fill_entry(e, &r);
    *found = true;
    return r.damage == 0 ? TUB_OK
                         : tub__alloc_string(&set->ctx->allocator, (const char *)data + sizeof r,
                                             &e->damage, err);
}

tub_status tub__file_kept_put_facts(const tub__file_set *set, uint32_t number, tub_error *err) {
    tub__clip_cache *cache = set->kept->cache[TUB__KEEPS_FACTS];
    const tub__file_entry *e = &set->entries[number];
    const record r = record_of(e);
    void *block;
    if (!tub__clip_cache_takes(cache) || e->problem != NULL || e->content[0] == '\0') {
        return TUB_OK;
    }
    TUB__TRY(tub__alloc_array(&set->ctx->allocator, sizeof r + (size_t)r.damage, 1, &block, err));
    memcpy(block, &r, sizeof r);
    if (r.damage > 0) {
        memcpy((char *)block + sizeof r, e->damage, (size_t)r.damage);
    }
    tub__clip_cache_put(cache, number, block, sizeof r + (size_t)r.damage);
    tub__free(&set->ctx->allocator, block);
    return TUB_OK;
}
