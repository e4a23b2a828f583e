/* SPDX-License-Identifier: MIT */

/*
 * What of a project needs a second look, what of it is hidden, and how two texts
 * differ: rows of names, and texts that patch(1) puts together again.
 */

#include "review.h"

#include <sys/inotify.h>

#include "changes.h"
#include "hidden.h"
#include "hostile.h"
#include "textdiff.h"

/* --- control files -------------------------------------------------------- */

static void test_paths(void)
{
	static const struct {
		const char *path;
		bool control;
	} rows[] = {
		{ ".git/hooks/pre-commit", true },
		{ "vendor/lib/.git/hooks/post-checkout", true },
		{ ".GIT/Hooks/pre-commit", true },
		/* Names that some file system takes for these. */
		{ ".git./hooks/pre-commit", true },
		{ ".git . /hooks/pre-commit", true },
		{ ".git::$INDEX_ALLOCATION/hooks/x", true },
		{ ".git:x", true },
		{ "git~1/hooks/pre-commit", true },
		{ "sub/CLAUDE~1/settings.json", true },
		{ "TRAVIS~1.YML", true },
		{ "back~10.c", true },
		{ "backup~1.c", true },
		{ "back~1.conf", false },
		{ "back~", false },
		{ "back.c~1", false },
		{ "~1", false },
		{ "longer-name~1", false },
		{ ".g\xe2\x80\x8cit/hooks/pre-commit", true },
		{ "\xef\xbb\xbf.git/hooks/pre-commit", true },
		{ ".hus\xe2\x84\xaay/pre-commit", true },
		{ ".v\xc5\xbf"
		  "code/tasks.json",
		  true },
		{ ".en\xc2\xadvrc", true },
		{ ".git\xef\xac\x81", false },
		{ "\xff.git/hooks/x", false },
		{ ".envrc.", true },
		{ "...", false },
		{ ".github.io/index.html", false },
		{ ".gitconfig", true },
		{ ".kshrc", true },
		{ ".config/fish/config.fish", true },
		{ ".woodpecker/build.yaml", true },
		{ ".git/config", true },
		{ ".git/index", true },
		{ ".git", true },
		{ "sub/.git", true },
		{ ".gitmodules", true },
		{ ".gitignore", false },
		{ ".gitattributes.txt", false },
		{ "git/hooks/pre-commit", false },
		{ ".github/workflows/ci.yml", true },
		{ ".github/CODEOWNERS", false },
		{ ".claude/settings.json", true },
		{ "a/b/.codex/config.toml", true },
		{ ".claude", false }, /* a file: no folder of settings */
		{ ".vscode/tasks.json", true },
		{ ".idea/x", true },
		{ ".envrc", true },
		{ "x.envrc", false },
		{ ".bashrc", true },
		{ "home/.profile", true },
		{ ".bashrc.d/x", false },
		{ "Jenkinsfile", true },
		{ ".m9mignore", true },
		{ ".build.yml", true },
		{ ".builds/alpine.yml", true },
		{ "buildspec.yml", true },
		{ "buildspec", false },
		{ "cloudbuild.yaml", true },
		{ "azure-pipelines.yaml", true },
		{ ".tekton/push.yaml", true },
		{ ".readthedocs.yaml", true },
		{ ".gitpod.yml", true },
		{ ".idx/dev.nix", true },
		{ ".claude.json", true },
		{ ".claude-plugin/plugin.json", true },
		{ "WARP.md", true },
		{ ".rules", true },
		{ ".rules/x", false },
		{ ".roorules-code", true },
		{ ".ssh/config", true },
		{ ".ssh", false },
		{ ".config/autostart/x.desktop", true },
		{ ".config/systemd/user/x.service", true },
		{ ".tmux.conf", true },
		{ "HEAD", true },
		{ "docs/HEAD", true },
		{ "docs/HEAD. ", true },
		{ "docs/head", true }, /* for a file system without case */
		{ "HEAD/x", false },
		{ "docs/HEADER", false },
		{ "docs/config", false }, /* without a HEAD */
		{ "lefthook.yml", true },
		{ "web/Lefthook-local.JSONC", true },
		{ ".pre-commit-config.yml", true },
		{ ".overcommit.yml", true },
		{ "web/.lintstagedrc.json", true },
		{ "lint-staged.config.mjs", true },
		{ "lint-staged/x", false },
		{ ".simple-git-hooks.cjs", true },
		{ ".goosehints", true },
		{ "docs/AGENT.md", true },
		{ ".lazy.lua", true },
		{ ".autoenv.zsh", true },
		{ "gradle/wrapper/gradle-wrapper.properties", true },
		{ "gradle/libs.versions.toml", false },
		{ ".jvmopts", true },
		{ ".bazelrc", true },
		{ "lefthook.d/x", false },
		{ "lefthook", false },
		{ ".cargo/config.toml", true },
		{ ".cargo/registry/x", false },
		{ "cargo/config.toml", false },
		{ "mise.toml", true },
		{ ".config/mise/conf.d/x.toml", true },
		{ ".config/other", false },
		{ ".npmrc", true },
		{ ".pnpmfile.cjs", true },
		{ ".yarn/releases/yarn-4.cjs", true },
		{ ".yarn/cache/x", false },
		{ ".hg/hgrc", true },
		{ ".hg/store/x", false },
		{ "opencode.jsonc", true },
		{ ".devcontainer.json", true },
		{ ".gdbinit", true },
		{ ".Rprofile", true },
		{ "CLAUDE.md", true },
		{ "sub/AGENTS.md", true },
		{ "docs/agents.md.txt", false },
		{ "Makefile", false }, /* it is run by being asked for */
		{ "package.json", false },
		{ ".gitattributes",
		  false }, /* of filters that are configured */
		{ "src/main.c", false },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ok((review_path(rows[i].path) != NULL) == rows[i].control,
		   "%s is %s control file", rows[i].path,
		   rows[i].control ? "a" : "no");
	ok(review_is_git_record(".git/objects/ab/cd") &&
	       review_is_git_record("x/.git/index") &&
	       review_is_git_record(".git/modules/a/b/index") &&
	       review_is_git_record(".git/modules/a/objects/aa/k") &&
	       review_is_git_record(".git/worktrees/w/HEAD") &&
	       !review_is_git_record(".git/modules/a/b/config") &&
	       !review_is_git_record(".git/modules/a/hooks/update") &&
	       !review_is_git_record(".git/modules/a/info/attributes") &&
	       !review_is_git_record(".git/worktrees/w/gitdir") &&
	       !review_is_git_record("modules/a/index") &&
	       !review_is_git_record(".git/hooks/x") &&
	       !review_is_git_record("a.git/index"),
	   "git's records are told from what git obeys");
}

/* Of a tree with HEAD in there/, and of changes that bring one to new/. */
static void test_heads(void)
{
	static const struct {
		const char *path;
		bool control;
	} rows[] = {
		{ "new/HEAD", true },
		{ "new/config", true },
		{ "new/Config.WORKTREE", true },
		{ "new/con\xef\xac\x81g", true },
		{ "new/hoo\xe2\x84\xaas/x", true },
		{ "new/commondir", true },
		{ "new/hooks/pre-commit", true },
		{ "new/hooks/config", true },
		{ "new/hooks", true },
		{ "new/objects/aa/k", false }, /* its HEAD is flagged */
		{ "new/config/x", false },
		{ "new/configure", false },
		{ "new/sub/config", false },
		{ "there/config", true },
		{ "there/objects/aa/k", false }, /* it has some */
		{ "there/refs/heads/k", true },
		{ "there/refs", true },
		{ "there/description", false },
		{ "folder/config", false },
		{ "link/config", false },
		{ "nowhere/hooks/x", false },
		{ "config", false },
	};
	struct change list[ARRAY_SIZE(rows)] = { 0 };
	const struct changes changes = { list, ARRAY_SIZE(rows), 0 };
	struct changes_git git;
	struct change moved = { .path = (char *)"x",
				.from = (char *)"there/config" };
	auto_fd int fd = -1;

	put_dir(at("heads"));
	put_dir(at("heads/there"));
	put_dir(at("heads/there/objects"));
	put_file(at("heads/there/HEAD"), "ref: refs/heads/main\n", 0644);
	put_dir(at("heads/folder"));
	put_dir(at("heads/folder/HEAD"));
	if (symlink("there", at("heads/link")) < 0)
		die("symlink");
	fd = open(at("heads"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		list[i] = (struct change){ .path = (char *)rows[i].path,
					   .new = { .mode = S_IFREG | 0644 } };
	changes_git_find(&git, &changes, fd, at("heads"), NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ok((changes_control(&list[i], &git) != NULL) == rows[i].control,
		   "%s is %s git", rows[i].path,
		   rows[i].control ? "obeyed by" : "nothing to");
	ok(changes_control(&moved, &git) != NULL,
	   "nor is a part moved away unseen");
	changes_git_free(&git);
}

/* Of a tree whose owner has told git of some of its files. */
static void test_named(void)
{
	static const char config[] =
	    "\xef\xbb\xbf[include] path = ../marked.cfg\n"
	    "[core]\n\thooksPath = tools/hooks\n\teditor = code --wait\n"
	    "\tfsmonitor = \"./watch it.sh\"\n[include]\npath=../shared.cfg\n"
	    "[filter \"x\"]\n\tclean = python3 clean.py %f\n"
	    "\tSmudge = sh -c 'bin/smudge'\n[diff]\n\texternal = /usr/bin/d\n"
	    "[alias]\n\tx = !scripts/x.sh main\n\ty = log docs/y\n"
	    "[branch \"main\"]\n\tremote = origin\n\tmerge = refs/heads/main\n"
	    "[remote \"origin\"]\n\turl = lib/other\n"
	    /* As git never writes it, and reads it nevertheless. */
	    "[Core] attributesFile = one/attributes\n"
	    "[core]askpass=./two # said\r\n"
	    "  sshCommand = thr\\\nee/ssh ; said\n"
	    "[diff \"a]b\\\"c\"] textconv = \"four\"/'five 5'\n"
	    "pager\n[pager] log = \"six/p # \" -x\n"
	    "[mergetool \"m\"] path = eight/m\n[sendemail] toCmd = ./nine\n"
	    "[alias] t = \"!$(git rev-parse --show-toplevel)/ten/x a/log\"\n"
	    "u = \"!\\\"$(git rev-parse --show-toplevel)\\\"/eleven/x\"\n"
	    "v = !$PWD/twelve/x\n"
	    "[includeIf \"gitdir:/nowhere\"] path = ../other.cfg\n";
	static const char other[] = "[filter \"y\"]\nsmudge = ./seven\n"
				    "[include]\npath = other.cfg\n"
				    "[include]\npath = other.cfg\n";
	static const struct {
		const char *path;
		bool control;
	} rows[] = {
		{ "tools/hooks/pre-commit", true },
		{ "tools/hooks", true },
		{ "tools/hooks.md", false },
		{ "tools/x", false },
		{ "shared.cfg", true },
		{ "sub/shared.cfg", false },
		{ "watch", true },
		{ "clean.py", true },
		{ "bin/smudge", true },
		{ "scripts/x.sh", true },
		{ "main", false },
		{ "code/main.c", false },
		{ "usr/bin/d", false },
		{ "docs/y", false },
		{ "origin", false },
		{ "lib/other", false },
		{ "one/attributes", true },
		{ "two", true },
		{ "said", false },
		{ "three/ssh", true },
		{ "four/five", true },
		{ "six/p", true },
		{ "other.cfg", true },
		{ "seven", true },
		{ "marked.cfg", true },
		{ "eight/m", true },
		{ "nine", true },
		{ "ten/x", true },
		{ "log", false },
		{ "eleven/x", true },
		{ "twelve/x", true },
		{ "absolute/hooks/pre-push", true },
		{ "absolute/x", false },
	};
	const struct changes none = { 0 };
	auto_free char *tree = NULL, *whole = NULL;
	struct changes_git git;
	auto_fd int fd = -1;

	put_dir(at("named"));
	put_dir(at("named/.git"));
	tree = xstrdup(at("named"));
	whole = xasprintf("%s[core]\nhooksPath = %s/absolute/./hooks\n", config,
			  tree);
	put_file(at("named/.git/config"), whole, 0644);
	put_file(at("named/other.cfg"), other, 0644);
	fd = open(at("named"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	changes_git_find(&git, &none, fd, tree, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct change c = { .path = (char *)rows[i].path,
					  .old = { .mode = S_IFREG | 0755 },
					  .new = { .mode = S_IFREG | 0755 } };

		ok((changes_control(&c, &git) != NULL) == rows[i].control,
		   "%s is %s by git's configuration", rows[i].path,
		   rows[i].control ? "named" : "not named");
	}
	changes_git_free(&git);
}

/* What is longer than we read may name anything, and takes no long time. */
static void test_named_much(void)
{
	static const struct {
		const char *head, *line;
		size_t bytes;
		bool all;
	} rows[] = {
		{ "", "a=b\n", 4 << 20, false },
		{ "", "a=b\n", 17 << 20, true },
		{ "[pager]", "a=./b\n", 2 << 20, true },
		{ "[include]", "path=config\n", 4 << 20, true },
		{ "[alias]", "a = !x \\\n./b \\\n", 1 << 20, false },
	};
	const struct change c = { .path = (char *)"other",
				  .old = { .mode = S_IFREG | 0644 },
				  .new = { .mode = S_IFREG | 0644 } };
	const struct changes none = { 0 };
	auto_free char *tree = xstrdup(at("much"));
	auto_fd int fd = -1;

	put_dir(tree);
	put_dir(at("much/.git"));
	fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		FILE *out = fopen(at("much/.git/config"), "w");
		size_t len = strlen(rows[i].line);
		struct changes_git git;

		fputs(rows[i].head, out);
		for (size_t n = 0; n < rows[i].bytes; n += len)
			fputs(rows[i].line, out);
		fclose(out);
		changes_git_find(&git, &none, fd, tree, NULL);
		ok((changes_control(&c, &git) != NULL) == rows[i].all,
		   "of %zu bytes of \"%s\" %s is told", rows[i].bytes,
		   rows[i].head, rows[i].all ? "not all" : "all");
		changes_git_free(&git);
	}
}

/* To look at what is named is not to touch it. */
static void test_named_fifo(void)
{
	const struct changes none = { 0 };
	auto_free char *tree = xstrdup(at("fifo"));
	auto_fd int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	auto_fd int fd = -1;
	struct changes_git git;
	char event[512];

	put_dir(tree);
	put_dir(at("fifo/.git"));
	put_file(at("fifo/.git/config"), "[include] path = pipe\n", 0644);
	fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mkfifo(at("fifo/.git/pipe"), 0600) < 0 ||
	    inotify_add_watch(watch, at("fifo/.git/pipe"), IN_OPEN) < 0)
		die("inotify_add_watch");
	changes_git_find(&git, &none, fd, tree, NULL);
	ok(read(watch, event, sizeof(event)) < 0, "no fifo is opened");
	changes_git_free(&git);
}

static void test_links(void)
{
	static const struct {
		const char *path, *target;
		bool leaves;
	} rows[] = {
		{ "l", "a", false },           { "l", "./a/b", false },
		{ "l", "/etc", true },         { "l", "..", true },
		{ "l", "a/..", true }, /* `a` may be a link itself */
		{ "d/l", "..", false },        { "d/l", "../a", false },
		{ "d/l", "../..", true },      { "d/l", "../a/../../x", true },
		{ "d/e/l", "../../x", false }, { "d/l", ".././../x", true },
		{ "d/l", "..//../x", true },   { "d/l", "...", false },
		{ "d/l", "..a/b", false },     { "l", "", false },
	};
	static const char *const folders[] = { ".git",        ".git/hooks",
					       ".claude",     "sub/.GitHub",
					       ".vscode",     ".cargo",
					       ".config/mise" };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		ok(review_link_leaves(rows[i].path, rows[i].target) ==
		       rows[i].leaves,
		   "%s -> %s %s", rows[i].path, rows[i].target,
		   rows[i].leaves ? "leaves" : "stays");
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		ok(review_link(folders[i]) != NULL,
		   "a link as %s stands for what is obeyed", folders[i]);
	ok(review_link("src") == NULL && review_link("x.git") == NULL,
	   "one of another name does not");
}

/* --- hidden --------------------------------------------------------------- */

static void put_ignore(const char *text)
{
	unlink(at("p/.m9mignore"));
	put_file(at("p/.m9mignore"), text, 0644);
}

/* The hidden paths, folders with a slash, separated by spaces. */
static char *hidden_list(const struct strv *shown, const char *message)
{
	auto_fd int fd = open(at("p"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct hidden hidden;
	char *list = xstrdup("");
	int rc = hidden_find(&hidden, fd, shown, 0, NULL);

	for (size_t i = 0; i < hidden.files.n + hidden.folders.n; i++) {
		bool file = i < hidden.files.n;
		char *longer = xasprintf(
		    "%s%s%s%s", list, *list ? " " : "",
		    file ? hidden.files.v[i]
			 : hidden.folders.v[i - hidden.files.n],
		    file ? "" : "/");

		free(list);
		list = longer;
	}
	hidden_free(&hidden);
	if (message ? did_fail(rc, message) : went_well(rc))
		return list;
	free(list);
	return xstrdup("(otherwise)");
}

/* What a payload in place may not move. */
static void check_above(const char *wanted)
{
	auto_fd int fd = open(at("p"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct strv none = { 0 };
	struct hidden hidden;
	char *list = xstrdup("");

	went_well(hidden_find(&hidden, fd, &none, HIDDEN_WHOLE, NULL));
	for (size_t i = 0; i < hidden.above.n; i++) {
		char *longer = xasprintf("%s%s%s", list, *list ? " " : "",
					 hidden.above.v[i]);

		free(list);
		list = longer;
	}
	ok(strcmp(list, wanted) == 0, "what is hidden is in %s", list);
	free(list);
	hidden_free(&hidden);
}

static void check_hidden(const char *ignore, const char *wanted,
			 const char *message)
{
	const struct strv none = { 0 };
	auto_free char *got = NULL;

	put_ignore(ignore);
	got = hidden_list(&none, message);
	ok(strcmp(got, wanted) == 0, "ignoring \"%.*s\": %s",
	   (int)strcspn(ignore, "\r\n"), ignore, got);
}

static void test_hidden(void)
{
	static const char *const files[] = {
		".env",   ".env.local", "env",     "a.txt",   "id_rsa",
		"d/.env", "d/key.key",  "d/b.txt", "d/e/.env"
	};
	static const char usual[] = ".env .env.local d/.env d/e/.env d/key.key "
				    "d/private.pem id_rsa .ssh/";
	static char *one[] = { (char *)"d/.env" };
	static char *within[] = { (char *)".ssh/config" };
	static char *own[] = { (char *)"a.txt", (char *)"d/b.txt" };
	const struct strv shown = { one, 1 };
	auto_free char *got = NULL;

	put_dir(at("p"));
	put_dir(at("p/d"));
	put_dir(at("p/d/e"));
	put_dir(at("p/.ssh"));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		put_file(at("p/%s", files[i]), "x\n", 0644);
	put_file(at("p/d/private.pem"), "-----BEGIN PRIVATE KEY-----\n", 0644);
	put_file(at("p/d/public.pem"), "-----BEGIN CERTIFICATE-----\n", 0644);
	check_hidden("", usual, NULL);
	check_hidden("# words\n\n  \n", usual, NULL);
	check_hidden("a.txt\n",
		     ".env .env.local a.txt d/.env d/e/.env "
		     "d/key.key d/private.pem id_rsa .ssh/",
		     NULL);
	check_hidden("/d/b.txt\r\n",
		     ".env .env.local d/.env d/b.txt d/e/.env "
		     "d/key.key d/private.pem id_rsa .ssh/",
		     NULL);
	check_hidden("**/e/\n",
		     ".env .env.local d/.env d/key.key "
		     "d/private.pem id_rsa .ssh/ d/e/",
		     NULL);
	check_hidden("d/*.txt\n",
		     ".env .env.local d/.env d/b.txt d/e/.env "
		     "d/key.key d/private.pem id_rsa .ssh/",
		     NULL);
	check_hidden("/none\nd/none\n", usual, NULL);
	check_hidden("A.TXT\nD/*.txt\n", usual, NULL);
	check_hidden("!.env\n", "", "--show FILE");
	check_hidden("a.txt\n!a.txt\n", "", "--show FILE");
	check_hidden("x\\ \n", "", "ends with a backslash");
	check_hidden("x\\/\n", "", "ends with a backslash");
	check_hidden("a/**/b\n", "", "not understood");
	check_hidden("../up\n", "", "not understood");
	check_hidden("/\n", "", "whole project");
	put_ignore("");
	check_above("d d/e");
	got = hidden_list(&shown, NULL);
	ok(strcmp(got, ".env .env.local d/e/.env d/key.key d/private.pem "
		       "id_rsa .ssh/") == 0,
	   "shown: %s", got);
	free(hidden_list(&(struct strv){ within, 1 }, "its folder is hidden"));
	put_ignore("a.txt\nd/*.txt\n");
	free(take_ptr(&got));
	got = hidden_list(&(struct strv){ own, 2 }, NULL);
	ok(strcmp(got, usual) == 0, "shown against the user's list: %s", got);
}

static void test_names(void)
{
	static const struct {
		const char *name, *text;
		bool hidden;
	} rows[] = {
		{ ".ENV", "", true },
		{ ".Env.Local", "", true },
		{ "SERVER.KEY", "", true },
		{ "CERT.PFX", "", true },
		{ "Root.PEM", "PRIVATE KEY", true },
		{ "Root.PEM", "CERTIFICATE", false },
		{ "My-Service-Account.JSON", "PRIVATE KEY", true },
		{ "release.keystore", "", true },
		{ "putty.ppk", "", true },
		{ "team.kdbx", "", true },
		{ ".htpasswd", "", true },
		{ ".vault-token", "", true },
		{ ".dockercfg", "", true },
		{ "credentials.json", "", true },
		{ "credentials.toml", "", true },
		{ "credentials.c", "", false },
		{ "my-service-account.json", "PRIVATE KEY", true },
		{ "service-account-1.json", "PRIVATE KEY", true },
		{ "service_account.json", "{}", false },
		{ ".my.cnf", "password=x", true },
		{ "my.cnf", "password=x", false },
	};
	const struct strv none = { 0 };

	put_dir(at("p"));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *got = NULL;

		put_file(at("p/%s", rows[i].name), rows[i].text, 0644);
		got = hidden_list(&none, NULL);
		ok((strcmp(got, rows[i].name) == 0) == rows[i].hidden,
		   "%s with \"%s\": hidden: %s", rows[i].name, rows[i].text,
		   got);
		if (unlink(at("p/%s", rows[i].name)) < 0)
			die(rows[i].name);
	}
	if (rmdir(at("p")) < 0)
		die("rmdir");
}

/* Nothing of our own list is here: what is hidden, the pattern says. */
static void test_patterns(void)
{
	static const char *const files[] = { "a",     "b",      "ab",  "a*b",
					     "axb",   "[a]",    "s t", "#hash",
					     "!bang", "back\\", "t/a", "t/c-d",
					     "t/u/a" };
	static const struct {
		const char *ignore, *wanted;
	} rows[] = {
		{ "a\\*b\n", "a*b" },
		{ "a[*]b\n", "a*b" },
		{ "a*b\n", "a*b ab axb" },
		{ "a?b\n", "a*b axb" },
		{ "[ab]\n", "a b t/a t/u/a" },
		{ "/t/[a-c]\n", "t/a" },
		{ "[!a]\n", "b t/" },
		{ "[^a]b\n", "" },
		{ "[[:punct:]a]b\n", "ab" },
		{ "\\[a]\n", "[a]" },
		{ "[[]a]\n", "[a]" },
		{ "[a\n", "" },
		{ "s\\ t\n", "s t" },
		{ "s t  \n", "s t" },
		{ "\\#hash\n", "#hash" },
		{ "\\!bang\n", "!bang" },
		{ "back\\\\?\n", "" },
		{ "back[\\\\]\n", "back\\" },
		{ "t/*\n", "t/a t/c-d t/u/" },
		{ "t/*/\n", "t/u/" },
		{ "*/a\n", "t/a" },
		{ "t/[a-c]-[!e]\n", "t/c-d" },
		{ "t[/]a\n", "" },
	};
	auto_free char *away = xstrdup(at("before"));

	rename(at("p"), away);
	put_dir(at("p"));
	put_dir(at("p/t"));
	put_dir(at("p/t/u"));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		put_file(at("p/%s", files[i]), "x\n", 0644);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_hidden(rows[i].ignore, rows[i].wanted, NULL);
}

/* --- text ----------------------------------------------------------------- */

static char *diff_of(const char *old, size_t n, const char *new, size_t m)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	textdiff_print(out, old, n, new, m);
	fclose(out);
	return text;
}

static void test_diff_words(void)
{
	static const struct {
		const char *old, *new, *diff;
	} rows[] = {
		{ "", "", "" },
		{ "a\n", "a\n", "" },
		{ "", "a\n", "@@ -0,0 +1,1 @@\n+a\n" },
		{ "a\n", "", "@@ -1,1 +0,0 @@\n-a\n" },
		{ "a\n", "b\n", "@@ -1,1 +1,1 @@\n-a\n+b\n" },
		{ "a", "a\n",
		  "@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n" },
		{ "1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
		  "@@ -6,3 +6,4 @@\n 6\n 7\n 8\n+9\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		auto_free char *got = diff_of(rows[i].old, strlen(rows[i].old),
					      rows[i].new, strlen(rows[i].new));

		ok(strcmp(got, rows[i].diff) == 0, "diff %zu", i);
	}
}

/* Lines out of few, so that many are alike. */
static size_t put_lines(char *text, unsigned int *seed, int most)
{
	size_t n = 0;

	for (int i = rand_r(seed) % (most + 1); i > 0; i--)
		n += (size_t)sprintf(text + n, "line %d\n", rand_r(seed) % 7);
	/* Some have no end of line at their end. */
	if (n > 0 && rand_r(seed) % 4 == 0)
		n--;
	text[n] = '\0';
	return n;
}

static void test_diff_patch(void)
{
	int wrong = 0;

	if (system("patch --version >/dev/null 2>&1") != 0) {
		printf("# patch is not installed\n");
		return;
	}
	for (unsigned int round = 1; round <= 60; round++) {
		static char old[4096], new[4096];
		unsigned int seed = round;
		size_t n = put_lines(old, &seed, 40);
		size_t m = put_lines(new, &seed, 40);
		auto_free char *diff = diff_of(old, n, new, m);
		auto_free char *all = xasprintf("--- f\n+++ f\n%s", diff);
		auto_free char *command = xasprintf(
		    "cd '%s' && patch -s --posix f d >/dev/null 2>&1", base);

		unlink(at("f"));
		unlink(at("d"));
		put_file(at("f"), old, 0644);
		put_file(at("d"), all, 0644);
		if (*diff && system(command) != 0)
			wrong++;
		else if (!(m == 0 && !exists(at("f"))) && !holds(at("f"), new))
			wrong++;
	}
	ok(wrong == 0, "60 pairs of texts: patch makes the new of the old");
}

int main(void)
{
	umask(022);
	make_base();
	test_paths();
	test_heads();
	test_named();
	test_named_much();
	test_named_fifo();
	test_links();
	test_names();
	test_hidden();
	test_patterns();
	test_diff_words();
	test_diff_patch();
	drop_base();
	return done();
}
