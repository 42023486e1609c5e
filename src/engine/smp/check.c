#include "engine/smp/check.h"

#include "base/atomics.h"
#include "base/bits.h"
#include "base/fatal.h"
#include "engine/smp/engine.h"
#include "spans/metas.h"

/* Cells that are looked at from the head of a list, after each operation on it. */
#define LIST_CELLS_WALKED 8

#define WORD_BITS 64
#define BOOK_WORDS (SMP_SLAB_BYTES / (1 << SMP_LEAST_SHIFT) / WORD_BITS)

struct book {
    struct meta head;
    uint64_t handed_out[BOOK_WORDS]; /* a bit for each 8 bytes; a cell's is that of its first */
};

#define BOOK_RECORD_BYTES (SMP_SLAB_BYTES / 32) /* twice the bits: room for the head */
static_assert(sizeof(struct book) <= BOOK_RECORD_BYTES, "a book fits its record");

static struct meta_pool books = META_POOL_INITIAL(BOOK_RECORD_BYTES, LOCK_RANK_ENGINE_METAS);

bool smp_check_open_book(uint32_t *book)
{
    struct meta *meta = DUET_CHECKED ? meta_take(&books) : NULL;
    *book = meta != NULL ? meta->index : 0;
    return meta != NULL || !DUET_CHECKED;
}

void smp_check_close_book(uint32_t book)
{
    if (DUET_CHECKED)
        meta_give(&books, meta_at(&books, book));
}

void smp_check_fork_prepare(void)
{
    lock_take(&books.lock);
}

void smp_check_fork_end(void)
{
    lock_release(&books.lock);
}

struct bit {
    uint64_t *word;
    uint64_t mask;
};

static struct bit bit_of(void *cell, size_t cell_bytes)
{
    uintptr_t offset = (uintptr_t)cell % SMP_SLAB_BYTES;
    require(engine_class_bytes(smp_class_of_table(table_class(cell))) == cell_bytes);
    require(offset % cell_bytes == 0);
    struct book *book = (struct book *)meta_at(&books, table_meta(cell));
    require(book != NULL);
    size_t bit = offset >> SMP_LEAST_SHIFT;
    return (struct bit){&book->handed_out[bit / WORD_BITS], (uint64_t)1 << (bit % WORD_BITS)};
}

static bool is_handed_out(void *cell, size_t cell_bytes)
{
    struct bit bit = bit_of(cell, cell_bytes);
    return (load_relaxed(bit.word) & bit.mask) != 0;
}

void smp_check_alloc_slow(void *cell, size_t cell_bytes)
{
    struct bit bit = bit_of(cell, cell_bytes);
    require((__atomic_fetch_or(bit.word, bit.mask, __ATOMIC_RELAXED) & bit.mask) == 0);
}

void smp_check_free_slow(void *cell, size_t cell_bytes)
{
    struct bit bit = bit_of(cell, cell_bytes);
    if ((__atomic_fetch_and(bit.word, ~bit.mask, __ATOMIC_RELAXED) & bit.mask) == 0)
        fatal_pointer("free", cell, "was freed twice");
}

void smp_check_list_slow(const struct smp_class *cells, size_t cell_bytes)
{
    void **cell = cells->free;
    for (int i = 0; cell != NULL && i < LIST_CELLS_WALKED; i++, cell = *cell)
        require(!is_handed_out(cell, cell_bytes));
    require((uintptr_t)cells->next % cell_bytes == 0);
    if ((uintptr_t)cells->next % SMP_SLAB_BYTES != 0)
        require(!is_handed_out(cells->next, cell_bytes));
}
