/* Small wraps around jansson's calls. */
#include "common/json.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "common/format.h"

json_t *json_number(uint64_t value)
{
    return json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX);
}

json_t *json_text(const char *string)
{
    size_t capacity = strlen(string) * 3 + 1;
    char *repaired = malloc(capacity);
    json_t *made = NULL;

    if (repaired != NULL) {
        repair_text(repaired, capacity, string);
        made = json_string(repaired);
    }
    free(repaired);
    return made;
}

json_t *json_texts(char *const *strings)
{
    json_t *array = json_array();
    bool whole = array != NULL;

    for (; whole && *strings != NULL; strings++)
        whole = json_array_append_new(array, json_text(*strings)) == 0;
    return json_if_whole(array, whole);
}

bool json_set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

json_t *json_if_whole(json_t *made, bool whole)
{
    if (whole)
        return made;
    json_decref(made);
    return NULL;
}

bool json_finish(FILE *stream, json_t *object)
{
    if (object == NULL)
        return false;
    bool written = json_dumpf(object, stream, JSON_INDENT(2)) == 0;
    json_decref(object);
    return written && fputc('\n', stream) != EOF;
}

static bool write_in_row(FILE *stream, const json_t *value)
{
    return json_dumpf(value, stream, JSON_ENCODE_ANY | JSON_REAL_PRECISION(DBL_DIG)) == 0;
}

static bool write_rows(FILE *stream, const json_t *array)
{
    bool written = fputs("[", stream) != EOF;

    for (size_t i = 0; written && i < json_array_size(array); i++)
        written = fputs(i == 0 ? "\n    " : ",\n    ", stream) != EOF &&
                  write_in_row(stream, json_array_get(array, i));
    return written && fputs(json_array_size(array) > 0 ? "\n  ]" : "]", stream) != EOF;
}

bool json_finish_in_rows(FILE *stream, json_t *object)
{
    bool written = object != NULL && fputs("{", stream) != EOF;
    bool first = true;
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        written = written && fprintf(stream, "%s\n  \"%s\": ", first ? "" : ",", key) > 0 &&
                  (json_is_array(value) ? write_rows(stream, value) : write_in_row(stream, value));
        first = false;
    }
    json_decref(object);
    return written && fputs("\n}\n", stream) != EOF;
}
