/*
 * The C library's names for what malloc.c defines. Left out where a sanitizer owns malloc.
 */
#if DUET_STANDARD_NAMES

/* gcc wants an alias to carry its target's attributes; clang does not know how to copy them. */
#if __has_attribute(copy)
#define STANDARD_NAME(duet_name)                                                                   \
    __attribute__((visibility("default"), alias(#duet_name), copy(duet_name)))
#else
#define STANDARD_NAME(duet_name) __attribute__((visibility("default"), alias(#duet_name)))
#endif

STANDARD_NAME(duet_malloc) void *malloc(size_t size);
STANDARD_NAME(duet_calloc) void *calloc(size_t count, size_t size);
STANDARD_NAME(duet_realloc) void *realloc(void *ptr, size_t size);
STANDARD_NAME(duet_reallocarray) void *reallocarray(void *ptr, size_t count, size_t size);
STANDARD_NAME(duet_mfree) void free(void *ptr);
STANDARD_NAME(duet_free_sized) void free_sized(void *ptr, size_t size);
STANDARD_NAME(duet_free_aligned_sized)
void free_aligned_sized(void *ptr, size_t align, size_t size);
STANDARD_NAME(duet_aligned_alloc) void *aligned_alloc(size_t align, size_t size);
STANDARD_NAME(duet_memalign) void *memalign(size_t align, size_t size);
STANDARD_NAME(duet_posix_memalign) int posix_memalign(void **out, size_t align, size_t size);
STANDARD_NAME(duet_valloc) void *valloc(size_t size);
STANDARD_NAME(duet_pvalloc) void *pvalloc(size_t size);
STANDARD_NAME(duet_usable_size) size_t malloc_usable_size(void *ptr);

#endif
