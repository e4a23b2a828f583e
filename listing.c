/* SPDX-License-Identifier: MIT */
#include "listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/* A few names always fit, whatever the limit. */
#define LEAST 16

static const char *text_of(const struct listing *list, size_t i)
{
	return list->text + list->at[i] + 1;
}

/* walk_next gives none that is longer. */
static void keep_name(char to[NAME_MAX + 1], const char *name)
{
	memcpy(to, name, strnlen(name, NAME_MAX) + 1);
	to[NAME_MAX] = '\0';
}

static int compare(const void *a, const void *b, void *text)
{
	const uint32_t *x = a, *y = b;

	return strcmp((char *)text + *x + 1, (char *)text + *y + 1);
}

static void sort(struct listing *list)
{
	if (list->n > 1)
		qsort_r(list->at, list->n, sizeof(*list->at), compare,
			list->text);
}

void listing_start(struct listing *list, int dir_fd)
{
	*list = (struct listing){ 0 };
	walk_start(&list->reader, dir_fd);
}

size_t listing_memory(const struct listing *list)
{
	return list->size + list->n * sizeof(*list->at);
}

static void add(struct listing *list, const struct walk_name *name)
{
	size_t len = strlen(name->name) + 1;

	if (list->text == NULL || list->used + len + 1 > list->size) {
		list->size = list->size ? 2 * list->size : 2048;
		list->text = xrealloc_array(list->text, list->size, 1);
	}
	/* The index doubles too: there is room up to the next power of 2. */
	if ((list->n & (list->n - 1)) == 0)
		list->at = xrealloc_array(list->at, list->n ? 2 * list->n : 1,
					  sizeof(*list->at));
	list->at[list->n++] = (uint32_t)list->used;
	list->text[list->used] = (char)name->type;
	memcpy(list->text + list->used + 1, name->name, len);
	list->used += len + 1;
}

/* Drops the greater half; `ceiling` becomes the least name of it. */
static void halve(struct listing *list, char ceiling[NAME_MAX + 1])
{
	struct listing kept = { 0 };

	sort(list);
	for (size_t i = 0; i < list->n / 2; i++) {
		struct walk_name name = {
			text_of(list, i), (unsigned char)list->text[list->at[i]]
		};

		add(&kept, &name);
	}
	keep_name(ceiling, text_of(list, list->n / 2));
	free(list->text);
	free(list->at);
	list->text = kept.text;
	list->at = kept.at;
	list->n = kept.n;
	list->used = kept.used;
	list->size = kept.size;
	list->more = true;
}

static int fill(struct listing *list, size_t limit)
{
	char ceiling[NAME_MAX + 1];
	struct walk_name name;
	int rc;

	list->n = list->next = list->used = 0;
	list->more = false;
	while ((rc = walk_next(&list->reader, &name)) == 1) {
		if (list->last[0] && strcmp(name.name, list->last) <= 0)
			continue;
		if (list->more && strcmp(name.name, ceiling) >= 0)
			continue;
		add(list, &name);
		if (list->n > LEAST && list->used + 8 * list->n > limit)
			halve(list, ceiling);
	}
	if (rc < 0 || walk_rewind(&list->reader) < 0)
		return -1;
	sort(list);
	if (list->n)
		keep_name(list->last, text_of(list, list->n - 1));
	return 0;
}

int listing_next(struct listing *list, size_t limit, struct walk_name *name)
{
	bool first = list->text == NULL;

	if (list->next == list->n && (first || list->more) &&
	    fill(list, limit) < 0)
		return -1;
	if (list->next == list->n)
		return 0;
	name->name = text_of(list, list->next);
	name->type = (unsigned char)list->text[list->at[list->next++]];
	return 1;
}

void listing_end(struct listing *list)
{
	walk_end(&list->reader);
	free(list->text);
	free(list->at);
	*list = (struct listing){ .reader.fd = -1 };
}
