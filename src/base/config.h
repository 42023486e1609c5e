/*
 * Every number that shapes the allocator below its engines, each with its reason. The build
 * sets DUET_CHECKED, DUET_TINY, DUET_RWLOCK, DUET_LONG_PAGE_BYTES and, for one engine, DUET_SECURE;
 * code tests the constants made from them with a plain `if`, so that both sides are always
 * compiled; but what only the secure flavour has in its caches stands between `#if` and `#endif`.
 */
#ifndef DUET_BASE_CONFIG_H
#define DUET_BASE_CONFIG_H

#include <assert.h> /* static_assert */
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef DUET_CHECKED
#define DUET_CHECKED 0 /* verify every invariant after every operation */
#endif
#ifndef DUET_TINY
#define DUET_TINY 0 /* limits so low that their edges are met within seconds */
#endif

/* The secure flavour of the engine duet. Nothing below the engines looks at it. */
#ifndef DUET_SECURE
#define DUET_SECURE 0
#endif

/* Whether threads may share a slot while they only read its payload's structure (a read-write
 * lock), instead of each having it alone (a mutex). For engines that can make use of it: ng. */
#ifndef DUET_RWLOCK
#define DUET_RWLOCK 0
#endif

/* Pages that are longer than the kernel's, a power of two: so the tests run as on a machine that
 * has them. 0: pages are the kernel's. */
#ifndef DUET_LONG_PAGE_BYTES
#define DUET_LONG_PAGE_BYTES 0
#endif

/* A cache line, twice: x86 prefetches lines in pairs, so state of two CPUs that lies in one
 * pair still meets. Most aarch64 cores have lines of 64 bytes, some of 128. */
#define CACHE_LINE_PAIR 128

/* The unit in which address space is cut and looked up. 64 KiB is large enough that its class byte
 * and meta index cost less than 0.01 % of it. An engine may be compiled with smaller ones: duet has
 * 16 KiB, since what is free in a group serves no other class. Pages may be larger than a block. */
#ifndef DUET_BLOCK_SHIFT
#define DUET_BLOCK_SHIFT 16
#endif
#define BLOCK_SHIFT (DUET_TINY ? 12 : DUET_BLOCK_SHIFT)
#define BLOCK_BYTES ((size_t)1 << BLOCK_SHIFT)

/* User addresses on x86-64 (4-level) and aarch64 (48-bit). Linux hands out higher ones only to
 * those who ask by hint, and nobody here does. */
#define ADDRESS_BITS 48

/* The address table: a root in the library's BSS, leaves mapped when first needed. A leaf has 2^20
 * entries, so it covers 64 GiB of blocks of 64 KiB, and nearly every process has one; the root has
 * 32 KiB then. */
#define TABLE_ROOT_BITS (DUET_TINY ? 16 : 28 - BLOCK_SHIFT)
#define TABLE_LEAF_BITS (ADDRESS_BITS - BLOCK_SHIFT - TABLE_ROOT_BITS)

/* Segments grow by doubling: a small program holds little, a large one makes few mappings. The
 * last size is small enough that one more never hurts a limited address space much, and large
 * enough that max_map_count (65,530) is met at a TiB. */
#define SEGMENT_FIRST_BLOCKS (DUET_TINY ? 2 : 16)
#define SEGMENT_LAST_BLOCKS (DUET_TINY ? 4 : 1 << (24 - BLOCK_SHIFT))

/* The shortest page of any Linux, and the largest of any that we serve (aarch64, ppc64). */
#define PAGE_LEAST_BYTES ((size_t)4096)
#define PAGE_MOST_BYTES ((size_t)1 << 16)

/* Metas are opened a step at a time inside reserved areas that double in size. A step is as
 * large as the largest page. */
#define META_STEP_SHIFT 16
#define META_STEP_BYTES ((size_t)1 << META_STEP_SHIFT)

#endif
