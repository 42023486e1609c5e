/* In the checked builds calls fail by the library's seam (os/fault.h). In the others only memory is
 * refused, and by the kernel: no address space is to be had once its limit is below what is in
 * use. */
#include "kernel.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fuzz.h"
#include "memory.h"
#include "os/fault.h"

/* Below what any process has. */
#define LEAST_BYTES 4096

/* A program's main thread gets its stack as it needs it: as much as this must be there before the
 * kernel refuses memory. */
#define STACK_BYTES ((size_t)256 << 10)

static bool refusing;

size_t kernel_page_bytes(void)
{
    return DUET_LONG_PAGE_BYTES != 0 ? DUET_LONG_PAGE_BYTES : (size_t)sysconf(_SC_PAGESIZE);
}

bool kernel_is_refusing(void)
{
    return refusing;
}

static void touch_stack(void)
{
    volatile char stack[STACK_BYTES];
    for (size_t i = 0; i < sizeof stack; i += LEAST_BYTES)
        stack[i] = 0;
}

/* Not of a sanitizer, which needs more for itself at any time. */
static void limit_address_space(bool to_nothing)
{
    struct rlimit limit;
    if (DUET_CHECKED || UNDER_SANITIZER)
        return;
    if (getrlimit(RLIMIT_AS, &limit) != 0)
        FINDING("cannot ask for the limit of the address space: %s", strerror(errno));
    if (to_nothing)
        touch_stack();
    limit.rlim_cur = to_nothing ? LEAST_BYTES : limit.rlim_max;
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        FINDING("cannot set the limit of the address space: %s", strerror(errno));
}

void kernel_refuse_nothing(void)
{
    limit_address_space(false);
    fault_set_all((struct fault_plan){0});
    refusing = false;
}

void kernel_refuse(unsigned how)
{
    unsigned number = 1 + how / 8;
    kernel_refuse_nothing();
    refusing = how % 8 != 0;
    switch (how % 8) {
    case 0:
        break;
    case 1:
        limit_address_space(true);
        fault_set(FAULT_MAP, (struct fault_plan){.every = 1});
        fault_set(FAULT_REMAP, (struct fault_plan){.every = 1});
        break;
    case 2:
        fault_set_all((struct fault_plan){.every = 1});
        break;
    case 3:
        fault_set_all((struct fault_plan){.every = number});
        break;
    case 4:
        fault_set_all((struct fault_plan){.once = number});
        break;
    case 5:
        fault_set_all((struct fault_plan){.share = FAULT_SHARES / 2, .chance = number});
        break;
    default: /* one kind alone */
        fault_set((enum fault_kind)(number % FAULT_KINDS),
                  (struct fault_plan){.every = how % 8 == 6 ? 1 : 3});
    }
}
