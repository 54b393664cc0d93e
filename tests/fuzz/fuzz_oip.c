/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: a request of the Open Inference Protocol. Two bytes say how long its JSON is (0xffff: all of it), the
 * rest is the body. However it comes in pieces, the same is read. */
#include <string.h>

#include "../../app/server/oip.h"
#include "fuzz.h"

static bool read_all(oip_reader *r, int64_t header, const uint8_t *data, size_t size,
                     size_t piece) {
    oip_begin(r, header);
    for (size_t at = 0; at < size; at += piece) {
        if (!oip_push(r, (const char *)data + at, at + piece < size ? piece : size - at)) {
            break;
        }
    }
    const bool well = oip_end(r);
    FUZZ_CHECK(well == (r->status == 0));
    FUZZ_CHECK(well || (r->sentence[0] != '\0' && r->status >= 400));
    return well;
}

/* What was kept is no more than what came can be worth. */
static void look_at(const oip_reader *r, size_t size) {
    for (int i = 0; i < r->request.inputs; i++) {
        const oip_input *in = &r->request.input[i];
        FUZZ_CHECK(in->count <= size && in->size <= 5 * size);
        FUZZ_CHECK(in->number_room <= 2 * size + 8192 && in->byte_room <= 10 * size + 8192);
        FUZZ_CHECK(in->rank <= OIP_RANK && strlen(in->name) < OIP_NAME);
    }
}

static void compare(const oip_reader *a, const oip_reader *b) {
    FUZZ_CHECK(a->request.inputs == b->request.inputs);
    FUZZ_CHECK(strcmp(a->request.id, b->request.id) == 0);
    FUZZ_CHECK(a->request.outputs == b->request.outputs);
    for (int i = 0; i < a->request.inputs; i++) {
        const oip_input *x = &a->request.input[i], *y = &b->request.input[i];
        FUZZ_CHECK(x->count == y->count && x->size == y->size && x->rank == y->rank);
        FUZZ_CHECK(x->count == 0 || memcmp(x->numbers, y->numbers, x->count * 4) == 0);
        FUZZ_CHECK(x->size == 0 || memcmp(x->bytes, y->bytes, x->size) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static oip_reader whole, pieces;
    if (size < 2) {
        return 0;
    }
    const int header = data[0] | data[1] << 8;
    const size_t piece = 1 + size % 7;
    data += 2;
    size -= 2;
    const bool a = read_all(&whole, header == 0xffff ? -1 : header, data, size, size + 1);
    const bool b = read_all(&pieces, header == 0xffff ? -1 : header, data, size, piece);
    FUZZ_CHECK(a == b);
    look_at(&whole, size);
    look_at(&pieces, size);
    if (a) {
        compare(&whole, &pieces);
    }
    oip_free(&whole);
    oip_free(&pieces);
    return 0;
}
