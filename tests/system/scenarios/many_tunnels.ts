/** Tunnels without an IKE daemon, each with an address of its own at the client; every second one has ESN. */

import { ADDRESS, PREFIX } from "../lab/mod.ts";

const { client, virtual } = ADDRESS;

/** The client's address in a tunnel. */
export const innerOf = (i: number) => `10.1.0.${20 + i}`;

/** For `ip`: an SA that is also known by its SPI. */
export function stateOf(src: string, dst: string, spi: number, esn: boolean): string {
  return `xfrm state add src ${src} dst ${dst} proto esp spi ${spi} reqid ${spi} mode tunnel ` +
    `aead rfc4106(gcm(aes)) 0x${spi.toString(16).padStart(40, "7")} 128 ` +
    `replay-window ${esn ? 64 : 32} flag ${esn ? "esn" : "af-unspec"}`;
}

/** For `ip`, on either side of them. */
export function tunnels(side: "client" | "gateway", count: number): string[] {
  const numbers = Array.from({ length: count }, (_, i) => i);
  const [near, far] = [client.pub.v4, virtual.pub.v4];
  const policy = (direction: string, isUp: boolean, i: number) => {
    const [src, dst] = isUp ? [innerOf(i), PREFIX.in.v4] : [PREFIX.in.v4, innerOf(i)];
    const ends = isUp ? `src ${near} dst ${far}` : `src ${far} dst ${near}`;
    const reqid = (isUp ? 0x1000 : 0x2000) + i;
    return `xfrm policy add src ${src} dst ${dst} dir ${direction} tmpl ${ends} proto esp mode tunnel reqid ${reqid}`;
  };
  return numbers.flatMap((i) => [
    stateOf(near, far, 0x1000 + i, i % 2 === 1),
    stateOf(far, near, 0x2000 + i, i % 2 === 1),
    ...(side === "client"
      ? [`addr add ${innerOf(i)}/32 dev inner`, policy("out", true, i), policy("in", false, i)]
      : [policy("out", false, i), policy("in", true, i), policy("fwd", true, i)]),
  ]);
}
