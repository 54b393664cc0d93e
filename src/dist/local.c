/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks in one process: one alone, or several as threads that meet at a barrier. */
#include "base/error.h"
#include "dist/dist.h"
#include <pthread.h>
#include <string.h>

/* What a rank shows to the others between two barriers. */
typedef struct slot {
    void *buffer;
    bool present;
} slot;

typedef void add_fn(void *user, void *to, const void *from, size_t elements);

struct tub__dist_group {
    const tub_allocator *allocator;
    int size;
    pthread_barrier_t barrier;
    slot *slots; /* [size]; each rank writes its own, the barrier makes it visible */
};

static void alone_sum(tub__dist *d, void *buffer, size_t elements, size_t element_size,
                      bool present, add_fn *add, void *user) {
    (void)d, (void)buffer, (void)elements, (void)element_size, (void)present, (void)add, (void)user;
}

static void alone_barrier(tub__dist *d) {
    (void)d;
}

static void alone_broadcast(tub__dist *d, void *bytes, size_t size) {
    (void)d, (void)bytes, (void)size;
}

tub__dist tub__dist_alone(void) {
    return (tub__dist){0, 1, alone_sum, alone_barrier, alone_broadcast, NULL};
}

static void group_barrier(tub__dist *d) {
    tub__dist_group *group = d->implementation;
    pthread_barrier_wait(&group->barrier);
}

/* Adds the right subtree's sum to the left one's. */
static void combine(slot *left, const slot *right, size_t elements, size_t element_size,
                    add_fn *add, void *user) {
    if (!right->present) {
        return;
    }
    if (left->present) {
        add(user, left->buffer, right->buffer, elements);
    } else {
        memcpy(left->buffer, right->buffer, elements * element_size);
        left->present = true;
    }
}

static void group_sum(tub__dist *d, void *buffer, size_t elements, size_t element_size,
                      bool present, add_fn *add, void *user) {
    tub__dist_group *group = d->implementation;
    slot *slots = group->slots;
    slots[d->rank] = (slot){buffer, present};
    for (int step = 1; step < group->size; step *= 2) {
        group_barrier(d);
        if (d->rank % (2 * step) == 0 && d->rank + step < group->size) {
            combine(&slots[d->rank], &slots[d->rank + step], elements, element_size, add, user);
        }
    }
    group_barrier(d);
    if (d->rank != 0 && slots[0].present) {
        memcpy(buffer, slots[0].buffer, elements * element_size);
    }
    group_barrier(d); /* rank 0 may change its buffer only when all have read it */
}

static void group_broadcast(tub__dist *d, void *bytes, size_t size) {
    tub__dist_group *group = d->implementation;
    if (d->rank == 0) {
        group->slots[0] = (slot){bytes, true};
    }
    group_barrier(d);
    if (d->rank != 0) {
        memcpy(bytes, group->slots[0].buffer, size);
    }
    group_barrier(d);
}

tub_status tub__dist_group_create(const tub_allocator *a, int size, tub__dist *members,
                                  tub__dist_group **out, tub_error *err) {
    void *memory = NULL, *slots = NULL;
    TUB__TRY(tub__alloc_array(a, 1, sizeof(tub__dist_group), &memory, err));
    tub__dist_group *group = memory;
    tub_status status = tub__alloc_array(a, (size_t)size, sizeof(slot), &slots, err);
    if (status != TUB_OK) {
        goto fail;
    }
    if (pthread_barrier_init(&group->barrier, NULL, (unsigned)size) != 0) {
        status = tub__fail(err, TUB_E_MEMORY, "no barrier for %d ranks", size);
        goto fail;
    }
    group->allocator = a;
    group->size = size;
    group->slots = slots;
    for (int r = 0; r < size; r++) {
        members[r] = (tub__dist){r, size, group_sum, group_barrier, group_broadcast, group};
    }
    *out = group;
    return TUB_OK;
fail:
    tub__free(a, slots);
    tub__free(a, memory);
    return status;
}

void tub__dist_group_destroy(tub__dist_group *group) {
    if (group == NULL) {
        return;
    }
    pthread_barrier_destroy(&group->barrier);
    tub__free(group->allocator, group->slots);
    tub__free(group->allocator, group);
}
