/** The second process of the spawnDetached tests: `fail`, `killed`, or the file to write its report to. */

import { adoptFd, reportReady } from "../../../ffi/daemonise.ts";
import { openLibc } from "../../../ffi/libc.ts";
import { forbidCoreDumps, forbidTracing, releaseTerminal } from "../../../ffi/process.ts";

const libc = openLibc();
const [kind, fd] = Deno.args;
const ready = adoptFd(libc, Number(fd));
if (kind === "fail") Deno.exit(3);
if (kind === "killed") Deno.kill(Deno.pid, "SIGKILL");
forbidCoreDumps(libc);
releaseTerminal(libc);
const stat = Deno.readTextFileSync("/proc/self/stat").split(" ");
const limits = Deno.readTextFileSync("/proc/self/limits");
Deno.writeTextFileSync(
  `${kind}.tmp`,
  JSON.stringify({
    session: Number(stat[5]),
    parent: Deno.ppid,
    standard: [0, 1, 2].map((n) => Deno.readLinkSync(`/proc/self/fd/${n}`)),
    cores: /^Max core file size +\d+ +(\d+)/m.exec(limits)?.[1],
    cwd: Deno.cwd(),
  }),
);
forbidTracing(libc);
Deno.renameSync(`${kind}.tmp`, `${kind}`);
reportReady(libc, ready);
setTimeout(() => {}, 5000);
