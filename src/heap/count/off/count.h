/*
 * Counting, in the plain flavour: there is none.
 */
#ifndef DUET_HEAP_COUNT_H
#define DUET_HEAP_COUNT_H

#include <stdbool.h>
#include <stddef.h>

static inline void *count_alloc(size_t class, void *cell)
{
    (void)class;
    return cell;
}

static inline void count_free(size_t class)
{
    (void)class;
}

static inline void count_bind(void)
{
}

static inline void count_large_alloc(size_t bytes)
{
    (void)bytes;
}

static inline void count_large_free(size_t bytes)
{
    (void)bytes;
}

static inline void count_realloc(bool moved)
{
    (void)moved;
}

static inline void count_renewed(void)
{
}

static inline void count_failure(void)
{
}

static inline void count_held(void)
{
}

static inline void count_start(const char *program)
{
    (void)program;
}

static inline void count_end(void)
{
}

static inline void count_fork_prepare(void)
{
}

static inline void count_fork_child(void)
{
}

#endif
