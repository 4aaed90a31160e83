/**
 * The demonstration: two gateways, SAs and policies on the master, the same on the slave, then live changes. On Linux
 * kernels in the laboratory's guest where this machine can run it, else on kernels in memory. Exit status 0: the two
 * kernels were equal at each step.
 */

import { INSIDE_GUEST, runInGuest, whatIsMissing } from "./lab/host.ts";

const SETTINGS = { memory: "1G", limitSeconds: 110 };

Deno.exit(await demonstrate());

async function demonstrate(): Promise<number> {
  if (INSIDE_GUEST) return (await import("./demo/on_linux.ts")).showOnLinux();
  const missing = whatIsMissing();
  if (missing === "") return await showInGuest();
  console.log(`The demonstration on Linux kernels is left out: ${missing}.`);
  return await (await import("./demo/in_memory.ts")).showInMemory();
}

async function showInGuest(): Promise<number> {
  console.log(
    "Booting a Linux kernel of its own for the demonstration; this machine's IPsec is not touched ...",
  );
  let rest = "";
  const code = await runInGuest(
    ["run", "--no-check", "--cached-only", "-A", new URL(import.meta.url).pathname],
    SETTINGS,
    (text) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (!isStep(line)) console.log(line);
    },
  );
  if (rest !== "") console.log(rest);
  if (code !== 0) console.log(`The demonstration failed: exit status ${code}.`);
  return code;
}

/** The laboratory's own log, for those who work on it. */
function isStep(line: string): boolean {
  return /^\[ *\d+\.\d+\] /.test(line);
}
