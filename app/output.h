/* SPDX-License-Identifier: Apache-2.0 */
/* Results for machines and people: JSON lines, CSV fields, files that are written whole or not at
 * all. */
#ifndef APP_OUTPUT_H
#define APP_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <tubelet/tubelet.h>

/* A number, or null where it is not finite: JSON has no NaN. */
json_t *output_number(double value);
/* {"value":…,"low":…,"high":…} */
json_t *output_interval(const tub_interval *interval);
/* An object of loss, top1, top5 and auc. */
json_t *output_scores(const tub_scores *s);
json_t *output_floats(const float *values, int64_t n);
json_t *output_integers(const int64_t *values, int64_t n);
/* Text. JSON has no bytes that are not UTF-8, file names may have: then '?' stands for each that is
 * not ASCII. NULL: no memory. */
json_t *output_text(const char *text);
/* A class name, or null. */
json_t *output_label(const char *const *labels, int64_t index);
/* Remembers why stdout could not be written to, if it could not: to be called after printing,
 * before anything else can fail. */
void output_note(void);
/* The errno of the first such failure; 0: none. */
int output_failure(void);
/* Prints an object on a line of its own to stdout and releases it. False: no memory. */
bool output_line(json_t *object);
/* The line of one epoch (docs/json.md). */
void output_epoch(const tub_event *event);
/* Whether a file can be made there, as far as that shows before: its folder can be written, or made. why: the
 * sentence, where not. */
bool output_possible(const char *path, char *why, size_t why_size);
/* Writes bytes to a file through a temporary one beside it: it appears whole or not at all, and
 * the missing folders above it. What is there and no file, such as a pipe, is written into. why: the sentence, where it fails. */
bool output_bytes(const char *bytes, size_t size, const char *path, char *why, size_t why_size);
/* Writes an object to a file through a temporary one beside it; the file appears whole or not at
 * all. Releases the object. */
bool output_file(json_t *object, const char *path, char *why, size_t why_size);
/* Text for a line of a table: '?' for control characters, which file names may have; returns out. */
enum { OUTPUT_NAME = 4352 };
const char *output_name(char out[OUTPUT_NAME], const char *text);
/* A CSV field to stdout, in quotes where it needs them. */
void output_csv_text(const char *text);

/* "vivit", "resnet3d18", …, as recipes have it. */
const char *output_family(tub_family family);

/* "0.1234" with four digits, "-" for NaN; returns out. */
enum { OUTPUT_FIGURE = 32 };
const char *output_figure(char out[OUTPUT_FIGURE], double value);
/* 1656971 as "1,656,971"; returns out. */
const char *output_grouped(char out[OUTPUT_FIGURE], int64_t value);

#endif
