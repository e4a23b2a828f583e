/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The option table: one row says how a thing is spelled as a flag and as a JSON
 * key, how it is read, printed and given back, where it lies in struct spec,
 * and what --help says of it.  Private to the spec*.c and option*.c files.
 */

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdarg.h>

#include "spec.h"

#define SPEC_FILE_MAX  (1024 * 1024)
#define PROMPT_MAX     (1024 * 1024)
/* More than anybody reads; a hostile file could hold a hundred thousand. */
#define PROBLEMS_SHOWN 100
/* Items of one list; more are no wish of a person's, and adding one to some
 * lists takes a look at all of them. */
#define LIST_MAX       4096

/* What a printed spec has in the place of a value. */
#define OPTION_REDACTED "***"

struct option;

enum option_from { FROM_NOBODY, FROM_FILE, FROM_FLAG };

/* One spec_parse(): where values come from, and the problems found so far. */
struct parse {
	struct spec *spec;
	FILE *errors; /* NULL: counted only */
	size_t problems;
	enum option_from source; /* of what is being read now */
	enum option_from *from;  /* of each row's value */
	bool *refused;           /* rows given with a wrong value */
	char **spelled;          /* JSON path that set a row ("$.type") */
	const char *file;        /* the spec's name in messages, or NULL */
	char *path;              /* the spec's own path; NULL: none, or stdin */
	char *cwd;               /* NULL: it is deleted, or out of reach */
	const char *base; /* relative host paths are against this; or NULL */
	char where[256];  /* JSON path or flag being read */
};

/*
 * How a kind of value is handled.  `set` gets the words of a flag, or one JSON
 * scalar as text, so that both are judged by the same code.
 */
struct option_type {
	int json;            /* cJSON types that `set` can be given as text */
	const char *expects; /* completes "must be "; NULL: from `json` */
	void (*set)(struct parse *p, const struct option *o, char *const *arg);
	/* NULL: one scalar, handed to `set`. */
	void (*load)(struct parse *p, const struct option *o,
		     const cJSON *value);
	/* For --print-spec; NULL: never printed. */
	cJSON *(*dump)(const struct spec *spec, const struct option *o);
	/* Back to "not given"; frees.  NULL: nothing to free. */
	void (*clear)(struct spec *spec, const struct option *o);
};

struct option {
	const char *flag; /* long name; NULL: a key only */
	char letter;      /* short name, or 0 */
	const char *args; /* "SRC DST": as many arguments as words; or NULL */
	const char *key;  /* JSON path, "network.hosts"; NULL: a flag only */
	const struct option_type *type;
	size_t offset; /* of the value in struct spec */
	uint64_t min, max;
	const char *const *choices; /* NULL-terminated */
	const char *help; /* a row with neither flag nor key: a heading */
};

extern const struct option option_table[];
extern const size_t option_count;

/* Rows by name; NULL when there is none.  A key may have several rows (mounts):
 * the first is the one that reads and prints it. */
const struct option *option_by_flag(const char *name, size_t len);
const struct option *option_by_letter(char letter);
const struct option *option_by_key(const char *key);
size_t option_index(const struct option *o);
size_t option_arity(const struct option *o);
static inline void *option_field(const struct spec *spec,
				 const struct option *o)
{
	return (char *)(uintptr_t)spec + o->offset;
}

/* Another name for a key ("type" for "agent"), or the key itself. */
const char *option_key_alias(const char *key);
const char *option_near_flag(const char *name);
/* The nearest key among those directly below `prefix` ("" or "network."); at the
 * top also one that is written in a group, or as a flag. */
const char *option_near_key(const char *prefix, const char *name);

/* One problem at p->where, on one line, whatever the text holds. */
void complain(struct parse *p, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same at the place where this row was given. */
void complain_at(struct parse *p, const struct option *o, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same with the place in words. */
void complain_in(struct parse *p, const char *where, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* p->where grows by ".key" or "[index]"; hand the result to where_back. */
size_t where_key(struct parse *p, const char *key);
size_t where_index(struct parse *p, size_t index);
void where_back(struct parse *p, size_t length);

/* Defaults into p->spec; parse_end gives back all but the spec. */
void parse_begin(struct parse *p, struct spec *spec, FILE *errors);
void parse_end(struct parse *p);
/* Reads a whole spec document into p->spec (spec_json.c). */
void spec_read_json(struct parse *p, const char *text, size_t len);
/* An object without repeated keys, or NULL after complaints. */
cJSON *read_tree(struct parse *p, const char *text, size_t len);
/* The rules that take more than one option (spec_check.c). */
void spec_check(struct parse *p);
/* The profile that --seccomp names, and one as text (spec_seccomp.c). */
void spec_load_seccomp(struct parse *p);
struct seccomp_profile *spec_read_seccomp(struct parse *p, const char *text,
					  size_t len);
/*
 * Says that the row is given at p->where, by p->source.  False, after a
 * complaint, if it may not be: said twice, or against another row.
 */
bool option_claim(struct parse *p, const struct option *o);
/* Claims the row and reads its value: a flag's words, or JSON. */
void option_read(struct parse *p, const struct option *o, char *const *arg,
		 const cJSON *value);
/* The row by which this key or flag was given, or NULL. */
const struct option *option_given(const struct parse *p, const char *name);
/* As if the row had not been given. */
void option_forget(struct parse *p, const struct option *o);

/* JSON to `set` (option_load.c). */
void option_load(struct parse *p, const struct option *o, const cJSON *value);
void load_list(struct parse *p, const struct option *o, const cJSON *value);
bool too_many(struct parse *p, const cJSON *list);
void wrong_type(struct parse *p, const char *expects, const cJSON *value);
/* A string member of an object, or NULL (and a complaint if it is no string
 * or missing though needed). */
const char *member_string(struct parse *p, const cJSON *object,
			  const char *name, bool needed);
void complain_unknown(struct parse *p, const char *near);
/* Complains of members that are not in the NULL-terminated list. */
void only_members(struct parse *p, const cJSON *object,
		  const char *const *names);

/* The folder that holds the name, links resolved; owned, or NULL and errno. */
char *folder_of(const char *absolute);
/* Has it a ".." among its words? */
bool path_climbs(const char *path);
/* Names and paths, judged; NULL after a complaint, else owned. */
char *host_path(struct parse *p, const char *text);
char *inside_path(struct parse *p, const char *text);
/* Relative, below the workdir. */
char *workdir_path(struct parse *p, const char *text);

/* Kinds of one value (option_scalar.c)... */
extern const struct option_type type_action, type_action_about, type_flag,
    type_always, type_quiet, type_no_artifact, type_string, type_label,
    type_name, type_hostname, type_agent, type_prompt, type_prompt_file,
    type_spec, type_host_path, type_output_path, type_workdir, type_inside_path,
    type_size, type_duration, type_count, type_cores, type_proxy, type_id,
    type_fd, type_choice, type_choice_name;
/* ... and of many (option_list.c, option_mount.c). */
extern const struct option_type type_command, type_hosts, type_ports,
    type_resolve, type_publish, type_show, type_inputs, type_outputs,
    type_optional_output, type_bind, type_ro_bind, type_tmpfs, type_setenv,
    type_unsetenv, type_pass_env, type_layers, type_commands, type_no_commands;
