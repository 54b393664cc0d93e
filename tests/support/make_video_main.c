/* SPDX-License-Identifier: Apache-2.0 */
/* make_video for scripts: make_video OUT CODEC PIXELS WIDTHxHEIGHT FRAMES RATE[/DENOMINATOR] [KEY=VALUE...]
 *   rotate=90  gop=5  bframes=2  times=0,1,5,9 (in 1 / RATE seconds)  levels=10*3,200*5 (grey frames)
 * make_video OUT.wav sound: a second without pictures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "make_video.h"

enum { LIMIT = 100000 };

static void parse_times(const char *text, int64_t *out) {
    char *at = (char *)text;
    for (int i = 0; *at != '\0' && i < LIMIT; i++) {
        out[i] = strtoll(at, &at, 10);
        at += *at == ',';
    }
}

/* "10*3,200*5": three frames of level 10, five of 200. */
static void parse_levels(const char *text, int *out) {
    char *at = (char *)text;
    for (int i = 0; *at != '\0';) {
        const int level = (int)strtol(at, &at, 10);
        const long n = *at == '*' ? strtol(at + 1, &at, 10) : 1;
        for (long k = 0; k < n && i < LIMIT; k++) {
            out[i++] = level;
        }
        at += *at == ',';
    }
}

int main(int argc, char **argv) {
    static int64_t times[LIMIT];
    static int levels[LIMIT];
    if (argc == 3 && strcmp(argv[2], "sound") == 0) {
        make_sound(argv[1]);
        return 0;
    }
    if (argc < 7) {
        fprintf(stderr, "usage: make_video OUT CODEC PIXELS WIDTHxHEIGHT FRAMES RATE[/DENOMINATOR] "
                        "[KEY=VALUE...]\n");
        return 2;
    }
    video_plan p = {.path = argv[1], .codec = argv[2], .pixels = argv[3], .denominator = 1};
    if (sscanf(argv[4], "%dx%d", &p.width, &p.height) != 2 ||
        sscanf(argv[6], "%d/%d", &p.numerator, &p.denominator) < 1) {
        fprintf(stderr, "make_video: a size is 32x24, a rate 30000/1001\n");
        return 2;
    }
    p.frames = atoi(argv[5]);
    for (int i = 7; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        value = value != NULL ? value + 1 : "";
        if (strncmp(argv[i], "rotate=", 7) == 0) {
            p.rotation = atoi(value);
        } else if (strncmp(argv[i], "gop=", 4) == 0) {
            p.gop = atoi(value);
        } else if (strncmp(argv[i], "bframes=", 8) == 0) {
            p.b_frames = atoi(value);
        } else if (strncmp(argv[i], "times=", 6) == 0) {
            parse_times(value, times);
            p.times = times;
        } else if (strncmp(argv[i], "levels=", 7) == 0) {
            parse_levels(value, levels);
            p.levels = levels;
        } else {
            fprintf(stderr, "make_video: unknown %s\n", argv[i]);
            return 2;
        }
    }
    make_video(&p);
    return 0;
}
