/*
 * What the JSON of all that is measured has in common. Each function returns a new value, or NULL
 * where memory is short.
 */
#ifndef DUET_TOOL_RESULTS_JSON_PARTS_H
#define DUET_TOOL_RESULTS_JSON_PARTS_H

#include <jansson.h>

#include "measure/results.h"

/* Median, interval and confidence; null where there is no figure. */
json_t *estimate_json(const struct estimate *estimate);

json_t *machine_json(const struct machine *machine);
json_t *allocators_json(const struct allocators *allocators);

#endif
