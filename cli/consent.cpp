#include "cli/consent.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "cli/output/printable.h"
#include "cli/session.h"

namespace brokerd::cli {
namespace {

/// Ours: nobody types a longer answer.
constexpr std::size_t kMaxAnswer = 1024;

/// Byte by byte: what follows the line is somebody else's.
std::string read_line(int fd) {
    std::string line;
    char byte = 0;
    while (line.size() < kMaxAnswer) {
        const ssize_t count = ::read(fd, &byte, 1);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0 || byte == '\n') break;
        line += byte;
    }
    return line;
}

std::string lower_case(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
    return text;
}

void write_list(Session& session, const ManagedClient::Privileges& privileges) {
    for (const RequestedPrivilege& privilege : privileges) {
        session.out.write(fmt::format(" - {}: [{}]\n", printable(privilege.name),
                                      printable(fmt::format("{}", fmt::join(privilege.value, " ")))));
    }
}

}  // namespace

bool confirmed(Session& session, std::string_view question) {
    session.out.write(fmt::format("{} [y/N] ", question));
    session.out.flush();
    std::string answer = lower_case(read_line(session.input_fd));
    answer.erase(0, answer.find_first_not_of(" \t"));
    answer.erase(answer.find_last_not_of(" \t\r") + 1);
    return answer == "y" || answer == "yes";
}

bool privileges_granted(Session& session, std::string_view plugin, const ManagedClient::Privileges& privileges,
                        const ManagedClient::Privileges& undisclosed, bool additional) {
    if (privileges.empty()) return true;
    session.out.write(fmt::format("Plugin \"{}\" is requesting the following {}privileges:\n", printable(plugin),
                                  additional ? "additional " : ""));
    write_list(session, privileges);
    if (!undisclosed.empty()) session.out.write("With them it gets, without asking:\n");
    write_list(session, undisclosed);
    return confirmed(session, "Do you grant the above permissions?");
}

ManagedClient::Privileges added_privileges(const ManagedClient::Privileges& granted,
                                           const ManagedClient::Privileges& wanted) {
    std::map<std::pair<std::string, std::string>, std::size_t> left;
    std::map<std::string, bool> names;
    for (const RequestedPrivilege& privilege : granted) {
        names[privilege.name] = true;
        for (const std::string& value : privilege.value) ++left[{privilege.name, value}];
    }
    ManagedClient::Privileges out;
    for (const RequestedPrivilege& privilege : wanted) {
        RequestedPrivilege added{privilege.name, privilege.description, {}};
        for (const std::string& value : privilege.value) {
            std::size_t& count = left[{privilege.name, value}];
            if (count == 0) {
                added.value.push_back(value);
            } else {
                --count;
            }
        }
        if (!added.value.empty() || (privilege.value.empty() && names.count(privilege.name) == 0)) {
            out.push_back(std::move(added));
        }
    }
    return out;
}

}  // namespace brokerd::cli
