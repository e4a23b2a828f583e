/* SPDX-License-Identifier: MIT */
#include "gitconf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

static void keep_word(char **to, const char *word, size_t len)
{
	free(*to);
	*to = xstrndup(word, len);
	for (char *p = *to; *p; p++)
		*p = (char)tolower((unsigned char)*p);
}

/* "[core]", "[a.b]" or "[filter "x]y"]"; what stands after it. */
static char *read_section(struct gitconf *conf, char *s)
{
	bool quoted = false;

	keep_word(&conf->section, s, strcspn(s, ". \t\"]\n"));
	for (; *s && *s != '\n' && (quoted || *s != ']'); s++) {
		if (*s == '\\' && s[1] && s[1] != '\n')
			s++;
		else if (*s == '"')
			quoted = !quoted;
	}
	return s + (*s == ']');
}

/* What a backslash at `s` makes of what follows it; the last of that. */
static char *read_escape(char *s, char *out, size_t *n)
{
	static const char names[] = "tbn", meant[] = "\t\b\n";
	const char *name;

	if (s[1] == '\0')
		return s;
	s += s[1] == '\r' && s[2] == '\n' ? 2 : 1;
	/* The value goes on in the next line. */
	if (*s == '\n')
		return s;
	name = strchr(names, *s);
	out[(*n)++] = name ? meant[name - names] : *s;
	return s;
}

/* In its own place, since it is never longer: with a buffer for each the time
 * would go with the square of the length. */
static char *read_value(struct gitconf *conf, char *s)
{
	char *out = s, *end;
	/* Without the space at its end, but for what is quoted. */
	size_t n = 0, kept = 0;
	bool quoted = false;

	for (s += strspn(s, " \t"); *s && *s != '\n'; s++) {
		bool plain = !quoted && *s != '\\';

		if (plain && (*s == '#' || *s == ';'))
			break;
		if (*s == '"')
			quoted = !quoted;
		else if (*s == '\\')
			s = read_escape(s, out, &n);
		else
			out[n++] = *s;
		if (!plain || !isspace((unsigned char)*s))
			kept = n;
	}
	end = s + strcspn(s, "\n");
	if (*end)
		end++;
	out[kept] = '\0';
	conf->value = out;
	return end;
}

bool gitconf_next(struct gitconf *conf)
{
	char *s = conf->at;
	size_t n;

	for (;;) {
		s += strspn(s, " \t\r\n");
		if (*s == '[')
			s = read_section(conf, s + 1);
		else if (*s == '#' || *s == ';')
			s += strcspn(s, "\n");
		else
			break;
	}
	n = strcspn(s, " \t\r\n=");
	if (*s == '\0')
		return false;
	keep_word(&conf->name, s, n);
	s += n + strspn(s + n, " \t");
	conf->at = read_value(conf, s + (*s == '='));
	return true;
}

void gitconf_start(struct gitconf *conf, char *text)
{
	/* The mark of UTF-8, which git passes over too. */
	bool mark = strncmp(text, "\xef\xbb\xbf", 3) == 0;

	*conf = (struct gitconf){ .at = mark ? text + 3 : text,
				  .section = xstrdup("") };
}

void gitconf_pair(struct gitconf *conf, const char *key, char *value)
{
	const char *name = strrchr(key, '.') + 1;

	*conf = (struct gitconf){ .value = value };
	keep_word(&conf->section, key, strcspn(key, "."));
	keep_word(&conf->name, name, strlen(name));
}

void gitconf_end(struct gitconf *conf)
{
	free(conf->section);
	free(conf->name);
}
