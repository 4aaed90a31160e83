/** The part of @std/log's interface that is used; passes with the genuine package (0.224.14) under the name too. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { BaseHandler, getLogger, type LevelName, LogLevels, type LogRecord, setup } from "@std/log";

class Keeper extends BaseHandler {
  readonly lines: string[] = [];
  readonly calls: string[] = [];

  override log(msg: string): void {
    this.lines.push(msg);
  }

  override setup(): void {
    this.calls.push("setup");
  }

  override destroy(): void {
    this.calls.push("destroy");
  }
}

function logAll(level: LevelName, handlerLevel: LevelName): readonly string[] {
  const keeper = new Keeper(handlerLevel);
  setup({ handlers: { keeper }, loggers: { default: { level, handlers: ["keeper"] } } });
  const logger = getLogger();
  logger.debug("d");
  logger.info("i");
  logger.warn("w");
  logger.error("e");
  logger.critical("c");
  return keeper.lines;
}

const ALL = ["DEBUG d", "INFO i", "WARN w", "ERROR e", "CRITICAL c"];
const LEVEL_ROWS: readonly (readonly [level: LevelName, passed: number])[] = [
  ["NOTSET", 5],
  ["DEBUG", 5],
  ["INFO", 4],
  ["WARN", 3],
  ["ERROR", 2],
  ["CRITICAL", 1],
];

for (const [level, passed] of LEVEL_ROWS) {
  Deno.test(`Logger passes ${level} and above`, () =>
    assertEquals(logAll(level, "NOTSET"), ALL.slice(-passed)));
  Deno.test(`BaseHandler passes ${level} and above`, () => {
    assertEquals(logAll("NOTSET", level), ALL.slice(-passed));
  });
}

Deno.test("Logger makes a message only when it is logged", () => {
  const keeper = new Keeper("NOTSET");
  setup({ handlers: { keeper }, loggers: { a: { level: "INFO", handlers: ["keeper"] } } });
  let made = 0;
  getLogger("a").debug(() => `${++made}`);
  getLogger("a").info(() => `${++made}`);
  assertEquals([made, keeper.lines], [1, ["INFO 1"]]);
});

Deno.test("BaseHandler formats with the formatter that it was given", () => {
  let record: LogRecord | undefined;
  const keeper = new Keeper("NOTSET", { formatter: (given) => `[${(record = given).msg}]` });
  setup({ handlers: { keeper }, loggers: { a: { level: "INFO", handlers: ["keeper"] } } });
  getLogger("a").warn("text", 1);
  assertEquals(keeper.lines, ["[text]"]);
  const { level, levelName, loggerName, args } = record!;
  assertEquals({ level, levelName, loggerName, args }, {
    level: LogLevels.WARN,
    levelName: "WARN",
    loggerName: "a",
    args: [1],
  });
  assertEquals(record!.datetime instanceof Date, true);
});

Deno.test("setup() takes handlers into use and out of it", () => {
  const keeper = new Keeper("NOTSET");
  setup({ handlers: { keeper } });
  assertEquals(keeper.calls, ["setup"]);
  setup({});
  assertEquals(keeper.calls, ["setup", "destroy"]);
});

Deno.test("getLogger() gives the same logger again, also one that nobody set up", () => {
  setup({});
  assertStrictEquals(getLogger("new"), getLogger("new"));
  assertEquals([getLogger("new").levelName, getLogger("new").handlers.length], ["NOTSET", 0]);
  assertStrictEquals(getLogger(), getLogger("default"));
});
