#include "engine/duet/engine.h"

void *engine_alloc_slow(size_t length, size_t align, size_t *class, bool *zeroed)
{
    size_t kind = duet_kind_for_aligned(length, align);
    void *cell = cells_take(length, align, &kind, zeroed);
    *class = kind - 1;
    return cell;
}

size_t engine_free_slow(void *ptr, const char *call)
{
    size_t class = engine_class_of(ptr, call);
    if (class < ENGINE_CLASSES)
        cells_give(ptr, class + 1);
    return class;
}
