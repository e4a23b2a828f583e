/* SPDX-License-Identifier: MIT */
#include "exec.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>

#include "codeless.h"
#include "exec_look.h"
#include "secret.h"

/*
 * System calls that the filter refuses.  The first few of each kind are events;
 * a loop of them costs its own process a wait for each, and us no line.
 */

static uint64_t count(struct exec_refusals *refusals, int nr)
{
	size_t i = 0;

	while (i < refusals->n && refusals->calls[i].nr != nr)
		i++;
	if (i == ARRAY_SIZE(refusals->calls))
		return EXEC_REFUSALS_MAX + 2;
	if (i == refusals->n)
		refusals->calls[refusals->n++].nr = nr;
	return ++refusals->calls[i].count;
}

/* By our own table; any other name only a profile can refuse. */
static char *name_of(int nr)
{
	const char *known = codeless_call_name(nr);
	char *name = known ? xstrdup(known) : seccomp_call_name(nr);

	if (!name)
		name = seccomp_library_name(nr);
	return name ? name : xasprintf("call %d", nr);
}

/* Is it the list of allowed commands that refuses it? */
static bool is_code(const struct plan *plan, const struct seccomp_data *data)
{
	return plan->commands.listed &&
	       seccomp_judge(&codeless_filter, data) != SECCOMP_RET_ALLOW;
}

/* Would a profile of the user's be heard? */
static const char *remedy_for(const struct plan *plan,
			      const struct seccomp_data *data, bool code)
{
	if (code)
		return "no list of allowed commands";
	if (plan->profile && seccomp_profile_takes_away(plan->profile))
		return NULL;
	return seccomp_judge(&seccomp_floor, data) == SECCOMP_RET_ALLOW
		   ? "--seccomp FILE with a profile that allows it"
		   : NULL;
}

static void emit(struct exec_recorder *r, const struct seccomp_notif *notif,
		 const char *name, const char *remedy, int error)
{
	auto_free char *program = exec_look_program(&r->place,
						    (pid_t)notif->pid);
	struct exec_attempt who = EXEC_ATTEMPT_NONE;
	/* A profile of the user's may have numbers that have no name. */
	const char *label = strerrorname_np(error);
	struct json_writer *e = event_begin(r->log, "denied");

	json_write_string(e, "layer", "seccomp");
	json_write_string(e, "call", name);
	json_write_open(e, "args", '[');
	for (size_t i = 0; i < ARRAY_SIZE(notif->data.args); i++)
		json_write_number(e, NULL, notif->data.args[i]);
	json_write_close(e, ']');
	exec_look_ids(&who, &r->place, (pid_t)notif->pid);
	if (who.pid)
		json_write_number(e, "pid", (uint64_t)who.pid);
	if (program) {
		auto_free char *clean = secret_mask(r->secrets, program, false);

		json_write_string(e, "command", clean);
	}
	json_write_string(e, "verdict", "denied");
	json_write_string(e, "error", label ? label : strerror(error));
	if (remedy)
		json_write_string(e, "remedy", remedy);
	event_end(r->log);
}

static void emit_limit(struct exec_recorder *r, const char *name)
{
	struct json_writer *e = event_begin(r->log, "limit");

	json_write_string(e, "what", "seccomp");
	json_write_string(e, "name", name);
	json_write_string(e, "reason", "further calls are counted only");
	event_end(r->log);
}

void exec_refuse(struct exec_recorder *r, const struct seccomp_notif *notif,
		 int error)
{
	auto_free char *name = name_of(notif->data.nr);
	bool code = is_code(r->plan, &notif->data);
	const char *remedy = remedy_for(r->plan, &notif->data, code);
	uint64_t n;

	/* Only now: while it waits, its number is nobody else's. */
	if (ioctl(r->listener_fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &notif->id) <
	    0) {
		if (errno != ENOENT)
			exec_lose(r);
		return;
	}
	n = count(&r->refusals, notif->data.nr);
	if (n <= EXEC_REFUSALS_MAX)
		emit(r, notif, name, remedy, error);
	exec_answer(r, notif->id, error);
	if (n == EXEC_REFUSALS_MAX + 1)
		emit_limit(r, name);
	outcome_add_denial(r->outcome, "seccomp", name,
			   code ? "code in memory would be on no list of "
				  "allowed commands"
				: "refused by the system call filter",
			   remedy);
}
