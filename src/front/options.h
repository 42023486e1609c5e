/*
 * Options: "key=value,key=value", from the program's own duet_default_options and then from the
 * environment variable DUET_OPTIONS, which the kernel's AT_SECURE (setuid programs) switches off.
 *
 * What cannot be understood is one warning on stderr each, never a refusal to start.
 */
#ifndef DUET_FRONT_OPTIONS_H
#define DUET_FRONT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/contract.h"

struct options {
    enum engine_slots_of slots_of; /* slots_of=cpus, slots_of=threads: whose duet's slots are */
    uint32_t slots;                /* slots=N: number of slots; 0: one per CPU */
    bool purge;        /* purge=1: engine ng returns whole pages inside a cell as it is freed */
    bool thp;          /* thp=1: the kernel may use huge pages */
    bool purge_thread; /* purge_thread=1: a thread lets idle memory go, though nobody calls */
    size_t limit;      /* limit=N[K|M|G]: idle memory goes before more than this is mapped */
    bool stats;        /* stats=1: the heap's figures on stderr at exit */
    bool verbose;      /* verbose=1: say on stderr at start which engine runs */
};

void options_read(struct options *options);

#endif
