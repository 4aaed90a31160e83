/**
 * What a node's kernel holds, as iproute2 prints it: an independent witness of what the daemon did. Read into entries
 * of one field a line, so that two kernels can be compared and a difference can be read.
 */

import type { Node } from "./node.ts";
import { eventually, step } from "./step.ts";

/** A security association or a policy. */
export interface KernelEntry {
  /** What makes it this one and no other: addresses, protocol, SPI, mark; or direction, selector, mark, interface id. */
  readonly id: string;
  /** All that iproute2 says of it, a line each, without what the options leave out. */
  readonly fields: readonly string[];
  /** The kernel's number of a policy; it is not in `fields`. */
  readonly index: number;
}

export interface KernelTables {
  readonly states: readonly KernelEntry[];
  /** Last put first, as the kernel has them. */
  readonly policies: readonly KernelEntry[];
}

/** What is left out unless it is asked for, with the lines in which it stands. */
const VOLATILE = {
  /** Sequence numbers, replay bitmaps, replay statistics. */
  counters: [
    /^\s*anti-replay context:.*\n/gm,
    /^\s*seq-hi .*\n/gm,
    /^(\s+[0-9a-f]{8})+\s*\n/gm,
    /^\s*stats:\n.*\n/gm,
  ],
  /** Bytes, packets and seconds so far. */
  current: [/^\s*lifetime current:\n.*\n.*\n/gm, /^\s*lastused .*\n/gm],
  /** Limits in seconds. */
  time: [/^\s*expire (add|use):.*\n/gm],
  /** Soft limits. */
  soft: [/soft [^,]+, /g],
} as const;

/** What says nothing of the entry: numbers that a kernel gives by itself, and headings. */
const NOISE = [/ seq 0x[0-9a-f]{8}(?= flag)/g, / index \d+/g, /^\s*lifetime config:\n/gm, / uid 0$/gm];

/** Every algorithm is allowed: as netlink says it, and as the kernel shows what PF_KEY has made. */
const ANY_ALGORITHM = /^\s*enc-mask (f{8}|0{8}) auth-mask \1 comp-mask \1\n/gm;

export interface KernelOptions {
  /** What to look at besides keys, algorithms, addresses, flags and hard limits of bytes and packets. */
  readonly include?: readonly (keyof typeof VOLATILE)[];
  /** What to leave out of their texts besides. */
  readonly without?: readonly RegExp[];
  /** Entries to look at; the others are as if they were not there. */
  readonly only?: (entry: KernelEntry) => boolean;
  /** The order of policies does not count: where none overlap it decides nothing, and a slave does not mind it. */
  readonly anyOrder?: boolean;
}

/** Reads a kernel. Larval SAs, the kernel's own (IPIP beside IPCOMP) and the policies of sockets are left out. */
export async function readKernel(node: Node, options: KernelOptions = {}): Promise<KernelTables> {
  const [states, policies] = await Promise.all([
    node.run("ip", "-d", "-s", "xfrm", "state"),
    node.run("ip", "-d", "-s", "xfrm", "policy"),
  ]);
  return parseKernel(states, policies, options);
}

/** The same from the text of `ip -d -s xfrm state` and `ip -d -s xfrm policy`. */
export function parseKernel(states: string, policies: string, options: KernelOptions = {}): KernelTables {
  const { include = [], without = [], only = () => true } = options;
  const kinds = Object.keys(VOLATILE) as (keyof typeof VOLATILE)[]; // its own keys, nothing else
  const drop = [
    ...NOISE,
    ...without,
    ANY_ALGORITHM,
    ...kinds.filter((kind) => !include.includes(kind)).flatMap((kind) => VOLATILE[kind]),
  ];
  const entries = (text: string, identify: (text: string) => string) =>
    split(text).map((entry): KernelEntry => ({
      id: identify(entry),
      index: Number(/ index (\d+)/.exec(entry)?.[1] ?? 0),
      fields: drop.reduce((rest: string, pattern) => rest.replace(pattern, ""), entry)
        .split("\n").map((line) => line.trim()).filter((line) => line !== ""),
    })).filter(only);
  return {
    states: entries(states, stateId).filter(isSynchronised),
    policies: entries(policies, policyId).filter(({ fields }) =>
      !fields.some((line) => /^socket /.test(line))
    ),
  };
}

/** An entry begins at each line that is not indented. */
function split(text: string): string[] {
  return text.split(/^(?=\S)/m).filter((entry) => entry.trim() !== "");
}

function stateId(text: string): string {
  const [, src = "?", dst = "?"] = /^src (\S+) dst (\S+)/.exec(text) ?? [];
  const [, protocol = "?", spi = "?"] = /proto (\S+) spi (0x[0-9a-f]+)/.exec(text) ?? [];
  return `state ${src} > ${dst} ${protocol} ${spi}${tags(text)}`;
}

function policyId(text: string): string {
  const [, src = "?", dst = "?", rest = ""] = /^src (\S+) dst (\S+)(.*)/.exec(text.replace(/ uid 0\b/, "")) ??
    [];
  const [, direction = "?"] = /^\s+(?:dir|socket) (\S+)/m.exec(text) ?? [];
  const [, type = "?"] = / ptype (\S+)/.exec(text) ?? [];
  return `policy ${direction} ${src} > ${dst}${rest.trimEnd()} ${type}${tags(text)}`;
}

/** Mark, interface id and security context, where there are any: they belong to the identity. */
function tags(text: string): string {
  return [/(?<!output-)\bmark 0x\S+/, /\bif_id 0x\S+/, /\bsecurity context \S+/].map((pattern) =>
    pattern.exec(text)?.[0]
  )
    .filter((tag) => tag !== undefined).map((tag) => ` ${tag}`).join("");
}

function isSynchronised({ fields }: KernelEntry): boolean {
  return fields.some((line) => /^proto (esp|ah|comp) /.test(line)) &&
    fields.some((line) => /^(enc|auth|auth-trunc|aead|comp) /.test(line));
}

/** How many there are, without reading them. */
export async function countKernel(node: Node): Promise<{ states: number; policies: number }> {
  const [states, policies] = await Promise.all([
    node.run("ip", "xfrm", "state", "count"),
    node.run("ip", "xfrm", "policy", "count"),
  ]);
  const sum = [...policies.matchAll(/(?:IN|FWD|OUT)\s+(\d+)/g)].reduce(
    (total, [, n]) => total + Number(n),
    0,
  );
  return { states: Number(/count (\d+)/.exec(states)?.[1]), policies: sum };
}

/** Everything in which two kernels differ, a line each; none: they are equal. */
export async function compareKernels(a: Node, b: Node, options: KernelOptions = {}): Promise<string[]> {
  const [left, right] = await Promise.all([readKernel(a, options), readKernel(b, options)]);
  return compareTables(a.name, left, b.name, right, options);
}

/** The same of tables read before: names are for the lines. */
export function compareTables(
  a: string,
  left: KernelTables,
  b: string,
  right: KernelTables,
  { anyOrder = false }: KernelOptions = {},
): string[] {
  return [
    ...compareEntries(a, left.states, b, right.states),
    ...compareEntries(a, left.policies, b, right.policies),
    ...(anyOrder ? [] : compareOrder(a, left.policies, b, right.policies)),
  ];
}

function compareEntries(
  a: string,
  left: readonly KernelEntry[],
  b: string,
  right: readonly KernelEntry[],
): string[] {
  const rest = new Map(right.map((entry) => [entry.id, entry]));
  const differences = left.flatMap((entry) => {
    const other = rest.get(entry.id);
    rest.delete(entry.id);
    if (other === undefined) return [`only in ${a}: ${entry.id}`];
    if (entry.fields.join("\n") === other.fields.join("\n")) return [];
    const mine = entry.fields.filter((field) => !other.fields.includes(field));
    const theirs = other.fields.filter((field) => !entry.fields.includes(field));
    return [`${entry.id}: ${a} has [${mine.join("; ")}], ${b} has [${theirs.join("; ")}]`];
  });
  return [...differences, ...[...rest.keys()].map((id) => `only in ${b}: ${id}`)];
}

/**
 * Of policies that match the same packet with equal priority the older one wins: their order counts. A policy that
 * was updated is listed first but stands where it stood, by its index, unless its priority has changed: of the two
 * orders one has to be the other kernel's.
 */
function compareOrder(
  a: string,
  left: readonly KernelEntry[],
  b: string,
  right: readonly KernelEntry[],
): string[] {
  const groups = (entries: readonly KernelEntry[], others: readonly KernelEntry[]) => {
    const common = new Set(others.map(({ id }) => id));
    return Map.groupBy(
      entries.filter(({ id }) => common.has(id)),
      ({ fields }) => fields.join("\n").match(/\bdir \S+|\bpriority \d+/g)?.join(" ") ?? "",
    );
  };
  const theirs = groups(right, left);
  return [...groups(left, right)].flatMap(([group, entries]) => {
    const [mine, other] = [ordersOf(entries), ordersOf(theirs.get(group) ?? [])];
    return mine.some((order) => other.includes(order))
      ? []
      : [`order of policies (${group}), newest first: ${a} has ${mine[0]}, ${b} has ${other[0]}`];
  });
}

/** As they were put, and as they were made. */
function ordersOf(entries: readonly KernelEntry[]): string[] {
  return [entries, entries.toSorted((a, b) => b.index - a.index)].map((list) =>
    list.map(({ id }) => id).join("; ")
  );
}

/** Waits until two kernels are equal. @throws {Error} with the differences that were left */
export async function waitEqual(
  a: Node,
  b: Node,
  timeoutMs = 60_000,
  options: KernelOptions = {},
): Promise<void> {
  let differences: string[] = [];
  await eventually("equality", async () => {
    differences = await compareKernels(a, b, options);
    return differences.length === 0;
  }, timeoutMs).catch((error) => {
    throw new Error(`${a.name} and ${b.name}: ${error.message}\n${differences.slice(0, 20).join("\n")}`);
  });
  step(`the kernels of ${a.name} and ${b.name} are equal`);
}
