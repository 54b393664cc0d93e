/* SPDX-License-Identifier: Apache-2.0 */
/* One training run gives one SHA-256, whatever the threads, the instruction set, the ranks and
 * the micro-batches, and whether blocks are computed again; in bf16 whatever the threads, and the
 * instruction set but for AMX. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu.h"
#include "base/file.h"
#include "training.h"

static int set_up(void **state) {
    if (scratch_enter(state) != 0) {
        return -1;
    }
    tub_train_config c = small_recipe();
    must_run(&c, &plainly, "reference");
    return 0;
}

static void compare(const tub_train_config *c, const char *reference, const how *by) {
    must_run(c, by, "other");
    print_message("%s: threads %d, cpu %d, ranks %d, micro-batches of %d\n", reference, by->threads,
                  by->cpu, by->ranks, by->micro_batch);
    assert_same_run(reference, "other");
    assert_int_equal(tub__folder_remove(&tub__default_allocator, "other", NULL), TUB_OK);
}

static void compare_with_reference(const how *by) {
    const tub_train_config c = small_recipe();
    compare(&c, "reference", by);
}

static const int threads[] = {1, 2, 3, 5, 8};
enum { THREADS = sizeof threads / sizeof *threads };

static void threads_and_instruction_sets(void **state) {
    (void)state;
    for (tub_cpu cpu = TUB_CPU_PORTABLE; cpu <= TUB_CPU_AMX; cpu++) {
        for (int i = 0; runs_on(cpu) && i < THREADS; i++) {
            compare_with_reference(&(how){threads[i], cpu, 1, 0});
        }
    }
}

/* In bf16 AMX sums in another order; all others do as vdpbf16ps does. */
static void bf16_threads_and_instruction_sets(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    c.precision = TUB_PRECISION_BF16;
    must_run(&c, &(how){1, TUB_CPU_PORTABLE, 1, 0}, "bf16");
    assert_other_weights("reference", "bf16");
    for (tub_cpu cpu = TUB_CPU_PORTABLE; cpu <= TUB_CPU_AVX512_BF16; cpu++) {
        for (int i = 0; runs_on(cpu) && i < THREADS; i++) {
            compare(&c, "bf16", &(how){threads[i], cpu, 1, 0});
        }
    }
    if (runs_on(TUB_CPU_AMX)) {
        must_run(&c, &(how){1, TUB_CPU_AMX, 1, 0}, "bf16-amx");
        assert_other_weights("bf16", "bf16-amx");
        for (int i = 1; i < THREADS; i++) {
            compare(&c, "bf16-amx", &(how){threads[i], TUB_CPU_AMX, 1, 0});
        }
    }
}

/* The batch of 26 is seven groups of 4, the last of 2: parts of a group go on with its sums, whole
 * groups are added in the tree, and 26 is the whole batch by its number. */
static void ranks_and_micro_batches(void **state) {
    (void)state;
    static const int samples[] = {0, 1, 2, 4, 8, 16, 26};
    for (int ranks = 1; ranks <= 8; ranks *= 2) {
        for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
            compare_with_reference(&(how){2, TUB_CPU_AUTO, ranks, samples[i]});
        }
    }
}

/* The other attention, a class token, and every instruction set, a sample at a time. */
static void micro_batches_of_long_sequences(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    c.epochs = 2;
    c.model.tubelet[0] = 2, c.model.tubelet[1] = 2, c.model.tubelet[2] = 3;
    c.model.pooling = TUB_POOL_CLASS_TOKEN;
    must_run(&c, &plainly, "long");
    for (tub_cpu cpu = TUB_CPU_PORTABLE; cpu <= TUB_CPU_AVX512; cpu++) {
        for (int samples = 1; runs_on(cpu) && samples <= 4; samples *= 2) {
            compare(&c, "long", &(how){3, cpu, 1, samples});
        }
    }
}

/* In bf16 a micro-batch decides the bits, and nothing else does. */
static void bf16_micro_batches(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    c.epochs = 2;
    c.precision = TUB_PRECISION_BF16;
    must_run(&c, &(how){1, TUB_CPU_AUTO, 1, 1}, "bf16-micro");
    for (int i = 1; i < THREADS; i++) {
        compare(&c, "bf16-micro", &(how){threads[i], TUB_CPU_AUTO, 1, 1});
    }
}

/* Against the plain run: micro-batches of a sample and of two groups, with and without ranks; and
 * blocks whose inside is computed again in the backward pass, alone and beside those. */
static void compare_savings(tub_train_config c) {
    c.epochs = 2;
    c.model.layers = 3;
    must_run(&c, &plainly, "plain");
    for (c.recompute = 0; c.recompute <= 1; c.recompute++) {
        compare(&c, "plain", &plainly);
        if (c.precision == TUB_PRECISION_F32) {
            compare(&c, "plain", &(how){3, TUB_CPU_AUTO, 2, 1});
            compare(&c, "plain", &(how){2, TUB_CPU_AUTO, 1, 8});
        }
    }
    assert_int_equal(tub__folder_remove(&tub__default_allocator, "plain", NULL), TUB_OK);
}

/* Dropout included, with and without GELU at a block's end, short and long attention, both precisions. */
static void memory_is_saved(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    compare_savings(c);
    c.model.mlp_output_gelu = 0;
    compare_savings(c);
    c.model.pooling = TUB_POOL_CLASS_TOKEN;
    c.model.tubelet[0] = 2, c.model.tubelet[1] = 2;
    compare_savings(c);
    c.precision = TUB_PRECISION_BF16;
    compare_savings(c);
    c.model.mlp_output_gelu = 1;
    compare_savings(c);
}

static void memory_is_saved_in_other_variants(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    c.model.hidden = 32, c.model.heads = 4;
    c.model.variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION;
    compare_savings(c);
    c.model.variant = TUB_VARIANT_FACTORISED_DOT_PRODUCT;
    compare_savings(c);
    c.model.variant = TUB_VARIANT_FACTORISED_ENCODER;
    c.model.temporal_layers = 2;
    compare_savings(c);
    c.model.pooling = TUB_POOL_CLASS_TOKEN;
    compare_savings(c);
    c.precision = TUB_PRECISION_BF16;
    compare_savings(c);
}

/* All that is dropped at random is dropped again. */
static void memory_is_saved_with_drops(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    turn_drops_on(&c);
    compare_savings(c);
    c.model.mlp_output_gelu = 0;
    compare_savings(c);
    use_labels_of(&c, "tiny-heads.npz");
    c.model.hidden = 32, c.model.heads = 4;
    c.model.variant = TUB_VARIANT_FACTORISED_SELF_ATTENTION;
    compare_savings(c);
}

/* Dropout everywhere and stochastic depth: drawn for what an element is, not for who computes it. */
static void with_everything_dropped(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    c.epochs = 3;
    must_run(&c, &plainly, "undropped");
    turn_drops_on(&c);
    must_run(&c, &plainly, "drops");
    assert_other_weights("undropped", "drops");
    for (tub_cpu cpu = TUB_CPU_PORTABLE; cpu <= TUB_CPU_AVX512; cpu++) {
        for (int i = 1; runs_on(cpu) && i < THREADS; i += 2) {
            compare(&c, "drops", &(how){threads[i], cpu, 1, 0});
        }
    }
    for (int ranks = 1; ranks <= 8; ranks *= 2) {
        for (int samples = 1; samples <= 16; samples *= 4) {
            compare(&c, "drops", &(how){2, TUB_CPU_AUTO, ranks, samples});
        }
    }
    /* Each of them changes something. */
    double *const rates[] = {&c.model.dropout, &c.model.mlp_dropout, &c.model.drop_layer};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        const double rate = *rates[i];
        *rates[i] = 0;
        must_run(&c, &plainly, "without");
        assert_other_weights("drops", "without");
        assert_int_equal(tub__folder_remove(&tub__default_allocator, "without", NULL), TUB_OK);
        *rates[i] = rate;
    }
}

/* Averages, balanced epochs, rates by depth and frozen arrays, also where products are rounded. */
static void training_for_accuracy(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    c.epochs = 3;
    turn_accuracy_on(&c);
    must_run(&c, &plainly, "accuracy");
    for (tub_cpu cpu = TUB_CPU_PORTABLE; cpu <= TUB_CPU_AVX512; cpu++) {
        for (int i = 1; runs_on(cpu) && i < THREADS; i += 2) {
            compare(&c, "accuracy", &(how){threads[i], cpu, 1, 0});
        }
    }
    for (int ranks = 1; ranks <= 8; ranks *= 2) {
        for (int samples = 1; samples <= 16; samples *= 4) {
            compare(&c, "accuracy", &(how){2, TUB_CPU_AUTO, ranks, samples});
        }
    }
    /* Each of them changes something. */
    for (int i = 0; i < 5; i++) {
        tub_train_config without = c;
        without.ema = i == 0 ? 0.0 : c.ema;
        without.ema_warmup = i != 1;
        without.sampling = i == 2 ? TUB_SHUFFLED : c.sampling;
        without.layer_decay = i == 3 ? 1.0 : c.layer_decay;
        strcpy(without.freeze, i == 4 ? "none" : c.freeze);
        must_run(&without, &plainly, "without");
        assert_other_weights("accuracy", "without");
        assert_int_equal(tub__folder_remove(&tub__default_allocator, "without", NULL), TUB_OK);
    }
    c.precision = TUB_PRECISION_BF16;
    must_run(&c, &plainly, "accuracy-bf16");
    compare(&c, "accuracy-bf16", &(how){3, TUB_CPU_AUTO, 1, 0});
}

static void labels_and_heads(void **state) {
    static const char *const data[] = {"tiny-labels.npz", "tiny-heads.npz"};
    static const how ways[] = {{3, TUB_CPU_PORTABLE, 1, 0}, {2, TUB_CPU_AVX2, 1, 0},
                               {8, TUB_CPU_AVX512, 1, 0},   {2, TUB_CPU_AUTO, 4, 0},
                               {2, TUB_CPU_AUTO, 1, 4},     {1, TUB_CPU_AUTO, 2, 1}};
    (void)state;
    for (size_t d = 0; d < sizeof data / sizeof *data; d++) {
        tub_train_config c = small_recipe();
        use_labels_of(&c, data[d]);
        turn_drops_on(&c);
        c.epochs = 3;
        char *reference = strdup(data[d]);
        reference[strlen(reference) - 4] = '\0';
        must_run(&c, &plainly, reference);
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            if (runs_on(ways[w].cpu)) {
                compare(&c, reference, &ways[w]);
            }
        }
        free(reference);
    }
}

/* Negative control: what should change the result does. */
static void other_seeds_differ(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    c.seed++;
    must_run(&c, &plainly, "seed");
    assert_other_weights("reference", "seed");

    c = small_recipe();
    c.model.attention_dropout = 0.0;
    must_run(&c, &plainly, "dropout");
    assert_other_weights("reference", "dropout");
}

/* The small data can be learned: equal bits of a model that learned nothing would prove little. */
static void it_learns(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    tub_train_result result;
    tub_error err = {0};
    c.epochs = 30;
    assert_int_equal(run(&c, &plainly, "learns", false, NULL, NULL, &result, &err), TUB_OK);
    print_message("after %d epochs: train loss %.3f, val top-1 %.2f, best epoch %d\n",
                  (int)result.epochs, result.train.loss, result.val.top1, (int)result.best_epoch);
    assert_true(result.val.top1 > 0.8 && result.best_val.auc > 0.9);
    assert_int_equal(result.steps, 60);
    assert_int_equal(result.stopped, 0);

    use_labels_of(&c, "tiny-labels.npz");
    assert_int_equal(run(&c, &plainly, "learns-labels", false, NULL, NULL, &result, &err), TUB_OK);
    print_message("labels: train loss %.3f, val ACC %.2f\n", result.train.loss, result.val.top1);
    assert_true(result.val.top1 > 0.8 && result.best_val.auc > 0.9);
    use_labels_of(&c, "tiny-heads.npz");
    assert_int_equal(run(&c, &plainly, "learns-heads", false, NULL, NULL, &result, &err), TUB_OK);
    print_message("heads: train loss %.3f, val top-1 %.2f\n", result.train.loss, result.val.top1);
    assert_true(result.val.top1 > 0.7 && result.best_val.auc > 0.9);
}

/* Augmentation and mixing: drawn for a place in the epoch, and partners come from the whole batch. */
static void with_augmentation(void **state) {
    (void)state;
    tub_train_config c = small_recipe();
    c.epochs = 3;
    must_run(&c, &plainly, "plain");
    turn_augmentation_on(&c);
    must_run(&c, &plainly, "augmented");
    assert_other_weights("plain", "augmented");
    compare(&c, "augmented", &(how){3, TUB_CPU_PORTABLE, 1, 0});
    for (int ranks = 1; ranks <= 4; ranks *= 2) {
        for (int samples = 1; samples <= 16; samples *= 4) {
            compare(&c, "augmented", &(how){3, TUB_CPU_AUTO, ranks, samples});
        }
    }
    /* Each of them changes something. */
    tub_augment_config *const a = &c.augment;
    double *const amounts[] = {&a->flip_w, &a->rotate, &a->noise[1], &a->mixup, &a->cutmix};
    for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++) {
        const double amount = *amounts[i];
        *amounts[i] = 0;
        must_run(&c, &plainly, "without");
        assert_other_weights("augmented", "without");
        assert_int_equal(tub__folder_remove(&tub__default_allocator, "without", NULL), TUB_OK);
        *amounts[i] = amount;
    }
    a->shape_intensity = 1; /* clips as float32 */
    must_run(&c, &plainly, "floats");
    assert_other_weights("augmented", "floats");
    compare(&c, "floats", &(how){2, TUB_CPU_AUTO, 2, 8});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_and_instruction_sets),
        cmocka_unit_test(bf16_threads_and_instruction_sets),
        cmocka_unit_test(ranks_and_micro_batches),
        cmocka_unit_test(micro_batches_of_long_sequences),
        cmocka_unit_test(bf16_micro_batches),
        cmocka_unit_test(memory_is_saved),
        cmocka_unit_test(memory_is_saved_in_other_variants),
        cmocka_unit_test(memory_is_saved_with_drops),
        cmocka_unit_test(with_everything_dropped),
        cmocka_unit_test(training_for_accuracy),
        cmocka_unit_test(labels_and_heads),
        cmocka_unit_test(other_seeds_differ),
        cmocka_unit_test(it_learns),
        cmocka_unit_test(with_augmentation),
    };
    return cmocka_run_group_tests(tests, set_up, scratch_leave);
}
