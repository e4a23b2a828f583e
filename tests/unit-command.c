/* SPDX-License-Identifier: MIT */

/*
 * From names on a list to files that may be executed, what these bring along,
 * and what is refused: in a root tree that is made here.
 */

#include <elf.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "closure.h"
#include "command.h"
#include "danger.h"
#include "err.h"
#include "tap.h"

static char root[] = "/tmp/unit-command.XXXXXX";

/*** The tree ***/

/* Text; NULL: a link to what follows. */
static const struct entry {
	const char *path, *text, *target;
} entries[] = {
	{ "usr/bin/main", "m", NULL },
	{ "usr/bin/tool", "t", NULL },
	{ "usr/bin/word", NULL, "tool" },
	{ "usr/bin/bash", "the shell", NULL },
	{ "usr/bin/copied", "the shell", NULL },
	{ "usr/bin/renamed", NULL, "bash" },
	{ "usr/bin/bash-static", "another", NULL },
	{ "usr/bin/static-copied", "another", NULL },
	{ "usr/bin/pip-copied", "#!/usr/bin/python3\n", NULL },
	{ "usr/bin/busybox", "many", NULL },
	{ "usr/bin/ls", NULL, "busybox" },
	{ "usr/bin/coreutils", "few", NULL },
	{ "usr/bin/cat", NULL, "coreutils" },
	{ "usr/bin/npm", NULL, "../lib/npm/cli.js" },
	{ "usr/lib/npm/cli.js", "#!/usr/bin/node\n", NULL },
	{ "usr/bin/packages", NULL, "../lib/npm/cli.js" },
	{ "usr/bin/pip3.11", "#!/usr/bin/python3\n", NULL },
	{ "usr/bin/python3", NULL, "python3.11" },
	{ "usr/bin/script", "#!/usr/bin/python3 -s\n", NULL },
	{ "usr/bin/by-env", "#!/usr/bin/env -S A=b python3\n", NULL },
	{ "usr/bin/env", "e", NULL },
	{ "other/env", NULL, "/usr/bin/busybox" },
	{ "usr/bin/enveloped", "#!/other/env cat\n", NULL },
	{ "usr/bin/git", "g", NULL },
	{ "usr/lib/git-core/git-remote-http", "h", NULL },
	{ "usr/lib/git-core/git-submodule", "#!/bin/sh\n", NULL },
	{ "usr/lib/git-core/git-other", "o", NULL },
	{ "usr/bin/uname", "u", NULL },
	{ "usr/bin/basename", NULL, "coreutils" },
	{ "usr/bin/sed", NULL, "busybox" },
	{ "usr/lib/python3/lib-dynload/a.so", "no ELF", NULL },
	{ "usr/lib/python3/lib-dynload/.hidden", "d", NULL },
	{ "usr/lib/python3/lib-dynload/program", "d", NULL },
	{ "lib/ld.so", "l", NULL },
	{ "bin", NULL, "usr/bin" },
	{ "out", NULL, "/../../../../../../bin" },
	{ "work/mine", "w", NULL },
};

static void make_parents(char *path)
{
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
}

static void put(const char *relative, const void *bytes, size_t len)
{
	auto_free char *path = path_join(root, relative);
	auto_fd int fd = -1;

	make_parents(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	if (fd < 0 || write_all(fd, bytes, len) < 0)
		abort();
}

/* A program with this interpreter; by hand, as the kernel reads it. */
static void put_program(const char *relative, const char *interpreter)
{
	struct {
		Elf64_Ehdr head;
		Elf64_Phdr segments[2];
		char interpreter[64];
	} elf = { 0 };

	memcpy(elf.head.e_ident, ELFMAG, SELFMAG);
	elf.head.e_ident[EI_CLASS] = ELFCLASS64;
	elf.head.e_ident[EI_DATA] = ELFDATA2LSB;
#ifdef __x86_64__
	elf.head.e_machine = EM_X86_64;
#else
	elf.head.e_machine = EM_AARCH64;
#endif
	elf.head.e_phoff = sizeof(elf.head);
	elf.head.e_phentsize = sizeof(Elf64_Phdr);
	elf.head.e_phnum = 2;
	elf.segments[0] = (Elf64_Phdr){ .p_type = PT_LOAD,
					.p_vaddr = 0x10000,
					.p_filesz = sizeof(elf) };
	elf.segments[1].p_type = PT_INTERP;
	elf.segments[1].p_offset = sizeof(elf.head) + sizeof(elf.segments);
	elf.segments[1].p_filesz = strlen(interpreter) + 1;
	strcpy(elf.interpreter, interpreter);
	put(relative, &elf, sizeof(elf));
}

static void make_tree(void)
{
	put_program("usr/bin/python3.11", "/lib/ld.so");
	/* Whose loader is a program, and an env that is a shell. */
	put_program("usr/bin/loaded", "/usr/bin/python3.11");
	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		const struct entry *e = &entries[i];
		auto_free char *path = path_join(root, e->path);

		make_parents(path);
		if (e->text)
			put(e->path, e->text, strlen(e->text));
		else if (symlink(e->target, path) < 0)
			abort();
	}
}

static int remove_one(const char *path, const struct stat *st, int kind,
		      struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

/*** Lists ***/

struct list {
	struct commands commands;
	struct program program;
	struct spec spec;
};

/* "--allow-command" for each word; 0, or -1 by fail(). */
static int make_list(struct list *l, const char *words, const char *option)
{
	auto_free char *text = xstrdup(words);
	auto_strv struct strv argv = { 0 };
	char *save = NULL;
	int rc;

	*l = (struct list){ 0 };
	err_reset();
	strv_push(&argv, xstrdup("m9m-sandbox"));
	strv_push(&argv, xstrdup("--rootfs"));
	strv_push(&argv, xstrdup(root));
	if (!*words)
		strv_push(&argv, xstrdup("--allow-no-commands"));
	if (option)
		strv_push(&argv, xstrdup(option));
	for (char *w = strtok_r(text, " ", &save); w;
	     w = strtok_r(NULL, " ", &save)) {
		strv_push(&argv, xstrdup("--allow-command"));
		strv_push(&argv, xstrdup(w));
	}
	strv_push(&argv, xstrdup("/usr/bin/main"));
	if (spec_parse(&l->spec, (int)argv.n, argv.v, stdout) < 0)
		abort();
	rc = program_resolve(&l->program, &l->spec.command, NULL, root);
	return rc < 0
		   ? -1
		   : commands_plan(&l->commands, &l->program, &l->spec, NULL);
}

static void free_list(struct list *l)
{
	commands_free(&l->commands);
	program_free(&l->program);
	spec_free(&l->spec);
}

static const struct refused {
	const char *names, *says; /* NULL: it is allowed */
} refusals[] = {
	{ "tool", NULL },
	{ "/usr/bin/tool", NULL },
	{ "/bin/../usr/./bin/tool", NULL },
	{ "tool word /bin/tool", NULL },
	{ "nothing", "cannot find the allowed command nothing on PATH" },
	{ "/usr/bin/nothing", "cannot find" },
	{ "/usr/bin", "cannot find" },
	{ "/out/sh", "cannot find" },
	{ "/work/mine", "it is in the workdir" },
	{ "bash", "a shell does" },
	{ "/usr/bin/bash", "a shell does" },
	{ "/bin/../bin/bash", "a shell does" },
	{ "renamed", "it is /usr/bin/bash" },
	{ "copied", "its file is also bash" },
	{ "bash-static", "a shell does" },
	{ "static-copied", "its file is also bash-static" },
	{ "pip-copied", "its file is also pip3.11" },
	{ "pip-copied python3", "its file is also pip3.11" },
	{ "busybox", "a shell does" },
	{ "ls", "it is /usr/bin/busybox" },
	{ "cat", NULL },
	{ "npm", "fetches and runs" },
	{ "packages", "its file is also npm" },
	{ "pip3.11", "fetches and runs" },
	{ "script", "it is a script of /usr/bin/python3" },
	{ "script python3", NULL },
	{ "python3.11 script", NULL },
	{ "by-env", "it is a script of" },
	{ "by-env python3", NULL },
	{ "cat enveloped", "it is a script of /other/env" },
	{ "loaded", NULL },
	{ "git", NULL },
};

static void test_refusals(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		const struct refused *r = &refusals[i];
		struct list l;
		int rc = make_list(&l, r->names, NULL);
		const char *message = rc < 0 ? err_get()->message : "";

		ok(r->says ? rc < 0 && strstr(message, r->says) : rc == 0,
		   "%s: %s", r->names, rc < 0 ? message : "allowed");
		ok(rc == 0 || err_get()->remedy[0], "%s: with a remedy",
		   r->names);
		free_list(&l);
		if (!r->says || !strncmp(r->says, "cannot", 6) ||
		    strstr(r->says, "workdir"))
			continue;
		ok(make_list(&l, r->names, "--allow-dangerous-commands") == 0,
		   "%s: as it is wanted", r->names);
		free_list(&l);
	}
	err_reset();
}

/*** What is on it ***/

static const struct command *find(const struct list *l, const char *path)
{
	for (size_t i = 0; i < l->commands.n; i++)
		if (strcmp(l->commands.v[i].path, path) == 0)
			return &l->commands.v[i];
	return NULL;
}

static const struct command_map *find_map(const struct list *l,
					  const char *path)
{
	for (size_t i = 0; i < l->commands.n_maps; i++)
		if (strcmp(l->commands.maps[i].path, path) == 0)
			return &l->commands.maps[i];
	return NULL;
}

static void has(const struct list *l, const char *path, const char *why,
		const char *of)
{
	const struct command *c = find(l, path);

	ok(c && strcmp(c->why, why) == 0 &&
	       (of ? c->of && strcmp(c->of, of) == 0 : c->of == NULL),
	   "%s is there as %s%s%s", path, why, of ? " for " : "", of ? of : "");
}

static void test_empty(void)
{
	struct list l;

	ok(make_list(&l, "", NULL) == 0 && l.commands.listed,
	   "an empty list is a list");
	ok(l.commands.n == 1, "of one: %zu", l.commands.n);
	has(&l, "/usr/bin/main", COMMAND_ITSELF, NULL);
	free_list(&l);
}

static void test_names(void)
{
	struct list l;
	struct stat st;
	auto_free char *tool = path_join(root, "usr/bin/tool");
	auto_free char *git = path_join(root, "usr/bin/git");

	ok(make_list(&l, "word tool cat", NULL) == 0, "a list");
	has(&l, "/usr/bin/tool", COMMAND_LISTED, NULL);
	ok(l.commands.n == 3, "a second name is no second file");
	ok(find(&l, "/usr/bin/word") == NULL &&
	       strv_has(&l.commands.links, "/usr/bin/word\ttool"),
	   "a link stays a link");
	ok(l.commands.notes.n == 1 &&
	       strstr(l.commands.notes.v[0], "one of the names of coreutils"),
	   "a multi-call program is told");
	ok(stat(tool, &st) == 0 && commands_find(&l.commands, &st),
	   "found by its file");
	ok(stat(git, &st) == 0 && !commands_find(&l.commands, &st),
	   "another is not");
	free_list(&l);
}

/* With a shell that may run; but its tools bring in no other one. */
static void test_submodule(void)
{
	auto_free char *sh = path_join(root, "usr/bin/sh");
	struct list l;

	if (symlink("main", sh) < 0)
		abort();
	ok(make_list(&l, "git", NULL) == 0, "git, and a shell");
	has(&l, "/usr/lib/git-core/git-submodule", COMMAND_HELPER, "git");
	has(&l, "/usr/bin/uname", COMMAND_HELPER, "git-submodule");
	has(&l, "/usr/bin/coreutils", COMMAND_HELPER, "git-submodule");
	ok(!find(&l, "/usr/bin/busybox") && l.commands.notes.n == 1 &&
	       strstr(l.commands.notes.v[0],
		      "sed of git-submodule is /usr/bin/busybox"),
	   "busybox is not, and that is told");
	free_list(&l);
	ok(make_list(&l, "git", "--allow-dangerous-commands") == 0 &&
	       find(&l, "/usr/bin/busybox"),
	   "unless it is wanted");
	free_list(&l);
	unlink(sh);
}

static void test_parts(void)
{
	struct list l;

	ok(make_list(&l, "git", NULL) == 0, "git");
	has(&l, "/usr/lib/git-core/git-remote-http", COMMAND_HELPER, "git");
	ok(!find(&l, "/usr/lib/git-core/git-other"), "and no more of its own");
	ok(!find(&l, "/usr/lib/git-core/git-submodule") &&
	       l.commands.notes.n == 1 &&
	       strstr(l.commands.notes.v[0], "needs /bin/sh"),
	   "a helper whose shell is not there is told");
	free_list(&l);
	test_submodule();
	ok(make_list(&l, "script", "--allow-dangerous-commands") == 0,
	   "a script");
	has(&l, "/usr/bin/python3.11", COMMAND_INTERPRETER, "script");
	free_list(&l);
	ok(make_list(&l, "python3 by-env", NULL) == 0, "one of env's");
	has(&l, "/usr/bin/env", COMMAND_INTERPRETER, "by-env");
	free_list(&l);
}

static void test_folders(void)
{
	static const char folder[] = "/usr/lib/python3/lib-dynload";
	static const char *const closed[] = { "program", ".hidden" };
	const struct command_map *m;
	struct list l;

	ok(make_list(&l, "python3", NULL) == 0, "python");
	has(&l, "/lib/ld.so", COMMAND_LOADER, NULL);
	m = find_map(&l, folder);
	ok(m && !m->closed, "its folder of modules is open");
	ok(!find_map(&l, "/usr/lib/python3/lib-dynload/a.so"),
	   "with the modules in it");
	for (size_t i = 0; i < ARRAY_SIZE(closed); i++) {
		auto_free char *path = path_join(folder, closed[i]);

		m = find_map(&l, path);
		ok(m && m->closed, "%s in it is closed", closed[i]);
	}
	free_list(&l);
}

/*** Danger, and scripts ***/

static const struct {
	const char *name;
	bool dangerous;
} danger_names[] = {
	{ "sh", true },          { "bash", true },     { "bash-5.2", true },
	{ "bash-static", true }, { "zsh5", true },     { "mksh-static", true },
	{ "busybox", true },     { "sudo", true },     { "su", true },
	{ "curl", true },        { "wget", true },     { "pip", true },
	{ "pip3", true },        { "pip3.11", true },  { "npm", true },
	{ "npx", true },         { "dnf5", true },     { "nix-shell", true },
	{ "cpan5.36", true },    { "https", true },    { "apt-get", true },
	{ "git", false },        { "python3", false }, { "shred", false },
	{ "bashful", false },    { "pipes", false },   { "su2", false },
	{ "curlew", false },     { "rg", false },      { "ssh-add", false },
	{ "dash-board", false }, { "cargo", true },    { "bundle3.1", true },
	{ "pixi", true },        { "rustc", false },   { "cargo-fmt", false },
};

static void test_danger(void)
{
	const struct lookup lookup = { .root = root };
	struct dangers dangers;
	const struct danger_file *d;
	auto_free char *copied = path_join(root, "usr/bin/copied");
	auto_free char *tool = path_join(root, "usr/bin/tool");
	struct stat st;

	for (size_t i = 0; i < ARRAY_SIZE(danger_names); i++)
		ok(!!danger_by_name(danger_names[i].name) ==
		       danger_names[i].dangerous,
		   "%s is%s dangerous", danger_names[i].name,
		   danger_names[i].dangerous ? "" : " not");
	dangers_find(&dangers, &lookup);
	ok(dangers.n >= 3, "%zu dangerous programs in the tree", dangers.n);
	stat(copied, &st);
	d = danger_by_file(&dangers, copied, &st);
	ok(d && strcmp(d->name, "bash") == 0, "a copy is known");
	stat(tool, &st);
	ok(!danger_by_file(&dangers, tool, &st), "another file is none");
	dangers_free(&dangers);
}

static const struct {
	const char *text, *interpreter, *by_env;
} scripts[] = {
	{ "#!/bin/sh", "/bin/sh", NULL },
	{ "#! /bin/sh -e\n", "/bin/sh", NULL },
	{ "#!\t/usr/bin/python3\r\n", "/usr/bin/python3", NULL },
	{ "#!/usr/bin/env python3\n", "/usr/bin/env", "/usr/bin/python3" },
	{ "#!/usr/bin/env -S -i A=b python3 -s\n", "/usr/bin/env",
	  "/usr/bin/python3" },
	{ "#!/usr/bin/env nothing\n", "/usr/bin/env", NULL },
	{ "#!/usr/bin/env\n", "/usr/bin/env", NULL },
	{ "#!\n/bin/sh\n", NULL, NULL },
	{ "# !/bin/sh\n", NULL, NULL },
	{ "#!", NULL, NULL },
	{ "", NULL, NULL },
};

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void test_scripts(void)
{
	const struct gather g = { .lookup = { .root = root } };
	auto_free char *path = path_join(root, "script");

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		auto_free char *interpreter = NULL;
		auto_free char *by_env = NULL;
		bool is;

		put("script", scripts[i].text, strlen(scripts[i].text));
		is = closure_script(&g.lookup, path, &interpreter, &by_env);
		ok(is == (scripts[i].interpreter != NULL) &&
		       same(interpreter, scripts[i].interpreter) &&
		       same(by_env, scripts[i].by_env),
		   "script %zu: %s, %s", i, interpreter ? interpreter : "none",
		   by_env ? by_env : "none");
	}
	ok(!closure_script(&g.lookup, root, &(char *){ NULL },
			   &(char *){ NULL }),
	   "a folder is no script");
}

int main(void)
{
	if (mkdtemp(root) == NULL)
		return 99;
	chmod(root, 0755);
	make_tree();
	test_refusals();
	test_empty();
	test_names();
	test_parts();
	test_folders();
	test_danger();
	test_scripts();
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return done();
}
