/* SPDX-License-Identifier: MIT */
#include "suggest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "confined.h"
#include "danger.h"
#include "err.h"
#include "netaddr.h"
#include "netpol.h"
#include "option.h"
#include "record.h"
#include "relay_state.h"
#include "text.h"
#include "textdiff.h"
#include "unpack.h"

/* Hosts and commands each; a payload can ask for any number. */
#define ADDED_MAX 256

struct suggestion {
	struct spec *spec;
	FILE *out, *remarks;
	bool json;
	const char *seen;
	int seen_fd;
	struct net_policy policy; /* of the spec as it was */
	struct strv hosts, commands;
	struct strv told; /* remarks, each once */
	bool untold;      /* there were more */
};

/*** Remarks ***/

/* `what` is the payload's: shown so that it cannot steer the terminal. */
static void remark(struct suggestion *s, const char *what, const char *why)
{
	auto_free char *visible = text_visible(what, false);
	auto_free char *line = xasprintf("%.200s: %s", visible, why);

	if (strv_has(&s->told, line))
		return;
	if (s->told.n == ADDED_MAX) {
		s->untold = true;
		return;
	}
	fprintf(s->remarks, "left out: %s\n", line);
	strv_push(&s->told, take_ptr(&line));
}

/* In other letters than ASCII, in which a run records none, one name looks like
 * another, and the user is to read each. */
static bool is_readable(const char *name)
{
	auto_free char *visible = text_visible(name, false);

	return strcmp(visible, name) == 0;
}

/*** The spec grows by flags ***/

/* As if it stood on the command line; false: the flag does not take it. */
static bool add_flag(struct spec *spec, const char *flag, const char *value)
{
	const struct option *o = option_by_flag(flag, strlen(flag));
	struct parse p = { .spec = spec, .source = FROM_FLAG };
	char *words[] = { (char *)(uintptr_t)value, NULL };

	o->type->set(&p, o, words);
	if (p.problems == 0)
		spec->asked[option_index(o)] = true;
	return p.problems == 0;
}

static void forget(struct spec *spec, const char *key)
{
	for (size_t i = 0; i < option_count; i++)
		if (option_table[i].key &&
		    strcmp(option_table[i].key, key) == 0)
			spec->asked[i] = false;
}

/*** Hosts ***/

/* Why nobody should get this by a suggestion, or NULL. */
static const char *risk_of(const struct net_rule *rule)
{
	if (!net_rule_is_one_host(rule))
		return "no single host";
	if (rule->port_lo != rule->port_hi)
		return "no single port";
	if (rule->kind == NET_RULE_CIDR)
		return netaddr_special(&rule->addr);
	if (strcmp(rule->name, NAMES_GATEWAY) == 0 ||
	    strcmp(rule->name, NAMES_GATEWAY_ALIAS) == 0)
		return "a service of this host (--host-port allows its port)";
	return NULL;
}

static bool is_allowed(const struct suggestion *s, const struct net_rule *rule)
{
	if (rule->kind != NET_RULE_NAME)
		return relay_rule_for_addr(&s->policy, &rule->addr,
					   rule->port_lo) != NULL;
	if (rule->port_lo == 0)
		return relay_rule_naming(&s->policy, rule->name) != NULL;
	return relay_rule_for_name(&s->policy, rule->name, rule->port_lo) !=
	       NULL;
}

static void add_host(struct suggestion *s, const struct net_rule *rule,
		     const char *text)
{
	const char *risk = risk_of(rule);

	if (risk)
		remark(s, text, risk);
	else if (s->hosts.n == ADDED_MAX)
		remark(s, "more hosts", "too many were seen");
	else if (!strv_has(&s->hosts, text))
		strv_push(&s->hosts, xstrdup(text));
}

static void see_host(struct suggestion *s, const char *text)
{
	struct net_rule rule = { 0 };
	char why[256] = "";

	if (!is_readable(text) ||
	    net_rule_parse(text, &rule, why, sizeof(why)) < 0) {
		remark(s, text, "no host name");
		return;
	}
	if (!is_allowed(s, &rule))
		add_host(s, &rule, text);
	net_rule_free(&rule);
}

static const char *string_of(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(
	    cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool is_said(const cJSON *object, const char *key, const char *value)
{
	const char *said = string_of(object, key);

	return said && strcmp(said, value) == 0;
}

static void see_connection(struct suggestion *s, const cJSON *event)
{
	const char *name = string_of(event, "name");
	const char *host = name ? name : string_of(event, "addr");
	double port = cJSON_GetNumberValue(
	    cJSON_GetObjectItemCaseSensitive(event, "port"));
	auto_free char *text = NULL;

	if (!host || !is_said(event, "protocol", "tcp") ||
	    is_said(event, "direction", "in") || !(port >= 1 && port <= 65535))
		return;
	text = netaddr_with_port(host, (unsigned int)port);
	if (is_said(event, "remedy", "--allow-ech"))
		remark(s, text,
		       "TLS that hides the name it asks for (--allow-ech would "
		       "let it)");
	see_host(s, text);
}

/* A name that was refused: what it would be connected to at is not known. */
static void see_question(struct suggestion *s, const cJSON *event)
{
	const char *name = string_of(event, "name");

	if (name && is_said(event, "verdict", "denied") &&
	    string_of(event, "remedy"))
		see_host(s, name);
}

/*** Commands ***/

/* Those that no list covered say which word of it they need. */
static void see_execution(struct suggestion *s, const cJSON *event)
{
	static const char flag[] = "--allow-command ";
	static const char more[] = " --allow-dangerous-commands";
	const char *remedy = string_of(event, "remedy");
	auto_free char *name = NULL;
	const char *danger;

	if (!remedy || strncmp(remedy, flag, strlen(flag)) != 0)
		return;
	remedy += strlen(flag);
	name = xstrndup(remedy, strcspn(remedy, " "));
	danger = danger_by_name(path_base(name));
	if (danger)
		remark(s, name, danger);
	else if (strstr(remedy, more))
		remark(s, name, "brings along what no list may have");
	else if (!is_readable(name))
		remark(s, name, "no name of a command");
	else if (name[0] == '/' || name[0] == '\'')
		remark(s, name, "a program outside of the usual folders");
	else if (s->commands.n == ADDED_MAX)
		remark(s, "more commands", "too many were seen");
	else if (!strv_has(&s->commands, name))
		strv_push(&s->commands, xstrdup(name));
}

/*** What was seen ***/

static const struct {
	const char *event;
	void (*see)(struct suggestion *s, const cJSON *event);
} kinds[] = {
	{ "connect", see_connection },
	{ "denied", see_connection },
	{ "dns", see_question },
	{ "exec", see_execution },
};

static void see_event(void *arg, cJSON *event)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (is_said(event, "event", kinds[i].event))
			kinds[i].see(arg, event);
	cJSON_Delete(event);
}

/* Twice what it took at its height, in steps that a person would choose. */
static uint64_t headroom(const cJSON *result, const char *key, uint64_t step)
{
	double peak = cJSON_GetNumberValue(
	    cJSON_GetObjectItemCaseSensitive(result, key));

	if (!(peak >= 1 && peak < 1e15))
		return 0;
	return ((uint64_t)peak * 2 + step - 1) / step * step;
}

static void see_result(void *arg, cJSON *result)
{
	static const struct {
		const char *key, *flag;
		uint64_t step;
	} caps[] = { { "memory_peak", "memory", 256 << 20 },
		     { "pids_peak", "pids", 32 } };
	struct suggestion *s = arg;

	/* Nobody but a cgroup counts processes: without one the memory is that
	 * of the largest, and a cap that is asked for could not be had. */
	for (size_t i = 0;
	     headroom(result, "pids_peak", 1) && i < ARRAY_SIZE(caps); i++) {
		uint64_t cap = headroom(result, caps[i].key, caps[i].step);
		auto_free char *value = xasprintf("%llu",
						  (unsigned long long)cap);

		if (cap)
			add_flag(s->spec, caps[i].flag, value);
	}
	cJSON_Delete(result);
}

/*** The answer ***/

static char *print(const struct spec *spec)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int rc = out ? spec_print(spec, out) : -1;

	if (out)
		fclose(out);
	if (rc == 0)
		return text;
	free(text);
	return NULL;
}

/* The profile's own hosts stay, now by name. */
static void open_network(struct suggestion *s, const struct agent *agent)
{
	struct spec *spec = s->spec;

	for (size_t i = 0; agent && spec->network == SPEC_NETWORK_RESTRICTED &&
			   i < agent->hosts.n;
	     i++)
		add_flag(spec, "allow", agent->hosts.v[i]);
	add_flag(spec, "network", "allow");
}

static void widen(struct suggestion *s, const struct agent *agent)
{
	if (s->hosts.n)
		open_network(s, agent);
	for (size_t i = 0; i < s->hosts.n; i++)
		add_flag(s->spec, "allow", s->hosts.v[i]);
	for (size_t i = 0; i < s->commands.n; i++)
		if (!add_flag(s->spec, "allow-command", s->commands.v[i]))
			remark(s, s->commands.v[i], "no name of a command");
	s->spec->permissive = false;
	forget(s->spec, "permissive");
}

static int answer(struct suggestion *s, const struct agent *agent)
{
	const struct record_reader reader = { see_event, see_result, NULL, NULL,
					      s };
	auto_free char *before = NULL;
	auto_free char *after = NULL;

	/* A value may be a secret: the spec is made to be shown. */
	if (s->spec->n_env)
		remark(s, "env", "values are not repeated: give them again");
	forget(s->spec, "env");
	forget(s->spec, "unsetenv");
	before = print(s->spec);
	if (!before)
		return -1;
	if (record_scan(s->seen_fd, &reader) < 0)
		return record_blame(s->seen);
	widen(s, agent);
	if (s->untold)
		fputs("left out: more than these, each for such a reason\n",
		      s->remarks);
	after = print(s->spec);
	if (!after)
		return -1;
	if (s->json)
		fputs(after, s->out);
	else
		textdiff_print(s->out, before, strlen(before), after,
			       strlen(after));
	return fflush(s->out) == 0 && fflush(s->remarks) == 0
		   ? 0
		   : fail(errno, "cannot print the suggestion");
}

static struct agent *agent_of(const struct spec *spec)
{
	const char *word = spec->agent       ? spec->agent
			   : spec->command.n ? spec->command.v[0]
					     : "";

	return agent_find(path_base(word));
}

/* In a process of its own, which ends with it: what it takes goes then. */
static int work(const void *arg, void *report)
{
	struct suggestion s = *(const struct suggestion *)arg;
	struct agent *agent = agent_of(s.spec);
	bool permissive = s.spec->permissive;
	int rc;

	(void)report;
	s.spec->permissive = false;
	rc = netpol_plan(&s.policy, s.spec, agent);
	s.spec->permissive = permissive;
	if (rc == 0)
		rc = answer(&s, agent);
	netpol_free(&s.policy);
	agent_free(agent);
	strv_free(&s.hosts);
	strv_free(&s.commands);
	strv_free(&s.told);
	return rc;
}

int suggest_spec(struct spec *spec, const char *seen, bool json, FILE *out,
		 FILE *remarks)
{
	auto_fd int fd = open(seen,
			      O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const struct suggestion s = { .spec = spec,
				      .out = out,
				      .remarks = remarks,
				      .json = json,
				      .seen = seen,
				      .seen_fd = fd };
	const int keep[] = { fileno(out), fileno(remarks), fd };
	/* Root's rights are of no use to a record. */
	struct confined child = { .name = "reader of the record",
				  .uid = CONFINED_NOBODY,
				  .gid = CONFINED_NOBODY,
				  .keep = keep,
				  .n_keep = ARRAY_SIZE(keep),
				  .work = work,
				  .arg = &s };
	struct stat st;
	char report = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(errno, "cannot open %s", seen);
	if (!S_ISREG(st.st_mode))
		return fail(0, "cannot read %s: it is no file", seen);
	if (unpack_load() < 0)
		return -1;
	return confined_run(&child, &report, sizeof(report));
}
