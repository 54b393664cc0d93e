/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads that are damaged or made to do harm: each is answered 400 or 413 with one sentence, or taken as far as it can
 * be read, and the server goes on. test_serve_uploads PROGRAM DAMAGED-COPIES FILE... */
#include <dirent.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/text.h"
#include "serving.h"
#include "serving_models.h"
#include "temp_folder.h"

enum { K = 3, FRAMES = 4, SIDE = 16, VOLUME = FRAMES * SIDE * SIDE, ROOM = 32 << 20, FILES = 16 };

static const char *program;
static char files[FILES][600];
static int file_count, copies;
static temp_folder folder;
static tub_context *ctx;
static tub_model *model; /* that is served */
static serving server;

/* ---- Volumes ---- */

static void write_file(const char *name, const void *head, size_t head_size, const void *values,
                       size_t size) {
    char *path = files[file_count++];
    snprintf(path, sizeof files[0], "%s/%s", folder.path, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(head, 1, head_size, f);
    fwrite(values, 1, size, f);
    assert_int_equal(fclose(f), 0);
}

/* The same values as levels and as floats in .npy, and as NIfTI-1 (a header of 348 bytes, of which a few count). */
static void write_volumes(void) {
    static unsigned char levels[VOLUME], nifti[352];
    static float floats[VOLUME];
    static const char text[] = "{'descr': '%s', 'fortran_order': False, 'shape': (4, 16, 16), }";
    const int16_t dimensions[] = {3, SIDE, SIDE, FRAMES, 1, 1, 1, 1}, kind[] = {2, 8};
    const int32_t size = 348;
    const float at = 352, one[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    char head[128];
    for (int i = 0; i < VOLUME; i++) {
        levels[i] = (unsigned char)(i * 37 >> 3);
        floats[i] = (float)levels[i] / 255;
    }
    for (int k = 0; k < 2; k++) {
        memset(head, ' ', sizeof head);
        head[snprintf(head + 10, 100, text, k == 0 ? "|u1" : "<f4") + 10] = ' ';
        memcpy(head, "\x93NUMPY\x01\x00\x76\x00", 10);
        head[127] = '\n';
        write_file(k == 0 ? "levels.npy" : "floats.npy", head, sizeof head,
                   k == 0 ? (void *)levels : (void *)floats,
                   k == 0 ? sizeof levels : sizeof floats);
    }
    memcpy(nifti, &size, sizeof size);
    memcpy(nifti + 40, dimensions, sizeof dimensions);
    memcpy(nifti + 70, kind, sizeof kind);
    memcpy(nifti + 76, one, sizeof one);
    memcpy(nifti + 108, &at, sizeof at);
    memcpy(nifti + 344, "n+1", 4);
    write_file("volume.nii", nifti, sizeof nifti, levels, sizeof levels);
}

static int set_up(void **state) {
    char path[512];
    (void)state;
    temp_folder_make(&folder);
    assert_int_equal(tub_context_create(NULL, &ctx, NULL), TUB_OK);
    snprintf(path, sizeof path, "%s/tubelet", folder.path);
    write_model(ctx, path, FRAMES, SIDE, 4, K, 5);
    model = read_model(ctx, path);
    write_volumes();
    const char *const arguments[] = {folder.path, "--max-delay", "0", "--reload", "0", NULL};
    serving_start(&server, program, arguments);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    assert_int_equal(serving_stop(&server), 0);
    tub_model_close(model);
    tub_context_destroy(ctx);
    temp_folder_drop(&folder);
    return 0;
}

/* ---- Sending ---- */

static void ask(int fd, const void *bytes, size_t size, answer *out) {
    char json[512];
    const unsigned char length[4] = {(unsigned char)size, (unsigned char)(size >> 8),
                                     (unsigned char)(size >> 16), (unsigned char)(size >> 24)};
    textbuf t = {0};
    const int n = snprintf(json, sizeof json,
                           "{\"inputs\":[{\"name\":\"file\",\"shape\":[1],\"datatype\":\"BYTES\","
                           "\"parameters\":{\"binary_data_size\":%zu}}],\"outputs\":[{\"name\":"
                           "\"logits\",\"parameters\":{\"binary_data\":true}}]}",
                           size + 4);
    text_put(&t,
             "POST /v2/models/tubelet_video/infer HTTP/1.1\r\nHost: x\r\n"
             "Inference-Header-Content-Length: %d\r\nContent-Length: %zu\r\n\r\n%s",
             n, (size_t)n + 4 + size, json);
    text_add(&t, length, 4);
    text_add(&t, bytes, size);
    serving_say(fd, t.bytes, t.size);
    serving_hear(fd, out);
    text_free(&t);
}

/* 200, or one sentence that is the sender's business. */
static int judge(const char *name, const answer *a) {
    if (a->status == 200) {
        return 200;
    }
    json_t *json = json_loads(a->body != NULL ? a->body : "", 0, NULL);
    const char *sentence = json_string_value(json_object_get(json, "error"));
    if ((a->status != 400 && a->status != 413) || sentence == NULL || strlen(sentence) < 10 ||
        strpbrk(sentence, "\n\r") != NULL) {
        fail_msg("%s: %d %s", name, a->status, a->body != NULL ? a->body : "");
    }
    json_decref(json);
    return a->status;
}

/* Processes whose parent the server is. */
static int children(void) {
    DIR *list = opendir("/proc");
    int count = 0;
    assert_non_null(list);
    for (struct dirent *d = readdir(list); d != NULL; d = readdir(list)) {
        char path[300], text[512] = "";
        int parent = 0;
        snprintf(path, sizeof path, "/proc/%s/stat", d->d_name);
        FILE *f = d->d_name[0] >= '0' && d->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (f == NULL) {
            continue;
        }
        const char *behind = fgets(text, sizeof text, f) != NULL ? strrchr(text, ')') : NULL;
        count +=
            behind != NULL && sscanf(behind + 2, "%*c %d", &parent) == 1 && parent == server.pid;
        fclose(f);
    }
    closedir(list);
    return count;
}

static char *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    char *bytes = malloc(ROOM);
    if (f == NULL || bytes == NULL) {
        fail_msg("%s can't be read", path);
    }
    *size = fread(bytes, 1, ROOM, f);
    fclose(f);
    return bytes;
}

/* ---- Damage ---- */

/* Steele and others (2014): SplitMix64. */
static uint64_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* As tests/support/damage_file: cut off, or random bytes at some places. */
static size_t damage(char *bytes, size_t size, uint64_t n) {
    uint64_t state = n * 0x2545f4914f6cdd1du + size;
    if (n % 2 == 0) {
        return draw(&state) % size;
    }
    for (uint64_t places = 1 + draw(&state) % 16; places > 0; places--) {
        const uint64_t at = draw(&state) % size, length = 1 + draw(&state) % 8;
        for (uint64_t i = at; i < at + length && i < size; i++) {
            bytes[i] = (char)draw(&state);
        }
    }
    return size;
}

/* An answer about a file of which something is lost says so, in the library's words. Whether it does. */
static bool tells_damage(const char *name, const answer *a, const void *bytes, size_t size) {
    tub_upload u;
    tub_error err;
    if (tub_upload_read(ctx, model, bytes, size, NULL, &u, &err) != TUB_OK) {
        fail_msg("%s: answered, but %s", name, err.message);
    }
    const size_t head = strtoul(answer_header(a, "Inference-Header-Content-Length"), NULL, 10);
    json_t *json = json_loadb(a->body, head, 0, NULL);
    const json_t *parameters = json_object_get(json, "parameters");
    const char *said = json_string_value(json_object_get(parameters, "damage"));
    assert_non_null(json);
    assert_int_equal(said != NULL, u.damage[0] != '\0');
    assert_string_equal(said != NULL ? said : "", u.damage);
    const bool tells = said != NULL;
    json_decref(json);
    tub_upload_free(&u);
    return tells;
}

static void send_damaged(const char *path, int *counts) {
    size_t size;
    char *bytes = read_file(path, &size), *copy = malloc(size);
    const int fd = serving_dial(&server);
    for (int n = 0; n < copies; n++) {
        char name[700];
        answer a;
        memcpy(copy, bytes, size);
        const size_t now = damage(copy, size, (uint64_t)n);
        snprintf(name, sizeof name, "%.600s, damage %d", path, n);
        ask(fd, copy, now, &a);
        const bool well = judge(name, &a) == 200;
        counts[well]++;
        counts[2] += well && tells_damage(name, &a, copy, now);
        answer_free(&a);
    }
    close(fd);
    free(copy);
    free(bytes);
}

/* Every file is taken when it is whole; damaged ones never harm. */
static void test_damaged(void **state) {
    int counts[3] = {0, 0, 0}; /* refused, read, read with losses */
    (void)state;
    for (int i = 0; i < file_count; i++) {
        size_t size;
        char *bytes = read_file(files[i], &size);
        const int fd = serving_dial(&server);
        answer a;
        ask(fd, bytes, size, &a);
        if (a.status != 200) {
            fail_msg("%s: %d %s", files[i], a.status, a.body != NULL ? a.body : "");
        }
        answer_free(&a);
        close(fd);
        free(bytes);
        send_damaged(files[i], counts);
    }
    assert_true(counts[0] > 0 && counts[2] > 0);
    print_message("%d damaged files: %d refused, %d read, %d of these with losses\n",
                  counts[0] + counts[1], counts[0], counts[1], counts[2]);
    assert_int_equal(children(), 0);
}

/* An answer that nothing was left behind by: after all of this a good file has its logits, bit by bit. */
static void test_still_right(void **state) {
    (void)state;
    for (int i = 0; i < file_count; i++) {
        size_t size;
        float logits[K] = {0};
        const bool npy = strstr(files[i], ".npy") != NULL;
        if (npy) {
            const int64_t want[4] = {FRAMES, SIDE, SIDE, 1};
            tub_volumes v;
            assert_int_equal(tub_volumes_read(ctx, files[i], want, &v, NULL), TUB_OK);
            assert_int_equal(tub_model_forward(model, 1, v.dtype, v.data, logits, NULL, NULL),
                             TUB_OK);
            tub_volumes_free(&v);
        } else {
            const tub_clip_read_options r = {
                .size = sizeof r, .model = model, .scaled = 1, .to = -1};
            tub_clip clip;
            assert_int_equal(tub_clip_read(ctx, files[i], &r, &clip, NULL), TUB_OK);
            assert_int_equal(tub_model_forward(model, 1, TUB_F32, clip.samples, logits, NULL, NULL),
                             TUB_OK);
            tub_clip_free(&clip);
        }
        char *bytes = read_file(files[i], &size);
        const int fd = serving_dial(&server);
        answer a;
        ask(fd, bytes, size, &a);
        assert_int_equal(a.status, 200);
        assert_memory_equal(a.body + a.size - sizeof logits, logits, sizeof logits);
        answer_free(&a);
        close(fd);
        free(bytes);
    }
}

/* What is no file at all, and lists that name others: nothing but the upload can be opened. */
static void test_foreign_files(void **state) {
    static const char *const texts[] = {
        "",
        "x",
        "ffconcat version 1.0\nfile /etc/passwd\n",
        "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        "<?xml version=\"1.0\"?><MPD><BaseURL>/etc/</BaseURL></MPD>",
        "<svg xmlns=\"http://www.w3.org/2000/svg\"><image href=\"/etc/passwd\"/></svg>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        "\x1f\x8b",
        "\x93NUMPY",
        "PK\3\4",
        "GIF89a",
        ("RIFF\xff\xff\xff\xff"
         "AVI ")};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const int fd = serving_dial(&server);
        answer a;
        ask(fd, texts[i], strlen(texts[i]), &a);
        assert_int_not_equal(judge(texts[i], &a), 200);
        assert_null(strstr(a.body, "root:"));
        answer_free(&a);
        close(fd);
    }
    assert_int_equal(children(), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_foreign_files),
                                       cmocka_unit_test(test_damaged),
                                       cmocka_unit_test(test_still_right)};
    if (argc < 4) {
        return 2;
    }
    program = argv[1];
    copies = atoi(argv[2]);
    for (int i = 3; i < argc && file_count < FILES - 3; i++) {
        snprintf(files[file_count++], sizeof files[0], "%s", argv[i]);
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
