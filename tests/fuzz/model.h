/*
 * The shadow model: what each live block is, by what its owner asked for and was given. It lies in
 * memory of its own and asks the allocator nothing but duet_usable_size.
 *
 * Each block is filled with content of its own, and looked at: all of it where it is freed or
 * changes its length, its ends now and then. No two blocks may have a byte in common. Of a long
 * block only the ends and some places between are filled and looked at, so that an input can have
 * many.
 *
 * Only the thread whose turn it is comes here (baton.h).
 */
#ifndef TESTS_FUZZ_MODEL_H
#define TESTS_FUZZ_MODEL_H

#include <stdbool.h>
#include <stddef.h>

enum family {
    FAMILY_C,       /* malloc and its relatives */
    FAMILY_LENGTHS, /* duet_alloc: the owner has to remember length and alignment */
    FAMILIES
};

#define BLOCKS_MOST 640
#define MODEL_BYTES_MOST ((size_t)256 << 20) /* of all live blocks together */

struct block {
    unsigned char *start;
    size_t length; /* as asked for */
    size_t extent; /* bytes that are the owner's */
    size_t align;  /* as asked for, and 16 where nothing was said */
    enum family family;
    unsigned seed;    /* of its content */
    unsigned listed;  /* its place among those of its family */
    unsigned changes; /* how often it was resized; for messages */
};

/* What the operation is called, and its number in the input; for messages. */
extern const char *model_call;
extern unsigned model_operation;

/* Forgets all blocks. */
void model_begin(void);

size_t model_count(void);
size_t model_bytes(void);

/* A live block of the family, the same for the same number and the same operations before. NULL:
 * there is none. */
struct block *model_pick(enum family family, unsigned number);

/* A new block. `zeroed`: it was promised to be zero. */
void model_add(void *start, size_t length, size_t align, enum family family, bool zeroed);

/* The whole block is as it was left. */
void model_verify(const struct block *block);

/* The block may now be freed: it is verified, and forgotten. */
void model_remove(struct block *block);

/* The block now has this length, and perhaps another place, to which its content has come along. */
void model_change(struct block *block, void *start, size_t length, size_t align);

/* Its owner writes something else into it. */
void model_rewrite(struct block *block);

/* The ends of some blocks are as they were left; with `all`, of all. */
void model_verify_ends(bool all);

/* All blocks are as they were left. */
void model_verify_all(void);

#endif
