// The launcher's hub as a JavaScript object: { address, ended(rank, code, signal), aborter(), close() }.
#include <errno.h>
#include <napi.h>
#include <string.h>

#include <memory>
#include <string>

#include "../bootstrap/client.h"
#include "../bootstrap/hub.h"
#include "operations.h"

namespace carillon {
namespace {

// Shared by the object's functions; the hub ends with close() or with the last of them.
struct Holder {
  bootstrap::Hub* hub;
  ~Holder() { close(); }
  void close() {
    if (hub) bootstrap::hub_close(hub);
    hub = nullptr;
  }
};

Napi::Value open_hub(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bootstrap::Hub* hub = bootstrap::hub_open(info[0].As<Napi::Number>().Uint32Value());
  if (!hub) {
    Napi::Error::New(env, std::string("the launcher's socket cannot be opened: ") + strerror(errno))
        .ThrowAsJavaScriptException();
    return env.Undefined();
  }
  auto holder = std::shared_ptr<Holder>(new Holder{hub});
  Napi::Object object = Napi::Object::New(env);
  object.Set("address", Napi::String::New(env, bootstrap::hub_address(hub)));
  object.Set("ended", Napi::Function::New(env, [holder](const Napi::CallbackInfo& call) {
    if (!holder->hub) return;
    bootstrap::hub_rank_ended(holder->hub, call[0].As<Napi::Number>().Uint32Value(),
                              call[1].As<Napi::Number>().Int32Value(), call[2].As<Napi::Number>().Int32Value());
  }));
  object.Set("aborter", Napi::Function::New(env, [holder](const Napi::CallbackInfo& call) {
    return Napi::Number::New(call.Env(), holder->hub ? bootstrap::hub_aborter(holder->hub) : -1);
  }));
  object.Set("close", Napi::Function::New(env, [holder](const Napi::CallbackInfo&) { holder->close(); }));
  return object;
}

}  // namespace

void define_hub(napi_env env, napi_value exports) {
  Napi::Object object(env, exports);
  object.Set("openHub", Napi::Function::New(env, open_hub, "openHub"));
  object.Set("maxRanks", Napi::Number::New(env, bootstrap::max_ranks));
}

}  // namespace carillon
