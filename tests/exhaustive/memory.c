/*
 * What threads see of each other's accesses by atomics.h: as much as C's memory model lets them, so
 * that x86, on which this runs, hides nothing.
 *
 * Stores are delayed. Each goes into a buffer of its thread's, which sees it at once. Others see it
 * once it is committed, which is decided when one of them comes to that word: that costs nothing
 * and is the default, or costs a delay, and then it is decided anew each time somebody comes.
 * Stores to different words are committed in any order, but a release only after all that its
 * thread has stored before. A read-modify-write is of the word itself, never of a buffer; if it is
 * a release, all that its thread has stored before is committed first, if it is not, nothing but
 * what was stored to this word.
 *
 * Loads are late. Each word keeps what was committed to it, and a load may, for a delay, see one of
 * the values before the last: not one before what the thread has seen of this word already, nor one
 * of which it knows that it was overwritten. It knows what happened before a release that it, or
 * whoever released to it, has acquired: that is what the clocks are for. (As in CDSChecker, Relacy
 * and Loom.) So a missing acquire shows, too.
 *
 * Both together: what has been committed late is seen late by everybody, and overwrites what others
 * have written meanwhile; what is loaded late, by one thread only.
 *
 * A sequential operation commits all before it and sees the last value. A barrier for all threads
 * commits all, and everybody sees the last values. Fences are not modelled; nobody uses any. What a
 * release has released is acquired with a later store of the same thread only if that is a release,
 * too: so C++20 has it, where C17 promises more.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "state.h"

#define WORDS_MOST 4096 /* a power of two; half of them are used at most */
#define HISTORY 8       /* values of a word that can still be seen */

struct value {
    uint64_t bits;
    uint32_t time; /* of its thread; 0: from before the threads began */
    unsigned thread;
    struct clock released;
};

struct word {
    uintptr_t address;
    size_t size;
    uint8_t readers, writers; /* threads, a bit each, in any execution */
    uint32_t execution;       /* what is below is of this one */
    uint32_t count;           /* values it ever had */
    uint32_t seen[THREADS_MOST];
    struct value history[HISTORY]; /* value n is at n % HISTORY */
};

/* ---- Words ------------------------------------------------------------------------------- */

static uint64_t cut(uint64_t value, size_t size)
{
    return size == 8 ? value : value & (((uint64_t)1 << (8 * size)) - 1);
}

/* Not by memcpy, which is watched itself. */
static uint64_t get(const void *word, size_t size)
{
    switch (size) {
    case 1:
        return *(const volatile uint8_t *)word;
    case 2:
        return *(const volatile uint16_t *)word;
    case 4:
        return *(const volatile uint32_t *)word;
    default:
        return *(const volatile uint64_t *)word;
    }
}

static void put(void *word, size_t size, uint64_t value)
{
    snapshot_note_write((uintptr_t)word, size);
    switch (size) {
    case 1:
        *(volatile uint8_t *)word = (uint8_t)value;
        break;
    case 2:
        *(volatile uint16_t *)word = (uint16_t)value;
        break;
    case 4:
        *(volatile uint32_t *)word = (uint32_t)value;
        break;
    default:
        *(volatile uint64_t *)word = value;
    }
}

static struct value *newest(struct word *word)
{
    return &word->history[(word->count - 1) % HISTORY];
}

static struct word *place_of(uintptr_t address)
{
    struct word *words = state->words;
    size_t place = (address * 0x9e3779b97f4a7c15u) >> 52;
    static_assert(WORDS_MOST == 1 << (64 - 52), "the highest bits are a place");
    while (words[place].address != 0 && words[place].address != address)
        place = (place + 1) % WORDS_MOST;
    return &words[place];
}

/* As if it had always been what it is now. */
static void forget(struct word *word)
{
    word->count = 1;
    memset(word->seen, 0, sizeof word->seen);
    word->history[0] = (struct value){.bits = get((void *)word->address, word->size)};
}

/* What was stored by no means of ours was stored before the word was shared. */
static struct word *word_of(const void *address, size_t size)
{
    struct word *word = place_of((uintptr_t)address);
    if (word->address == 0) {
        if (++state->word_count > WORDS_MOST / 2)
            fail("more than %d words", WORDS_MOST / 2);
        word->address = (uintptr_t)address;
        word->size = size;
    }
    word->size = size;
    if (word->execution != state->execution || newest(word)->bits != get(address, size)) {
        word->execution = state->execution;
        forget(word);
    }
    return word;
}

static bool is_contended(const struct word *word)
{
    unsigned all = word->readers | word->writers;
    return word->writers != 0 && (all & (all - 1)) != 0;
}

size_t memory_contended(void)
{
    size_t contended = 0;
    for (size_t place = 0; place < WORDS_MOST; place++)
        contended += is_contended(&state->words[place]);
    return contended;
}

void memory_forget(uintptr_t from, size_t length)
{
    if (length <= sizeof(uint64_t)) {
        struct word *word = place_of(from);
        if (word->address == from && word->execution == state->execution)
            word->execution = 0;
        return;
    }
    for (size_t place = 0; place < WORDS_MOST; place++)
        if (state->words[place].address - from < length)
            state->words[place].execution = 0;
}

void memory_begin(void)
{
    if (state->words == NULL)
        state->words = calloc(WORDS_MOST, sizeof *state->words);
    if (state->words == NULL)
        fail("no memory for the words");
}

/* ---- What a thread knows ----------------------------------------------------------------- */

static void learn(struct clock *clock, const struct clock *of)
{
    for (unsigned i = 0; i < THREADS_MOST; i++)
        if (clock->of[i] < of->of[i])
            clock->of[i] = of->of[i];
}

static struct thread *running(void)
{
    return &state->threads[state->current];
}

static bool knows(const struct thread *thread, const struct value *value)
{
    return thread->clock.of[value->thread] >= value->time;
}

static bool acquires(enum exh_order order)
{
    return order == EXH_ACQUIRE || order >= EXH_ACQUIRE_RELEASE;
}

static bool releases(enum exh_order order)
{
    return order >= EXH_RELEASE;
}

/* ---- Committing -------------------------------------------------------------------------- */

static void add_value(struct word *word, const struct value *value)
{
    word->history[word->count++ % HISTORY] = *value;
    word->seen[value->thread] = word->count - 1;
    state->changes++;
}

static void commit_one(struct thread *thread, unsigned place)
{
    struct buffered store = thread->buffer[place];
    thread->buffer_count--;
    memmove(&thread->buffer[place], &thread->buffer[place + 1],
            (thread->buffer_count - place) * sizeof store);
    struct word *word = word_of(store.word, store.size);
    put(store.word, store.size, store.value);
    struct value value = {.bits = store.value,
                          .time = store.time,
                          .thread = (unsigned)(thread - state->threads),
                          .released = store.released};
    add_value(word, &value);
}

static bool overlap(const struct buffered *a, const struct buffered *b)
{
    return (uintptr_t)a->word < (uintptr_t)b->word + b->size &&
           (uintptr_t)b->word < (uintptr_t)a->word + a->size;
}

/* What has to be committed before this one. */
static bool goes_before(const struct buffered *earlier, const struct buffered *store)
{
    return store->release || overlap(earlier, store);
}

static void commit(struct thread *thread, unsigned place)
{
    struct buffered store = thread->buffer[place];
    for (unsigned earlier = 0; earlier < place;) {
        if (goes_before(&thread->buffer[earlier], &store)) {
            unsigned before = thread->buffer_count;
            commit(thread, earlier);
            place -= before - thread->buffer_count;
            earlier = 0;
        } else {
            earlier++;
        }
    }
    commit_one(thread, place);
}

void memory_commit_all(unsigned number)
{
    while (state->threads[number].buffer_count > 0)
        commit_one(&state->threads[number], 0);
}

/* The first that is stored there; buffer_count: none is. */
static unsigned find_buffered(const struct thread *thread, uintptr_t from, size_t length)
{
    struct buffered sought = {.word = (void *)from, .size = length};
    unsigned place = 0;
    while (place < thread->buffer_count && !overlap(&thread->buffer[place], &sought))
        place++;
    return place;
}

static struct thread *find_oldest(void)
{
    struct thread *oldest = NULL;
    for (unsigned i = 0; i < state->scenario->threads; i++) {
        struct thread *thread = &state->threads[i];
        if (thread->buffer_count > 0 &&
            (oldest == NULL || thread->buffer[0].order < oldest->buffer[0].order))
            oldest = thread;
    }
    return oldest;
}

/* In the order in which they were stored; but what another thread has stored to the same word may
 * be committed before. */
bool memory_commit_everything(void)
{
    bool any = false;
    for (struct thread *oldest; (oldest = find_oldest()) != NULL; any = true) {
        const struct buffered store = oldest->buffer[0];
        for (unsigned i = 0; i < state->scenario->threads; i++) {
            struct thread *other = &state->threads[i];
            unsigned place = find_buffered(other, (uintptr_t)store.word, store.size);
            if (other != oldest && place < other->buffer_count && choose(2, COST_DELAY, true) != 0)
                commit(other, place);
        }
        commit_one(oldest, 0);
    }
    return any;
}

void memory_settle_own(uintptr_t from, size_t length)
{
    struct thread *thread = running();
    for (unsigned place; thread->buffer_count > 0 &&
                         (place = find_buffered(thread, from, length)) < thread->buffer_count;)
        commit(thread, place);
}

/* Whether the store is to be committed, now that another thread comes to its word. Once it is
 * delayed it costs nothing any more. */
static bool is_seen(struct buffered *store)
{
    if (store->delayed)
        return choose(2, COST_NOTHING, true) != 0;
    store->delayed = choose(2, COST_DELAY, true) != 0;
    return !store->delayed;
}

/* What other threads have stored to the word comes to it, or does not. */
static void settle_others(const void *word, size_t size)
{
    for (unsigned i = 0; i < state->scenario->threads; i++) {
        struct thread *thread = &state->threads[i];
        if (i == state->current)
            continue;
        unsigned place;
        while ((place = find_buffered(thread, (uintptr_t)word, size)) < thread->buffer_count) {
            if (!is_seen(&thread->buffer[place])) {
                trace("what thread %u stored to it last is not there yet", i);
                break;
            }
            commit(thread, place);
        }
    }
}

/* ---- The accesses ------------------------------------------------------------------------ */

static bool is_loaded_again(const void *address, struct exh_site site)
{
    const struct thread *thread = running();
    return thread->loaded == address && thread->loaded_from == site.text &&
           thread->loaded_at == state->changes;
}

/* Before the access: others may go first, what they stored may come. Returns the word. */
static struct word *arrive(const void *address, size_t size, bool writes, struct exh_site site)
{
    struct word *word = word_of(address, size);
    bool contended = is_contended(word);
    uint8_t bit = (uint8_t)(1u << state->current);
    if (writes)
        word->writers |= bit;
    else
        word->readers |= bit;
    if (!contended && is_contended(word))
        state->begin_anew = true;
    step(contended && (writes || !is_loaded_again(address, site)));
    running()->clock.of[state->current]++;
    running()->loaded = NULL;
    settle_others(address, size);
    return word_of(address, size);
}

static void show(struct exh_site site, uint64_t value)
{
    trace("%-28s %s: %#llx", site.function, site.text, (unsigned long long)value);
}

/* What it may see, from the last value back to the first that it may not miss. */
static const struct value *see(struct word *word, enum exh_order order)
{
    struct thread *thread = running();
    uint32_t last = word->count - 1, first = last;
    uint32_t least = word->count > HISTORY ? word->count - HISTORY : 0;
    if (word->seen[state->current] > least)
        least = word->seen[state->current];
    while (order != EXH_SEQUENTIAL && first > least &&
           !knows(thread, &word->history[first % HISTORY]))
        first--;
    uint32_t back = first < last ? choose(last - first + 1, COST_DELAY, true) : 0;
    if (back > 0)
        trace("does not see the last %u values of it", back);
    word->seen[state->current] = last - back;
    return &word->history[(last - back) % HISTORY];
}

uint64_t exh_load(const void *address, size_t size, enum exh_order order, struct exh_site site)
{
    if (!state->running)
        return get(address, size);
    struct word *word = arrive(address, size, false, site);
    struct thread *thread = running();
    plain_note((uintptr_t)address, size, ATOMIC_READ, site.text);
    if (order == EXH_SEQUENTIAL)
        memory_commit_all(state->current);
    for (unsigned place = thread->buffer_count; place-- > 0;)
        if (thread->buffer[place].word == address) { /* its own last store */
            show(site, thread->buffer[place].value);
            return thread->buffer[place].value;
        }
    const struct value *value = see(word, order);
    thread->loaded = address;
    thread->loaded_from = site.text;
    thread->loaded_at = state->changes;
    if (acquires(order))
        learn(&thread->clock, &value->released);
    show(site, value->bits);
    return value->bits;
}

void exh_store(void *address, size_t size, uint64_t value, enum exh_order order,
               struct exh_site site)
{
    value = cut(value, size);
    if (!state->running) {
        put(address, size, value);
        return;
    }
    arrive(address, size, true, site);
    struct thread *thread = running();
    plain_note((uintptr_t)address, size, ATOMIC_WRITE, site.text);
    if (thread->buffer_count == BUFFER_MOST)
        commit(thread, 0);
    struct buffered store = {.word = address,
                             .size = size,
                             .value = value,
                             .order = state->stores++,
                             .time = thread->clock.of[state->current],
                             .release = releases(order)};
    if (store.release)
        store.released = thread->clock;
    thread->buffer[thread->buffer_count++] = store;
    state->changes++;
    show(site, value);
}

/* Of a word whose last value is this. Who acquires the new one acquires what the old one had
 * released, too. */
static void change_word(struct word *word, uint64_t bits, enum exh_order order)
{
    struct thread *thread = running();
    struct value value = {.bits = bits,
                          .time = thread->clock.of[state->current],
                          .thread = state->current,
                          .released = newest(word)->released};
    if (acquires(order))
        learn(&thread->clock, &value.released);
    if (releases(order))
        learn(&value.released, &thread->clock);
    put((void *)word->address, word->size, bits);
    add_value(word, &value);
}

/* The word itself, before a read-modify-write. */
static struct word *arrive_to_change(void *address, size_t size, struct exh_site site)
{
    arrive(address, size, true, site);
    memory_settle_own((uintptr_t)address, size);
    return word_of(address, size);
}

static uint64_t changed(uint64_t value, enum exh_change change, uint64_t operand)
{
    switch (change) {
    case EXH_ADD:
        return value + operand;
    case EXH_SUB:
        return value - operand;
    case EXH_OR:
        return value | operand;
    case EXH_AND:
        return value & operand;
    case EXH_EXCHANGE:
        break;
    }
    return operand;
}

uint64_t exh_change(void *address, size_t size, enum exh_change change, uint64_t operand,
                    enum exh_order order, struct exh_site site)
{
    if (!state->running) {
        uint64_t before = get(address, size);
        put(address, size, cut(changed(before, change, operand), size));
        return before;
    }
    struct word *word = arrive_to_change(address, size, site);
    plain_note((uintptr_t)address, size, ATOMIC_WRITE, site.text);
    if (releases(order))
        memory_commit_all(state->current);
    uint64_t before = newest(word)->bits;
    change_word(word, cut(changed(before, change, operand), size), order);
    show(site, newest(word)->bits);
    return before;
}

bool exh_cas(void *address, size_t size, uint64_t expected, uint64_t desired, enum exh_order order,
             struct exh_site site)
{
    expected = cut(expected, size);
    desired = cut(desired, size);
    if (!state->running) {
        if (get(address, size) != expected)
            return false;
        put(address, size, desired);
        return true;
    }
    struct word *word = arrive_to_change(address, size, site);
    bool same = newest(word)->bits == expected;
    plain_note((uintptr_t)address, size, same ? ATOMIC_WRITE : ATOMIC_READ, site.text);
    if (same) {
        if (releases(order))
            memory_commit_all(state->current);
        change_word(word, desired, order);
    } else {
        word->seen[state->current] = word->count - 1;
    }
    trace("%-28s %s: %#llx%s", site.function, site.text, (unsigned long long)newest(word)->bits,
          same ? "" : ", refused");
    return same;
}

void exh_barrier(void)
{
    if (!state->running)
        return;
    step(true);
    running()->loaded = NULL;
    memory_commit_everything();
    for (size_t place = 0; place < WORDS_MOST; place++)
        for (unsigned i = 0; i < THREADS_MOST; i++)
            if (state->words[place].execution == state->execution)
                state->words[place].seen[i] = state->words[place].count - 1;
    trace("a barrier for all threads");
    /* What any has done is known here from now on, and what was done here is known to all. It is a
     * step of each. */
    for (unsigned i = 0; i < state->scenario->threads; i++)
        state->threads[i].clock.of[i]++;
    struct clock all = running()->clock;
    for (unsigned i = 0; i < state->scenario->threads; i++) {
        learn(&all, &state->threads[i].clock);
        learn(&state->threads[i].clock, &running()->clock);
    }
    running()->clock = all;
}
