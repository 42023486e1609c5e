/* Those of the engine ng, a program of its own: what ng and duet call their groups are not one. */
#include "scenarios.h"

const struct scenario *const scenarios[] = {
    &scenario_ng_free, &scenario_ng_free_3, &scenario_ng_first,
    &scenario_ng_last, &scenario_ng_take,
};
const size_t scenario_count = sizeof scenarios / sizeof scenarios[0];
