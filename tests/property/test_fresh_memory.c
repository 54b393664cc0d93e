/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in memory that an allocator gives decides no bit: kernels compute on whole vectors,
 * past the last column, query or sample, and what they find there must reach no result. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "training.h"

/* An allocator whose blocks are full of one byte: user. 0xFF makes NaN of every float. */
static void *filled(void *user, size_t size) {
    void *block = aligned_alloc(64, size);
    if (block != NULL) {
        memset(block, *(const unsigned char *)user, size);
    }
    return block;
}

static void give_back(void *user, void *block) {
    (void)user;
    free(block);
}

static void train_on(unsigned char byte, const tub_train_config *c, tub_cpu cpu,
                     const char *folder) {
    tub_context_config context = tub_context_config_default();
    tub_error err;
    context.allocator = (tub_allocator){filled, give_back, &byte};
    if (train_in(context, c, &(how){2, cpu, 1, 0}, folder, &err) != TUB_OK) {
        fail_msg("%s", err.message);
    }
}

/* With every instruction set. */
static void compare(const tub_train_config *c) {
    for (tub_cpu cpu = TUB_CPU_PORTABLE; cpu <= TUB_CPU_AMX; cpu++) {
        if (runs_on(cpu)) {
            train_on(0, c, cpu, "zeros");
            train_on(0xFF, c, cpu, "ones");
            assert_same_run("zeros", "ones");
            assert_int_equal(tub__folder_remove(&tub__default_allocator, "zeros", NULL), TUB_OK);
            assert_int_equal(tub__folder_remove(&tub__default_allocator, "ones", NULL), TUB_OK);
        }
    }
}

static tub_train_config short_recipe(void) {
    tub_train_config c = small_recipe();
    c.epochs = 2;
    return c;
}

static void few_tokens(void **state) {
    (void)state;
    tub_train_config c = short_recipe();
    compare(&c);
    turn_drops_on(&c);
    compare(&c);
    c.precision = TUB_PRECISION_BF16;
    compare(&c);
}

static void many_tokens(void **state) {
    (void)state;
    tub_train_config c = short_recipe();
    c.model.tubelet[0] = 2, c.model.tubelet[1] = 2, c.model.tubelet[2] = 3;
    c.model.pooling = TUB_POOL_CLASS_TOKEN;
    compare(&c);
    c.precision = TUB_PRECISION_BF16;
    compare(&c);
}

static void tokens_apart(void **state) {
    (void)state;
    tub_train_config c = short_recipe();
    c.model.hidden = 32, c.model.heads = 4;
    c.model.variant = TUB_VARIANT_FACTORISED_DOT_PRODUCT;
    compare(&c);
    c.model.variant = TUB_VARIANT_FACTORISED_ENCODER;
    c.model.temporal_layers = 2;
    compare(&c);
}

static void baselines(void **state) {
    (void)state;
    tub_train_config c = short_recipe();
    c.model.filters = 4, c.model.stages = 2, c.model.units = 5;
    c.model.family = TUB_FAMILY_CNN_RNN;
    compare(&c);
    c.model.family = TUB_FAMILY_RESNET3D18;
    compare(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(few_tokens), cmocka_unit_test(many_tokens),
                                       cmocka_unit_test(tokens_apart), cmocka_unit_test(baselines)};
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
