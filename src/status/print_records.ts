/** `sasyncd show sa` and `sasyncd show policy` for people: a few lines of at most 80 columns for each record. */

import type { AlgorithmView, LimitsView, PolicyView, SaView, Standing, TemplateView } from "./record_view.ts";
import { count, duration, type Paint, wrap } from "./text.ts";

const INDENT = " ".repeat(4);

/** One SA. */
export function printSa(sa: SaView, paint: Paint): string[] {
  const { protocol, spi, mode, src, dst, counters } = sa;
  return [
    ...wrap("", `${protocol} ${spi} ${mode} from ${src} to ${dst}`).map(paint.head),
    ...about([...algorithmsOf(sa), `reqid ${sa.reqid}`, `window ${sa.replayWindow}`, ...traitsOf(sa)]),
    ...counters === undefined ? [] : about([
      `sent number ${counters.oseq}`,
      `received ${counters.seq}`,
      `${count(counters.packets, "packet")} and ${counters.bytes} bytes`,
      counters.usedSeconds === undefined ? "never used" : `first used ${duration(counters.usedSeconds)} ago`,
      `${duration(counters.ageSeconds)} old`,
    ]),
    ...about(limitsOf(sa)),
    ...standingOf(sa, paint),
  ];
}

/** One policy. */
export function printPolicy(policy: PolicyView, paint: Paint): string[] {
  const { direction, action, selector, priority, type, mark, interfaceId, flags, templates } = policy;
  return [
    ...wrap("", `${direction} ${action} ${selector}`).map(paint.head),
    ...about([
      `priority ${priority}`,
      ...type === "main" ? [] : [type],
      ...mark === undefined ? [] : [`mark ${mark}`],
      ...interfaceId === undefined ? [] : [`interface id ${interfaceId}`],
      ...flags,
    ]),
    ...templates.flatMap((template) => about([templateOf(template)])),
    ...about(limitsOf(policy)),
    ...standingOf(policy, paint),
  ];
}

function templateOf({ protocol, mode, src, dst, spi, reqid, optional }: TemplateView): string {
  const which = spi === undefined ? `reqid ${reqid}` : `reqid ${reqid} spi ${spi}`;
  return `${protocol} ${mode} from ${src} to ${dst} ${which}${optional ? " optional" : ""}`;
}

function algorithmsOf({ encryption, integrity, aead, compression }: SaView): string[] {
  const all = [aead, encryption, integrity].filter((one) => one !== undefined).map(algorithmOf);
  return compression === undefined ? all : [...all, compression];
}

/** The ICV is said where the name does not say it. */
function algorithmOf({ name, keyBits, icvBits }: AlgorithmView): string {
  const isSaid = icvBits === undefined || name.endsWith(`_${icvBits}`) || name.endsWith(`_${icvBits / 8}`);
  return `${name} ${keyBits} bits${isSaid ? "" : ` (ICV ${icvBits} bits)`}`;
}

function traitsOf(
  { encapsulation, mark, outputMark, interfaceId, rdomain, direction, selector, flags }: SaView,
) {
  const named = {
    encapsulation,
    mark,
    "output mark": outputMark,
    "interface id": interfaceId,
    rdomain,
    direction,
    selector,
  };
  const traits = Object.entries(named).filter(([, value]) => value !== undefined);
  return [...traits.map(([name, value]) => `${name} ${value}`), ...flags];
}

function limitsOf(limits: { readonly soft: LimitsView; readonly hard: LimitsView }): string[] {
  return (["soft", "hard"] as const).flatMap((name) => {
    const parts = partsOf(limits[name]);
    return parts.length === 0 ? [] : [`${name} limit ${parts.join(" or ")}`];
  });
}

function partsOf({ addSeconds, useSeconds, bytes, packets }: LimitsView): string[] {
  return [
    ...addSeconds === undefined ? [] : [duration(addSeconds)],
    ...useSeconds === undefined ? [] : [`${duration(useSeconds)} of use`],
    ...bytes === undefined ? [] : [`${bytes} bytes`],
    ...packets === undefined ? [] : [`${packets} packets`],
  ];
}

function standingOf({ local, inKernel, refused }: Standing, paint: Paint): string[] {
  if (refused !== undefined) return about([`refused: ${refused}`]).map(paint.alarm);
  if (!inKernel) return about(["not in the kernel yet"]).map(paint.alarm);
  return local ? about(["local"]) : [];
}

/** What there is to say, on lines of their own. */
function about(parts: readonly string[]): string[] {
  return parts.length === 0 ? [] : wrap(INDENT, parts.join(", "));
}
