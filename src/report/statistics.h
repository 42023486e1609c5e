/*
 * The heap's figures for people and for programs: what the heap counts anyway, so that asking
 * costs something and not asking costs nothing.
 */
#ifndef DUET_REPORT_STATISTICS_H
#define DUET_REPORT_STATISTICS_H

#include <stdbool.h>
#include <stdio.h>

/* To stderr, without the C library's streams. */
void statistics_write(void);

/* As XML, in the manner of glibc's malloc_info. False: the stream refused it. */
bool statistics_write_xml(FILE *stream);

#endif
