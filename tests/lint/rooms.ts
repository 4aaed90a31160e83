/**
 * The lint rules of this project: which room may import which, and what only one room may touch.
 * Loaded by `deno lint` (deno.json); the README's design section draws the same arrows.
 */

const projectRoot = new URL("../../", import.meta.url).pathname;

/** For each room, the rooms that it may import from besides itself. */
const doors: Readonly<Record<string, readonly string[]>> = {
  "src/errors.ts": [],
  "src/layout": ["src/errors.ts"],
  "src/record": ["src/errors.ts", "src/layout"],
  "src/ports.ts": ["src/errors.ts", "src/record"],
  "src/config": ["src/errors.ts", "src/ports.ts", "src/record"],
  "src/log": ["src/errors.ts", "src/ports.ts"],
  "src/pfkey": ["src/errors.ts", "src/ports.ts", "src/layout", "src/record"],
  "src/xfrm": ["src/errors.ts", "src/ports.ts", "src/layout", "src/record"],
  "src/link": ["src/errors.ts", "src/ports.ts", "src/layout", "src/record"],
  "src/wire": ["src/errors.ts", "src/ports.ts", "src/layout", "src/record"],
  "src/core": [
    ...["src/errors.ts", "src/ports.ts", "src/layout", "src/record", "src/config"],
    ...["src/pfkey", "src/xfrm", "src/link", "src/wire"],
  ],
  "src/status": ["src/errors.ts", "src/ports.ts", "src/record"],
  "src/daemon": [
    ...["src/errors.ts", "src/ports.ts", "src/layout", "src/record", "src/config", "src/log"],
    ...["src/pfkey", "src/xfrm", "src/link", "src/wire", "src/core", "src/status"],
  ],
  // the one room that joins the others with ffi/
  "src/process": ["src", "ffi"],
  "ffi": ["src/errors.ts", "src/ports.ts", "src/layout", "src/record"],
  "mod.ts": ["src"],
  "main.ts": ["src"],
};

/** `path` relative to the project, or undefined outside of it. */
function inProject(path: string): string | undefined {
  return path.startsWith(projectRoot) ? path.slice(projectRoot.length) : undefined;
}

/** True when `path` is the room or a file in it. */
function isIn(path: string, room: string): boolean {
  return path === room || path.startsWith(`${room}/`);
}

function roomOf(path: string): string | undefined {
  return Object.keys(doors).find((room) => isIn(path, room));
}

/** Says what is wrong with `file` importing `specifier`; undefined when nothing is. */
function judgeImport(file: string, specifier: string): string | undefined {
  const room = roomOf(file);
  if (room === undefined || !specifier.startsWith(".")) return undefined;
  const target = inProject(new URL(specifier, `file://${projectRoot}${file}`).pathname) ?? specifier;
  const allowed = [room, ...doors[room] ?? []];
  return allowed.some((door) => isIn(target, door)) ? undefined : `"${room}" may not import "${target}"`;
}

const imports: Deno.lint.Rule = {
  create(context) {
    const file = inProject(context.filename) ?? "";
    const check = (node: Deno.lint.Node, source: { value?: unknown } | null) => {
      const complaint = typeof source?.value === "string" ? judgeImport(file, source.value) : undefined;
      if (complaint !== undefined) context.report({ node, message: complaint });
    };
    return {
      ImportDeclaration: (node) => check(node, node.source),
      ExportAllDeclaration: (node) => check(node, node.source),
      ExportNamedDeclaration: (node) => check(node, node.source),
      ImportExpression: (node) => check(node, node.source.type === "Literal" ? node.source : null),
    };
  },
};

/** For each member of the Deno namespace that is somebody's own, whose it is. */
const owners: Readonly<Record<string, string>> = { dlopen: "ffi", args: "main.ts", exit: "main.ts" };

const denoMembers: Deno.lint.Rule = {
  create(context) {
    const file = inProject(context.filename) ?? "";
    if (roomOf(file) === undefined) return {};
    return {
      MemberExpression(node) {
        if (node.object.type !== "Identifier" || node.object.name !== "Deno") return;
        const owner = node.property.type === "Identifier" ? owners[node.property.name] : undefined;
        if (owner === undefined || isIn(file, owner)) return;
        context.report({
          node,
          message: `Deno.${context.sourceCode.getText(node.property)} is for "${owner}" only`,
        });
      },
    };
  },
};

const dataView: Deno.lint.Rule = {
  create(context) {
    const file = inProject(context.filename) ?? "";
    if (!isIn(file, "src") || isIn(file, "src/layout")) return {};
    return {
      Identifier(node) {
        if (node.name === "DataView") context.report({ node, message: 'DataView is for "src/layout" only' });
      },
    };
  },
};

/** What arithmetic with bits, bytes, words and address families needs. */
const arithmetic: ReadonlySet<unknown> = new Set([0, 1, 2, 4, 6, 8, 16, 32, 64, 96, 128, 0xff, 512]);

/** A kernel's numbers stand in tables under their names, where tests find them: not in the code of a function. */
const kernelNumbers: Deno.lint.Rule = {
  create(context) {
    const file = inProject(context.filename) ?? "";
    if (!isIn(file, "src/pfkey")) return {};
    const check = (node: Deno.lint.Literal) => {
      if (typeof node.value !== "number" || arithmetic.has(node.value)) return;
      context.report({ node, message: `number ${node.value} of a kernel has to stand in a table` });
    };
    return {
      "FunctionDeclaration Literal": check,
      "MethodDefinition Literal": check,
    };
  },
};

const reExportsOnly: Deno.lint.Rule = {
  create(context) {
    const file = inProject(context.filename) ?? "";
    if (roomOf(file) === undefined || !/(^|\/)mod\.ts$/.test(file)) return {};
    return {
      Program(program) {
        for (const node of program.body) {
          const reExport = node.type === "ExportAllDeclaration" ||
            node.type === "ExportNamedDeclaration" && node.source !== null;
          if (!reExport) context.report({ node, message: "mod.ts holds re-exports only" });
        }
      },
    };
  },
};

const plugin: Deno.lint.Plugin = {
  name: "rooms",
  rules: {
    imports,
    "deno-members": denoMembers,
    "data-view": dataView,
    "kernel-numbers": kernelNumbers,
    "re-exports-only": reExportsOnly,
  },
};

export default plugin;
