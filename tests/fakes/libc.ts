/** A C library made of functions that a test hands in; all others that the system has fail with ENOSYS. */

import { errnoCode } from "../../ffi/errno.ts";
import { Libc, type LibcSymbols, symbolsOf } from "../../ffi/libc.ts";
import type { System } from "../../ffi/system.ts";

/** The error number that the next `errno()` sees. */
export interface FakeErrno {
  code: number;
  /** Sets it by name. @returns -1, as a C function would. */
  fail(name: string): -1;
}

/** `make` gets the error number's owner, so that its functions can fail by name. */
export function fakeLibc(make: (errno: FakeErrno) => Partial<LibcSymbols>, system: System = "linux"): Libc {
  const errno: FakeErrno = {
    code: 0,
    fail(name) {
      this.code = errnoCode(system, name) ?? 0;
      return -1;
    },
  };
  const always: Partial<LibcSymbols> = {
    errnoLocation: () => 1n,
    copyFrom: (to) => {
      if (to instanceof Int32Array) to[0] = errno.code;
      return 0n;
    },
  };
  const given: Partial<LibcSymbols> = { ...always, ...make(errno) };
  const loaded = symbolsOf(system);
  const symbols = new Proxy(given, {
    get: (target, name) => Reflect.get(target, name) ?? (name in loaded ? () => errno.fail("ENOSYS") : null),
  });
  return new Libc(system, "x86_64", symbols as LibcSymbols); // the proxy answers for every symbol
}
