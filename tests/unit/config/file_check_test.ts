import { assertEquals } from "@std/assert";
import { fileProblem } from "../../../src/config/file_check.ts";

const USER = 107;

const ROWS: readonly (readonly [
  uid: number,
  mode: number,
  isRegular: boolean,
  user: number,
  problem: string | undefined,
])[] = [
  [0, 0o600, true, USER, undefined],
  [0, 0o400, true, 0, undefined],
  [USER, 0o600, true, USER, undefined],
  [0, 0o100600, true, USER, undefined],
  [0, 0o4700, true, USER, undefined],
  [0, 0o640, true, USER, "has mode 0640, must be closed to group and others (chmod 0600)"],
  [0, 0o604, true, USER, "has mode 0604, must be closed to group and others (chmod 0600)"],
  [0, 0o610, true, USER, "has mode 0610, must be closed to group and others (chmod 0600)"],
  [1000, 0o600, true, USER, "is owned by uid 1000, must be owned by root or uid 107"],
  [USER, 0o600, true, 0, "is owned by uid 107, must be owned by root"],
  [
    1000,
    0o644,
    true,
    USER,
    "is owned by uid 1000, must be owned by root or uid 107 and has mode 0644, must be closed to group and others " +
    "(chmod 0600)",
  ],
  [0, 0o600, false, USER, "is not a regular file"],
];

for (const [uid, mode, isRegular, user, problem] of ROWS) {
  Deno.test(`fileProblem() of uid ${uid}, mode ${mode.toString(8)}, regular ${isRegular}, user ${user}`, () => {
    assertEquals(fileProblem({ uid, mode, isRegular }, user), problem);
  });
}
