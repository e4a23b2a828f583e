/* SPDX-License-Identifier: MIT */
#include "spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "json.h"
#include "option.h"
#include "seccomp_profile.h"

/* One option as it stands on the command line. */
struct use {
	const struct option *option; /* NULL: no such option */
	char *word;
	char *args[2];
	const char *problem;
};

struct command_line {
	struct use *uses;
	size_t n_uses;
	char **command;
	size_t n_command;
};

/* Pairs of rows, by flag or key, of which a run can have one: in one source
 * they conflict, a flag takes the place of what the file says. */
static const char *const exclusive[][2] = {
	{ "prompt", "prompt-file" },
	{ "artifact", "no-artifact" },
	{ "artifact.compression", "no-artifact" },
	{ "artifact.bytes", "no-artifact" },
	{ "artifact.files", "no-artifact" },
	{ "events", "events-fd" },
};

/* What bubblewrap, firejail and docker have, and we do in another way. */
static const struct {
	const char *flag, *instead;
} foreign[] = {
	{ "unshare-all", "always so: leave it out" },
	{ "unshare-net", "always so: leave it out" },
	{ "unshare-pid", "always so: leave it out" },
	{ "unshare-user", "always so: leave it out" },
	{ "unshare-ipc", "always so: leave it out" },
	{ "unshare-uts", "always so: leave it out" },
	{ "unshare-cgroup", "always so: leave it out" },
	{ "private", "always so: leave it out" },
	{ "share-net", "say --network host" },
	{ "proc", "there is a /proc: leave it out" },
	{ "dev", "there is a /dev: leave it out" },
	{ "cap-drop", "the payload has no capability: leave it out" },
	{ "cap-add", "the payload never has a capability" },
	{ "dir", "say --tmpfs DIR" },
	{ "ro-bind-try", "say --ro-bind" },
	{ "bind-try", "say --bind" },
	{ "dev-bind", "say --bind: no device is shown" },
	{ "symlink", "those of the host's / are there: leave it out" },
	{ "whitelist", "say --bind or --ro-bind" },
	{ "volume", "say --bind or --ro-bind" },
	{ "net", "say --network MODE" },
	{ "env", "say --setenv NAME VALUE" },
};

static const struct option *row_of(const char *name)
{
	const struct option *o = option_by_flag(name, strlen(name));

	return o ? o : option_by_key(name);
}

static bool is_called(const struct option *o, const char *name)
{
	size_t len = strlen(name);

	if (o->flag && strcmp(o->flag, name) == 0)
		return true;
	return o->key && strncmp(o->key, name, len) == 0 &&
	       (o->key[len] == '\0' || o->key[len] == '.');
}

/* A switch that is off says nothing. */
static bool is_off(const struct spec *spec, const struct option *o)
{
	return o->type == &type_flag && !*(const bool *)option_field(spec, o);
}

static bool is_written(const struct spec *spec, const char *key, bool off)
{
	for (size_t i = 0; spec->asked && i < option_count; i++)
		if (spec->asked[i] && is_called(&option_table[i], key) &&
		    (off || !is_off(spec, &option_table[i])))
			return true;
	return false;
}

bool spec_asked(const struct spec *spec, const char *key)
{
	return is_written(spec, key, false);
}

const struct option *option_given(const struct parse *p, const char *name)
{
	for (size_t i = 0; i < option_count; i++)
		if (p->from[i] != FROM_NOBODY &&
		    is_called(&option_table[i], name) &&
		    !is_off(p->spec, &option_table[i]))
			return &option_table[i];
	return NULL;
}

void option_forget(struct parse *p, const struct option *o)
{
	size_t i = option_index(o);

	if (o->type->clear)
		o->type->clear(p->spec, o);
	p->from[i] = FROM_NOBODY;
	p->spec->asked[i] = false;
}

/* False after a complaint. */
static bool claim_against(struct parse *p, const struct option *other)
{
	enum option_from from = p->from[option_index(other)];

	if (from == p->source) {
		complain(p, "conflicts with %s%s", other->flag ? "--" : "",
			 other->flag ? other->flag : other->key);
		return false;
	}
	if (from == FROM_FILE)
		option_forget(p, other);
	return true;
}

bool option_claim(struct parse *p, const struct option *o)
{
	size_t i = option_index(o);

	if (p->source == FROM_FILE && p->from[i] == FROM_FILE) {
		complain(p, "is given as %s already", p->spelled[i]);
		return false;
	}
	for (size_t k = 0; k < ARRAY_SIZE(exclusive); k++)
		for (size_t side = 0; side < 2; side++)
			if (is_called(o, exclusive[k][side]) &&
			    row_of(exclusive[k][side]) == o &&
			    !claim_against(p, row_of(exclusive[k][!side])))
				return false;
	p->from[i] = p->source;
	p->spec->asked[i] = true;
	if (p->source == FROM_FILE) {
		free(p->spelled[i]);
		p->spelled[i] = xstrdup(p->where);
	}
	return true;
}

void option_read(struct parse *p, const struct option *o, char *const *arg,
		 const cJSON *value)
{
	size_t before = p->problems;

	if (!option_claim(p, o))
		return;
	if (value)
		option_load(p, o, value);
	else
		o->type->set(p, o, arg);
	p->refused[option_index(o)] = p->problems > before;
}

/* The word at argv[i] and its arguments; returns how many words it takes. */
static size_t read_use(char **argv, size_t left, struct use *use)
{
	char *name = argv[0] + 2; /* of a long one */
	char *equals = NULL;
	size_t arity;

	*use = (struct use){ .word = argv[0] };
	if (argv[0][1] != '-') {
		if (strlen(argv[0]) == 2)
			use->option = option_by_letter(argv[0][1]);
	} else {
		equals = strchr(name, '=');
		use->option = option_by_flag(
		    name, equals ? (size_t)(equals - name) : strlen(name));
	}
	if (!use->option)
		return 1;
	arity = option_arity(use->option);
	if (equals && arity == 1) {
		use->args[0] = equals + 1;
		return 1;
	}
	if (equals) {
		use->problem = arity ? "takes separate words:"
				     : "takes no argument";
		/* The rest is still looked at, from the next option on. */
		return left < arity || arity == 0 ? 1 : arity;
	}
	if (left <= arity) {
		use->problem = "needs";
		return left;
	}
	for (size_t i = 0; i < arity; i++)
		use->args[i] = argv[1 + i];
	return 1 + arity;
}

static void read_command_line(struct command_line *line, int argc, char **argv)
{
	size_t n = argc > 0 ? (size_t)argc : 1;
	size_t i = 1;

	line->uses = xcalloc(n, sizeof(*line->uses));
	while (i < n && argv[i][0] == '-' && strcmp(argv[i], "--") != 0)
		i += read_use(argv + i, n - i, &line->uses[line->n_uses++]);
	if (i < n && strcmp(argv[i], "--") == 0)
		i++;
	line->command = argv + i;
	line->n_command = i < n ? n - i : 0;
}

static void refuse_unknown(struct parse *p, const char *name)
{
	const char *near = option_near_flag(name);

	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		if (strcmp(foreign[i].flag, name) == 0) {
			complain(p, "not an option here (%s)",
				 foreign[i].instead);
			return;
		}
	if (near)
		complain(p, "unknown option (did you mean --%s?)", near);
	else
		complain(p, "unknown option (see --help)");
}

static void apply_use(struct parse *p, const struct use *use)
{
	const struct option *o = use->option;

	if (o)
		snprintf(p->where, sizeof(p->where), "--%s", o->flag);
	else
		snprintf(p->where, sizeof(p->where), "%.*s",
			 (int)strcspn(use->word, "="), use->word);
	if (!o)
		refuse_unknown(p, p->where + strspn(p->where, "-"));
	else if (use->problem)
		complain(p, "%s%s%s", use->problem, o->args ? " " : "",
			 o->args ? o->args : "");
	else
		option_read(p, o, use->args, NULL);
}

static bool is_spec(const struct use *use)
{
	return use->option && use->option->type == &type_spec && use->args[0];
}

static const struct use *find_use(const struct command_line *line,
				  const struct option_type *type)
{
	for (size_t i = 0; i < line->n_uses; i++) {
		const struct option *o = line->uses[i].option;

		if (o && o->type == type && line->uses[i].args[0])
			return &line->uses[i];
	}
	return NULL;
}

/* Asked for help, nobody wants to hear of mistakes first. */
static bool only_informs(struct spec *spec, const struct command_line *line)
{
	for (size_t i = 0; i < line->n_uses; i++) {
		const struct option *o = line->uses[i].option;

		if (!o || o->type != &type_action)
			continue;
		if (o->min == SPEC_HELP || o->min == SPEC_VERSION ||
		    o->min == SPEC_LIST_AGENTS) {
			spec->action = (enum spec_action)o->min;
			return true;
		}
	}
	return false;
}

/* Bytes of the spec, or NULL after a complaint. */
static char *read_spec_text(struct parse *p, size_t *len)
{
	char *text = p->path ? read_file(AT_FDCWD, p->path, SPEC_FILE_MAX, len)
			     : read_fd(STDIN_FILENO, SPEC_FILE_MAX, len);

	if (!text)
		complain_in(p, p->file, "cannot read it: %s",
			    errno == EFBIG ? "it is over 1 MiB"
					   : strerror(errno));
	return text;
}

static void read_spec_file(struct parse *p, const char *name)
{
	bool from_stdin = strcmp(name, "-") == 0;
	char *auto_free folder = NULL;
	char *auto_free text = NULL;
	size_t len;

	p->file = from_stdin ? "stdin" : name;
	p->path = from_stdin ? NULL : host_path(p, name);
	if (!from_stdin && !p->path)
		return;
	text = read_spec_text(p, &len);
	if (!text)
		return;
	folder = from_stdin ? NULL : folder_of(p->path);
	p->base = folder ? folder : p->cwd;
	p->source = FROM_FILE;
	spec_read_json(p, text, len);
	p->base = p->cwd;
	p->source = FROM_FLAG;
}

static void apply_command(struct parse *p, const struct command_line *line)
{
	const struct option *o = option_by_key("command");

	if (line->n_command == 0)
		return;
	o->type->clear(p->spec, o);
	option_claim(p, o);
	for (size_t i = 0; i < line->n_command; i++)
		strv_push(&p->spec->command, xstrdup(line->command[i]));
}

static void merge(struct parse *p, const struct command_line *line)
{
	const struct use *spec = find_use(line, &type_spec);
	const struct use *prompt = find_use(line, &type_prompt_file);

	if (spec) {
		snprintf(p->where, sizeof(p->where), "--spec");
		read_spec_file(p, spec->args[0]);
	}
	if (spec && prompt && strcmp(spec->args[0], "-") == 0 &&
	    strcmp(prompt->args[0], "-") == 0)
		complain_in(p, "--prompt-file", "stdin is the spec already");
	for (size_t i = 0; i < line->n_uses; i++) {
		const struct use *use = &line->uses[i];

		apply_use(p, use);
		if (use != spec && is_spec(use))
			complain(p, "is given twice: it can be one file, and "
				    "flags");
	}
	apply_command(p, line);
	spec_check(p);
	spec_load_seccomp(p);
	if (p->problems > PROBLEMS_SHOWN && p->errors)
		fprintf(p->errors, "m9m-sandbox: and %zu more problems\n",
			p->problems - PROBLEMS_SHOWN);
}

void parse_begin(struct parse *p, struct spec *spec, FILE *errors)
{
	*spec = (struct spec){
		.cpu = 2,
		.memory = 2ULL << 30,
		.pids = 512,
		.files = 1024,
		.output = 10ULL << 20,
		.grace_ms = 5000,
		.workdir = xstrdup("/work"),
		.uid = -1,
		.gid = -1,
		.events_fd = -1,
		.result_fd = -1,
		.asked = xcalloc(option_count, sizeof(bool)),
	};
	*p = (struct parse){
		.spec = spec,
		.errors = errors,
		.source = FROM_FLAG,
		.from = xcalloc(option_count, sizeof(*p->from)),
		.refused = xcalloc(option_count, sizeof(*p->refused)),
		.spelled = xcalloc(option_count, sizeof(*p->spelled)),
		.cwd = getcwd(NULL, 0),
	};
	p->base = p->cwd;
}

void parse_end(struct parse *p)
{
	for (size_t i = 0; i < option_count; i++)
		free(p->spelled[i]);
	free(p->spelled);
	free(p->refused);
	free(p->from);
	free(p->cwd);
	free(p->path);
}

int spec_parse(struct spec *spec, int argc, char **argv, FILE *errors)
{
	struct command_line line = { 0 };
	struct parse p;
	int rc;

	parse_begin(&p, spec, errors);
	read_command_line(&line, argc, argv);
	if (!only_informs(spec, &line))
		merge(&p, &line);
	rc = p.problems ? -1 : 0;
	free(line.uses);
	parse_end(&p);
	return rc;
}

void spec_free(struct spec *spec)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];

		if (o->type && o->type->clear)
			o->type->clear(spec, o);
	}
	seccomp_profile_free(spec->profile);
	spec->profile = NULL;
	free(spec->asked);
	spec->asked = NULL;
}

/* Takes `value` over; "network.hosts" goes into the object "network". */
static void put(cJSON *tree, const char *key, cJSON *value)
{
	const char *dot = strchr(key, '.');
	char *auto_free name = dot ? xstrndup(key, (size_t)(dot - key)) : NULL;
	cJSON *group;

	if (!dot) {
		cJSON_AddItemToObject(tree, key, value);
		return;
	}
	group = cJSON_GetObjectItemCaseSensitive(tree, name);
	if (!group)
		group = cJSON_AddObjectToObject(tree, name);
	cJSON_AddItemToObject(group, dot + 1, value);
}

static bool is_printed(const struct spec *spec, const struct option *o)
{
	if (!o->key || !o->type || !o->type->dump || option_by_key(o->key) != o)
		return false;
	/* A mode that the lists imply is worth seeing. */
	if (o->type == &type_choice &&
	    o->offset == offsetof(struct spec, network) &&
	    spec->network != SPEC_NETWORK_DENY)
		return spec_asked(spec, "network");
	return is_written(spec, o->key, true);
}

/* Paths may hold any bytes, JSON may not. */
static bool can_be_json(const cJSON *value)
{
	char *auto_free text = cJSON_PrintUnformatted(value);
	struct json_fault fault;
	cJSON *again = text ? json_read(text, strlen(text), &fault) : NULL;

	cJSON_Delete(again);
	return again != NULL;
}

int spec_print(const struct spec *spec, FILE *out)
{
	cJSON *tree = cJSON_CreateObject();
	const char *bad = NULL;
	char *auto_free text = NULL;

	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];
		cJSON *value = is_printed(spec, o) ? o->type->dump(spec, o)
						   : NULL;

		if (value && !can_be_json(value))
			bad = o->key;
		if (value)
			put(tree, o->key, value);
	}
	text = cJSON_Print(tree);
	cJSON_Delete(tree);
	if (bad) {
		fail(0,
		     "cannot print the spec: what is given as %s is not UTF-8",
		     bad);
		return fail_remedy("JSON can say nothing else: such a name "
				   "can be given as a flag only");
	}
	if (!text || fprintf(out, "%s\n", text) < 0 || fflush(out) != 0)
		return fail(errno, "cannot print the spec");
	return 0;
}
