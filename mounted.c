/* SPDX-License-Identifier: MIT */
#include "mounted.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "err.h"
#include "util.h"
#include "walk.h"

#define MOUNTS_MAX (16 << 20)

/*
 * Not told apart: NFS says "/" for whatever folder of it is mounted, and the
 * layers of an overlay are places of other file systems than the overlay's.
 */

/*** /proc/self/mountinfo ***/

/* A word with its "\040" made a space again; owned. */
static char *unescape(const char *word, size_t len)
{
	char *text = xcalloc(1, len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char octal[4] = "";

		if (word[i] == '\\' && len - i > 3) {
			memcpy(octal, word + i + 1, 3);
			text[n++] = (char)strtoul(octal, NULL, 8);
			i += 3;
		} else {
			text[n++] = word[i];
		}
	}
	return text;
}

/* "36 35 98:0 /root /mount/point options...": 1; 0 at the end of all; -1 for a
 * line that is none such. */
static int next_mount(const char **text, struct mounted_part *m)
{
	const char *words[5], *p = *text;
	size_t lens[ARRAY_SIZE(words)];

	if (*p == '\0')
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		words[i] = p;
		lens[i] = strcspn(p, " \n");
		p += lens[i];
		if (*p++ != ' ')
			return -1;
	}
	p += strcspn(p, "\n");
	*text = p + (*p == '\n');
	*m = (struct mounted_part){
		.id = strtoull(words[0], NULL, 10),
		.at = unescape(words[4], lens[4]),
		.device = xstrndup(words[2], lens[2]),
		.place = unescape(words[3], lens[3]),
	};
	return 1;
}

static void push(struct mounted *mounted, const struct mounted_part *part)
{
	mounted->v = xrealloc_array(mounted->v, mounted->n + 1, sizeof(*part));
	mounted->v[mounted->n++] = *part;
}

/*** Places ***/

static bool find_place(const struct mounted *mounted, const char *path,
		       struct mounted_part *found)
{
	const struct mounted_part *m = mounted->v;
	const char *rest;
	struct statx st;

	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &st) < 0 ||
	    !(st.stx_mask & STATX_MNT_ID))
		return false;
	while (m < mounted->v + mounted->n && m->id != st.stx_mnt_id)
		m++;
	if (m == mounted->v + mounted->n || !path_under(path, m->at))
		return false;
	rest = path + strlen(m->at);
	rest += strspn(rest, "/");
	*found = (struct mounted_part){
		.at = xstrdup(path),
		.device = xstrdup(m->device),
		.place = *rest ? path_join(m->place, rest) : xstrdup(m->place),
	};
	return true;
}

static void free_part(struct mounted_part *part)
{
	free(part->at);
	free(part->device);
	free(part->place);
}

int mounted_read(struct mounted *mounted, const char *tree)
{
	auto_free char *text = read_file(AT_FDCWD, "/proc/self/mountinfo",
					 MOUNTS_MAX, NULL);
	const char *at = text;
	struct mounted_part part;
	int more;

	*mounted = (struct mounted){ 0 };
	if (text == NULL)
		return fail(errno, "cannot read /proc/self/mountinfo");
	while ((more = next_mount(&at, &part)) == 1) {
		part.inside = path_under(part.at, tree);
		push(mounted, &part);
	}
	/* Whatever mounts come after it would be overlooked. */
	if (more < 0)
		return fail(0, "cannot read /proc/self/mountinfo: a line of it "
			       "tells of no mount");
	if (!find_place(mounted, tree, &part))
		return fail(0, "cannot tell which mount %s is on", tree);
	part.inside = true;
	push(mounted, &part);
	return 0;
}

void mounted_free(struct mounted *mounted)
{
	for (size_t i = 0; i < mounted->n; i++)
		free_part(&mounted->v[i]);
	free(mounted->v);
	*mounted = (struct mounted){ 0 };
}

/*** Answers ***/

static bool is_held(const struct mounted_part *part,
		    const struct mounted_part *place)
{
	return strcmp(part->device, place->device) == 0 &&
	       path_under(place->place, part->place);
}

static const char *find_part(const struct mounted *mounted, const char *path,
			     bool either_way)
{
	struct mounted_part place;
	const char *found = NULL;

	if (!find_place(mounted, path, &place))
		return mounted->v[mounted->n - 1].at;
	for (size_t i = mounted->n; !found && i-- > 0;) {
		const struct mounted_part *part = &mounted->v[i];

		if (part->inside && (is_held(part, &place) ||
				     (either_way && is_held(&place, part))))
			found = part->at;
	}
	free_part(&place);
	return found;
}

const char *mounted_holds(const struct mounted *mounted, const char *path)
{
	return find_part(mounted, path, false);
}

const char *mounted_meets(const struct mounted *mounted, const char *path)
{
	return find_part(mounted, path, true);
}

bool mounted_on_way(const struct mounted *mounted, const char *path)
{
	auto_strv struct strv places = { 0 }, links = { 0 };

	walk_way(path, &places, &links);
	for (size_t i = 0; i < places.n; i++)
		if (mounted_holds(mounted, places.v[i]))
			return true;
	return false;
}
