/*
 * tls.c
 *		TLS inside of the program: the certificate, and its renewal without a restart.
 *		A proxy in front does it better: a connection costs 49 kB here.
 */
#include "net.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

static SSL_CTX *context;

/* The library's, when it has made it. */
void
qms_tls_context(void *ssl_ctx)
{
	context = ssl_ctx;
}

/* The last of OpenSSL's messages. */
static void
explain(QmsText *problem, const char *file)
{
	char		buffer[256];

	ERR_error_string_n(ERR_get_error(), buffer, sizeof(buffer));
	ERR_clear_error();
	qms_text_printf(problem, "could not use \"%s\": %s", file, buffer);
}

/* The two files into a context. */
static bool
load_into(SSL_CTX *into, QmsText *problem)
{
	const char *cert = qms_net.config->tls_cert;
	const char *key = qms_net.config->tls_key;

	if (SSL_CTX_use_certificate_chain_file(into, cert) != 1)
	{
		explain(problem, cert);
		return false;
	}
	if (SSL_CTX_use_PrivateKey_file(into, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(into) != 1)
	{
		explain(problem, key);
		return false;
	}
	return true;
}

/* Loads certificate and key, first aside, so that what is broken changes nothing. */
bool
qms_tls_load(QmsText *problem)
{
	SSL_CTX    *aside;
	bool		good;

	if (context == NULL)
	{
		qms_text_puts(problem, "TLS is not possible: libwebsockets has made no context for it");
		return false;
	}
	aside = SSL_CTX_new(TLS_server_method());
	if (aside == NULL)
		return false;
	good = load_into(aside, problem);
	SSL_CTX_free(aside);
	if (!good || !load_into(context, problem))
		return false;
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	return true;
}
