/*
 * Memory in an IFUNC resolver, which runs while the program is still being relocated: the
 * allocator's constructors have not run, and thread-local variables have not got their initial
 * values yet; they all read as zero, and whatever is written to them is overwritten afterwards.
 */
#include "check.h"
#include "memory.h"
#include "names.h"

enum { BLOCKS = 100, BYTES = 3000 };

static unsigned char *blocks[BLOCKS];
static unsigned char *large;

static int answer(void)
{
    return 42;
}

/* Plain code: what the compiler would add to it is not ready yet. */
__attribute__((no_stack_protector, used)) static int (*resolve_answer(void))(void)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BYTES);
        for (size_t k = 0; blocks[i] != NULL && k < BYTES; k++)
            ((volatile unsigned char *)blocks[i])[k] = (unsigned char)i;
        if (i % 4 == 3) {
            free(blocks[i]);
            blocks[i] = malloc(BYTES);
        }
    }
    large = malloc((size_t)1 << 20);
    if (large != NULL)
        ((volatile unsigned char *)large)[0] = 1;
    return answer;
}

int resolved_answer(void) __attribute__((ifunc("resolve_answer")));

int main(void)
{
    require_duet();
    CHECK(resolved_answer() == 42);
    CHECK(large != NULL && large[0] == 1);
    for (size_t i = 0; i < BLOCKS; i++) {
        CHECK(blocks[i] != NULL);
        CHECK(i % 4 == 3 || is_filled(blocks[i], (unsigned char)i, BYTES));
        blocks[i] = realloc(blocks[i], 2 * BYTES);
        CHECK(blocks[i] != NULL);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    free(large);
    return 0;
}
