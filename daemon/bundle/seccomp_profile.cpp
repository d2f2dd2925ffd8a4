// The two sides of Docker's profile format: Reader takes the document apart once and refuses what it does not
// understand, because a rule that is skipped could be the one that forbids something; write() picks the rules of one
// plugin. Reading is strict about what rules mean and lenient about members that mean nothing to a runtime (comments).
#include "daemon/bundle/seccomp_profile.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "common/json_members.h"
#include "common/os/disk_error.h"
#include "daemon/managed/state_directory.h"

namespace brokerd {
namespace {

/// Figures of the kernel's filters: no call has more arguments, and no error number is larger (MAX_ERRNO).
constexpr unsigned kMostArgumentIndex = 5;
constexpr unsigned kMostErrorNumber = 4095;

constexpr std::array<std::string_view, 9> kActions{"SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
                                                   "SCMP_ACT_TRAP",  "SCMP_ACT_ERRNO",        "SCMP_ACT_TRACE",
                                                   "SCMP_ACT_ALLOW", "SCMP_ACT_LOG",          "SCMP_ACT_NOTIFY"};
constexpr std::array<std::string_view, 7> kOperators{"SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE",       "SCMP_CMP_EQ",
                                                     "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"};

/// What Go calls an architecture, in which the profile's conditions are written, and what libseccomp calls it.
struct Architecture {
    std::string_view machine;  ///< as uname(2) says
    std::string_view go;
    std::string_view seccomp;
};
constexpr std::array kArchitectures{
    Architecture{"x86_64", "amd64", "SCMP_ARCH_X86_64"}, Architecture{"aarch64", "arm64", "SCMP_ARCH_AARCH64"},
    Architecture{"i686", "386", "SCMP_ARCH_X86"},        Architecture{"armv7l", "arm", "SCMP_ARCH_ARM"},
    Architecture{"armv6l", "arm", "SCMP_ARCH_ARM"},      Architecture{"ppc64le", "ppc64le", "SCMP_ARCH_PPC64LE"},
    Architecture{"s390x", "s390x", "SCMP_ARCH_S390X"},   Architecture{"riscv64", "riscv64", "SCMP_ARCH_RISCV64"},
};

template <class List, class Item>
bool contains(const List& list, const Item& item) {
    return std::find(std::begin(list), std::end(list), item) != std::end(list);
}

std::string_view seccomp_architecture(std::string_view go) {
    for (const Architecture& architecture : kArchitectures) {
        if (architecture.go == go) return architecture.seccomp;
    }
    return {};
}

/// "4.8", "6.1.0-13-amd64"
std::optional<std::pair<unsigned, unsigned>> kernel_version(const std::string& text) {
    unsigned major = 0;
    unsigned minor = 0;
    if (std::sscanf(text.c_str(), "%9u.%9u", &major, &minor) != 2) return std::nullopt;
    return std::pair{major, minor};
}

/// "EPERM" → 1; 0: there is none of this name.
unsigned error_number_of(const std::string& name) {
    constexpr int kBeyondAll = 256;
    for (int number = 1; number < kBeyondAll; ++number) {
        const char* known = ::strerrorname_np(number);
        if (known != nullptr && name == known) return static_cast<unsigned>(number);
    }
    return 0;
}

/// The file's content, or nothing where there is no such file. Links are followed: the directories are root's.
Result<std::optional<std::string>> read_profile(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        return std::optional<std::string>{};
    }
    const std::unique_ptr<char, decltype(&std::free)> real{::realpath(path.c_str(), nullptr), &std::free};
    if (!real) return fail(disk_error("open", path, errno));
    const std::string file = real.get();
    const std::size_t slash = file.rfind('/');
    const auto directory = StateDirectory::open_existing(file.substr(0, slash + 1));
    if (!directory) return fail(directory.error());
    return directory->read(file.substr(slash + 1), kMaxSeccompProfile);
}

}  // namespace

SeccompFacts SeccompFacts::of_host(std::vector<std::string> capabilities) {
    SeccompFacts facts{std::move(capabilities), {}, {}};
    utsname host{};
    if (::uname(&host) != 0) return facts;
    facts.kernel = kernel_version(host.release).value_or(std::pair{0U, 0U});
    for (const Architecture& architecture : kArchitectures) {
        if (architecture.machine == host.machine) facts.architecture = architecture.go;
    }
    return facts;
}

/// Takes a document apart. The first fault counts; reading goes on without effect on it.
class SeccompProfile::Reader {
public:
    explicit Reader(SeccompProfile& profile) : profile_{profile} {}

    /// Returns what is wrong; empty: nothing.
    [[nodiscard]] std::string read(const rapidjson::Value& document) {
        if (!document.IsObject()) return "it is no JSON object";
        profile_.default_action_ = action(document, "defaultAction");
        profile_.default_error_number_ = error_number(document, "defaultErrnoRet", "defaultErrno");
        profile_.architectures_ = texts(document, "architectures");
        profile_.flags_ = texts(document, "flags");
        for (const rapidjson::Value& family : objects(document, "archMap")) {
            profile_.families_.push_back({string_member(family, "architecture"), texts(family, "subArchitectures")});
        }
        const auto rules = objects(document, "syscalls");
        for (std::size_t index = 0; index < rules.Size(); ++index) {
            place_ = fmt::format("syscalls/{}: ", index);
            read_rule(rules[static_cast<rapidjson::SizeType>(index)]);
        }
        place_.clear();
        if (profile_.rules_.empty()) refuse("it has no rules (\"syscalls\")");
        return fault_;
    }

private:
    void refuse(std::string_view message) {
        if (fault_.empty()) fault_ = fmt::format("{}{}", place_, message);
    }

    void read_rule(const rapidjson::Value& value) {
        Rule rule;
        rule.names = texts(value, "names");
        if (const std::string name = string_member(value, "name"); !name.empty()) rule.names.push_back(name);
        if (rule.names.empty()) refuse("it names no system call");
        rule.action = action(value, "action");
        rule.error_number = error_number(value, "errnoRet", "errno");
        for (const rapidjson::Value& argument : objects(value, "args"))
            rule.arguments.push_back(read_argument(argument));
        rule.includes = conditions(value, "includes");
        rule.excludes = conditions(value, "excludes");
        profile_.rules_.push_back(std::move(rule));
    }

    Argument read_argument(const rapidjson::Value& value) {
        Argument argument;
        argument.index = static_cast<unsigned>(number(value, "index", kMostArgumentIndex));
        argument.value = number(value, "value", UINT64_MAX);
        argument.value_two = number(value, "valueTwo", UINT64_MAX);
        argument.op = string_member(value, "op");
        if (!contains(kOperators, argument.op)) refuse("\"op\" of an argument is none that is known");
        return argument;
    }

    Conditions conditions(const rapidjson::Value& rule, const char* name) {
        Conditions conditions;
        const rapidjson::Value* value = present(rule, name);
        if (value == nullptr) return conditions;
        if (!value->IsObject()) refuse(fmt::format("\"{}\" is no object", name));
        // A condition that is not understood cannot be taken for met, nor for unmet.
        for (const auto& condition : value->IsObject() ? value->GetObject() : empty_.GetObject()) {
            const std::string_view known{condition.name.GetString(), condition.name.GetStringLength()};
            if (known != "caps" && known != "arches" && known != "minKernel") {
                refuse(fmt::format("\"{}\" has a condition that is not known: update brokerd", name));
            }
        }
        conditions.capabilities = texts(*value, "caps");
        conditions.architectures = texts(*value, "arches");
        if (const rapidjson::Value* least = present(*value, "minKernel")) {
            conditions.least_kernel = kernel_version(least->IsString() ? least->GetString() : "");
            if (!conditions.least_kernel) refuse("\"minKernel\" is no version like 4.8");
        }
        return conditions;
    }

    /// The member, where there is one that is not null.
    static const rapidjson::Value* present(const rapidjson::Value& object, const char* name) {
        const rapidjson::Value* value = member(object, name);
        return value == nullptr || value->IsNull() ? nullptr : value;
    }

    std::string action(const rapidjson::Value& object, const char* name) {
        std::string text = string_member(object, name);
        if (!contains(kActions, text)) refuse(fmt::format("\"{}\" is none that is known", name));
        // Needs a listener, and nobody would answer: the call would wait for ever.
        if (text == "SCMP_ACT_NOTIFY") refuse(fmt::format("\"{}\" asks a supervisor, which plugins do not have", name));
        return text;
    }

    std::uint64_t number(const rapidjson::Value& object, const char* name, std::uint64_t most) {
        const rapidjson::Value* value = present(object, name);
        if (value == nullptr) return 0;
        if (!value->IsUint64() || value->GetUint64() > most) {
            refuse(fmt::format("\"{}\" is no whole number up to {}", name, most));
            return 0;
        }
        return value->GetUint64();
    }

    /// Given as a number, by its name, or both.
    std::optional<unsigned> error_number(const rapidjson::Value& object, const char* name, const char* by_name) {
        const std::string text = string_member(object, by_name);
        if (!text.empty()) {
            const unsigned named = error_number_of(text);
            if (named == 0) refuse(fmt::format("\"{}\" is no error that is known", by_name));
            return named;
        }
        if (present(object, name) == nullptr) return std::nullopt;
        return static_cast<unsigned>(number(object, name, kMostErrorNumber));
    }

    std::vector<std::string> texts(const rapidjson::Value& object, const char* name) {
        const rapidjson::Value* value = present(object, name);
        if (value == nullptr) return {};
        std::vector<std::string> all = strings_of(value);
        if (!value->IsArray() || all.size() != value->Size()) refuse(fmt::format("\"{}\" is no list of texts", name));
        return all;
    }

    rapidjson::Value::ConstArray objects(const rapidjson::Value& object, const char* name) {
        const rapidjson::Value* value = present(object, name);
        const bool fits = value != nullptr && value->IsArray() &&
                          std::all_of(value->Begin(), value->End(), [](const auto& item) { return item.IsObject(); });
        if (value != nullptr && !fits) refuse(fmt::format("\"{}\" is no list of objects", name));
        return fits ? value->GetArray() : std::as_const(nothing_).GetArray();
    }

    SeccompProfile& profile_;
    std::string place_;
    std::string fault_;
    rapidjson::Value nothing_{rapidjson::kArrayType};
    const rapidjson::Value empty_{rapidjson::kObjectType};
};

std::vector<std::string> SeccompProfile::usual_paths() {
    return {"/etc/brokerd/seccomp.json", "/etc/containers/seccomp.json", "/usr/share/containers/seccomp.json"};
}

Result<std::optional<SeccompProfile>> SeccompProfile::find(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
        const auto text = read_profile(path);
        if (!text) return fail(fmt::format("no plugin can be started: {}", text.error().message));
        if (!*text) continue;
        auto profile = parse(**text, path);
        if (!profile) return fail(profile.error());
        return std::optional{*std::move(profile)};
    }
    return std::optional<SeccompProfile>{};
}

Result<SeccompProfile> SeccompProfile::load(const std::string& path) {
    auto found = find({path});
    if (!found) return fail(found.error());
    if (!*found) return fail(fmt::format("there is no system call filter {}", path));
    return **std::move(found);
}

Result<SeccompProfile> SeccompProfile::parse(std::string_view text, std::string path) {
    SeccompProfile profile;
    std::string fault;
    const auto document = parse_json(text);
    if (document) {
        fault = Reader{profile}.read(*document);
    } else {
        const JsonError& error = document.error();
        fault = fmt::format("line {}, column {}: {}", error.line, error.column, error.message);
    }
    if (!fault.empty()) {
        return fail(fmt::format(
            "the system call filter {} cannot be used: {}; correct it, or install the package that it belongs to again",
            path, fault));
    }
    profile.path_ = std::move(path);
    return profile;
}

bool SeccompProfile::holds(const Rule& rule, const SeccompFacts& facts) {
    const auto has = [&](const std::string& capability) { return contains(facts.capabilities, capability); };
    const Conditions& in = rule.includes;
    const Conditions& out = rule.excludes;
    if (!std::all_of(in.capabilities.begin(), in.capabilities.end(), has)) return false;
    if (!in.architectures.empty() && !contains(in.architectures, facts.architecture)) return false;
    if (in.least_kernel && facts.kernel < *in.least_kernel) return false;
    if (std::any_of(out.capabilities.begin(), out.capabilities.end(), has)) return false;
    if (contains(out.architectures, facts.architecture)) return false;
    return !out.least_kernel || facts.kernel < *out.least_kernel;
}

void SeccompProfile::write(JsonWriter& writer, const SeccompFacts& facts) const {
    writer.StartObject();
    write_member(writer, "defaultAction", default_action_);
    if (default_error_number_) {
        write_key(writer, "defaultErrnoRet");
        writer.Uint(*default_error_number_);
    }
    write_architectures(writer, facts);
    if (!flags_.empty()) {
        write_key(writer, "flags");
        write_strings(writer, flags_);
    }
    write_key(writer, "syscalls");
    writer.StartArray();
    for (const Rule& rule : rules_) {
        if (holds(rule, facts)) write_rule(writer, rule);
    }
    writer.EndArray();
    writer.EndObject();
}

/// The host's, and those whose programs its kernel also runs; without them, all of these would be killed.
void SeccompProfile::write_architectures(JsonWriter& writer, const SeccompFacts& facts) const {
    std::vector<std::string> all = architectures_;
    const std::string_view own = seccomp_architecture(facts.architecture);
    for (const ArchitectureFamily& family : families_) {
        if (own.empty() || family.architecture != own) continue;
        all.push_back(family.architecture);
        all.insert(all.end(), family.also.begin(), family.also.end());
    }
    if (all.empty()) return;  // the runtime takes its own
    write_key(writer, "architectures");
    write_strings(writer, all);
}

void SeccompProfile::write_rule(JsonWriter& writer, const Rule& rule) {
    writer.StartObject();
    write_key(writer, "names");
    write_strings(writer, rule.names);
    write_member(writer, "action", rule.action);
    if (rule.error_number) {
        write_key(writer, "errnoRet");
        writer.Uint(*rule.error_number);
    }
    if (!rule.arguments.empty()) {
        write_key(writer, "args");
        writer.StartArray();
        for (const Argument& argument : rule.arguments) {
            writer.StartObject();
            write_key(writer, "index");
            writer.Uint(argument.index);
            write_key(writer, "value");
            writer.Uint64(argument.value);
            if (argument.value_two != 0) {
                write_key(writer, "valueTwo");
                writer.Uint64(argument.value_two);
            }
            write_member(writer, "op", argument.op);
            writer.EndObject();
        }
        writer.EndArray();
    }
    writer.EndObject();
}

std::string no_profile_note() {
    return "plugins run without a system call filter: there is no seccomp profile on this host; install the package "
           "golang-github-containers-common (containers-common outside of Debian), or put a profile in Docker's format "
           "at /etc/brokerd/seccomp.json";
}

}  // namespace brokerd
