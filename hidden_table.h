/* SPDX-License-Identifier: MIT */

/*
 * Names that hold secrets: those of files that are for nothing else.  Of those
 * that may hold one, the text decides: it is read at each start.
 */

static const struct pattern defaults[] = {
	/* Environments, and keys */
	{ ".env*" },
	{ "id_rsa" },
	{ "id_dsa" },
	{ "id_ecdsa" },
	{ "id_ed25519" },
	{ "*.key" },
	{ "*.pem", "PRIVATE KEY" },
	{ "*.p12" },
	{ "*.pfx" },
	{ "*.jks" },
	{ "*.keystore" },
	{ "*.ppk" },
	{ "*.kdbx" },

	/* What tools log in with */
	{ ".netrc" },
	{ "_netrc" },
	{ ".npmrc", "_auth" },
	{ ".yarnrc.yml", "Auth" },
	{ ".pypirc" },
	{ ".git-credentials" },
	{ ".pgpass" },
	{ ".my.cnf", "password" },
	{ ".htpasswd" },
	{ ".vault-token" },
	{ ".dockercfg" },
	{ ".s3cfg" },
	{ ".boto" },
	{ "credentials.json" },
	{ "credentials.toml" },
	{ "*service*account*.json", "PRIVATE KEY" },

	/* Folders of theirs */
	{ ".aws", .folder_only = true },
	{ ".azure", .folder_only = true },
	{ ".ssh", .folder_only = true },
	{ ".gnupg", .folder_only = true },
	{ ".kube", .folder_only = true },
	{ ".docker", .folder_only = true },
};
