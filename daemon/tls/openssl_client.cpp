#include "daemon/tls/openssl_client.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <system_error>

namespace brokerd {
namespace {

bool is_address(const std::string& host) {
    in6_addr buffer{};
    return inet_pton(AF_INET, host.c_str(), &buffer) == 1 || inet_pton(AF_INET6, host.c_str(), &buffer) == 1;
}

}  // namespace

std::string last_openssl_reason() {
    const unsigned long code = ERR_peek_last_error();
    const char* text = ERR_reason_error_string(code);
    if (text != nullptr) return text;
    return ERR_GET_LIB(code) == ERR_LIB_SYS ? std::generic_category().message(ERR_GET_REASON(code)) : "unknown cause";
}

void refuse_passphrases(SSL_CTX& context) {
    SSL_CTX_set_default_passwd_cb(&context, [](char*, int, int, void*) { return 0; });
}

bool require_name(SSL& ssl, const std::string& host) {
    if (is_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(&ssl), host.c_str()) == 1;
    // What SSL_set_tlsext_host_name() is, without its C cast; OpenSSL copies the name.
    SSL_ctrl(&ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(host.c_str()));
    return SSL_set1_host(&ssl, host.c_str()) == 1;
}

}  // namespace brokerd
