/*
 * What the workload `gcc` compiles: containers written once as macros, as C programs of some size
 * have them, and instanced for many types. A macro's body is one line to the compiler, so what is
 * small here is some 5,000 lines of ordinary code there: loops, calls to inline, tables, switches.
 *
 * It includes nothing, so that it means the same with every C library.
 */
typedef unsigned long size_type;
typedef unsigned char byte_type;

void *memory_take(size_type bytes);
void memory_give(void *memory);
void report(const char *format, ...);

/* ---- A vector ------------------------------------------------------------------------------ */

#define VECTOR(type, name)                                                                         \
    struct name##_vector {                                                                         \
        type *items;                                                                               \
        size_type count, capacity;                                                                 \
    };                                                                                             \
    static int name##_reserve(struct name##_vector *vector, size_type capacity)                    \
    {                                                                                              \
        if (capacity <= vector->capacity)                                                          \
            return 1;                                                                              \
        size_type larger = vector->capacity * 2 > capacity ? vector->capacity * 2 : capacity;      \
        type *items = memory_take(larger * sizeof(type));                                          \
        if (!items)                                                                                \
            return 0;                                                                              \
        for (size_type i = 0; i < vector->count; i++)                                              \
            items[i] = vector->items[i];                                                           \
        memory_give(vector->items);                                                                \
        vector->items = items;                                                                     \
        vector->capacity = larger;                                                                 \
        return 1;                                                                                  \
    }                                                                                              \
    int name##_push(struct name##_vector *vector, type item)                                       \
    {                                                                                              \
        if (!name##_reserve(vector, vector->count + 1))                                            \
            return 0;                                                                              \
        vector->items[vector->count++] = item;                                                     \
        return 1;                                                                                  \
    }                                                                                              \
    int name##_insert(struct name##_vector *vector, size_type at, type item)                       \
    {                                                                                              \
        if (at > vector->count || !name##_reserve(vector, vector->count + 1))                      \
            return 0;                                                                              \
        for (size_type i = vector->count++; i > at; i--)                                           \
            vector->items[i] = vector->items[i - 1];                                               \
        vector->items[at] = item;                                                                  \
        return 1;                                                                                  \
    }                                                                                              \
    size_type name##_keep(struct name##_vector *vector, int (*wanted)(type))                       \
    {                                                                                              \
        size_type kept = 0;                                                                        \
        for (size_type i = 0; i < vector->count; i++) {                                            \
            if (wanted(vector->items[i]))                                                          \
                vector->items[kept++] = vector->items[i];                                          \
        }                                                                                          \
        return vector->count = kept;                                                               \
    }

/* ---- Sorting: by insertion where it is short, else by halves ------------------------------- */

#define SORT(type, name, before)                                                                   \
    static void name##_sort_short(type *items, size_type count)                                    \
    {                                                                                              \
        for (size_type i = 1; i < count; i++) {                                                    \
            type moved = items[i];                                                                 \
            size_type hole = i;                                                                    \
            while (hole > 0 && before(moved, items[hole - 1])) {                                   \
                items[hole] = items[hole - 1];                                                     \
                hole--;                                                                            \
            }                                                                                      \
            items[hole] = moved;                                                                   \
        }                                                                                          \
    }                                                                                              \
    void name##_sort(type *items, type *spare, size_type count)                                    \
    {                                                                                              \
        if (count <= 12) {                                                                         \
            name##_sort_short(items, count);                                                       \
            return;                                                                                \
        }                                                                                          \
        size_type half = count / 2;                                                                \
        name##_sort(items, spare, half);                                                           \
        name##_sort(items + half, spare, count - half);                                            \
        size_type left = 0, right = half, out = 0;                                                 \
        while (left < half && right < count) {                                                     \
            if (before(items[right], items[left]))                                                 \
                spare[out++] = items[right++];                                                     \
            else                                                                                   \
                spare[out++] = items[left++];                                                      \
        }                                                                                          \
        while (left < half)                                                                        \
            spare[out++] = items[left++];                                                          \
        while (out > 0) {                                                                          \
            out--;                                                                                 \
            items[out] = spare[out];                                                               \
        }                                                                                          \
    }                                                                                              \
    size_type name##_find(const type *items, size_type count, type wanted)                         \
    {                                                                                              \
        size_type low = 0, high = count;                                                           \
        while (low < high) {                                                                       \
            size_type middle = low + (high - low) / 2;                                             \
            if (before(items[middle], wanted))                                                     \
                low = middle + 1;                                                                  \
            else                                                                                   \
                high = middle;                                                                     \
        }                                                                                          \
        return low;                                                                                \
    }

/* ---- A hash table with open addresses ------------------------------------------------------ */

#define TABLE(type, name)                                                                          \
    struct name##_place {                                                                          \
        type key;                                                                                  \
        long value;                                                                                \
        byte_type used;                                                                            \
    };                                                                                             \
    struct name##_table {                                                                          \
        struct name##_place *places;                                                               \
        size_type count, mask;                                                                     \
    };                                                                                             \
    static size_type name##_hash(type key)                                                         \
    {                                                                                              \
        union {                                                                                    \
            type key;                                                                              \
            byte_type bytes[sizeof(type)];                                                         \
        } view = {key};                                                                            \
        size_type hash = 0xcbf29ce484222325u;                                                      \
        for (size_type i = 0; i < sizeof(type); i++)                                               \
            hash = (hash ^ view.bytes[i]) * 0x100000001b3u;                                        \
        return hash ^ hash >> 29;                                                                  \
    }                                                                                              \
    static int name##_grow(struct name##_table *table)                                             \
    {                                                                                              \
        struct name##_table larger = {memory_take((table->mask + 1) * 2 * sizeof *table->places),  \
                                      table->count, table->mask * 2 + 1};                          \
        if (!larger.places)                                                                        \
            return 0;                                                                              \
        for (size_type i = 0; i <= larger.mask; i++)                                               \
            larger.places[i].used = 0;                                                             \
        for (size_type i = 0; i <= table->mask; i++) {                                             \
            if (!table->places[i].used)                                                            \
                continue;                                                                          \
            size_type at = name##_hash(table->places[i].key) & larger.mask;                        \
            while (larger.places[at].used)                                                         \
                at = (at + 1) & larger.mask;                                                       \
            larger.places[at].key = table->places[i].key;                                          \
            larger.places[at].value = table->places[i].value;                                      \
            larger.places[at].used = 1;                                                            \
        }                                                                                          \
        memory_give(table->places);                                                                \
        *table = larger;                                                                           \
        return 1;                                                                                  \
    }                                                                                              \
    long *name##_at(struct name##_table *table, type key)                                          \
    {                                                                                              \
        if (table->count * 4 >= table->mask * 3 && !name##_grow(table))                            \
            return 0;                                                                              \
        size_type at = name##_hash(key) & table->mask;                                             \
        for (; table->places[at].used; at = (at + 1) & table->mask) {                              \
            if (table->places[at].key == key)                                                      \
                return &table->places[at].value;                                                   \
        }                                                                                          \
        table->count++;                                                                            \
        table->places[at].key = key;                                                               \
        table->places[at].value = 0;                                                               \
        table->places[at].used = 1;                                                                \
        return &table->places[at].value;                                                           \
    }

/* ---- A small machine that runs words over the type ----------------------------------------- */

#define MACHINE(type, name)                                                                        \
    type name##_run(const byte_type *words, size_type count, type *stack)                          \
    {                                                                                              \
        size_type top = 0;                                                                         \
        type sum = 0;                                                                              \
        for (size_type at = 0; at < count; at++) {                                                 \
            switch (words[at]) {                                                                   \
            case 0:                                                                                \
                stack[top++] = sum;                                                                \
                break;                                                                             \
            case 1:                                                                                \
                sum = (type)(sum + stack[--top]);                                                  \
                break;                                                                             \
            case 2:                                                                                \
                sum = (type)(sum - stack[--top]);                                                  \
                break;                                                                             \
            case 3:                                                                                \
                sum = (type)(sum * stack[top - 1]);                                                \
                break;                                                                             \
            case 4:                                                                                \
                sum = (type)(stack[top - 1] ? sum / stack[top - 1] : sum);                         \
                break;                                                                             \
            case 5:                                                                                \
                sum = (type)(at + 1 < count ? words[++at] : 0);                                    \
                break;                                                                             \
            case 6:                                                                                \
                if (sum > stack[top - 1] && at + 1 < count)                                        \
                    at = words[at + 1] < at ? at - words[at + 1] : at + 1;                         \
                break;                                                                             \
            case 7: {                                                                              \
                type kept = stack[top - 1];                                                        \
                stack[top - 1] = sum;                                                              \
                sum = kept;                                                                        \
                break;                                                                             \
            }                                                                                      \
            case 8:                                                                                \
                for (size_type i = 0; i < top; i++)                                                \
                    sum = (type)(sum + stack[i] * (type)(i + 1));                                  \
                break;                                                                             \
            default:                                                                               \
                report(#name ": no word %d at %lu, top %lu", words[at], at, top);                  \
                return 0;                                                                          \
            }                                                                                      \
        }                                                                                          \
        return sum;                                                                                \
    }

/* ---- Small matrices, whose loops are unrolled ---------------------------------------------- */

#define MATRIX(type, name, size)                                                                   \
    struct name##_matrix {                                                                         \
        type at[size][size];                                                                       \
    };                                                                                             \
    struct name##_matrix name##_multiply(const struct name##_matrix *a,                            \
                                         const struct name##_matrix *b)                            \
    {                                                                                              \
        struct name##_matrix product;                                                              \
        for (int row = 0; row < size; row++) {                                                     \
            for (int column = 0; column < size; column++) {                                        \
                type sum = 0;                                                                      \
                for (int i = 0; i < size; i++)                                                     \
                    sum = (type)(sum + a->at[row][i] * b->at[i][column]);                          \
                product.at[row][column] = sum;                                                     \
            }                                                                                      \
        }                                                                                          \
        return product;                                                                            \
    }                                                                                              \
    type name##_trace(const struct name##_matrix *matrix, int power)                               \
    {                                                                                              \
        struct name##_matrix raised = *matrix;                                                     \
        for (; power > 1; power--)                                                                 \
            raised = name##_multiply(&raised, matrix);                                             \
        type sum = 0;                                                                              \
        for (int i = 0; i < size; i++)                                                             \
            sum = (type)(sum + raised.at[i][i]);                                                   \
        return sum;                                                                                \
    }

/* ---- All of it, for each type -------------------------------------------------------------- */

#define UPWARDS(a, b) ((a) < (b))
#define DOWNWARDS(a, b) ((a) > (b))
#define BY_LAST_DIGITS(a, b) ((long)(a) % 1000 < (long)(b) % 1000)

#define ALL(type, name, size)                                                                      \
    VECTOR(type, name)                                                                             \
    SORT(type, name##_up, UPWARDS)                                                                 \
    SORT(type, name##_down, DOWNWARDS)                                                             \
    SORT(type, name##_digits, BY_LAST_DIGITS)                                                      \
    TABLE(type, name)                                                                              \
    MACHINE(type, name)                                                                            \
    MATRIX(type, name, size)

#define ALL_SIZES(type, name)                                                                      \
    ALL(type, name##2, 2)                                                                          \
    ALL(type, name##3, 3)

ALL_SIZES(signed char, tiny)
ALL_SIZES(short, narrow)
ALL_SIZES(unsigned short, narrow_positive)
ALL_SIZES(int, plain)
ALL_SIZES(unsigned, positive)
ALL_SIZES(long, wide)
ALL_SIZES(float, rough)
ALL_SIZES(double, fine)
