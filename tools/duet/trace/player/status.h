/*
 * How a run of duet-player ends: as those of duet-workloads do (bench/workloads/status.h).
 */
#ifndef DUET_PLAYER_STATUS_H
#define DUET_PLAYER_STATUS_H

/* As often as a trace may be played in one run. */
#define PLAYER_REPEATS_MOST 1000000

enum player_status {
    PLAYER_FINE = 0,
    PLAYER_FAILED = 1,    /* anything else: no thread, no table, an output that is full */
    PLAYER_USAGE = 2,     /* wrong words */
    PLAYER_CORRUPT = 3,   /* a cell is misaligned, not zero, or not as written: see cell.h */
    PLAYER_NO_MEMORY = 4, /* an allocation was refused */
};

#endif
