/*
 * Size classes of ng: 48, in units of 16 bytes, from 1 unit to 8,191.
 *
 * From class 8 on, four classes a doubling. They are chosen so that 28, 24, 20 and 32 cells of four
 * neighbours, in turn, fill almost a power of two, and with them the counts' halves. (mallocng's
 * numbers.) A cell's last 4 bytes are the header of the cell behind it, so a class of u units
 * serves up to 16 u - 4 bytes.
 */
#ifndef DUET_ENGINE_NG_CLASSES_H
#define DUET_ENGINE_NG_CLASSES_H

#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/config.h"

#define NG_UNIT 16
#define NG_HEADER_BYTES 4

#define NG_CLASSES 48

/* The class of a block with a mapping of its own, which has no cells. */
#define NG_CLASS_LARGE 63

/* From here on a request is large: the last class serves no more than one byte less. */
#define NG_LARGE_BYTES 131052

extern const uint16_t ng_class_units[NG_CLASSES];

ALWAYS_INLINE size_t ng_class_bytes(size_t class)
{
    return (size_t)ng_class_units[class] * NG_UNIT;
}

/* Up to this many units, each number is a class of its own. */
#define NG_LINEAR_UNITS 10

/* The least class that holds `bytes` < NG_LARGE_BYTES with a header. */
ALWAYS_INLINE size_t ng_class_for(size_t bytes)
{
    size_t units_less_one = (bytes + NG_HEADER_BYTES - 1) / NG_UNIT;
    if (units_less_one < NG_LINEAR_UNITS)
        return units_less_one;
    size_t units = units_less_one + 1;
    size_t class = (highest_bit(units) - 3) * 4 + 8; /* the first of four */
    if (units > ng_class_units[class + 1])
        class += 2;
    if (units > ng_class_units[class])
        class++;
    return class;
}

static_assert(NG_LARGE_BYTES == 8191 * NG_UNIT - NG_HEADER_BYTES, "all below have a class");

#endif
