/*
 * What can be said of a few noisy figures. Only ranks are used, since times of runs have long tails
 * and no known distribution: medians, and intervals between two of the sorted figures.
 */
#ifndef DUET_TOOL_STATISTICS_H
#define DUET_TOOL_STATISTICS_H

struct estimate {
    unsigned count; /* of the figures that it comes from; 0: there were none */
    double median;
    double low; /* the interval that holds the true median ... */
    double high;
    double confidence; /* ... with this probability: 0.99 where there are eight figures or more,
                          and what the least and greatest give where there are fewer */
};

/* Of `count` figures, in any order; they stay as they are. */
struct estimate estimate_median(const double *figures, unsigned count);

/* What an estimate of a ratio says of 1. */
enum verdict { VERDICT_LESS, VERDICT_SAME, VERDICT_MORE };

/* Differences below this are never called one: two runs of the same library differ by as much
 * through where the loader puts them. */
#define LEAST_DIFFERENCE 0.01

/* The confidence that an interval must have for a difference to be called one: five figures, all on
 * one side, give that. */
#define NEEDED_CONFIDENCE 0.9

/* LESS or MORE only where the whole interval lies on that side of 1, and the median is off by more
 * than LEAST_DIFFERENCE. */
enum verdict verdict_on(const struct estimate *ratio);

/* By how much the ratio would have to differ from 1 to be told from it: half the interval's width
 * over the median, LEAST_DIFFERENCE at least. */
double noise_of(const struct estimate *ratio);

#endif
