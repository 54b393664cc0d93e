/* SPDX-License-Identifier: Apache-2.0 */
/* Tiny videos for tests, made by FFmpeg's libraries: what is in each pixel is known. */
#ifndef TEST_MAKE_VIDEO_H
#define TEST_MAKE_VIDEO_H

#include <stdint.h>

typedef struct video_plan {
    const char *path;   /* the container follows from the name */
    const char *codec;  /* an encoder of FFmpeg: "ffv1", "png", "mjpeg", "mpeg4", "gif" */
    const char *pixels; /* a pixel format that it takes and painting knows: bgr0, rgb24, rgba, gray,
                           yuv420p, yuv420p10le */
    int width, height, frames;
    int numerator, denominator; /* units of `times` a second; with times NULL, frames a second */
    const int64_t *times;       /* [frames] of presentation; NULL: 0, 1, 2, ... */
    const int *levels;          /* [frames]: frame i is grey of this level; NULL: the pattern */
    int rotation;               /* degrees clockwise that a player is to turn the frames by */
    int gop, b_frames;          /* 0: the encoder's own, none */
} video_plan;

/* The level of a pixel in frame i of the pattern; c: 0 red, 1 green, 2 blue. Of gray and yuv formats
 * the first plane has channel 0, and the others are 128. */
unsigned char video_pattern(int frame, int y, int x, int c);

/* Aborts with a message where it fails. */
void make_video(const video_plan *plan);
/* A second of a tone without pictures, as .wav. */
void make_sound(const char *path);

#endif
