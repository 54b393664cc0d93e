/* SPDX-License-Identifier: Apache-2.0 */
/* Status codes and the error sentence that every fallible function can return. */
#ifndef TUBELET_STATUS_H
#define TUBELET_STATUS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined __GNUC__
#define TUB_API      __attribute__((visibility("default")))
#define TUB_MUST_USE __attribute__((warn_unused_result))
#else
#define TUB_API
#define TUB_MUST_USE
#endif

/* What went wrong, by kind. Zero is success. The sentence in tub_error says what, where and what to
 * do. */
typedef enum tub_status {
    TUB_OK = 0,
    TUB_E_ARGUMENT,    /* a caller's argument or option is wrong or contradicts another */
    TUB_E_MEMORY,      /* an allocation failed or a size does not fit */
    TUB_E_IO,          /* the operating system refused to open, read, write or rename */
    TUB_E_FORMAT,      /* a file is not what it should be */
    TUB_E_SHAPE,       /* an array has another shape or type than is needed */
    TUB_E_RANGE,       /* a value is outside its allowed range */
    TUB_E_NOT_FOUND,   /* no such file, key, data set or preset */
    TUB_E_EXISTS,      /* would overwrite something */
    TUB_E_UNSUPPORTED, /* known, but not possible in this build or on this machine */
    TUB_E_MODULE,      /* an optional module is not installed */
    TUB_E_CHECKSUM,    /* a download or file has the wrong checksum */
    TUB_E_NETWORK,     /* a transfer failed */
    TUB_E_CANCELLED,   /* stopped at the caller's request */
    TUB_E_NUMERIC      /* training met a NaN or an infinity */
} tub_status;

enum { TUB_ERROR_LENGTH = 512 };

/* One failure. Owned by the caller; a function that fails fills it, one that succeeds leaves it
 * alone. */
typedef struct tub_error {
    tub_status status;
    char message[TUB_ERROR_LENGTH]; /* one sentence, no newline, always terminated */
} tub_error;

/* Short English name of a status ("not found"). Static storage, never NULL. Thread-safe. */
TUB_API const char *tub_status_name(tub_status status);

/* The library's version, "MAJOR.MINOR.PATCH". Static storage. Thread-safe. */
TUB_API const char *tub_version(void);

/* Word number `index` of a list; "" is passed over. */
typedef const char *tub_word_fn(const void *words, size_t index);
/* Which of n words was probably meant by an unknown one, for "did you mean": the index of the first
 * that is the fewest insertions, deletions, replacements and swaps of neighbouring letters away, at
 * most a third of the letters (rounded up), or that other programs call so ("learning_rate": "lr");
 * n where none is that near. Thread-safe where get is. */
TUB_API size_t tub_nearest(const char *word, const void *words, size_t n, tub_word_fn *get);

#ifdef __cplusplus
}
#endif
#endif
