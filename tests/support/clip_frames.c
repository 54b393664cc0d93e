/* SPDX-License-Identifier: Apache-2.0 */
/* What the reader of clip files makes of a file, for scripts that compare it with other programs:
 *   clip_frames md5 THREADS FILE...   "MD5 FRAMES HEIGHTxWIDTH FILE" of all frames in a row
 *   clip_frames raw THREADS FILE      all frames to stdout
 *   clip_frames times THREADS FILE    "INDEX TIME NUMERATOR/DENOMINATOR" a frame
 *   clip_frames seek THREADS FILE...  every frame by seeking equals reading from the start, and what
 *                                     counting says is what can be read; prints how it went
 *   clip_frames first THREADS FILE... 16 frames at equal distances of each file at 112x112, THREADS files at a
 *                                     time: what the first pass of a training does; prints how many
 *   clip_frames try THREADS FILE...   reads, counts and seeks, whatever comes out; for damaged files
 * A file that can't be read is one line "FILE: sentence" on stderr, and the exit code is 1. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tubelet/tubelet.h>

#include "base/context.h"
#include "base/md5.h"
#include "data/clip_file.h"
#include "data/clip_read.h"

typedef struct program {
    tub_context *ctx;
    int threads;
} program;

static size_t frame_size(const tub__clip_facts *f) {
    return (size_t)(f->height * f->width * f->channels) * (f->dtype == TUB_U8 ? 1 : sizeof(float));
}

static void digest(const void *bytes, size_t size, char out[33]) {
    tub__md5 state;
    tub__md5_init(&state);
    tub__md5_update(&state, bytes, size);
    tub__md5_finish(&state, out);
}

static tub_status print_md5(tub__clip_file *clip, const char *path, tub_error *err) {
    const tub__clip_facts *f = tub__clip_describe(clip);
    char text[33];
    int64_t frames = 0;
    tub__md5 state;
    tub__md5_init(&state);
    for (bool end = false;;) {
        tub__clip_frame frame;
        const tub_status status = tub__clip_next(clip, &frame, &end, err);
        if (status != TUB_OK) {
            return status;
        }
        if (end) {
            break;
        }
        tub__md5_update(&state, frame.samples, frame_size(f));
        frames++;
    }
    tub__md5_finish(&state, text);
    const char *damage = tub__clip_damage(clip);
    printf("%s %lld %lldx%lld %s%s%s\n", text, (long long)frames, (long long)f->height,
           (long long)f->width, path, damage == NULL ? "" : ": ", damage == NULL ? "" : damage);
    return TUB_OK;
}

static tub_status print_frames(tub__clip_file *clip, bool raw, tub_error *err) {
    const tub__clip_facts *f = tub__clip_describe(clip);
    for (bool end = false;;) {
        tub__clip_frame frame;
        const tub_status status = tub__clip_next(clip, &frame, &end, err);
        if (status != TUB_OK || end) {
            return status;
        }
        if (raw) {
            fwrite(frame.samples, 1, frame_size(f), stdout);
        } else {
            printf("%lld %lld %lld/%lld\n", (long long)frame.index, (long long)frame.time,
                   (long long)f->time_base_numerator, (long long)f->time_base_denominator);
        }
    }
}

/* What reading from the start gave. */
typedef struct seen {
    char (*md5)[33];
    int64_t *times;
    int64_t count, room;
} seen;

static tub_status look(tub__clip_file *clip, seen *s, tub_error *err) {
    const tub__clip_facts *f = tub__clip_describe(clip);
    for (bool end = false;;) {
        tub__clip_frame frame;
        const tub_status status = tub__clip_next(clip, &frame, &end, err);
        if (status != TUB_OK || end) {
            return status;
        }
        if (s->count == s->room) {
            s->room = 2 * s->room + 64;
            s->md5 = realloc(s->md5, (size_t)s->room * sizeof *s->md5);
            s->times = realloc(s->times, (size_t)s->room * sizeof *s->times);
        }
        digest(frame.samples, frame_size(f), s->md5[s->count]);
        s->times[s->count++] = frame.time;
    }
}

static bool is_frame(tub__clip_file *clip, const seen *s, int64_t index, tub_error *err) {
    tub__clip_frame frame;
    bool end = false;
    char md5[33];
    if (tub__clip_seek(clip, index, err) != TUB_OK ||
        tub__clip_next(clip, &frame, &end, err) != TUB_OK || end) {
        return false;
    }
    digest(frame.samples, frame_size(tub__clip_describe(clip)), md5);
    return frame.index == index && frame.time == s->times[index] && strcmp(md5, s->md5[index]) == 0;
}

/* Every frame, in an order that goes forward and back. */
static int64_t count_wrong(tub__clip_file *clip, const seen *s, tub_error *err) {
    int64_t wrong = 0, step = 1;
    for (const int64_t wanted[] = {7, 11, 13, 17}, *p = wanted; p < wanted + 4; p++) {
        step = s->count % *p != 0 ? *p : step;
    }
    for (int64_t i = 0, at = 0; i < s->count; i++, at = (at + step) % s->count) {
        if (!is_frame(clip, s, at, err)) {
            fprintf(stderr, "frame %lld differs\n", (long long)at);
            wrong++;
        }
    }
    return wrong;
}

static tub_status check_seeking(const program *p, tub__clip_file *clip, const char *path,
                                tub_error *err) {
    seen s = {0};
    tub__clip_file *second = NULL;
    int64_t wrong = 0, counted = -1, wrong_times = 0;
    tub_status status = look(clip, &s, err);
    if (status == TUB_OK) {
        status = tub__clip_open(p->ctx, path, p->threads, NULL, &second, err);
    }
    if (status == TUB_OK) {
        wrong = count_wrong(second, &s, err);
        status = tub__clip_count(second, err);
    }
    if (status == TUB_OK) {
        const int64_t *times = tub__clip_times(second);
        counted = tub__clip_describe(second)->frames;
        for (int64_t i = 0; times != NULL && i < counted && i < s.count; i++) {
            wrong_times += times[i] != s.times[i];
        }
        wrong += !is_frame(second, &s, s.count - 1, err);
        printf("%s: %lld frames, %lld counted, %lld wrong, %lld times wrong\n", path,
               (long long)s.count, (long long)counted, (long long)wrong, (long long)wrong_times);
        if (wrong + wrong_times > 0 || counted != s.count) {
            snprintf(err->message, sizeof err->message, "seeking differs from reading");
            status = TUB_E_FORMAT;
        }
    }
    tub__clip_close(second);
    free(s.md5);
    free(s.times);
    return status;
}

/* A damaged file: nothing may crash, whatever is in it. */
static tub_status try_all(tub__clip_file *clip, tub_error *err) {
    bool end = false;
    for (int i = 0; i < 50 && !end; i++) {
        tub_status status = tub__clip_next(clip, NULL, &end, err);
        if (status != TUB_OK) {
            return status;
        }
    }
    const tub_status status = tub__clip_count(clip, err);
    if (status != TUB_OK) {
        return status;
    }
    const int64_t frames = tub__clip_describe(clip)->frames;
    for (int64_t at = frames - 1; at > 0; at /= 2) {
        tub__clip_frame frame;
        if (tub__clip_seek(clip, at, err) == TUB_OK) {
            (void)!tub__clip_next(clip, &frame, &end, err);
        }
    }
    (void)tub__clip_damage(clip);
    return TUB_OK;
}

/* ---- The first pass ---- */

enum { FIRST_FRAMES = 16, FIRST_SIDE = 112, FIRST_THREADS = 64 };

typedef struct first_pass {
    const program *program;
    char **files;
    int count;
    atomic_int next, read;
} first_pass;

static tub_status read_first(tub_context *ctx, const char *path, unsigned char *out,
                             tub_error *err) {
    const tub__clip_form form = {
        .picture = {
            .resize = true, .height = FIRST_SIDE, .width = FIRST_SIDE, .filter = TUB__BILINEAR}};
    const tub__frame_plan plan = {TUB_SAMPLING_UNIFORM, FIRST_FRAMES, 0};
    tub__clip_file *clip;
    tub__clip_reader *reader = NULL;
    tub_status status = tub__clip_open(ctx, path, 1, NULL, &clip, err);
    if (status != TUB_OK) {
        return status;
    }
    status = tub__clip_reader_create(&ctx->allocator, clip, &form, 1, &reader, err);
    if (status == TUB_OK) {
        status = tub__clip_read_views(reader, &plan, NULL, 1, out, err);
    }
    tub__clip_reader_destroy(reader);
    tub__clip_close(clip);
    return status;
}

static void *first_worker(void *argument) {
    first_pass *pass = argument;
    unsigned char *clip = malloc(FIRST_FRAMES * FIRST_SIDE * FIRST_SIDE * 3);
    tub_error err;
    for (int i; (i = atomic_fetch_add(&pass->next, 1)) < pass->count;) {
        if (read_first(pass->program->ctx, pass->files[i], clip, &err) == TUB_OK) {
            atomic_fetch_add(&pass->read, 1);
        } else {
            fprintf(stderr, "%s\n", err.message);
        }
    }
    free(clip);
    return NULL;
}

static int run_first(const program *p, char **files, int count) {
    first_pass pass = {.program = p, .files = files, .count = count};
    pthread_t threads[FIRST_THREADS];
    const int n = p->threads < FIRST_THREADS ? p->threads : FIRST_THREADS;
    for (int i = 0; i < n; i++) {
        pthread_create(&threads[i], NULL, first_worker, &pass);
    }
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("%d of %d files\n", pass.read, count);
    return pass.read == count ? 0 : 1;
}

static tub_status run(const program *p, const char *verb, const char *path, tub_error *err) {
    tub__clip_file *clip;
    tub_status status = tub__clip_open(p->ctx, path, p->threads, NULL, &clip, err);
    if (status != TUB_OK) {
        return status;
    }
    if (strcmp(verb, "md5") == 0) {
        status = print_md5(clip, path, err);
    } else if (strcmp(verb, "seek") == 0) {
        status = check_seeking(p, clip, path, err);
    } else if (strcmp(verb, "try") == 0) {
        status = try_all(clip, err);
    } else {
        status = print_frames(clip, strcmp(verb, "raw") == 0, err);
    }
    tub__clip_close(clip);
    return status;
}

int main(int argc, char **argv) {
    program p = {.threads = argc > 2 ? atoi(argv[2]) : 1};
    tub_error err = {0};
    int code = 0;
    if (tub_context_create(NULL, &p.ctx, &err) != TUB_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (argc > 3 && strcmp(argv[1], "first") == 0) {
        code = run_first(&p, argv + 3, argc - 3);
        argc = 3;
    }
    for (int i = 3; i < argc; i++) {
        err.message[0] = '\0';
        if (run(&p, argv[1], argv[i], &err) != TUB_OK) {
            fprintf(stderr, "%s\n", err.message);
            code = 1;
        }
    }
    tub_context_destroy(p.ctx);
    return code;
}
