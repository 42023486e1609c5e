/* Open addressing: a cell is in the first empty place from where its key leads. At most half of the
 * places are used, so that the way is short. */
#include "trace/live.h"

#include <stdlib.h>

#define CAPACITY_FIRST 1024

/* Keys come in steps, of addresses or of one; the high bits of a product do not. */
static size_t home_of(const struct live_table *table, uint64_t key)
{
    const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);

    return (size_t)((key * golden) >> 20) & (table->capacity - 1);
}

static size_t next_place(const struct live_table *table, size_t place)
{
    return (place + 1) & (table->capacity - 1);
}

/* The place of the key, or the empty one where it would be. */
static struct live_cell *place_of(const struct live_table *table, uint64_t key)
{
    size_t place = home_of(table, key);

    while (table->places[place].key != 0 && table->places[place].key != key)
        place = next_place(table, place);
    return &table->places[place];
}

struct live_cell *live_find(const struct live_table *table, uint64_t key)
{
    if (table->capacity == 0)
        return NULL;
    struct live_cell *cell = place_of(table, key);
    return cell->key == key ? cell : NULL;
}

static int grow(struct live_table *table)
{
    struct live_table larger = {
        .capacity = table->capacity != 0 ? table->capacity * 2 : CAPACITY_FIRST,
        .count = table->count,
    };

    larger.places = calloc(larger.capacity, sizeof *larger.places);
    if (larger.places == NULL)
        return 0;
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->places[i].key != 0)
            *place_of(&larger, table->places[i].key) = table->places[i];
    }
    free(table->places);
    *table = larger;
    return 1;
}

struct live_cell *live_add(struct live_table *table, uint64_t key)
{
    if (table->count >= table->capacity / 2 && !grow(table))
        return NULL;
    struct live_cell *cell = place_of(table, key);
    *cell = (struct live_cell){.key = key};
    table->count++;
    return cell;
}

/* Whoever comes later and would be found only by way of the empty place moves up into it. */
void live_remove(struct live_table *table, struct live_cell *cell)
{
    size_t mask = table->capacity - 1;
    size_t hole = (size_t)(cell - table->places);

    for (size_t place = next_place(table, hole); table->places[place].key != 0;
         place = next_place(table, place)) {
        size_t home = home_of(table, table->places[place].key);
        if (((place - home) & mask) >= ((place - hole) & mask)) {
            table->places[hole] = table->places[place];
            hole = place;
        }
    }
    table->places[hole].key = 0;
    table->count--;
}

void live_free(struct live_table *table)
{
    free(table->places);
    *table = (struct live_table){0};
}
