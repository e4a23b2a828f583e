/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#include "util.h"

#define RANGE         0xc6120000u /* 198.18.0.0/15 */
#define RANGE_MASK    0xfffe0000u
#define GATEWAY_INDEX 2 /* .1 is the name server */
#define NAMES_FIRST   256

void names_init(struct names *names)
{
	static char gateway[] = NAMES_GATEWAY;

	*names = (struct names){
		.gateway = { .text = gateway,
			     .index = GATEWAY_INDEX,
			     .gateway = true },
	};
}

/* FNV-1a.  Who floods one bucket slows only the answers to itself. */
static uint32_t hash(const char *text)
{
	uint32_t h = 2166136261u;

	for (; *text; text++)
		h = (h ^ (uint8_t)*text) * 16777619u;
	return h;
}

/* The slot where the name is, or the free one where it would go. */
static uint32_t *find_slot(const struct names *names, const char *text)
{
	size_t at = hash(text) & (names->table_size - 1);

	for (;; at = (at + 1) & (names->table_size - 1)) {
		uint32_t *slot = &names->table[at];

		if (*slot == 0 ||
		    strcmp(names->by_index[*slot - 1]->text, text) == 0)
			return slot;
	}
}

static void grow(struct names *names)
{
	size_t size = names->table_size ? names->table_size * 2 : 64;

	free(names->table);
	names->table = xcalloc(size, sizeof(*names->table));
	names->table_size = size;
	names->by_index = xrealloc_array(names->by_index, size / 2,
					 sizeof(*names->by_index));
	for (uint32_t i = 0; i < names->n; i++)
		*find_slot(names, names->by_index[i]->text) = i + 1;
}

struct name *names_find(struct names *names, const char *text)
{
	uint32_t slot;

	if (strcmp(text, NAMES_GATEWAY) == 0 ||
	    strcmp(text, NAMES_GATEWAY_ALIAS) == 0)
		return &names->gateway;
	if (names->n == 0)
		return NULL;
	slot = *find_slot(names, text);
	return slot ? names->by_index[slot - 1] : NULL;
}

struct name *names_add(struct names *names, const char *text)
{
	struct name *name;

	if (names->n == NAMES_MAX)
		return NULL;
	if (names->n * 2 >= names->table_size)
		grow(names);
	name = xcalloc(1, sizeof(*name));
	name->text = xstrdup(text);
	name->index = NAMES_FIRST + (uint32_t)names->n;
	names->by_index[names->n] = name;
	*find_slot(names, text) = (uint32_t)++names->n;
	return name;
}

uint32_t names_address(const struct name *name)
{
	return RANGE + name->index;
}

bool names_in_range(uint32_t address)
{
	return (address & RANGE_MASK) == RANGE;
}

struct name *names_by_address(struct names *names, uint32_t address)
{
	uint32_t index = address - RANGE;

	if (index == GATEWAY_INDEX)
		return &names->gateway;
	if (index < NAMES_FIRST || index - NAMES_FIRST >= names->n)
		return NULL;
	return names->by_index[index - NAMES_FIRST];
}
