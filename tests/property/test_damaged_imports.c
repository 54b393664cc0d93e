/* SPDX-License-Identifier: Apache-2.0 */
/* Hundreds of damaged files of Keras, each imported by the public entry and so through the real worker
 * process: the whole model or one sentence, and no process, descriptor or file stays behind. The
 * damage is drawn from a fixed seed. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <tubelet/convert.h>
#include <tubelet/tubelet.h>
#include <unistd.h>

#include "cmocka_all.h"
#include "formats/zip.h"
#include "same_config.h"
#include "temp_folder.h"

static const char WEIGHTS[] = "model.weights.h5";
static const tub_allocator *const heap = &tub__default_allocator;

/* ---- Damage ---- */

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t n) {
    return (size_t)(draw(state) % n);
}

typedef struct bytes {
    unsigned char *data;
    size_t size;
} bytes;

/* A place where it hurts: near one of the marks that HDF5's and zip's structures begin with, or
 * anywhere. */
static size_t place_in(const bytes *b, uint64_t *state) {
    static const char *const marks[] = {"TREE", "HEAP", "SNOD", "PK\1\2", "PK\5\6", "\211HDF"};
    const size_t from = below(state, b->size);
    const char *mark = marks[below(state, sizeof marks / sizeof *marks)];
    const unsigned char *found = memmem(b->data + from, b->size - from, mark, 4);
    const size_t at =
        found != NULL && draw(state) % 4 != 0 ? (size_t)(found - b->data) + below(state, 96) : from;
    return at < b->size ? at : b->size - 1;
}

typedef enum damage { FLIP, CUT, SWAP, INFLATE, BLANK, DAMAGES } damage;
static const char *const damage_names[] = {"flipped", "cut", "swapped", "inflated", "blanked"};

static void flip(bytes *b, uint64_t *state) {
    for (size_t n = 1 + below(state, 4); n > 0; n--) {
        b->data[place_in(b, state)] ^= (unsigned char)(1u << below(state, 8));
    }
}

static void swap(bytes *b, uint64_t *state) {
    const size_t n = (size_t)8 << below(state, 6);
    const size_t left = place_in(b, state) % (b->size - n),
                 right = place_in(b, state) % (b->size - n);
    unsigned char kept[256];
    memcpy(kept, b->data + left, n);
    memmove(b->data + left, b->data + right, n);
    memcpy(b->data + right, kept, n);
}

/* A number of 2, 4 or 8 bytes that is far too large. */
static void inflate(bytes *b, uint64_t *state) {
    static const uint64_t sizes[] = {UINT64_MAX, INT64_MAX, (uint64_t)1 << 40, INT32_MAX, 0xffff};
    const size_t width = (size_t)2 << below(state, 3),
                 at = place_in(b, state) % (b->size - 8) & ~7ul;
    const uint64_t size = sizes[below(state, sizeof sizes / sizeof *sizes)];
    memcpy(b->data + at, &size, width);
}

static void blank(bytes *b, uint64_t *state) {
    const size_t at = place_in(b, state), n = (size_t)4 << below(state, 8);
    memset(b->data + at, 0, n < b->size - at ? n : b->size - at);
}

static void harm(bytes *b, damage kind, uint64_t *state) {
    switch (kind) {
    case FLIP:
        flip(b, state);
        break;
    case CUT:
        b->size = below(state, b->size);
        break;
    case SWAP:
        swap(b, state);
        break;
    case INFLATE:
        inflate(b, state);
        break;
    default:
        blank(b, state);
    }
}

/* ---- Files ---- */

typedef enum form { ARRAYS, MEMBER, ARCHIVE, FORMS } form; /* what is damaged of which file */

typedef struct fixture {
    tub_context *ctx;
    temp_folder folder;
    char model[512], paths[FORMS][512]; /* the whole model as a folder; the damaged files */
    char *config;
    bytes weights, archive; /* undamaged */
    tub_convert_report *truth;
    unsigned read[DAMAGES], refused[DAMAGES], ended;
} fixture;

static void read_file(const char *path, bytes *out) {
    char *data;
    tub_error err = {0};
    assert_ok(tub__file_read(heap, path, 1 << 24, &data, &out->size, &err), err);
    out->data = (unsigned char *)data;
}

static void read_member(const char *path, const char *name, void **data, size_t *size) {
    tub__zip *z;
    size_t index;
    tub_error err = {0};
    assert_ok(tub__zip_open(heap, path, &z, &err), err);
    assert_true(tub__zip_find(z, name, &index));
    assert_ok(tub__zip_read(z, index, 1 << 24, data, size, &err), err);
    tub__zip_close(z);
}

static tub_status import(fixture *f, form which, tub_convert_report **report, tub_error *err) {
    tub_convert_options o = tub_convert_options_default();
    o.dry_run = 1;
    o.gelu = TUB_CONVERT_GELU_TANH;
    o.like = which == ARRAYS ? f->model : NULL;
    return tub_convert(f->ctx, f->paths[which], temp_path(&f->folder, "out"), &o, report, err);
}

/* The checksums of the archive's members are right: what is in them gets through to the worker. */
static void write_archive(const fixture *f, const bytes *weights) {
    const tub__zip_member members[] = {{"config.json", f->config, strlen(f->config)},
                                       {WEIGHTS, weights->data, weights->size}};
    tub_error err = {0};
    unlink(f->paths[MEMBER]);
    assert_ok(tub__zip_write(heap, f->paths[MEMBER], members, 2, &err), err);
}

static void write_bytes(const char *path, const bytes *b) {
    FILE *f = fopen(path, "wb"); /* without waiting for the disk, as the library would */
    assert_true(f != NULL && fwrite(b->data, 1, b->size, f) == b->size && fclose(f) == 0);
}

static int set_up(void **state) {
    static const char mini[] = GOLDEN "/keras/files/mini.keras";
    static const char *const names[] = {"arrays.weights.h5", "member.keras", "archive.keras"};
    tub_context_config c = tub_context_config_default();
    fixture *f = calloc(1, sizeof *f);
    void *text;
    size_t size;
    tub_error err = {0};
    *state = f;
    temp_folder_make(&f->folder);
    c.threads = 1;
    assert_ok(tub_context_create(&c, &f->ctx, &err), err);
    for (int i = 0; i < FORMS; i++) {
        snprintf(f->paths[i], sizeof f->paths[i], "%s", temp_path(&f->folder, names[i]));
    }
    snprintf(f->model, sizeof f->model, "%s", temp_path(&f->folder, "model"));
    assert_ok(tub_convert(f->ctx, mini, f->model, NULL, &f->truth, &err), err);
    read_file(mini, &f->archive);
    read_member(mini, WEIGHTS, (void **)&f->weights.data, &f->weights.size);
    read_member(mini, "config.json", &text, &size);
    f->config = strndup(text, size);
    tub__free(heap, text);
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    tub_convert_report_free(f->ctx, f->truth);
    tub__free(heap, f->archive.data);
    tub__free(heap, f->weights.data);
    free(f->config);
    tub_context_destroy(f->ctx);
    temp_folder_drop(&f->folder);
    free(f);
    return 0;
}

/* ---- What must hold ---- */

static int entries_of(const char *folder) {
    int count = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    while (readdir(d) != NULL) {
        count++;
    }
    closedir(d);
    return count;
}

static void assert_whole(const fixture *f, const tub_convert_report *r) {
    const tub_convert_report *truth = f->truth;
    assert_same_config(&r->config, &truth->config);
    assert_int_equal(r->parameters, truth->parameters);
    assert_int_equal(r->count, truth->count);
    for (int64_t i = 0; i < r->count; i++) {
        const tub_convert_array *a = &r->arrays[i], *b = &truth->arrays[i];
        assert_string_equal(a->here, b->here);
        assert_int_equal(a->there_rank, b->there_rank);
        assert_memory_equal(a->there_shape, b->there_shape, sizeof a->there_shape);
    }
}

/* One line that begins with the file's name, and one of the statuses that are documented. */
static void assert_sentence(const char *path, tub_status status, const tub_error *err) {
    assert_int_equal(status, err->status);
    assert_true(status == TUB_E_FORMAT || status == TUB_E_SHAPE || status == TUB_E_RANGE ||
                status == TUB_E_UNSUPPORTED || status == TUB_E_NOT_FOUND);
    assert_memory_equal(err->message, path, strlen(path));
    assert_true(err->message[strlen(path)] == ':');
    for (const char *c = err->message; *c != '\0'; c++) {
        assert_true((unsigned char)*c >= 0x20);
    }
}

static void import_damaged(fixture *f, form which, damage kind, uint64_t seed) {
    const bytes *whole = which == ARCHIVE ? &f->archive : &f->weights;
    bytes b = {malloc(whole->size), whole->size};
    tub_convert_report *report = NULL;
    tub_error err = {0};
    uint64_t state = seed;
    memcpy(b.data, whole->data, b.size);
    harm(&b, kind, &state);
    if (which == MEMBER) {
        write_archive(f, &b);
    } else {
        write_bytes(f->paths[which], &b);
    }
    free(b.data);
    const tub_status status = import(f, which, &report, &err);
    if (status == TUB_OK) {
        assert_whole(f, report);
        tub_convert_report_free(f->ctx, report);
        f->read[kind]++;
    } else {
        assert_sentence(f->paths[which], status, &err);
        f->refused[kind]++;
        f->ended += strstr(err.message, "the process that worked on it") != NULL ||
                    strstr(err.message, "work on it was stopped") != NULL;
    }
    assert_true(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static void reads_whole_files(void **state) {
    fixture *f = *state;
    write_bytes(f->paths[ARRAYS], &f->weights);
    write_bytes(f->paths[ARCHIVE], &f->archive);
    write_archive(f, &f->weights);
    for (int i = 0; i < FORMS; i++) {
        tub_convert_report *report;
        tub_error err = {0};
        assert_ok(import(f, (form)i, &report, &err), err);
        assert_whole(f, report);
        tub_convert_report_free(f->ctx, report);
    }
}

static void survives_damage(void **state) {
    enum { ROUNDS = 20 };
    fixture *f = *state;
    reads_whole_files(state);
    const int descriptors = entries_of("/proc/self/fd"), files = entries_of(f->folder.path);
    for (int i = 0; i < FORMS * DAMAGES * ROUNDS; i++) {
        import_damaged(f, (form)(i % FORMS), (damage)(i / FORMS % DAMAGES), (uint64_t)i);
    }
    assert_int_equal(entries_of("/proc/self/fd"), descriptors);
    assert_int_equal(entries_of(f->folder.path), files);
    for (int i = 0; i < DAMAGES; i++) {
        printf("%s: %u read, %u refused\n", damage_names[i], f->read[i], f->refused[i]);
        assert_true(f->refused[i] > ROUNDS / 4 && (i == CUT || f->read[i] > 0));
    }
    printf("worker processes that came to an end of their own: %u\n", f->ended);
}

/* Files that fuzzing found, of which libhdf5 1.10.8 dies: the worker does, and this process hears of
 * it. Another version may refuse them. */
static void survives_dying_workers(void **state) {
    static const char folder[] = ENDS;
    fixture *f = *state;
    int count = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *entry = readdir(d); entry != NULL; entry = readdir(d)) {
        bytes b;
        char path[1024];
        tub_convert_report *report = NULL;
        tub_error err = {0};
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        read_file(path, &b);
        write_bytes(f->paths[ARRAYS], &b);
        tub__free(heap, b.data);
        assert_sentence(f->paths[ARRAYS], import(f, ARRAYS, &report, &err), &err);
        assert_true(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        f->ended += strstr(err.message, "the process that worked on it crashed") != NULL;
        count++;
    }
    closedir(d);
    printf("%u of %d ended the worker process\n", f->ended, count);
    assert_true(count > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_whole_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(survives_dying_workers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
