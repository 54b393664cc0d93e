/* SPDX-License-Identifier: Apache-2.0 */
/* Modules: shared objects that carry a heavy or differently licensed library, opened on first
 * use. */
#ifndef TUB__BASE_MODULE_H
#define TUB__BASE_MODULE_H

#include "base/context.h"
#include <stdbool.h>
#include <stdint.h>

/* Opens mod-NAME.so once per context (from the context's module folder if it names one, else
 * $TUBELET_MODULES if set, else from tubelet/ beside the shared library, else from
 * tub__module_folder) and returns the address of its function table, the
 * object `tub__module_table`. A missing module is one sentence: the feature, the Debian package
 * whose library it needs, and the command that installs it. Thread-safe. */
TUB_MUST_USE tub_status tub__module_open(tub_context *ctx, const char *name, const void **table,
                                         tub_error *err);

extern const char tub__module_folder[];

/* The path of a file that lies where modules do, such as "recipes/NAME.yaml"; false when there is
 * none. */
bool tub__module_find(const tub_context *ctx, const char *file, char *path, size_t room);

/* The path of mod-NAME.so, or the sentence of a missing module. */
TUB_MUST_USE tub_status tub__module_path(const tub_context *ctx, const char *name, char *path,
                                         size_t room, tub_error *err);

/* The sentence of a module that is there and can't be loaded: the package whose library it lacks,
 * and the loader's reason (NULL: none). */
tub_status tub__module_broken(const char *name, const char *reason, tub_error *err);

/* Closes what was opened; the context's destruction calls it. */
void tub__modules_close(tub_context *ctx);

/* Every table begins with this number; a module of another one is refused. */
enum { TUB__MODULE_VERSION = 2 };

/* mod-yaml: YAML 1.2 text to JSON text. */
typedef struct tub__yaml_module {
    int version;
    /* Plain scalars follow the YAML 1.2 core schema; aliases are limited; duplicate keys are
     * refused. *json is from malloc, released by release(). The error names line and column. */
    tub_status (*to_json)(const char *text, size_t size, char **json, tub_error *err);
    /* The tree as it is written, for readers with types of their own (YAML 1.1), as JSON text: a
     * node is [LINE, COLUMN, KIND, CONTENT]. KIND "p": a plain scalar's text, "t": one that is
     * text by its quotes or tag, "l": a list of nodes, "m": a list of keys and values in turn,
     * keys that stand twice included. Released as the above. */
    tub_status (*to_tree)(const char *text, size_t size, char **json, tub_error *err);
    void (*release)(char *json);
} tub__yaml_module;

/* mod-net: HTTP(S) and file:// download. */
/* One request of HTTP. Redirects are not followed. */
typedef struct tub__net_request {
    const char *method; /* "GET", "HEAD", "PUT" or "POST" */
    const char *url;
    const char *const *headers; /* lines "Name: value", the last NULL; NULL: none */
    const char *token;          /* goes along as "Authorization: Bearer …"; NULL: none */
    /* What PUT and POST send: body_size bytes of memory or, where body is NULL, of an open file. */
    const void *body;
    uint64_t body_size;
    int body_fd;
    uint64_t body_offset;
    /* The body of an answer 200 or 206 goes to this open file from byte `offset` on, or from its
     * beginning where the server does not go on there. -1: to memory. */
    int fd;
    uint64_t offset;
    uint64_t limit; /* a body that makes it, or the text in memory, longer ends the transfer */
    int (*progress)(void *user, unsigned long long done, unsigned long long total); /* or NULL */
    void *user;
} tub__net_request;

typedef struct tub__net_answer {
    int status;     /* 404 and the like are answers, too */
    char *headers;  /* lines "Name: value", each with a newline */
    char *body;     /* in memory, zero-terminated */
    size_t size;    /* of body */
    char *location; /* where a redirect leads, absolute; NULL: it is none */
} tub__net_answer;

typedef struct tub__net_module {
    int version;
    /* Appends the resource's bytes from `offset` on to the open file descriptor. If the server
     * ignores the range, truncates first. progress (may be NULL) gets bytes so far and in all (0
     * unknown) and returns non-zero to cancel. */
    tub_status (*download)(const char *url, int fd, unsigned long long offset,
                           int (*progress)(void *user, unsigned long long done,
                                           unsigned long long total),
                           void *user, tub_error *err);
    /* Asks, and waits for the whole answer, which release() frees. Sentences show addresses without
     * their query, where keys may stand. Error: TUB_E_NETWORK where there was no whole answer. */
    tub_status (*ask)(const tub__net_request *request, tub__net_answer *out, tub_error *err);
    void (*release)(tub__net_answer *answer);
    /* Scheme, host and port of two addresses are the same. */
    bool (*same_origin)(const char *a, const char *b);
} tub__net_module;

/* mod-hash: checksums of files and texts that hubs take, by OpenSSL's libcrypto. */
enum { TUB__HASH_HEX = 65 }; /* room for the longest in hexadecimal digits */
typedef struct tub__hash_module {
    int version;
    /* kind: "sha256" or "sha1". Of `prefix` (may be NULL) and the whole open file behind it.
     * Lower-case digits. */
    tub_status (*file)(const char *kind, const char *prefix, size_t prefix_size, int fd,
                       char hex[TUB__HASH_HEX], tub_error *err);
    /* Base64 of `size` bytes: 4 characters for every 3 bytes begun, and a terminator. */
    void (*base64)(const void *bytes, size_t size, char *out);
} tub__hash_module;

/* mod-draw: pictures. */
typedef struct tub__draw_module {
    int version;
    /* Pixels [height, width, channels] of 1 (gray) or 3 (RGB) channels to the bytes of a PNG file.
     * *bytes is from malloc, released by release(). */
    tub_status (*to_png)(const unsigned char *pixels, uint32_t width, uint32_t height, int channels,
                         unsigned char **bytes, size_t *size, tub_error *err);
    void (*release)(unsigned char *bytes);
} tub__draw_module;

/* mod-video: the frames of videos, animations and pictures, by FFmpeg's libraries. Sentences
 * name the file. */
typedef struct tub__video tub__video;
typedef struct tub__video_facts {
    int64_t height, width;                    /* of every frame that pixels() gives */
    int64_t frames;                           /* the container's word; 0: it has none */
    int64_t rate_numerator, rate_denominator; /* average frames a second; 0/1: not known */
    int64_t time_base_numerator, time_base_denominator; /* seconds of one unit of a time */
} tub__video_facts;
/* A packet that becomes a frame: its time, and whether decoding can begin with it. */
typedef tub_status tub__video_packet(void *user, int64_t time, bool key, tub_error *err);

/* What encode() makes a picture file of. */
typedef struct tub__video_picture {
    const unsigned char *levels;             /* [frames,height,width,channels] */
    int64_t frames, height, width, channels; /* channels: 1 gray, 3 rgb */
    int hundredths; /* seconds / 100 that a frame of an animation is shown */
} tub__video_picture;

typedef struct tub__video_module {
    int version;
    /* Opens a file and decodes its first frame, which next() gives first. threads: 1 for none
     * beside the caller. */
    tub_status (*open)(const char *path, int threads, tub__video **out, tub__video_facts *facts,
                       tub_error *err);
    /* The same of another file, or of the same once more, whose frames are resized to what those of
     * the first are. */
    tub_status (*reopen)(tub__video *video, const char *path, tub_error *err);
    /* Decodes the next frame. *time: in units of the time base; INT64_MIN when the file says
     * none. */
    tub_status (*next)(tub__video *video, int64_t *time, bool *end, tub_error *err);
    /* The frame that was decoded last as [height,width,3] of uint8; valid until next(). */
    tub_status (*pixels)(tub__video *video, const unsigned char **rgb, tub_error *err);
    /* Right after open or reopen: visits all packets that become frames, in the file's order.
     * next() gives the first frame afterwards. *reliable: each becomes one frame of its time, as
     * far as that shows without decoding. */
    tub_status (*scan)(tub__video *video, tub__video_packet *visit, void *user, bool *reliable,
                       tub_error *err);
    /* Makes next() begin anew with a packet from which decoding can begin, at `time` or before;
     * *landed: that packet's time. false where the file can't: reopen it. */
    bool (*seek)(tub__video *video, int64_t time, int64_t *landed);
    /* A picture as the bytes of a .png (one frame) or an animation as those of a .gif: gray
     * exact, colours of one palette for all frames, exact where there are no more than 256.
     * *bytes is released by release(). The sentence names no file. */
    tub_status (*encode)(const tub__video_picture *picture, bool gif, void **bytes, size_t *size,
                         tub_error *err);
    void (*release)(void *bytes);
    /* Whether damage was met while several threads decoded, so that what comes out depends on their
     * number. reopen() decodes with one thread from then on. */
    bool (*unsettled)(tub__video *video);
    /* NULL, or what was found broken so far: "3 packets can't be decoded". */
    const char *(*damage)(tub__video *video);
    void (*close)(tub__video *video); /* accepts NULL */
} tub__video_module;

/* mod-nifti: volumes of NIfTI-1 files (.nii, .nii.gz), by niftilib. Sentences name the file. */
typedef struct tub__nifti tub__nifti;
typedef struct tub__nifti_facts {
    int64_t frames, height, width; /* along the file's third, second and first axis (z, y, x) */
    bool floats;                   /* values are float32; else uint8, as stored */
} tub__nifti_facts;
typedef struct tub__nifti_module {
    int version;
    /* limit: bytes that the values may take. */
    tub_status (*open)(const char *path, uint64_t limit, tub__nifti **out, tub__nifti_facts *facts,
                       tub_error *err);
    /* All values to `out` as [frames,height,width], scaled as the file says; once. */
    tub_status (*read)(tub__nifti *file, void *out, tub_error *err);
    void (*close)(tub__nifti *file); /* accepts NULL */
} tub__nifti_module;

/* A module that is opened in a worker process only (base/worker.h), such as mod-hdf5. */
typedef struct tub__worker_module {
    int version;
    /* Does what `verb` says with the file `input` and writes records (base/wire.h) to `output`, all
     * but the last, at most `most` bytes. Runs confined: it can open nothing. */
    tub_status (*run)(const char *verb, int input, int output, size_t most, tub_error *err);
    /* NULL, or called before the process is confined: loads what it will need from the folder of the modules,
     * whose name stays valid until it returns. Such a module can open its input by name later, as often as
     * it likes (base/worker.h). */
    tub_status (*prepare)(const char *verb, int input, const char *modules, tub_error *err);
} tub__worker_module;

#endif
