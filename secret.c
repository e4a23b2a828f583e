/* SPDX-License-Identifier: MIT */
#include "secret.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "relay.h"
#include "text.h"

#define MASK      "***"
/* A shorter end is found in too many innocent texts, and tells nothing. */
#define PIECE_MIN 4

static void add(struct strv *secrets, const char *value)
{
	if (strlen(value) >= SECRET_MIN && !strv_has(secrets, value))
		strv_push(secrets, xstrdup(value));
}

static void collect(struct strv *secrets, const struct plan *plan,
		    const struct strv *names)
{
	for (size_t i = 0; i < names->n; i++) {
		size_t len = strlen(names->v[i]);

		for (size_t j = 0; j < plan->env.n; j++) {
			const char *entry = plan->env.v[j];
			auto_free char *told = NULL;

			if (strncmp(entry, names->v[i], len) != 0 ||
			    entry[len] != '=')
				continue;
			/* As it is, and as a record has what is not UTF-8. */
			entry += len + 1;
			told = text_utf8(entry, strlen(entry));
			add(secrets, entry);
			add(secrets, told);
		}
	}
}

void secret_collect(struct strv *secrets, const struct plan *plan,
		    const struct spec *spec)
{
	collect(secrets, plan, &spec->env_pass);
	if (plan->agent)
		collect(secrets, plan, &plan->agent->env_pass);
}

/* The longest secret that `text` begins with; 0 none. */
static size_t match(const struct strv *secrets, const char *text)
{
	size_t longest = 0;

	for (size_t i = 0; i < secrets->n; i++) {
		size_t len = strlen(secrets->v[i]);

		if (len > longest && strncasecmp(text, secrets->v[i], len) == 0)
			longest = len;
	}
	return longest;
}

/* Is all of the rest the beginning of a secret, and no more of it there? */
static bool is_piece(const struct strv *secrets, const char *rest, size_t min)
{
	for (size_t i = 0; i < secrets->n; i++) {
		size_t whole = strlen(secrets->v[i]);
		size_t len = strnlen(rest, whole);

		if (len >= min && len < whole &&
		    strncasecmp(secrets->v[i], rest, len) == 0)
			return true;
	}
	return false;
}

/*
 * Masks up to where a piece of at least `min` bytes begins: *rest, at the end
 * if there is none.  The copy has room for a mask in place of it.
 */
static char *mask(const struct strv *secrets, const char *text, size_t min,
		  const char **rest)
{
	/* Nothing grows: a secret is longer than its mask, and so is a piece. */
	char *masked = xstrdup(text), *to = masked;

	_Static_assert(SECRET_MIN > strlen(MASK) && PIECE_MIN > strlen(MASK),
		       "a mask fits where it goes");
	if (secrets->n == 0) {
		*rest = text + strlen(text);
		return masked;
	}
	while (*text && !is_piece(secrets, text, min)) {
		size_t len = match(secrets, text);

		if (len == 0) {
			*to++ = *text++;
			continue;
		}
		to = mempcpy(to, MASK, strlen(MASK));
		text += len;
	}
	*to = '\0';
	*rest = text;
	return masked;
}

char *secret_mask(const struct strv *secrets, const char *text, bool cut)
{
	const char *rest;
	char *masked = mask(secrets, text, cut ? PIECE_MIN : SIZE_MAX, &rest);

	if (*rest)
		memcpy(masked + strlen(masked), MASK, sizeof(MASK));
	return masked;
}

char *secret_mask_begun(const struct strv *secrets, const char *text,
			const char **rest)
{
	return mask(secrets, text, 1, rest);
}

static void mask_text(const struct strv *secrets, char *text, size_t size)
{
	auto_free char *whole = xstrndup(text, size - 1);
	auto_free char *masked = secret_mask(secrets, whole, false);

	memcpy(text, masked, strlen(masked) + 1);
}

void secret_mask_net(const struct strv *secrets, struct net_event *event)
{
	if (secrets->n == 0)
		return;
	mask_text(secrets, event->name, sizeof(event->name));
	mask_text(secrets, event->reason, sizeof(event->reason));
	mask_text(secrets, event->remedy, sizeof(event->remedy));
}
