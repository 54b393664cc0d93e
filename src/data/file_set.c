/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a data set of files: listed, surveyed, settled; and what is told of it. */
#include "data/file_kept.h"

#include "base/error.h"
#include "base/file.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { TOLD = 20 }; /* lines of one kind at most */

static tub_status make_entries(tub__file_set *set, tub_error *err) {
    void *block;
    TUB__TRY(tub__alloc_array(&set->ctx->allocator, set->list.count + 1, sizeof(tub__file_entry),
                              &block, err));
    set->entries = block;
    TUB__TRY(tub__alloc_array(&set->ctx->allocator, set->list.count + 1, sizeof(tub__file_place),
                              &block, err));
    set->places = block;
    for (size_t i = 0; i < set->list.count; i++) {
        set->places[i] =
            (tub__file_place){(tub_split)set->list.items[i].split, -1, -1, -1, -1, -1, -1};
    }
    return TUB_OK;
}

/* The files that are left become the samples of their splits. */
static tub_status number_samples(tub__file_set *set, tub_error *err) {
    const tub_allocator *a = &set->ctx->allocator;
    for (size_t i = 0; i < set->list.count; i++) {
        if (set->entries[i].problem == NULL) {
            set->places[i].sample = set->count[set->list.items[i].split]++;
        } else {
            set->broken++;
        }
    }
    for (int s = 0; s < TUB_SPLITS; s++) {
        void *block;
        TUB__TRY(tub__alloc_array(a, (size_t)set->count[s] + 1, sizeof(uint32_t), &block, err));
        set->sample[s] = block;
        TUB__TRY(tub__alloc_array(a, (size_t)set->count[s] + 1, sizeof(int32_t), &block, err));
        set->group[s] = block;
    }
    for (size_t i = 0; i < set->list.count; i++) {
        const tub__file_item *item = &set->list.items[i];
        const int64_t sample = set->places[i].sample;
        if (sample >= 0) {
            set->sample[item->split][sample] = (uint32_t)i;
            set->group[item->split][sample] = item->group_number;
        }
    }
    return TUB_OK;
}

static tub_status fill_set(tub__file_set *set, const char *path, const char *name,
                           const tub_dataset_options *options, tub_error *err) {
    set->clip = options->clip;
    set->picture_given = options->picture != NULL;
    if (set->picture_given) {
        set->picture = *options->picture;
    }
    TUB__TRY(tub__file_kept_create(&set->ctx->allocator, options, &set->kept, err));
    TUB__TRY(tub__file_list_read(set->ctx, path, options->split_seed, &set->list, err));
    TUB__TRY(make_entries(set, err));
    TUB__TRY(tub__file_set_survey(set, err));
    TUB__TRY(tub__file_set_settle(set, name, err));
    TUB__TRY(tub__file_set_duplicates(set, err));
    TUB__TRY(number_samples(set, err));
    tub__file_set_digest(set, set->digest);
    return TUB_OK;
}

static void tell_broken(const tub__file_set *set, const char *name) {
    size_t told = 0;
    for (size_t i = 0; i < set->list.count && told < TOLD; i++) {
        if (set->entries[i].problem != NULL) {
            tub__log_line(set->ctx, TUB_LOG_WARNING, "%s: %s; skipped", set->list.items[i].name,
                          set->entries[i].problem);
            told++;
        }
    }
    if (set->broken > 0) {
        tub__log_line(set->ctx, TUB_LOG_WARNING,
                      "%s: %zu of %zu files can't be read and are left out%s", name, set->broken,
                      set->list.count, set->broken > TOLD ? "; tubelet info names them all" : "");
    }
}

static int64_t next_same(const tub__file_set *set, bool classes, int64_t i) {
    return classes ? set->places[i].class_next : set->places[i].same_next;
}

/* "a (train), b (test) and c (test)" of the files that have the content of one; of those of several classes
 * "a (cat, train)". */
static void name_same(const tub__file_set *set, bool classes, int64_t first, char *out,
                      size_t size) {
    enum { MOST = 6 };
    size_t used = 0, named = 0, more = 0;
    out[0] = '\0';
    for (int64_t i = first; i >= 0; i = next_same(set, classes, i)) {
        const bool last = next_same(set, classes, i) < 0;
        if (named++ >= MOST || used >= size) {
            more++;
            continue;
        }
        used += (size_t)snprintf(out + used, size - used, "%s%.80s (%.40s%s%s)",
                                 i == first ? ""
                                 : last     ? " and "
                                            : ", ",
                                 set->list.items[i].name,
                                 classes ? set->list.classes[set->list.items[i].label] : "",
                                 classes ? ", " : "", tub_split_name(set->places[i].split));
    }
    if (more > 0 && used < size) {
        snprintf(out + used, size - used, " and %zu more", more);
    }
}

/* Of what the survey has met; the rest of such a file is used. */
static void tell_damaged(const tub__file_set *set, const char *name) {
    size_t damaged = 0, first = 0;
    for (size_t i = 0; i < set->list.count; i++) {
        const tub__file_entry *e = &set->entries[i];
        if (e->damage != NULL && e->problem == NULL && damaged++ == 0) {
            first = i;
        }
    }
    if (damaged > 0) {
        tub__log_line(set->ctx, TUB_LOG_WARNING,
                      "%s: %zu file%s damaged, and what can be decoded is used; the first, %.200s: "
                      "%s%s",
                      name, damaged, damaged == 1 ? " is" : "s are", set->list.items[first].name,
                      set->entries[first].damage,
                      damaged > 1 ? "; tubelet info names them all" : "");
    }
}

static void tell_duplicates(const tub__file_set *set, const char *name) {
    size_t found = 0;
    for (size_t i = 0; i < set->list.count; i++) {
        char names[768];
        if (set->places[i].same_first != (int64_t)i || found++ >= TOLD) {
            continue;
        }
        name_same(set, false, (int64_t)i, names, sizeof names);
        tub__log_line(set->ctx, TUB_LOG_WARNING,
                      "%s: %s have the same content; what is tested should not have been trained "
                      "on",
                      name, names);
    }
    if (found > TOLD) {
        tub__log_line(set->ctx, TUB_LOG_WARNING,
                      "%s: %zu such contents in all; tubelet info names them", name, found);
    }
}

static void tell_other_classes(const tub__file_set *set, const char *name) {
    size_t found = 0;
    for (size_t i = 0; i < set->list.count; i++) {
        char names[768];
        if (set->places[i].class_first != (int64_t)i || found++ >= TOLD) {
            continue;
        }
        name_same(set, true, (int64_t)i, names, sizeof names);
        tub__log_line(set->ctx, TUB_LOG_WARNING,
                      "%s: %s have the same content, other class; no model can learn both", name,
                      names);
    }
    if (found > TOLD) {
        tub__log_line(set->ctx, TUB_LOG_WARNING,
                      "%s: %zu such contents of other classes in all; tubelet info names them",
                      name, found);
    }
}

/* What is no part of the set, and perhaps was meant to be. */
static void tell_passed_over(const tub__file_list *list, tub_context *ctx, const char *name) {
    if (list->ignored > 0) {
        tub__log_line(ctx, TUB_LOG_WARNING,
                      "%s: %zu file%s or folder%s beside those of classes and splits %s no part of "
                      "it; the first is %.200s",
                      name, list->ignored, list->ignored == 1 ? "" : "s",
                      list->ignored == 1 ? "" : "s", list->ignored == 1 ? "is" : "are",
                      list->first_ignored);
    }
    if (list->nearly_split != NULL) {
        tub__log_line(ctx, TUB_LOG_WARNING,
                      "%s: the folder %.80s is taken for a class; splits are train, val and test, "
                      "in small letters",
                      name, list->nearly_split);
    }
    if (list->passed_over != NULL) {
        tub__log_line(ctx, list->misspelt ? TUB_LOG_WARNING : TUB_LOG_INFO, "%s: %s", name,
                      list->passed_over);
    }
}

static void tell_repeated(const tub__file_list *list, tub_context *ctx, const char *name) {
    if (list->repeated > 0) {
        tub__log_line(ctx, TUB_LOG_WARNING,
                      "%s: %zu row%s a part of a file that another row says already, and count%s "
                      "again; the first is line %zu, which line %zu repeats",
                      name, list->repeated, list->repeated == 1 ? " says" : "s say",
                      list->repeated == 1 ? "s" : "", list->repeated_line[0],
                      list->repeated_line[1]);
    }
}

/* Classes of folders without files, or of files that can't be read: nothing learns them, and an AUC over all
 * classes is not defined. */
static tub_status tell_untrained(const tub_dataset *data, tub_error *err) {
    const tub_dataset_info *info = &data->info;
    const tub_allocator *a = &data->ctx->allocator;
    int64_t untrained = 0;
    void *block;
    TUB__TRY(tub__alloc_array(a, (size_t)info->classes + 1, 1, &block, err));
    unsigned char *trained = block;
    for (int64_t i = 0; i < info->count[TUB_TRAIN]; i++) {
        trained[data->labels[TUB_TRAIN][i]] = 1;
    }
    for (int64_t k = 0; k < info->classes && info->count[TUB_TRAIN] > 0; k++) {
        if (!trained[k] && untrained++ < TOLD) {
            tub__log_line(data->ctx, TUB_LOG_WARNING,
                          "%s: class %.200s has no sample in train, so that nothing learns it",
                          data->name, info->labels[k]);
        }
    }
    if (untrained > TOLD) {
        tub__log_line(data->ctx, TUB_LOG_WARNING, "%s: %lld such classes in all", data->name,
                      (long long)untrained);
    }
    tub__free(a, block);
    return TUB_OK;
}

/* How many files have the problem of the first. */
static size_t count_alike(const tub__file_set *set) {
    size_t alike = 0;
    for (size_t i = 0; i < set->list.count; i++) {
        alike += strcmp(set->entries[i].problem, set->entries[0].problem) == 0;
    }
    return alike;
}

/* Where nothing can be read, the first reason says most. */
static tub_status check_any(const tub__file_set *set, const char *name, tub_error *err) {
    if (set->broken < set->list.count) {
        return TUB_OK;
    }
    char more[48] = "; ";
    const size_t alike = count_alike(set);
    if (alike > 1 && alike == set->list.count) {
        snprintf(more, sizeof more, ", all as ");
    } else if (alike > 1) {
        snprintf(more, sizeof more, ", %zu of them as ", alike);
    }
    return tub__fail(err, TUB_E_FORMAT,
                     "%s: none of its %zu files can be read%sthe first, %.300s: %.300s", name,
                     set->list.count, more, set->list.items[0].name, set->entries[0].problem);
}

static tub_status fill_info(tub_dataset *data, const tub__file_set *set, tub_error *err) {
    tub_dataset_info *info = &data->info;
    info->frames = set->clip.frames;
    info->height = set->clip.height;
    info->width = set->clip.width;
    info->channels = set->channels;
    info->dtype = set->dtype;
    info->classes = (int64_t)set->list.class_count;
    info->task = TUB_TASK_MULTI_CLASS;
    info->label_columns = 1;
    info->labels = (const char *const *)set->list.classes;
    info->left_out = (int64_t)set->broken;
    info->file_bytes = tub__file_set_memory(set);
    for (int s = 0; s < TUB_SPLITS; s++) {
        void *block;
        info->count[s] = set->count[s];
        TUB__TRY(tub__alloc_array(&data->ctx->allocator, (size_t)set->count[s] + 1, sizeof(int32_t),
                                  &block, err));
        data->labels[s] = block;
        for (int64_t i = 0; i < set->count[s]; i++) {
            data->labels[s][i] = set->list.items[set->sample[s][i]].label;
        }
    }
    return TUB_OK;
}

tub_status tub__dataset_fill_files(tub_dataset *data, const char *path,
                                   const tub_dataset_options *options, tub_error *err) {
    void *block;
    TUB__TRY(tub__alloc_array(&data->ctx->allocator, 1, sizeof(tub__file_set), &block, err));
    data->files = block; /* closed with the data set */
    data->files->ctx = data->ctx;
    data->files->whole = data->files;
    data->files->users = 1;
    TUB__TRY(fill_set(data->files, path, data->name, options, err));
    TUB__TRY(check_any(data->files, data->name, err));
    if (!options->quiet) {
        tell_broken(data->files, data->name);
        tell_damaged(data->files, data->name);
        tub__file_set_tell_levels(data->files, data->name);
        tell_duplicates(data->files, data->name);
        tell_other_classes(data->files, data->name);
        tell_passed_over(&data->files->list, data->ctx, data->name);
        tell_repeated(&data->files->list, data->ctx, data->name);
    }
    TUB__TRY(fill_info(data, data->files, err));
    return options->quiet ? TUB_OK : tell_untrained(data, err);
}

/* What is a set's own, be it the whole or a fold. */
static void free_places(tub__file_set *set) {
    const tub_allocator *a = &set->ctx->allocator;
    for (int s = 0; s < TUB_SPLITS; s++) {
        tub__free(a, set->sample[s]);
        tub__free(a, set->group[s]);
    }
    tub__free(a, set->places);
}

/* The whole goes with the last of those that read from it. */
static void release(tub__file_set *whole) {
    const tub_allocator *a = &whole->ctx->allocator;
    if (--whole->users > 0) {
        return;
    }
    for (size_t i = 0; whole->entries != NULL && i < whole->list.count; i++) {
        tub__free(a, whole->entries[i].problem);
        tub__free(a, whole->entries[i].damage);
        tub__free(a, atomic_load(&whole->entries[i].met));
    }
    free_places(whole);
    tub__file_kept_close(a, whole->kept);
    tub__free(a, whole->entries);
    tub__file_list_free(&whole->list);
    tub__free(a, whole);
}

void tub__file_set_close(tub__file_set *set) {
    if (set == NULL) {
        return;
    }
    tub__file_set *whole = set->whole;
    if (set != whole) {
        free_places(set);
        tub__free(&set->ctx->allocator, set);
    }
    release(whole);
}

int64_t tub_dataset_files(const tub_dataset *data) {
    return data->files == NULL ? 0 : (int64_t)data->files->list.count;
}

tub_status tub_dataset_file(const tub_dataset *data, int64_t number, tub_file *out,
                            tub_error *err) {
    const int64_t count = tub_dataset_files(data);
    if (number < 0 || number >= count) {
        return tub__fail(err, TUB_E_RANGE, "%s: no file %lld; there are %lld, counted from 0",
                         data->name, (long long)number, (long long)count);
    }
    const tub__file_item *item = &data->files->list.items[number];
    const tub__file_entry *e = &data->files->entries[number];
    const tub__item_facts *facts = &e->facts;
    const tub__file_place *place = &data->files->places[number];
    *out = (tub_file){.name = item->name,
                      .path = item->path,
                      .group = item->group,
                      .problem = e->problem,
                      .damage = e->problem == NULL ? e->damage : NULL,
                      .line = (int64_t)item->line,
                      .split = place->split,
                      .sample = place->sample,
                      .label = item->label,
                      .file = item->file,
                      .group_number = item->group_number,
                      .first = facts->first,
                      .frames = facts->frames,
                      .height = facts->height,
                      .width = facts->width,
                      .channels = facts->channels,
                      .rate = facts->rate_numerator > 0
                                  ? (double)facts->rate_numerator / (double)facts->rate_denominator
                                  : 0.0,
                      .seconds = (double)facts->nanoseconds / 1e9};
    return TUB_OK;
}

int64_t tub_dataset_ignored(const tub_dataset *data, const char **first) {
    *first = data->files != NULL ? data->files->list.first_ignored : NULL;
    return data->files != NULL ? (int64_t)data->files->list.ignored : 0;
}

int64_t tub_dataset_sample_file(const tub_dataset *data, tub_split split, int64_t sample) {
    return data->files == NULL || sample < 0 || sample >= data->files->count[split]
               ? -1
               : (int64_t)data->files->sample[split][sample];
}

int64_t tub_dataset_duplicate(const tub_dataset *data, int64_t number) {
    return number < 0 || number >= tub_dataset_files(data) ? -1
                                                           : data->files->places[number].duplicate;
}

int64_t tub_dataset_same(const tub_dataset *data, int64_t number, int64_t *first) {
    const bool there = number >= 0 && number < tub_dataset_files(data);
    *first = there ? data->files->places[number].same_first : -1;
    return there ? data->files->places[number].same_next : -1;
}

int64_t tub_dataset_other_class(const tub_dataset *data, int64_t number, int64_t *first) {
    const bool there = number >= 0 && number < tub_dataset_files(data);
    *first = there ? data->files->places[number].class_first : -1;
    return there ? data->files->places[number].class_next : -1;
}

int tub_dataset_has_groups(const tub_dataset *data) {
    return data->files != NULL && data->files->list.has_groups;
}

int tub_dataset_split_by_seed(const tub_dataset *data) {
    return data->files != NULL && !data->files->list.has_splits;
}

bool tub__file_set_has_intensities(const tub__file_set *set) {
    for (size_t i = 0; i < set->list.count; i++) {
        if (set->entries[i].facts.windowed || set->entries[i].facts.dtype == TUB_F32) {
            return true;
        }
    }
    return false;
}

const tub_clip_options *tub_dataset_clip(const tub_dataset *data) {
    return data->files == NULL ? NULL : &data->files->clip;
}
