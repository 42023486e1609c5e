#include "os/rseq.h"

#if RSEQ_POSSIBLE

#include <sys/auxv.h>
#include <sys/rseq.h>

/* What getauxval knows it by, and how much of a registration a kernel fills in that has an
 * mm_cid. */
#define RSEQ_FEATURE_SIZE 27
#define FEATURES_WITH_MM_CID 28

static __thread struct {
    int32_t cpu_id_start;
    int32_t cpu_id;
} nobody = {0, -1};

ptrdiff_t rseq_area(void)
{
    return __rseq_offset;
}

ptrdiff_t rseq_area_of_nobody(void)
{
    return (char *)&nobody - (char *)__builtin_thread_pointer();
}

bool rseq_has_numbers(void)
{
    return __rseq_size > 0 && getauxval(RSEQ_FEATURE_SIZE) >= FEATURES_WITH_MM_CID;
}

#else

ptrdiff_t rseq_area(void)
{
    return 0;
}

ptrdiff_t rseq_area_of_nobody(void)
{
    return 0;
}

bool rseq_has_numbers(void)
{
    return false;
}

#endif
