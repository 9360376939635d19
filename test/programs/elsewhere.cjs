// Preloaded by test/bad-input.test.ts: this process believes to run on another platform.
Object.defineProperty(process, "platform", { value: "darwin" });
