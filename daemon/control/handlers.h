#pragma once

#include "daemon/control/routes.h"

/// The handlers of routes.cpp's table; openapi.yaml tells what each one takes and answers.
/// Thread: the server's. None waits: the core, a worker or the handler itself answers the exchange.
namespace brokerd {

// plugins_handlers.cpp
void list_plugins(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void inspect_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void look_up_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void activate_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
// logs_handlers.cpp
void show_plugin_logs(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
// lease_handlers.cpp
void lease_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
// rpc_handlers.cpp
void call_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
// events_handlers.cpp
void watch_events(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
// doctor_handlers.cpp
void examine(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
// metrics_handlers.cpp
void show_metrics(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void show_stats(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
// system_handlers.cpp
void check_health(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void ping(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void show_version(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
// docker_system_handlers.cpp
void show_info(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void watch_docker_events(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
// managed_plugins_handlers.cpp
void list_managed_plugins(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void show_remote_access(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void show_remote_privileges(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void pull_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void create_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void inspect_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void set_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void upgrade_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void push_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void enable_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void disable_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void remove_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
// limits_handlers.cpp
void set_plugin_limits(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
// offline_handlers.cpp
void show_granted_privileges(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void load_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void install_loaded_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void save_managed_plugin(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void import_docker_plugins(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);
void prune_blobs(const ControlRooms& rooms, const RoutedRequest& request, const Exchange& exchange);

}  // namespace brokerd
