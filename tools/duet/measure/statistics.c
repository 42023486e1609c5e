/* Ranks and logarithms. */
#include "measure/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What an interval should hold the median with. */
#define WANTED_CONFIDENCE 0.99

static int compare_figures(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* With what probability the true median lies between the figures of rank `rank` from below and
 * from above, of `count`: outside it lies when fewer than `rank` figures fall on one side of it,
 * and each falls there like a coin. */
static double coverage(unsigned count, unsigned rank)
{
    double chance = pow(0.5, count); /* of exactly i on that side */
    double outside = 0;

    for (unsigned i = 0; i < rank; i++) {
        outside += chance;
        chance = chance * (count - i) / (i + 1);
    }
    return 1 - 2 * outside;
}

struct estimate estimate_median(const double *figures, unsigned count)
{
    struct estimate made = {.count = count};
    double *sorted = malloc(count * sizeof *sorted);

    if (count == 0 || sorted == NULL) {
        free(sorted);
        return (struct estimate){0};
    }
    memcpy(sorted, figures, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_figures);
    made.median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;

    unsigned rank = 1;
    while (2 * (rank + 1) <= count && coverage(count, rank + 1) >= WANTED_CONFIDENCE)
        rank++;
    made.low = sorted[rank - 1];
    made.high = sorted[count - rank];
    made.confidence = coverage(count, rank);
    free(sorted);
    return made;
}

enum verdict verdict_on(const struct estimate *ratio)
{
    if (ratio->count == 0 || ratio->confidence < NEEDED_CONFIDENCE ||
        fabs(ratio->median - 1) < LEAST_DIFFERENCE)
        return VERDICT_SAME;
    if (ratio->high < 1)
        return VERDICT_LESS;
    return ratio->low > 1 ? VERDICT_MORE : VERDICT_SAME;
}

double noise_of(const struct estimate *ratio)
{
    if (ratio->count == 0 || ratio->median <= 0)
        return LEAST_DIFFERENCE;
    return fmax((ratio->high - ratio->low) / 2 / ratio->median, LEAST_DIFFERENCE);
}
