/* SPDX-License-Identifier: MIT */
#include "straggler.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "members.h"
#include "secret.h"
#include "supervise.h"
#include "text.h"

/* For a killed process to be gone before anybody wonders. */
#define PATIENCE_MS 2000
/* They mostly wait for the same. */
#define TOLD_MAX    4

/* Its name, which may hold anything, or NULL if it is dead by now. */
static char *name_of(pid_t pid)
{
	auto_free char *path = xasprintf("/proc/%d/stat", pid);
	auto_free char *text = read_file(AT_FDCWD, path, 4096, NULL);
	char *name = text ? strchr(text, '(') : NULL;
	char *end = text ? strrchr(text, ')') : NULL;

	if (name == NULL || end == NULL || strchr("ZX", end[2]))
		return NULL;
	*end = '\0';
	return xstrdup(name + 1);
}

/* Where in the kernel it sleeps; "" where nobody says. */
static char *place_of(pid_t pid)
{
	auto_free char *path = xasprintf("/proc/%d/wchan", pid);
	char *text = read_file(AT_FDCWD, path, 256, NULL);

	if (text && strcmp(text, "0") != 0)
		return text;
	free(text);
	return xstrdup("");
}

static void tell(const char *name, pid_t pid, const struct supervision *run,
		 struct outcome *outcome)
{
	auto_free char *masked = secret_mask(run->secrets, name, true);
	auto_free char *shown = text_visible(masked, true);
	auto_free char *place = place_of(pid);
	auto_free char *text = xasprintf(
	    "%s (process %d) was killed and does not die yet: it waits in the "
	    "kernel%s%s, and the run for it",
	    shown, pid, place[0] ? ", in " : "", place);

	warn("%s", text);
	outcome_add_warning(outcome, "%s", text);
}

void straggler_begin(struct straggler *straggler)
{
	if (!straggler->begun)
		straggler->next = now_ms(CLOCK_MONOTONIC) + PATIENCE_MS;
	straggler->begun = true;
}

void straggler_look(struct straggler *straggler, const struct supervision *run,
		    struct outcome *outcome)
{
	auto_free struct members *m = NULL;
	size_t told = 0;

	if (straggler->next == 0 || now_ms(CLOCK_MONOTONIC) < straggler->next)
		return;
	straggler->next = 0;
	m = members_of(run->child->pid);
	/* PID 1 itself only waits for the others. */
	for (size_t i = 1; i < m->n && told < TOLD_MAX; i++) {
		auto_free char *name = name_of(m->pids[i]);

		if (name) {
			tell(name, m->pids[i], run, outcome);
			told++;
		}
	}
}
