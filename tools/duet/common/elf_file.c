/* Reads ELF headers with pread only: nothing is mapped, so a file that shrinks cannot hurt. */
#include "common/elf_file.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN_BYTE_ORDER ELFDATA2LSB
#else
#define OWN_BYTE_ORDER ELFDATA2MSB
#endif
#define OWN_WORD_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

/* Reads all of `size` bytes at `offset`, or fails. */
static bool read_at(int fd, void *out, size_t size, off_t offset)
{
    return pread(fd, out, size, offset) == (ssize_t)size;
}

/* The machine stands at the same place in every class, in the file's own byte order. */
static uint16_t machine_of(const unsigned char *header, uint8_t byte_order)
{
    unsigned first = header[offsetof(Elf32_Ehdr, e_machine)];
    unsigned second = header[offsetof(Elf32_Ehdr, e_machine) + 1];

    return (uint16_t)(byte_order == ELFDATA2MSB ? first << 8 | second : second << 8 | first);
}

/* Fills in the loader from the PT_INTERP segment, if there is one. */
static enum elf_kind read_loader(int fd, const ElfW(Ehdr) * header, char *loader, size_t capacity)
{
    ElfW(Phdr) segment;

    if (header->e_phentsize != sizeof segment)
        return ELF_DAMAGED;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        off_t offset = (off_t)(header->e_phoff + (uint64_t)i * sizeof segment);
        if (!read_at(fd, &segment, sizeof segment, offset))
            return ELF_DAMAGED;
        if (segment.p_type != PT_INTERP)
            continue;
        if (segment.p_filesz == 0 || segment.p_filesz > capacity ||
            !read_at(fd, loader, segment.p_filesz, (off_t)segment.p_offset) ||
            loader[segment.p_filesz - 1] != '\0')
            return ELF_DAMAGED;
        return ELF_DYNAMIC;
    }
    return ELF_STATIC;
}

void elf_read(int fd, struct elf_facts *facts)
{
    ElfW(Ehdr) header;

    memset(facts, 0, sizeof *facts);
    facts->kind = ELF_ABSENT;

    /* A 32-bit header is the shortest; what a longer one has beyond is read below. */
    unsigned char start[sizeof(Elf32_Ehdr)];
    if (!read_at(fd, start, sizeof start, 0) || memcmp(start, ELFMAG, SELFMAG) != 0)
        return;

    facts->word_class = start[EI_CLASS];
    facts->byte_order = start[EI_DATA];
    facts->machine = machine_of(start, facts->byte_order);
    if (facts->word_class != OWN_WORD_CLASS || facts->byte_order != OWN_BYTE_ORDER) {
        facts->kind = ELF_FOREIGN;
        return;
    }
    if (!read_at(fd, &header, sizeof header, 0)) {
        facts->kind = ELF_DAMAGED;
        return;
    }
    facts->kind = read_loader(fd, &header, facts->loader, sizeof facts->loader);
    if (facts->kind != ELF_DYNAMIC)
        facts->loader[0] = '\0';
}

bool elf_same_machine(const struct elf_facts *a, const struct elf_facts *b)
{
    return a->word_class == b->word_class && a->byte_order == b->byte_order &&
           a->machine == b->machine;
}

const char *elf_machine_name(const struct elf_facts *facts)
{
    static const struct {
        uint16_t machine;
        const char *name;
    } known[] = {
        {EM_386, "x86"},      {EM_X86_64, "x86-64"}, {EM_ARM, "ARM"},   {EM_AARCH64, "aarch64"},
        {EM_RISCV, "RISC-V"}, {EM_PPC64, "ppc64"},   {EM_S390, "s390"}, {EM_LOONGARCH, "LoongArch"},
    };
    static char text[64];
    const char *bits = facts->word_class == ELFCLASS32 ? "32-bit" : "64-bit";

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].machine == facts->machine) {
            snprintf(text, sizeof text, "%s %s", bits, known[i].name);
            return text;
        }
    }
    snprintf(text, sizeof text, "%s machine %u", bits, (unsigned)facts->machine);
    return text;
}
