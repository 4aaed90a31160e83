/** What a daemon may log while its neighbours are killed, links are cut and the address moves; anything else is trouble. */

/** Said at most once in a while, with how often it happened. */
const MORE = "( \\(and (once|\\d+ times) more\\))?";

/** Why a session has ended: its link was cut, its peer killed, both dialled at once, or it is the end. */
const LOST =
  "((said goodbye: )?(silent for 3 s|received SIGTERM|the helper has ended)|replaced by another session" +
  "|connection closed(: (EOF|ECONNRESET|EHOSTUNREACH|EPIPE)| while sending))";

const EXPLAINED = [
  "sasyncd (started, kernel xfrm, 2 peers|stopped)",
  "(INIT|SLAVE|MASTER) -> (MASTER|SLAVE): 192\\.0\\.2\\.100 is (not )?on pub",
  "master in epoch \\d+: (started|\\S+ knew epoch \\d+)",
  "following \\S+ in epoch \\d+",
  "synchronised with \\S+: \\d+ records",
  // one change in 65,536 is not seen at first, and what is asked twice at once may be answered across
  "comparison with \\S+ does not add up: comparing by wider digests",
  "inherited \\d+ SAs, the first ends in \\d+ s",
  "\\d+ leases were stale: master not heard for \\d+ ms",
  "peer \\S+: connected, linux",
  `peer \\S+: disconnected, ${LOST}`,
  `peer \\S+: (said goodbye: )?(another session of this pair stays|replaced by another session)${MORE}`,
  `peer \\S+: (cannot connect: (ECONNREFUSED|EHOSTUNREACH)|no answer to connect)${MORE}`,
  `peer \\S+: connection closed during the handshake: ECONNRESET; .*${MORE}`,
  `peer \\S+: (connection closed while sending|handshake takes too long)${MORE}`,
  "the helper has ended", // it was killed, and so was
  "the network process is gone without a word: the helper gives back what was taken",
].map((pattern) => new RegExp(`^${pattern}$`));

/** Whether a fault that the test has made accounts for this line of a log. */
export function isExplained(line: string): boolean {
  return EXPLAINED.some((pattern) => pattern.test(line));
}
