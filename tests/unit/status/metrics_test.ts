/** The status as Prometheus reads it. */

import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { printMetrics } from "../../../src/status/metrics.ts";
import { LONELY_SLAVE, MASTER_VIEW } from "../../fakes/status.ts";

/** What one line of the format can be (exposition format 0.0.4). */
const LINE =
  /^(# (HELP|TYPE) \w+ .+|sasyncd_\w+(\{\w+="([^"\\\n]|\\[\\"n])*"(,\w+="([^"\\\n]|\\[\\"n])*")*\})? -?[\d.]+)$/;

function valueOf(text: string, sample: string): number | undefined {
  const line = text.split("\n").find((one) => one.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length));
}

Deno.test("printMetrics() writes each line as the format has it, and each metric once", () => {
  for (const view of [MASTER_VIEW, LONELY_SLAVE]) {
    const text = printMetrics(view);
    assert(text.endsWith("\n"));
    const lines = text.trimEnd().split("\n");
    for (const line of lines) assertMatch(line, LINE);
    const types = lines.filter((line) => line.startsWith("# TYPE")).map((line) => line.split(" ")[2]!);
    assertEquals(new Set(types).size, types.length);
    const named = lines.filter((line) => !line.startsWith("#")).map((line) => line.split(/[ {]/)[0]!);
    assertEquals([...new Set(named)], types);
    for (const line of lines.filter((line) => / counter$/.test(line))) assertMatch(line, /_total counter$/);
  }
});

const VALUES: readonly (readonly [sample: string, master: number | undefined, slave: number | undefined])[] =
  [
    ['sasyncd_role{role="MASTER"}', 1, 0],
    ['sasyncd_role{role="SLAVE"}', 0, 1],
    ["sasyncd_epoch", 7, 6],
    ["sasyncd_synchronised", 1, 1],
    ["sasyncd_demoted", 0, 1],
    ['sasyncd_kernel_records{kind="sa",owner="shared"}', 120, 120],
    ['sasyncd_kernel_records{kind="policy",owner="local"}', 1, 0],
    ["sasyncd_refused_records", 0, 1],
    ["sasyncd_stale_leases", 0, 120],
    ["sasyncd_inherited_sas", 40, 0],
    ["sasyncd_inherited_first_end_seconds", 2831, undefined],
    ['sasyncd_lost_if_taken_over{what="changes"}', undefined, 1],
    ['sasyncd_lost_if_taken_over{what="refused"}', undefined, 1],
    ["sasyncd_two_masters_total", 0, 1],
    ['sasyncd_events_total{event="changes applied"}', 3, 3],
    ['sasyncd_peer_connected{peer="192.0.2.2"}', 1, undefined],
    ['sasyncd_peer_connected{peer="2001:db8:1234:5678:9abc:def0:1234:5678"}', 0, undefined],
    ['sasyncd_peer_lag_changes{peer="192.0.2.2"}', 2, undefined],
    ['sasyncd_peer_lag_seconds{peer="192.0.2.2"}', 0.014, undefined],
    ['sasyncd_peer_lag_changes{peer="2001:db8:1234:5678:9abc:def0:1234:5678"}', undefined, undefined],
    ['sasyncd_peer_changes_sent_total{peer="192.0.2.2"}', 1200, undefined],
    ['sasyncd_peer_changes_applied_total{peer="192.0.2.2"}', 1198, undefined],
    ['sasyncd_peer_refused_records{peer="192.0.2.2"}', 3, undefined],
  ];

for (const [sample, master, slave] of VALUES) {
  Deno.test(`printMetrics() says ${sample}`, () => {
    assertEquals(valueOf(printMetrics(MASTER_VIEW), sample), master);
    assertEquals(valueOf(printMetrics(LONELY_SLAVE), sample), slave);
  });
}

Deno.test("printMetrics() escapes what a label may hold", () => {
  const text = printMetrics({ ...MASTER_VIEW, events: { 'a "b" \\ c\nd': 1 } });
  assert(text.includes('sasyncd_events_total{event="a \\"b\\" \\\\ c\\nd"} 1\n'));
  assertFalse(text.includes("undefined"));
});
