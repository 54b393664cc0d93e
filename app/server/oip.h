/* SPDX-License-Identifier: Apache-2.0 */
/* A request of the Open Inference Protocol, v2, as it comes: JSON, then what lies in binary behind it
 * (docs/serving.md). Numbers and bytes go straight into arrays, which is all that is kept. */
#ifndef APP_SERVER_OIP_H
#define APP_SERVER_OIP_H

#include "json_events.h"

enum {
    OIP_NAME = 128, /* of names, datatypes and texts, with their ends */
    OIP_ID = 512,   /* of a request's id */
    OIP_RANK = 8,   /* dimensions of a shape */
    OIP_INPUTS = 4, /* more are not asked for by any model */
    OIP_OUTPUTS = 16,
    OIP_SENTENCE = 256
};

typedef struct oip_input {
    char name[OIP_NAME], datatype[16];
    bool named, typed, shaped, has_data;
    int rank;
    int64_t shape[OIP_RANK];
    int64_t binary; /* bytes behind the JSON; -1: none announced */
    float *numbers; /* of "data" */
    size_t count, number_room;
    bool levels;          /* all numbers are whole, from 0 to 255 */
    unsigned char *bytes; /* what came in binary; of texts in "data" the same form */
    size_t size, byte_room;
    size_t texts;   /* strings in "data" */
    size_t text_at; /* where the length of the string at hand stands */
} oip_input;

typedef struct oip_output {
    char name[OIP_NAME];
    bool named;
    int binary; /* 0, 1, or -1: as the request says for all */
    int64_t classification;
} oip_output;

/* What "parameters" of the request can say to this server; others are passed over. */
typedef struct oip_parameters {
    bool binary_output;
    char window[OIP_NAME], hop[OIP_NAME]; /* as texts: "2s" or 2 */
    char method[OIP_NAME], target[OIP_NAME], file_name[OIP_NAME];
} oip_parameters;

typedef struct oip_request {
    char id[OIP_ID];
    bool has_id, has_inputs;
    int inputs, outputs;
    oip_input input[OIP_INPUTS];
    oip_output output[OIP_OUTPUTS];
    oip_parameters parameters;
} oip_request;

typedef struct oip_reader {
    oip_request request;
    json_events json;
    int64_t header; /* bytes of JSON; -1: all there is */
    int64_t read;   /* bytes so far */
    int first;      /* byte that is no blank, and 0x100; 0: none yet */
    int filling;    /* input that bytes go to */
    int64_t filled; /* of it */
    int level, place[JSON_DEPTH + 1];
    char key[JSON_KEY_LIMIT + 1];
    char *text; /* where the string at hand goes; NULL: nowhere */
    size_t text_room, text_used;
    bool whole_json;
    int status; /* of a failure: 400, 413 */
    char sentence[OIP_SENTENCE];
} oip_reader;

/* The length before an element of BYTES: four bytes, little-endian. */
enum { OIP_LENGTH = 4 };
static inline size_t oip_get_length(const unsigned char *b) {
    return b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
}
static inline void oip_put_length(unsigned char *b, size_t size) {
    for (int i = 0; i < OIP_LENGTH; i++) {
        b[i] = (unsigned char)(size >> 8 * i);
    }
}

/* header: of Inference-Header-Content-Length, or -1. */
void oip_begin(oip_reader *r, int64_t header);
/* A piece of the body. false: it is wrong (status, sentence); what follows need not be given. */
bool oip_push(oip_reader *r, const char *data, size_t size);
/* The body is whole. */
bool oip_end(oip_reader *r);
/* Bytes that it keeps of what has come. */
size_t oip_kept(const oip_reader *r);
void oip_free(oip_reader *r);

#endif
