/*
 * A program whose allocations are known to the byte: trace.bats says what they add up to. It uses
 * nothing of the C library that allocates by itself.
 */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

enum { SMALL = 100, CELLS = 50 };

static void *cells[CELLS];

/* Beyond all memory; the compiler need not know. */
static volatile size_t too_much = SIZE_MAX / 2 + 1;

int main(void)
{
    void *aligned = NULL;

    for (int i = 0; i < CELLS; i++)
        cells[i] = malloc(SMALL); /* 5,000 bytes live */
    for (int i = 0; i < CELLS; i += 2)
        free(cells[i]);                    /* 2,500 */
    unsigned char *grown = calloc(30, 10); /* 2,800 */
    for (size_t size = 600; size <= 4800; size *= 2)
        grown = realloc(grown, size);             /* 3,100, 3,700, 4,900, 7,300 */
    grown = reallocarray(grown, 10, 200);         /* 4,500 */
    if (posix_memalign(&aligned, 256, 1000) != 0) /* 5,500 */
        return 1;
    void *as_well = aligned_alloc(64, 4000); /* 9,500: the peak */
    free(as_well);                           /* 5,500 */
    free(NULL);
    if (malloc(too_much) != NULL || realloc(grown, too_much) != NULL)
        return 1;
    if (realloc(aligned, 0) != NULL) /* 4,500 */
        return 1;
    void *none = malloc(0);
    free(none);
    /* What is left: 25 cells of 100 bytes, and one of 2,000. */
    _exit(grown != NULL ? 0 : 1);
}
