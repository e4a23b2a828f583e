/* SPDX-License-Identifier: MIT */
#include "option.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "near.h"

#define STRINGS "an array of strings"

static void push(struct parse *p, const struct option *o, const char *text)
{
	struct strv *list = option_field(p->spec, o);

	if (!strv_has(list, text))
		strv_push(list, xstrdup(text));
}

static cJSON *dump_strings(const struct spec *spec, const struct option *o)
{
	const struct strv *list = option_field(spec, o);

	/* An empty list can say something: no command is allowed. */
	if (list->n == 0)
		return cJSON_CreateArray();
	return cJSON_CreateStringArray((const char *const *)list->v,
				       (int)list->n);
}

static void clear_strings(struct spec *spec, const struct option *o)
{
	strv_free(option_field(spec, o));
}

/* The command is one value, not a list that adds up. */
static void load_command(struct parse *p, const struct option *o,
			 const cJSON *value)
{
	struct strv *command = option_field(p->spec, o);
	const cJSON *word;
	size_t index = 0;

	if (!cJSON_IsArray(value)) {
		wrong_type(p, "an array of strings such as [\"make\", \"-k\"]",
			   value);
		return;
	}
	cJSON_ArrayForEach(word, value)
	{
		size_t back = where_index(p, index++);

		if (cJSON_IsString(word))
			strv_push(command, xstrdup(word->valuestring));
		else
			wrong_type(p, "a string", word);
		where_back(p, back);
	}
	if (index == 0)
		complain(p, "is empty");
}

const struct option_type type_command = {
	.load = load_command,
	.dump = dump_strings,
	.clear = clear_strings,
};

static void push_path(struct parse *p, const struct option *o, const char *path)
{
	auto_free char *clean = path_clean(path);

	push(p, o, clean);
}

/* Names are sought on PATH, so a relative path would be a third thing. */
static void set_command(struct parse *p, const struct option *o,
			char *const *arg)
{
	if (arg[0][0] == '\0')
		complain(p, "is empty");
	else if (arg[0][0] != '/' && strchr(arg[0], '/'))
		complain(p, "\"%.80s\" is neither a name nor an absolute path",
			 arg[0]);
	else if (arg[0][0] != '/')
		push(p, o, arg[0]);
	else
		push_path(p, o, arg[0]);
}

const struct option_type type_commands = {
	.json = cJSON_String,
	.expects = STRINGS,
	.set = set_command,
	.load = load_list,
	.dump = dump_strings,
	.clear = clear_strings,
};

static void set_no_commands(struct parse *p, const struct option *o,
			    char *const *arg)
{
	(void)o, (void)arg;
	option_forget(p,
		      option_by_flag("allow-command", strlen("allow-command")));
}

/* What was listed so far is not, and that there is a list is all that is left. */
const struct option_type type_no_commands = { .set = set_no_commands };

static void set_layer(struct parse *p, const struct option *o, char *const *arg)
{
	struct near_match match = { .word = arg[0] };

	for (size_t i = 0; o->choices[i]; i++) {
		near_offer(&match, o->choices[i]);
		if (strcmp(o->choices[i], arg[0]) == 0) {
			push(p, o, arg[0]);
			return;
		}
	}
	if (match.best)
		complain(p, "no layer \"%.80s\" (did you mean \"%s\"?)", arg[0],
			 match.best);
	else
		complain(p, "no layer \"%.80s\" can be done without (only %s)",
			 arg[0], o->choices[0]);
}

const struct option_type type_layers = {
	.json = cJSON_String,
	.expects = STRINGS,
	.set = set_layer,
	.load = load_list,
	.dump = dump_strings,
	.clear = clear_strings,
};

static void set_host(struct parse *p, const struct option *o, char *const *arg)
{
	struct spec *spec = p->spec;
	struct net_rule rule = { 0 };
	char why[256] = "";

	(void)o;
	if (net_rule_parse(arg[0], &rule, why, sizeof(why)) < 0) {
		complain(p, "\"%.80s\": %s", arg[0], why);
		return;
	}
	spec->allow = xrealloc_array(spec->allow, spec->n_allow + 1,
				     sizeof(*spec->allow));
	spec->allow[spec->n_allow++] = rule;
}

static cJSON *dump_hosts(const struct spec *spec, const struct option *o)
{
	cJSON *list = cJSON_CreateArray();

	(void)o;
	for (size_t i = 0; i < spec->n_allow; i++)
		cJSON_AddItemToArray(list,
				     cJSON_CreateString(spec->allow[i].text));
	return list;
}

static void clear_hosts(struct spec *spec, const struct option *o)
{
	(void)o;
	for (size_t i = 0; i < spec->n_allow; i++)
		net_rule_free(&spec->allow[i]);
	free(spec->allow);
	spec->allow = NULL;
	spec->n_allow = 0;
}

const struct option_type type_hosts = {
	.json = cJSON_String,
	.expects = STRINGS,
	.set = set_host,
	.load = load_list,
	.dump = dump_hosts,
	.clear = clear_hosts,
};

/* A vector of ports and its length. */
struct ports {
	uint16_t **v;
	size_t *n;
};

static struct ports ports_of(const struct spec *spec, const struct option *o)
{
	struct spec *s = (struct spec *)(uintptr_t)spec;

	if (o->offset == offsetof(struct spec, ports))
		return (struct ports){ &s->ports, &s->n_ports };
	if (o->offset == offsetof(struct spec, tls_ports))
		return (struct ports){ &s->tls_ports, &s->n_tls_ports };
	return (struct ports){ &s->host_ports, &s->n_host_ports };
}

static void set_port(struct parse *p, const struct option *o, char *const *arg)
{
	struct ports ports = ports_of(p->spec, o);
	uint64_t port;

	if (parse_u64(arg[0], &port) < 0 || port < 1 || port > 65535) {
		complain(p, "\"%.80s\" is no port (1 to 65535)", arg[0]);
		return;
	}
	for (size_t i = 0; i < *ports.n; i++)
		if ((*ports.v)[i] == port)
			return;
	*ports.v = xrealloc_array(*ports.v, *ports.n + 1, sizeof(**ports.v));
	(*ports.v)[(*ports.n)++] = (uint16_t)port;
}

static void load_ports(struct parse *p, const struct option *o,
		       const cJSON *value)
{
	load_list(p, o, value);
	/* Taken for "the default", an empty list would open a port. */
	if (!cJSON_IsArray(value) || value->child)
		return;
	complain(p, "is empty (leave the key out instead)");
	/* As it will be: what it conflicts with is no second problem. */
	option_forget(p, o);
}

static cJSON *dump_ports(const struct spec *spec, const struct option *o)
{
	struct ports ports = ports_of(spec, o);
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < *ports.n; i++)
		cJSON_AddItemToArray(list, cJSON_CreateNumber((*ports.v)[i]));
	return list;
}

static void clear_ports(struct spec *spec, const struct option *o)
{
	struct ports ports = ports_of(spec, o);

	free(*ports.v);
	*ports.v = NULL;
	*ports.n = 0;
}

const struct option_type type_ports = {
	.json = cJSON_Number,
	.expects = "an array of port numbers",
	.set = set_port,
	.load = load_ports,
	.dump = dump_ports,
	.clear = clear_ports,
};

/* "HOSTPORT:PORT", or one number that is both. */
static int parse_publish(const char *text, struct spec_publish *out)
{
	const char *colon = strchr(text, ':');
	auto_free char *host = colon ? xstrndup(text, (size_t)(colon - text))
				     : xstrdup(text);
	uint64_t from, to;

	if (parse_u64(host, &from) < 0 || from < 1 || from > 65535 ||
	    parse_u64(colon ? colon + 1 : text, &to) < 0 || to < 1 ||
	    to > 65535)
		return -1;
	*out = (struct spec_publish){ (uint16_t)from, (uint16_t)to };
	return 0;
}

static void set_publish(struct parse *p, const struct option *o,
			char *const *arg)
{
	struct spec *spec = p->spec;
	struct spec_publish entry;

	(void)o;
	if (parse_publish(arg[0], &entry) < 0) {
		complain(p, "\"%.80s\" is not HOSTPORT:PORT (each 1 to 65535)",
			 arg[0]);
		return;
	}
	for (size_t i = 0; i < spec->n_publish; i++) {
		if (spec->publish[i].host_port != entry.host_port)
			continue;
		if (spec->publish[i].port != entry.port)
			complain(p, "port %u of the host leads to port %u",
				 entry.host_port, spec->publish[i].port);
		return;
	}
	spec->publish = xrealloc_array(spec->publish, spec->n_publish + 1,
				       sizeof(entry));
	spec->publish[spec->n_publish++] = entry;
}

static cJSON *dump_publish(const struct spec *spec, const struct option *o)
{
	cJSON *list = cJSON_CreateArray();

	(void)o;
	for (size_t i = 0; i < spec->n_publish; i++) {
		auto_free char *text = xasprintf(
		    "%u:%u", spec->publish[i].host_port, spec->publish[i].port);

		cJSON_AddItemToArray(list, cJSON_CreateString(text));
	}
	return list;
}

static void clear_publish(struct spec *spec, const struct option *o)
{
	(void)o;
	free(spec->publish);
	spec->publish = NULL;
	spec->n_publish = 0;
}

const struct option_type type_publish = {
	.json = cJSON_String | cJSON_Number,
	.expects = "an array such as [\"8080:80\", 3000]",
	.set = set_publish,
	.load = load_list,
	.dump = dump_publish,
	.clear = clear_publish,
};

/* IPv4 as ::ffff:a.b.c.d, the one form that struct spec holds. */
static int parse_address(const char *text, struct in6_addr *out)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	memcpy(out, mapped, sizeof(mapped));
	if (inet_pton(AF_INET, text, (char *)out + sizeof(mapped)) == 1)
		return 0;
	return inet_pton(AF_INET6, text, out) == 1 ? 0 : -1;
}

static void add_resolve(struct parse *p, const char *name, size_t len,
			const char *address)
{
	struct spec *spec = p->spec;
	struct spec_resolve entry, *old = NULL;

	if (net_name_canonical(name, len, entry.name) < 0) {
		complain(p, "\"%.*s\" is no host name",
			 len > 80 ? 80 : (int)len, name);
		return;
	}
	if (parse_address(address, &entry.addr) < 0) {
		complain(p, "\"%.80s\" is no address", address);
		return;
	}
	for (size_t i = 0; i < spec->n_resolve; i++)
		if (strcmp(spec->resolve[i].name, entry.name) == 0)
			old = &spec->resolve[i];
	if (old && p->source == FROM_FILE) {
		complain(p, "%s is there twice", entry.name);
		return;
	}
	if (!old) {
		spec->resolve = xrealloc_array(
		    spec->resolve, spec->n_resolve + 1, sizeof(*old));
		old = &spec->resolve[spec->n_resolve++];
	}
	*old = entry;
}

static void set_resolve(struct parse *p, const struct option *o,
			char *const *arg)
{
	const char *equals = strchr(arg[0], '=');

	(void)o;
	if (equals)
		add_resolve(p, arg[0], (size_t)(equals - arg[0]), equals + 1);
	else
		complain(p, "\"%.80s\" is not of the form NAME=ADDRESS",
			 arg[0]);
}

/* Calls `add` with each string member; complains of other members. */
static void each_string(struct parse *p, const cJSON *object,
			void (*add)(struct parse *p, const char *name,
				    const char *value))
{
	const cJSON *member;

	if (!cJSON_IsObject(object)) {
		wrong_type(p, "an object of strings", object);
		return;
	}
	if (too_many(p, object))
		return;
	cJSON_ArrayForEach(member, object)
	{
		size_t back = where_key(p, member->string);

		if (cJSON_IsString(member))
			add(p, member->string, member->valuestring);
		else
			wrong_type(p, "a string", member);
		where_back(p, back);
	}
}

static void add_resolve_member(struct parse *p, const char *name,
			       const char *address)
{
	add_resolve(p, name, strlen(name), address);
}

static void load_resolve(struct parse *p, const struct option *o,
			 const cJSON *value)
{
	(void)o;
	each_string(p, value, add_resolve_member);
}

static cJSON *dump_resolve(const struct spec *spec, const struct option *o)
{
	cJSON *object = cJSON_CreateObject();

	(void)o;
	for (size_t i = 0; i < spec->n_resolve; i++) {
		const struct in6_addr *addr = &spec->resolve[i].addr;
		bool v4 = IN6_IS_ADDR_V4MAPPED(addr);
		char text[INET6_ADDRSTRLEN];

		inet_ntop(v4 ? AF_INET : AF_INET6, &addr->s6_addr[v4 ? 12 : 0],
			  text, sizeof(text));
		cJSON_AddStringToObject(object, spec->resolve[i].name, text);
	}
	return object;
}

static void clear_resolve(struct spec *spec, const struct option *o)
{
	(void)o;
	free(spec->resolve);
	spec->resolve = NULL;
	spec->n_resolve = 0;
}

const struct option_type type_resolve = {
	.set = set_resolve,
	.load = load_resolve,
	.dump = dump_resolve,
	.clear = clear_resolve,
};

#define NO_VARIABLE "\"%.80s\" is no variable name (letters, digits, \"_\")"

static bool is_env_name(const char *name)
{
	if (!isalpha((unsigned char)*name) && *name != '_')
		return false;
	while (isalnum((unsigned char)*name) || *name == '_')
		name++;
	return *name == '\0';
}

/* One entry per name: what is said last holds, a flag after the file. */
static void add_env(struct parse *p, const char *name, const char *value)
{
	struct spec *spec = p->spec;
	struct spec_env *entry = NULL;

	if (!is_env_name(name)) {
		complain(p, NO_VARIABLE "%s", name,
			 strchr(name, '=') ? ": its value is given apart" : "");
		return;
	}
	for (size_t i = 0; i < spec->n_env; i++)
		if (strcmp(spec->env[i].name, name) == 0)
			entry = &spec->env[i];
	if (entry && p->source == FROM_FILE) {
		complain(p, "%s is given twice", name);
		return;
	}
	if (!entry) {
		spec->env = xrealloc_array(spec->env, spec->n_env + 1,
					   sizeof(*spec->env));
		entry = &spec->env[spec->n_env++];
		*entry = (struct spec_env){ .name = xstrdup(name) };
	}
	free(entry->value);
	entry->value = value ? xstrdup(value) : NULL;
}

static void set_setenv(struct parse *p, const struct option *o,
		       char *const *arg)
{
	(void)o;
	add_env(p, arg[0], arg[1]);
}

/* A spec that was printed has no values any more. */
static void load_env(struct parse *p, const char *name, const char *value)
{
	if (strcmp(value, OPTION_REDACTED) == 0)
		complain(p,
			 "\"%s\" is what --print-spec shows in place of a "
			 "value: give the value, or its name in env_pass",
			 value);
	else
		add_env(p, name, value);
}

static void load_setenv(struct parse *p, const struct option *o,
			const cJSON *value)
{
	(void)o;
	each_string(p, value, load_env);
}

/* Values may be secrets, and a printed spec gets pasted into tickets. */
static cJSON *dump_setenv(const struct spec *spec, const struct option *o)
{
	cJSON *object = cJSON_CreateObject();

	(void)o;
	for (size_t i = 0; i < spec->n_env; i++)
		if (spec->env[i].value)
			cJSON_AddStringToObject(object, spec->env[i].name,
						OPTION_REDACTED);
	return object;
}

static void clear_env(struct spec *spec, const struct option *o)
{
	(void)o;
	for (size_t i = 0; i < spec->n_env; i++) {
		free(spec->env[i].name);
		free(spec->env[i].value);
	}
	free(spec->env);
	spec->env = NULL;
	spec->n_env = 0;
}

const struct option_type type_setenv = {
	.set = set_setenv,
	.load = load_setenv,
	.dump = dump_setenv,
	.clear = clear_env,
};

static void set_unsetenv(struct parse *p, const struct option *o,
			 char *const *arg)
{
	(void)o;
	add_env(p, arg[0], NULL);
}

static cJSON *dump_unsetenv(const struct spec *spec, const struct option *o)
{
	cJSON *list = cJSON_CreateArray();

	(void)o;
	for (size_t i = 0; i < spec->n_env; i++)
		if (!spec->env[i].value)
			cJSON_AddItemToArray(
			    list, cJSON_CreateString(spec->env[i].name));
	return list;
}

const struct option_type type_unsetenv = {
	.json = cJSON_String,
	.expects = STRINGS,
	.set = set_unsetenv,
	.load = load_list,
	.dump = dump_unsetenv,
};

static void set_pass_env(struct parse *p, const struct option *o,
			 char *const *arg)
{
	if (is_env_name(arg[0]))
		push(p, o, arg[0]);
	else
		complain(p, NO_VARIABLE, arg[0]);
}

const struct option_type type_pass_env = {
	.json = cJSON_String,
	.expects = STRINGS,
	.set = set_pass_env,
	.load = load_list,
	.dump = dump_strings,
	.clear = clear_strings,
};
