/** The pre-shared key of the Noise handshake, made from the configured shared key. Used when a peer is set up. */

import { hkdfSync, pbkdf2Sync } from "node:crypto";

/** What both derivations are bound to. */
const CONTEXT = "sasyncd native 2";
const STRETCH_ROUNDS = 600_000;

/** A shared key as configured: ASCII keys are stretched, those of full entropy are not. */
export interface KeyMaterial {
  readonly stretch: boolean;
  readonly bytes: Uint8Array;
}

/**
 * 32 bytes: HKDF-SHA-256 (RFC 5869) of the key without salt, info `sasyncd native 2 psk`. With `stretch` the key
 * first goes through PBKDF2-HMAC-SHA-256, 600,000 rounds, salt `sasyncd native 2`; that takes about 0.3 s, so
 * keep the result.
 */
export function derivePsk({ stretch, bytes }: KeyMaterial): Uint8Array {
  const key = stretch ? pbkdf2Sync(bytes, CONTEXT, STRETCH_ROUNDS, 32, "sha256") : bytes;
  return new Uint8Array(hkdfSync("sha256", key, new Uint8Array(0), `${CONTEXT} psk`, 32));
}
