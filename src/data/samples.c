/* SPDX-License-Identifier: Apache-2.0 */
/* What a sample's elements are, whatever set or file they come from. */
#include "base/context.h"
#include "data/dataset.h"

size_t tub__dtype_bytes(tub_dtype dtype) {
    static const size_t bytes[TUB_DTYPES] = {1, 4, 8};
    return bytes[dtype];
}

/* Raw intensities (Hounsfield units, 0 to 255) stored as floats. */
void tub__warn_far_floats(tub_context *ctx, const char *name, const char *which, const float *v,
                          size_t n) {
    float low = v[0], high = v[0];
    for (size_t i = 1; i < n; i++) {
        low = v[i] < low ? v[i] : low;
        high = v[i] > high ? v[i] : high;
    }
    if (low < -TUB__FAR || high > TUB__FAR) {
        tub__log_line(ctx, TUB_LOG_WARNING,
                      "%s: floats reach the model as they are, and %s %g to %g; scale them to "
                      "about 0 to 1 first",
                      name, which, (double)low, (double)high);
    }
}
