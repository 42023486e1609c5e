#include "engine/ng/plan.h"

#include "base/bits.h"

const uint16_t ng_class_units[NG_CLASSES] = {
    1,    2,    3,    4,    5,    6,    7,    8,    /* */
    9,    10,   12,   15,   18,   20,   25,   31,   /* */
    36,   42,   50,   63,   72,   84,   102,  127,  /* */
    146,  170,  204,  255,  292,  340,  409,  511,  /* */
    584,  682,  818,  1023, 1169, 1364, 1637, 2047, /* */
    2340, 2730, 3276, 4095, 4680, 5460, 6552, 8191,
};

/* Of the classes 0 to 8: three counts to choose from. */
#define SMALL_CLASSES 9
static const uint8_t small_counts[SMALL_CLASSES][3] = {
    {30, 30, 30}, {31, 15, 15}, {20, 10, 10}, {31, 15, 7}, {25, 12, 6},
    {21, 10, 5},  {18, 8, 4},   {31, 15, 7},  {28, 14, 6},
};

/* Of the others, by class modulo 4: as many cells as fill a power of two. They can be halved, until
 * they are odd. */
static const uint8_t medium_counts[4] = {28, 24, 20, 32};

/* A cell's distance from the first is stored as 16 bits, in units. */
#define GROUP_BYTES_LIMIT ((size_t)65536 * NG_UNIT)

/* A new group may raise a class's usage by a quarter. */
static bool fits_usage(unsigned count, size_t usage)
{
    return 4 * count <= usage;
}

unsigned ng_plan_count(size_t class, size_t usage)
{
    if (class < SMALL_CLASSES) {
        const uint8_t *counts = small_counts[class];
        return fits_usage(counts[0], usage)   ? counts[0]
               : fits_usage(counts[1], usage) ? counts[1]
                                              : counts[2];
    }
    unsigned count = medium_counts[class % 4];
    while (count % 2 == 0 && !fits_usage(count, usage))
        count /= 2;
    while (count * ng_class_bytes(class) >= GROUP_BYTES_LIMIT)
        count /= 2;
    return count;
}

/* Counts that roughly fill whole pages, though no power of two: where the count at hand is too much
 * for the usage. */
static unsigned reduced_count(size_t class, unsigned count, size_t page_bytes)
{
    size_t bytes = count * ng_class_bytes(class);
    switch (class % 4) {
    case 0:
        return bytes > 8 * page_bytes ? 3 : bytes > 2 * page_bytes ? 5 : count;
    case 1:
        return bytes > 8 * page_bytes ? 2 : count;
    case 2:
        return bytes > 4 * page_bytes ? 3 : count;
    default:
        return count;
    }
}

/* Groups of at most so many cells may give way to a mapping of one cell, of the request's size. */
#define MOST_CELLS_TO_GIVE_WAY 7

/* Whether a mapping for the request alone saves memory, or saves activating cells without wasting
 * too much. `bytes` is what it would take. */
static bool single_is_better(const struct ng_demand *demand, unsigned count, size_t usage,
                             size_t bytes)
{
    return bytes < ng_group_bytes(demand->class, 1) ||
           (bytes >= 4 * demand->page_bytes && 2 * count > usage);
}

static unsigned first_active(size_t class, unsigned count)
{
    size_t fit = (NG_STEP_BYTES - NG_UNIT) / ng_class_bytes(class);
    return (unsigned)max_size(1, min_size(fit, count));
}

/* Classes of which the next one is coarse for them. */
#define COARSE_END 32

static struct ng_plan plan_mapped(const struct ng_demand *demand, unsigned count)
{
    size_t class = demand->class;
    size_t usage = demand->usage;
    if (class % 2 == 0 && class < COARSE_END)
        usage += demand->coarse_usage;
    if (!fits_usage(count, usage) && !demand->bouncing)
        count = reduced_count(class, count, demand->page_bytes);
    size_t mapped = round_up(ng_group_bytes(class, count), demand->page_bytes);
    if (!demand->bouncing && count <= MOST_CELLS_TO_GIVE_WAY) {
        size_t single = round_up(demand->request + NG_HEADER_BYTES + NG_UNIT, demand->page_bytes);
        if (single_is_better(demand, count, usage, single)) {
            count = 1;
            mapped = single;
        }
    }
    return (struct ng_plan){count, first_active(class, count), mapped};
}

struct ng_plan ng_plan_group(const struct ng_demand *demand)
{
    size_t class = demand->class;
    unsigned count = ng_plan_count(class, demand->usage);
    size_t half_page = demand->page_bytes / 2;
    if (count == 1 && ng_group_bytes(class, count) <= half_page)
        count = 2; /* a single cell is no group to nest */
    /* All groups take a little less than a power of two, so one that is above half a page is
     * well placed in whole pages. */
    if (ng_group_bytes(class, count) > half_page)
        return plan_mapped(demand, count);
    return (struct ng_plan){count, count, 0};
}

unsigned ng_plan_activation(size_t class, unsigned active, unsigned count)
{
    size_t cell = ng_class_bytes(class);
    unsigned more = active + 1;
    size_t end = ng_group_bytes(class, more);
    while (more < count && ((end ^ (end + cell - 1)) & ~(NG_STEP_BYTES - 1)) == 0) {
        more++;
        end += cell;
    }
    return more < count ? more : count;
}

/* So counts of 2 or 3 come first, and not 5 or 7, the least of the even classes. */
#define COARSE_FIRST 4
#define COARSE_NEVER 6
#define COARSE_MOST_USAGE 12
#define COARSE_NEW_GROUP 3

bool ng_plan_is_coarse(size_t class, size_t next_usage, bool full)
{
    return class % 2 == 0 && class >= COARSE_FIRST && class < COARSE_END && class != COARSE_NEVER &&
           next_usage + (full ? COARSE_NEW_GROUP : 0) <= COARSE_MOST_USAGE;
}
