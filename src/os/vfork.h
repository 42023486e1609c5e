/*
 * A vfork that calls one function before, in the parent, and one behind, in the parent again, when
 * the child has gone.
 *
 * The child returns first, from vfork and from its caller, and whatever lies on the stack below is
 * written over. So nothing is left there: the return address is kept in a register that the kernel
 * preserves. (As every C library's vfork does.)
 */
#ifndef DUET_OS_VFORK_H
#define DUET_OS_VFORK_H

#include <sys/syscall.h>

#define OS_TEXT_OF(number) #number
#define OS_TEXT(number) OS_TEXT_OF(number)

#if defined(__x86_64__)

#define OS_VFORK_CODE(begin, end)                                                                  \
    "endbr64\n\t"                                                                                  \
    "subq $8, %rsp\n\t" /* the stack is a multiple of 16 at a call */                              \
    "call " begin "\n\t"                                                                           \
    "addq $8, %rsp\n\t"                                                                            \
    "popq %rdi\n\t"                                                                                \
    "movl $" OS_TEXT(__NR_vfork) ", %eax\n\t"                                                      \
                                 "syscall\n\t"                                                     \
                                 "testq %rax, %rax\n\t"                                            \
                                 "jnz 1f\n\t"                                                      \
                                 "jmp *%rdi\n" /* the child */                                     \
                                 "1:\n\t"                                                          \
                                 "pushq %rdi\n\t"                                                  \
                                 "subq $8, %rsp\n\t"                                               \
                                 "movq %rax, %rdi\n\t"                                             \
                                 "call " end "\n\t"                                                \
                                 "addq $8, %rsp\n\t"                                               \
                                 "ret\n\t"

#elif defined(__aarch64__)

#define OS_VFORK_CODE(begin, end)                                                                  \
    "hint #34\n\t" /* bti c */                                                                     \
    "stp x29, x30, [sp, #-16]!\n\t"                                                                \
    "bl " begin "\n\t"                                                                             \
    "ldp x29, x30, [sp], #16\n\t"                                                                  \
    "mov x0, #0x4111\n\t" /* CLONE_VM, CLONE_VFORK, SIGCHLD */                                     \
    "mov x1, #0\n\t"                                                                               \
    "mov x8, #" OS_TEXT(__NR_clone) "\n\t"                                                         \
                                    "svc #0\n\t"                                                   \
                                    "cbnz x0, 1f\n\t"                                              \
                                    "ret\n" /* the child */                                        \
                                    "1:\n\t"                                                       \
                                    "stp x29, x30, [sp, #-16]!\n\t"                                \
                                    "bl " end "\n\t"                                               \
                                    "ldp x29, x30, [sp], #16\n\t"                                  \
                                    "ret\n\t"

#endif

/* `void begin(void)`, and `long end(long result)` with what the kernel returned, which returns what
 * vfork is to return; both by their names, as texts. */
#define OS_DEFINE_VFORK(begin, end)                                                                \
    __asm__(".pushsection .text\n\t"                                                               \
            ".globl vfork\n\t"                                                                     \
            ".type vfork, %function\n"                                                             \
            "vfork:\n\t" OS_VFORK_CODE(begin, end) ".size vfork, . - vfork\n\t"                    \
                                                   ".popsection")

#endif
