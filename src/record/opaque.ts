/** Attributes of one system that no other understands; kept so that a pair of the same system loses nothing. */

/** Number spaces of record attributes. */
export const SPACE = { COMMON: 0, LINUX: 1, OPENBSD: 2, FREEBSD: 3 } as const;
export type Space = (typeof SPACE)[keyof typeof SPACE];

/** An attribute as its system gave it. `type` is that system's number, `value` its bytes in its byte order. */
export interface OpaqueAttribute {
  readonly space: Exclude<Space, 0>;
  readonly type: number;
  readonly critical: boolean;
  readonly value: Uint8Array;
}
