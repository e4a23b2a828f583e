/* SPDX-License-Identifier: MIT */

/*
 * Golden plans: each tests/plan/NAME.args (one argument a line) must explain to
 * NAME.plan, for a fixed host.  M9M_BLESS=1 writes what it finds instead.
 */

#include "../plan.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../err.h"
#include "tap.h"

static const char *const folders[] = {
	"usr",
	"usr/bin",
	"usr/lib",
	"etc",
	"etc/ssl",
	"etc/ssl/certs",
	"etc/ssl/private",
	"etc/java-17-openjdk",
	"home",
	"lib32",
	"extra",
	"tree",
	"tree/etc",
	"tree/opt",
	"tree/var",
	"tree/var/lib",
	"tree/proc",
	"box",
	"box/usr",
	"box/usr/bin",
	"box/usr/lib",
	"box/usr/lib/git-core",
};
static const char *const files[] = {
	"etc/services",    "etc/shadow",        "etc/passwd",
	"etc/ld.so.cache", "tree/etc/own.conf",
};
/* What can be executed, and its text. */
static const char *const programs[][2] = {
	{ "box/usr/bin/tool", "x" },
	{ "box/usr/bin/git", "y" },
	{ "box/usr/bin/lang", "z" },
	{ "box/usr/bin/report", "#!/usr/bin/lang -w\n" },
	{ "box/usr/bin/bash", "shell" },
	{ "box/usr/lib/git-core/git-remote-http", "h" },
	{ "box/usr/lib/git-core/git-submodule", "#!/bin/sh\n" },
};
static const char *const links[][2] = {
	{ "usr/bin", "box/bin" },
	{ "tool", "box/usr/bin/word" },
	{ "usr/bin", "bin" },
	{ "usr/lib", "lib" },
	{ "/usr/share/zoneinfo/UTC", "etc/localtime" },
	{ "extra", "link" },
};

static char *root;

static void in_root(const char *path, char out[static 256])
{
	snprintf(out, 256, "%s/%s", root, path);
}

static void make_root(void)
{
	char path[256];

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		in_root(folders[i], path);
		mkdir(path, 0755);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		in_root(files[i], path);
		fclose(fopen(path, "w"));
	}
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		FILE *f;

		in_root(programs[i][0], path);
		f = fopen(path, "w");
		fputs(programs[i][1], f);
		fclose(f);
		chmod(path, 0755);
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		in_root(links[i][1], path);
		if (symlink(links[i][0], path) < 0)
			perror(path);
	}
}

static void remove_root(void)
{
	char path[256];

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		in_root(links[i][1], path);
		unlink(path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		in_root(files[i], path);
		unlink(path);
	}
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		in_root(programs[i][0], path);
		unlink(path);
	}
	for (size_t i = ARRAY_SIZE(folders); i-- > 0;) {
		in_root(folders[i], path);
		rmdir(path);
	}
	rmdir(root);
}

/* Every `from` in `text` becomes `to`; owned. */
static char *replace(const char *text, const char *from, const char *to)
{
	char *out = xstrdup("");
	const char *hit;

	while ((hit = strstr(text, from)) != NULL) {
		char *longer = xasprintf("%s%.*s%s", out, (int)(hit - text),
					 text, to);

		free(out);
		out = longer;
		text = hit + strlen(from);
	}
	char *all = xasprintf("%s%s", out, text);

	free(out);
	return all;
}

static char *explain(struct strv *args, char **environment)
{
	static char state[] = "/state/m9m-sandbox";
	static char audit[] = "/state/m9m-sandbox/audit.jsonl";
	static char run_id[] = "20260102T030405Z-00000000";
	struct host host = { .uid = 1000,
			     .gid = 1000,
			     .root = root,
			     .state_dir = state,
			     .audit_path = audit,
			     .run_id = run_id,
			     .payload_uid = 1000,
			     .payload_gid = 1000,
			     .landlock = 7,
			     .environ = environment };
	struct spec spec;
	struct plan plan = { 0 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	err_reset();
	if (spec_parse(&spec, (int)args->n, args->v, out) == 0) {
		if (plan_make(&plan, &spec, &host) == 0)
			plan_explain(&plan, out);
		else
			fprintf(out, "refused: %s\n%s\n", err_get()->message,
				err_get()->remedy);
	}
	plan_free(&plan);
	spec_free(&spec);
	fclose(out);
	return text;
}

static void test_case(const char *args_path)
{
	static char lang[] = "LANG=de_DE.UTF-8", term[] = "TERM=xterm";
	static char secret[] = "SECRET=x", key[] = "ANTHROPIC_API_KEY=k";
	char *environment[] = { lang, term, secret, key, NULL };
	auto_free char *plan_path = replace(args_path, ".args", ".plan");
	auto_free char *raw = read_file(-100, args_path, 65536, NULL);
	auto_free char *lines = replace(raw, "HOST", root);
	auto_free char *wanted = read_file(-100, plan_path, 1 << 20, NULL);
	auto_strv struct strv args = { 0 };
	char *save = NULL;

	strv_push(&args, xstrdup("m9m-sandbox"));
	for (char *line = strtok_r(lines, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save))
		strv_push(&args, xstrdup(line));

	auto_free char *text = explain(&args, environment);
	auto_free char *got = replace(text, root, "HOST");

	if (getenv("M9M_BLESS")) {
		FILE *f = fopen(plan_path, "w");

		fputs(got, f);
		fclose(f);
	}
	if (!ok(wanted && strcmp(got, wanted) == 0, "%s", plan_path))
		printf("# got:\n%s", got);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	auto_free char *pattern = xasprintf("%s/plan.XXXXXX",
					    tmp ? tmp : "/tmp");
	glob_t found;

	root = mkdtemp(pattern);
	if (root == NULL)
		return 1;
	make_root();
	if (glob("tests/plan/*.args", 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			test_case(found.gl_pathv[i]);
	globfree(&found);
	remove_root();
	return done();
}
