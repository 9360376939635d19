// Stands in for libuv's header where native/binding is tested without Node: the names that environment.h mentions.
#pragma once
struct uv_loop_t;
struct uv_poll_t;
struct uv_prepare_t;
struct uv_idle_t;
struct uv_check_t;
