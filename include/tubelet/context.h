/* SPDX-License-Identifier: Apache-2.0 */
/* The context: threads, instruction set, memory and event receiver that all other objects are made
 * with. */
#ifndef TUBELET_CONTEXT_H
#define TUBELET_CONTEXT_H

#include <stddef.h>
#include <stdint.h>
#include <tubelet/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tub_context tub_context;

/* Memory source. alloc returns size bytes aligned to 64 (size is a multiple of 64, never 0) or
 * NULL; free gets what alloc returned. Both may be called from any thread. */
typedef struct tub_allocator {
    void *(*alloc)(void *user, size_t size);
    void (*free)(void *user, void *block);
    void *user;
} tub_allocator;

/* Instruction set of the kernels. All give the same bits in float32. */
typedef enum tub_cpu {
    TUB_CPU_AUTO = 0, /* $TUBELET_CPU, else the best that the processor has */
    TUB_CPU_PORTABLE,
    TUB_CPU_NEON, /* aarch64 */
    TUB_CPU_AVX2,
    TUB_CPU_AVX512,
    TUB_CPU_AVX512_BF16, /* as AVX512, with bfloat16 products in hardware */
    TUB_CPU_AMX          /* likewise, by AMX */
} tub_cpu;

/* Precision of a model's matrix products. Sums, norms, softmax and everything else stay float32. */
typedef enum tub_precision {
    TUB_PRECISION_F32 = 0,
    TUB_PRECISION_BF16, /* factors rounded to bfloat16; bits depend on the instruction set, too */
    TUB_PRECISION_INT8  /* those of the blocks rounded to whole numbers of eight bits: inference
                           only; docs/numerics.md says which bits depend on the instruction set */
} tub_precision;

typedef enum tub_log_level { TUB_LOG_INFO = 0, TUB_LOG_WARNING } tub_log_level;

/* What the library tells: everything a progress bar, a log, a report or a metrics page needs. */
typedef enum tub_event_kind {
    TUB_EVENT_LOG = 1,     /* level, message */
    TUB_EVENT_DOWNLOAD,    /* message (file name), done, total (bytes; 0 unknown) */
    TUB_EVENT_TRAIN_START, /* message (run folder), done (step to start at), total (steps in all),
                              epochs, samples (of the epoch, before that step) */
    TUB_EVENT_STEP,  /* epoch, done (step), total, samples, seconds, train (running means of the
                        epoch), lr */
    TUB_EVENT_EPOCH, /* epoch, done, total, seconds, train, val, lr */
    TUB_EVENT_CHECKPOINT, /* message (path), done (step) */
    TUB_EVENT_TRAIN_END,  /* message (run folder), done, total, seconds */
    TUB_EVENT_EVALUATE,   /* done, total (samples) */
    TUB_EVENT_CLIPS       /* message (data set), done, total (clips to decode for the first time) */
} tub_event_kind;

/* Loss and accuracies of a set of samples; NaN where not known. */
typedef struct tub_scores {
    double loss;
    double top1; /* share, 0 … 1 */
    double top5;
    double auc;
} tub_scores;

typedef struct tub_event {
    tub_event_kind kind;
    tub_log_level level;
    const char *message; /* valid during the call only; may be NULL */
    uint64_t done, total;
    uint64_t epoch, epochs; /* epoch counts from 1 */
    uint64_t samples;       /* samples seen in this epoch so far */
    double seconds;         /* since the run started or resumed */
    double lr;
    tub_scores train, val;
    double
        data_wait; /* of TUB_EVENT_STEP and _EPOCH: seconds of the epoch in which training waited for
                         samples */
} tub_event;

/* Called on the thread that called the library or on one that works for it, never on two at once; must
 * not call back into the same context. */
typedef void tub_event_fn(void *user, const tub_event *event);

typedef struct tub_context_config {
    size_t size; /* sizeof(tub_context_config) */
    int threads; /* 0: one per available core */
    tub_cpu cpu;
    tub_allocator allocator; /* all NULL: the C library's */
    tub_event_fn *on_event;  /* NULL: silence */
    void *event_user;
    const char *module_folder; /* NULL: $TUBELET_MODULES, else where the library was installed */
    const char
        *data_folder; /* NULL: $TUBELET_DATA, else $XDG_CACHE_HOME/tubelet, else ~/.cache/tubelet */
    tub_precision precision; /* of models that are read from folders, or made for inference */
    const char
        *command; /* how the program was called, to be noted in the event files of a training;
                            NULL: not known */
} tub_context_config;

/* The defaults, with size filled. */
TUB_API tub_context_config tub_context_config_default(void);

/* Makes a context; *out is the caller's until tub_context_destroy. config may be NULL. One context
 * may be used by one thread at a time; different contexts are independent. Errors: TUB_E_ARGUMENT
 * (bad thread count, unknown $TUBELET_CPU), TUB_E_UNSUPPORTED (instruction set not on this
 * processor), TUB_E_MEMORY. */
TUB_API TUB_MUST_USE tub_status tub_context_create(const tub_context_config *config,
                                                   tub_context **out, tub_error *err);
/* Stops the threads and frees everything. Objects made with it must be gone. Accepts NULL. */
TUB_API void tub_context_destroy(tub_context *ctx);

TUB_API int tub_context_threads(const tub_context *ctx);
/* "portable", "neon", "avx2", "avx512", "avx512_bf16" or "amx": what the kernels run on. */
TUB_API const char *tub_context_cpu(const tub_context *ctx);
/* Parses "auto" and the names above. Error: TUB_E_ARGUMENT. */
TUB_API TUB_MUST_USE tub_status tub_cpu_parse(const char *text, tub_cpu *out, tub_error *err);
/* Parses "f32", "bf16" or "int8". Error: TUB_E_ARGUMENT. */
TUB_API TUB_MUST_USE tub_status tub_precision_parse(const char *text, tub_precision *out,
                                                    tub_error *err);

#ifdef __cplusplus
}
#endif
#endif
