/* The metrics' names, and units that suit their figures. */
#include "measure/cost.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/format.h"

const struct metric_facts metrics[METRIC_COUNT] = {
    [METRIC_WALL] = {"wall_s", "wall", "faster", "slower", "as fast", "as slow"},
    [METRIC_USER] = {"user_s", "user", "less user time", "more user time", "as much user time",
                     "as much user time"},
    [METRIC_SYSTEM] = {"sys_s", "system", "less system time", "more system time",
                       "as much system time", "as much system time"},
    [METRIC_PEAK_RSS] = {"peak_rss_kib", "peak RSS", "smaller", "larger", "as large", "as large"},
    [METRIC_FAULTS] = {"faults", "faults", "fewer page faults", "more page faults",
                       "as many page faults", "as many page faults"},
    [METRIC_SWITCHES] = {"switches", "switches", "fewer context switches", "more context switches",
                         "as many context switches", "as many context switches"},
    [METRIC_END_RSS] = {"end_rss_kib", "end RSS", "smaller", "larger", "as large", "as large"},
};

/* A unit serves figures from `size` less what would be rounded up to it. */
static const struct unit second_units[] = {{"ms", 1e-3, 3}, {"s", 1, 3}};
static const struct unit memory_units[] = {
    {"KiB", 1, 0}, {"MiB", 1024, 1}, {"GiB", 1024.0 * 1024, 2}};
static const struct unit count_units[] = {{"", 1, 0}, {"M", 1e6, 1}, {"G", 1e9, 1}};

/* Counts get their own unit only where they would be wider than a column. */
#define COUNT_UNIT_FROM 10

/* The greatest unit of which `largest` has at least `from`; the first, if none. */
static struct unit choose(const struct unit *units, unsigned count, double largest, double from)
{
    const double rounded_up = 0.9995;
    unsigned chosen = 0;

    for (unsigned i = 1; i < count; i++) {
        if (largest >= units[i].size * from * rounded_up)
            chosen = i;
    }
    return units[chosen];
}

struct unit unit_for(enum metric metric, double largest)
{
    struct unit unit;

    switch (metric) {
    case METRIC_WALL:
    case METRIC_USER:
    case METRIC_SYSTEM:
        unit = choose(second_units, sizeof second_units / sizeof *second_units, largest, 1);
        /* Four digits: what is behind them is noise in any run. */
        for (double top = 9.9995; unit.decimals > 0 && largest / unit.size >= top; top *= 10)
            unit.decimals--;
        return unit;
    case METRIC_PEAK_RSS:
    case METRIC_END_RSS:
        return choose(memory_units, sizeof memory_units / sizeof *memory_units, largest, 1);
    default:
        return choose(count_units, sizeof count_units / sizeof *count_units, largest,
                      COUNT_UNIT_FROM);
    }
}

char *format_in_unit(char buffer[COST_CHARS], const struct unit *unit, double value)
{
    if (unit->decimals == 0)
        return format_count(buffer, (uint64_t)llround(fmax(value, 0) / unit->size));
    snprintf(buffer, COST_CHARS, "%.*f", unit->decimals, value / unit->size);
    return buffer;
}

char *format_with_unit(char buffer[COST_CHARS], const struct unit *unit, double value)
{
    size_t used = strlen(format_in_unit(buffer, unit, value));

    if (unit->name[0] != '\0')
        snprintf(buffer + used, COST_CHARS - used, " %s", unit->name);
    return buffer;
}

char *format_cost(char buffer[COST_CHARS], enum metric metric, double value)
{
    struct unit unit = unit_for(metric, value);

    return format_with_unit(buffer, &unit, value);
}
