/* Numbers are made so that those at which something changes in an allocator are near. */
#include "input.h"

/* Where the engines and their classes have edges: the longest cells, the shortest extents and
 * mappings of their own. */
static const size_t edges[] = {
    32768, 65536, 131052, (size_t)1 << 20, (size_t)2 << 20, (size_t)64 << 20, 4096, 16384,
};

static size_t take_size_near_edge(unsigned low, unsigned number)
{
    size_t edge = edges[number % (sizeof edges / sizeof edges[0])];
    return edge + low - 8;
}

static size_t impossible_size(unsigned low, unsigned number)
{
    switch (number % 4) {
    case 0:
        return SIZE_MAX - low;
    case 1:
        return (size_t)PTRDIFF_MAX + 1 + low;
    case 2:
        return (size_t)PTRDIFF_MAX - low;
    default:
        return BEYOND_ALL + low * 4096;
    }
}

/* Every scale is a few bits away. */
size_t take_size(struct input *input)
{
    unsigned high = take_byte(input);
    unsigned number = take_byte(input);
    unsigned low = high & 15;
    size_t both = (size_t)low << 8 | number;
    switch (high >> 4) {
    case 0 ... 4:
        return both % 1024;
    case 5 ... 7:
        return both;
    case 8 ... 9:
        return both * 16;
    case 10:
        return both * 64;
    case 11: /* near a power of two up to 2^24 */
        return ((size_t)1 << number % 25) + low - 8;
    case 12: /* where classes end that divide a doubling by eight */
        return ((8 + (low & 7)) << number % 14) + (low >> 3);
    case 13:
        return both * 4096;
    case 14:
        return take_size_near_edge(low, number);
    default:
        return impossible_size(low, number);
    }
}

size_t take_align(struct input *input)
{
    static const size_t others[] = {
        0, 3, 24, BEYOND_ALL, (size_t)1 << 62, (size_t)1 << 63, SIZE_MAX,
    };
    unsigned number = take_byte(input) & 31;
    return number < 25 ? (size_t)1 << number : others[number - 25];
}

size_t take_count(struct input *input)
{
    unsigned number = take_byte(input);
    return number < 250 ? number % 32 : SIZE_MAX / (256 - number);
}
