/* SPDX-License-Identifier: Apache-2.0 */
/* Models of every kind that becomes an ONNX file, with numbers in all their arrays that make
 * mistakes show, and what tubelet computes with them. */
#ifndef TEST_ONNX_CASES_H
#define TEST_ONNX_CASES_H

#include <tubelet/tubelet.h>

enum { ONNX_SAMPLES = 3 };

/* |difference| of a sample's logits, at most, in units of its largest: what two engines must
 * keep. */
#define ONNX_TOLERANCE 1e-5

typedef struct onnx_case {
    const char *name;
    void (*change)(tub_model_config *c); /* of the common configuration; NULL: nothing */
    int uint8_input, external_data;
    const char *preprocessor; /* text of the folder's preprocessor_config.json, or NULL: as saved */
} onnx_case;

extern const onnx_case onnx_cases[];
extern const size_t onnx_case_count;

tub_model_config onnx_case_config(const onnx_case *c);

/* A case at work: its model, a batch of clips and the answers. */
typedef struct onnx_sample {
    tub_model_config config;
    size_t voxels;         /* of a clip */
    unsigned char *levels; /* [ONNX_SAMPLES, voxels]: of graphs that take uint8, else NULL */
    float *clips;          /* [ONNX_SAMPLES, voxels] of float32, prepared */
    float *logits, *probabilities; /* [ONNX_SAMPLES, K] */
} onnx_sample;

/* Makes the model of a configuration that a case has (perhaps with a change) in `folder`, which
 * is new. *out (or NULL) is freed by onnx_sample_free. */
tub_status onnx_case_make(tub_context *ctx, const onnx_case *c, const tub_model_config *config,
                          const char *folder, onnx_sample *out, tub_error *err);
/* The same of a model with the initial values that a training begins with. */
tub_status onnx_case_make_fresh(tub_context *ctx, const onnx_case *c,
                                const tub_model_config *config, const char *folder,
                                onnx_sample *out, tub_error *err);
/* And converts that folder. */
tub_status onnx_case_convert(tub_context *ctx, const onnx_case *c, const char *folder,
                             const char *file, tub_error *err);
void onnx_sample_free(onnx_sample *s);

#endif
