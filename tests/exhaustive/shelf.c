/*
 * Shelves: magazines with cells on a shelf of their class, and empty ones on that of their size
 * (engine/duet/magazine.c). Threads take from the one and put on the other, and a magazine that has
 * gone and come back must not be taken for the same. Whoever takes one finds what was put there,
 * and in the end each is on one shelf, once.
 */
#include "scenarios.h"

#include "engine/duet/magazine.h"

#define KIND 1
#define MAGAZINES 3

/* The number of a magazine is its first cell, or what stands for one. */
static void *cells[MAGAZINES][2];
static struct magazine *made[MAGAZINES];

static struct magazine *make(size_t number)
{
    struct magazine *magazine = magazine_take(0, 0, KIND);
    MUST(magazine != NULL);
    made[number] = magazine;
    magazine->cells[0] = &cells[number][0];
    magazine->cells[1] = &cells[number][1];
    return magazine;
}

static size_t number_of(const struct magazine *magazine)
{
    for (size_t number = 0; number < MAGAZINES; number++)
        if (made[number] == magazine)
            return number;
    MUST(false);
    return 0;
}

static void verify_content(const struct magazine *magazine)
{
    size_t number = number_of(magazine);
    MUST(magazine->count == 2);
    MUST(magazine->cells[0] == &cells[number][0]);
    MUST(magazine->cells[1] == &cells[number][1]);
}

/* Only this thread has it now: it writes to it. */
static void use(struct magazine *magazine)
{
    void *first = magazine->cells[0];
    magazine->cells[0] = NULL;
    magazine->cells[0] = first;
}

static bool put(struct magazine *magazine)
{
    return transfer_put(0, KIND, magazine, 2);
}

static void put_all(void)
{
    struct magazine *magazines[MAGAZINES];
    for (size_t i = 0; i < MAGAZINES; i++)
        magazines[i] = make(i);
    for (size_t i = 0; i < MAGAZINES; i++)
        MUST(put(magazines[i]));
}

/* One takes two, and puts the first back, the top one as before: but with another below. */
static void take_and_put(unsigned number)
{
    struct magazine *first = transfer_take(0, KIND), *second = NULL;
    if (first == NULL)
        return;
    verify_content(first);
    use(first);
    if (number == 0) {
        second = transfer_take(0, KIND);
        if (second != NULL) {
            verify_content(second);
            use(second);
        }
    }
    MUST(put(first));
    if (second != NULL)
        MUST(put(second));
}

static void verify_shelf(void)
{
    unsigned found = 0;
    MUST(transfer_count().cells == (size_t)2 * MAGAZINES);
    for (struct magazine *magazine; (magazine = transfer_take(0, KIND)) != NULL;) {
        verify_content(magazine);
        MUST((found >> number_of(magazine) & 1) == 0);
        found |= 1u << number_of(magazine);
    }
    MUST(found == (1u << MAGAZINES) - 1);
    MUST(transfer_count().cells == 0 && transfer_count().bytes == 0);
}

const struct scenario scenario_shelf = {
    .name = "shelf",
    .threads = 2,
    .bounds = {3, 1},
    .wider = {4, 2},
    .set_up = put_all,
    .thread = take_and_put,
    .verify = verify_shelf,
};

/* Each takes one and puts it back. */
static void take_and_put_one(unsigned number)
{
    (void)number;
    take_and_put(1);
}

const struct scenario scenario_shelf_3 = {
    .name = "shelf-3",
    .threads = 3,
    .bounds = {2, 1},
    .wider = {3, 1},
    .set_up = put_all,
    .thread = take_and_put_one,
    .verify = verify_shelf,
};
