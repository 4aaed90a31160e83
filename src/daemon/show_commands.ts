/** `sasyncd status`, `show` and `log` on the control socket: the figures, and the records without their keys. */

import { type Inventory, UNKNOWN_CONTENT } from "../core/inventory.ts";
import { type Mirror, recordOf } from "../core/mirror.ts";
import { decodeRecord, encodePolicyAge, encodeSaCounters } from "../record/encoding.ts";
import type { IpsecRecord } from "../record/record.ts";
import { type PolicyView, type SaView, type Standing, viewPolicy, viewSa } from "../status/record_view.ts";
import type { Answer, ControlCommand, ControlTask } from "./control_server.ts";
import { type Informants, statusOf } from "./status_view.ts";

/** Records shown at once: their lines have less than 16 KB. */
const AT_ONCE = 16;

/** The commands that only look, by their names on the control socket. */
export function showCommands(informants: Informants): Record<string, ControlCommand> {
  const { node: { mirror, inventory } } = informants;
  return {
    "status": (nowMs) => said([{ data: statusOf(informants, nowMs) }]),
    "show peers": (nowMs) => said(statusOf(informants, nowMs).peers.map((data) => ({ data }))),
    "show sa": () => new RecordsTask("sa", mirror, inventory),
    "show policy": () => new RecordsTask("policy", mirror, inventory),
  };
}

/** How much is logged from now on; `brief` is what the daemon was started with. */
export function logCommands(adjust: (loudness: "verbose" | "brief") => void): Record<string, ControlCommand> {
  const command = (loudness: "verbose" | "brief"): ControlCommand => () => {
    adjust(loudness);
    return said([]);
  };
  return { "log verbose": command("verbose"), "log brief": command("brief") };
}

/** A command that is done at once. */
function said(answers: readonly Answer[]): ControlTask {
  return { proceed: () => [...answers, { ok: true }] };
}

/** Shows the records of one kind that there were at the beginning and still are, each as it is in its turn. */
class RecordsTask implements ControlTask {
  readonly hasMore = true;
  readonly #keys: readonly string[];
  #next = 0;

  constructor(
    private readonly kind: "sa" | "policy",
    private readonly mirror: Mirror,
    private readonly inventory: Inventory,
  ) {
    const all = [...mirror.values(), ...inventory.values()].filter(({ identity }) => identity.kind === kind);
    this.#keys = [...new Set(all.map(({ key }) => key))];
  }

  proceed(nowMs: number): Answer[] {
    const keys = this.#keys.slice(this.#next, this.#next + AT_ONCE);
    this.#next += keys.length;
    const answers: Answer[] = keys.map((key) => this.#view(key, nowMs))
      .filter((data) => data !== undefined)
      .map((data) => ({ data }));
    return this.#next < this.#keys.length ? answers : [...answers, { ok: true }];
  }

  #view(key: string, nowMs: number): SaView | PolicyView | undefined {
    const entry = this.mirror.get(key);
    const item = this.inventory.get(key);
    const standing: Standing = {
      local: entry === undefined && item?.shared === false,
      inKernel: item !== undefined,
      refused: entry?.refused,
    };
    if (entry !== undefined) return viewRecord(recordOf(entry, nowMs), standing, true);
    if (item === undefined || item.content === UNKNOWN_CONTENT) return undefined;
    return viewRecord(decodeContent(this.kind, item.content), standing, false);
  }
}

function viewRecord(record: IpsecRecord, standing: Standing, hasCounters: boolean): SaView | PolicyView {
  return record.kind === "sa"
    ? viewSa(record.sa, standing, hasCounters)
    : viewPolicy(record.policy, standing);
}

/** A record of which only the content is known: its counters are zero. */
function decodeContent(kind: "sa" | "policy", content: Uint8Array): IpsecRecord {
  const counters = { oseq: 0n, seq: 0n, bitmap: [], bytes: 0n, packets: 0n };
  const ages = { ageSeconds: 0, usedSeconds: undefined };
  const volatile = kind === "sa" ? encodeSaCounters({ ...counters, ...ages }) : encodePolicyAge(0, undefined);
  return decodeRecord(kind, content, volatile).record;
}
