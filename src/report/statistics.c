#include "report/statistics.h"

#include "base/fatal.h"
#include "heap/heap.h"

static void add_line(struct message *message, const char *name, size_t number)
{
    message_add(message, "  ");
    message_add(message, name);
    message_add(message, ": ");
    message_add_number(message, number);
    message_add(message, "\n");
}

void statistics_write(void)
{
    struct heap_count count;
    heap_count(&count);
    struct message message = {.length = 0};
    message_add(&message, "duet: the heap, engine ");
    message_add(&message, heap_engine());
    message_add(&message, "\n");
    add_line(&message, "bytes mapped for the heap", count.held_bytes);
    add_line(&message, "bytes mapped at most", count.held_peak_bytes);
    add_line(&message, "cells handed out", count.cells);
    add_line(&message, "bytes in them", count.cell_bytes);
    add_line(&message, "bytes in free cells", count.free_bytes);
    add_line(&message, "large blocks", count.large_blocks);
    add_line(&message, "bytes in them", count.large_bytes);
    add_line(&message, "slots in use", count.slots);
    message_write(&message);
}

bool statistics_write_xml(FILE *stream)
{
    struct heap_count count;
    heap_count(&count);
    return fprintf(stream,
                   "<malloc version=\"duet-" DUET_VERSION "\" engine=\"%s\">\n"
                   "<system type=\"current\" size=\"%zu\"/>\n"
                   "<system type=\"max\" size=\"%zu\"/>\n"
                   "<total type=\"cells\" count=\"%zu\" size=\"%zu\"/>\n"
                   "<total type=\"rest\" size=\"%zu\"/>\n"
                   "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
                   "</malloc>\n",
                   heap_engine(), count.held_bytes, count.held_peak_bytes, count.cells,
                   count.cell_bytes, count.free_bytes, count.large_blocks, count.large_bytes) >= 0;
}
