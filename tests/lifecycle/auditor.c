/*
 * A library for LD_AUDIT: the loader tells it of all that it does, and maps it and another C
 * library before the program's own, with room for thread-local variables of its own.
 */
#include <link.h>
#include <stdlib.h>

static void *taken;

unsigned int la_version(unsigned int version);
unsigned int la_objopen(struct link_map *map, Lmid_t namespace, uintptr_t *cookie);

unsigned int la_version(unsigned int version)
{
    taken = malloc(100);
    return version;
}

unsigned int la_objopen(struct link_map *map, Lmid_t namespace, uintptr_t *cookie)
{
    (void)map, (void)namespace, (void)cookie;
    free(taken);
    taken = malloc(200);
    return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
