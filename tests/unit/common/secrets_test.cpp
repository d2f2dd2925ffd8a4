#include "common/secrets.h"

#include <catch2/catch.hpp>

#include "common/endpoint.h"
#include "common/plugin_name.h"

using namespace brokerd;

TEST_CASE("names that usually are of secrets", "[common]") {
    for (const std::string name :
         {"PASSWORD", "DB_PASSWORD", "db-password",   "dbPassword",      "dbpassword",
          "PASSWD",   "PASSPHRASE",  "SECRET",        "CLIENT_SECRET_2", "AWS_SECRET_ACCESS_KEY",
          "API_KEY",  "apikey",      "APIKey",        "SSHKEY",          "KEYS",
          "TOKEN",    "accessToken", "ACCESSTOKENS",  "CREDENTIALS",     "DB_PASS",
          "pw",       "DB.PWD",      "REGISTRY_AUTH", "--password",      "-key"}) {
        INFO(name);
        CHECK(sounds_secret(name));
    }
    for (const std::string name : {"", "_", "DEBUG", "VOLUMES", "PWD", "OLDPWD", "KEYBOARD", "COMPASSES", "AUTHOR",
                                   "PASSWORD_FILE", "TOKEN_PATH", "keyDir", "USER", "HTTP_PROXY", "--verbose"}) {
        INFO(name);
        CHECK_FALSE(sounds_secret(name));
    }
}

TEST_CASE("passwords in addresses are hidden", "[common]") {
    CHECK(without_secrets("https://user:pw@host:1/x") == "https://user:********@host:1/x");
    CHECK(without_secrets("from https://a:b@h/ to http://c:d@i, e") ==
          "from https://a:********@h/ to http://c:********@i, e");
    CHECK(without_secrets("https://token@host/") == "https://********@host/");
    CHECK(without_secrets("ssh://user@host") == "ssh://user@host");
    CHECK(without_secrets("ssh://user:pw@host") == "ssh://user:********@host");
    CHECK(without_secrets("\"https://u:a@b@h\" x@y") == "\"https://u:********@h\" x@y");
    CHECK(without_secrets("https://u:a/b?c@h/d") == "https://u:********@h/d");
    CHECK(without_secrets("https://u:@h") == "https://u:********@h");
}

TEST_CASE("what has no password stays as it is", "[common]") {
    for (const std::string text : {"", "://", "http://", "http://host:80/a@b", "http://host/x?mail=a@b",
                                   "unix:///run/a@b.sock", "vieux/sshfs:latest@sha256:0123", "a@b", "tcp://[::1]:80"}) {
        CHECK(without_secrets(text) == text);
    }
}

TEST_CASE("private keys are hidden, certificates are not", "[common]") {
    CHECK(without_secrets("x -----BEGIN RSA PRIVATE KEY-----\nMII") == "x ********");
    CHECK(without_secrets("-----BEGIN CERTIFICATE-----\nMII") == "-----BEGIN CERTIFICATE-----\nMII");
}

TEST_CASE("an address that is none is shown without its password", "[common]") {
    CHECK(shown_address("user:pw@host:80") == "user:********@host:80");
    CHECK(shown_address("https://user:p w,\"x@host") == "https://user:********@host");
    CHECK(shown_address("host:80") == "host:80");
    for (const std::string address :
         {"user:hunter2@host:80", "https://user:hunter2@host", "tcp://hunter2@host:80", "htps://u:hunter2@h"}) {
        const auto refused = Endpoint::parse(address);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().message.find("hunter2") == std::string::npos);
    }
}

TEST_CASE("what is cut shows no half of a password", "[common]") {
    CHECK(escaped("https://user:hunter2hunter2@host", 20) == "https://user:*******...");
}

TEST_CASE("variables and arguments as they are shown", "[common]") {
    CHECK(shown_variable("DB_PASSWORD=x=y") == "DB_PASSWORD=********");
    CHECK(shown_variable("DB_PASSWORD=") == "DB_PASSWORD=");
    CHECK(shown_variable("DB=postgres://app:pw@db/x") == "DB=postgres://app:********@db/x");
    CHECK(shown_variable("DEBUG=1") == "DEBUG=1");
    CHECK(shown_variable("PASSWORD") == "PASSWORD");
    CHECK(shown_arguments({"run", "--password=a", "--token", "b", "--key", "--debug", "c", "http://u:d@h"}) ==
          std::vector<std::string>{"run", "--password=********", "--token", "********", "--key", "--debug", "c",
                                   "http://u:********@h"});
}

TEST_CASE("what is shown in place of a secret is known again", "[common]") {
    for (const std::string variable : {"PASSWORD=x", "DB=postgres://app:pw@db", "A=https://token@h"}) {
        CHECK(is_shown_secret(shown_variable(variable).substr(variable.find('=') + 1)));
    }
    CHECK(is_shown_secret("run --password=********"));
    CHECK(is_shown_secret("run --password ********"));
    CHECK_FALSE(is_shown_secret("a*********b"));
    CHECK_FALSE(is_shown_secret(""));
}

TEST_CASE("secrets that somebody repeats are hidden", "[common]") {
    CHECK(without("wrong: hunter2, hunter2!", {"hunter2", "", "abc"}) == "wrong: ********, ********!");
    CHECK(without("abc", {"abc"}) == "abc");
}
