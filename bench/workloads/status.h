/*
 * How a run of duet-workloads ends. Who runs it tells by this what an allocator did: whether it
 * gave wrong memory, had none left, or did its work.
 */
#ifndef DUET_WORKLOADS_STATUS_H
#define DUET_WORKLOADS_STATUS_H

enum workload_status {
    WORKLOAD_FINE = 0,
    WORKLOAD_FAILED = 1,    /* anything else: no thread, no table, an output that is full */
    WORKLOAD_USAGE = 2,     /* wrong words */
    WORKLOAD_CORRUPT = 3,   /* a cell is misaligned, not zero, or not as written: see cell.h */
    WORKLOAD_NO_MEMORY = 4, /* an allocation was refused */
};

#endif
