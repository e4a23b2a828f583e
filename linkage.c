/* SPDX-License-Identifier: MIT */
#include "linkage.h"

#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENTS_MAX 64
#define DYNAMIC_MAX  512

/* compat: newer than some headers */
#ifndef DF_1_PIE
#define DF_1_PIE 0x08000000
#endif

#if defined(__x86_64__)
#define OUR_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OUR_MACHINE EM_AARCH64
#else
#error "m9m-sandbox is for x86-64 and aarch64"
#endif

struct image {
	int fd;
	uint16_t type;
	size_t n_segments;
	Elf64_Phdr segments[SEGMENTS_MAX];
	uint64_t strings; /* file offset of DT_STRTAB */
	uint64_t strings_size;
};

static bool read_at(int fd, void *buf, size_t len, uint64_t offset)
{
	return offset <= INT64_MAX - len &&
	       pread(fd, buf, len, (off_t)offset) == (ssize_t)len;
}

/* A NUL-terminated string of at most PATH_MAX bytes, or NULL. */
static char *read_string(int fd, uint64_t offset, uint64_t limit)
{
	char buf[PATH_MAX];
	ssize_t n;

	if (limit > sizeof(buf))
		limit = sizeof(buf);
	if (offset > INT64_MAX)
		return NULL;
	n = pread(fd, buf, limit, (off_t)offset);
	if (n <= 0 || memchr(buf, '\0', (size_t)n) == NULL)
		return NULL;
	return xstrdup(buf);
}

static bool read_segments(struct image *image, bool *foreign)
{
	Elf64_Ehdr head;

	if (!read_at(image->fd, &head, sizeof(head), 0) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_ident[EI_DATA] != ELFDATA2LSB ||
	    head.e_phentsize != sizeof(Elf64_Phdr) ||
	    head.e_phnum > SEGMENTS_MAX)
		return false;
	*foreign = head.e_machine != OUR_MACHINE;
	image->type = head.e_type;
	image->n_segments = head.e_phnum;
	return read_at(image->fd, image->segments,
		       image->n_segments * sizeof(Elf64_Phdr), head.e_phoff);
}

static const Elf64_Phdr *segment_of(const struct image *image, uint32_t type)
{
	for (size_t i = 0; i < image->n_segments; i++)
		if (image->segments[i].p_type == type)
			return &image->segments[i];
	return NULL;
}

/* Where in the file is what is loaded at `address`? */
static bool offset_of(const struct image *image, uint64_t address,
		      uint64_t *offset)
{
	for (size_t i = 0; i < image->n_segments; i++) {
		const Elf64_Phdr *s = &image->segments[i];

		if (s->p_type != PT_LOAD || address < s->p_vaddr ||
		    address - s->p_vaddr >= s->p_filesz)
			continue;
		return !__builtin_add_overflow(address - s->p_vaddr,
					       s->p_offset, offset);
	}
	return false;
}

static char *dynamic_string(const struct image *image, uint64_t index)
{
	uint64_t offset;

	if (index >= image->strings_size ||
	    __builtin_add_overflow(image->strings, index, &offset))
		return NULL;
	return read_string(image->fd, offset, image->strings_size - index);
}

static void take_entry(const struct image *image, const Elf64_Dyn *entry,
		       struct linkage *info)
{
	char *text = dynamic_string(image, entry->d_un.d_val);

	if (text == NULL)
		return;
	if (entry->d_tag == DT_NEEDED) {
		strv_push(&info->needed, text);
		return;
	}
	/* The linker ignores DT_RPATH where there is a DT_RUNPATH. */
	if (entry->d_tag == DT_RUNPATH || info->search == NULL) {
		free(info->search);
		info->search = text;
		info->search_is_inherited = entry->d_tag == DT_RPATH;
		return;
	}
	free(text);
}

static size_t read_dynamic(const struct image *image, Elf64_Dyn *entries)
{
	const Elf64_Phdr *segment = segment_of(image, PT_DYNAMIC);
	size_t n;

	if (segment == NULL)
		return 0;
	n = segment->p_filesz / sizeof(*entries);
	if (n > DYNAMIC_MAX)
		n = DYNAMIC_MAX;
	if (!read_at(image->fd, entries, n * sizeof(*entries),
		     segment->p_offset))
		return 0;
	for (size_t i = 0; i < n; i++)
		if (entries[i].d_tag == DT_NULL)
			return i;
	return n;
}

static void take_dynamic(struct image *image, struct linkage *info)
{
	Elf64_Dyn entries[DYNAMIC_MAX];
	size_t n = read_dynamic(image, entries);
	uint64_t address = 0;
	bool named = false;

	for (size_t i = 0; i < n; i++) {
		if (entries[i].d_tag == DT_STRTAB)
			address = entries[i].d_un.d_ptr;
		if (entries[i].d_tag == DT_STRSZ)
			image->strings_size = entries[i].d_un.d_val;
		if (entries[i].d_tag == DT_FLAGS_1 &&
		    entries[i].d_un.d_val & DF_1_PIE)
			info->program = true;
		named |= entries[i].d_tag == DT_SONAME;
	}
	/* libc can be executed as well, and has a library's name. */
	if (image->type != ET_DYN || (info->interpreter && !named))
		info->program = true;
	if (!offset_of(image, address, &image->strings))
		return;
	for (size_t i = 0; i < n; i++)
		if (entries[i].d_tag == DT_NEEDED ||
		    entries[i].d_tag == DT_RUNPATH ||
		    entries[i].d_tag == DT_RPATH)
			take_entry(image, &entries[i], info);
}

bool linkage_read(int fd, struct linkage *info)
{
	struct image image = { .fd = fd };
	const Elf64_Phdr *segment;

	*info = (struct linkage){ 0 };
	if (!read_segments(&image, &info->foreign))
		return false;
	segment = segment_of(&image, PT_INTERP);
	if (segment)
		info->interpreter = read_string(fd, segment->p_offset,
						segment->p_filesz);
	take_dynamic(&image, info);
	return true;
}

void linkage_free(struct linkage *info)
{
	free(info->interpreter);
	free(info->search);
	strv_free(&info->needed);
	*info = (struct linkage){ 0 };
}
