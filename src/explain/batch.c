/* SPDX-License-Identifier: Apache-2.0 */
/* How many clips at once, and telling how far the work is. */
#include <math.h>

#include "base/error.h"
#include "explain/question.h"

enum { BATCH_USUAL = 32, PASS_BYTES = 512 << 20 };

void tub__explain_tell(const tub_model *model, size_t done, size_t total) {
    const tub_scores unknown = {(double)NAN, (double)NAN, (double)NAN, (double)NAN};
    tub__emit(model->context, &(tub_event){.kind = TUB_EVENT_EVALUATE,
                                           .done = done,
                                           .total = total,
                                           .train = unknown,
                                           .val = unknown});
}

tub_status tub__explain_go_on(const tub_model *model, tub_error *err) {
    return model->context->stop == 0 ? TUB_OK : tub__fail(err, TUB_E_CANCELLED, "stopped");
}

tub_status tub__explain_fit(const tub_model *model, int64_t given, tub__pass_config *config,
                            tub_error *err) {
    size_t bytes = 0;
    config->batch = tub__min(config->batch, given > 0 ? (size_t)given : BATCH_USUAL);
    for (;;) {
        TUB__TRY(tub__pass_measure(model, config, &bytes, err));
        if (bytes <= PASS_BYTES) {
            return TUB_OK;
        }
        if (config->training && !config->recompute) {
            config->recompute = true;
        } else if (given > 0 || config->batch == 1) {
            return TUB_OK;
        } else {
            config->batch = (config->batch + 1) / 2;
        }
    }
}
