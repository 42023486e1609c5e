/* The head as bytes, and the sums over operations: what writer and reader have in common. */
#include "trace/format.h"

#include <string.h>

/* Where the fields that are 8 bytes each stand in the head, behind the magic. */
enum field {
    FIELD_VERSION = 1,
    FIELD_CHECKSUM,
    FIELD_PACKED,
    FIELD_CONTENT,
    FIELD_TOTALS,
    FIELD_FACTS = FIELD_TOTALS + TRACE_TOTALS,
};

_Static_assert(FIELD_CHECKSUM * 8 == TRACE_CHECKSUM_OFFSET, "the checksum is where it is said");

static bool sum(uint64_t *total, uint64_t added)
{
    return !__builtin_add_overflow(*total, added, total);
}

/* `end_cells` and `end_live_bytes` are what is live so far. */
bool totals_add(struct trace_totals *totals, const struct operation *operation)
{
    bool fits = true;

    if (operation->thread >= totals->threads)
        totals->threads = (uint64_t)operation->thread + 1;
    switch (operation->kind) {
    case OPERATION_FREE:
        totals->frees++;
        totals->end_cells--;
        break;
    case OPERATION_REALLOC:
        totals->reallocs++;
        if (operation->size > operation->old_size)
            fits = sum(&totals->allocated_bytes, operation->size - operation->old_size);
        break;
    default:
        totals->allocations++;
        totals->end_cells++;
        fits = sum(&totals->allocated_bytes, operation->size);
        break;
    }
    totals->end_live_bytes -= operation->old_size;
    fits = sum(&totals->end_live_bytes, operation->size) && fits;

    if (totals->end_cells > totals->cells_most)
        totals->cells_most = totals->end_cells;
    if (totals->end_live_bytes > totals->peak_live_bytes) {
        totals->peak_live_bytes = totals->end_live_bytes;
        totals->peak_operation = totals->operations;
    }
    totals->operations++;
    return fits;
}

uint64_t trace_checksum(uint64_t checksum, const void *bytes, size_t length)
{
    const uint64_t prime = UINT64_C(0x100000001b3);
    const unsigned char *at = bytes;

    for (size_t i = 0; i < length; i++)
        checksum = (checksum ^ at[i]) * prime;
    return checksum;
}

static void put(unsigned char *bytes, size_t field, uint64_t value)
{
    for (size_t i = 0; i < 8; i++)
        bytes[field * 8 + i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get(const unsigned char *bytes, size_t field)
{
    uint64_t value = 0;

    for (size_t i = 0; i < 8; i++)
        value |= (uint64_t)bytes[field * 8 + i] << (8 * i);
    return value;
}

uint64_t head_checksum(const unsigned char bytes[TRACE_HEAD_BYTES], const void *packed,
                       uint64_t packed_bytes)
{
    const size_t behind = TRACE_CHECKSUM_OFFSET + 8;
    uint64_t checksum = trace_checksum(TRACE_CHECKSUM_START, bytes, TRACE_CHECKSUM_OFFSET);

    checksum = trace_checksum(checksum, bytes + behind, TRACE_HEAD_BYTES - behind);
    return trace_checksum(checksum, packed, packed_bytes);
}

void head_encode(const struct trace_head *head, const void *packed,
                 unsigned char bytes[TRACE_HEAD_BYTES])
{
    uint64_t totals[TRACE_TOTALS];
    uint64_t facts[TRACE_FACTS];

    memset(bytes, 0, TRACE_HEAD_BYTES);
    memcpy(bytes, TRACE_MAGIC, strlen(TRACE_MAGIC));
    put(bytes, FIELD_VERSION, TRACE_VERSION);
    put(bytes, FIELD_PACKED, head->packed_bytes);
    put(bytes, FIELD_CONTENT, head->content_bytes);
    memcpy(totals, &head->totals, sizeof totals);
    for (size_t i = 0; i < TRACE_TOTALS; i++)
        put(bytes, FIELD_TOTALS + i, totals[i]);
    memcpy(facts, &head->facts, sizeof facts);
    for (size_t i = 0; i < TRACE_FACTS; i++)
        put(bytes, FIELD_FACTS + i, facts[i]);
    memcpy(bytes + TRACE_NAME_OFFSET, head->program, TRACE_NAME_BYTES);
    put(bytes, FIELD_CHECKSUM, head_checksum(bytes, packed, head->packed_bytes));
}

enum head_verdict head_decode(struct trace_head *head, uint64_t *checksum,
                              const unsigned char bytes[TRACE_HEAD_BYTES])
{
    uint64_t totals[TRACE_TOTALS];
    uint64_t facts[TRACE_FACTS];

    if (memcmp(bytes, TRACE_MAGIC, strlen(TRACE_MAGIC)) != 0)
        return HEAD_NO_TRACE;
    if (get(bytes, FIELD_VERSION) != TRACE_VERSION)
        return HEAD_OTHER_VERSION;
    *checksum = get(bytes, FIELD_CHECKSUM);
    head->packed_bytes = get(bytes, FIELD_PACKED);
    head->content_bytes = get(bytes, FIELD_CONTENT);
    for (size_t i = 0; i < TRACE_TOTALS; i++)
        totals[i] = get(bytes, FIELD_TOTALS + i);
    memcpy(&head->totals, totals, sizeof totals);
    for (size_t i = 0; i < TRACE_FACTS; i++)
        facts[i] = get(bytes, FIELD_FACTS + i);
    memcpy(&head->facts, facts, sizeof facts);
    memcpy(head->program, bytes + TRACE_NAME_OFFSET, TRACE_NAME_BYTES);
    head->program[TRACE_NAME_BYTES - 1] = '\0';
    return HEAD_FINE;
}
