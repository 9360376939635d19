// RxJS, loaded when it is first needed: importing it takes 13 MiB and 55 to 99 ms, which programs without observables shall not pay.
// Required, not imported: what needs it is synchronous. Node resolves both to the same module, so that classes are the user's own.
import { createRequire } from "node:module";

let loaded: typeof import("rxjs") | undefined;

export function rxjs(): typeof import("rxjs") {
  loaded ??= createRequire(import.meta.url)("rxjs") as typeof import("rxjs");
  return loaded;
}
