/*
 * What the allocator asks of the kernel, and no policy. No function here changes errno; all may
 * be called from any thread and from signal handlers.
 *
 * Lengths are whole pages unless said otherwise, addresses are page-aligned.
 */
#ifndef DUET_OS_OS_H
#define DUET_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a page: 4, 16 or 64 KiB. */
size_t os_page_bytes(void);

/* Fresh zeroed memory, readable and writable, or NULL. The address is a multiple of `align`,
 * a power of two. */
void *os_map(size_t length, size_t align);

/* As os_map, for tables of which few pages are ever touched: it promises no memory for the rest,
 * and does not count as held. What lies before and behind it is inaccessible. */
void *os_map_sparse(size_t length);

/* As os_map, but inaccessible: address space only, left out of core dumps. */
void *os_reserve(size_t length, size_t align);

/* Give back what os_map_sparse or os_reserve returned. */
void os_unmap_sparse(void *start, size_t length);
void os_unreserve(void *start, size_t length);

/* Makes reserved memory readable and writable. False: refused, nothing changed. */
bool os_open(void *start, size_t length);

/* Returns memory and its addresses. False when the kernel cannot split its mapping any more
 * (max_map_count): then nothing has changed. */
bool os_unmap(void *start, size_t length);

/* As os_unmap, for what nobody has touched and nobody will ask for again: if the kernel refuses, it
 * is asked once more by each os_map and os_reserve, and what so stays does not count as held. So
 * with os_unmap_sparse and os_unreserve. Of 16 at once; what is more stays, and counts. */
void os_discard(void *start, size_t length);

/* Returns memory and keeps its addresses, which read as zero afterwards. False: refused (locked
 * pages), and the content is as it was. */
bool os_purge(void *start, size_t length);

/* Puts zeroed pages where there are none yet, by one call and not by a fault for each. Does nothing
 * where the kernel has no such thing (before Linux 5.14), or no memory. */
void os_populate(void *start, size_t length);

/* Notes for each page in the lowest bit of a byte whether there is one: what has none was not
 * touched since it was mapped or purged, and reads as zero; unless it lies in swap space. False:
 * the kernel does not tell. */
bool os_look_for_pages(const void *start, size_t length, unsigned char *pages);

/* Whether the kernel marks memory as inaccessible without splitting its mapping (Linux 6.13). */
bool os_has_guards(void);

/* The first makes memory inaccessible by such marks, its content is gone; the second makes it
 * accessible again, and leaves alone what is: it reads as zero where it was marked. False: refused
 * (locked pages), perhaps for a part of it alone. */
bool os_guard(void *start, size_t length);
bool os_unguard(void *start, size_t length);

/* The same by splitting the mapping; the content stays. False: refused (max_map_count). */
bool os_protect(void *start, size_t length);
bool os_unprotect(void *start, size_t length);

/* Changes a mapping's length where it is; the new end is zeroed. False: refused, unchanged. */
bool os_resize(void *start, size_t length, size_t new_length);

/* Moves a mapping's pages, without a copy, over the start of what os_reserve has reserved, and
 * there makes it `new_length` long, which must be the reserved length and no less than the old
 * one. False: refused; the mapping is as it was, and the reservation is gone, or address space
 * that nobody uses any more. */
bool os_move(void *start, size_t length, void *reserved, size_t new_length);

/* Whether mappings made from now on are to have huge pages, if the system has them for who asks. At
 * first they are to have none: see design.md's rule 14. */
void os_want_huge_pages(bool want);

/* Makes all threads of the process pass a full memory barrier, wherever they are, before it
 * returns. False: the kernel has no such thing, or refuses it. */
bool os_barrier(void);

/* The second makes all threads of the process that are in a restartable sequence (os/rseq.h) begin
 * it anew, before it returns; the first says whether it can, and costs less while there is one
 * thread. False: the kernel has no such thing, or refuses it. */
bool os_allow_restarts(void);
bool os_restart_sequences(void);

/* CPUs that this thread may run on, at least 1. */
unsigned os_cpu_count(void);

/* All numbers of CPUs are below this, now and later. 0: the kernel does not tell. */
unsigned os_cpu_numbers(void);

/* Maps a part of a file, shared with whoever else maps it. NULL: it cannot be had. */
void *os_map_file(const char *path, size_t offset, size_t length);

void os_unmap_file(void *start, size_t length);

/* The most memory that the process has had resident (VmHWM), 0 where /proc does not tell. Opens
 * a file. */
size_t os_peak_rss_kib(void);

uint64_t os_clock_ns(void); /* CLOCK_MONOTONIC */

void os_sleep_ns(uint64_t ns);

/* Waits a little for another thread to get on: the longer, the higher `round`, which counts from
 * 0. It ends in a sleep, so that a thread of high priority lets one of low priority run. */
void os_back_off(unsigned round);

/* Bytes mapped through this file and not yet unmapped or discarded, and the most that has been.
 * Reserved memory counts once it is opened. */
size_t os_held_bytes(void);
size_t os_held_peak_bytes(void);

#endif
