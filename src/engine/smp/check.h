/*
 * The checked build's second book: which cells are handed out, a bit each, apart from the lists.
 * It finds every cell that is handed out twice and every double free at once, and walks the head
 * of a list after each operation on it. In other builds nothing is left of this.
 */
#ifndef DUET_ENGINE_SMP_CHECK_H
#define DUET_ENGINE_SMP_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"

void smp_check_alloc_slow(void *cell, size_t cell_bytes);
void smp_check_free_slow(void *cell, size_t cell_bytes);

struct smp_class;
void smp_check_list_slow(const struct smp_class *cells, size_t cell_bytes);

/* The book of a new slab: the index of its meta. False: no memory. Closed again if there is to be
 * no slab. In other builds the index is 0. */
bool smp_check_open_book(uint32_t *book);
void smp_check_close_book(uint32_t book);

void smp_check_fork_prepare(void);
void smp_check_fork_end(void);

/* The slot that serves the operation is held; `cell` may be NULL. */
static inline void smp_check_alloc(void *cell, size_t cell_bytes)
{
    if (DUET_CHECKED && cell != NULL)
        smp_check_alloc_slow(cell, cell_bytes);
}

/* After an operation on the slot's list of the class. */
static inline void smp_check_list(const struct smp_class *cells, size_t cell_bytes)
{
    if (DUET_CHECKED)
        smp_check_list_slow(cells, cell_bytes);
}

static inline void smp_check_free(void *cell, size_t cell_bytes)
{
    if (DUET_CHECKED)
        smp_check_free_slow(cell, cell_bytes);
}

#endif
