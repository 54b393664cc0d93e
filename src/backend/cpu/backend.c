/* SPDX-License-Identifier: Apache-2.0 */
/* Making a CPU backend over one kernel table. */
#include "backend/cpu/cpu.h"

#include "base/error.h"

void tub__cpu_backend_destroy(tub__backend *be) {
    if (!be) {
        return;
    }
    tub__cpu *cpu = tub__cpu_of(be);
    const tub_allocator a = be->allocator;
    for (int i = 0; cpu->scratch && i < cpu->workers; i++) {
        tub__free(&a, cpu->scratch[i]);
    }
    tub__free(&a, cpu->scratch);
    tub__free(&a, cpu->claims);
    tub__free(&a, cpu);
}

tub_status tub__cpu_backend_make(const tub_allocator *a, tub__pool *pool,
                                 const struct tub__kernels *k, tub__backend **out, tub_error *err) {
    tub__cpu *cpu;
    tub_status status = tub__alloc_array(a, 1, sizeof *cpu, (void **)&cpu, err);
    if (status != TUB_OK) {
        return status;
    }
    cpu->base = (tub__backend){.ops = &cpu->ops,
                               .name = k->name,
                               .real = k->real_size == sizeof(double) ? TUB_F64 : TUB_F32,
                               .real_size = k->real_size,
                               .allocator = *a,
                               .pool = pool};
    cpu->kernels = k;
    cpu->workers = tub__pool_threads(pool);
    tub__cpu_memory_ops(&cpu->ops);
    tub__cpu_model_ops(&cpu->ops);
    tub__cpu_network_ops(&cpu->ops);
    if (!k->reduce) {
        cpu->ops.reduce = NULL;
    }
    status = tub__alloc_array(a, (size_t)cpu->workers, sizeof *cpu->scratch, (void **)&cpu->scratch,
                              err);
    if (status == TUB_OK) {
        status = tub__alloc_array(a, (size_t)cpu->workers, sizeof *cpu->claims,
                                  (void **)&cpu->claims, err);
    }
    for (int i = 0; status == TUB_OK && i < cpu->workers; i++) {
        status = tub__alloc(a, TUB__K_SCRATCH * k->real_size, &cpu->scratch[i], err);
    }
    if (status != TUB_OK) {
        tub__cpu_backend_destroy(&cpu->base);
        return status;
    }
    *out = &cpu->base;
    return TUB_OK;
}

tub_status tub__cpu_backend_create(const tub_allocator *a, tub__pool *pool, tub_cpu cpu,
                                   tub__backend **out, tub_error *err) {
    if (!tub__cpu_has(cpu)) {
        return tub__fail(err, TUB_E_UNSUPPORTED,
                         "this processor can't run the %s kernels; the best it has are %s",
                         tub__cpu_name(cpu), tub__cpu_name(tub__cpu_best()));
    }
    static const struct tub__kernels *const tables[] = {
        [TUB_CPU_PORTABLE] = &tub__kernels_portable,
#if defined __x86_64__
        [TUB_CPU_AVX2] = &tub__kernels_avx2,
        [TUB_CPU_AVX512] = &tub__kernels_avx512,
        [TUB_CPU_AVX512_BF16] = &tub__kernels_avx512_bf16,
        [TUB_CPU_AMX] = &tub__kernels_amx,
#elif defined __aarch64__
        [TUB_CPU_NEON] = &tub__kernels_neon,
#endif
    };
    return tub__cpu_backend_make(a, pool, tables[cpu], out, err);
}
