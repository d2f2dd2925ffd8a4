#include "tests/fuzz/targets.h"

#include <algorithm>

namespace brokerd::fuzz {

namespace address_target {
void try_input(std::string_view input);
}
namespace auth_challenge_target {
void try_input(std::string_view input);
}
namespace brokerd_conf_target {
void try_input(std::string_view input);
}
namespace chunked_body_target {
void try_input(std::string_view input);
}
namespace control_body_target {
void try_input(std::string_view input);
}
namespace control_request_target {
void try_input(std::string_view input);
}
namespace decompress_target {
void try_input(std::string_view input);
}
namespace format_template_target {
void try_input(std::string_view input);
}
namespace http_request_target {
void try_input(std::string_view input);
}
namespace http_response_target {
void try_input(std::string_view input);
}
namespace image_manifest_target {
void try_input(std::string_view input);
}
namespace image_reference_target {
void try_input(std::string_view input);
}
namespace json_definition_target {
void try_input(std::string_view input);
}
namespace json_text_target {
void try_input(std::string_view input);
}
namespace layer_tar_target {
void try_input(std::string_view input);
}
namespace oci_layout_target {
void try_input(std::string_view input);
}
namespace path_rewrite_target {
void try_input(std::string_view input);
}
namespace plugin_config_target {
void try_input(std::string_view input);
}
namespace plugin_tar_target {
void try_input(std::string_view input);
}
namespace plugins_file_target {
void try_input(std::string_view input);
}
namespace registry_answer_target {
void try_input(std::string_view input);
}
namespace seccomp_profile_target {
void try_input(std::string_view input);
}
namespace settings_target {
void try_input(std::string_view input);
}
namespace shim_files_target {
void try_input(std::string_view input);
}
namespace short_texts_target {
void try_input(std::string_view input);
}
namespace spec_file_target {
void try_input(std::string_view input);
}
namespace terminal_text_target {
void try_input(std::string_view input);
}
namespace worker_report_target {
void try_input(std::string_view input);
}

namespace {

constexpr std::size_t kPure = 10'000;

constexpr Target kTargets[] = {
    {"address", kPure, &address_target::try_input},
    {"auth_challenge", kPure, &auth_challenge_target::try_input},
    {"brokerd_conf", 1000, &brokerd_conf_target::try_input},
    {"chunked_body", kPure, &chunked_body_target::try_input},
    {"control_body", kPure, &control_body_target::try_input},
    {"control_request", kPure, &control_request_target::try_input},
    {"decompress", 2000, &decompress_target::try_input},
    {"format_template", kPure, &format_template_target::try_input},
    {"http_request", kPure, &http_request_target::try_input},
    {"http_response", kPure, &http_response_target::try_input},
    {"image_manifest", kPure, &image_manifest_target::try_input},
    {"image_reference", kPure, &image_reference_target::try_input},
    {"json_definition", kPure, &json_definition_target::try_input},
    {"json_text", kPure, &json_text_target::try_input},
    {"layer_tar", 1000, &layer_tar_target::try_input},
    {"oci_layout", 300, &oci_layout_target::try_input},
    {"path_rewrite", kPure, &path_rewrite_target::try_input},
    {"plugin_config", kPure, &plugin_config_target::try_input},
    {"plugin_tar", 500, &plugin_tar_target::try_input},
    {"plugins_file", kPure, &plugins_file_target::try_input},
    {"registry_answer", 2000, &registry_answer_target::try_input},
    {"seccomp_profile", kPure, &seccomp_profile_target::try_input},
    {"settings", kPure, &settings_target::try_input},
    {"shim_files", 3000, &shim_files_target::try_input},
    {"short_texts", kPure, &short_texts_target::try_input},
    {"spec_file", kPure, &spec_file_target::try_input},
    {"terminal_text", kPure, &terminal_text_target::try_input},
    {"worker_report", kPure, &worker_report_target::try_input},
};

}  // namespace

std::span<const Target> targets() {
    return kTargets;
}

const Target* find_target(std::string_view name) {
    const auto* const found = std::find_if(std::begin(kTargets), std::end(kTargets),
                                           [&](const Target& target) { return target.name == name; });
    return found == std::end(kTargets) ? nullptr : found;
}

}  // namespace brokerd::fuzz
