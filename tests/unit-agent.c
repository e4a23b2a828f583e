/* SPDX-License-Identifier: MIT */
#include "agent.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

struct lookup {
	const char *name;
	const char *agent; /* NULL: unknown */
};

static const struct lookup lookups[] = {
	{ "claude", "claude" },
	{ "cli.claude-code", "claude" },
	{ "/home/u/.local/bin/claude", "claude" },
	{ "./claude", "claude" },
	{ "codex", "codex" },
	{ "cli.codex", "codex" },
	{ "aider", "aider" },
	{ "cli.aider", "aider" },
	{ "/usr/bin/cli.aider", NULL },
	{ "bash", NULL },
	{ "none", NULL },
	{ "", NULL },
	{ "/", NULL },
	{ "Claude", NULL },
};

static const struct lookup near_names[] = {
	{ "claud", "claude" },
	{ "cluade", "claude" },
	{ "cli.claude-cod", "cli.claude-code" },
	{ "cli.codx", "cli.codex" },
	{ "adier", "aider" },
	{ "something-else", NULL },
	{ "", NULL },
};

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void check_lookups(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(lookups); i++) {
		const struct lookup *t = &lookups[i];
		struct agent *agent = agent_find(t->name);

		ok(same(agent ? agent->name : NULL, t->agent), "\"%s\" is %s",
		   t->name, t->agent ? t->agent : "unknown");
		agent_free(agent);
	}
	for (size_t i = 0; i < ARRAY_SIZE(near_names); i++) {
		const struct lookup *t = &near_names[i];
		auto_free char *near = agent_suggest(t->name);

		ok(same(near, t->agent), "\"%s\" suggests %s, not %s", t->name,
		   t->agent ? t->agent : "nothing", near ? near : "nothing");
	}
}

static bool each_contains(const struct strv *list, const char *needle)
{
	for (size_t i = 0; i < list->n; i++)
		if (strstr(list->v[i], needle) == NULL)
			return false;
	return true;
}

/* What holds for every profile, and keeps a slip in its JSON from shipping. */
static void check_profile(const char *name)
{
	struct agent *agent = agent_find(name);

	if (!ok(agent != NULL, "profile %s can be read", name))
		return;
	ok(agent->install[0] != '\0', "%s says how it is installed", name);
	ok(strv_has(&agent->binaries, agent->argv.v[0]),
	   "%s's own command means %s", name, name);
	ok(each_contains(&agent->types, "cli."), "%s's node types", name);
	ok(each_contains(&agent->env, "="), "%s sets NAME=VALUE", name);
	ok(agent->hosts.n > 0 && each_contains(&agent->hosts, ":443"),
	   "%s's hosts have a port", name);
	ok(agent->env_pass.n > 0, "%s passes its key on", name);
	for (size_t i = 0; i < agent->env_pass.n; i++)
		ok(strchr(agent->env_pass.v[i], '=') == NULL, "%s passes %s",
		   name, agent->env_pass.v[i]);
	ok(agent->stop_signal == SIGINT || agent->stop_signal == SIGTERM,
	   "%s has a polite signal", name);
	agent_free(agent);
}

static void check_list(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	ok(agent_list(out) == 0, "the list is printed");
	fclose(out);
	ok(strstr(text, "claude -p --dangerously-skip-permissions") != NULL,
	   "the list shows commands");
	ok(strstr(text, "api.openai.com:443") != NULL, "the list shows hosts");
	ok(strstr(text, "ANTHROPIC_API_KEY") != NULL, "the list shows names");
	free(text);
}

int main(void)
{
	check_lookups();
	check_profile("claude");
	check_profile("codex");
	check_profile("aider");
	check_list();
	return done();
}
