#include "engine/duet/classes.h"

/* Rows from the largest down: a later row of the table overrides an earlier one, so each length
 * ends with the least class that holds it. */
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif

enum { ROW_BEFORE_FIRST = __COUNTER__ };

#define KIND_HERE ((uint8_t)(DUET_CLASSES - (__COUNTER__ - ROW_BEFORE_FIRST - 1) % DUET_CLASSES))

/* From 1 on: no byte is of no kind. */
#define KIND_OF_ROW(bytes, blocks) [1 ...(bytes) / DUET_UNIT] = KIND_HERE,

#define CEILING(a, b) (((a) + (b)-1) / (b))

#define WHOLE ((uint64_t)1 << 32)
#define EXCESS(bytes) (CEILING(WHOLE, (bytes)) * (bytes)-WHOLE)
#define LIMIT(bytes) (EXCESS(bytes) == 0 ? 1 : BLOCK_BYTES / (bytes)*EXCESS(bytes))

#define DIVISOR_OF_ROW(bytes, blocks)                                                              \
    [KIND_HERE] = {.inverse = (blocks) == 1 ? (uint32_t)CEILING(WHOLE, (bytes)) : 0,               \
                   .limit = (blocks) == 1 ? (uint32_t)LIMIT(bytes) : 0},

#define LONG_INVERSE(bytes) (UINT64_MAX / (bytes) + 1)
#define LONG_EXCESS(bytes) (LONG_INVERSE(bytes) * (bytes)) /* modulo 2^64 */
#define LONG_LIMIT(bytes, blocks)                                                                  \
    (LONG_EXCESS(bytes) == 0 ? 1 : (blocks)*BLOCK_BYTES / (bytes)*LONG_EXCESS(bytes))

#define LONG_DIVISOR_OF_ROW(bytes, blocks)                                                         \
    [KIND_HERE] = {.inverse = (blocks) == 1 ? 0 : LONG_INVERSE((uint64_t)(bytes)),                 \
                   .limit = (blocks) == 1 ? 0 : LONG_LIMIT((uint64_t)(bytes), (blocks))},

#define KIND_OF_ROW_IN_FULL(bytes_, blocks_)                                                       \
    [KIND_HERE] = {                                                                                \
        .bytes = (uint32_t)(bytes_),                                                               \
        .inverse = (uint32_t)CEILING((uint64_t)1 << DUET_INVERSE_SHIFT, (bytes_) / DUET_UNIT),     \
        .cells = (uint16_t)((blocks_)*BLOCK_BYTES / (bytes_)),                                     \
        .blocks = (blocks_),                                                                       \
    },

const struct duet_tables duet_tables = {
    .kind_of = {DUET_CLASS_ROWS(KIND_OF_ROW)},
    .divisors = {DUET_CLASS_ROWS(DIVISOR_OF_ROW)},
    .kinds = {DUET_CLASS_ROWS(KIND_OF_ROW_IN_FULL)},
    .long_divisors = {DUET_CLASS_ROWS(LONG_DIVISOR_OF_ROW)},
};

#define BLOCKS_FIT(bytes, blocks)                                                                  \
    static_assert((blocks) <= DUET_MOST_BLOCKS, "the table's entries name each block of a group"); \
    static_assert((blocks) == 1 || (blocks)*BLOCK_BYTES / (bytes) <= 64, "a bit each: `sparse`");
DUET_CLASS_ROWS(BLOCKS_FIT)

size_t duet_kind_for_aligned(size_t length, size_t align)
{
    if (length - 1 >= DUET_MOST_BYTES || align > BLOCK_BYTES) /* groups begin at blocks */
        return 0;
    size_t kind = duet_kind_for(max_size(length, align));
    while (kind < DUET_KINDS && !is_aligned(duet_kind_bytes(kind), align))
        kind++;
    return kind < DUET_KINDS ? kind : 0;
}
