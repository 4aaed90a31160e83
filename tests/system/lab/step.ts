/** The scenario's own log: what it does, and when, so that a run that failed elsewhere can be read. */

/** Logs `text` with the seconds since the guest was booted. */
export function step(text: string): void {
  const seconds = Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]);
  console.log(`[${seconds.toFixed(2).padStart(7)}] ${text}`);
}

/** Waits until `check` gives something other than undefined or false. @throws {Error} saying `what` after `timeoutMs` */
export async function eventually<T>(
  what: string,
  check: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  while (true) {
    const result = await check();
    if (result !== undefined && result !== false) return result;
    if (performance.now() > end) throw new Error(`no ${what} within ${timeoutMs} ms`);
    await delay(100);
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
