/**
 * Types of the parts of @std that this project uses. The npm package that deno.json maps the names to is plain
 * JavaScript; with a map that points at the genuine TypeScript packages this file has nothing to do (leave it
 * out of `compilerOptions.types` then).
 */

declare module "@std/cli/parse-args" {
  /** What `parseArgs` is to know: names of flags, of options with a value, and of those that may be repeated. */
  interface ParseOptions<Flag extends string, Text extends string, Collected extends string> {
    boolean?: Flag | readonly Flag[];
    string?: Text | readonly Text[];
    collect?: Collected | readonly Collected[];
    alias?: Record<string, string | readonly string[]>;
    default?: Record<string, unknown>;
    negatable?: string | readonly string[];
    stopEarly?: boolean;
    "--"?: boolean;
    unknown?: (arg: string, key?: string, value?: unknown) => unknown;
  }

  /** Flags and options by name, everything else in order in `_`. */
  type Parsed<Flag extends string, Text extends string, Collected extends string> =
    & { _: (string | number)[]; "--"?: string[] }
    & { [K in Flag]: K extends Collected ? boolean[] : boolean }
    & { [K in Text as K extends Collected ? K : never]: string[] }
    & { [K in Text as K extends Collected ? never : K]?: string };

  export function parseArgs<
    const Flag extends string = never,
    const Text extends string = never,
    const Collected extends string = never,
  >(args: string[], options?: ParseOptions<Flag, Text, Collected>): Parsed<Flag, Text, Collected>;
}

declare module "@std/crypto/timing-safe-equal" {
  /** Compares without telling by its time where the difference is. @throws {TypeError} on unequal lengths */
  export function timingSafeEqual(
    a: ArrayBufferView | ArrayBufferLike,
    b: ArrayBufferView | ArrayBufferLike,
  ): boolean;
}

declare module "@std/toml" {
  /** @throws {SyntaxError} */
  export function parse(text: string): Record<string, unknown>;
  export function stringify(
    table: Record<string, unknown>,
    options?: { keyAlignment?: boolean },
  ): string;
}

declare module "@std/assert" {
  type Message = string;
  // deno-lint-ignore no-explicit-any -- as in the genuine package; takes any class and gives nothing away
  type Class<T> = abstract new (...args: any[]) => T;

  export class AssertionError extends Error {
    constructor(message: string, options?: ErrorOptions);
  }

  export function assert(value: unknown, message?: Message): asserts value;
  export function assertFalse(value: unknown, message?: Message): asserts value is false;
  export function assertExists<T>(value: T, message?: Message): asserts value is NonNullable<T>;
  export function assertInstanceOf<T>(value: unknown, type: Class<T>, message?: Message): asserts value is T;
  export function assertNotInstanceOf<A, T>(
    value: A,
    type: Class<T>,
    message?: Message,
  ): asserts value is Exclude<A, T>;

  export function equal(a: unknown, b: unknown): boolean;
  export function assertEquals<T>(actual: T, expected: T, message?: Message): void;
  export function assertNotEquals<T>(actual: T, expected: T, message?: Message): void;
  export function assertStrictEquals<T>(actual: unknown, expected: T, message?: Message): asserts actual is T;
  export function assertNotStrictEquals<T>(actual: T, expected: T, message?: Message): void;
  export function assertAlmostEquals(
    actual: number,
    expected: number,
    tolerance?: number,
    message?: Message,
  ): void;
  export function assertGreater<T>(actual: T, expected: T, message?: Message): void;
  export function assertGreaterOrEqual<T>(actual: T, expected: T, message?: Message): void;
  export function assertLess<T>(actual: T, expected: T, message?: Message): void;
  export function assertLessOrEqual<T>(actual: T, expected: T, message?: Message): void;
  export function assertMatch(actual: string, expected: RegExp, message?: Message): void;
  export function assertNotMatch(actual: string, expected: RegExp, message?: Message): void;
  export function assertStringIncludes(actual: string, expected: string, message?: Message): void;
  export function assertArrayIncludes<T>(
    actual: ArrayLike<T>,
    expected: ArrayLike<T>,
    message?: Message,
  ): void;
  export function assertObjectMatch(
    actual: Record<PropertyKey, unknown>,
    expected: Record<PropertyKey, unknown>,
    message?: Message,
  ): void;

  export function assertIsError<E extends Error = Error>(
    error: unknown,
    type?: Class<E>,
    includes?: string | RegExp,
    message?: Message,
  ): asserts error is E;
  export function assertThrows(body: () => unknown, message?: Message): unknown;
  export function assertThrows<E extends Error = Error>(
    body: () => unknown,
    type: Class<E>,
    includes?: string,
    message?: Message,
  ): E;
  export function assertRejects(body: () => PromiseLike<unknown>, message?: Message): Promise<unknown>;
  export function assertRejects<E extends Error = Error>(
    body: () => PromiseLike<unknown>,
    type: Class<E>,
    includes?: string,
    message?: Message,
  ): Promise<E>;
  export function fail(message?: Message): never;
  export function unimplemented(message?: Message): never;
  export function unreachable(reason?: Message): never;
}
