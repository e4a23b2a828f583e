/* SPDX-License-Identifier: MIT */

/*
 * tests/spec/NAME.json (a spec), NAME.args (flags, one word a line), or both,
 * and what comes of them: NAME.out (--print-spec) or NAME.err (the problems).
 * A case is added by adding files.  @DIR@ and @UP@ stand for that folder and
 * the one above, where paths are against them.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "err.h"
#include "json.h"
#include "near.h"
#include "option.h"
#include "tap.h"

#define MAX_ARGS 64

/* Runs spec_parse; returns its result, *printed is --print-spec or errors. */
static int parse(char **argv, struct spec *spec, char **printed)
{
	size_t size;
	FILE *out = open_memstream(printed, &size);
	int argc = 0, rc;

	while (argv[argc])
		argc++;
	err_reset();
	rc = spec_parse(spec, argc, argv, out);
	if (rc == 0 && spec_print(spec, out) < 0)
		fprintf(out, "%s\n", err_get()->message);
	fclose(out);
	return rc;
}

/* The same for flags in one string, split at spaces. */
static int parse_words(const char *words, struct spec *spec, char **printed)
{
	char *auto_free copy = xstrdup(words);
	char *argv[MAX_ARGS] = { (char *)"m9m-sandbox" };
	size_t n = 1;

	for (char *w = strtok(copy, " "); w && n < MAX_ARGS - 1;
	     w = strtok(NULL, " "))
		argv[n++] = w;
	return parse(argv, spec, printed);
}

static int parse_text(const char *text, size_t len, struct spec *spec,
		      char **printed)
{
	size_t size;
	FILE *out = open_memstream(printed, &size);
	struct parse p;
	int rc;

	parse_begin(&p, spec, out);
	p.file = "text";
	p.source = FROM_FILE;
	spec_read_json(&p, text, len);
	p.source = FROM_FLAG;
	spec_check(&p);
	rc = p.problems ? -1 : 0;
	parse_end(&p);
	if (rc == 0)
		spec_print(spec, out);
	fclose(out);
	return rc;
}

/* `text` with every `from` replaced; owned. */
static char *replaced(const char *text, const char *from, const char *to)
{
	char *out;
	size_t size;
	FILE *f = open_memstream(&out, &size);
	const char *hit;

	while ((hit = strstr(text, from))) {
		fprintf(f, "%.*s%s", (int)(hit - text), text, to);
		text = hit + strlen(from);
	}
	fputs(text, f);
	fclose(f);
	return out;
}

static char *expected(const char *name, const char *suffix)
{
	char *auto_free file = xasprintf("%s.%s", name, suffix);
	char *auto_free cwd = getcwd(NULL, 0);
	char *auto_free up = xstrndup(cwd, strrchr(cwd, '/') - cwd);
	char *auto_free text = read_file(AT_FDCWD, file, 1 << 20, NULL);
	char *auto_free here = text ? replaced(text, "@DIR@", cwd) : NULL;

	return here ? replaced(here, "@UP@", up) : NULL;
}

/* What was printed means the same when it is read again, with the values that
 * are not printed. */
static void check_again(const char *name, const char *printed)
{
	char *auto_free whole = replaced(printed, "***", "x:y");
	char *auto_free again = NULL, *auto_free same = NULL;
	struct spec spec;
	int rc = parse_text(whole, strlen(whole), &spec, &again);

	same = replaced(again, "***", "x:y");
	if (strcmp(whole, printed) != 0) {
		char *auto_free errors = NULL;
		struct spec none;

		ok(parse_text(printed, strlen(printed), &none, &errors) < 0 &&
		       strstr(errors, "--print-spec shows"),
		   "%s: what is not printed is asked for", name);
		spec_free(&none);
	}
	ok(rc == 0 && strcmp(same, whole) == 0, "%s: printed, read, printed",
	   name);
	if (rc < 0 || strcmp(again, printed) != 0)
		printf("# got:\n%s", again);
	spec_free(&spec);
}

static void check_case(const char *name)
{
	char *auto_free json = xasprintf("%s.json", name);
	char *auto_free args = xasprintf("%s.args", name);
	char *auto_free words = read_file(AT_FDCWD, args, 1 << 20, NULL);
	char *auto_free out = expected(name, "out");
	char *auto_free err = expected(name, "err");
	char *auto_free printed = NULL;
	char *argv[MAX_ARGS] = { (char *)"m9m-sandbox" };
	struct spec spec;
	size_t n = 1;
	int rc;

	if (access(json, R_OK) == 0) {
		argv[n++] = (char *)"--spec";
		argv[n++] = json;
	}
	/* Not strtok: an empty line is an empty word. */
	for (char *w = words, *end; w && *w && n < MAX_ARGS - 1; w = end) {
		end = strchrnul(w, '\n');
		argv[n++] = w;
		if (*end)
			*end++ = '\0';
	}
	rc = parse(argv, &spec, &printed);
	ok(rc == (out ? 0 : -1), "%s: %s", name, out ? "taken" : "refused");
	if (!ok(strcmp(printed, out   ? out
				: err ? err
				      : "?") == 0,
		"%s: as expected", name))
		printf("# got:\n%s", printed);
	if (rc == 0)
		check_again(name, printed);
	spec_free(&spec);
}

static int is_case(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && (strcmp(dot, ".out") == 0 || strcmp(dot, ".err") == 0);
}

static void check_cases(void)
{
	struct dirent **entries = NULL;
	int n = scandir(".", &entries, is_case, alphasort);

	ok(n > 50, "there are cases (%d)", n);
	for (int i = 0; i < n; i++) {
		*strrchr(entries[i]->d_name, '.') = '\0';
		check_case(entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

static void check_defaults(void)
{
	char *auto_free printed = NULL;
	struct spec s;

	ok(parse_words("true", &s, &printed) == 0, "a command is enough");
	ok(s.action == SPEC_RUN && s.pids == 512 && s.files == 1024 &&
	       s.output == 10 << 20 && s.timeout_ms == 0 && s.grace_ms == 5000,
	   "default limits");
	ok(s.network == SPEC_NETWORK_DENY && s.n_allow == 0 && s.n_ports == 1 &&
	       s.ports[0] == 443,
	   "no network by default");
	ok(strcmp(s.workdir, "/work") == 0 && s.uid == -1 && s.gid == -1 &&
	       s.events_fd == -1 && s.result_fd == -1 && !s.artifact_off,
	   "default places");
	ok(!spec_asked(&s, "pids") && !spec_asked(&s, "network") &&
	       spec_asked(&s, "command"),
	   "only the command was asked for");
	spec_free(&s);
}

static void check_values(void)
{
	char *auto_free printed = NULL;
	struct spec s;
	int rc = parse_words(
	    "--pids 7 --files=99 --output 2Ki --timeout 1m30s --grace 200ms "
	    "--allow a.example --allow-port 22 --allow-port 22 --host-port 5 "
	    "--ro-bind /a /b -q --verbose --uid 5 --events-fd 2 -- x",
	    &s, &printed);

	ok(rc == 0, "flags are taken: %s", printed ? printed : "");
	ok(s.pids == 7 && s.files == 99 && s.output == 2048 &&
	       s.timeout_ms == 90000 && s.grace_ms == 200 && s.uid == 5,
	   "numbers and units");
	ok(s.network == SPEC_NETWORK_ALLOW && s.n_allow == 1 &&
	       s.n_ports == 1 && s.ports[0] == 22 && s.n_host_ports == 1 &&
	       s.host_ports[0] == 5,
	   "network lists; a port given twice is there once");
	ok(s.n_mounts == 1 && !s.mounts[0].read_write &&
	       s.summary == SPEC_NEVER && s.verbose && s.events_fd == 2,
	   "mounts, summary, verbose, descriptor");
	ok(spec_asked(&s, "pids") && spec_asked(&s, "network") &&
	       spec_asked(&s, "network.hosts") && spec_asked(&s, "mounts") &&
	       spec_asked(&s, "ro-bind") && spec_asked(&s, "quiet") &&
	       spec_asked(&s, "host-port") && !spec_asked(&s, "bind") &&
	       !spec_asked(&s, "net") && !spec_asked(&s, "memory"),
	   "asked, by key and by flag");
	spec_free(&s);
}

static void check_actions(void)
{
	static const struct {
		const char *words;
		enum spec_action action;
	} rows[] = {
		{ "--help", SPEC_HELP },
		{ "-h", SPEC_HELP },
		{ "-V", SPEC_VERSION },
		{ "--nope --version --pids", SPEC_VERSION },
		{ "--spec /nowhere --list-agents", SPEC_LIST_AGENTS },
		{ "--explain true --help", SPEC_EXPLAIN },
		{ "--print-spec -- true", SPEC_PRINT_SPEC },
		{ "true --help", SPEC_RUN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *auto_free printed = NULL;
		struct spec s;

		ok(parse_words(rows[i].words, &s, &printed) == 0 &&
		       s.action == rows[i].action,
		   "action of: %s", rows[i].words);
		spec_free(&s);
	}
}

static void check_help(void)
{
	char *auto_free help = NULL;
	size_t size, lines = 0, longest = 0;
	FILE *out = open_memstream(&help, &size);

	spec_print_help(out);
	fclose(out);
	for (char *line = help; *line; lines++) {
		size_t len = strcspn(line, "\n");

		longest = len > longest ? len : longest;
		line += len + (line[len] == '\n');
	}
	ok(lines < 110 && longest <= 80, "help: %zu lines, %zu columns", lines,
	   longest);
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];
		char *auto_free start = xasprintf("\n  --%s",
						  o->flag ? o->flag : "");
		const char *at = strstr(help, start);

		while (at && !strchr(" ,", at[strlen(start)]))
			at = strstr(at + 1, start);
		if (o->flag)
			ok(at != NULL, "help lists --%s", o->flag);
	}
}

/* What is named can be set, what is a flag is in --help, and what it can be. */
static void check_rows(void)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option *o = &option_table[i];

		for (size_t k = 0; o->flag && o->choices && o->choices[k]; k++)
			ok(strstr(o->help, o->choices[k]) != NULL,
			   "help of --%s has %s", o->flag, o->choices[k]);

		ok((!o->flag && !o->key) ||
		       (o->type && (o->type->set || o->type->load) &&
			(!o->flag || o->help)),
		   "row %zu is whole", i);
	}
}

static void check_sizes(void)
{
	static const char head[] = "{\"command\":[\"a\"]}";
	char *auto_free text = xcalloc(1, SPEC_FILE_MAX + 1);

	memset(text, ' ', SPEC_FILE_MAX + 1);
	memcpy(text, head, strlen(head));
	for (size_t over = 0; over < 2; over++) {
		char *auto_free printed = NULL;
		struct spec s;
		int rc = parse_text(text, SPEC_FILE_MAX + over, &s, &printed);

		ok(over ? rc < 0 && strstr(printed, "$: is over 1 MiB")
			: rc == 0,
		   "1 MiB and %zu bytes", over);
		spec_free(&s);
	}
}

/* A hostile file of the full size: bounded work, bounded output. */
static void check_flood(const char *what, const char *head, const char *item,
			const char *tail)
{
	char *auto_free printed = NULL;
	char *text = NULL;
	size_t size, lines = 0;
	FILE *f = open_memstream(&text, &size);
	uint64_t begin = now_ms(CLOCK_MONOTONIC), took;
	struct spec s;

	fputs(head, f);
	for (unsigned int i = 0; ftell(f) < SPEC_FILE_MAX - 100; i++) {
		fputs(i ? "," : "", f);
		/* "#" in an item is its number. */
		for (const char *c = item; *c; c++)
			*c == '#' ? fprintf(f, "%x", i) : fputc(*c, f);
	}
	fputs(tail, f);
	fclose(f);
	ok(parse_text(text, size, &s, &printed) < 0, "flood of %s", what);
	for (const char *c = printed; *c; c++)
		lines += *c == '\n';
	took = now_ms(CLOCK_MONOTONIC) - begin;
	ok(lines <= PROBLEMS_SHOWN && took < 100000,
	   "flood of %s: %zu lines, %lu ms", what, lines, took);
	spec_free(&s);
	free(text);
}

/* All but what floods is in order. */
#define HEAD "{\"command\":[\"a\"],"

static void check_floods(void)
{
	check_flood("unknown keys", HEAD, "\"timeou#\":1", "}");
	check_flood("one key", HEAD, "\"pids\":1", "}");
	check_flood("variables", HEAD "\"env\":{", "\"A#\":\"\"", "}}");
	check_flood("passed variables", HEAD "\"env_pass\":[", "\"A#\"", "]}");
	check_flood("inputs", HEAD "\"inputs\":[", "\"/a#\"", "]}");
	check_flood("bad hosts", HEAD "\"network\":{\"hosts\":[", "\"*\"",
		    "]}}");
	check_flood("ports", HEAD "\"network\":{\"ports\":[", "1", "]}}");
	check_flood("mounts", HEAD "\"mounts\":[", "{\"a#\":1}", "]}");
}

static void check_json_places(void)
{
	static const struct {
		const char *text;
		size_t line, column;
	} rows[] = {
		{ "{\"a\":tru}", 1, 6 },
		{ "{\"a\":1,\n \"é\" 2}", 2, 6 },
		{ "[1,2,\n\n\t3,]", 3, 4 },
		{ "[\"\\x\"]", 1, 4 },
		{ "[\"\\u12g4\"]", 1, 7 },
		{ "[1.]", 1, 4 },
		{ "[1e+]", 1, 5 },
		{ "[-]", 1, 3 },
		{ "[.5]", 1, 2 },
		{ "\"a", 1, 3 },
		{ "[\"\\udc00\"]", 1, 9 },
		{ "nulll", 1, 5 },
		{ "[\"\\ud800\\u0041\"]", 1, 15 },
		{ "\"\\", 1, 3 },
		{ "[\"\xed\xa0\x80\"]", 1, 3 },
		{ "[\"\xe2\x82", 1, 3 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		/* Without the NUL, so that ASan sees a read too far. */
		size_t len = strlen(rows[i].text);
		char *text = memcpy(xcalloc(1, len), rows[i].text, len);
		struct json_fault f = { 0 };
		cJSON *tree = json_read(text, len, &f);

		ok(!tree && f.line == rows[i].line &&
		       f.column == rows[i].column,
		   "text %zu: %zu:%zu: %s", i, f.line, f.column, f.what);
		cJSON_Delete(tree);
		free(text);
	}
}

/* Those that no file of a case can hold. */
static void check_paths(void)
{
	static const char *const flags[] = { "--artifact", "--workdir",
					     "--input", "--output-file x:" };
	char path[PATH_MAX + 2] = "/";
	auto_free char *home = xstrdup(getenv("HOME"));

	memset(path + 1, 'a', PATH_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		bool colon = strchr(flags[i], ':');
		auto_free char *words = xasprintf("%s%s%s a", flags[i],
						  colon ? "" : " ", path);
		auto_free char *printed = NULL;
		struct spec s;

		ok(parse_words(words, &s, &printed) < 0 &&
		       strstr(printed, "bytes or more"),
		   "%s: too long a path", flags[i]);
		spec_free(&s);
	}
	for (size_t i = 0; i < 2; i++) {
		auto_free char *printed = NULL;
		struct spec s;
		int rc;

		i ? setenv("HOME", "/home/me", 1) : unsetenv("HOME");
		rc = parse_words("--artifact ~/a.tar a", &s, &printed);
		ok(i ? rc == 0 && !strcmp(s.artifact, "/home/me/a.tar")
		     : rc < 0 && strstr(printed, "HOME is not set"),
		   "~ %s HOME", i ? "is" : "without");
		spec_free(&s);
	}
	setenv("HOME", home, 1);
}

static void check_near(void)
{
	static const struct {
		const char *word, *candidate;
		bool near;
	} rows[] = {
		{ "hsots", "hosts", true },
		{ "timout", "timeout", true },
		{ "cup", "cpu", true },
		{ "env-pass", "env_pass", true },
		{ "x", "id", false },
		{ "", "id", false },
		{ "abc", "xyz", false },
		{ "ip", "id", true },
		{ "networks", "network", true },
		{ "network", "network", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct near_match match = { .word = rows[i].word };

		near_offer(&match, rows[i].candidate);
		ok(!!match.best == rows[i].near, "\"%s\" %s \"%s\"",
		   rows[i].word, rows[i].near ? "is near" : "is not",
		   rows[i].candidate);
	}
}

static void write_text(const char *path, const void *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write_all(fd, text, len) < 0)
		ok(false, "cannot write %s", path);
	close(fd);
}

static void check_prompt_files(void)
{
	static const struct {
		const char *what;
		size_t len;
		char fill;
		const char *problem;
	} rows[] = {
		{ "some text", 10, 'x', NULL },
		{ "1 MiB", PROMPT_MAX, 'x', NULL },
		{ "1 MiB and a byte", PROMPT_MAX + 1, 'x', "is over 1 MiB" },
		{ "NUL bytes", 10, '\0', "holds NUL bytes" },
		{ "nothing", 0, 'x', "is empty" },
	};
	char *text = xcalloc(1, PROMPT_MAX + 1);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *auto_free printed = NULL;
		struct spec s;
		int rc;

		memset(text, rows[i].fill, rows[i].len);
		write_text("prompt", text, rows[i].len);
		rc = parse_words("--agent claude --prompt-file prompt", &s,
				 &printed);
		ok(rows[i].problem ? rc < 0 && strstr(printed, rows[i].problem)
				   : rc == 0 && strlen(s.prompt) == rows[i].len,
		   "prompt file with %s", rows[i].what);
		spec_free(&s);
	}
	unlink("prompt");
	free(text);
}

/* Neither the spec nor a link to it may lie where the run can write. */
static void check_spec_place(void)
{
	static const struct {
		const char *words;
		bool taken;
	} rows[] = {
		{ "--spec own/spec.json true", true },
		{ "--spec own/spec.json --ro-bind own /x true", true },
		{ "--spec own/spec.json --bind own /x true", false },
		{ "--spec own/spec.json --bind . /x true", false },
		{ "--spec own/spec.json --bind alias /x true", false },
		{ "--spec alias/spec.json --bind own /x true", false },
		{ "--spec link.json --bind own /x true", false },
		{ "--spec other/link.json --bind other /x true", false },
		{ "--spec own/spec.json --bind other /x true", true },
		{ "--spec own/spec.json --bind own/sub/.. /x true", false },
	};

	mkdir("own", 0700);
	mkdir("own/sub", 0700);
	mkdir("other", 0700);
	write_text("own/spec.json", "{}", 2);
	if (symlink("own", "alias") || symlink("own/spec.json", "link.json") ||
	    symlink("../own/spec.json", "other/link.json"))
		ok(false, "cannot make links");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *auto_free printed = NULL;
		struct spec s;
		int rc = parse_words(rows[i].words, &s, &printed);

		ok(rows[i].taken ? rc == 0
				 : rc < 0 && strstr(printed, "may write"),
		   "%s %s",
		   rows[i].taken ? "taken:" : "refused:", rows[i].words);
		spec_free(&s);
	}
	for (size_t i = 0; i < 7; i++)
		remove((const char *[]){ "other/link.json", "link.json",
					 "alias", "own/spec.json", "own/sub",
					 "own", "other" }[i]);
}

/* Relative paths are against the spec's folder, links resolved. */
static void check_spec_folder(void)
{
	char *auto_free cwd = getcwd(NULL, 0);
	char *auto_free wanted = xasprintf("\"%s/deep/in\"", cwd);
	char *auto_free above = xasprintf("\"%s/up\"", cwd);
	char *auto_free flag = xasprintf("\"%s/flag\"", cwd);
	char *auto_free printed = NULL;
	const char *text = "{\"inputs\":[\"in\",\"../up\"]}";
	struct spec s;

	mkdir("deep", 0700);
	write_text("deep/s.json", text, strlen(text));
	if (symlink("deep", "way"))
		ok(false, "cannot make a link");
	ok(parse_words("--spec way/s.json --input flag true", &s, &printed) ==
		   0 &&
	       strstr(printed, wanted) && strstr(printed, above) &&
	       strstr(printed, flag),
	   "paths of the spec and of flags: %s", printed);
	spec_free(&s);
	unlink("way");
	unlink("deep/s.json");
	rmdir("deep");
}

static void check_secrets(void)
{
	char *auto_free printed = NULL;
	struct spec s;

	ok(parse_words("--setenv KEY s3cret true", &s, &printed) == 0 &&
	       !strstr(printed, "s3cret") && strstr(printed, "KEY") &&
	       strcmp(s.env[0].value, "s3cret") == 0,
	   "a variable's value is kept, and not printed");
	spec_free(&s);
}

static void check_not_utf8(void)
{
	char *auto_free printed = NULL;
	char *auto_free refused = NULL;
	struct spec s;

	ok(parse_words("--chdir /\xff true", &s, &printed) == 0 &&
	       strstr(printed, "cannot print the spec: what is given as "
			       "chdir is not UTF-8"),
	   "a path of any bytes is taken; it cannot be printed as JSON");
	spec_free(&s);
	ok(parse_words("--id \xff\x1b true", &s, &refused) < 0 &&
	       strstr(refused, "\\xff\\x1b"),
	   "bytes in messages are made visible");
	spec_free(&s);
}

static void check_descriptors(void)
{
	char *auto_free printed = NULL;
	struct spec s;

	ok(parse_words("--result-fd 1000 true", &s, &printed) < 0 &&
	       strstr(printed, "--result-fd: descriptor 1000 is not open"),
	   "a closed descriptor is refused");
	spec_free(&s);
}

int main(int argc, char **argv)
{
	char *auto_free place = xasprintf("%s/unit-spec.XXXXXX",
					  getenv("TMPDIR") ? getenv("TMPDIR")
							   : "/tmp");

	setenv("HOME", "/home/u", 1);
	check_defaults();
	check_values();
	check_actions();
	check_help();
	check_rows();
	check_sizes();
	check_floods();
	check_json_places();
	check_near();
	check_paths();
	check_secrets();
	check_not_utf8();
	check_descriptors();
	if (ok(chdir(argc > 1 ? argv[1] : "tests/spec") == 0, "tests/spec"))
		check_cases();
	if (ok(mkdtemp(place) && chdir(place) == 0, "a folder for files")) {
		check_prompt_files();
		check_spec_place();
		check_spec_folder();
		ok(chdir("/") == 0 && rmdir(place) == 0, "nothing left");
	}
	return done();
}
