/*
 * Curves: what a malloc and its free cost over the size of the cell, or over how many are live at
 * once. A workload has one figure; a curve has one for each of its points, and shows where cost
 * jumps: at the border of two classes, or where a cache of the allocator's is full.
 */
#ifndef DUET_WORKLOADS_CURVES_H
#define DUET_WORKLOADS_CURVES_H

/* A line to a curve, with tabs between: its name; 'cells' or 'bytes', for what it goes over; the
 * point that others are held against, or 0; and what it is. */
void curves_list(void);

/* Measures the curve of that name, for so many percent of the time, and prints "point X NS" for
 * each of its points, from the least to the greatest. */
void curve_run(const char *name, unsigned percent);

#endif
