/**
 * The status as Prometheus reads it, in its text format 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats).
 * Written here, for a program with npm's prom-client 15.1.3 is not compiled: Deno 2.7.11 ends with a stack overflow.
 */

import { ROLES, type StatusView } from "./view.ts";

/** What the text is to be announced as. */
export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** One value of a metric, and what it is the value of. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number | undefined];

type Add = (name: string, help: string, ...samples: readonly Sample[]) => void;

/** The text of one answer. Samples without a value are left out, and metrics without samples. */
export function printMetrics(view: StatusView): string {
  const lines: string[] = [];
  const adder = (type: "gauge" | "counter"): Add => (name, help, ...samples) => {
    const full = `sasyncd_${name}${type === "counter" ? "_total" : ""}`;
    const printed = samples.filter(([, value]) => value !== undefined)
      .map(([labels, value]) => `${full}${printLabels(labels)} ${value}`);
    if (printed.length > 0) lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...printed);
  };
  addNode(view, adder("gauge"), adder("counter"));
  addPeers(view, adder("gauge"), adder("counter"));
  return `${lines.join("\n")}\n`;
}

function addNode(view: StatusView, gauge: Add, counter: Add): void {
  const { shared, local, mirror, loss } = view;
  gauge(
    "role",
    "1 for the role that this gateway has.",
    ...ROLES.map((role): Sample => [{ role }, flag(role === view.role)]),
  );
  gauge("role_age_seconds", "Since this gateway came to its role.", [{}, view.roleSeconds]);
  gauge("epoch", "The epoch that this gateway stands in.", [{}, view.epoch]);
  gauge("synchronised", "Whether a slave has all that its master has; 1 of a master.", [
    {},
    flag(view.role === "MASTER" || view.synchronised),
  ]);
  gauge("demoted", "Whether this gateway is demoted.", [{}, flag(view.demoted)]);
  gauge(
    "kernel_records",
    "SAs and policies in the own kernel.",
    [{ kind: "sa", owner: "shared" }, shared.sas],
    [{ kind: "policy", owner: "shared" }, shared.policies],
    [{ kind: "sa", owner: "local" }, local.sas],
    [{ kind: "policy", owner: "local" }, local.policies],
  );
  gauge(
    "mirror_records",
    "SAs and policies that should be in the own kernel.",
    [{ kind: "sa" }, mirror.sas],
    [{ kind: "policy" }, mirror.policies],
  );
  gauge("refused_records", "What the own kernel does not take of the mirror.", [{}, sumOf(view.refused)]);
  gauge("waiting_changes", "Changes that wait for the own kernel.", [{}, view.waiting]);
  gauge("stale_leases", "SAs that a takeover now would have to move on first.", [{}, view.staleLeases]);
  gauge("inherited_sas", "SAs of masters before this one.", [{}, view.inheritedSas]);
  gauge("inherited_first_end_seconds", "Until the first of them ends.", [
    {},
    view.inheritedFirstEndsSeconds,
  ]);
  gauge(
    "lost_if_taken_over",
    "What would be lost if this slave took over now.",
    [{ what: "changes" }, loss?.changes],
    [{ what: "refused" }, loss && sumOf(loss.refused)],
  );
  counter("two_masters", "How often another master was seen beside this one.", [{}, view.twoMasters]);
  counter(
    "events",
    "How often what happened.",
    ...Object.entries(view.events).map(([event, times]): Sample => [{ event }, times]),
  );
}

function addPeers({ peers }: StatusView, gauge: Add, counter: Add): void {
  const each = (figure: (peer: typeof peers[number]) => number | undefined) =>
    peers.map((peer): Sample => [{ peer: peer.address }, figure(peer)]);
  gauge("peer_connected", "Whether there is a session with the peer.", ...each((one) => flag(one.connected)));
  gauge("peer_session_age_seconds", "Since it is connected, or not.", ...each((one) => one.seconds));
  gauge("peer_lag_changes", "Changes that a slave has not applied yet.", ...each((one) => one.lagChanges));
  gauge(
    "peer_lag_seconds",
    "Age of the oldest change sent and not applied.",
    ...each((one) => one.lagMs === undefined ? undefined : one.lagMs / 1000),
  );
  gauge("peer_refused_records", "What the peer refuses.", ...each((one) => sumOf(one.refused)));
  gauge(
    "peer_snapshot_age_seconds",
    "Since the last whole snapshot.",
    ...each((one) => one.snapshotSeconds),
  );
  counter("peer_changes_sent", "Changes sent to the peer.", ...each((one) => one.sent));
  counter("peer_changes_applied", "Those of them that its kernel has taken.", ...each((one) => one.applied));
  counter("peer_changes_received", "Changes that came from the peer.", ...each((one) => one.received));
}

function printLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) =>
    `${name}="${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function flag(isTrue: boolean): 0 | 1 {
  return isTrue ? 1 : 0;
}

function sumOf(refusals: StatusView["refused"]): number {
  return refusals.reduce((sum, { records }) => sum + records, 0);
}
