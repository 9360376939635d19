{
  "target_defaults": {
    "cflags": ["-Wall", "-Wextra", "-fno-plt"],
    "cflags_cc!": ["-std=gnu++17", "-std=gnu++20", "-fexceptions"],
    "cflags_cc": ["-std=c++20", "-fno-exceptions", "-fno-rtti", "-fvisibility=hidden"]
  },
  "targets": [
    {
      # The engine as one unit that progress may run in an interrupt handler: see native/engine_unit.cc.
      "target_name": "engine",
      "type": "static_library",
      "standalone_static_library": 1,
      "sources": ["native/engine_unit.cc"],
      "cflags_cc": ["-O2", "-fPIC", "-fno-stack-protector", "-fno-threadsafe-statics"],
      "conditions": [
        ["target_arch=='x64'", {
          "cflags_cc": ["-mgeneral-regs-only", "-minline-all-stringops", "-mstringop-strategy=rep_byte"]
        }],
        ["target_arch=='arm64'", {
          "cflags_cc": ["-mgeneral-regs-only", "-fno-tree-loop-distribute-patterns"]
        }]
      ]
    },
    {
      "target_name": "carillon",
      "dependencies": ["engine"],
      "sources": [
        "native/binding/addon.cc",
        "native/binding/bell_page.cc",
        "native/binding/bell_targets.cc",
        "native/binding/bells.cc",
        "native/binding/consignments.cc",
        "native/binding/environment.cc",
        "native/binding/handover.cc",
        "native/binding/hub_object.cc",
        "native/binding/lease.cc",
        "native/binding/machine.cc",
        "native/binding/messages.cc",
        "native/binding/observing.cc",
        "native/binding/operations.cc",
        "native/binding/placing.cc",
        "native/binding/probing.cc",
        "native/binding/progress.cc",
        "native/binding/rank.cc",
        "native/binding/requests.cc",
        "native/binding/stages.cc",
        "native/binding/taking.cc",
        "native/binding/trace_buffer.cc",
        "native/binding/tracing.cc",
        "native/binding/scatter.cc",
        "native/binding/waiting.cc",
        "native/binding/waking_queues.cc",
        "native/bootstrap/client.cc",
        "native/bootstrap/hub.cc",
        "native/bootstrap/segment.cc",
        "native/doorbell/install.cc",
        "native/doorbell/uintr_probe.cc",
        "native/drivers/copy.cc",
        "native/leases/leases.cc",
        "native/leases/memory.cc"
      ],
      "include_dirs": ["<!@(node -p \"require('node-addon-api').include\")"],
      "defines": [
        "NAPI_VERSION=9", "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS", "NODE_ADDON_API_DISABLE_DEPRECATED",
        # A thread may be terminated while it loads the addon: what can be thrown no more is no reason to abort.
        "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS"
      ],
      "cflags_cc": ["-O2", "-pthread"],
      "ldflags": ["-Wl,-z,now", "-Wl,-z,relro"]
    },
    {
      "target_name": "carillon-exec",
      "type": "executable",
      "sources": ["native/launcher/carillon-exec.c"],
      "cflags": ["-O2"]
    }
  ]
}
