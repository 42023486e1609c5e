/*
 * The few facts in an ELF file's headers that decide whether a library can be preloaded into it:
 * for which machine it is, and which dynamic loader it asks for.
 */
#ifndef DUET_TOOL_ELF_FILE_H
#define DUET_TOOL_ELF_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum elf_kind {
    ELF_ABSENT,  /* not an ELF file */
    ELF_DAMAGED, /* starts like one, but its headers make no sense */
    ELF_FOREIGN, /* of another word size or byte order than ours: only those are filled in */
    ELF_STATIC,  /* no PT_INTERP: no dynamic loader will run */
    ELF_DYNAMIC,
};

struct elf_facts {
    enum elf_kind kind;
    uint8_t word_class; /* ELFCLASS32 or ELFCLASS64 */
    uint8_t byte_order; /* ELFDATA2LSB or ELFDATA2MSB */
    uint16_t machine;   /* EM_X86_64, EM_AARCH64, ... */
    char loader[PATH_MAX];
};

/* Reads the facts of the open file. */
void elf_read(int fd, struct elf_facts *facts);

/* Whether both are for the same machine, word size and byte order. */
bool elf_same_machine(const struct elf_facts *a, const struct elf_facts *b);

/* "64-bit x86-64", "64-bit machine 243": static storage, overwritten by the next call. */
const char *elf_machine_name(const struct elf_facts *facts);

#endif
