// Stands in for Node's header where native/binding is tested without Node: the names that environment.h mentions.
#pragma once
typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;
typedef struct napi_ref__* napi_ref;
typedef struct napi_async_context__* napi_async_context;
typedef struct napi_async_cleanup_hook_handle__* napi_async_cleanup_hook_handle;
typedef int napi_status;
