/* SPDX-License-Identifier: MIT */
#include "agent.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "near.h"

struct embedded {
	const char *name;
	const char *json;
};

static const struct embedded profiles[] = {
#include "profiles.inc"
};

struct list_key {
	const char *key;
	size_t offset;
};

#define LIST(member)                                                           \
	{                                                                      \
#member, offsetof(struct agent, member)                        \
	}

static const struct list_key list_keys[] = {
	LIST(types),    LIST(binaries), LIST(native), LIST(argv),
	LIST(env_pass), LIST(env),      LIST(hosts),  LIST(plumbing),
};

struct signal_name {
	const char *name;
	int number;
};

/* What an agent may be asked to stop by; anything else ends it at once. */
static const struct signal_name stop_signals[] = {
	{ "INT", SIGINT },
	{ "TERM", SIGTERM },
	{ "HUP", SIGHUP },
};

static struct strv *list_of(struct agent *agent, const struct list_key *key)
{
	return (struct strv *)((char *)agent + key->offset);
}

static int read_list(const cJSON *object, const struct list_key *key,
		     struct agent *agent)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key->key);
	const cJSON *item;

	if (!cJSON_IsArray(list))
		return -1;
	cJSON_ArrayForEach(item, list)
	{
		if (!cJSON_IsString(item))
			return -1;
		strv_push(list_of(agent, key), xstrdup(item->valuestring));
	}
	return 0;
}

static int read_string(const cJSON *object, const char *key, char **out)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

	if (!cJSON_IsString(item))
		return -1;
	*out = xstrdup(item->valuestring);
	return 0;
}

static int read_signal(const cJSON *object, int *out)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object,
							     "stop_signal");

	for (size_t i = 0; i < ARRAY_SIZE(stop_signals); i++) {
		if (!cJSON_IsString(item) ||
		    strcmp(item->valuestring, stop_signals[i].name) != 0)
			continue;
		*out = stop_signals[i].number;
		return 0;
	}
	return -1;
}

static int read_agent(const cJSON *object, struct agent *agent)
{
	if (read_string(object, "name", &agent->name) < 0 ||
	    read_string(object, "install", &agent->install) < 0 ||
	    read_signal(object, &agent->stop_signal) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(list_keys); i++)
		if (read_list(object, &list_keys[i], agent) < 0)
			return -1;
	return agent->argv.n > 0 && agent->binaries.n > 0 ? 0 : -1;
}

/* A profile is part of the program: one that does not parse is a bug that the
 * unit test catches, and to its users the agent is then unknown. */
static struct agent *load(const struct embedded *profile)
{
	struct agent *agent = xcalloc(1, sizeof(*agent));
	cJSON *object = cJSON_Parse(profile->json);
	int rc = read_agent(object, agent);

	cJSON_Delete(object);
	if (rc == 0)
		return agent;
	agent_free(agent);
	return NULL;
}

void agent_free(struct agent *agent)
{
	if (agent == NULL)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(list_keys); i++)
		strv_free(list_of(agent, &list_keys[i]));
	free(agent->name);
	free(agent->install);
	free(agent);
}

static bool goes_by(const struct agent *agent, const char *name)
{
	const char *slash = strrchr(name, '/');

	/* A path can only be a command. */
	if (slash)
		return strv_has(&agent->binaries, slash + 1);
	return strcmp(agent->name, name) == 0 ||
	       strv_has(&agent->types, name) ||
	       strv_has(&agent->binaries, name);
}

struct agent *agent_find(const char *name_type_or_binary)
{
	const char *word = path_base(name_type_or_binary);

	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
		struct agent *agent;

		/* Every start asks for its command: most are no agent, which
		 * can be seen without parsing. */
		if (strstr(profiles[i].json, word) == NULL)
			continue;
		agent = load(&profiles[i]);
		if (agent && goes_by(agent, name_type_or_binary))
			return agent;
		agent_free(agent);
	}
	return NULL;
}

static void offer_list(struct near_match *match, struct agent *agent)
{
	near_offer(match, agent->name);
	for (size_t i = 0; i < agent->types.n; i++)
		near_offer(match, agent->types.v[i]);
}

char *agent_suggest(const char *name)
{
	struct near_match match = { .word = name };
	struct agent *agents[ARRAY_SIZE(profiles)];
	char *suggestion;

	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
		agents[i] = load(&profiles[i]);
		if (agents[i])
			offer_list(&match, agents[i]);
	}
	suggestion = match.best ? xstrdup(match.best) : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++)
		agent_free(agents[i]);
	return suggestion;
}

static void print_list(FILE *out, const char *label, const struct strv *list)
{
	fprintf(out, "  %-8s", label);
	for (size_t i = 0; i < list->n; i++)
		fprintf(out, " %s", list->v[i]);
	fputc('\n', out);
}

int agent_list(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(profiles); i++) {
		struct agent *agent = load(&profiles[i]);

		if (agent == NULL)
			return fail(EINVAL, "cannot read built-in profile %s",
				    profiles[i].name);
		fprintf(out, "%s%s\n", i ? "\n" : "", agent->name);
		print_list(out, "types", &agent->types);
		print_list(out, "command", &agent->argv);
		print_list(out, "hosts", &agent->hosts);
		print_list(out, "passes", &agent->env_pass);
		print_list(out, "sets", &agent->env);
		print_list(out, "runs", &agent->plumbing);
		fprintf(out, "  %-8s %s\n", "install", agent->install);
		agent_free(agent);
	}
	return ferror(out) ? fail(errno, "cannot write the list of agents") : 0;
}
