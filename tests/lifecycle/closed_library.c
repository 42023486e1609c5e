/*
 * A library that around_main opens and closes: what it has allocated outlives it.
 */
#include "names.h"

unsigned char *make_block(size_t size);

unsigned char *make_block(size_t size)
{
    unsigned char *block = malloc(size);
    if (block != NULL)
        memset(block, 'l', size);
    return block;
}
